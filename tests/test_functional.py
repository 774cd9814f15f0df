"""Every function of ``nn.functional`` against PyTorch: values, gradients and draws, in float32 and float64."""

import inspect
import pathlib
import re
import subprocess
import sys
import warnings

import functional_cases
import pytest
from expressions import DRAWS, on_gpu
from test_nn_module import Values, assert_close, flatten

import rushlight
import rushlight.nn.functional

torch = pytest.importorskip("torch")


def run(library, call, dtype):
    values = Values(library, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.manual_seed(3)
        before = library.get_rng_state()
        outputs = flatten(eval("F." + call, {**values.names(), "F": library.nn.functional}))
    drew = library.get_rng_state().tolist() != before.tolist()
    loss = sum((t * (1 + i)).sum() for i, t in enumerate(outputs) if t.requires_grad)
    if not isinstance(loss, int):
        loss.backward()
    return outputs, [leaf.grad for leaf in values.leaves], [library.rand(3, device="cpu")], drew


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", functional_cases.CASES)
def test_function_agrees(call, dtype):
    theirs, ours = run(torch, call, dtype), run(rushlight, call, dtype)
    if on_gpu() and theirs[3]:
        pytest.skip(DRAWS)
    tolerance = {"rtol": 2e-4, "atol": 1e-5} if dtype == "float32" or ".float()" in call else {"rtol": 1e-7, "atol": 1e-9}
    for what, mine, other in zip(("outputs", "gradients", "drawn"), ours, theirs):
        assert_close(mine, other, what, tolerance)
    assert [str(x.dtype) for x in ours[0]] == [str(x.dtype) for x in theirs[0]]


def test_no_function_is_left_out():
    listed = {re.match(r"\w+", call)[0] for call in functional_cases.CASES} | set(functional_cases.WITHOUT)
    space = torch.nn.functional
    public = {
        name for name in dir(space)
        if not name.startswith("_") and callable(getattr(space, name)) and not inspect.isclass(getattr(space, name))
        and str(getattr(getattr(space, name), "__module__", None)).startswith(("torch", "None"))
    }  # fmt: skip
    assert not public - listed, f"no case for {sorted(public - listed)}"


def test_the_coverage_table_is_true():
    tool = pathlib.Path(__file__).parent.parent / "tools" / "coverage.py"
    done = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [{"mode": "bilinear"}, {"mode": "bicubic", "antialias": True}, {"mode": "bilinear", "antialias": True}])
def test_images_of_bytes_are_interpolated(options):
    image = torch.randint(0, 256, (1, 3, 17, 23), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.functional.interpolate(image, (9, 31), **options)
    ours = rushlight.nn.functional.interpolate(rushlight.tensor(image.tolist(), dtype=rushlight.uint8), (9, 31), **options)
    assert str(ours.dtype) == "torch.uint8"
    assert (theirs.int() - torch.tensor(ours.tolist()).int()).abs().max() <= 1
    with pytest.raises(NotImplementedError, match="not implemented for"):
        rushlight.nn.functional.interpolate(rushlight.ones(1, 1, 3, 3, dtype=rushlight.int32), 2, mode="bilinear")


@pytest.mark.parametrize("options", [
    {"mode": "nearest"}, {"mode": "bilinear"}, {"mode": "bilinear", "antialias": True}, {"mode": "bicubic", "antialias": True},
])  # fmt: skip
def test_a_dim_that_keeps_its_size_is_interpolated_by_no_factor(options):
    """Values alone: the gradients of PyTorch's are those of a factor."""
    image = torch.randn(1, 3, 3, 5, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.functional.interpolate(image, scale_factor=(1.3, 1.7), **options)
    ours = rushlight.nn.functional.interpolate(rushlight.tensor(image.tolist()), scale_factor=(1.3, 1.7), **options)
    torch.testing.assert_close(torch.tensor(ours.tolist()), theirs)


@pytest.mark.parametrize("size", [(3, 0), (0, 2)])
def test_means_of_no_areas(size):
    x = rushlight.ones(2, 3, 7, 5, requires_grad=True)
    y = rushlight.nn.functional.interpolate(x, size, mode="area")
    y.sum().backward()
    assert y.shape == (2, 3, *size) and not x.grad.any()
