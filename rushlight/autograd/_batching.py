"""vmap's meaning of a call: a rule per family, a few by name, and a loop for the rest; and of gradients and custom Functions."""

import functools
import types
from collections import namedtuple

from .._core import operator
from .._core.tensor import Tensor
from ..utils._pytree import tree_flatten
from ._batching_families import declared, folded, front, loop, pointwise, rowwise, writes
from ._batching_random import DRAWING, draw
from ._batching_rules import RULES
from .vmap import Batched, CannotBatch, _levels, batch_size, leading, unwrap, wrap


def call(func, args, kwargs):
    """An operator on arguments of which some are batched: taken apart at the innermost of their levels."""
    leaves, _ = tree_flatten((args, kwargs))
    level = max(x.level for x in leaves if isinstance(x, Batched))
    name = getattr(func, "__name__", str(func))
    if kwargs.get("out", 0) is None:
        kwargs = {k: v for k, v in kwargs.items() if k != "out"}
    if writes(func) and args:
        _check_written(name, args, level)
    rule = draw if name in DRAWING else RULES.get(name) or _family_rule(func)
    return rule(func, args, kwargs, level)


_ARITHMETIC = frozenset(
    "mul_ multiply_ sub_ div_ divide_ true_divide_ copy_ masked_fill_ logical_and_ logical_or_ logical_xor_ clamp_min_ clamp_max_".split()
)
_NAMED = frozenset("fill_ index_add_ index_fill_ index_put_ scatter_add_ scatter_reduce_".split())
_BROADCAST = frozenset("add_ atan2_ bitwise_and_ bitwise_or_ bitwise_xor_ copysign_ gcd_ lcm_".split())  # which speak of shapes in PyTorch


def _check_written(name, args, level):
    """Raises where there is no room for what a call writes in place: the tensor is one for all examples, or lies as one."""
    target, bdim = unwrap(args[0], level)
    if bdim is None and name not in _BROADCAST and name not in DRAWING:
        if name == "__setitem__":
            key, _ = tree_flatten(args[1])
            name = "index_put_" if any(isinstance(x, Tensor) for x in key) else "copy_"
        what = "inplace arithmetic" if name in _ARITHMETIC else name if name in _NAMED else f"aten::{name}"
        where = f"at level {level}" if what.startswith("aten") else "in a vmap"
        raise CannotBatch(
            f"vmap: {what}(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that has more elements "
            f"than `self`. This happened due to `other` being vmapped over but `self` not being vmapped over {where}. Please try to use "
            f"out-of-place operators instead of {what}. If said operator is being called inside the PyTorch framework, please file a bug "
            "report instead."
        )
    if bdim is not None and target.shape[bdim] > 1 and target.stride(bdim) == 0:
        raise CannotBatch(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )


def _family_rule(func):
    if isinstance(func, operator.Rowwise):  # (a Pointwise, too)
        return rowwise
    if isinstance(func, (operator.Pointwise, operator.InPlace)):
        return pointwise
    if getattr(func, "batch", None):
        return {"elements": pointwise, "fold": folded, "written": _as_written}.get(func.batch, declared)
    is_composite = isinstance(func, operator.Library) and func.backward is None and not hasattr(func, "backward_of")
    if is_composite and not _touches_memory(func.forward):
        return _as_written
    return loop


_MEMORY = {
    f"rushlight._core.{room}"
    for room in (
        "attention", "blas", "conv", "convert", "indexing", "joining", "lapack", "movement", "random", "recurrent", "scan", "sorting",
        "special",
    )
}  # fmt: skip


@functools.cache
def _touches_memory(function):
    """Does a composition, or a function of the operators' room that it calls, work on memory past the operators?

    Such a one would see the first example only. Told from the names in its code, so rather too often than too seldom.
    """
    seen, stack = set(), [function]
    while stack:
        function = stack.pop()
        if function in seen:
            continue
        seen.add(function)
        codes = [function.__code__]
        for code in codes:
            codes.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
        names = {n for code in codes for n in code.co_names}
        if names & {"forward", "run_grad"}:  # a walk through a graph of its own would take the batch for one example
            return True
        enclosed = [cell.cell_contents for cell in function.__closure__ or ()]
        if any(callable(f) and not hasattr(f, "__code__") and not isinstance(f, operator.Operator) for f in enclosed):
            return True
        for value in [*(function.__globals__.get(n) for n in names), *enclosed]:
            if isinstance(value, types.ModuleType):
                if value.__name__ in _MEMORY:
                    return True
                if value.__name__.startswith("rushlight.ops"):
                    stack.extend(f for f in (getattr(value, n, None) for n in names) if isinstance(f, types.FunctionType))
            elif isinstance(value, types.FunctionType) and value.__module__.startswith("rushlight.ops"):
                stack.append(value)
    return False


