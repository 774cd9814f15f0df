"""Copies of a module for several devices."""

from .comm import device_of

__all__ = ["replicate"]


def replicate(network, devices, detach=False):
    """A copy of a module for each device, whose parameters are copies that pass gradients back (not if ``detach``).

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> first, second = nn.parallel.replicate(layer, ["cpu", "cpu"])
    >>> (first(torch.ones(2)) + second(torch.ones(2))).backward()
    >>> layer.weight.grad  # both pass their gradients to the original
    tensor([[2., 2.]])
    """
    devices = [device_of(d) for d in devices]
    modules = list(network.modules())
    position = {id(m): i for i, m in enumerate(modules)}
    copies = []
    for device in devices:
        moved = {}

        def on_device(t, device=device, moved=moved):
            if id(t) not in moved:
                moved[id(t)] = (t.detach() if detach else t).to(device)
            return moved[id(t)]

        fresh = [m._replicate_for_data_parallel() for m in modules]
        for old, new in zip(modules, fresh):
            for name, child in old._modules.items():
                new._modules[name] = None if child is None else fresh[position[id(child)]]
            for name, p in old._parameters.items():
                new._parameters[name] = None
                object.__setattr__(new, name, None if p is None else on_device(p))
            for name, b in old._buffers.items():
                new._buffers[name] = None if b is None else on_device(b)
        copies.append(fresh[0])
    return copies
