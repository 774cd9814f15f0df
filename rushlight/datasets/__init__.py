"""Small real data sets that ship with the package."""

import csv
import gzip
import os

import rushlight as torch

from ..utils.data import Dataset


class Digits(Dataset):
    """The UCI optical digits: 1,797 images of 8 x 8 pixels in [0, 1] with labels 0 to 9 (see README.md beside this file).

    data: float32 (n, 1, 8, 8); target: int64 (n). Items are (image, label); batches are fetched in one call.

    >>> image, label = Digits()[0]
    >>> image.shape, label
    (torch.Size([1, 8, 8]), tensor(0))
    """

    thread_safe = True

    def __init__(self):
        path = os.path.join(os.path.dirname(__file__), "digits.csv.gz")
        with gzip.open(path, "rt", newline="") as file:
            rows = [[float(v) for v in row] for row in csv.reader(file)]
        table = torch.tensor(rows)
        self.data = (table[:, :64] / 16).reshape(-1, 1, 8, 8).contiguous()
        self.target = table[:, 64].long()

    def __len__(self):
        return len(self.target)

    def __getitem__(self, index):
        return self.data[index], self.target[index]

    def __getitems__(self, indices):
        chosen = torch.as_tensor(indices)
        return list(zip(self.data[chosen], self.target[chosen]))
