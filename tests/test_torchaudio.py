"""The operators that stand for torchaudio's compiled part, beside their definitions written as loops."""

import itertools
import math
import sys

import pytest

import rushlight as torch


@pytest.fixture(scope="module")
def ops():
    torch.ops.load_library("/packages/torchaudio/lib/libtorchaudio.abi3.so")
    yield torch.ops.torchaudio
    sys.modules.pop("torchaudio.lib._torchaudio", None)


@pytest.mark.parametrize("time", [0, 1, 127, 128, 300])
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lfilter(ops, time, order, dtype):
    torch.manual_seed(0)
    x, first = torch.randn(2, 3, time, dtype=dtype), torch.randn(2, 3, order - 1, dtype=dtype)
    flipped = torch.cat([0.3 * torch.randn(3, order - 1), torch.full((3, 1), 7.0)], 1).to(dtype)       # the last is not looked at
    outputs = torch.cat([first, torch.zeros_like(x)], 2)
    assert ops._lfilter_core_loop(x, flipped, outputs) is outputs
    for n, c in itertools.product(range(2), range(3)):
        y = first[n, c].tolist()
        for t in range(time):
            y.append(x[n, c, t].item() - sum(flipped[c, k].item() * y[t + k] for k in range(order - 1)))
        torch.testing.assert_close(outputs[n, c], torch.tensor(y, dtype=dtype))


def test_lfilter_of_more_coefficients_than_samples_in_a_block(ops):
    torch.manual_seed(0)
    x, flipped = torch.randn(1, 1, 500, dtype=torch.float64), torch.cat([0.01 * torch.randn(1, 200), torch.ones(1, 1)], 1).double()
    outputs, y = torch.zeros(1, 1, 700, dtype=torch.float64), [0.0] * 200
    ops._lfilter_core_loop(x, flipped, outputs)
    for t in range(500):
        y.append(x[0, 0, t].item() - sum(flipped[0, k].item() * y[t + k] for k in range(200)))
    torch.testing.assert_close(outputs[0, 0], torch.tensor(y, dtype=torch.float64))


def test_overdrive(ops):
    torch.manual_seed(0)
    waveform, temp, last_in, last_out = torch.randn(2, 300), torch.randn(2, 300), torch.randn(2), torch.randn(2)
    expected, x, y = torch.zeros(2, 300), last_in.clone(), last_out.clone()
    for t in range(300):
        x, y = temp[:, t], temp[:, t] - x + 0.995 * y
        expected[:, t] = waveform[:, t] * 0.5 + y * 0.75
    found = torch.zeros(2, 300)
    ops._overdrive_core_loop(waveform, temp, last_in, last_out, found)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close((last_in, last_out), (x, y))


def ways(time, targets, blank):
    """All paths through a transducer's lattice: lists of (time, targets emitted, label)."""
    for emitting in itertools.combinations(range(time + len(targets) - 1), len(targets)):
        path, t, u = [], 0, 0
        for step in range(time + len(targets)):
            if step in emitting:
                path.append((t, u, targets[u]))
                u += 1
            else:
                path.append((t, u, blank))
                t += 1
        yield path


@pytest.mark.parametrize("fused", [True, False])
def test_transducer(ops, fused):
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 2, 2], [3, 1, 0], [4, 0, 0]]).int()
    times, lengths = torch.tensor([4, 3, 2]).int(), torch.tensor([3, 2, 0]).int()
    scores = logits.log_softmax(3) if fused else logits
    costs = []
    for n in range(3):
        sums = [sum(scores[n, t, u, label] for t, u, label in path) for path in ways(int(times[n]), targets[n, : lengths[n]].tolist(), 0)]
        costs.append(-torch.stack(sums).logsumexp(0))
    torch.stack(costs).sum().backward()
    found, gradient = ops.rnnt_loss_forward(logits, targets, times, lengths, 0, -1.0, fused)
    torch.testing.assert_close(found, torch.stack(costs).detach())
    torch.testing.assert_close(gradient, logits.grad)
    assert not found.requires_grad and not gradient.requires_grad
    torch.testing.assert_close(ops.rnnt_loss_forward(logits, targets, times, lengths, 0, 0.05, fused)[1], logits.grad.clamp(-0.05, 0.05))


def test_transducer_looks_at_nothing_behind_its_lengths(ops):
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 3, 5)
    args = torch.tensor([[1, 2]]).int(), torch.tensor([3]).int(), torch.tensor([1]).int(), 0, -1.0, True
    costs, gradient = ops.rnnt_loss_forward(logits, *args)
    logits[:, 3:] = logits[:, :, 2:] = math.nan
    cost, other = ops.rnnt_loss_forward(logits, *args)
    assert torch.equal(cost, costs) and torch.equal(other[:, :3, :2], gradient[:, :3, :2])


@pytest.mark.parametrize("targets", [[1, 2], [1, 1], [3], [2, 1, 2]])
def test_forced_align(ops, targets):
    torch.manual_seed(len(targets))
    scores = torch.randn(1, 6, 4).log_softmax(2)
    best = max((path for path in itertools.product(range(4), repeat=6) if [k for k, _ in itertools.groupby(path) if k] == targets),
               key=lambda path: sum(scores[0, t, label].item() for t, label in enumerate(path)))
    paths, same = ops.forced_align(scores, torch.tensor([targets]).int(), torch.tensor([6]), torch.tensor([len(targets)]), 0)
    assert paths.tolist() == [list(best)] and paths.dtype == torch.int32 and torch.equal(same, scores)


def test_forced_align_refuses(ops):
    scores, length = torch.zeros(1, 3, 4), torch.tensor([3])
    with pytest.raises(RuntimeError, match="3 frames for 3 targets with 1 repetitions; targets length is too long for CTC"):
        ops.forced_align(scores, torch.tensor([[1, 1, 2]]), length, length, 0)
    with pytest.raises(RuntimeError, match="takes a batch of 1, got 2"):
        ops.forced_align(scores.expand(2, 3, 4), torch.ones(2, 3).long(), length, length, 0)


def test_what_was_compiled(ops):
    assert torch.ops._torchaudio.cuda_version() is None and torch.ops._torchaudio.is_align_available()
    assert sys.modules["torchaudio.lib._torchaudio"].is_align_available()
    with pytest.raises(RuntimeError, match=r"torch\.ops\.torchaudio\.ray_tracing is not available in rushlight"):
        ops.ray_tracing()
    with pytest.raises(OSError, match="needs PyTorch's compiled core"):
        torch.ops.load_library("/packages/torchaudio/lib/torchaudio_prefixctc.abi3.so")
