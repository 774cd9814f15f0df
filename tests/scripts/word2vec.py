from collections import Counter
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(1)
text = """we are about to study the idea of a computational process computational processes are abstract beings that inhabit computers
as they evolve processes manipulate other abstract things called data the evolution of a process is directed by a pattern of rules
called a program people create programs to direct processes in effect we conjure the spirits of the computer with our spells""".split()
counts = Counter(text)
vocab = sorted(counts, key=lambda w: (-counts[w], w))
stoi = {w: i for i, w in enumerate(vocab)}
ids = torch.tensor([stoi[w] for w in text])


class SkipGram(nn.Module):
    def __init__(self, V, D):
        super().__init__()
        self.u = nn.Embedding(V, D, sparse=False)
        self.v = nn.Embedding(V, D)
        nn.init.uniform_(self.u.weight, -0.5 / D, 0.5 / D)
        nn.init.zeros_(self.v.weight)

    def forward(self, c, pos, neg):
        e = self.u(c)
        p = F.logsigmoid((e * self.v(pos)).sum(-1))
        n = F.logsigmoid(-torch.bmm(self.v(neg), e.unsqueeze(2)).squeeze(2)).sum(1)
        return -(p + n).mean()


freq = torch.tensor([counts[w] for w in vocab], dtype=torch.float).pow(0.75)
pairs = [(i, j) for i in range(len(ids)) for j in range(max(0, i - 2), min(len(ids), i + 3)) if i != j]
pairs = torch.tensor(pairs)
m = SkipGram(len(vocab), 10)
opt = torch.optim.Adagrad(m.parameters(), lr=0.5)
for ep in range(3):
    tot = 0.0
    for b in torch.randperm(len(pairs)).split(64):
        c, o = ids[pairs[b, 0]], ids[pairs[b, 1]]
        neg = torch.multinomial(freq, len(b) * 5, replacement=True).view(-1, 5)
        loss = m(c, o, neg)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    print(ep, f"{tot / len(pairs):.4f}")
E = F.normalize(m.u.weight.detach(), dim=1)
sim = E @ E.T
top = sim[stoi["process"]].topk(4)
print([vocab[i] for i in top.indices], top.values)
print(F.cosine_similarity(E[0], E[1], dim=0), nn.CosineSimilarity(dim=1)(E[:3], E[3:6]))


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size, embed_dim, num_class):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, sparse=False)
        self.fc = nn.Linear(embed_dim, num_class)
        self.init_weights()

    def init_weights(self):
        initrange = 0.5
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.fc.weight.data.uniform_(-initrange, initrange)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


def collate_batch(batch):
    labels, texts, offsets = [], [], [0]
    for label, t in batch:
        labels.append(label)
        texts.append(torch.tensor(t, dtype=torch.int64))
        offsets.append(len(t))
    return torch.tensor(labels), torch.tensor(offsets[:-1]).cumsum(dim=0), torch.cat(texts)


class Sent(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, i):
        t = ids[i * 2 : i * 2 + 3 + i % 4].tolist()
        return sum(t) % 3, t


model = TextClassificationModel(len(vocab), 12, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.1)
for epoch in range(1, 4):
    acc = cnt = 0
    for idx, (label, offsets, txt) in enumerate(DataLoader(Sent(), batch_size=8, shuffle=True, collate_fn=collate_batch)):
        optimizer.zero_grad()
        out = model(txt, offsets)
        loss = nn.CrossEntropyLoss()(out, label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        acc += (out.argmax(1) == label).sum().item()
        cnt += label.size(0)
    scheduler.step()
    print("| epoch {:3d} | accuracy {:8.3f} loss {:.5f}".format(epoch, acc / cnt, loss), optimizer.param_groups[0]["lr"])
for mode in ("sum", "mean", "max"):
    bag = nn.EmbeddingBag(10, 3, mode=mode, padding_idx=0)
    w = torch.rand(2, 4) if mode == "sum" else None
    o = bag(torch.tensor([[1, 2, 0, 4], [4, 3, 2, 9]]), per_sample_weights=w)
    o.sum().backward()
    print(mode, o, bag.weight.grad[:5].sum(1))
