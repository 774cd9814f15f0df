"""``torch._foreach_add(tensors, ...)`` and its like: an operator on each tensor of a list. Optimizers outside of the library use them.

The operators are those of the registry; there is nothing to list here.
"""

from . import ops

_FORMS = {
    "norm": lambda x, ord=2, dtype=None: _vector_norm(x, ord, dtype=dtype),
    "powsum": lambda x, ord=2, dtype=None: x.to(dtype or x.dtype).abs().pow(ord).sum(),
}
"""Where the name means another operator than it means for one tensor."""


def _vector_norm(x, ord, dtype):
    import rushlight

    return rushlight.linalg.vector_norm(x, ord, dtype=dtype)


def foreach(name):
    """The function called ``_foreach_NAME``; AttributeError if there is no operator NAME. With a last _ it overwrites its first list."""
    base = name.removeprefix("_foreach_")
    methods = ops.face("method")
    operator = _FORMS.get(base) or ops.face("function").get(base) or methods.get(base) or ops.face("inplace").get(base.removesuffix("_"))
    if operator is None:
        raise AttributeError(f"module 'rushlight' has no attribute '{name}'\n  There is no operator {base}.")
    inplace = base.endswith("_")

    def call(*args, **kwargs):
        first = next((a for a in args if isinstance(a, (list, tuple))), None)
        if first is None:
            raise TypeError(f"{name}(): expected a list of tensors")
        n = len(first)
        if n == 0:
            raise RuntimeError("Tensor list must have at least one tensor.")
        for value in (*args, *kwargs.values()):
            if isinstance(value, (list, tuple)) and len(value) != n:
                raise RuntimeError(f"Tensor lists must have the same number of tensors, got {n} and {len(value)}")
        by_value = base.rstrip("_") in ("addcmul", "addcdiv")
        for word in ("scalar", "scalars"):  # one number for all, or one for each
            if word in kwargs and by_value:
                kwargs["value"] = kwargs.pop(word)
            elif word in kwargs:
                args = (*args, kwargs.pop(word))
        if by_value and len(args) > 3:
            args, kwargs["value"] = args[:3], args[3]

        def at(value, i):
            return value[i] if isinstance(value, (list, tuple)) else value

        def one(i):
            given, named = [at(a, i) for a in args], {k: at(v, i) for k, v in kwargs.items() if k != "non_blocking"}
            return getattr(given[0], base)(*given[1:], **named) if inplace else operator(*given, **named)

        results = [one(i) for i in range(n)]
        return list(args[0]) if inplace else tuple(results)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"``{base}`` on each tensor of a list; other lists give one argument for each."
    return call
