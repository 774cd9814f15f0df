"""Where loaded storages go: the forms of ``map_location``."""

import os

import rushlight

from . import tensors
from .errors import CheckpointError
from .options import settings


def restorer(map_location):
    """``restore(storage, location)``: the storage on the device that ``map_location`` chooses for one saved at
    ``location``.

    None keeps the location; a device or its name takes all there; a dict maps locations to locations; a function
    gives the storage itself, or None for the default.
    """
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(storage, map_location.get(location, location))
    if isinstance(map_location, (str, bytes, rushlight.device)):
        name = os.fsdecode(map_location) if isinstance(map_location, bytes) else str(map_location)
        return lambda storage, location: default_restore_location(storage, name)
    if not callable(map_location):
        raise TypeError(
            f"map_location is a {type(map_location).__name__}; it may be a device, its name, a dict of names or a "
            "function"
        )

    def by_function(storage, location):
        moved = map_location(storage, location)
        moved = default_restore_location(storage, location) if moved is None else moved
        return moved if tensors.is_storage(moved) else moved.untyped()

    return by_function


def default_restore_location(storage, location):
    """The storage on the device that ``location``, the text saved with it, names; CheckpointError where there is none."""
    for _, _, deserializer in settings.packages:
        moved = deserializer(storage, location)
        if moved is not None:
            return moved
    kind = location.partition(":")[0]
    if kind == "cpu":
        return storage
    if kind == "cuda":
        _check_cuda(location)
    elif kind != "meta":
        raise CheckpointError(
            f"don't know how to restore data location of {type(storage).__name__} (tagged with {location})\n"
            "Load it with map_location='cpu'."
        )
    return tensors.to_device(storage, location)


def _check_cuda(location):
    if not rushlight.cuda.is_available():
        raise CheckpointError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
            "running "
            "on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
            "storages to "
            "the CPU."
        )
    _, _, index = location.partition(":")
    count = rushlight.cuda.device_count()
    if index and int(index) >= count:
        raise CheckpointError(
            f"Attempting to deserialize object on CUDA device {index} but torch.cuda.device_count() is {count}. "
            "Please use "
            "torch.load with map_location to map your storages to an existing device."
        )
