"""MobileNetV3-small (Howard et al. 2019): inverted residuals with squeeze-and-excitation and hard swish."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn

# kernel, expanded channels, output channels, squeeze-and-excitation, activation, stride: the paper's table 2
LAYERS = (
    (3, 16, 16, True, nn.ReLU, 2),
    (3, 72, 24, False, nn.ReLU, 2),
    (3, 88, 24, False, nn.ReLU, 1),
    (5, 96, 40, True, nn.Hardswish, 2),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 120, 48, True, nn.Hardswish, 1),
    (5, 144, 48, True, nn.Hardswish, 1),
    (5, 288, 96, True, nn.Hardswish, 2),
    (5, 576, 96, True, nn.Hardswish, 1),
    (5, 576, 96, True, nn.Hardswish, 1),
)


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, activation=nn.Identity):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=0.001, momentum=0.01),
        activation(),
    )


class SqueezeExcitation(nn.Module):
    def __init__(self, channels):
        super().__init__()
        squeezed = max(8, (channels // 4 + 4) // 8 * 8)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(self.avgpool(x)))))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, kernel, expanded, outputs, squeeze, activation, stride):
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        layers = [conv_norm(inputs, expanded, 1, activation=activation)] if expanded != inputs else []
        layers.append(conv_norm(expanded, expanded, kernel, stride, expanded, activation))
        if squeeze:
            layers.append(SqueezeExcitation(expanded))
        layers.append(conv_norm(expanded, outputs, 1))
        self.block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.block(x) if self.residual else self.block(x)


class MobileNetV3Small(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        layers, channels = [conv_norm(3, 16, 3, 2, activation=nn.Hardswish)], 16
        for kernel, expanded, outputs, squeeze, activation, stride in LAYERS:
            layers.append(InvertedResidual(channels, kernel, expanded, outputs, squeeze, activation, stride))
            channels = outputs
        layers.append(conv_norm(96, 576, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def task(batch=8, size=224, classes=1000):
    torch.manual_seed(0)
    images, labels = torch.randn(batch, 3, size, size), torch.randint(classes, (batch,))
    return Task(MobileNetV3Small(classes), (images,), labels, F.cross_entropy, lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.9))


if __name__ == "__main__":
    run(task())
