"""A variational autoencoder (Kingma and Welling 2013) of 28x28 images with a latent space of 20 dimensions."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


class VAE(nn.Module):
    def __init__(self, pixels=784, hidden=400, latent=20):
        super().__init__()
        self.encoder = nn.Linear(pixels, hidden)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder1, self.decoder2 = nn.Linear(latent, hidden), nn.Linear(hidden, pixels)

    def encode(self, x):
        h = F.relu(self.encoder(x))
        return self.mean(h), self.log_variance(h)

    def sample(self, mean, log_variance):
        deviation = torch.exp(0.5 * log_variance)
        return mean + torch.randn_like(deviation) * deviation

    def decode(self, z):
        return torch.sigmoid(self.decoder2(F.relu(self.decoder1(z))))

    def forward(self, x):
        mean, log_variance = self.encode(x.flatten(1))
        return self.decode(self.sample(mean, log_variance)), mean, log_variance


def negative_evidence(output, x):
    """Reconstruction error plus the divergence of the latent distribution from the standard normal one."""
    restored, mean, log_variance = output
    error = F.binary_cross_entropy(restored, x.flatten(1), reduction="sum")
    return error - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())


def task(batch=128, hidden=400):
    torch.manual_seed(0)
    images = torch.rand(batch, 1, 28, 28)
    return Task(VAE(hidden=hidden), (images,), images, negative_evidence, lambda p: torch.optim.Adam(p, lr=1e-3))


if __name__ == "__main__":
    run(task())
