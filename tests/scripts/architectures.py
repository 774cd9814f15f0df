"""Networks of today's examples: forward-forward training, a mixture of experts, a U-Net with a Dice loss, a vision transformer with
patches, a wide and deep recommender of embedding bags, and an LSTM that follows a sine by L-BFGS."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)


class FFLayer(nn.Linear):
    """A layer with a loss and an optimizer of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.relu = nn.ReLU()
        self.opt = torch.optim.Adam(self.parameters(), lr=0.02)
        self.threshold = 1.5

    def forward(self, x):
        direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
        return self.relu(torch.mm(direction, self.weight.T) + self.bias.unsqueeze(0))

    def train_step(self, positive, negative):
        g_pos = self.forward(positive).pow(2).mean(1)
        g_neg = self.forward(negative).pow(2).mean(1)
        loss = torch.log(1 + torch.exp(torch.cat([-g_pos + self.threshold, g_neg - self.threshold]))).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return self.forward(positive).detach(), self.forward(negative).detach(), loss.item()


def overlay(x, y, classes=3):
    x = x.clone()
    x[:, :classes] *= 0.0
    x[range(x.shape[0]), y] = x.max()
    return x


x, y = torch.randn(30, 12), torch.arange(30) % 3
x[:, 3:6] += 2 * F.one_hot(y, 3)
wrong = (y + 1) % 3
layers = [FFLayer(12, 16), FFLayer(16, 16)]
pos, neg = overlay(x, y), overlay(x, wrong)
for i, layer in enumerate(layers):
    for step in range(8):
        out_pos, out_neg, loss = layer.train_step(pos, neg)
    pos, neg = out_pos, out_neg
    print(f"layer {i}: {loss:.4f}", pos.requires_grad)
goodness = []
for label in range(3):
    h = overlay(x, torch.full((30,), label))
    g = []
    for layer in layers:
        h = layer(h)
        g.append(h.pow(2).mean(1))
    goodness.append(sum(g).unsqueeze(1))
print(torch.cat(goodness, 1).shape, f"{torch.cat(goodness, 1).mean().item():.4f}")


class MoE(nn.Module):
    """Top-2 of four experts; the load is balanced by a loss beside."""

    def __init__(self, dim=8, experts=4, k=2):
        super().__init__()
        self.gate, self.k = nn.Linear(dim, experts, bias=False), k
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(dim, 16), nn.SiLU(), nn.Linear(16, dim)) for _ in range(experts)])

    def forward(self, x):
        shape = x.shape
        x = x.view(-1, shape[-1])
        probabilities = self.gate(x).softmax(-1)
        weights, chosen = probabilities.topk(self.k, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            row, which = torch.where(chosen == i)
            if row.numel() == 0:
                continue
            out.index_add_(0, row, expert(x[row]) * weights[row, which, None])
        share = F.one_hot(chosen, len(self.experts)).float().mean((0, 1))
        return out.view(shape), (share * probabilities.mean(0)).sum() * len(self.experts)


moe = MoE()
optimizer = torch.optim.AdamW(moe.parameters(), lr=1e-2)
inputs = torch.randn(3, 7, 8)
for step in range(5):
    out, balance = moe(inputs)
    loss = F.mse_loss(out, inputs.roll(1, -1)) + 0.01 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f} {balance.item():.4f}")


def double_conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True), nn.Conv2d(o, o, 3, padding=1), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.d1, self.d2, self.mid = double_conv(1, 4), double_conv(4, 8), double_conv(8, 16)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.up1 = nn.ConvTranspose2d(16, 8, 2, 2), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.u2, self.u1 = double_conv(16, 8), double_conv(12, 4)
        self.out = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(self.pool(a))
        c = self.mid(self.pool(b))
        x = self.up2(c)
        dy, dx = b.size(2) - x.size(2), b.size(3) - x.size(3)
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        x = self.u2(torch.cat([b, x], dim=1))
        x = self.up1(x)
        x = F.pad(x, [0, a.size(3) - x.size(3), 0, a.size(2) - x.size(2)])
        return self.out(self.u1(torch.cat([a, x], dim=1)))


def dice_loss(scores, masks, smooth=1.0):
    p, t = scores.sigmoid().flatten(1), masks.flatten(1)
    return (1 - (2 * (p * t).sum(1) + smooth) / (p.sum(1) + t.sum(1) + smooth)).mean()


