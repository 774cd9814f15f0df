"""Settings of saving and loading that hold for the whole program."""

import enum
from contextlib import contextmanager

from . import names

__all__ = [
    "LoadEndianness", "add_safe_globals", "clear_safe_globals", "get_crc32_options", "get_default_load_endianness",
    "get_default_mmap_options", "get_safe_globals", "register_package", "safe_globals", "set_crc32_options",
    "set_default_load_endianness", "set_default_mmap_options", "skip_data",
]  # fmt: skip


class LoadEndianness(enum.Enum):
    """The byte order of files that do not state one.

    >>> [order.name for order in torch.serialization.LoadEndianness]
    ['NATIVE', 'LITTLE', 'BIG']
    """

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Settings:
    safe_globals = ()
    checksums = True
    endianness = None
    mmap_flags = None
    skip_data = False
    packages = ()


settings = _Settings()


def add_safe_globals(safe_globals):
    """Let :func:`load` rebuild things outside its closed set: a list of classes and functions, or of pairs with the
    name in the file.

    Instances of a class are made without its constructor and get their attributes directly. A *function* is called
    with the file's arguments: give only one that may be called with anything.

        >>> import argparse
        >>> add_safe_globals([argparse.Namespace])
        >>> clear_safe_globals()
    """
    settings.safe_globals = (
        *settings.safe_globals,
        *[item for item in safe_globals if item not in settings.safe_globals],
    )


def get_safe_globals():
    """What :func:`add_safe_globals` was given so far.

    >>> with torch.serialization.safe_globals([complex]):
    ...     torch.serialization.get_safe_globals()
    [<class 'complex'>]
    """
    return list(settings.safe_globals)


def clear_safe_globals():
    """Forget all that :func:`add_safe_globals` was given.

    >>> with torch.serialization.safe_globals([complex]):
    ...     torch.serialization.clear_safe_globals()
    ...     torch.serialization.get_safe_globals()
    []
    """
    settings.safe_globals = ()


@contextmanager
def safe_globals(safe_globals):
    """A block in which :func:`add_safe_globals` holds for the given list as well.

    >>> with torch.serialization.safe_globals([complex]):
    ...     len(torch.serialization.get_safe_globals())
    1
    >>> len(torch.serialization.get_safe_globals())
    0
    """
    before = settings.safe_globals
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        settings.safe_globals = before


def safe_names():
    """The full names in files that :func:`add_safe_globals` allows, with what they stand for."""
    table = {}
    for item in settings.safe_globals:
        obj, name = item if isinstance(item, tuple) else (item, f"{names.from_file(item.__module__)}.{item.__qualname__}")
        table[name] = obj
    return table


def get_crc32_options():
    """True if :func:`save` writes checksums.

    >>> torch.serialization.get_crc32_options()
    True
    """
    return settings.checksums


def set_crc32_options(compute_crc32):
    """Choose whether :func:`save` writes checksums; without them damage to a file goes unnoticed.

    >>> torch.serialization.set_crc32_options(True)
    """
    settings.checksums = bool(compute_crc32)


def get_default_load_endianness():
    """The byte order of files that do not state theirs; None for that of this machine.

    >>> torch.serialization.get_default_load_endianness() is None
    True
    """
    return settings.endianness


def set_default_load_endianness(endianness):
    """Set the byte order of files that do not state theirs: a :class:`LoadEndianness` or None.

    >>> torch.serialization.set_default_load_endianness(torch.serialization.LoadEndianness.LITTLE)
    >>> torch.serialization.get_default_load_endianness()
    <LoadEndianness.LITTLE: 2>
    >>> torch.serialization.set_default_load_endianness(None)
    """
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    settings.endianness = endianness


def get_default_mmap_options():
    """How ``load(mmap=True)`` maps: ``mmap.MAP_PRIVATE`` (writes stay in memory) or ``mmap.MAP_SHARED`` (writes go to
    the file).

    >>> import mmap
    >>> torch.serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    True
    """
    import mmap

    return mmap.MAP_PRIVATE if settings.mmap_flags is None else settings.mmap_flags


class set_default_mmap_options:
    """Set how ``load(mmap=True)`` maps; as a context manager, for a block.

    >>> import mmap
    >>> with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
    ...     torch.serialization.get_default_mmap_options() == mmap.MAP_SHARED
    True
    """

    def __init__(self, flags):
        import mmap

        if flags not in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or "
                f"mmap.MAP_SHARED, but got {flags}"
            )
        self._before = settings.mmap_flags
        settings.mmap_flags = flags

    def __enter__(self):
        return self

    def __exit__(self, *error):
        settings.mmap_flags = self._before


@contextmanager
def skip_data(materialize_fake_tensors=False):
    """A block in which :func:`save` writes zeros instead of the tensors' bytes: a file of the right layout, to be
    filled later.

    >>> with torch.serialization.skip_data():
    ...     torch.save(torch.ones(3), "layout.pt")
    >>> torch.load("layout.pt")
    tensor([0., 0., 0.])
    """
    before, settings.skip_data = settings.skip_data, True
    try:
        yield
    finally:
        settings.skip_data = before


def register_package(priority, tagger, deserializer):
    """Teach the module another kind of device.

    ``tagger(storage)`` gives the text that is saved as a storage's location, or None; ``deserializer(storage,
    location)`` the storage on the device of that location, or None. Lower priorities are asked first.

    >>> def tag(storage):  # no storage is ours
    ...     return None
    >>> torch.serialization.register_package(50, tag, lambda storage, location: None)
    """
    settings.packages = tuple(
        sorted((*settings.packages, (priority, tagger, deserializer)), key=lambda entry: entry[0])
    )
