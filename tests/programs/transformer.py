"""A Transformer encoder that classifies padded sequences: sine positions, key padding mask, dropout, AdamW with warm-up, 30 steps."""

import math

import torch
from torch import nn

TOKENS, WIDTH, LENGTH, CLASSES = 50, 32, 20, 5


class Positions(nn.Module):
    def __init__(self, width, length, dropout=0.1):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        at = torch.arange(length).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(length, width)
        table[:, 0::2] = torch.sin(at * rate)
        table[:, 1::2] = torch.cos(at * rate)
        self.register_buffer("table", table)

    def forward(self, x):
        return self.dropout(x + self.table[: x.size(1)])


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH, padding_idx=0)
        self.positions = Positions(WIDTH, LENGTH)
        layer = nn.TransformerEncoderLayer(WIDTH, nhead=4, dim_feedforward=64, dropout=0.1, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, norm=nn.LayerNorm(WIDTH))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens):
        padding = tokens == 0
        x = self.positions(self.embedding(tokens) * math.sqrt(WIDTH))
        x = self.encoder(x, src_key_padding_mask=padding)
        x = x.masked_fill(padding.unsqueeze(-1), 0).sum(1) / (~padding).sum(1, keepdim=True)
        return self.head(x)


def batch(n):
    tokens = torch.randint(1, TOKENS, (n, LENGTH))
    lengths = torch.randint(LENGTH // 2, LENGTH + 1, (n, 1))
    tokens[torch.arange(LENGTH) >= lengths] = 0
    return tokens, tokens[:, 0] % CLASSES


torch.manual_seed(3)
model = Classifier()
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 10, 1.0))
model.train()
for step in range(30):
    tokens, labels = batch(16)
    optimizer.zero_grad(set_to_none=True)
    loss = criterion(model(tokens), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    print(f"step {step} loss {loss.item():.6e} lr {scheduler.get_last_lr()[0]:.6e}")

model.eval()
tokens, labels = batch(64)
with torch.no_grad():
    print(f"test {criterion(model(tokens), labels).item():.6e}")
