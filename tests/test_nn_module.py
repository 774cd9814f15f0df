"""Every layer against PyTorch: text, initial values, state, outputs and gradients, in training and evaluation mode."""

import warnings

import numpy as np
import pytest
from expressions import DRAWS, on_gpu
from nn_cases import LAYERS

import rushlight
import rushlight.nn

torch = pytest.importorskip("torch")


# Public attributes whose order is not compared: one of the libraries lacks them or makes them before ``Module.__init__``.
ALONE = {"training", "nonlinearity", "activation_relu_or_gelu", "in_features", "dim", "output_device", "src_device_obj"}


class Values:
    """The inputs of one case, made by NumPy from a seed, as tensors of one of the two libraries."""

    def __init__(self, library, dtype):
        self.library, self.dtype = library, dtype
        self.random = np.random.RandomState(7)
        self.leaves = []

    def floats(self, array):
        tensor = self.library.tensor(array.astype(self.dtype))
        tensor.requires_grad_()
        self.leaves.append(tensor)
        return tensor

    def names(self):
        library, random = self.library, self.random
        return {
            "nn": library.nn,
            "r": lambda *shape: self.floats(random.randn(*shape)),
            "u": lambda *shape: self.floats(random.uniform(0.05, 0.95, shape)).detach(),
            "i": lambda n, *shape: library.tensor(random.randint(0, n, shape)),
            "b": lambda *shape: library.tensor(random.randint(0, 2, shape) * np.arange(shape[-1]) > 0),
            "L": library.tensor,
            "pack": lambda x, n: library.nn.utils.rnn.pack_padded_sequence(x, n, enforce_sorted=False),
        }


def flatten(value):
    """The tensors inside an output."""
    if value is None or isinstance(value, (int, bool)):
        return []
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in flatten(item)]
    return [value]


def run(library, layer, inputs, dtype, training):
    values = Values(library, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.manual_seed(3)
        place = library.get_default_device()
        with library.device("cpu"):  # initial values are drawn from the CPU's stream
            module = eval("nn." + layer, values.names())
        module = (module.double() if dtype == "float64" else module).to(place)
        module.train(training)
        arguments = eval(f"({inputs},)", values.names())
        first_text = repr(module)
        before = library.get_rng_state()
        output = module(*arguments)
        drew = library.get_rng_state().tolist() != before.tolist()
    tensors = flatten(output)
    loss = sum((t * (1 + i)).sum() for i, t in enumerate(tensors) if t.requires_grad)
    if not isinstance(loss, int):
        loss.backward()
    gradients = [leaf.grad for leaf in values.leaves] + [p.grad for p in module.parameters()]
    return {
        "text": [first_text, repr(module)],
        "names": [list(module.state_dict()), [name for name, _ in module.named_parameters()]],
        "attributes": [[name for name in vars(part) if name[0] != "_" and name not in ALONE] for part in module.modules()],
        "outputs": tensors,
        "gradients": gradients,
        "state": list(module.state_dict().values()),
        "drawn": [library.rand(3, device="cpu")],
        "drew": drew,
    }


def assert_close(ours, theirs, what, tolerance):
    assert len(ours) == len(theirs), what
    for mine, other in zip(ours, theirs):
        assert (mine is None) == (other is None), what  # a gradient that is zero, or none
        if other is None:
            continue
        mine = mine.detach().numpy(force=True)
        assert mine.shape == tuple(other.shape), what
        np.testing.assert_allclose(mine, other.detach().numpy(force=True), **tolerance, err_msg=what)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer, inputs", LAYERS, ids=[f"{i}-{case[0].split('(')[0]}" for i, case in enumerate(LAYERS)])
def test_layer_agrees(layer, inputs, dtype, training):
    theirs = run(torch, layer, inputs, dtype, training)
    ours = run(rushlight, layer, inputs, dtype, training)
    if on_gpu() and theirs["drew"]:
        pytest.skip(DRAWS)
    assert ours["text"] == theirs["text"]
    assert ours["names"] == theirs["names"]
    assert ours["attributes"] == theirs["attributes"]
    tolerance = {"rtol": 2e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-7, "atol": 1e-9}
    for what in ("drawn", "state", "outputs", "gradients"):
        assert_close(ours[what], theirs[what], what, tolerance)
