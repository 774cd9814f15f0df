"""Properties against NumPy: broadcasting, indexing (read and write), views and reductions on shapes and indices that hypothesis invents."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rushlight as rl

relaxed = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
solid = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)  # nothing empty


def pair(shape, dtype=np.float32):
    """The same numbers as an array and as a tensor of its own."""
    a = (np.arange(int(np.prod(shape)), dtype=np.int64) * 7 % 23 - 9).astype(dtype).reshape(shape)
    return a, rl.tensor(a)


def agree(t, a):
    """Same shape and elements (NumPy's scalars count as 0-dim)."""
    a = np.asarray(a)
    assert tuple(t.shape) == a.shape
    np.testing.assert_array_equal(t.detach().numpy(force=True), a)


def outcome(call):
    try:
        return call(), None
    except (IndexError, ValueError, RuntimeError, TypeError) as error:
        return None, error


# --- broadcasting


@relaxed
@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=4))
def test_broadcasting(found):
    (a, x), (b, y), (c, z) = (pair(s) for s in found.input_shapes)
    agree(x + y, a + b)
    agree(x * y - z, a * b - c)
    agree(rl.where(x > y, y, z), np.where(a > b, b, c))
    assert tuple(rl.broadcast_shapes(*found.input_shapes)) == found.result_shape
    agree(x.expand(found.result_shape), np.broadcast_to(a, found.result_shape))
    for t, n in zip(rl.broadcast_tensors(x, y, z), np.broadcast_arrays(a, b, c), strict=True):
        agree(t, n)


@relaxed
@given(shapes, shapes)
def test_shapes_that_do_not_broadcast(s, t):
    (a, x), (b, y) = pair(s), pair(t)
    expected, refused = outcome(lambda: a + b)
    if refused is None:
        agree(x + y, expected)
        return
    with pytest.raises(RuntimeError, match="must match the size of tensor b"):
        x + y


@relaxed
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=1, max_dims=3, max_side=3))
def test_the_gradient_of_broadcasting_sums(found):
    (a, x), (b, y) = (pair(s, np.float64) for s in found.input_shapes)
    x.requires_grad_(), y.requires_grad_()
    (x * y).sum().backward()
    full = found.result_shape
    for t, shape, other in ((x, a.shape, b), (y, b.shape, a)):
        spread = np.broadcast_to(other, full)
        lead = len(full) - len(shape)
        axes = tuple(range(lead)) + tuple(lead + i for i, s in enumerate(shape) if s == 1)
        agree(t.grad, spread.sum(axis=axes, keepdims=True).reshape(shape))


# --- views


def steps(rank):
    """One view operation, as (name, arguments)."""
    dims = st.integers(-max(rank, 1), max(rank, 1) - 1)
    return st.one_of(
        st.tuples(st.just("transpose"), st.tuples(dims, dims)),
        st.tuples(st.just("unsqueeze"), st.tuples(st.integers(0, rank))),
        st.tuples(st.just("flip_slice"), st.tuples(dims, st.integers(0, 3), st.integers(1, 3))),
        st.tuples(st.just("select"), st.tuples(dims, st.just(0))),
        st.tuples(st.just("permute"), st.permutations(range(rank)).map(lambda p: (tuple(p),))),
        st.tuples(st.just("squeeze"), st.just(())),
    )


def step(x, a, name, arguments):
    """The operation on a tensor and on an array, or the pair itself where it does not apply."""
    if name == "transpose" and a.ndim:
        return x.transpose(*arguments), np.swapaxes(a, *arguments)
    if name == "unsqueeze":
        return x.unsqueeze(*arguments), np.expand_dims(a, *arguments)
    if name == "flip_slice" and a.ndim:
        dim, start, stride = arguments
        key = [slice(None)] * a.ndim
        key[dim] = slice(start, None, stride)
        return x[tuple(key)], a[tuple(key)]
    if name == "select" and a.ndim and a.shape[arguments[0]]:
        return x.select(*arguments), np.take(a, 0, arguments[0])
    if name == "permute" and len(arguments[0]) == a.ndim:
        return x.permute(arguments[0]), a.transpose(arguments[0])
    if name == "squeeze":
        return x.squeeze(), a.squeeze()
    return x, a


