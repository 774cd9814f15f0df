"""The tape against PyTorch: every program of *_programs.py must give the same results, warnings and errors under both.
"""

import warnings

import pytest
from autograd_programs import PROGRAMS as AUTOGRAD
from edge_programs import PROGRAMS as EDGE
from function_programs import PROGRAMS as FUNCTION
from hook_programs import PROGRAMS as HOOK
from inplace_programs import PROGRAMS as INPLACE
from oracle import worded
from overwrite_programs import OVERWRITTEN
from overwrite_programs import PROGRAMS as OVERWRITE
from vmap_programs import PROGRAMS as VMAP

import rushlight

torch = pytest.importorskip("torch", reason="PyTorch 2.13 is the oracle of these tests")


def run(program, module):
    """What a program returned or raised, and its warnings, in terms that can be compared."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = plain(program(module), module)
        except Exception as error:
            builtin = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
            result = (builtin.__name__, first_sentence(str(error)))
    texts = [first_sentence(str(w.message)) for w in caught if "torch.jit" not in str(w.message)]
    return result, texts


def first_sentence(text):
    return worded(text).split("\n")[0].split(". ")[0].replace("rushlight", "torch").split(" (Triggered internally")[0]


def plain(value, module):
    if isinstance(value, module.Tensor):
        value = value.detach()
        return "tensor", tuple(value.shape), str(value.dtype).replace("rushlight", "torch"), value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v, module) for v in value]
    if isinstance(value, dict):
        return {k: plain(v, module) for k, v in value.items()}
    return value


def close(got, want):
    """Equality, with floats to single precision."""
    if isinstance(want, (list, tuple)) and isinstance(got, (list, tuple)):
        return len(got) == len(want) and all(close(g, w) for g, w in zip(got, want))
    if isinstance(want, dict) and isinstance(got, dict):
        return got.keys() == want.keys() and all(close(got[k], want[k]) for k in want)
    if isinstance(want, (float, complex)) and not isinstance(got, (bool, str)):
        return got == pytest.approx(want, rel=1e-5, abs=1e-6, nan_ok=True)
    return type(got) is type(want) and got == want


def _marked(program):
    """The program, kept to the CPU if it draws numbers, which a GPU draws from another stream."""
    marks = [pytest.mark.cpu("PyTorch's stream of random bits there")] if program.__name__.startswith("vmap_draws_") else []
    return pytest.param(program, id=program.__name__, marks=marks)


@pytest.mark.parametrize("program", [_marked(p) for p in AUTOGRAD + HOOK + INPLACE + OVERWRITE + EDGE + FUNCTION + VMAP])
def test_program(program):
    got, want = run(program, rushlight), run(program, torch)
    assert close(got[0], want[0]), f"rushlight: {got[0]}\nPyTorch:   {want[0]}"
    assert got[1] == want[1]


@pytest.mark.parametrize("program", OVERWRITTEN, ids=lambda p: p.__name__)
def test_overwritten(program):
    """What PyTorch accepts gives the same gradient; what it refuses is refused likewise, or gives the gradient of the
    values before.
    """
    got, want = run(program, rushlight)[0], run(program, torch)[0]
    if want[0] == "RuntimeError" and got[0] != "RuntimeError":
        want = run(lambda module: program(module, overwrite=False), torch)[0]
    assert close(got, want), f"rushlight: {got}\nPyTorch:   {want}"


LOSSES_END = {  # what users read behind a loss
    "F.l1_loss(x, y)": "MeanBackward0", "F.l1_loss(x, y, reduction='sum')": "SumBackward0",
    "F.l1_loss(x, y, reduction='none')": "AbsBackward0",
    "F.kl_div(x, y, reduction='batchmean')": "DivBackward0", "F.kl_div(x, y, reduction='none')": "SubBackward0",
    "F.kl_div(x, y, reduction='sum')": "SumBackward0", "F.binary_cross_entropy(x.sigmoid(), y)": "BinaryCrossEntropyBackward0",
    "F.cross_entropy(x, y)": "DivBackward1", "F.cross_entropy(x, y.argmax(1), label_smoothing=0.1)": "AddBackward0",
    "F.pairwise_distance(x, y)": "NormBackward1", "rl.cdist(x, y)": "CdistBackward0", "F.group_norm(x, 2)": "NativeGroupNormBackward0",
    "F.unfold(x[None, None], 2)": "Im2ColBackward0", "F.rrelu(x)": "RreluWithNoiseBackward0", "rl.pdist(x)": "PdistBackward0",
}  # fmt: skip


@pytest.mark.parametrize("call", LOSSES_END)
def test_results_show_pytorchs_node(call):
    x = rushlight.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
    result = eval(call, {"rl": rushlight, "F": rushlight.nn.functional, "x": x, "y": rushlight.full((3, 4), 0.25)})
    assert result.grad_fn.name() == LOSSES_END[call]
    result.sum().backward()
    assert x.grad is not None
