"""Names: a character RNN written by hand classifies them, another one generates them; then an LSTM on packed sequences does both jobs."""

import random
import string

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence, pad_sequence

random.seed(0)
torch.manual_seed(0)
allowed = string.ascii_letters + " .,;'" + "_"
NAMES = {
    "Italian": ["Abate", "Bellini", "Carlucci", "Donati", "Esposito", "Ferrari", "Gallo", "Rossi"],
    "Czech": ["Adamczak", "Blaha", "Cermak", "Dvorak", "Hruska", "Kovar", "Novak", "Svoboda"],
    "Scottish": ["Aitken", "Black", "Campbell", "Douglas", "Fraser", "Grant", "Kerr", "Murray"],
}
categories = list(NAMES)


def line_to_tensor(line):
    tensor = torch.zeros(len(line), 1, len(allowed))
    for i, letter in enumerate(line):
        tensor[i][0][allowed.find(letter)] = 1
    return tensor


class CharRNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size, hidden_size)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        hidden = F.tanh(self.i2h(input) + self.h2h(hidden))
        return self.softmax(self.h2o(hidden)), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


rnn = CharRNN(len(allowed), 32, len(categories))
criterion = nn.NLLLoss()
total = 0.0
for step in range(1, 151):
    category = random.choice(categories)
    line = random.choice(NAMES[category])
    hidden = rnn.initHidden()
    rnn.zero_grad()
    letters = line_to_tensor(line)
    for i in range(letters.size()[0]):
        output, hidden = rnn(letters[i], hidden)
    loss = criterion(output, torch.tensor([categories.index(category)], dtype=torch.long))
    loss.backward()
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-0.05)
    total += loss.item()
    if step % 50 == 0:
        print(f"{step} {total / 50:.4f}")
        total = 0.0
confusion = torch.zeros(3, 3)
with torch.no_grad():
    for c, names in NAMES.items():
        for name in names:
            hidden = rnn.initHidden()
            for letter in line_to_tensor(name):
                output, hidden = rnn(letter, hidden)
            confusion[categories.index(c)][output.topk(1)[1].item()] += 1
confusion = confusion / confusion.sum(1, keepdim=True)
print(confusion.shape, confusion.sum().item())


class Generator(nn.Module):
    def __init__(self, n, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(len(categories) + n + hidden_size, hidden_size)
        self.i2o = nn.Linear(len(categories) + n + hidden_size, n)
        self.o2o = nn.Linear(hidden_size + n, n)
        self.dropout = nn.Dropout(0.1)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, category, input, hidden):
        combined = torch.cat((category, input, hidden), 1)
        hidden = self.i2h(combined)
        output = self.o2o(torch.cat((hidden, self.i2o(combined)), 1))
        return self.softmax(self.dropout(output)), hidden


def one_hot(category):
    return F.one_hot(torch.tensor([categories.index(category)]), len(categories)).float()


generator = Generator(len(allowed), 24)
total = 0.0
for step in range(1, 61):
    category = random.choice(categories)
    line = random.choice(NAMES[category])
    target = torch.LongTensor([allowed.find(c) for c in line[1:]] + [len(allowed) - 1]).unsqueeze(-1)
    hidden = torch.zeros(1, 24)
    generator.zero_grad()
    loss = torch.Tensor([0])
    for i, letter in enumerate(line_to_tensor(line)):
        output, hidden = generator(one_hot(category), letter, hidden)
        loss += criterion(output, target[i])
    loss.backward()
    for p in generator.parameters():
        p.data.add_(p.grad.data, alpha=-0.0005 * 20)
    total += loss.item() / len(line)
    if step % 20 == 0:
        print(f"{step} {total / 20:.4f}")
        total = 0.0
generator.eval()
with torch.no_grad():
    for category in categories:
        name, hidden, letter = "A", torch.zeros(1, 24), line_to_tensor("A")[0]
        for _ in range(6):
            output, hidden = generator(one_hot(category), letter, hidden)
            i = output.topk(1)[1][0][0].item()
            if i == len(allowed) - 1:
                break
            name += allowed[i]
            letter = line_to_tensor(allowed[i])[0]
        print(category, len(name) <= 7)


class Tagger(nn.Module):
    """All names at once: packed, through a bidirectional LSTM of two layers, classified by what its last states are."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(allowed) + 1, 12, padding_idx=len(allowed))
        self.lstm = nn.LSTM(12, 10, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.head = nn.Linear(40, len(categories))
        self.next = nn.Linear(20, len(allowed) + 1)

    def forward(self, packed):
        embedded = packed._replace(data=self.embed(packed.data))
        out, (h, c) = self.lstm(embedded)
        padded, lengths = pad_packed_sequence(out, batch_first=True)
        return self.head(h.view(2, 2, -1, 10).permute(2, 0, 1, 3).flatten(1)), self.next(padded), lengths


pairs = sorted(((name, i) for i, c in enumerate(categories) for name in NAMES[c]), key=lambda pair: -len(pair[0]))
lines = [torch.tensor([allowed.find(c) for c in name]) for name, _ in pairs]
labels = torch.tensor([label for _, label in pairs])
packed = pack_sequence(lines)
following = pad_sequence([torch.cat([line[1:], torch.tensor([len(allowed)])]) for line in lines], batch_first=True, padding_value=-100)
model = Tagger()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=12)
for step in range(12):
    optimizer.zero_grad(set_to_none=True)
    scores, letters, lengths = model(packed)
    loss = F.cross_entropy(scores, labels) + F.cross_entropy(letters.transpose(1, 2), following)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    if step % 3 == 0:
        print(f"{step} {loss.item():.4f} {scheduler.get_last_lr()[0]:.5f}")
print(lengths.tolist(), packed.batch_sizes.tolist())
print(model)