@relaxed
@given(solid, st.data())
def test_chains_of_views(shape, data):
    a, x = pair(shape)
    base = x
    for _ in range(data.draw(st.integers(1, 5))):
        x, a = step(x, a, *data.draw(steps(x.ndim)))
        agree(x, a)
        assert x.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
    agree(x + 1, a + 1)
    agree(x.reshape(-1), a.reshape(-1))
    agree(x.contiguous().view(-1), a.reshape(-1))
    agree(x.sum(), a.sum())
    before = base.clone()
    x.add_(1)  # through the view, the base changes in x.numel() places
    assert int((base != before).sum()) == x.numel()


@relaxed
@given(solid, st.data())
def test_the_gradient_of_a_chain_of_views(shape, data):
    a, x = pair(shape, np.float64)
    x.requires_grad_()
    marks = np.arange(a.size, dtype=np.float64).reshape(shape)
    view, seen = x, marks
    for _ in range(data.draw(st.integers(1, 4))):
        view, seen = step(view, seen, *data.draw(steps(view.ndim)))
    (view * 3).sum().backward()
    expected = np.zeros(a.size)
    expected[seen.reshape(-1).astype(int)] = 3
    agree(x.grad if x.grad is not None else rl.zeros(shape), expected.reshape(shape))


@relaxed
@given(solid, st.integers(0, 24), st.integers(1, 5))
def test_reshapes(shape, seed, parts):
    a, x = pair(shape)
    random = np.random.RandomState(seed)
    sizes, left = [], a.size
    while len(sizes) < parts - 1:
        divisors = [d for d in range(1, left + 1) if left % d == 0]
        sizes.append(int(random.choice(divisors)))
        left //= sizes[-1]
    sizes.append(left)
    agree(x.view(sizes), a.reshape(sizes))
    sizes[random.randint(len(sizes))] = -1
    agree(x.reshape(sizes), a.reshape(sizes))
    if x.ndim > 1:
        agree(x.transpose(0, -1).reshape(sizes), np.swapaxes(a, 0, -1).reshape(sizes))


# --- indexing


def basic_key(shape):
    """Integers, slices with positive steps, None and Ellipsis."""
    return hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True).filter(
        lambda k: all(not isinstance(i, slice) or (i.step or 1) > 0 for i in (k if isinstance(k, tuple) else (k,)))
    )


@st.composite
def keys(draw, shape):
    """A mixture of integers, slices, index arrays that broadcast together, and at most one boolean mask."""
    key, dim = [], 0
    arrays = draw(st.sampled_from([(), (1,), (3,), (2, 1), (2, 3)]))
    while dim < len(shape):
        kind = draw(st.sampled_from(["slice", "int", "array", "mask", "none", "stop"]))
        if kind == "stop":
            break
        if kind == "none":
            key.append(None)
            continue
        n = shape[dim]
        if kind == "slice":
            key.append(slice(*draw(st.tuples(st.integers(-n, n), st.integers(-n, n + 1), st.integers(1, 3)))))
        elif kind == "int":
            key.append(draw(st.integers(-n, n - 1)))
        elif kind == "array":
            part = tuple(draw(st.sampled_from([s, 1])) for s in arrays)
            key.append(draw(hnp.arrays(np.int64, part, elements=st.integers(-n, n - 1))))
        else:
            key.append(draw(hnp.arrays(np.bool_, (n,))))
        dim += 1
    return tuple(key)


