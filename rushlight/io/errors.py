"""What loading a file may raise besides the system's own errors."""

import pickle


class CheckpointError(RuntimeError, pickle.UnpicklingError):
    """A damaged or unreadable file. Both a RuntimeError and an UnpicklingError, since PyTorch raises one or the
    other.
    """


class TruncatedFile(CheckpointError, EOFError):
    """A file that ends too early."""


class NotACheckpoint(CheckpointError, KeyError):
    """A file of another kind."""

    __str__ = Exception.__str__  # KeyError would print the text in quotes


class UnsafeContent(pickle.UnpicklingError):
    """A file that asks for something outside the closed set of things that a checkpoint may hold."""


def brief(value):
    """``value`` for a message: short, and safe for values whose whole text would fill the memory (tuples of shared
    tuples).
    """
    if type(value) in (str, bytes):
        return repr(value[:60])
    return repr(value) if value is None or type(value) in (bool, float) else f"a {type(value).__name__}"
