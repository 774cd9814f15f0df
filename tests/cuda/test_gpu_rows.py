"""Few long rows on a GPU or its stand-in: cut into stretches, level by level where reductions lie above one another."""

import numpy as np
import pytest

import rushlight as torch
from rushlight._core import callbacks
from rushlight.ops import _levels

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
F = torch.nn.functional

CALLS = {
    "softmax": lambda x, dim: x.softmax(dim),
    "log_softmax": lambda x, dim: x.log_softmax(dim),
    "logsumexp": lambda x, dim: x.logsumexp(dim),
    "var_mean": lambda x, dim: torch.var_mean(x, dim)[0] + torch.var_mean(x, dim)[1],
    "normalize": lambda x, dim: F.normalize(x, dim=dim),
    "layer_norm": lambda x, dim: F.layer_norm(x if dim else x.t(), x.shape[:1] if dim == 0 else x.shape[1:]),
}
LONG = {1: (2, 140_000), 0: (140_000, 2)}


def launches(call):
    """The names of the kernels that a call queues."""
    told, names = torch._core.device.tell_times, []
    told(lambda name, place, stream, before, behind, nbytes: names.append(name))
    try:
        call()
    finally:
        told(None)
    return names


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_long_rows_and_their_gradients_are_the_cpu_s(name, dim):
    torch.manual_seed(0)
    host = torch.randn(LONG[dim]) * 2 + 1
    found = []
    for x in (host.double(), host.cuda()):
        x.requires_grad_()
        out = CALLS[name](x, dim)
        out.backward(torch.arange(out.numel(), dtype=x.dtype, device=x.device).cos().reshape(out.shape))
        found.append([t.detach().cpu().double().numpy() for t in (out, x.grad)])
    for wanted, mine in zip(*found, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


def test_every_level_is_cut():
    """A softmax of one row: its maximum and its sum in two stages each, then the elements."""
    row = torch.randn(1, 300_000, device="cuda")
    assert launches(lambda: row.softmax(1)) == ["_softmax"] * 5
    assert launches(lambda: torch.randn(1, 9000, device="cuda").softmax(1))[-1:] == ["_softmax"]
    channels = torch.randn(2, 3, 300, 150, device="cuda")
    assert launches(lambda: F.batch_norm(channels, None, None, training=True)) == ["batch_norm_training"] * 5
    assert launches(lambda: F.batch_norm(channels, *torch.ones(2, 3, device="cuda")))[-2:] == ["batch_norm_inference"] * 2


def test_what_knows_its_place_stays_in_one_kernel():
    row = torch.randn(1, 300_000, device="cuda", requires_grad=True)
    value, index = row.max(1)
    value.backward()
    assert row.grad.nonzero().tolist() == [[0, index.item()]]


def test_levels_of_programs_say_what_goes_where(monkeypatch):
    found = []
    monkeypatch.setitem(callbacks.table, "row_levels", lambda program: found.append(_levels.row_levels(program)) or found[0])
    vectors = torch.ones(2, 3, device="cuda")
    F.batch_norm(torch.randn(2, 3, 300, 150, device="cuda"), None, None, *vectors, training=True, eps=0.0123)
    (mean, *first), (rest, *second), (last, *third) = found[0]
    assert first == [(0,), (-1,)] and second == [(0, 3, -1), (-2, 1, 2)] and third == [(0, 1, 2, -1, -2), (0,)]
    assert mean.full == (False, True) and rest.full == (False, False, False, True, False, False) and len(last.outputs) == 1


@pytest.mark.parametrize("side", [14, 7, 6])
def test_images_of_any_size_are_moved_several_elements_at_a_time(side):
    """Of 14 x 14 bfloat16 four go together, of 6 x 6 too, of 7 x 7 none."""
    torch.manual_seed(0)
    host, g = (torch.randn(5, 300, side, side).bfloat16() for _ in range(2))
    found = []
    for x in (host.double(), host.cuda()):
        x.requires_grad_()
        out = F.batch_norm(x, None, None, training=True)
        out.backward(g.to(x))
        found.append([t.detach().cpu().double().numpy() for t in (out, x.grad)])
    for wanted, mine in zip(*found, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=2**-8 * np.abs(wanted).max())
