"""Is there what mixed precision on a GPU needs?"""

from ...amp import is_autocast_available

__all__ = ["amp_definitely_not_available"]


def amp_definitely_not_available():
    """True: there is no GPU.

    >>> torch.cuda.amp.common.amp_definitely_not_available()
    False
    """
    return not is_autocast_available("cuda")
