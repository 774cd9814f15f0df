import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(42)
N = 30
edges = torch.randint(0, N, (2, 90))
edges = torch.cat([edges, edges.flip(0)], 1)
edges = torch.unique(edges, dim=1)
x = torch.randn(N, 8)
label = (x[:, 0] > 0).long()


def scatter_mean(src, index, n):
    out = src.new_zeros(n, src.size(1)).scatter_add_(0, index[:, None].expand_as(src), src)
    cnt = torch.bincount(index, minlength=n).clamp(min=1).to(src.dtype)
    return out / cnt[:, None]


class SAGE(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.l, self.r = nn.Linear(i, o), nn.Linear(i, o, bias=False)

    def forward(self, x, e):
        return self.l(scatter_mean(x[e[0]], e[1], x.size(0))) + self.r(x)


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.FloatTensor(in_features, out_features))
        self.bias = nn.Parameter(torch.FloatTensor(out_features)) if bias else self.register_parameter("bias", None)
        stdv = 1.0 / self.weight.size(1) ** 0.5
        self.weight.data.uniform_(-stdv, stdv)
        self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        return torch.spmm(adj, support) + self.bias


class GAT(nn.Module):
    def __init__(self, i, o, heads=2):
        super().__init__()
        self.W = nn.Parameter(torch.empty(i, heads, o))
        self.a = nn.Parameter(torch.empty(heads, 2 * o))
        nn.init.xavier_uniform_(self.W, gain=1.414)
        nn.init.xavier_uniform_(self.a.data, gain=1.414)

    def forward(self, x, e):
        h = torch.einsum("ni,iho->nho", x, self.W)
        s = F.leaky_relu((torch.cat([h[e[0]], h[e[1]]], -1) * self.a).sum(-1), 0.2)
        m = torch.full((x.size(0), s.size(1)), float("-inf")).scatter_reduce(0, e[1][:, None].expand_as(s), s, "amax")
        p = (s - m[e[1]]).exp()
        z = torch.zeros(x.size(0), s.size(1)).index_add(0, e[1], p)
        alpha = p / z[e[1]].add(1e-16)
        out = torch.zeros_like(h).index_add_(0, e[1], h[e[0]] * alpha[..., None])
        return out.flatten(1)


def normalize(adj):
    d = torch.sparse.sum(adj, 1).to_dense().pow(-0.5)
    d[torch.isinf(d)] = 0
    i, v = adj.indices(), adj.values()
    return torch.sparse_coo_tensor(i, v * d[i[0]] * d[i[1]], adj.shape)


loop = torch.arange(N).expand(2, N)
adj = torch.sparse_coo_tensor(torch.cat([edges, loop], 1), torch.ones(edges.size(1) + N), (N, N)).coalesce()
A = normalize(adj).coalesce()
print(A.shape, A._nnz(), A.is_sparse, A.to_dense().sum(), torch.sparse.mm(A, x).norm())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.s, self.g, self.t, self.o = SAGE(8, 8), GraphConvolution(8, 8), GAT(8, 4), nn.Linear(8, 2)

    def forward(self, x):
        h = F.relu(self.s(x, edges))
        h = F.dropout(F.relu(self.g(h, A)), 0.3, training=self.training)
        return self.o(F.elu(self.t(h, edges)))


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=5e-4)
train_mask = torch.zeros(N, dtype=torch.bool)
train_mask[torch.randperm(N)[:20]] = True
for epoch in range(30):
    net.train()
    opt.zero_grad()
    loss = F.cross_entropy(net(x)[train_mask], label[train_mask])
    loss.backward()
    opt.step()
    if epoch % 6 == 0:
        net.eval()
        pred = net(x).argmax(1)
        print(epoch, f"{loss:.4f}", (pred[~train_mask] == label[~train_mask]).float().mean())
dense = torch.zeros(N, N).index_put_((edges[0], edges[1]), torch.ones(edges.size(1)), accumulate=True)
deg = dense.sum(1)
L = torch.diag(deg) - dense
ev = torch.linalg.eigvalsh(L)
print(ev[:5], ev[-1], deg.long().tolist())
batch = torch.arange(N) // 10
pooled = torch.zeros(3, 8).scatter_reduce_(0, batch[:, None].expand(N, 8), x, reduce="mean", include_self=False)
print(pooled[:, :4], torch.segment_reduce(x, "sum", lengths=torch.tensor([10, 10, 10]))[:, :2])
