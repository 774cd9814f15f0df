"""The tutorial's regression homework: 118 features, three layers, early stopping, the best model saved and used for predictions."""

import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset, random_split

FEATURES, SEED, EPOCHS = 118, 5201314, 50
CONFIG = {"optimizer": "SGD", "hparams": {"lr": 0.003, "momentum": 0.9}, "batch": 32, "patience": 20}


def same_seed(seed):
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    np.random.seed(seed)
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


class Survey(Dataset):
    """Features (the last 78 standardised) with or without targets."""

    def __init__(self, features, target=None):
        self.features = torch.FloatTensor(features)
        self.target = None if target is None else torch.FloatTensor(target)
        part = self.features[:, 40:]
        self.features[:, 40:] = (part - part.mean(dim=0, keepdim=True)) / part.std(dim=0, keepdim=True)

    def __getitem__(self, index):
        return self.features[index] if self.target is None else (self.features[index], self.target[index])

    def __len__(self):
        return len(self.features)


class Network(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
        self.criterion = nn.MSELoss(reduction="mean")

    def forward(self, x):
        return self.net(x).squeeze(1)

    def loss(self, prediction, target):
        penalty = sum(torch.sum(torch.pow(p, 2)) for name, p in self.named_parameters() if "weight" in name)
        return self.criterion(prediction, target) + 1e-4 * penalty


def data():
    rng = np.random.RandomState(0)
    x = rng.randn(330, FEATURES) * 3 + 1
    y = x[:, 40:44].sum(1) / 4 + 2
    training, validation = random_split(Survey(x[:300], y[:300]), [240, 60], generator=torch.Generator().manual_seed(SEED))
    loader = {"batch_size": CONFIG["batch"], "num_workers": 0, "drop_last": False}
    test = DataLoader(Survey(x[300:]), shuffle=False, **loader)
    return DataLoader(training, shuffle=True, **loader), DataLoader(validation, shuffle=False, **loader), test


def train_epoch(model, loader, optimizer, device):
    model.train()
    total = 0
    for x, y in loader:
        optimizer.zero_grad()
        x, y = x.to(device), y.to(device)
        loss = model.loss(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.detach().cpu().item() * len(x)
    return total / len(loader.dataset)


def validate(model, loader, device):
    model.eval()
    total = 0
    for x, y in loader:
        with torch.no_grad():
            total += model.loss(model(x.to(device)), y.to(device)).detach().cpu().item() * len(x)
    return total / len(loader.dataset)


def predict(model, loader, device):
    model.eval()
    predictions = []
    for x in loader:
        with torch.no_grad():
            predictions.append(model(x.to(device)).detach().cpu())
    return torch.cat(predictions, dim=0).numpy()


def main(path):
    same_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    training, validation, test = data()
    model = Network(FEATURES).to(device)
    optimizer = getattr(torch.optim, CONFIG["optimizer"])(model.parameters(), **CONFIG["hparams"])
    best, stale = float("inf"), 0
    for epoch in range(EPOCHS):
        loss, value = train_epoch(model, training, optimizer, device), validate(model, validation, device)
        print(f"epoch {epoch} loss {loss:.6e} validation {value:.6e}")
        if value < best:
            best, stale = value, 0
            torch.save(model.state_dict(), path)
        else:
            stale += 1
            if stale > CONFIG["patience"]:
                print(f"stopped at {epoch}")
                break
    again = Network(FEATURES).to(device)
    again.load_state_dict(torch.load(path, map_location="cpu"))
    predictions = predict(again, test, device)
    print(f"best {best:.6e}", predictions.shape, predictions.dtype)
    print("\n".join(f"prediction {p:.6e}" for p in predictions))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(os.path.join(folder, "model.ckpt"))
