import argparse
import torch
import torch.utils.data
from torch import nn, optim
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--epochs", type=int, default=3)
args = parser.parse_args()
torch.manual_seed(1)


class Toy(torch.utils.data.Dataset):
    def __init__(self, n=192, train=True):
        g = torch.Generator().manual_seed(3 if train else 4)
        self.x = (torch.rand(n, 64, generator=g) < torch.rand(n, 1, generator=g)).float()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i].view(1, 8, 8), int(self.x[i].sum() > 32)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 40)
        self.fc21 = nn.Linear(40, 5)
        self.fc22 = nn.Linear(40, 5)
        self.fc3 = nn.Linear(5, 40)
        self.fc4 = nn.Linear(40, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-3)
train_loader = torch.utils.data.DataLoader(Toy(), batch_size=args.batch_size, shuffle=True)
test_loader = torch.utils.data.DataLoader(Toy(64, False), batch_size=args.batch_size, shuffle=False)


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


for epoch in range(1, args.epochs + 1):
    model.train()
    train_loss = 0
    for batch_idx, (data, _) in enumerate(train_loader):
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        if batch_idx % 2 == 0:
            print(
                "Train Epoch: {} [{}/{} ({:.0f}%)]\tLoss: {:.4f}".format(
                    epoch, batch_idx * len(data), len(train_loader.dataset), 100.0 * batch_idx / len(train_loader), loss.item() / len(data)
                )
            )
    print("====> Epoch: {} Average loss: {:.4f}".format(epoch, train_loss / len(train_loader.dataset)))
    model.eval()
    test_loss, labels = 0, []
    with torch.no_grad():
        for i, (data, y) in enumerate(test_loader):
            recon_batch, mu, logvar = model(data)
            test_loss += loss_function(recon_batch, data, mu, logvar).item()
            labels.extend(y.tolist())
            if i == 0:
                comparison = torch.cat([data[:4], recon_batch.view(args.batch_size, 1, 8, 8)[:4]])
                print(comparison.mean((1, 2, 3)))
    print("====> Test set loss: {:.4f}".format(test_loss / len(test_loader.dataset)), sum(labels))
    with torch.no_grad():
        sample = model.decode(torch.randn(4, 5)).cpu()
        print(sample[:, :6])