unet = UNet().to(memory_format=torch.channels_last)
images = torch.rand(3, 1, 18, 15)
masks = (F.avg_pool2d(images, 3, 1, 1) > 0.5).float()
optimizer = torch.optim.RMSprop(unet.parameters(), lr=1e-3, momentum=0.9, foreach=True)
for step in range(4):
    scores = unet(images.contiguous(memory_format=torch.channels_last))
    loss = F.binary_cross_entropy_with_logits(scores, masks, pos_weight=torch.tensor(1.5)) + dice_loss(scores, masks)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_value_(unet.parameters(), 1.0)
    optimizer.step()
    print(f"{loss.item():.3f}", tuple(scores.shape))


class ViT(nn.Module):
    def __init__(self, size=12, patch=4, dim=16, heads=4, depth=2, classes=5):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(dim, heads, 32, 0.1, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Linear(dim, classes)
        self.apply(self._init)

    @staticmethod
    def _init(m):
        if isinstance(m, nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.size(0), -1, -1), x], 1) + self.pos
        return self.head(self.encoder(x)[:, 0])


vit = ViT()
decay = [p for p in vit.parameters() if p.ndim > 1]
rest = [p for p in vit.parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.95))
warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=2)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [2])
ema = torch.optim.swa_utils.AveragedModel(vit, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
pictures, kinds = torch.randn(6, 3, 12, 12), torch.arange(6) % 5
mixed = 0.3
for step in range(6):
    other = torch.randperm(6)
    scores = vit(mixed * pictures[other] + (1 - mixed) * pictures)
    soft = mixed * F.one_hot(kinds[other], 5).float() + (1 - mixed) * F.one_hot(kinds, 5).float()
    loss = F.cross_entropy(scores, soft, label_smoothing=0.1)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(vit.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    ema.update_parameters(vit)
    print(f"{loss.item():.4f} {norm.item():.3f} {schedule.get_last_lr()[0]:.6f}")
ema.eval()
print(ema(pictures).shape, ema.n_averaged.item(), len(ema.state_dict()))


class WideDeep(nn.Module):
    def __init__(self, fields=(7, 5, 9), dim=4):
        super().__init__()
        self.register_buffer("shift", torch.tensor([0, *fields[:-1]]).cumsum(0))
        self.wide = nn.EmbeddingBag(sum(fields), 1, mode="sum")
        self.deep = nn.Embedding(sum(fields), dim)
        self.bags = nn.EmbeddingBag(20, dim, mode="mean", padding_idx=0)
        self.mlp = nn.Sequential(nn.Linear(dim * (len(fields) + 1), 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def forward(self, x, history, offsets):
        x = x + self.shift
        e = self.deep(x)
        square = e.sum(1).pow(2) - e.pow(2).sum(1)
        deep = self.mlp(torch.cat([e.flatten(1), self.bags(history, offsets)], 1))
        return (self.wide(x) + 0.5 * square.sum(1, keepdim=True) + deep).squeeze(1)


model = WideDeep()
x = torch.stack([torch.randint(0, n, (16,)) for n in (7, 5, 9)], 1)
lengths = torch.randint(1, 5, (16,))
history, offsets = torch.randint(0, 20, (int(lengths.sum()),)), torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])
clicks = torch.randint(0, 2, (16,)).float()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
for step in range(5):
    optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(model(x, history, offsets), clicks)
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f}")


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1, self.lstm2, self.linear = nn.LSTMCell(1, 10), nn.LSTMCell(10, 10), nn.Linear(10, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t, c_t, h_t2, c_t2 = (torch.zeros(input.size(0), 10, dtype=torch.double) for _ in range(4))
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for _ in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, dim=1)


wave = torch.sin((torch.arange(24.0, dtype=torch.double) + torch.arange(6.0, dtype=torch.double)[:, None] * 3) / 4)
seq = Sequence().double()
optimizer = torch.optim.LBFGS(seq.parameters(), lr=0.8, max_iter=6)
for step in range(2):
    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(seq(wave[1:, :-1]), wave[1:, 1:])
        loss.backward()
        return loss

    print(f"{optimizer.step(closure).item():.4f}")
with torch.no_grad():
    future = seq(wave[:1, :-1], future=10)
    print(future.shape, math.isfinite(future.sum().item()))
