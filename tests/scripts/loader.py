import math
import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
)
from torch.utils.data.distributed import DistributedSampler


class Range(IterableDataset):
    def __init__(self, start, end):
        super().__init__()
        self.start, self.end = start, end

    def __iter__(self):
        info = get_worker_info()
        if info is None:
            a, b = self.start, self.end
        else:
            per = int(math.ceil((self.end - self.start) / float(info.num_workers)))
            a = self.start + info.id * per
            b = min(a + per, self.end)
        return iter(range(a, b))


class Noisy(Dataset):
    def __init__(self, n):
        self.n, self.tf = n, None

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        info = get_worker_info()
        return {
            "i": i,
            "x": torch.rand(2),
            "n": np.float32(i) / 2,
            "s": f"item{i}",
            "w": -1 if info is None else info.id,
            "t": (i, [i * 2.0]),
        }


def pad_collate(batch):
    xs, ys = zip(*batch)
    return torch.nn.utils.rnn.pad_sequence(xs, batch_first=True, padding_value=-1), torch.tensor([len(x) for x in xs]), torch.as_tensor(ys)


class Var(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, i):
        return torch.arange(i + 1), i


def seed_worker(worker_id):
    np.random.seed(torch.initial_seed() % 2**32)


class Pinned:
    def __init__(self, data):
        self.x = torch.stack([d["x"] for d in data])

    def pin_memory(self):
        return self


def main():
    torch.manual_seed(0)
    for w in (0, 2, 3):
        print(w, [b.tolist() if torch.is_tensor(b) else b for b in DataLoader(Range(3, 12), num_workers=w, batch_size=2)])
    for w in (0, 2):
        g = torch.Generator()
        g.manual_seed(7)
        dl = DataLoader(Noisy(9), batch_size=3, shuffle=True, num_workers=w, worker_init_fn=seed_worker, generator=g, drop_last=False)
        for b in dl:
            print(b)
    for xs, n, ys in DataLoader(Var(), batch_size=3, collate_fn=pad_collate, num_workers=2, persistent_workers=True, prefetch_factor=1):
        print(xs, n, ys)
    ds = TensorDataset(torch.arange(10.0), torch.arange(10))
    tr, va = random_split(ds, [0.7, 0.3], generator=torch.Generator().manual_seed(1))
    print(tr.indices, va.indices, len(ConcatDataset([tr, va])), ConcatDataset([tr, va])[8])
    print(list(BatchSampler(SequentialSampler(range(10)), 3, True)), list(SubsetRandomSampler([4, 5, 6])))
    ws = WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 8, replacement=True)
    print(list(ws), list(RandomSampler(range(5), replacement=True, num_samples=7)))
    print([b[0].tolist() for b in DataLoader(ds, sampler=SubsetRandomSampler(range(0, 10, 2)), batch_size=2)])
    print([b[1].tolist() for b in DataLoader(Subset(ds, [1, 3, 5]), batch_sampler=BatchSampler(RandomSampler(range(3)), 2, False))])
    dsamp = DistributedSampler(ds, num_replicas=3, rank=1, shuffle=True, seed=5)
    dsamp.set_epoch(2)
    print(list(dsamp), len(dsamp))
    print(default_collate([{"a": (1, 2.0)}, {"a": (3, 4.0)}]), default_collate(["a", "b"]), default_collate([np.ones(2), np.zeros(2)]))
    it = iter(DataLoader(Noisy(4), batch_size=2, collate_fn=Pinned))
    print(next(it).x.shape)
    dl = DataLoader(ds, batch_size=4)
    print(len(dl), dl.dataset is ds, dl.batch_size, dl.drop_last, type(dl.sampler).__name__, len(dl.batch_sampler))
    try:
        for _ in DataLoader(Noisy(4), num_workers=1, collate_fn=lambda b: 1 / 0):
            pass
    except ZeroDivisionError as e:
        print(str(e).splitlines()[0])
    try:
        DataLoader(ds, shuffle=True, sampler=SequentialSampler(ds))
    except ValueError as e:
        print(e)


if __name__ == "__main__":
    main()