def split(key):
    """A key in two steps, for an integer is a select of its own here (as in PyTorch), while NumPy makes it an index array beside others."""
    alone = [isinstance(k, int) or (isinstance(k, np.ndarray) and k.ndim == 0) for k in key]
    first = tuple((int(k) if one else slice(None)) for k, one in zip(key, alone, strict=True) if k is not None)
    return (*first, Ellipsis), tuple(k for k, one in zip(key, alone, strict=True) if not one)


def for_tensor(key):
    return tuple(rl.tensor(k) if isinstance(k, np.ndarray) else k for k in key)


@relaxed
@given(shapes.flatmap(lambda s: st.tuples(st.just(s), basic_key(s))))
def test_basic_indexing(case):
    shape, key = case
    a, x = pair(shape)
    agree(x[key], a[key])
    (before_a, before_x), value = (a.copy(), x.clone()), 100.0
    before_a[key], before_x[key] = value, value
    agree(before_x, before_a)


@settings(relaxed, max_examples=150)
@given(solid.flatmap(lambda s: st.tuples(st.just(s), keys(s))))
def test_advanced_indexing_reads(case):
    shape, key = case
    a, x = pair(shape, np.float64)
    first, rest = split(key)
    expected, refused = outcome(lambda: a[first][rest])
    if refused is not None:
        with pytest.raises((IndexError, RuntimeError)):
            x[for_tensor(key)]
        return
    agree(x[for_tensor(key)], expected)
    x.requires_grad_()
    picked = x[for_tensor(key)]
    picked.sum().backward()
    counts = np.zeros_like(a)
    np.add.at(counts[first], rest, 1)
    agree(x.grad, counts)


@settings(relaxed, max_examples=150)
@given(solid.flatmap(lambda s: st.tuples(st.just(s), keys(s))), st.booleans())
def test_advanced_indexing_writes(case, whole):
    shape, key = case
    a, x = pair(shape)
    first, rest = split(key)
    expected, refused = outcome(lambda: a[first][rest])
    assume(refused is None)
    if whole:  # one value per element written; a duplicate index may keep any of its values, so all are alike
        value = np.full(expected.shape, 50, np.float32)
        a[first][rest] = value
        x[for_tensor(key)] = rl.tensor(value)
    else:
        a[first][rest] = -1
        x[for_tensor(key)] = -1
    agree(x, a)
    if key and all(isinstance(k, np.ndarray) for k in key):
        added = np.zeros(shape, np.float32)
        np.add.at(added, key, 2)
        agree(rl.zeros(shape).index_put_(for_tensor(key), rl.tensor(2.0), accumulate=True), added)


@relaxed
@given(solid, st.data())
def test_take_along_dim_and_gather(shape, data):
    a, x = pair(shape)
    dim = data.draw(st.integers(-a.ndim, a.ndim - 1))
    index = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, a.shape[dim] - 1)))
    agree(x.gather(dim, rl.tensor(index)), np.take_along_axis(a, index, dim))
    places = data.draw(st.permutations(range(a.shape[dim])))  # distinct: which of two writes to one place wins is nobody's promise
    index = np.moveaxis(np.broadcast_to(places, (*np.moveaxis(a, dim, -1).shape,)), -1, dim).copy()
    b = np.zeros_like(a)
    np.put_along_axis(b, index, a, dim)
    agree(rl.zeros(shape).scatter(dim, rl.tensor(index), x), b)


# --- reductions


@st.composite
def reductions(draw):
    shape = draw(shapes)
    axes = draw(st.one_of(st.none(), st.sets(st.integers(0, max(len(shape) - 1, 0))).map(sorted).map(tuple)))
    if axes is not None and (not shape or not axes):
        axes = None
    return shape, axes, draw(st.booleans()), draw(st.booleans())


def turned(x, a, turn):
    return (x.permute(tuple(reversed(range(x.ndim)))), a.transpose()) if turn else (x, a)


