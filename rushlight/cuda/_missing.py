"""The one answer of everything that needs a GPU."""

TEXT = """Torch not compiled with CUDA enabled
  This version of rushlight computes on the CPU only. Ask torch.cuda.is_available() (False here) before using the GPU, or choose with
  device = 'cuda' if torch.cuda.is_available() else 'cpu'."""


def missing():
    """The exception to raise."""
    return AssertionError(TEXT)


def needs_gpu(name):
    """A function of this name that raises it."""

    def refuse(*args, **kwargs):
        raise missing()

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises AssertionError: it needs a GPU."
    return refuse
