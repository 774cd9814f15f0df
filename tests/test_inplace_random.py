"""Random programs of views and in-place writes: values, first and second derivatives as PyTorch gives them."""

import itertools
import random

import pytest

import rushlight

torch = pytest.importorskip("torch", reason="PyTorch 2.13 is the oracle of these tests")


def step(r, module, tensors, leaves):
    """One random operation on the tensors made so far; results join them."""
    kind = r.randrange(12)
    a, b = r.choice(tensors), r.choice(tensors + leaves)
    scalar = a.ndim == 0
    if kind == 0:
        tensors.append(a * 1 if scalar else a[r.randrange(a.shape[0])])
    elif kind == 1:
        tensors.append(a.t() if a.ndim == 2 else a * 2)
    elif kind == 2:
        tensors.append(a.reshape(-1))
    elif kind == 3:
        a.mul_(b)
    elif kind == 4:
        a.add_(b)
    elif kind == 5:
        tensors.append(a * b)
    elif kind == 6:
        tensors.append((a * 0.1).exp())
    elif kind == 7:
        a.copy_(b.clone())
    elif kind == 8:
        tensors.append(a + 1 if scalar else a[..., 1:])
    elif kind == 9:
        a.mul_(0.1).exp_()
    elif kind == 10:
        tensors.append(a.detach() if r.random() < 0.3 else a.unsqueeze(0).expand(2, *a.shape)[1])
    else:
        tensors.append(a.view(-1) if a.is_contiguous() and not scalar else a.clone())


def program(seed, module):
    """The values of all tensors, and the first and second derivatives of their weighted squares."""
    r = random.Random(seed)
    leaves = [
        module.tensor([[0.5, 1.5], [2.0, -1.0]], dtype=module.float64, requires_grad=True),
        module.tensor([1.0, 3.0], dtype=module.float64, requires_grad=True),
    ]
    tensors = [leaves[0] * 1, module.ones(2, 2, dtype=module.float64), leaves[1] * 2]
    for _ in range(r.randint(3, 9)):
        if r.random() < 0.08:
            with module.no_grad():
                step(r, module, tensors, leaves)
        else:
            step(r, module, tensors, leaves)
    total = sum((t * t).sum() * (i + 1) for i, t in enumerate(tensors))
    options = {"allow_unused": True, "materialize_grads": True}
    first = module.autograd.grad(total, leaves, create_graph=True, **options)
    norm = sum((g * g).sum() for g in first)
    second = module.autograd.grad(norm, leaves, **options) if norm.requires_grad else []
    return [t.detach().reshape(-1).tolist() for t in (*tensors, *first, *second)]


def outcome(seed, module):
    try:
        return program(seed, module)
    except RuntimeError as error:
        return str(error)


@pytest.mark.parametrize("block", range(10))
def test_random_programs(block):
    accepted = 0
    for seed in range(60 * block, 60 * block + 60):
        want = outcome(seed, torch)
        if isinstance(want, str):
            continue
        got = outcome(seed, rushlight)
        assert not isinstance(got, str), f"seed {seed}: PyTorch accepts this program\n{got}"
        assert len(got) == len(want), f"seed {seed}"
        flat = zip(itertools.chain(*got), itertools.chain(*want))
        assert all(g == pytest.approx(w, rel=1e-8, abs=1e-8, nan_ok=True) for g, w in flat), f"seed {seed}"
        accepted += 1
    assert accepted > 5
