"""What every model of this folder offers: a network and a batch, and of them a training step and an inference.

Each file defines its network and ``task(...)``, whose arguments are the sizes that one may want to change. Run as a program it trains for a
few steps: ``python -m rushlight resnet18.py`` or, with PyTorch, ``python resnet18.py``. The data are random: what is shown is the network.
"""

import time

import torch


class Task:
    """A network that learns to give ``loss(net(*inputs), target)`` a small value.

    optimizer: made from the network's parameters.
    """

    def __init__(self, net, inputs, target, loss, optimizer):
        self.net, self.inputs, self.target, self.loss = net, inputs, target, loss
        self.optimizer = optimizer(net.parameters())

    def step(self):
        """One training step; returns its loss."""
        self.optimizer.zero_grad()
        loss = self.loss(self.net(*self.inputs), self.target)
        loss.backward()
        self.optimizer.step()
        return loss

    @torch.no_grad()
    def predict(self):
        """The network's output for the batch; call ``net.eval()`` before."""
        return self.net(*self.inputs)


def run(task, steps=5):
    """Trains for a few steps and prints the loss and the time of each."""
    parameters = sum(p.numel() for p in task.net.parameters())
    print(f"{type(task.net).__name__}: {parameters:,} parameters, batch of {task.inputs[0].shape[0]}")
    for step in range(steps):
        start = time.perf_counter()
        loss = task.step().item()
        print(f"step {step}  loss {loss:.5f}  {1e3 * (time.perf_counter() - start):.1f} ms")