@settings(relaxed, max_examples=120)
@given(reductions())
def test_reductions(case):
    shape, axes, keep, turn = case
    a, x = pair(shape, np.float64)
    x, a = turned(x, a, turn)
    kwargs = {} if axes is None else {"dim": axes, "keepdim": keep}
    numpy_kwargs = {} if axes is None else {"axis": axes, "keepdims": keep}
    agree(x.sum(**kwargs), a.sum(**numpy_kwargs))
    agree((x > 0).any(**kwargs), (a > 0).any(**numpy_kwargs))
    agree((x > 0).all(**kwargs), (a > 0).all(**numpy_kwargs))
    reduced = a.size if axes is None else int(np.prod([a.shape[i] for i in axes]))
    if reduced and a.size:
        agree(x.amax(**kwargs), a.max(**numpy_kwargs))
        agree(x.amin(**kwargs), a.min(**numpy_kwargs))
        for name, expected in (("mean", a.mean(**numpy_kwargs)), ("var", a.var(ddof=0, **numpy_kwargs))):
            got = getattr(x, name)(**kwargs, **({"correction": 0} if name == "var" else {}))
            np.testing.assert_allclose(got.numpy(force=True), expected, rtol=1e-12, atol=1e-12)
    if axes is not None and len(axes) == 1:
        dim = axes[0]
        agree(x.prod(dim, keepdim=keep), a.prod(axis=dim, keepdims=keep))
        agree(x.cumsum(dim), a.cumsum(axis=dim))
        if a.shape[dim]:
            agree(x.argmax(dim, keepdim=keep), a.argmax(axis=dim, keepdims=keep))
            values, indices = x.max(dim, keepdim=keep)
            agree(values, a.max(axis=dim, keepdims=keep))
            agree(indices, a.argmax(axis=dim, keepdims=keep))
            agree(x.sort(dim).values, np.sort(a, axis=dim))


@relaxed
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), solid, st.data())
def test_joins_and_splits(lengths, shape, data):
    dim = data.draw(st.integers(0, len(shape) - 1))
    parts = [pair((*shape[:dim], n, *shape[dim + 1 :])) for n in lengths]
    a, x = np.concatenate([p for p, _ in parts], dim), rl.cat([t for _, t in parts], dim)
    agree(x, a)
    for piece, (expected, _) in zip(x.split(lengths, dim), parts, strict=True):
        agree(piece, expected)
    if len({p.shape for p, _ in parts}) == 1:
        agree(rl.stack([t for _, t in parts], dim), np.stack([p for p, _ in parts], dim))


@relaxed
@given(
    solid,
    st.sampled_from(["bool", "uint8", "int16", "int32", "int64", "float32", "float64"]),
    st.sampled_from(["int8", "int64", "float32", "float64"]),
)
def test_casts_and_promotion(shape, first, second):
    (a, x), (b, y) = pair(shape, first), pair(shape, second)
    agree(x.to(getattr(rl, second)), a.astype(second))
    np.testing.assert_allclose((x + y).double().numpy(force=True), (a + b).astype(np.float64))
    agree(x == y, a == b)


@relaxed
@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.booleans(), st.booleans())
def test_products(batch, n, k, m, left, right):
    a, x = pair((batch, k, n) if left else (batch, n, k), np.float64)
    b, y = pair((batch, m, k) if right else (batch, k, m), np.float64)
    if left:
        a, x = a.swapaxes(1, 2), x.mT
    if right:
        b, y = b.swapaxes(1, 2), y.mT
    agree(x @ y, a @ b)
    agree(x[0] @ y[0], a[0] @ b[0])
    agree(x @ y[0], a @ b[0])
    if m:
        agree(x[0] @ y[0, :, 0], a[0] @ b[0, :, 0])


@relaxed
@given(solid)
def test_comparison_with_arrays(shape):
    a, x = pair(shape)
    agree(x == a, a == a)
    agree(a == x, a == a)
    agree(x != a + 1, a != a + 1)
    assert (x == None) is False and (x != "text") is True  # noqa: E711
