"""Tensors to several GPUs and back: copies, sums, pieces. What is on the right device already is passed on as it is."""

import warnings

import rushlight as torch

__all__ = ["broadcast", "broadcast_coalesced", "gather", "reduce_add", "reduce_add_coalesced", "scatter"]


def device_of(d):
    """A device argument: an int is a GPU, -1 the CPU, None the current GPU."""
    if d is None:
        d = torch.cuda.current_device()
    if not isinstance(d, int):
        return torch.device(d)
    return torch.device("cuda", d) if d >= 0 else torch.device("cpu")


def _sent(t, device):
    device = device_of(device)
    return t.to(device, non_blocking=device.type != "cpu")


def _one_of(given, out, **others):
    """Raises RuntimeError if, besides ``out``, what it takes the place of is given."""
    if out is not None:
        for name, value in (given | others).items():
            if value is not None:
                raise RuntimeError(f"'{name}' must not be specified when 'out' is specified, but got {name}={value}")


def broadcast(tensor, devices=None, *, out=None):
    """A copy of a tensor on each of the devices, or in each of the tensors ``out``: a tuple.

    >>> [t.tolist() for t in nn.parallel.comm.broadcast(torch.ones(2), ["cpu", "cpu"])]
    [[1.0, 1.0], [1.0, 1.0]]
    """
    if (devices is None) == (out is None):
        raise RuntimeError(f"Exactly one of 'devices' and 'out' must be specified, but got devices={devices} and out={out}")
    if out is None:
        return tuple(_sent(tensor, d) for d in devices)
    for i, t in enumerate(out):
        if t.shape != tensor.shape:
            expected = f"Expected all output tensors to have same shape as the source tensor, {list(tensor.shape)}"
            raise RuntimeError(f"{expected}, but out[{i}] has {list(t.shape)}")
        t.copy_(tensor, non_blocking=True)
    return tuple(out)


def broadcast_coalesced(tensors, devices, buffer_size=10485760):
    """:func:`broadcast` of several tensors: for each device a list. Each is one copy; ``buffer_size`` is for calls written for PyTorch.

    >>> ((first, second),) = nn.parallel.comm.broadcast_coalesced([torch.ones(2), torch.zeros(1)], ["cpu"])
    >>> first.tolist(), second.tolist()
    ([1.0, 1.0], [0.0])
    """
    return [[_sent(t, d) for t in tensors] for d in devices]


def reduce_add(inputs, destination=None):
    """The sum of tensors from several GPUs, on the one among them that is named (default: the current one).

    >>> nn.parallel.comm.reduce_add([torch.ones(2, device="cuda")] * 2).tolist()
    [2.0, 2.0]
    """
    destination = device_of(destination)
    for i, t in enumerate(inputs):
        if t.is_cpu:
            raise AssertionError(f"reduce_add expects all inputs to be on GPUs, but input {i} is on CPU")
        if t.shape != inputs[0].shape:
            got, expected = ("x".join(map(str, x.shape)) for x in (t, inputs[0]))
            raise ValueError(f"input {i} has invalid size: got {got}, but expected {expected}")
    root = next((i for i in reversed(range(len(inputs))) if inputs[i].device == destination), None)
    if root is None:
        raise RuntimeError("reduce_add expects destination to be on the same GPU with one of the tensors")
    others = [t for i, t in enumerate(inputs) if i != root]
    if not others:
        return inputs[root]
    total = inputs[root] + _sent(others[0], destination)
    for t in others[1:]:
        total.add_(_sent(t, destination))
    return total


def reduce_add_coalesced(inputs, destination=None, buffer_size=10485760):
    """:func:`reduce_add` of groups: ``inputs`` has a list of tensors for each GPU; a tuple of sums. ``buffer_size``: as in PyTorch.

    >>> first, second = ([torch.ones(1, device="cuda"), torch.zeros(2, device="cuda")] for _ in range(2))
    >>> [t.tolist() for t in nn.parallel.comm.reduce_add_coalesced([first, second])]
    [[2.0], [0.0, 0.0]]
    """
    return tuple(reduce_add(group, destination) for group in zip(*inputs, strict=True))


def scatter(tensor, devices=None, chunk_sizes=None, dim=0, streams=None, *, out=None):
    """A tensor in pieces along ``dim``, one for each of the devices, or in the tensors ``out``: a tuple.

    chunk_sizes: how long the pieces are (default: equal, the last may be shorter); streams: on which the copies to the devices run.

    >>> [t.tolist() for t in nn.parallel.comm.scatter(torch.arange(5), ["cpu", "cpu"], [1, 4])]
    [[0], [1, 2, 3, 4]]
    """
    _one_of({"devices": devices}, out, chunk_sizes=chunk_sizes)
    if out is not None:
        pieces = tensor.split([t.size(dim) for t in out], dim)
        for t, piece in zip(out, pieces):
            t.copy_(piece, non_blocking=True)
        return tuple(out)
    devices = list(devices)
    if chunk_sizes is not None and (len(chunk_sizes) != len(devices) or sum(chunk_sizes) != tensor.size(dim)):
        raise RuntimeError(
            f"given chunk sizes {list(chunk_sizes)} don't sum up to the tensor's size (sum(chunk_sizes) == {sum(chunk_sizes)}, but "
            f"expected {tensor.size(dim)}), or are not one for each of {len(devices)} devices"
        )
    pieces = tensor.chunk(len(devices), dim) if chunk_sizes is None else tensor.split(list(chunk_sizes), dim)
    sent = []
    for i, (piece, device) in enumerate(zip(pieces, devices)):
        with torch.cuda.stream(streams[i] if streams else None):
            sent.append(_sent(piece, device))
    return tuple(sent)


def gather(tensors, dim=0, destination=None, *, out=None):
    """Tensors joined along ``dim``, on a device (default: the current GPU), or in the tensor ``out``.

    >>> nn.parallel.comm.gather([torch.ones(1), torch.zeros(2)], destination="cpu").tolist()
    [1.0, 0.0, 0.0]
    """
    _one_of({"destination": destination}, out)
    if destination == -1:
        told = 'Using -1 to represent CPU tensor is deprecated. Please use a device object or string instead, e.g., "cpu".'
        warnings.warn(told, FutureWarning, stacklevel=2)
    if out is None:
        return torch.cat([_sent(t, destination) for t in tensors], dim)
    expected = list(tensors[0].shape)
    expected[dim] = sum(t.size(dim) for t in tensors)
    if list(out.shape) != expected:
        raise RuntimeError(f"Expected out tensor to have shape {expected}, but got {list(out.shape)}")
    for part, t in zip(out.split([t.size(dim) for t in tensors], dim), tensors):
        part.copy_(t)
    return out
