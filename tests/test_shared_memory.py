"""Writes to memory that operands share, or that several elements are: what PyTorch refuses, and what it writes with a warning."""

import warnings

import pytest
from oracle import torch

import rushlight as rl

WAYS = ("expanded rows", "expanded columns", "the same", "shifted", "turned", "between")
SHARED = "some elements of the input tensor and the written-to tensor refer to a single memory location"
MASK = [[True, False, True, False]] * 4

# name -> (what the shared operand is: "all" as large as the target, "row" one of its rows, "element"; the call)
WRITES = {
    "index_add_": ("all", lambda T, t, s: t.index_add_(0, order(T), s)),
    "index_add_ at itself": ("row", lambda T, t, s: t.index_add_(0, s, source(T))),
    "index_copy_": ("all", lambda T, t, s: t.index_copy_(0, order(T), s)),
    "index_fill_ at itself": ("row", lambda T, t, s: t.index_fill_(0, s, 7)),
    "index_fill_ with an element": ("element", lambda T, t, s: t.index_fill_(0, order(T), s)),
    "index_put_": ("all", lambda T, t, s: t.index_put_((order(T),), s)),
    "index_put_ of a row": ("row", lambda T, t, s: t.index_put_((order(T),), s)),
    "index_put_ added": ("all", lambda T, t, s: t.index_put_((order(T),), s, accumulate=True)),
    "x[index] = y": ("all", lambda T, t, s: t.__setitem__(order(T), s)),
    "x[index] = element": ("element", lambda T, t, s: t.__setitem__(order(T), s)),
    "x[:] = row": ("row", lambda T, t, s: t.__setitem__(slice(None), s)),
    "x[:] = 3": ("all", lambda T, t, s: t.__setitem__(slice(None), 3)),
    "x[...] = element": ("element", lambda T, t, s: t.__setitem__(..., s)),
    "scatter_": ("all", lambda T, t, s: t.scatter_(0, places(T), s)),
    "scatter_ at itself": ("all", lambda T, t, s: t.scatter_(0, s, 5)),
    "scatter_add_": ("all", lambda T, t, s: t.scatter_add_(0, places(T), s)),
    "scatter_reduce_": ("all", lambda T, t, s: t.scatter_reduce_(0, places(T), s, "sum")),
    "masked_fill_": ("all", lambda T, t, s: t.masked_fill_(T.tensor(MASK), 7)),
    "masked_fill_ with an element": ("element", lambda T, t, s: t.masked_fill_(T.tensor(MASK), s)),
    "put_": ("all", lambda T, t, s: t.put_(places(T), s)),
    "copy_ of a row": ("row", lambda T, t, s: t.copy_(s)),
    "fill_": ("all", lambda T, t, s: t.fill_(3)),
    "fill_ with an element": ("element", lambda T, t, s: t.fill_(s)),
    "zero_": ("all", lambda T, t, s: t.zero_()),
    "add_ of a row": ("row", lambda T, t, s: t.add_(s)),
    "add_ of an element": ("element", lambda T, t, s: t.add_(s)),
    "gcd_": ("all", lambda T, t, s: t.gcd_(s)),
    "where": ("all", lambda T, t, s: T.where(T.tensor(MASK), s, source(T), out=t)),
    "gather": ("all", lambda T, t, s: T.gather(s, 0, places(T), out=t)),
    "index_select": ("all", lambda T, t, s: T.index_select(s, 0, order(T), out=t)),
    "take": ("all", lambda T, t, s: T.take(s, places(T), out=t)),
    "take_along_dim": ("all", lambda T, t, s: T.take_along_dim(s, places(T), 0, out=t)),
    "index_add": ("all", lambda T, t, s: T.index_add(s, 0, order(T), source(T), out=t)),
    "index_add from out": ("all", lambda T, t, s: T.index_add(source(T), 0, order(T), s, out=t)),
    "scatter": ("all", lambda T, t, s: T.scatter(s, 0, places(T), source(T), out=t)),
    "add": ("all", lambda T, t, s: T.add(s, source(T), out=t)),
    "div": ("all", lambda T, t, s: T.div(s, source(T) + 1, rounding_mode="trunc", out=t)),
    "eq": ("all", lambda T, t, s: T.eq(s, source(T), out=t)),
    "sort": ("all", lambda T, t, s: T.sort(s, out=(t, T.empty(0, dtype=T.int64)))),
    "topk": ("all", lambda T, t, s: T.topk(s, 4, out=(t, T.empty(0, dtype=T.int64)))),
    "max": ("all", lambda T, t, s: T.max(s, 0, keepdim=True, out=(t[:1], T.empty(0, dtype=T.int64)))),
    "cumsum": ("all", lambda T, t, s: T.cumsum(s, 0, out=t)),
    "addmm": ("all", lambda T, t, s: T.addmm(s, source(T), source(T), out=t)),
    "kron": ("element", lambda T, t, s: T.kron(s, source(T), out=t)),
    "masked_select": ("all", lambda T, t, s: T.masked_select(s, T.tensor(MASK), out=t[:2].reshape(-1))),
}
# where PyTorch's result follows from the order in which it reads what it has written
IN_NO_ORDER = {
    ("index_fill_ at itself", "turned"), ("x[:] = row", "shifted"), ("add_ of a row", "turned"), ("add_ of a row", "between"),
    ("add_ of an element", "between"), ("index_select", "between"), ("gather", "between"), ("take", "between"), ("kron", "between"),
}  # fmt: skip


