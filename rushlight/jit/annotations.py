"""Names for annotations in functions that PyTorch would compile."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: F401, UP035


class _Broadcasting:
    """``BroadcastingList2[int]``: an int, or a list of two."""

    def __getitem__(self, kind):
        return kind


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = _Broadcasting()
