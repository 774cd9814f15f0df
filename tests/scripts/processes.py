"""Processes and data: Hogwild training of a shared model, a sharded iterable data set, samplers and collate functions, TensorBoard-free
logging by hooks, a feature extractor, and shape arithmetic on the meta device."""

import contextlib
import math
import os

import torch
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Sampler, Subset, WeightedRandomSampler, default_collate, get_worker_info, random_split


def train(rank, model, queue):
    torch.manual_seed(rank)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.randn(20, 3)
    y = x.sum(1, keepdim=True)
    for _ in range(10):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    queue.put((rank, os.getpid() > 0, loss.item() < 50))


class Faces(Dataset):
    def __init__(self, n, transform=None):
        self.n, self.transform = n, transform

    def __len__(self):
        return self.n

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        sample = {"image": torch.full((4, 5), float(idx)), "landmarks": [(idx, idx + 0.5)] * 2, "name": f"face{idx}"}
        return self.transform(sample) if self.transform else sample


class Compose:
    def __init__(self, *steps):
        self.steps = steps

    def __call__(self, sample):
        for step in self.steps:
            sample = step(sample)
        return sample


class Shards(IterableDataset):
    def __init__(self, start, end):
        self.start, self.end = start, end

    def __iter__(self):
        info = get_worker_info()
        if info is None:
            first, last = self.start, self.end
        else:
            per_worker = math.ceil((self.end - self.start) / info.num_workers)
            first = self.start + info.id * per_worker
            last = min(first + per_worker, self.end)
        return iter(range(first, last))


class Buckets(Sampler):
    """Batches of samples of like length."""

    def __init__(self, lengths, size, generator):
        self.lengths, self.size, self.generator = lengths, size, generator

    def __iter__(self):
        order = torch.tensor(self.lengths).argsort(stable=True)
        chunks = order.split(self.size)
        for i in torch.randperm(len(chunks), generator=self.generator).tolist():
            yield chunks[i].tolist()

    def __len__(self):
        return math.ceil(len(self.lengths) / self.size)


def pad(batch):
    return nn.utils.rnn.pad_sequence(batch, batch_first=True), torch.tensor([len(b) for b in batch])


def main():
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    model.share_memory()
    print(model.weight.is_shared())
    before = model.weight.detach().clone()
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()
    processes = [context.Process(target=train, args=(rank, model, queue)) for rank in range(2)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    print(sorted(queue.get() for _ in range(2)), not torch.equal(before, model.weight), [p.exitcode for p in processes])

    faces = Faces(7, Compose(lambda s: {**s, "image": s["image"][None] / 255}, lambda s: {**s, "mean": s["image"].mean()}))
    for batch in DataLoader(faces, batch_size=3, shuffle=True, generator=torch.Generator().manual_seed(1)):
        print(batch["image"].shape, batch["name"], batch["mean"].dtype, [t.dtype for pair in batch["landmarks"] for t in pair][:2])
    print(list(DataLoader(Shards(3, 11), num_workers=0)), sorted(int(i) for i in DataLoader(Shards(3, 11), num_workers=2)))
    train_set, test_set = random_split(Faces(10), [0.7, 0.3], generator=torch.Generator().manual_seed(3))
    print(train_set.indices, test_set.indices, len(ConcatDataset([train_set, Subset(Faces(4), [1, 2])])))
    lengths = [3, 1, 4, 1, 5, 9, 2, 6]
    lines = [torch.arange(n) + 1 for n in lengths]
    loader = DataLoader(lines, batch_sampler=Buckets(lengths, 3, torch.Generator().manual_seed(0)), collate_fn=pad)
    for padded, sizes in loader:
        print(padded.tolist(), sizes.tolist())
    weighted = WeightedRandomSampler([0.1, 0.2, 0.7], 8, generator=torch.Generator().manual_seed(2))
    print(list(weighted), default_collate([{"a": (1, 2.0)}, {"a": (3, 4.0)}]))

    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    features, norms = {}, []
    with contextlib.ExitStack() as stack:
        for name, layer in net.named_children():
            stack.callback(layer.register_forward_hook(lambda m, i, o, name=name: features.__setitem__(name, tuple(o.shape))).remove)
            stack.callback(layer.register_full_backward_hook(lambda m, gi, go: norms.append(f"{go[0].norm().item():.4f}")).remove)
        net(torch.randn(2, 1, 8, 8)).pow(2).sum().backward()
    print(features, norms, len(net[0]._forward_hooks))
    with torch.device("meta"):
        big = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(3136, 1000))
        print(big(torch.empty(32, 3, 224, 224)).shape, sum(p.numel() for p in big.parameters()))
    real = big.to_empty(device="cpu")
    for layer in real:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    print(real[1].running_var.sum().item(), real[0].weight.isfinite().all().item())


if __name__ == "__main__":
    main()
