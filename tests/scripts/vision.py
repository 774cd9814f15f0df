import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)


class PatchEmbed(nn.Module):
    def __init__(self, img=16, p=4, d=32):
        super().__init__()
        self.proj = nn.Conv2d(3, d, p, p)
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.pos = nn.Parameter(torch.empty(1, (img // p) ** 2 + 1, d))
        nn.init.trunc_normal_(self.pos, std=0.02)

    def forward(self, x):
        x = self.proj(x).flatten(2).transpose(1, 2)
        return torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos


class Attn(nn.Module):
    def __init__(self, d, h=4):
        super().__init__()
        self.h, self.qkv, self.out = h, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x):
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.h, C // self.h).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 if self.training else 0.0)
        return self.out(x.transpose(1, 2).reshape(B, N, C))


class DropPath(nn.Module):
    def __init__(self, p=0.0):
        super().__init__()
        self.p = p

    def forward(self, x):
        if self.p == 0.0 or not self.training:
            return x
        keep = 1 - self.p
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x.div(keep) * mask


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.pe = PatchEmbed()
        self.blocks = nn.ModuleList()
        for p in torch.linspace(0, 0.2, 2).tolist():
            self.blocks.append(
                nn.ModuleDict(
                    {
                        "n1": nn.LayerNorm(32),
                        "a": Attn(32),
                        "n2": nn.LayerNorm(32),
                        "dp": DropPath(p),
                        "mlp": nn.Sequential(nn.Linear(32, 64), nn.GELU(approximate="tanh"), nn.Dropout(0.1), nn.Linear(64, 32)),
                    }
                )
            )
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        x = self.pe(x)
        for b in self.blocks:
            x = x + b["dp"](b["a"](b["n1"](x)))
            x = x + b["dp"](b["mlp"](b["n2"](x)))
        return self.head(x[:, 0])


vit = ViT()
X, y = torch.randn(16, 3, 16, 16), torch.arange(16) % 5
opt = torch.optim.AdamW(vit.parameters(), 3e-3, weight_decay=0.05)
lam = torch.distributions.Beta(0.8, 0.8)
for it in range(6):
    l = lam.sample()
    perm = torch.randperm(16)
    out = vit(l * X + (1 - l) * X[perm])
    loss = l * F.cross_entropy(out, y) + (1 - l) * F.cross_entropy(out, y[perm])
    opt.zero_grad(), loss.backward(), opt.step()
    print(it, f"{loss.item():.5f}")
vit.eval()
print(vit(X[:2]), vit.pe.pos.grad.norm())


def double(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding="same", bias=False),
        nn.GroupNorm(2, o),
        nn.SiLU(inplace=True),
        nn.Conv2d(o, o, 3, padding=1, padding_mode="reflect"),
        nn.InstanceNorm2d(o, affine=True),
        nn.LeakyReLU(0.1, True),
    )


class UNet(nn.Module):
    def __init__(self, bilinear=True):
        super().__init__()
        self.d1, self.d2, self.mid = double(1, 4), double(4, 8), double(8, 16)
        self.up2 = (
            nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(16, 8, 1))
            if bilinear
            else nn.ConvTranspose2d(16, 8, 2, 2)
        )
        self.u2, self.up1, self.u1, self.out = double(16, 8), nn.ConvTranspose2d(8, 4, 2, stride=2), double(8, 4), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        m = self.up2(self.mid(F.avg_pool2d(b, 2)))
        m = F.pad(m, [0, b.size(3) - m.size(3), 0, b.size(2) - m.size(2)])
        m = self.up1(self.u2(torch.cat([b, m], 1)))
        return self.out(self.u1(torch.cat([a, F.interpolate(m, a.shape[-2:])], dim=1)))


def dice(p, t, eps=1e-6):
    p = F.softmax(p, 1)
    t = F.one_hot(t, 3).permute(0, 3, 1, 2).float()
    inter = (p * t).sum((0, 2, 3))
    return 1 - ((2 * inter + eps) / (p.sum((0, 2, 3)) + t.sum((0, 2, 3)) + eps)).mean()


img = torch.randn(2, 1, 14, 14)
mask = (img[:, 0] > 0).long() + (img[:, 0] > 1).long()
for bil in (True, False):
    net = UNet(bil)
    opt = torch.optim.SGD(net.parameters(), 0.05, 0.9)
    for it in range(4):
        o = net(img)
        loss = F.cross_entropy(o, mask, weight=torch.tensor([1.0, 2.0, 3.0])) + dice(o, mask)
        opt.zero_grad(), loss.backward(), opt.step()
    print(bil, f"{loss.item():.5f}")
inter = o.argmax(1)[:, None] == torch.arange(3).view(1, 3, 1, 1)
print([((o.argmax(1) == c) & (mask == c)).sum().item() / ((o.argmax(1) == c) | (mask == c)).sum().item() for c in range(3)])


# spatial transformer
class STN(nn.Module):
    def __init__(self):
        super().__init__()
        self.loc = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveMaxPool2d(2), nn.ReLU(True), nn.Flatten(), nn.Linear(16, 6))
        self.loc[-1].weight.data.zero_()
        self.loc[-1].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

    def forward(self, x):
        theta = self.loc(x).view(-1, 2, 3)
        return F.grid_sample(x, F.affine_grid(theta, x.size(), align_corners=False), align_corners=False)


s = STN()
r = s(img)
print((r - img).abs().max() < 1e-5)
(r**2).sum().backward()
print(s.loc[-1].bias.grad)
ps = nn.PixelShuffle(2)(torch.arange(16.0).view(1, 4, 2, 2))
print(
    ps,
    F.pixel_unshuffle(ps, 2).shape,
    F.unfold(img, 3, stride=3).shape,
    F.fold(F.unfold(img, 2, stride=2), (14, 14), 2, stride=2).sub(img).abs().max(),
)
# anchors, IoU, NMS by hand
boxes = torch.rand(6, 4) * 10
boxes[:, 2:] += boxes[:, :2]
lt, rb = torch.max(boxes[:, None, :2], boxes[:, :2]), torch.min(boxes[:, None, 2:], boxes[:, 2:])
wh = (rb - lt).clamp(min=0)
area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
iou = wh.prod(2) / (area[:, None] + area - wh.prod(2))
order, keep = torch.rand(6).argsort(descending=True), []
while order.numel():
    i = order[0]
    keep.append(i.item())
    order = order[1:][iou[i, order[1:]] <= 0.3]
print(iou.triu(1).sum(), keep)
