import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(4)


class Big(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout2d(0.1)
        )
        self.classifier = nn.Sequential(nn.Linear(w * 16, 32), nn.ReLU6(), nn.Linear(32, 4))

    def forward(self, x):
        h = torch.flatten(self.features(x), 1)
        return self.classifier(h), h


yy = torch.arange(64) % 4
X = torch.randn(64, 1, 8, 8) * 0.5
for i, y in enumerate(yy):
    X[i, 0, (y // 2) * 4 : (y // 2) * 4 + 4, (y % 2) * 4 : (y % 2) * 4 + 4] += 1
teacher, student = Big(16), Big(4)
opt = torch.optim.NAdam(teacher.parameters(), 1e-2)
for _ in range(6):
    loss = F.cross_entropy(teacher(X)[0], yy, label_smoothing=0.1)
    opt.zero_grad(), loss.backward(), opt.step()
print(loss.item())
teacher.eval().requires_grad_(False)
proj = nn.Linear(64, 256)
opt = torch.optim.RAdam([*student.parameters(), *proj.parameters()], 5e-3)
T = 2.0
for ep in range(5):
    with torch.no_grad():
        tl, th = teacher(X)
    sl, sh = student(X)
    soft = F.kl_div(F.log_softmax(sl / T, -1), F.softmax(tl / T, -1), reduction="batchmean") * T**2
    feat = F.mse_loss(proj(sh), th)
    cos = F.cosine_embedding_loss(proj(sh), th, torch.ones(64))
    loss = 0.25 * soft + 0.75 * F.cross_entropy(sl, yy) + 0.1 * feat + 0.1 * cos
    opt.zero_grad(), loss.backward(), opt.step()
    print(ep, f"{soft:.4f} {feat:.4f} {cos:.4f} {loss:.4f} {(sl.argmax(1) == yy).float().mean():.3f}")


# siamese with triplet, contrastive, InfoNCE
class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.PReLU(), nn.Flatten(), nn.LazyLinear(8))

    def forward(self, x):
        return F.normalize(self.body(x), p=2, dim=1)


net = Siamese()
net(X[:1])
print(net)
opt = torch.optim.Adadelta(net.parameters(), lr=1.0)
trip = nn.TripletMarginLoss(margin=0.5, p=2)
trip2 = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: 1 - F.cosine_similarity(a, b), margin=0.3, swap=True)
for it in range(5):
    z = net(X)
    a, p, n = z[0::4], z[0::4].roll(1, 0), z[1::4]
    sim = z @ z.T / 0.1
    sim.fill_diagonal_(-1e9)
    pos = (yy[:, None] == yy[None]).fill_diagonal_(False)
    nce = -(F.log_softmax(sim, 1) * pos).sum(1).div(pos.sum(1)).mean()
    d = F.pairwise_distance(a, n)
    contrast = (d.clamp(min=0).pow(2) * 0 + F.relu(1 - d).pow(2)).mean()
    loss = trip(a, p, n) + trip2(a, p, n) + nce + contrast
    opt.zero_grad(), loss.backward(), opt.step()
    print(it, f"{loss.item():.5f} {nce:.4f} {contrast:.4f}")
u, v = net(X[:8]), net(X[:8].flip(-1))
logits = u @ v.t() * torch.tensor(1 / 0.07).log().exp()
lab = torch.arange(8)
print((F.cross_entropy(logits, lab) + F.cross_entropy(logits.t(), lab)) / 2, torch.cdist(u, v).diagonal())
# Barlow, VICReg terms
c = (u - u.mean(0)).div(u.std(0)).T @ (v - v.mean(0)).div(v.std(0)) / 8
print((c.diagonal() - 1).pow(2).sum(), c.flatten()[:-1].view(7, 9)[:, 1:].flatten().pow(2).sum())
print(
    F.margin_ranking_loss(u[:, 0], v[:, 0], torch.ones(8)),
    F.hinge_embedding_loss(u, torch.ones_like(u)),
    F.multi_margin_loss(logits, lab),
    F.multilabel_soft_margin_loss(logits, torch.eye(8)),
    F.soft_margin_loss(u, u.detach().sign()),
    F.huber_loss(u, v),
    F.poisson_nll_loss(u, v.abs()),
    F.gaussian_nll_loss(u, v, v.abs()),
)
