"""A BiLSTM with a CRF on top (forward algorithm, Viterbi), PPO with generalized advantages on a small world, soft actor-critic updates,
contrastive learning, and boxes: IoU, non-maximum suppression and a focal loss."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

torch.manual_seed(1)
START_TAG, STOP_TAG = "<START>", "<STOP>"


def argmax(vec):
    _, idx = torch.max(vec, 1)
    return idx.item()


def log_sum_exp(vec):
    max_score = vec[0, argmax(vec)]
    max_score_broadcast = max_score.view(1, -1).expand(1, vec.size()[1])
    return max_score + torch.log(torch.sum(torch.exp(vec - max_score_broadcast)))


class BiLSTM_CRF(nn.Module):
    def __init__(self, vocab_size, tag_to_ix, embedding_dim, hidden_dim):
        super().__init__()
        self.hidden_dim, self.tag_to_ix, self.tagset_size = hidden_dim, tag_to_ix, len(tag_to_ix)
        self.word_embeds = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim // 2, num_layers=1, bidirectional=True)
        self.hidden2tag = nn.Linear(hidden_dim, self.tagset_size)
        self.transitions = nn.Parameter(torch.randn(self.tagset_size, self.tagset_size))
        self.transitions.data[tag_to_ix[START_TAG], :] = -10000
        self.transitions.data[:, tag_to_ix[STOP_TAG]] = -10000

    def init_hidden(self):
        return torch.randn(2, 1, self.hidden_dim // 2), torch.randn(2, 1, self.hidden_dim // 2)

    def _forward_alg(self, feats):
        forward_var = torch.full((1, self.tagset_size), -10000.0)
        forward_var[0][self.tag_to_ix[START_TAG]] = 0.0
        for feat in feats:
            alphas_t = []
            for next_tag in range(self.tagset_size):
                emit_score = feat[next_tag].view(1, -1).expand(1, self.tagset_size)
                next_tag_var = forward_var + self.transitions[next_tag].view(1, -1) + emit_score
                alphas_t.append(log_sum_exp(next_tag_var).view(1))
            forward_var = torch.cat(alphas_t).view(1, -1)
        return log_sum_exp(forward_var + self.transitions[self.tag_to_ix[STOP_TAG]])

    def _get_lstm_features(self, sentence):
        embeds = self.word_embeds(sentence).view(len(sentence), 1, -1)
        lstm_out, _ = self.lstm(embeds, self.init_hidden())
        return self.hidden2tag(lstm_out.view(len(sentence), self.hidden_dim))

    def _score_sentence(self, feats, tags):
        score = torch.zeros(1)
        tags = torch.cat([torch.tensor([self.tag_to_ix[START_TAG]], dtype=torch.long), tags])
        for i, feat in enumerate(feats):
            score = score + self.transitions[tags[i + 1], tags[i]] + feat[tags[i + 1]]
        return score + self.transitions[self.tag_to_ix[STOP_TAG], tags[-1]]

    def neg_log_likelihood(self, sentence, tags):
        feats = self._get_lstm_features(sentence)
        return self._forward_alg(feats) - self._score_sentence(feats, tags)

    def forward(self, sentence):
        feats = self._get_lstm_features(sentence)
        backpointers = []
        forward_var = torch.full((1, self.tagset_size), -10000.0)
        forward_var[0][self.tag_to_ix[START_TAG]] = 0
        for feat in feats:
            best, pointers = (forward_var + self.transitions).max(1)
            forward_var = (best + feat).view(1, -1)
            backpointers.append(pointers.tolist())
        terminal = forward_var + self.transitions[self.tag_to_ix[STOP_TAG]]
        best_tag = argmax(terminal)
        path = [best_tag]
        for pointers in reversed(backpointers):
            path.append(pointers[path[-1]])
        assert path.pop() == self.tag_to_ix[START_TAG]
        return terminal[0][best_tag], path[::-1]


data = [
    ("the wall street journal reported today that apple corporation made money".split(), "B I I I O O O B I O O".split()),
    ("georgia tech is a university in georgia".split(), "B I O O O O B".split()),
]
words = {}
for sentence, _ in data:
    for word in sentence:
        words.setdefault(word, len(words))
tags = {"B": 0, "I": 1, "O": 2, START_TAG: 3, STOP_TAG: 4}
model = BiLSTM_CRF(len(words), tags, 5, 4)
optimizer = optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-4)
with torch.no_grad():
    print(model(torch.tensor([words[w] for w in data[0][0]])))
for epoch in range(4):
    for sentence, labels in data:
        model.zero_grad()
        loss = model.neg_log_likelihood(torch.tensor([words[w] for w in sentence]), torch.tensor([tags[t] for t in labels]))
        loss.backward()
        optimizer.step()
    print(loss)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 16), nn.Tanh())
        self.pi, self.v = nn.Linear(16, 3), nn.Linear(16, 1)
        for layer, gain in ((self.body[0], 2**0.5), (self.pi, 0.01), (self.v, 1.0)):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.constant_(layer.bias, 0.0)

    def forward(self, x):
        h = self.body(x)
        return Categorical(logits=self.pi(h)), self.v(h).squeeze(-1)


torch.manual_seed(5)
policy = ActorCritic()
optimizer = optim.Adam(policy.parameters(), lr=3e-3, eps=1e-5)
for iteration in range(3):
    states, actions, rewards, dones, logps, values = (torch.zeros(32, *s) for s in ((4,), (), (), (), (), ()))
    state = torch.zeros(4)
    with torch.no_grad():
        for t in range(32):
            pi, v = policy(state)
            a = pi.sample()
            states[t], actions[t], logps[t], values[t] = state, a, pi.log_prob(a), v
            state = (0.9 * state + F.one_hot(a, 4) - 0.25).clamp(-2, 2)
            rewards[t], dones[t] = -state.abs().sum() + (a == 1).float(), float(t % 16 == 15)
        advantages, last = torch.zeros(32), 0.0
        following = torch.cat([values[1:], policy(state)[1].view(1)])
        for t in reversed(range(32)):
            delta = rewards[t] + 0.99 * following[t] * (1 - dones[t]) - values[t]
            advantages[t] = last = delta + 0.99 * 0.95 * (1 - dones[t]) * last
        returns = advantages + values
    for epoch in range(2):
        for chunk in torch.randperm(32).split(16):
            pi, v = policy(states[chunk])
            adv = advantages[chunk]
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            ratio = (pi.log_prob(actions[chunk]) - logps[chunk]).exp()
            surrogate = torch.min(ratio * adv, torch.clamp(ratio, 0.8, 1.2) * adv).mean()
            loss = -surrogate + 0.5 * F.smooth_l1_loss(v, returns[chunk]) - 0.01 * pi.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimizer.step()
    print(f"{iteration}: {loss.item():.4f} {rewards.mean().item():.3f} {pi.entropy().mean().item():.4f}")

actor, critics = nn.Linear(4, 4), nn.ModuleList([nn.Linear(6, 1) for _ in range(2)])
log_alpha = torch.zeros(1, requires_grad=True)
obs = torch.randn(10, 4)
mean, log_std = actor(obs).chunk(2, -1)
pi = TransformedDistribution(Independent(Normal(mean, log_std.clamp(-5, 2).exp()), 1), [TanhTransform(cache_size=1)])
action = pi.rsample()
logp = pi.log_prob(action)
q = torch.min(*(c(torch.cat([obs, action], -1)).squeeze(-1) for c in critics))
(log_alpha.exp().detach() * logp - q).mean().backward()
(-(log_alpha * (logp + 2).detach())).mean().backward()
print(f"{logp.mean().item():.4f} {actor.weight.grad.norm().item():.4f} {log_alpha.grad.item():.4f}")

encoder = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 6))
optimizer = optim.SGD(encoder.parameters(), lr=0.1, momentum=0.9)
views = torch.randn(8, 8)
for step in range(4):
    a, b = (F.normalize(encoder(views + 0.1 * torch.randn_like(views)), dim=-1) for _ in range(2))
    z = torch.cat([a, b])
    similarity = (z @ z.T / 0.5).masked_fill_(torch.eye(16, dtype=torch.bool), float("-inf"))
    loss = F.cross_entropy(similarity, torch.arange(16).roll(8))
    loss = loss + 0.1 * F.triplet_margin_loss(a, b, b.roll(1, 0), swap=True) + 0.1 * F.cosine_embedding_loss(a, b, torch.ones(8))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f}")


def iou(a, b):
    lt, rb = torch.max(a[:, None, :2], b[:, :2]), torch.min(a[:, None, 2:], b[:, 2:])
    inter = (rb - lt).clamp(min=0).prod(2)
    area = [(t[:, 2] - t[:, 0]) * (t[:, 3] - t[:, 1]) for t in (a, b)]
    return inter / (area[0][:, None] + area[1] - inter)


def nms(boxes, scores, threshold):
    order, kept = scores.argsort(descending=True), []
    while order.numel():
        kept.append(order[0].item())
        order = order[1:][(iou(boxes[order[:1]], boxes[order[1:]])[0] <= threshold)]
    return kept


corners = torch.rand(12, 2) * 8
boxes = torch.cat([corners, corners + 1 + torch.rand(12, 2) * 4], 1)
scores = torch.rand(12)
print(nms(boxes, scores, 0.3), f"{iou(boxes, boxes).sum().item():.4f}", iou(boxes, boxes).argmax(1).equal(torch.arange(12)))
logits = torch.randn(12, 3, requires_grad=True)
target = F.one_hot(torch.arange(12) % 3, 3).float()
p = logits.sigmoid()
ce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
p_t = p * target + (1 - p) * (1 - target)
focal = ((0.25 * target + 0.75 * (1 - target)) * ce * (1 - p_t) ** 2).sum() / 12
focal.backward()
print(f"{focal.item():.4f}", logits.grad.norm())
