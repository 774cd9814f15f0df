import random
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

random.seed(5)
torch.manual_seed(5)
SOS, EOS, MAX = 0, 1, 8


class Lang:
    def __init__(self, name):
        self.name, self.word2index, self.n = name, {}, 2
        self.index2word = {0: "SOS", 1: "EOS"}

    def add(self, sentence):
        for w in sentence.split(" "):
            if w not in self.word2index:
                self.word2index[w] = self.n
                self.index2word[self.n] = w
                self.n += 1


pairs = [
    ("je suis la", "i am here"),
    ("tu es grand", "you are tall"),
    ("il est ici", "he is here"),
    ("elle est grande et belle", "she is tall and pretty"),
    ("je suis grand", "i am tall"),
]
src, tgt = Lang("fra"), Lang("eng")
for a, b in pairs:
    src.add(a)
    tgt.add(b)


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        scores = scores.squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long).fill_(SOS)
        hidden, outs, attns = encoder_hidden, [], []
        for i in range(MAX):
            embedded = self.dropout(self.embedding(decoder_input))
            query = hidden.permute(1, 0, 2)
            context, attn = self.attention(query, encoder_outputs)
            output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
            output = self.out(output)
            outs.append(output)
            attns.append(attn)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = output.topk(1)
                decoder_input = topi.squeeze(-1).detach()
        return F.log_softmax(torch.cat(outs, dim=1), dim=-1), hidden, torch.cat(attns, dim=1)


def encode(lang, s):
    ids = [lang.word2index[w] for w in s.split(" ")] + [EOS]
    return ids + [0] * (MAX - len(ids))


X = torch.tensor([encode(src, a) for a, _ in pairs])
Y = torch.tensor([encode(tgt, b) for _, b in pairs])
encoder, decoder = EncoderRNN(src.n, 24), AttnDecoderRNN(24, tgt.n)
eo, do = optim.Adam(encoder.parameters(), lr=0.01), optim.Adam(decoder.parameters(), lr=0.01)
criterion = nn.NLLLoss()
for step in range(40):
    order = torch.randperm(len(pairs))
    eo.zero_grad()
    do.zero_grad()
    out, h = encoder(X[order])
    use = Y[order] if random.random() < 0.7 else None
    dec, _, attn = decoder(out, h, use)
    loss = criterion(dec.view(-1, dec.size(-1)), Y[order].view(-1))
    loss.backward()
    n = nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
    eo.step()
    do.step()
    if step % 8 == 0:
        print(f"{step} {loss:.4f} {n:.4f} {attn[0, 0]}")
encoder.eval(), decoder.eval()
with torch.no_grad():
    out, h = encoder(X)
    dec, _, attn = decoder(out, h)
    for row in dec.argmax(-1):
        words = []
        for t in row:
            words.append(tgt.index2word[t.item()])
            if t == EOS:
                break
        print(" ".join(words))
print(attn.shape, attn.sum(-1)[0])
