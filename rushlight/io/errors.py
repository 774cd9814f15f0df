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
