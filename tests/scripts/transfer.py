import copy, os, tempfile
import torch
import torch.nn as nn
import torch.optim as optim
from torch.optim import lr_scheduler

torch.manual_seed(0)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.inplanes = 8
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = self._make(8, 1)
        self.layer2 = self._make(16, 1, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def _make(self, planes, blocks, stride=1):
        down = None
        if stride != 1 or self.inplanes != planes:
            down = nn.Sequential(nn.Conv2d(self.inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
        layers = [BasicBlock(self.inplanes, planes, stride, down)]
        self.inplanes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


pre = ResNet(10)
with tempfile.TemporaryDirectory() as d:
    path = os.path.join(d, "pre.pth")
    torch.save(pre.state_dict(), path)
    model = ResNet(10)
    print(model.load_state_dict(torch.load(path, weights_only=True)))
for p in model.parameters():
    p.requires_grad = False
model.fc = nn.Linear(model.fc.in_features, 2)
for p in model.layer2.parameters():
    p.requires_grad_(True)
opt = optim.SGD(
    [{"params": model.layer2.parameters(), "lr": 1e-3}, {"params": model.fc.parameters()}],
    lr=1e-2,
    momentum=0.9,
    weight_decay=1e-4,
    nesterov=True,
)
sched = lr_scheduler.StepLR(opt, step_size=2, gamma=0.1)
X = torch.randn(32, 3, 12, 12)
y = (X.mean((1, 2, 3)) > 0).long()
X[y == 1, 0] += 1
best, best_wts = 0.0, copy.deepcopy(model.state_dict())
crit = nn.CrossEntropyLoss()
for epoch in range(4):
    for phase in ["train", "val"]:
        model.train() if phase == "train" else model.eval()
        xs, ys = (X[:24], y[:24]) if phase == "train" else (X[24:], y[24:])
        running, corrects = 0.0, 0
        for xb, yb in zip(xs.split(8), ys.chunk(len(xs) // 8)):
            opt.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                out = model(xb)
                _, preds = torch.max(out, 1)
                loss = crit(out, yb)
                if phase == "train":
                    loss.backward()
                    opt.step()
            running += loss.item() * xb.size(0)
            corrects += torch.sum(preds == yb.data)
        if phase == "train":
            sched.step()
        acc = corrects.double() / len(xs)
        print("{} Loss: {:.4f} Acc: {:.4f}".format(phase, running / len(xs), acc), sched.get_last_lr())
        if phase == "val" and acc > best:
            best, best_wts = acc, copy.deepcopy(model.state_dict())
print("Best", best)
print(sum(p.numel() for p in model.parameters() if p.requires_grad), [n for n, p in model.named_parameters() if p.grad is not None])
print(opt)
print({k: v.shape for k, v in list(model.state_dict().items())[:6]})
print(torch.equal(model.conv1.weight, pre.conv1.weight), model.bn1.running_mean[:3], model.bn1.num_batches_tracked)
