"""U-Net (Ronneberger et al. 2015) with padded convolutions and batch normalisation: segmentation of an image into classes."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


def double_conv(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self, channels=3, classes=2, width=32, depth=4, bilinear=False):
        super().__init__()
        widths = [width << i for i in range(depth + 1)]
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip([channels, *widths[:-1]], widths))
        self.pool = nn.MaxPool2d(2)
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        for deep, shallow in zip(widths[:0:-1], widths[-2::-1]):
            upsample = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), nn.Conv2d(deep, shallow, 1))
            self.up.append(upsample if bilinear else nn.ConvTranspose2d(deep, shallow, 2, 2))
            self.join.append(double_conv(2 * shallow, shallow))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        skips = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else self.pool(x))
            skips.append(x)
        for up, join, skip in zip(self.up, self.join, skips[-2::-1]):
            x = join(torch.cat([skip, up(x)], dim=1))
        return self.head(x)


def task(batch=4, size=128, width=32, depth=4, bilinear=False):
    torch.manual_seed(0)
    images, masks = torch.randn(batch, 3, size, size), torch.randint(2, (batch, size, size))
    net = UNet(width=width, depth=depth, bilinear=bilinear)
    return Task(net, (images,), masks, F.cross_entropy, lambda p: torch.optim.Adam(p, lr=1e-3))


if __name__ == "__main__":
    run(task())
