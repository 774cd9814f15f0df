import math
import torch
from torch import nn
import torch.linalg as LA

torch.manual_seed(21)
torch.set_default_dtype(torch.float64)
X = torch.linspace(0, 1, 15)[:, None]
y = torch.sin(X[:, 0] * 6) + 0.1 * torch.randn(15)


class GP(nn.Module):
    def __init__(self):
        super().__init__()
        self.raw = nn.ParameterDict(
            {"ls": nn.Parameter(torch.tensor(-1.0)), "os": nn.Parameter(torch.tensor(0.0)), "noise": nn.Parameter(torch.tensor(-3.0))}
        )

    def k(self, a, b):
        d2 = torch.cdist(a, b).pow(2)
        return self.raw["os"].exp() * torch.exp(-0.5 * d2 / self.raw["ls"].exp() ** 2)

    def nll(self):
        K = self.k(X, X) + self.raw["noise"].exp() * torch.eye(15)
        L = torch.linalg.cholesky(K)
        a = torch.cholesky_solve(y[:, None], L)
        return 0.5 * y @ a[:, 0] + L.diagonal().log().sum() + 7.5 * math.log(2 * math.pi)

    def predict(self, t):
        K = self.k(X, X) + self.raw["noise"].exp() * torch.eye(15)
        L = LA.cholesky(K)
        ks = self.k(X, t)
        v = LA.solve_triangular(L, ks, upper=False)
        return ks.T @ torch.cholesky_solve(y[:, None], L)[:, 0], self.k(t, t).diagonal() - (v * v).sum(0)


gp = GP()
opt = torch.optim.LBFGS(gp.parameters(), lr=0.5, max_iter=10, line_search_fn="strong_wolfe", history_size=5)


def closure():
    opt.zero_grad()
    loss = gp.nll()
    loss.backward()
    return loss


for i in range(3):
    print(opt.step(closure).item())
with torch.no_grad():
    print(*gp.predict(torch.tensor([[0.25], [0.5], [1.5]])), gp.raw)
print({k: v.item() for k, v in gp.state_dict().items()})
A = torch.randn(6, 4)
U, S, Vh = LA.svd(A, full_matrices=False)
print(S, LA.norm(A - U @ torch.diag(S) @ Vh) < 1e-10, torch.pca_lowrank(A, 2)[1].shape)
C = torch.cov(A.T)
w, v = LA.eigh(C)
pc = (A - A.mean(0)) @ v[:, -2:]
print(w, pc.abs().sum(), w.flip(0).cumsum(0) / w.sum(), torch.corrcoef(A.T)[0])
Q, R = LA.qr(A)
print(R.diagonal().abs(), LA.lstsq(A, torch.ones(6, 1)).solution.T, LA.pinv(A).shape, LA.matrix_rank(A), LA.cond(A))
B = A.T @ A
P, L, Um = LA.lu(B)
print((P @ L @ Um - B).abs().max() < 1e-9, LA.det(B), LA.slogdet(B), torch.logdet(B), LA.inv(B).trace(), LA.matrix_power(B, -2).trace())
ev = LA.eigvals(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
print(
    ev,
    LA.matrix_exp(torch.tensor([[0.0, -1.0], [1.0, 0.0]])),
    LA.multi_dot([A, B, A.T]).trace(),
    LA.vector_norm(A, 3, dim=0),
    LA.cross(A[:2, :3], A[2:4, :3]),
)
# gradients through decompositions
M = torch.randn(3, 3, requires_grad=True)
(
    LA.svdvals(M).sum() + LA.eigvalsh(M @ M.T).log().sum() + LA.qr(M).R.diagonal().abs().log().sum() + LA.solve(M, torch.ones(3)).sum()
).backward()
print(M.grad)
# Kalman filter
F_, H, Qn, Rn = torch.tensor([[1.0, 0.1], [0, 1.0]]), torch.tensor([[1.0, 0]]), torch.eye(2) * 1e-3, torch.tensor([[0.05]])
x, Pm = torch.zeros(2), torch.eye(2)
for z in torch.linspace(0, 1, 8) + 0.1 * torch.randn(8):
    x, Pm = F_ @ x, F_ @ Pm @ F_.mT + Qn
    S_ = H @ Pm @ H.T + Rn
    K = LA.solve(S_, H @ Pm).T
    x = x + (K @ (z[None] - H @ x))
    I_KH = torch.eye(2) - K @ H
    Pm = I_KH @ Pm @ I_KH.T + K @ Rn @ K.T
    print(f"{z:.4f} {x[0]:.5f} {x[1]:.5f} {Pm.trace():.6f}")
# k-means, power iteration, conjugate gradient, Newton
pts = torch.cat([torch.randn(20, 2) + c for c in torch.tensor([[0.0, 0], [5, 5], [0, 5]])])
cent = pts[torch.randperm(60)[:3]].clone()
for _ in range(10):
    a = torch.cdist(pts, cent).argmin(1)
    cent = torch.stack([pts[a == k].mean(0) for k in range(3)])
print(cent.sort(0).values, torch.bincount(a))
b, xk = torch.ones(4), torch.zeros(4)
r = b - B @ xk
p = r.clone()
for _ in range(4):
    Ap = B @ p
    al = r.dot(r) / p.dot(Ap)
    xk, rn = xk + al * p, r - al * Ap
    p, r = rn + (rn @ rn) / (r @ r) * p, rn
print(xk, LA.solve(B, b), torch.lobpcg(B + 0, k=1)[0])
try:
    LA.cholesky(-torch.eye(2))
except LA.LinAlgError as e:
    print(type(e).__name__, str(e).splitlines()[0])
torch.set_default_dtype(torch.float32)
