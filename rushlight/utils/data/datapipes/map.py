"""Data sets with random access that belong to chains."""

from ..dataset import Dataset

__all__ = ["MapDataPipe", "SequenceWrapper"]


class MapDataPipe(Dataset):
    """Base class of pipes with random access.

    >>> pipe = torch.utils.data.datapipes.map.SequenceWrapper("abc")
    >>> isinstance(pipe, torch.utils.data.MapDataPipe), pipe[1], len(pipe)
    (True, 'b', 3)
    """


class SequenceWrapper(MapDataPipe):
    """Any sequence or mapping as a pipe."""

    def __init__(self, sequence, deepcopy=True):
        import copy

        self.sequence = copy.deepcopy(sequence) if deepcopy else sequence

    def __getitem__(self, index):
        return self.sequence[index]

    def __len__(self):
        return len(self.sequence)
