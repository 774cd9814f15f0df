"""Neural style transfer: a fixed network's features, Gram matrices, an image optimized by L-BFGS, and a fast network trained for it."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.set_default_device(device)


class ContentLoss(nn.Module):
    def __init__(self, target):
        super().__init__()
        self.target = target.detach()

    def forward(self, input):
        self.loss = F.mse_loss(input, self.target)
        return input


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    G = torch.mm(features, features.t())
    return G.div(a * b * c * d)


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super().__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


class Normalization(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = mean.clone().detach().view(-1, 1, 1)
        self.std = std.clone().detach().view(-1, 1, 1)

    def forward(self, img):
        return (img - self.mean) / self.std


cnn = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
).eval().requires_grad_(False)  # fmt: skip


def get_style_model_and_losses(cnn, mean, std, style_img, content_img, content_layers=("conv_4",), style_layers=("conv_1", "conv_2", "conv_3")):
    normalization = Normalization(mean, std)
    content_losses, style_losses = [], []
    model = nn.Sequential(normalization)
    i = 0
    for layer in cnn.children():
        if isinstance(layer, nn.Conv2d):
            i += 1
            name = f"conv_{i}"
        elif isinstance(layer, nn.ReLU):
            name = f"relu_{i}"
            layer = nn.ReLU(inplace=False)
        elif isinstance(layer, nn.MaxPool2d):
            name = f"pool_{i}"
        elif isinstance(layer, nn.BatchNorm2d):
            name = f"bn_{i}"
        else:
            raise RuntimeError(f"Unrecognized layer: {layer.__class__.__name__}")
        model.add_module(name, layer)
        if name in content_layers:
            target = model(content_img).detach()
            content_loss = ContentLoss(target)
            model.add_module(f"content_loss_{i}", content_loss)
            content_losses.append(content_loss)
        if name in style_layers:
            style_loss = StyleLoss(model(style_img).detach())
            model.add_module(f"style_loss_{i}", style_loss)
            style_losses.append(style_loss)
    for i in range(len(model) - 1, -1, -1):
        if isinstance(model[i], (ContentLoss, StyleLoss)):
            break
    return model[: (i + 1)], style_losses, content_losses


y, x = torch.meshgrid(torch.linspace(0, 1, 16), torch.linspace(0, 1, 16), indexing="ij")
content = torch.stack([x, y, (x - y).abs()]).unsqueeze(0)
style = torch.stack([(10 * x).sin().abs(), (10 * y).cos().abs(), (6 * (x + y)).sin().abs()]).unsqueeze(0)
input_img = content.clone()
model, style_losses, content_losses = get_style_model_and_losses(
    cnn, torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]), style, content
)
print(model)
input_img.requires_grad_(True)
model.eval()
model.requires_grad_(False)
optimizer = optim.LBFGS([input_img])
run = [0]
while run[0] <= 40:
    def closure():
        with torch.no_grad():
            input_img.clamp_(0, 1)
        optimizer.zero_grad()
        model(input_img)
        style_score = sum(sl.loss for sl in style_losses) * 100000
        content_score = sum(cl.loss for cl in content_losses)
        loss = style_score + content_score
        loss.backward()
        run[0] += 1
        if run[0] in (1, 5, 10):
            print(f"run {run[0]}: style {style_score.item():.3f} content {content_score.item():.4f}")
        return style_score + content_score

    optimizer.step(closure)
with torch.no_grad():
    input_img.clamp_(0, 1)
print(input_img.shape, input_img.min().item() >= 0, input_img.max().item() <= 1)


class ConvLayer(nn.Module):
    def __init__(self, i, o, k, stride, upsample=None):
        super().__init__()
        self.upsample = upsample
        self.reflection_pad = nn.ReflectionPad2d(k // 2)
        self.conv2d = nn.Conv2d(i, o, k, stride)

    def forward(self, x):
        if self.upsample:
            x = F.interpolate(x, mode="nearest", scale_factor=self.upsample)
        return self.conv2d(self.reflection_pad(x))


class TransformerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(ConvLayer(3, 8, 5, 1), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), ConvLayer(8, 12, 3, 2), nn.InstanceNorm2d(12, affine=True))
        self.res = nn.ModuleList(ConvLayer(12, 12, 3, 1) for _ in range(2))
        self.up = nn.Sequential(ConvLayer(12, 8, 3, 1, upsample=2), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), ConvLayer(8, 3, 5, 1))

    def forward(self, x):
        x = self.down(x).relu()
        for layer in self.res:
            x = x + layer(x).relu()
        return self.up(x)


net = TransformerNet()
optimizer = optim.Adam(net.parameters(), 1e-2)
features = cnn[:4]
gram_style = gram_matrix(features(style))
for step in range(6):
    optimizer.zero_grad()
    out = net(content)
    f, g = features(out), features(content)
    tv = (out[..., 1:] - out[..., :-1]).abs().mean() + (out[..., 1:, :] - out[..., :-1, :]).abs().mean()
    loss = F.mse_loss(f, g) + 1e3 * F.mse_loss(gram_matrix(f), gram_style) + 0.01 * tv
    loss.backward()
    optimizer.step()
    print(f"{step}: {loss.item():.4f}")
print(sum(p.numel() for p in net.parameters()), [tuple(p.shape) for n, p in net.named_parameters() if "res" in n])
