"""A convolutional network with BatchNorm and Dropout, trained for 30 steps, then evaluated."""

import torch
import torch.nn.functional as F
from torch import nn, optim


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, bias=False)
        self.norm2 = nn.BatchNorm2d(16)
        self.drop = nn.Dropout2d(0.1)
        self.fc1 = nn.Linear(16 * 3 * 3, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = self.drop(F.leaky_relu(self.norm2(self.conv2(x)), 0.1))
        x = F.dropout(F.relu(self.fc1(torch.flatten(x, 1))), 0.3, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


torch.manual_seed(1)
model = Network()
images, labels = torch.randn(256, 3, 16, 16), torch.randint(0, 10, (256,))
images += F.one_hot(labels, 10).float().matmul(torch.randn(10, 3)).reshape(-1, 3, 1, 1)
optimizer = optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)
model.train()
for step in range(30):
    at = torch.randint(0, len(images), (32,))
    optimizer.zero_grad()
    loss = F.nll_loss(model(images[at]), labels[at])
    loss.backward()
    optimizer.step()
    scheduler.step()
    print(f"step {step} loss {loss.item():.6e}")

model.eval()
with torch.no_grad():
    output = model(images)
    correct = output.argmax(dim=1, keepdim=True).eq(labels.view_as(output.argmax(dim=1, keepdim=True))).sum().item()
print(f"test {F.nll_loss(output, labels).item():.6e}")
print(f"correct {correct}")
