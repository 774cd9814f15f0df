"""The laws: what holds for every pointwise and rowwise operator, checked against PyTorch.

Values for each dtype and layout, promotion with numbers and 0-dim tensors, in-place and out= forms, gradients to second order, refusals.
"""

import os
import zlib

import pytest
import rows
from oracle import DTYPES, both, same, to_rl, torch

import rushlight as rl

ALL = bool(os.environ.get("RUSHLIGHT_TEST_ALL"))
POINTWISE = [e for e in rows.entries("pointwise")]
LAYOUTS = ("dense", "transposed", "strided", "broadcast", "empty", "scalar")


def find(library, entry):
    """The operator in a library by the face on which it is public, or None."""
    for face, path in (("function", ()), ("functional", ("nn", "functional")), ("special", ("special",))):
        if face in entry.where:
            home = library
            if library is rl and face != "function":
                return entry.operator
            for part in path:
                home = getattr(home, part)
            return getattr(home, entry.name, None)
    return None


def draw(entry, dtype, layout="dense", seed=0, grad=False):
    """Operands for one call: PyTorch tensors of a dtype, inside the operator's domain."""
    g = torch.Generator().manual_seed(zlib.crc32(entry.name.encode()) + seed)
    spans = rows.DOMAIN.get(entry.name, [(-3, 3)])
    kind = getattr(torch, dtype)
    out = []
    for i, _ in enumerate(rows.operands(entry.operator)):
        low, high = spans[min(i, len(spans) - 1)]
        size = {"dense": (3, 5), "transposed": (5, 3), "strided": (6, 10), "broadcast": ((3, 5), (5,), (3, 1))[i % 3],
                "empty": (0, 5), "scalar": ()}[layout]  # fmt: skip
        fixed = entry.operator.fixed[i]
        if fixed == 0:
            x = torch.rand(size, generator=g) > 0.5
        elif kind is torch.bool:
            x = torch.rand(size, generator=g) > 0.4
        elif kind.is_floating_point:
            x = (torch.rand(size, generator=g, dtype=torch.float64) * (high - low) + low).to(kind)
        elif kind.is_complex:
            x = torch.randn(size, generator=g, dtype=torch.complex128).to(kind)
        else:
            low, high = (1, 6) if entry.name in rows.SHIFTS or (low > 0 and i) or kind is torch.uint8 else (-5, 6)
            x = torch.randint(low, high, size, generator=g).to(kind)
        if layout == "transposed":
            x = x.t()
        elif layout == "strided":
            x = x[::2, ::2]
        if grad and (x.is_floating_point() or x.is_complex()):
            x = x.detach().requires_grad_()
        out.append(rows.NUMBERS.get(entry.name, {}).get(i, x))
    return out + rows.OPTIONAL.get(entry.name, [])


def law(entry, *args, where, scale=1, **kwargs):
    """One call under both libraries: equal results, or both refuse."""
    reference = find(torch, entry)
    (want, refused), (got, error) = both(lambda lib, *a, **k: (reference if lib is torch else find(rl, entry))(*a, **k), *args, **kwargs)
    if isinstance(refused, (NotImplementedError, TypeError)):
        return None  # a dtype or a number that PyTorch does not take: rushlight may know what to do with it
    if refused is not None:
        if (entry.name, "refusals") in rows.DIFFERENT:
            return None
        assert error is not None, f"{where}: PyTorch raises {type(refused).__name__}: {refused}; rushlight returns {got}"
        return None
    if error is not None:
        raise AssertionError(f"{where}: PyTorch returns a result, rushlight raises") from error
    same(got, want, where, scale)
    return got


def has_reference(entry):
    return find(torch, entry) is not None


def ids(entries):
    return [e.name for e in entries]


KNOWN = [e for e in POINTWISE if has_reference(e)]
LOW_PRECISION = 3  # PyTorch rounds some half-width operators between steps


@pytest.mark.parametrize("entry", KNOWN, ids=ids(KNOWN))
def test_values_in_every_dtype(entry):
    rotating = DTYPES if ALL else ("float32", "float64", "int64", "bool", "bfloat16", "complex64")
    for dtype in rotating:
        if entry.name not in rows.ROUNDED or dtype not in ("float16", "bfloat16"):
            law(entry, *draw(entry, dtype), where=f"{entry.name}({dtype})", scale=LOW_PRECISION)


@pytest.mark.parametrize("entry", KNOWN, ids=ids(KNOWN))
def test_layouts(entry):
    for layout in LAYOUTS:
        dtype = "int64" if entry.options["dtypes"] == "integral" else "float32"
        law(entry, *draw(entry, dtype, layout), where=f"{entry.name} on {layout} operands", scale=LOW_PRECISION)


@pytest.mark.parametrize("entry", [e for e in KNOWN if len(rows.operands(e.operator)) == 2], ids=lambda e: e.name)
def test_promotion(entry):
    x, y = draw(entry, "float32")
    i, _ = draw(entry, "int64")
    pairs = [(x, 2), (x, 2.5), (x, True), (x, y.double()), (x, y[0, 0].double()), (x.half(), y)]
    for a, b in [*pairs, (i, 2), (i, 2.5), (i, y), (i, y[0, 0]), (i.int(), i)]:
        law(entry, a, b, where=f"{entry.name}({a.dtype}, {getattr(b, 'dtype', b)})", scale=LOW_PRECISION)


