import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
PAD, MASK, V = 0, 1, 30


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.1, max_len=50):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0)])


def mask_tokens(inputs, p=0.3):
    labels = inputs.clone()
    prob = torch.full(labels.shape, p)
    prob.masked_fill_(labels.eq(PAD), value=0.0)
    masked = torch.bernoulli(prob).bool()
    labels[~masked] = -100
    replace = torch.bernoulli(torch.full(labels.shape, 0.8)).bool() & masked
    inputs[replace] = MASK
    rnd = torch.bernoulli(torch.full(labels.shape, 0.5)).bool() & masked & ~replace
    inputs[rnd] = torch.randint(V, labels.shape, dtype=torch.long)[rnd]
    return inputs, labels


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 32, padding_idx=PAD)
        self.pos = PositionalEncoding(32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", norm_first=True)
        self.enc = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(32), enable_nested_tensor=False)
        self.dec = nn.Linear(32, V)
        self.dec.weight = self.emb.weight

    def forward(self, x):
        h = self.pos(self.emb(x.T) * math.sqrt(32))
        return self.dec(self.enc(h, src_key_padding_mask=x == PAD)).transpose(0, 1)


net = Bert()
no_decay = ["bias", "norm"]
groups = [
    {"params": [p for n, p in net.named_parameters() if not any(d in n for d in no_decay)], "weight_decay": 0.01},
    {"params": [p for n, p in net.named_parameters() if any(d in n for d in no_decay)], "weight_decay": 0.0},
]
opt = torch.optim.AdamW(groups, lr=5e-3)
sch = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min((s + 1) / 5, max(0.0, (20 - s) / 15)))
print([len(g["params"]) for g in groups], sum(p.numel() for p in net.parameters()))
for step in range(20):
    start = torch.randint(2, V, (16, 1))
    x = (start + torch.arange(12)) % (V - 2) + 2
    lens = torch.randint(6, 13, (16,))
    x.masked_fill_(torch.arange(12)[None] >= lens[:, None], PAD)
    inp, lab = mask_tokens(x.clone())
    out = net(inp)
    loss = F.cross_entropy(out.reshape(-1, V), lab.reshape(-1), ignore_index=-100)
    opt.zero_grad()
    loss.backward()
    gn = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    sch.step()
    if step % 4 == 0:
        acc = (out.argmax(-1) == lab)[lab != -100].float().mean()
        print(step, f"{loss.item():.4f} {gn:.4f} {acc:.3f} {sch.get_last_lr()[0]:.6f}")
net.eval()
with torch.no_grad():
    q = torch.tensor([[5, 6, 1, 8, 9, 0, 0]])
    p = net(q)[0, 2].softmax(-1)
    print(p.topk(3))
# decoder with masks
tr = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True)
src, tgt = torch.randn(2, 5, 16), torch.randn(2, 4, 16)
mask = nn.Transformer.generate_square_subsequent_mask(4)
print(mask)
kp = torch.tensor([[False] * 5, [False, False, False, True, True]])
o = tr(src, tgt, tgt_mask=mask, tgt_is_causal=True, src_key_padding_mask=kp, memory_key_padding_mask=kp)
print(o.mean(-1), o.std())
mha = nn.MultiheadAttention(16, 4, dropout=0.0, bias=False, add_bias_kv=False, kdim=8, vdim=8, batch_first=True)
a, w = mha(tgt, torch.randn(2, 6, 8), torch.randn(2, 6, 8), attn_mask=torch.rand(4, 6) > 0.7, average_attn_weights=False)
print(a.sum(), w.shape, w[0, 0, 0])
