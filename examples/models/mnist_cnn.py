"""The convolutional network that introductions to MNIST use: two convolutions, one pooling, two linear layers, dropout."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


class MnistCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(64 * 12 * 12, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(self.dropout2(x)), dim=1)


def task(batch=64):
    torch.manual_seed(0)
    images, labels = torch.randn(batch, 1, 28, 28), torch.randint(10, (batch,))
    return Task(MnistCNN(), (images,), labels, F.nll_loss, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9))


if __name__ == "__main__":
    run(task())
