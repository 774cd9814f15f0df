"""Trains a convolutional network on the UCI optical digits: ``make train`` (about half a minute on two cores, 98 % and more on
unseen digits).

Prints the validation accuracy of each epoch, writes a checkpoint and a picture of the curves and of some predictions, then loads
the checkpoint
into a fresh network and evaluates that on the test split.
"""

import argparse
import os

import torch
from torch import nn
from torch.utils.data import DataLoader, random_split

EPOCHS = 20
BATCH = 64


def network():
    """Two convolutions and two linear layers: (n, 1, 8, 8) -> (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),       # (n, 32, 8, 8)
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),      # (n, 64, 8, 8)
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25),                     # (n, 1024)
        nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def picture(history, images, labels, guesses, path):
    """Writes a PNG with the curves above and twelve test digits with their predictions below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(10, 6))
    grid = figure.add_gridspec(2, 12, height_ratios=[3, 1])
    left, right = figure.add_subplot(grid[0, :6]), figure.add_subplot(grid[0, 6:])
    epochs = range(1, len(history["loss"]) + 1)
    left.plot(epochs, history["loss"], label="training")
    left.plot(epochs, history["validation_loss"], label="validation")
    left.set(title="loss", xlabel="epoch")
    left.legend()
    right.plot(epochs, [100 * a for a in history["validation_metric"]])
    right.set(title="validation accuracy, %", xlabel="epoch")
    for axis in (left, right):
        axis.xaxis.get_major_locator().set_params(integer=True)
    for i in range(12):
        axis = figure.add_subplot(grid[1, i])
        axis.imshow(images[i, 0].numpy(), cmap="gray_r")
        axis.set_title(str(int(guesses[i])), color="green" if guesses[i] == labels[i] else "red")
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", default="runs/digits")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    checkpoint = os.path.join(options.out, "model.pt")

    from rushlight.datasets import Digits
    from rushlight.training import accuracy, evaluate, fit

    torch.manual_seed(0)
    training, validation, test = random_split(Digits(), [1297, 250, 250], generator=torch.Generator().manual_seed(0))
    loaders = [DataLoader(part, BATCH, shuffle=part is training) for part in (training, validation, test)]
    model, loss = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    history = fit(model, loaders[0], loss, optimizer, epochs=options.epochs, validation=loaders[1], metric=accuracy, checkpoint=checkpoint)

    again = network()
    again.load_state_dict(torch.load(checkpoint)["model"])
    value, share = evaluate(again, loaders[2], loss, accuracy)
    print(f"checkpoint {checkpoint}: test loss {value:.4f}, test accuracy {share:.2%}")
    images, labels = next(iter(loaders[2]))
    again.eval()
    with torch.no_grad():
        guesses = again(images).argmax(1)
    picture(history, images, labels, guesses, os.path.join(options.out, "digits.png"))
    print(f"picture {os.path.join(options.out, 'digits.png')}")


if __name__ == "__main__":
    main()
