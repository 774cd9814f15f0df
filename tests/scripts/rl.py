import random
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical, Normal

random.seed(3)
torch.manual_seed(543)


class Env:
    def reset(self):
        self.x = random.uniform(-1, 1)
        self.t = 0
        return [self.x, 1.0, self.x**2, 0.0]

    def step(self, a):
        self.x += 0.2 * (a - 0.5) + random.gauss(0, 0.05)
        self.t += 1
        return [self.x, 1.0, self.x**2, self.t / 20], -abs(self.x), self.t >= 20


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 32)
        self.action_head = nn.Linear(32, 2)
        self.value_head = nn.Linear(32, 1)
        self.saved, self.rewards = [], []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


model = Policy()
optimizer = optim.Adam(model.parameters(), lr=3e-2)
eps = torch.finfo(torch.float32).eps
env = Env()
for i_episode in range(6):
    state, ep = env.reset(), 0
    for t in range(1, 100):
        probs, value = model(torch.tensor(state).float())
        m = Categorical(probs)
        action = m.sample()
        model.saved.append((m.log_prob(action), value, m.entropy()))
        state, r, done = env.step(action.item())
        model.rewards.append(r)
        ep += r
        if done:
            break
    R, returns = 0, []
    for r in model.rewards[::-1]:
        R = r + 0.99 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_losses, value_losses, ent = [], [], 0
    for (lp, v, e), R in zip(model.saved, returns):
        adv = R - v.item()
        policy_losses.append(-lp * adv)
        value_losses.append(F.smooth_l1_loss(v, torch.tensor([R])))
        ent = ent + e
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum() - 0.01 * ent
    loss.backward()
    optimizer.step()
    del model.rewards[:], model.saved[:]
    print("Episode {}\tLast reward: {:.2f}\tloss: {:.4f} ent {:.4f}".format(i_episode, ep, loss.item(), ent.item()))


# PPO with a Gaussian policy, GAE
class Gauss(nn.Module):
    def __init__(self):
        super().__init__()
        self.mu = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.v = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.log_std = nn.Parameter(torch.zeros(1))
        for l in self.modules():
            if isinstance(l, nn.Linear):
                nn.init.orthogonal_(l.weight, gain=nn.init.calculate_gain("tanh"))
                nn.init.zeros_(l.bias)

    def dist(self, s):
        return Normal(self.mu(s), self.log_std.exp().expand(s.shape[0], 1))


ac = Gauss()
opt = optim.Adam(
    [{"params": ac.mu.parameters(), "lr": 3e-3}, {"params": ac.v.parameters(), "lr": 1e-2}, {"params": [ac.log_std]}], eps=1e-5
)
for it in range(4):
    s = torch.randn(8, 2)
    S, A, LP, Rw, V = [], [], [], [], []
    with torch.no_grad():
        for t in range(10):
            d = ac.dist(s)
            a = d.sample()
            S.append(s), A.append(a), LP.append(d.log_prob(a).sum(-1)), V.append(ac.v(s).squeeze(-1))
            s = torch.cat([s[:, 1:], s[:, :1] * 0.9 + a], 1)
            Rw.append(-s.pow(2).sum(1))
        nextv = ac.v(s).squeeze(-1)
        adv, gae = torch.zeros(10, 8), 0
        for t in reversed(range(10)):
            delta = Rw[t] + 0.99 * (V[t + 1] if t < 9 else nextv) - V[t]
            adv[t] = gae = delta + 0.99 * 0.95 * gae
        ret = adv + torch.stack(V)
    S, A, LP, adv, ret = torch.cat(S), torch.cat(A), torch.cat(LP), adv.flatten(), ret.flatten()
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    for epoch in range(2):
        for idx in torch.randperm(80).split(20):
            d = ac.dist(S[idx])
            ratio = (d.log_prob(A[idx]).sum(-1) - LP[idx]).exp()
            surr = torch.min(ratio * adv[idx], ratio.clamp(0.8, 1.2) * adv[idx])
            loss = -surr.mean() + 0.5 * F.mse_loss(ac.v(S[idx]).squeeze(-1), ret[idx]) - 0.01 * d.entropy().mean()
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(ac.parameters(), 0.5)
            opt.step()
    print(it, f"{loss.item():.4f} {Rw[-1].mean():.4f} {ac.log_std.item():.5f} {((ratio - 1).abs() > 0.2).float().mean():.3f}")
