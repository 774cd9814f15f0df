"""Exchange of tensors with other libraries by the DLPack protocol, without copying."""

import rushlight

__all__ = ["from_dlpack", "to_dlpack"]


def from_dlpack(ext_tensor, **options):
    """A tensor that shares memory with ``ext_tensor``: a DLPack capsule, or any object with ``__dlpack__``.

    Options (``device``, ``copy``) are passed on to the producer.
    """
    return rushlight.from_dlpack(ext_tensor, **options)


def to_dlpack(tensor):
    """The DLPack capsule of ``tensor``; it may be consumed once."""
    return tensor.__dlpack__()
