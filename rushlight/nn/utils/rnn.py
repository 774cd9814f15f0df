"""Sequences of different lengths: padded, packed, and back."""

from collections import namedtuple
from collections.abc import Iterable

import rushlight as torch

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip

_Fields = namedtuple("PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])


def bind(optional, fn):
    """``fn(optional)``, or None for None."""
    return None if optional is None else fn(optional)


class PackedSequence(_Fields):
    """Sequences by decreasing length, interleaved by time: ``data`` (total, *), ``batch_sizes`` (T) how many take part at each time.

    sorted_indices: the order in which the sequences were put; unsorted_indices: its inverse. Made by :func:`pack_padded_sequence`.

    >>> from_two = nn.utils.rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4, 5])])
    >>> from_two.data, from_two.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is not None:
            if batch_sizes.device.type != "cpu":
                raise ValueError(
                    "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. They should "
                    "be instantiated by functions like pack_sequence and pack_padded_sequences in nn.utils.rnn. "
                    "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
                )
        elif isinstance(data, (tuple, list)):
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data):
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args, **kwargs):
        """The same sequences with ``data.to(...)``; the indices follow the device."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = [bind(i, lambda t: t.to(data.device)) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *indices)

    def cuda(self, *args, **kwargs):
        """The same sequences on a GPU."""
        return self.to(torch.device("cuda") if not args and "device" not in kwargs else (args or (kwargs["device"],))[0])

    def cpu(self):
        """The same sequences on the CPU."""
        return self.to(device="cpu")

    def pin_memory(self):
        """The same sequences in pinned memory."""
        pin = lambda t: t.pin_memory()  # noqa: E731
        return type(self)(pin(self.data), self.batch_sizes, bind(self.sorted_indices, pin), bind(self.unsorted_indices, pin))

    def double(self):
        """The same sequences as float64."""
        return self.to(dtype=torch.double)

    def float(self):
        """The same sequences as float32."""
        return self.to(dtype=torch.float)

    def half(self):
        """The same sequences as float16."""
        return self.to(dtype=torch.half)

    def long(self):
        """The same sequences as int64."""
        return self.to(dtype=torch.long)

    def int(self):
        """The same sequences as int32."""
        return self.to(dtype=torch.int)

    def short(self):
        """The same sequences as int16."""
        return self.to(dtype=torch.short)

    def char(self):
        """The same sequences as int8."""
        return self.to(dtype=torch.int8)

    def byte(self):
        """The same sequences as uint8."""
        return self.to(dtype=torch.uint8)

    @property
    def is_cuda(self):
        """Is the data on a GPU?"""
        return self.data.is_cuda

    def is_pinned(self):
        """Is the data in pinned memory?"""
        return self.data.is_pinned()


def invert_permutation(permutation):
    """The permutation that undoes ``permutation``; None for None.

    >>> invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    output = torch.empty_like(permutation, memory_format=torch.contiguous_format)
    return output.scatter_(0, permutation, torch.arange(permutation.numel(), device=permutation.device))


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Packs padded sequences (T, N, *) (or (N, T, *)) of the given lengths.

    enforce_sorted: the lengths must decrease (RuntimeError); else the sequences are sorted, and sorted_indices remembers how.

    >>> padded = torch.tensor([[1, 0], [2, 3]])  # lengths 1 and 2
    >>> packed = nn.utils.rnn.pack_padded_sequence(padded, [1, 2], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes, packed.sorted_indices
    (tensor([2, 1, 3]), tensor([2, 1]), tensor([1, 0]))
    """
    lengths = torch.as_tensor(lengths, dtype=torch.int64, device="cpu")
    if lengths.dim() != 1:
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.dim()}D cpu Long tensor")
    if not input.numel():
        raise RuntimeError(f"Cannot pack empty tensors.\nthe input is {tuple(input.shape)}")
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = torch.sort(lengths, descending=True)
        sorted_indices = sorted_indices.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    padded = input.transpose(0, 1) if batch_first else input
    batch = padded.size(1)
    counts = lengths.tolist()
    if len(counts) != batch:
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} (batch_size={batch})")
    if counts[-1] <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if counts != sorted(counts, reverse=True):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass `enforce_sorted=False` to "
            "pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need ONNX exportability."
        )
    sizes = [sum(n > t for n in counts) for t in range(counts[0])]
    data = torch.cat([padded[t, :size] for t, size in enumerate(sizes)])
    return PackedSequence(data, torch.tensor(sizes, device="cpu"), sorted_indices, None)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """The padded form (T, N, *) (or (N, T, *)) of packed sequences in their original order, and their lengths.

    total_length: pad up to it, not to the longest sequence only.

    >>> packed = nn.utils.rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])])
    >>> nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 0, 0]]), tensor([3, 1]))
    """
    sizes = sequence.batch_sizes.tolist()
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}"
        )
    batch, rest = sizes[0], list(sequence.data.shape[1:])
    rows = []
    for piece, size in zip(sequence.data.split(sizes), sizes):
        gap = torch.full([batch - size, *rest], padding_value, dtype=piece.dtype, device=piece.device)
        rows.append(torch.cat([piece, gap]))
    if steps > len(sizes):
        gap = torch.full([batch, *rest], padding_value, dtype=sequence.data.dtype, device=sequence.data.device)
        rows += [gap] * (steps - len(sizes))
    padded = torch.stack(rows)
    if batch_first:
        padded = padded.transpose(0, 1)
    lengths = torch.tensor([sum(size > i for size in sizes) for i in range(batch)], device="cpu")
    if sequence.unsorted_indices is not None:
        order = sequence.unsorted_indices
        padded = padded.index_select(0 if batch_first else 1, order)
        lengths = lengths[order.cpu()]
    return padded, lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Stacks tensors (L, *) of different lengths, padded: (T, N, *), or (N, T, *) with batch_first.

    >>> nn.utils.rnn.pad_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])], batch_first=True, padding_value=-1)
    tensor([[ 1,  2,  3],
            [ 4, -1, -1]])
    >>> nn.utils.rnn.pad_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])], batch_first=True, padding_side="left")
    tensor([[1, 2, 3],
            [0, 0, 4]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    if isinstance(sequences, torch.Tensor):
        sequences = sequences.unbind(0)
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest = max(s.size(0) for s in sequences)
    rows = []
    for s in sequences:
        gap = torch.full([longest - s.size(0), *s.shape[1:]], padding_value, dtype=s.dtype, device=s.device)
        rows.append(torch.cat([s, gap] if padding_side == "right" else [gap, s]))
    return torch.stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The list of sequences of a padded tensor: the first ``lengths[i]`` elements of each.

    >>> nn.utils.rnn.unpad_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    lengths = [int(length) for length in lengths]
    return [row[:n].clone(memory_format=torch.contiguous_format) for row, n in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences, enforce_sorted=True):
    """Packs a list of tensors (L, *) of different lengths; enforce_sorted as in :func:`pack_padded_sequence`.

    >>> nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).data
    tensor([1, 3, 2])
    """
    lengths = torch.as_tensor([s.size(0) for s in sequences], device="cpu")
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The list of sequences that were packed.

    >>> nn.utils.rnn.unpack_sequence(nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)

