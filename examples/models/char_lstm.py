"""A character-level language model: embedding, two LSTM layers, a linear layer over the characters; gradients are clipped."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


class CharLSTM(nn.Module):
    def __init__(self, characters=96, width=128, hidden=256, layers=2, dropout=0.2):
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, characters)

    def forward(self, text, state=None):
        h, state = self.lstm(self.embedding(text), state)
        return self.head(self.dropout(h)), state


def next_character_loss(output, target):
    logits, _ = output
    return F.cross_entropy(logits.transpose(1, 2), target)


class Clipped(Task):
    """A task whose gradients are held to a norm of 1."""

    def step(self):
        self.optimizer.zero_grad()
        loss = self.loss(self.net(*self.inputs), self.target)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return loss


def task(batch=32, length=64, width=128, hidden=256):
    torch.manual_seed(0)
    text = torch.randint(96, (batch, length + 1))
    net = CharLSTM(width=width, hidden=hidden)
    return Clipped(net, (text[:, :-1],), text[:, 1:], next_character_loss, lambda p: torch.optim.Adam(p, lr=2e-3))


if __name__ == "__main__":
    run(task())
