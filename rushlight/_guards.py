"""What PyTorch's compiler keeps of a program that it traces; programs ask whether it does so just now."""


def active_fake_mode():
    """None: nothing is traced with tensors that have no values."""
    return None


def detect_fake_mode(inputs=None):
    """None, as :func:`active_fake_mode`."""
    return None


class TracingContext:
    """What is known of the trace that is being taken."""

    @staticmethod
    def try_get():
        """None: no trace is being taken."""
        return None
