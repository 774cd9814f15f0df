"""An LSTM language model on a made-up text of characters: truncated back-propagation, clipped gradients, 30 steps, then a sample."""

import torch
from torch import nn

TEXT = "the quick brown fox jumps over the lazy dog while the slow green turtle sleeps under the old stone bridge. " * 20
VOCABULARY = sorted(set(TEXT))
BATCH, LENGTH = 8, 24


class Model(nn.Module):
    def __init__(self, tokens, width, hidden, layers, dropout=0.2):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(tokens, width)
        self.rnn = nn.LSTM(width, hidden, layers, dropout=dropout)
        self.decoder = nn.Linear(hidden, tokens)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, tokens, state):
        output, state = self.rnn(self.drop(self.encoder(tokens)), state)
        decoded = self.decoder(self.drop(output))
        return decoded.view(-1, decoded.size(2)), state

    def start(self, batch):
        weight = next(self.parameters())
        return weight.new_zeros(self.layers, batch, self.hidden), weight.new_zeros(self.layers, batch, self.hidden)


def batchify(tokens, batch):
    n = tokens.size(0) // batch
    return tokens.narrow(0, 0, n * batch).view(batch, -1).t().contiguous()


torch.manual_seed(7)
source = batchify(torch.tensor([VOCABULARY.index(c) for c in TEXT]), BATCH)
model = Model(len(VOCABULARY), 16, 32, 2)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
model.train()
state = model.start(BATCH)
step = at = 0
while step < 30:
    if at + LENGTH + 1 > len(source):
        at, state = 0, model.start(BATCH)
    inputs, targets = source[at : at + LENGTH], source[at + 1 : at + 1 + LENGTH].reshape(-1)
    state = tuple(s.detach() for s in state)
    model.zero_grad()
    output, state = model(inputs, state)
    loss = criterion(output, targets)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    optimizer.step()
    print(f"step {step} loss {loss.item():.6e} norm {norm.item():.6e}")
    step, at = step + 1, at + LENGTH

model.eval()
with torch.no_grad():
    token, state, out = torch.zeros(1, 1, dtype=torch.long), model.start(1), []
    for _ in range(20):
        output, state = model(token, state)
        token = torch.multinomial(output.squeeze().div(0.8).exp(), 1).view(1, 1)
        out.append(token.item())
print("sample", *out)
