"""A small residual network for 32x32 images: three stages of 16, 32 and 64 channels (He et al. 2015, section 4.2)."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CifarResNet(nn.Module):
    def __init__(self, blocks=3, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        layers, channels = [], 16
        for outputs in (16, 32, 64):
            for i in range(blocks):
                layers.append(Block(channels, outputs, 2 if outputs > 16 and i == 0 else 1))
                channels = outputs
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))

    def forward(self, x):
        return self.head(self.layers(self.stem(x)))


def task(batch=32, blocks=3, size=32):
    torch.manual_seed(0)
    images, labels = torch.randn(batch, 3, size, size), torch.randint(10, (batch,))
    optimizer = lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-4)  # noqa: E731
    return Task(CifarResNet(blocks), (images,), labels, F.cross_entropy, optimizer)


if __name__ == "__main__":
    run(task())
