"""What the tape saves may not change under it: every input and result of differentiable operators is overwritten after the forward.

Where PyTorch still accepts the backward, rushlight accepts it with the same gradients; where PyTorch raises, rushlight may do either.
"""

import warnings

import pytest
import rows
from oracle import same, to_rl, torch
from test_laws import draw, find, has_reference

import rushlight as rl

POINTWISE = [e for e in rows.entries("pointwise")
             if has_reference(e) and e.options["dtypes"] not in ("integral", "integer") and e.name != "zeta"]  # fmt: skip
ROWWISE = [e for e in rows.entries("rowwise") if has_reference(e)]

# library, native and composite operators: name -> call on (library, x of shape 3 x 4, y of shape 3 x 4)
CALLS = {
    "matmul": lambda lib, x, y: x @ y.t(),
    "mm": lambda lib, x, y: lib.mm(x, y.t()),
    "addmm": lambda lib, x, y: lib.addmm(x[:, :3], x, y.t()),
    "mv": lambda lib, x, y: lib.mv(x, y[0]),
    "dot": lambda lib, x, y: lib.dot(x[0], y[0]),
    "outer": lambda lib, x, y: lib.outer(x[0], y[0]),
    "bmm": lambda lib, x, y: lib.bmm(x[None], y[None].transpose(1, 2)),
    "einsum": lambda lib, x, y: lib.einsum("ij,kj->ik", x, y),
    "linear": lambda lib, x, y: lib.nn.functional.linear(x, y),
    "cat": lambda lib, x, y: lib.cat([x, y]),
    "stack": lambda lib, x, y: lib.stack([x, y]),
    "where": lambda lib, x, y: lib.where(y.detach() > 0, x, y),
    "index": lambda lib, x, y: x[lib.tensor([0, 2, 2])],
    "mask": lambda lib, x, y: x[y.detach() > 0],
    "index_select": lambda lib, x, y: x.index_select(0, lib.tensor([1, 1])),
    "gather": lambda lib, x, y: x.gather(1, lib.tensor([[0, 0], [1, 3]])),
    "scatter_add": lambda lib, x, y: x.scatter_add(1, lib.tensor([[0, 0], [1, 3]]), y),
    "index_add": lambda lib, x, y: x.index_add(0, lib.tensor([1, 1, 0]), y),
    "masked_fill": lambda lib, x, y: x.masked_fill(y.detach() > 0, 0.5),
    "masked_select": lambda lib, x, y: x.masked_select(y.detach() > 0),
    "max_dim": lambda lib, x, y: x.max(1).values,
    "max": lambda lib, x, y: x.max(),
    "median": lambda lib, x, y: x.median(),
    "sort": lambda lib, x, y: x.sort(1).values,
    "topk": lambda lib, x, y: x.topk(2).values,
    "cumsum": lambda lib, x, y: x.cumsum(1),
    "cumprod": lambda lib, x, y: x.cumprod(1),
    "logcumsumexp": lambda lib, x, y: x.logcumsumexp(1),
    "clone": lambda lib, x, y: x.clone(),
    "contiguous": lambda lib, x, y: x.t().contiguous(),
    "to": lambda lib, x, y: x.to(lib.float32),
    "repeat": lambda lib, x, y: x.repeat(2, 1),
    "flip": lambda lib, x, y: x.flip(0),
    "roll": lambda lib, x, y: x.roll(1, 0),
    "tril": lambda lib, x, y: x.tril(),
    "pad": lambda lib, x, y: lib.nn.functional.pad(x, (1, 1)),
    "norm": lambda lib, x, y: x.norm(),
    "std": lambda lib, x, y: x.std(1),
    "prod": lambda lib, x, y: x.prod(1),
    "logsumexp": lambda lib, x, y: x.logsumexp(1),
    "softmax": lambda lib, x, y: x.softmax(1),
    "log_softmax": lambda lib, x, y: x.log_softmax(1),
    "layer_norm": lambda lib, x, y: lib.nn.functional.layer_norm(x, (4,), y[0]),
    "cross_entropy": lambda lib, x, y: lib.nn.functional.cross_entropy(x, lib.tensor([0, 1, 3])),
    "mse_loss": lambda lib, x, y: lib.nn.functional.mse_loss(x, y),
    "embedding": lambda lib, x, y: lib.nn.functional.embedding(lib.tensor([0, 2, 2]), x),
    "cdist": lambda lib, x, y: lib.cdist(x, y),
    "inverse": lambda lib, x, y: lib.linalg.inv(x[:, :3] + 3 * lib.eye(3, dtype=x.dtype)),
    "solve": lambda lib, x, y: lib.linalg.solve(x[:, :3] + 3 * lib.eye(3, dtype=x.dtype), y),
    "conv1d": lambda lib, x, y: lib.nn.functional.conv1d(x[None], y[:, :3, None]),
}