@pytest.mark.parametrize("entry", [e for e in KNOWN if "inplace" in e.where and "method" in e.where], ids=lambda e: e.name)
def test_in_place_and_out(entry):
    for dtype in ("float32", "int64", "bool"):
        args = draw(entry, dtype)
        method = entry.name + "_"
        if not hasattr(torch.Tensor, method):
            continue
        (want, refused), (got, error) = both(lambda lib, x, *rest, method=method: (x, getattr(x, method)(*rest)), *args)
        if isinstance(refused, (NotImplementedError, TypeError)):
            continue
        assert (refused is None) == (error is None), f"{method}({dtype}): PyTorch {refused!r}, rushlight {error!r}"
        if refused is None:
            same(got[0], want[0], f"{method}({dtype})", LOW_PRECISION)
            assert got[0] is got[1]
    if "function" in entry.where:
        args = to_rl(draw(entry, "float32" if entry.options["dtypes"] != "integral" else "int64"))
        plain = entry.operator(*args)
        out = rl.empty(plain.shape, dtype=plain.dtype)
        assert entry.operator(*args, out=out) is out
        same_again = entry.operator(*args)
        assert str(out.tolist()) == str(same_again.tolist())


@pytest.mark.parametrize("entry", KNOWN, ids=ids(KNOWN))
def test_inputs_stay_unmodified(entry):
    args = to_rl(draw(entry, "int64" if entry.options["dtypes"] == "integral" else "float32"))
    before = [str(a) for a in args]
    find(rl, entry)(*args)
    assert [str(a) for a in args] == before


def grads(library, function, args, order):
    """The function's gradients, weighted unevenly, of first or second order."""
    y = function(*args)
    if isinstance(y, (tuple, list)):
        y = y[0]
    wrt = [a for a in args if getattr(a, "requires_grad", False)]
    if not y.requires_grad:
        return None
    weight = (library.arange(y.numel(), dtype=y.dtype if not y.dtype.is_complex else None) * 0.37 + 0.5).to(y.dtype).reshape(tuple(y.shape))
    first = library.autograd.grad(y, wrt, weight, create_graph=order > 1, allow_unused=True)
    if order == 1:
        return list(first)
    used = [g for g in first if g is not None and g.requires_grad]
    if not used:
        return None
    total = sum((g.abs() if g.dtype.is_complex else g * g).sum() for g in used)
    return list(library.autograd.grad(total, wrt, allow_unused=True))


DIFFERENTIABLE = [e for e in KNOWN if e.options["dtypes"] != "integral"]


DIFFERENTIABLE_HERE = ("special_spherical_bessel_j0", "spherical_bessel_j0")
"""PyTorch records nothing for these."""


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("entry", DIFFERENTIABLE, ids=ids(DIFFERENTIABLE))
def test_gradients(entry, order):
    for dtype, layout in (("float64", "dense"), ("float64", "broadcast"), ("float32", "transposed"), ("complex128", "dense")):
        args = draw(entry, dtype, layout, grad=True)
        (want, refused), (got, error) = both(lambda lib, *a: grads(lib, find(lib, entry), a, order), *args)
        where = f"order-{order} gradient of {entry.name}({dtype}, {layout})"
        if refused is not None:
            continue
        if error is not None:
            raise AssertionError(f"{where}: PyTorch has it, rushlight raises") from error
        if want is None and entry.name in DIFFERENTIABLE_HERE:
            continue
        if want is None or got is None:
            assert (want is None) == (got is None) or order > 1, f"{where}: PyTorch {want}, rushlight {got}"
            continue
        for g, w in zip(got, want):
            w = torch.zeros(0) if w is None else w
            g = rl.zeros(0) if g is None else g
            if tuple(g.shape) != tuple(w.shape) and 0 in (g.numel(), w.numel()):  # None and zeros are the same gradient
                assert not (rl.zeros(1) if g.numel() == 0 else g).any() and not (torch.zeros(1) if w.numel() == 0 else w).any(), where
                continue
            same(g, w, where, scale=100)


@pytest.mark.parametrize("entry", KNOWN, ids=ids(KNOWN))
def test_node_name(entry):
    if entry.options["dtypes"] == "integral" or (entry.name, "node") in rows.DIFFERENT:
        pytest.skip(rows.DIFFERENT.get((entry.name, "node"), "integers have no gradient"))
    args = draw(entry, "float64", grad=True)
    want, got = (r[0] for r in both(lambda lib, *a: (find(torch, entry) if lib is torch else find(rl, entry))(*a), *args))
    if getattr(want, "grad_fn", None) is None or "NotImplemented" in want.grad_fn.name():
        pytest.skip("PyTorch has no node for it")
    else:
        assert got.grad_fn.name() == want.grad_fn.name()