def _as_written(func, args, kwargs, level):
    """A composition: the operators it calls come here one by one.

    Where it asks for values, or fills a tensor of its own piece by piece, it runs once per example instead.
    """
    try:
        return func.forward(*args, **kwargs)
    except CannotBatch:
        if writes(func):
            raise
        return loop(func, args, kwargs, level)


# -- gradients --


def grad(outputs, inputs, vectors, keep, create, allow_unused):
    """autograd.grad where tensors may be batched: one pass for the batch if all are, else one per example."""
    from .._core import tape
    from . import grad as run

    levels = [x.level for x in (*outputs, *inputs, *(vectors or ())) if isinstance(x, Batched)]
    if not levels:
        return tape.run_grad(outputs, vectors, keep, create, inputs, allow_unused)
    level = max(levels)
    options = {"create_graph": create, "allow_unused": allow_unused}
    if vectors is None:
        vectors = tuple(_one_for_scalar(o) for o in outputs)
    parts = [unwrap(x, level) for x in inputs]
    if all(unwrap(x, level)[1] is not None for x in (*outputs, *inputs)):
        found = run(
            [front(o, level)[0] for o in outputs],
            [x for x, _ in parts],
            [leading(v, level) for v in vectors],
            retain_graph=keep,
            **options,
        )
        return tuple(None if g is None else wrap(g, d, level) for g, (_, d) in zip(found, parts))
    rows = []
    for i in range(batch_size(level)):
        found = run(
            [_example(o, level, i) for o in outputs],
            [x for x, _ in parts],
            [_example(v, level, i) for v in vectors],
            retain_graph=keep or i + 1 < batch_size(level),
            **options,
        )
        rows.append([g if g is None or d is None else g.select(d, i) for g, (_, d) in zip(found, parts)])
    return tuple(None if column[0] is None else wrap(_stack(column), 0, level) for column in zip(*rows))


def _one_for_scalar(output):
    if output.numel() != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    return output.detach().new_ones(output.shape)


def _example(x, level, i):
    value, bdim = unwrap(x, level)
    return value if bdim is None else value.select(bdim, i)


def _stack(tensors):
    import rushlight

    return rushlight.stack(tensors)


def run_backward(backward, step, grads, count):
    """``step(grads)`` of a library operator's node where ``grads`` have a dim of ``count`` examples in front: its backward under vmap.

    NotImplemented where backward works on memory past the operators, or asks for values: once per example then.
    """
    if _touches_memory(backward):
        return NotImplemented
    level = len(_levels.stack) + 1
    _levels.stack.append((count, "same"))
    try:
        results = step([None if g is None else wrap(g, 0, level) for g in grads])
        return [None if r is None else leading(r, level) for r in results]
    except CannotBatch:
        return NotImplemented
    finally:
        _levels.stack.pop()


# -- custom Functions --


def call_function(cls, args, kwargs):
    """Function.apply where interpreters are active: by the Function's own vmap rule, or once per example."""
    from .function import Function, run

    leaves, _ = tree_flatten((args, kwargs))
    levels = [x.level for x in leaves if isinstance(x, Batched)]
    if not levels:
        return run(cls, args, kwargs)
    level = max(levels)
    if cls.vmap is Function.vmap:

        def apply(*args, **kwargs):
            return cls.apply(*args, **kwargs)

        return loop(apply, args, kwargs, level)
    return by_rule(cls.vmap, args, level)


def by_rule(rule, args, level):
    """What a user's rule, ``rule(info, in_dims, *args) -> (output, out_dims)``, makes of arguments of which some are batched."""
    size, randomness = _levels.stack[level - 1]
    parts = [unwrap(a, level) for a in args]
    result, out_dims = rule(VmapInfo(size, randomness), tuple(d for _, d in parts), *(v for v, _ in parts))
    if isinstance(result, tuple):
        dims = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(result)
        return tuple(wrap(r, d, level) for r, d in zip(result, dims))
    return wrap(result, out_dims, level)


class VmapInfo(namedtuple("VmapInfo", "batch_size randomness")):
    """What a Function's vmap rule is told: the batch size and the randomness mode."""

    __slots__ = ()