# operator -> why overwriting its input may stop a backward that PyTorch lets pass
SAVES_MORE = {
    "tanhshrink": "one kernel that reads its input again; PyTorch composes it and saves the tanh",
    "ndtr": "one kernel that reads its input again; PyTorch composes it and saves what it scaled",
    "ldexp": "one kernel that reads its input again; PyTorch composes it and saves the power of two",
    "cross_entropy": "one kernel that reads the logits again; PyTorch saves their log_softmax, a tensor of the same size",
}

SCALE = 100  # sums of many terms in float64, in another order than PyTorch's


def gradients(lib, call, leaves, overwritten):
    """The leaves' gradients when the input or result with that number is overwritten between forward and backward; or the error."""
    inputs = [x * 1 for x in leaves]  # no leaves themselves: they may be written to
    result = call(lib, *inputs)
    if isinstance(result, (tuple, list)):
        result = result[0]
    if not result.requires_grad:
        return None
    target = [*inputs, result][overwritten]
    loss = (result * result.detach().cos()).sum()  # reads the result before it changes
    with lib.no_grad():
        try:
            target.fill_(0.25)
        except RuntimeError:
            return None  # several elements in one place: not writable, in both
    try:
        return [x if x is None else x.detach() for x in lib.autograd.grad(loss, leaves, allow_unused=True)]
    except RuntimeError as error:
        return error


def law(call, leaves, where):
    """PyTorch's verdict against rushlight's for each tensor that may be overwritten."""
    for overwritten in range(len(leaves) + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = gradients(torch, call, leaves, overwritten)
            got = gradients(rl, call, to_rl(leaves), overwritten)
        which = f"{where}, {'result' if overwritten == len(leaves) else f'input {overwritten}'} overwritten"
        if want is None or isinstance(want, RuntimeError):
            assert not isinstance(got, RuntimeError) or "modified by an inplace operation" in str(got), f"{which}: {got}"
            continue
        if where in SAVES_MORE and overwritten < len(leaves):
            continue
        assert not isinstance(got, RuntimeError), f"{which}: PyTorch accepts the backward, rushlight raises: {got}"
        for g, w in zip(got, want, strict=True):
            if g is None or w is None:  # None and zeros are the same gradient
                assert not any(x.any() for x in (g, w) if x is not None), which
                continue
            same(g, w, which, SCALE)


@pytest.mark.parametrize("entry", POINTWISE + ROWWISE, ids=lambda e: e.name)
def test_operators_of_the_registry(entry):
    operands = draw(entry, "float64", grad=True)
    leaves = [x for x in operands if getattr(x, "requires_grad", False)]

    def call(lib, *inputs):
        given, rest = iter(inputs), [x if lib is torch else to_rl(x) for x in operands]
        return find(lib, entry)(*[next(given) if getattr(x, "requires_grad", False) else x for x in rest])

    law(call, leaves, entry.name)


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    generator = torch.Generator().manual_seed(7)
    x, y = (torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    law(CALLS[name], [x, y], name)


def test_a_forward_that_needs_nothing_survives_any_write():
    x = rl.ones(3, requires_grad=True)
    a = x * 1
    b = a + 2
    c = b.sum()
    with rl.no_grad():
        a.zero_(), b.zero_()
    c.backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_the_error_names_the_operator_and_the_versions():
    x = rl.ones(3, requires_grad=True)
    y = x.exp()
    z = y.sin()
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"which is output 0 of Add, is at version 1; expected version 0 instead"):
        z.sum().backward()


FORMULAS = ["a * b", "a / b", "torch.atan2(a, b)", "torch.hypot(a, b)", "torch.lerp(a, b, c)", "torch.addcmul(c, a, b)"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_hooks_find_operands_in_pytorchs_order(formula):
    packed = {}
    for library in (torch, rl):
        found = packed[library] = []
        a, b, c = (library.full((2,), value, requires_grad=True) for value in (1.0, 2.0, 3.0))
        with library.autograd.graph.saved_tensors_hooks(lambda x, found=found: found.append(x.tolist()[0]), lambda x: x):
            eval(formula, {"torch": library, "a": a, "b": b, "c": c})
        found[:] = [x for x in found if x in (1.0, 2.0, 3.0)]  # not results, which the one saves where the other does not
    assert packed[torch] == packed[rl]
