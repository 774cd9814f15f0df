"""A spatial transformer network, then adversarial examples for it: the fast gradient sign method, PGD, and their accuracy."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(3)
N, SIZE = 96, 20


def digits(n):
    """Rings, crosses and bars somewhere in the image."""
    labels = torch.arange(n) % 3
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    cx, cy = torch.randint(7, 13, (n, 1, 1)), torch.randint(7, 13, (n, 1, 1))
    dx, dy = (x - cx).float(), (y - cy).float()
    r = (dx**2 + dy**2).sqrt()
    ring, cross, bar = ((r - 4).abs() < 1).float(), ((dx.abs() < 1.5) | (dy.abs() < 1.5)).float() * (r < 6), (dx.abs() < 2).float() * (r < 6)
    images = torch.stack([ring, cross, bar], 1)[torch.arange(n), labels]
    return images.unsqueeze(1) + 0.05 * torch.randn(n, 1, SIZE, SIZE), labels


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 12, kernel_size=3)
        self.conv2_drop = nn.Dropout2d(0.1)
        self.fc1 = nn.Linear(108, 20)
        self.fc2 = nn.Linear(20, 3)
        self.localization = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=7), nn.MaxPool2d(2, stride=2), nn.ReLU(True),
            nn.Conv2d(4, 6, kernel_size=3), nn.MaxPool2d(2, stride=2), nn.ReLU(True),
        )  # fmt: skip
        self.fc_loc = nn.Sequential(nn.Linear(6 * 2 * 2, 16), nn.ReLU(True), nn.Linear(16, 3 * 2))
        self.fc_loc[2].weight.data.zero_()
        self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

    def stn(self, x):
        xs = self.localization(x)
        xs = xs.view(-1, 6 * 2 * 2)
        theta = self.fc_loc(xs)
        theta = theta.view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    def forward(self, x):
        x = self.stn(x)
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 108)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, 0.1, training=self.training)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


model = Net()
data, target = digits(N)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data, target), batch_size=24, shuffle=True)
for epoch in range(6):
    model.train()
    total = 0.0
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(model(batch), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"epoch {epoch}: {total / N:.4f}")
model.eval()
with torch.no_grad():
    grid_of = model.stn(data[:2])
    print(grid_of.shape, f"{grid_of.mean().item():.4f}")


def fgsm_attack(image, epsilon, data_grad):
    return torch.clamp(image + epsilon * data_grad.sign(), -1, 2)


def accuracy(x):
    with torch.no_grad():
        return (model(x).max(1, keepdim=True)[1].squeeze(1) == target).float().mean().item()


for epsilon in (0.0, 0.05, 0.2):
    x = data.clone().requires_grad_(True)
    loss = F.nll_loss(model(x), target)
    model.zero_grad()
    loss.backward()
    adversarial = fgsm_attack(x, epsilon, x.grad.data)
    print(f"fgsm {epsilon}: loss {F.nll_loss(model(adversarial), target).item():.3f}")
delta = torch.zeros_like(data, requires_grad=True)
for _ in range(3):
    loss = F.nll_loss(model(data + delta), target)
    (grad,) = torch.autograd.grad(loss, delta)
    delta.data = (delta + 0.02 * grad.sign()).clamp(-0.05, 0.05).detach()
print(f"pgd: loss {F.nll_loss(model(data + delta), target).item():.3f}", tuple(delta.shape), delta.abs().max().item() <= 0.0501)
saliency = data[:4].clone().requires_grad_()
model(saliency).gather(1, target[:4, None]).sum().backward()
print(saliency.grad.abs().amax((1, 2, 3)) > 0, accuracy(data) >= accuracy(data + delta))
