"""One LSTM from 64 to 128 features over 50 steps, and a class read from its last state."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


class SequenceClassifier(nn.Module):
    def __init__(self, features=64, hidden=128, classes=10):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])


def task(batch=16, steps=50):
    torch.manual_seed(0)
    sequences, labels = torch.randn(batch, steps, 64), torch.randint(10, (batch,))
    return Task(SequenceClassifier(), (sequences,), labels, F.cross_entropy, lambda p: torch.optim.SGD(p, lr=0.01))


if __name__ == "__main__":
    run(task())
