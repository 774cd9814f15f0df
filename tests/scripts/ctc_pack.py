import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence, unpad_sequence

torch.manual_seed(9)


class CRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv1d(5, 16, 3, padding=1, bias=False), nn.BatchNorm1d(16), nn.Hardtanh(0, 20, inplace=True), nn.MaxPool1d(2)
        )
        self.rnn = nn.LSTM(16, 12, num_layers=2, bidirectional=True, dropout=0.2)
        self.fc = nn.Linear(24, 6)

    def forward(self, x, lens):
        h = self.cnn(x).permute(2, 0, 1)
        packed = pack_padded_sequence(h, lens // 2, enforce_sorted=False)
        out, (hn, cn) = self.rnn(packed)
        out, olens = pad_packed_sequence(out)
        return F.log_softmax(self.fc(out), dim=2), olens, hn


net = CRNN()
ctc = nn.CTCLoss(blank=0, zero_infinity=True)
opt = torch.optim.Adam(net.parameters(), 1e-2)
targets = [torch.randint(1, 6, (int(n),)) for n in torch.randint(1, 4, (6,))]
lens = torch.tensor([20, 14, 18, 20, 16, 12])
X = torch.zeros(6, 5, 20)
for i, t in enumerate(targets):
    for j, c in enumerate(t):
        X[i, c - 1, j * 4 : j * 4 + 3] = 1
X += 0.1 * torch.randn_like(X)
tl = torch.tensor([len(t) for t in targets])
for it in range(20):
    lp, ol, hn = net(X, lens)
    loss = ctc(lp, pad_sequence(targets, batch_first=True), ol, tl)
    opt.zero_grad()
    loss.backward()
    n = nn.utils.clip_grad_norm_(net.parameters(), 5, norm_type=2)
    opt.step()
    if it % 5 == 4:
        print(it, f"{loss.item():.4f} {n.item():.3f}", hn.shape)
net.eval()
lp, ol, _ = net(X, lens)
for b in range(6):
    best = lp[: ol[b], b].argmax(-1)
    collapsed = torch.unique_consecutive(best)
    print(targets[b].tolist(), collapsed[collapsed != 0].tolist())
print(F.ctc_loss(lp, torch.cat(targets), ol, tl, reduction="none"), F.ctc_loss(lp, torch.cat(targets), ol, tl, reduction="sum"))
seqs = [torch.randn(n, 3) for n in (4, 2, 5)]
ps = pack_sequence(seqs, enforce_sorted=False)
print(ps.batch_sizes, ps.sorted_indices, ps.unsorted_indices, ps.data.shape, ps.is_cuda)
gru = nn.GRU(3, 4, batch_first=True)
out, h = gru(ps)
o, l = pad_packed_sequence(out, batch_first=True, padding_value=-5, total_length=6)
print(o[1], l, h[0, 2], o[2, 4])
print([s.shape for s in unpad_sequence(o, l, batch_first=True)])
print(PackedSequence(ps.data, ps.batch_sizes), ps.to(torch.float64).data.dtype)
for cls in (nn.RNN, nn.LSTM, nn.GRU):
    r = cls(3, 4, 2, bidirectional=True, bias=False)
    o, h = r(torch.randn(5, 3))
    print(r, o.shape, o.sum(), (h[0] if cls is nn.LSTM else h).shape)
r = nn.LSTM(3, 6, proj_size=2)
print(r(torch.randn(4, 1, 3))[1][0], [n for n, _ in r.named_parameters()], r.all_weights[0][0].shape)
cell, hx, cx = nn.LSTMCell(3, 4), torch.zeros(1, 4), torch.zeros(1, 4)
for t in range(3):
    hx, cx = cell(seqs[0][t : t + 1], (hx, cx))
print(hx, nn.GRUCell(3, 4)(seqs[0][:2]), nn.RNNCell(3, 4, nonlinearity="relu")(seqs[0][:2]))
gru.flatten_parameters()
for name, p in gru.named_parameters():
    if "weight_hh" in name:
        nn.init.orthogonal_(p)
    elif "bias" in name:
        nn.init.zeros_(p)
print(gru(seqs[0][None])[0][0, -1])
