"""BERT-base-like blocks (Devlin et al. 2018): an encoder with layer norm after each sum, trained to restore masked tokens."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, x, mask):
        n, length, width = x.shape
        q, k, v = (f(x).view(n, length, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0)
        return self.output(y.transpose(1, 2).reshape(n, length, width))


class Layer(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.attention, self.norm1 = SelfAttention(width, heads, dropout), nn.LayerNorm(width)
        self.up, self.down, self.norm2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask):
        x = self.norm1(x + self.dropout(self.attention(x, mask)))
        return self.norm2(x + self.dropout(self.down(F.gelu(self.up(x)))))


class Bert(nn.Module):
    def __init__(self, tokens=2048, length=256, width=768, heads=12, layers=2, dropout=0.1):
        super().__init__()
        self.tokens, self.positions, self.segments = nn.Embedding(tokens, width), nn.Embedding(length, width), nn.Embedding(2, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(width, heads, dropout) for _ in range(layers))
        self.head = nn.Linear(width, tokens)

    def forward(self, tokens, segments, padding):
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.dropout(self.norm(self.tokens(tokens) + self.positions(positions) + self.segments(segments)))
        mask = padding[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(x)


def masked_loss(logits, target):
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)


def task(batch=4, length=256, tokens=2048, width=768, heads=12, layers=2, dropout=0.1):
    torch.manual_seed(0)
    text = torch.randint(1, tokens, (batch, length))
    segments = (torch.arange(length) >= length // 2).long().expand(batch, length)
    padding = torch.arange(length) < length - torch.arange(batch)[:, None]  # True: may be attended to
    target = text.masked_fill(torch.rand(batch, length) > 0.15, -100)
    net = Bert(tokens, length, width, heads, layers, dropout)
    inputs = (text.masked_fill(target >= 0, 0), segments, padding)
    return Task(net, inputs, target, masked_loss, lambda p: torch.optim.AdamW(p, lr=1e-4))


if __name__ == "__main__":
    run(task())
