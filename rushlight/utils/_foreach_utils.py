"""What optimizers outside of the library ask before they work on lists of tensors: which devices have ``torch._foreach_*``."""


def _get_foreach_kernels_supported_devices():
    """The devices' types on which lists of tensors are worked on."""
    return ["cuda", "cpu"]


def _get_fused_kernels_supported_devices():
    """The devices' types on which a step is one kernel."""
    return ["cuda", "cpu"]


def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices=False):
    """{(device, dtype): (the lists with the tensors of that kind only, their positions)}; the first list's tensors say which."""
    groups = {}
    for i, first in enumerate(tensorlistlist[0]):
        lists, positions = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
        for kept, given in zip(lists, tensorlistlist):
            if given:
                kept.append(given[i])
        positions.append(i)
    return {kind: (lists, positions if with_indices else list(range(len(positions)))) for kind, (lists, positions) in groups.items()}


def _device_has_foreach_support(device):
    """Can lists of tensors on this device be worked on?"""
    return device.type in _get_foreach_kernels_supported_devices()


def _has_foreach_support(tensors, device):
    """Can this list be worked on as a whole?"""
    return _device_has_foreach_support(device) and all(t is None or type(t).__name__ in ("Tensor", "Parameter") for t in tensors)
