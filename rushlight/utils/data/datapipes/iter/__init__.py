"""Streams that can be chained."""

from ...dataset import IterableDataset

__all__ = ["Batcher", "IterDataPipe", "IterableWrapper", "Shuffler"]


_functions = {}  # name of a method of all pipes -> its class


class IterDataPipe(IterableDataset):
    """Base class of streams that registered methods chain: ``pipe.batch(4)`` is ``Batcher(pipe, 4)``.

    >>> pipe = torch.utils.data.datapipes.iter.IterableWrapper(range(5))
    >>> isinstance(pipe, torch.utils.data.IterDataPipe), list(pipe.batch(2))
    (True, [[0, 1], [2, 3], [4]])
    """

    def __getattr__(self, name):
        if name in _functions:
            return lambda *args, **kwargs: _functions[name](self, *args, **kwargs)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @classmethod
    def register_datapipe_as_function(cls, function_name, cls_to_register, enable_df_api_tracing=False):
        """Make ``pipe.function_name(...)`` build a ``cls_to_register``."""
        if function_name in _functions:
            raise Exception(f"Unable to add DataPipe function name {function_name} as it is already taken")
        _functions[function_name] = cls_to_register


class functional_datapipe:
    """A class decorator: ``@functional_datapipe("name")`` makes the class a method ``name`` of all pipes.

    >>> @torch.utils.data.functional_datapipe("twice")
    ... class Twice(torch.utils.data.IterDataPipe):
    ...     def __init__(self, source):
    ...         self.source = source
    ...     def __iter__(self):
    ...         return (2 * x for x in self.source)
    >>> list(torch.utils.data.datapipes.iter.IterableWrapper([1, 2]).twice())
    [2, 4]
    """

    def __init__(self, name, enable_df_api_tracing=False):
        self.name = name

    def __call__(self, cls):
        IterDataPipe.register_datapipe_as_function(self.name, cls)
        return cls


class IterableWrapper(IterDataPipe):
    """Any iterable as a pipe."""

    def __init__(self, iterable, deepcopy=True):
        self.iterable, self.deepcopy = iterable, deepcopy

    def __iter__(self):
        import copy

        return iter(copy.deepcopy(self.iterable) if self.deepcopy else self.iterable)

    def __len__(self):
        return len(self.iterable)


@functional_datapipe("batch")
class Batcher(IterDataPipe):
    """Lists of ``batch_size`` items of ``datapipe``, made by ``wrapper_class``; with ``drop_last`` only whole ones."""

    def __init__(self, datapipe, batch_size, drop_last=False, wrapper_class=list):
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe, self.batch_size = datapipe, batch_size
        self.drop_last, self.wrapper_class = drop_last, wrapper_class

    def __iter__(self):
        batch = []
        for item in self.datapipe:
            batch.append(item)
            if len(batch) == self.batch_size:
                yield self.wrapper_class(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.wrapper_class(batch)

    def __len__(self):
        extra = 0 if self.drop_last else self.batch_size - 1
        return (len(self.datapipe) + extra) // self.batch_size


from .combinatorics import ShufflerIterDataPipe as Shuffler  # noqa: E402