def order(T):
    return T.tensor([0, 2, 1, 3])


def source(T):
    return T.arange(16).reshape(4, 4) + 10


def places(T):
    return (T.arange(16) % 4).reshape(4, 4).t().contiguous()


def shared(T, kind, way):
    """A target of 4 x 4 small integers and the operand that shares its memory, or that has its own where the target alone is at fault."""
    memory, own = T.arange(64) % 4, {"all": source(T), "row": order(T), "element": T.tensor(3)}[kind]
    if way == "expanded rows":
        return memory[:4].expand(4, 4), own
    if way == "expanded columns":
        return memory[:4].unsqueeze(1).expand(4, 4), own
    target = memory[:32:2].view(4, 4) if way == "between" else memory[:16].view(4, 4)
    if kind == "element":
        return target, target[1, 1]
    if kind == "row":
        return target, {"the same": target[1], "between": target[1], "shifted": memory[2:6], "turned": target[:, 1]}[way]
    return target, {"the same": target, "shifted": memory[1:17].view(4, 4), "turned": target.t(), "between": memory[1:33:2].view(4, 4)}[way]


def outcome(T, name, way):
    kind, call = WRITES[name]
    target, operand = shared(T, kind, way)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            call(T, target, operand)
        except (RuntimeError, IndexError) as error:
            return type(error).__name__, str(error).splitlines()[0][:100]
    return target.tolist(), sorted({str(w.message).partition(" (Triggered")[0] for w in told})


@pytest.mark.parametrize("name", WRITES)
def test_as_pytorch(name):
    for way in WAYS:
        if (name, way) not in IN_NO_ORDER:
            assert outcome(rl, name, way) == outcome(torch, name, way), way


def test_an_expanded_target_of_a_mask():
    """A place is filled where the mask holds for any of the elements that lie there."""
    mask = [[True, False, False], [False, False, True]]
    for T in (torch, rl):
        x = T.zeros(1, 3)
        with pytest.warns(UserWarning, match="Use of masked_fill_ on expanded tensors is deprecated"):
            assert x.expand(2, 3).masked_fill_(T.tensor(mask), 5).tolist() == [[5, 0, 5]] * 2
        assert x.tolist() == [[5, 0, 5]]


@pytest.mark.parametrize("name", ["abs", "exp", "logical_not", "special.airy_ai", "special.ndtri", "nn.functional.softshrink"])
def test_functions_of_one_operand(name):
    for T in (torch, rl):
        function = T
        for part in name.split("."):
            function = getattr(function, part)
        x = T.rand(9)
        with pytest.raises(RuntimeError, match=SHARED):
            function(x[1:], out=x[:-1])
        assert function(x, out=x) is x


@pytest.mark.parametrize("mode", [None, "floor", "trunc"])
def test_rounded_quotients(mode):
    for T in (torch, rl):
        x = T.rand(9) + 1
        with pytest.raises(RuntimeError, match=SHARED):
            x[1:].div_(x[:-1], rounding_mode=mode)
        assert x.div_(x, rounding_mode=mode).tolist() == [1] * 9


# One call, two things wrong: an element of an index that is out of range and memory that is shared. The element is looked at last.
LAST = {
    "take": lambda T, t, at: T.take(t, at, out=t[:2]),
    "index_select": lambda T, t, at: T.index_select(t, 0, at, out=t[:2]),
    "gather": lambda T, t, at: T.gather(t, 0, at, out=t[:2]),
    "put_": lambda T, t, at: t[:1].expand(3).put_(at, T.ones(2)),
    "index_copy_": lambda T, t, at: t[:1].expand(3).index_copy_(0, at, T.ones(2)),
}


@pytest.mark.parametrize("name", LAST)
def test_elements_of_an_index_are_looked_at_last(name):
    said = []
    for library in (torch, rl):
        with pytest.raises(RuntimeError) as caught:
            LAST[name](library, library.arange(3.0), library.tensor([0, 9]))
        said.append(str(caught.value).split("\n")[0])
    assert said[0] == said[1] and "memory location" in said[1]


def test_a_dim_of_an_error_is_no_element():
    """An error that only reads like one for an element is said before memory."""
    for library in (torch, rl):
        x = library.arange(9.0).reshape(3, 3)
        with pytest.raises(IndexError, match="out of range"):
            library.select_copy(x, 0, 9, out=x[0])
