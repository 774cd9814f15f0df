"""A small GPT, 30 steps with causal attention written out and 30 with F.scaled_dot_product_attention, then a greedy continuation.

Pre-norm blocks, learned positions, the output layer tied to the embedding, weight decay for matrices only, cosine learning rate.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.nn import functional as F


@dataclass
class Config:
    tokens: int = 40
    context: int = 16
    layers: int = 2
    heads: int = 4
    width: int = 32
    dropout: float = 0.1
    fused: bool = False


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.attention_dropout, self.dropout = nn.Dropout(config.dropout), nn.Dropout(config.dropout)
        self.register_buffer("mask", torch.tril(torch.ones(config.context, config.context)).view(1, 1, config.context, config.context))

    def forward(self, x):
        n, length, width = x.size()
        q, k, v = (
            part.view(n, length, self.config.heads, width // self.config.heads).transpose(1, 2) for part in self.qkv(x).split(width, dim=2)
        )
        if self.config.fused:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.0, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
            y = self.attention_dropout(F.softmax(scores, dim=-1)) @ v
        return self.dropout(self.out(y.transpose(1, 2).contiguous().view(n, length, width)))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(config.width), Attention(config), nn.LayerNorm(config.width)
        self.mlp = nn.ModuleDict(
            {
                "up": nn.Linear(config.width, 4 * config.width),
                "act": nn.GELU(approximate="tanh"),
                "down": nn.Linear(4 * config.width, config.width),
            }
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp.down(self.mlp.act(self.mlp.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.tokens, self.positions = nn.Embedding(config.tokens, config.width), nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.tokens, bias=False)
        self.head.weight = self.tokens.weight
        self.apply(self._initialise)

    def _initialise(self, module):
        if isinstance(module, nn.Linear | nn.Embedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            torch.nn.init.zeros_(module.bias)

    def forward(self, tokens, targets=None):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.size(1), device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

    @torch.no_grad()
    def generate(self, tokens, n):
        for _ in range(n):
            logits, _ = self(tokens[:, -self.config.context :])
            values, _ = torch.topk(logits[:, -1], 3)
            kept = logits[:, -1].masked_fill(logits[:, -1] < values[:, [-1]], -float("inf"))
            tokens = torch.cat((tokens, torch.argmax(F.softmax(kept, dim=-1), dim=-1, keepdim=True)), dim=1)
        return tokens


def optimizer_of(model):
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    groups = [
        {"params": [p for p in parameters.values() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters.values() if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95))


def train(config):
    torch.manual_seed(1337)
    data = (torch.arange(2000) * 7 + torch.randint(0, 2, (2000,))) % config.tokens
    model = GPT(config)
    optimizer = optimizer_of(model)
    for step in range(30):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * 0.5 * (1 + math.cos(math.pi * step / 30))
        starts = torch.randint(len(data) - config.context, (8,))
        x = torch.stack([data[i : i + config.context] for i in starts])
        y = torch.stack([data[i + 1 : i + 1 + config.context] for i in starts])
        _, loss = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"fused {config.fused} step {step} loss {loss.item():.6e}")
    model.eval()
    print("text", *model.generate(data[None, :4], 12)[0].tolist())


train(Config(fused=False))
train(Config(fused=True))
