"""DCGAN (Radford et al. 2015): a generator of 64x64 images and a discriminator, trained against each other."""

import torch
import torch.nn.functional as F
from task import Task, run
from torch import nn


def initialise(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    def __init__(self, latent=100, width=64):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(latent, 8 * width, 4, 1, 0, bias=False), nn.BatchNorm2d(8 * width), nn.ReLU(True),
            nn.ConvTranspose2d(8 * width, 4 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU(True),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
            nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        self.apply(initialise)

    def forward(self, noise):
        return self.main(noise)


class Discriminator(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * width), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4 * width, 8 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(8 * width), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False),
        )  # fmt: skip
        self.apply(initialise)

    def forward(self, images):
        return self.main(images).flatten()


class Adversaries(Task):
    """The network of the task is the generator; a step trains the discriminator first, then the generator."""

    def __init__(self, generator, discriminator, noise, images, optimizer):
        super().__init__(generator, (noise,), images, F.binary_cross_entropy_with_logits, optimizer)
        self.discriminator = discriminator
        self.discriminator_optimizer = optimizer(discriminator.parameters())

    def step(self):
        real, fake = torch.ones(len(self.target)), torch.zeros(len(self.target))
        images = self.net(*self.inputs)

        self.discriminator_optimizer.zero_grad()
        loss = self.loss(self.discriminator(self.target), real) + self.loss(self.discriminator(images.detach()), fake)
        loss.backward()
        self.discriminator_optimizer.step()

        self.optimizer.zero_grad()
        generator_loss = self.loss(self.discriminator(images), real)
        generator_loss.backward()
        self.optimizer.step()
        return loss.detach() + generator_loss.detach()


def task(batch=16, latent=100, width=64):
    torch.manual_seed(0)
    noise, images = torch.randn(batch, latent, 1, 1), torch.rand(batch, 3, 64, 64) * 2 - 1
    optimizer = lambda p: torch.optim.Adam(p, lr=2e-4, betas=(0.5, 0.999))  # noqa: E731
    return Adversaries(Generator(latent, width), Discriminator(width), noise, images, optimizer)


if __name__ == "__main__":
    run(task())
