"""Unmodified programs: the alias, the gates that packages look through, and what the small rooms say."""

import operator
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from place import here

import rushlight as torch
from rushlight import nn


def run(program, tmp_path, *args):
    """The output of a program run through ``python -m rushlight``."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(program))
    done = subprocess.run([sys.executable, "-m", "rushlight", str(path), *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gates(tmp_path):
    out = run(
        """
        import importlib.metadata, importlib.util, sys
        spec = importlib.util.find_spec("torch")
        import torch, torch.nn.functional as F
        from torch.utils.data import DataLoader
        assert "torch" in sys.modules and spec is not None and sys.modules["torch"].__spec__ is not None
        assert torch.__spec__.loader is not None
        print(importlib.metadata.version("torch"), torch.__version__, torch.__version__ >= "2.6", int(torch.__version__.split(".")[0]) >= 2)
        print(torch.version.cuda, torch.distributed.is_available(), sys.argv[1:])
        """,
        tmp_path, "--epochs", "3",
    )  # fmt: skip
    assert out.splitlines() == ["2.13.0+rushlight 2.13.0+rushlight True True", "None False ['--epochs', '3']"]


def test_a_module_run(tmp_path):
    (tmp_path / "tool.py").write_text("import torch\nprint(torch.ones(2).sum().item())\n")
    done = subprocess.run(
        [sys.executable, "-m", "rushlight", "-m", "tool"], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.stdout == "2.0\n", done.stderr


@pytest.mark.parametrize("package", ["einops", "lion_pytorch", "torchinfo"])
def test_packages(package, tmp_path):
    pytest.importorskip(package)
    programs = {
        "einops": "import einops; print(einops.rearrange(torch.ones(2, 6), 'a (b c) -> b a c', b=3).shape)",
        "lion_pytorch": """
            from lion_pytorch import Lion
            p = torch.nn.Parameter(torch.ones(2)); p.grad = torch.ones(2); Lion([p], lr=0.1).step(); print(p.data)""",
        "torchinfo": "from torchinfo import summary; print(summary(torch.nn.Linear(3, 4), (2, 3), verbose=0).total_params)",
    }
    out = run("import torch\n" + textwrap.dedent(programs[package]), tmp_path)
    expected = {"einops": "torch.Size([3, 2, 2])", "lion_pytorch": "tensor([0.9000, 0.9000])", "torchinfo": "16"}
    assert out.strip() == expected[package]


@pytest.mark.cpu("what is said where there is no GPU")
def test_no_gpu_is_said():
    assert not torch.cuda.is_available() and torch.cuda.device_count() == 0 and not torch.backends.mps.is_available()
    torch.cuda.manual_seed_all(0)
    torch.cuda.empty_cache()
    for call in (torch.cuda.current_device, torch.cuda.synchronize, lambda: torch.cuda.get_device_name(0)):
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            call()
    for kind in (torch.cuda.Stream, torch.cuda.Event, torch.cuda.CUDAGraph):
        with pytest.raises(RuntimeError):
            kind()
    assert torch.accelerator.current_accelerator() is None
    assert not hasattr(torch, "npu")


def test_compilers_return_their_argument():
    def f(x):
        return x + 1

    assert torch.compile(f) is f and torch.compile(mode="max-autotune")(f) is f
    assert torch.jit.script(f) is f and torch.jit.trace(f, (torch.ones(1),)) is f and torch.compiler.disable(f) is f
    assert torch.jit.ignore(f) is f and torch.jit.ignore(drop=True)(f) is f
    assert not torch.jit.is_scripting() and not torch.compiler.is_compiling()


@pytest.mark.parametrize(
    "use",
    [
        lambda: torch.onnx.export(None, None, "x"), lambda: torch.export.export(None),
        lambda: torch.distributed.all_reduce(torch.ones(1)), lambda: torch.nested.nested_tensor([]), lambda: torch.quantization.QuantStub(),
        lambda: torch.jit.load("x"), lambda: torch.masked.mean(torch.ones(1)),
    ],
)  # fmt: skip
def test_refusals_name_what_is_missing(use):
    with pytest.raises(RuntimeError, match="is not available in rushlight: "):
        use()


def test_custom_operators():
    @torch.library.custom_op("compat::triple", mutates_args=())
    def triple(x):
        return 3 * x

    triple.register_autograd(lambda ctx, grad: 3 * grad)
    x = torch.ones(2, requires_grad=True)
    torch.ops.compat.triple(x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0] and not hasattr(torch.ops.compat, "other")
    with pytest.raises(OSError):
        torch.ops.load_library("x.so")


def test_spawned_processes_share_memory(tmp_path):
    out = run(
        """
        import torch
        def work(i, t):
            t[i] = i + 1.0
        if __name__ == "__main__":
            t = torch.zeros(2).share_memory_()
            torch.multiprocessing.start_processes(work, args=(t,), nprocs=2, start_method="fork")
            print(t.tolist())
        """,
        tmp_path,
    )
    assert out == "[1.0, 2.0]\n"


def test_hub_reads_local_folders(tmp_path):
    (tmp_path / "hubconf.py").write_text("def small(n=1):\n    'A model.'\n    return n + 1\n")
    assert torch.hub.load(str(tmp_path), "small", 4, source="local") == 5
    assert torch.hub.list(str(tmp_path), source="local") == ["small"]
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pt")
    assert torch.hub.load_state_dict_from_url(f"file://{tmp_path}/w.pt")["w"].tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="downloads nothing"):
        torch.hub.load_state_dict_from_url("https://example.org/none.pt", model_dir=str(tmp_path))


@pytest.mark.parametrize("values", [([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]), (1.0, 2.0), ([1, 2], [1, 3]), ([[1.0]], [[2.0, 3.0]])])
def test_assert_close_says_what_pytorch_says(values):
    oracle = pytest.importorskip("torch")
    texts = []
    for lib in (torch, oracle):
        with pytest.raises(AssertionError) as caught:
            lib.testing.assert_close(lib.tensor(values[0]), lib.tensor(values[1]))
        texts.append(str(caught.value))
    assert texts[0].splitlines()[:4] == texts[1].splitlines()[:4]


def test_make_tensor_has_pytorchs_stream():
    oracle = pytest.importorskip("torch")
    drawn = []
    for lib in (torch, oracle):
        lib.manual_seed(0)
        drawn.append([lib.testing.make_tensor(3, dtype=getattr(lib, d), device="cpu").tolist() for d in ("float32", "int64", "bool")])
        for shape in ((3,), (2, 3), (2, 1), (1,), (0, 2)):
            gaps = lib.testing.make_tensor(shape, dtype=lib.float64, device="cpu", noncontiguous=True)
            drawn[-1] += [gaps.tolist(), gaps.stride(), lib.rand(1).item()]
        x = lib.ones(2, dtype=lib.float64, requires_grad=True)
        for spread in (False, True):  # which draws the gradients that it starts from so
            assert lib.autograd.gradgradcheck(lib.sin, x, gen_non_contig_grad_outputs=spread)
            drawn[-1].append(lib.rand(1).item())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("name", ["bartlett", "blackman", "cosine", "exponential", "gaussian", "hamming", "hann", "kaiser", "nuttall"])
@pytest.mark.parametrize("sym", [True, False])
def test_windows(name, sym):
    oracle = pytest.importorskip("torch")
    ours, theirs = (getattr(lib.signal.windows, name)(7, sym=sym, dtype=lib.float64).tolist() for lib in (torch, oracle))
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_sparse_products_and_gradients():
    values = torch.tensor([2.0, 3.0, 4.0], requires_grad=True)
    a = torch.sparse_coo_tensor([[0, 1, 1], [1, 0, 0]], values, (2, 3))
    x = torch.arange(6.0).reshape(3, 2).requires_grad_()
    product = torch.sparse.mm(a, x)
    assert product.tolist() == (a.to_dense() @ x).tolist()
    product.sum().backward()
    assert values.grad.tolist() == [5.0, 1.0, 1.0] and x.grad.tolist() == [[7.0] * 2, [2.0] * 2, [0.0] * 2]
    once = a.coalesce()
    assert once.indices().tolist() == [[0, 1], [1, 0]] and once.values().tolist() == [2.0, 7.0] and not a.is_coalesced()
    with pytest.raises(RuntimeError, match="uncoalesced"):
        a.values()


def test_sparse_tensors_are_tensors():
    """Functions of dense tensors dispatch on them, as PyTorch's do."""
    oracle = pytest.importorskip("torch")

    def results(lib):
        a = lib.sparse_coo_tensor([[0, 1, 1], [1, 0, 2]], [2.0, 3.0, 4.0], (2, 3))
        x, v = lib.arange(6.0).reshape(3, 2), lib.tensor([1.0, 2.0, 3.0])
        sparse = [a * 2, a + a, a - a * 0.5, a.t(), -a, lib.mul(a, 3.0), lib.sparse_coo_tensor(size=(2, 3)), a / 2, a.transpose(0, 1)]
        dense = [lib.mm(a, x), lib.matmul(a, v), a @ x, lib.addmm(lib.ones(2, 2), a, x), lib.sparse.mm(a, x), x.T + a, x.T @ a.t(), a.sum()]
        assert isinstance(a, lib.Tensor) and a.is_sparse and a.layout == lib.sparse_coo and a.shape == (2, 3) and a.dim() == 2
        return [r.to_dense().tolist() for r in sparse] + [r.tolist() for r in dense]

    assert results(torch) == results(oracle)
    a = torch.sparse_coo_tensor([[0], [1]], [2.0], (2, 2), requires_grad=True)
    assert repr(a) == repr(oracle.sparse_coo_tensor([[0], [1]], [2.0], (2, 2), requires_grad=True))
    assert str(a) == repr(a)
    (a @ torch.ones(2, 2)).sum().backward()
    assert a._values().grad.tolist() == [2.0] and a.grad.to_dense().tolist() == [[0.0, 2.0], [0.0, 0.0]]
    with pytest.raises(RuntimeError, match=r"exp is not available for sparse tensors\n.*to_dense"):
        torch.exp(a)
    import copy
    import pickle

    assert pickle.loads(pickle.dumps(a.detach())).to_dense().equal(a.detach().to_dense()) and copy.deepcopy(a).requires_grad


def test_summary_writer_is_read_by_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with torch.utils.tensorboard.SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", torch.tensor(1.5), 3)
        writer.add_histogram("weights", torch.randn(100), 1)
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("loss")] == [(3, 1.5)] and read.Tags()["histograms"] == ["weights"]


def test_flops_of_a_step():
    """PyTorch's own counts for a convolution and a linear layer, forward and backward."""
    from rushlight.utils.flop_counter import FlopCounterMode

    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(392, 5))
    with FlopCounterMode(display=False) as counter:
        model(torch.ones(2, 3, 16, 16)).sum().backward()
    assert counter.get_total_flops() == 108192
    assert {k: sum(v.values()) for k, v in counter.get_flop_counts().items()} == {
        "Global": 108192, "Sequential": 108192, "Sequential.0": 84672, "Sequential.3": 23520,
    }  # fmt: skip
    assert "Sequential.3" in counter.get_table()


def test_operators_by_their_names_in_the_core():
    aten = torch.ops.aten
    x = torch.arange(6.0).view(2, 3)
    assert aten.add.Tensor(x, x).equal(2 * x) and aten.slice.Tensor(x, 1, 1, 3).equal(x[:, 1:])
    assert aten.add.Tensor is aten.add.Tensor and str(aten.add.Tensor) == "aten.add.Tensor"
    assert aten._to_copy.default(x, dtype=torch.int64).dtype == torch.int64
    assert not hasattr(aten, "no_such_operator")


def test_optimizers_that_wrap_another():
    """They derive from Optimizer to be one, and never initialise it."""
    weight = nn.Parameter(torch.ones(2))
    inner = torch.optim.SGD([weight], 0.1)

    class Wrapper(torch.optim.Optimizer):
        def __init__(self):
            pass

        def step(self):
            inner.step()

    weight.grad = torch.ones(2)
    Wrapper().step()
    assert weight[0].item() == pytest.approx(0.9)


@pytest.mark.cpu("modules that have no second device")
def test_data_parallel_on_one_device():
    model = nn.DataParallel(nn.Linear(2, 3))
    assert nn.parallel.gather([torch.ones(2, 3), torch.zeros(1, 3)], "cpu").shape == (3, 3)
    shares = model.scatter((torch.ones(4, 2),), {"k": [torch.ones(1)]}, ["cpu"])
    assert shares[0][0][0].shape == (4, 2) and list(shares[1][0]) == ["k"]
    assert nn.parallel.parallel_apply([model.module], [torch.ones(1, 2)])[0].shape == (1, 3)
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        nn.parallel.replicate(model, [0, 1])


def test_definitions_of_an_operator_by_device():
    """Definitions for dispatch keys that are no devices (autocast) do not take the place of the operator."""
    lib = torch.library.Library("compat2", "DEF")
    lib.define("twice(Tensor x) -> Tensor")
    lib.impl("twice", lambda x: 2 * x, "CPU")
    lib.impl("twice", lambda x: torch.ops.compat2.twice(x.float()), "AutocastCPU")
    lib.impl("twice", torch.library.fallthrough_kernel, "Autograd")
    assert torch.ops.compat2.twice(torch.ones(1, device="cpu")).item() == 2
    with pytest.raises(NotImplementedError, match="Could not run 'compat2::twice' with arguments from the 'META' backend"):
        torch.ops.compat2.twice(torch.ones(1, device="meta"))
    lib.impl("twice", lambda x: x + x + 0, "CUDA")
    assert torch.ops.compat2.twice(torch.ones(1)).item() == 2
    which = torch.library.custom_op("compat2::which", mutates_args=(), device_types="cpu")(lambda x: "cpu")
    which.register_kernel("cuda")(lambda x: "cuda")
    assert which([torch.ones(1)]) == torch.ones(1).device.type and which(torch.ones(1, device="cpu")) == "cpu"

    @torch.library.custom_op("compat2::kind", mutates_args=())
    def kind(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    device = torch.ones(1).device.type
    torch.library.register_autocast("compat2::kind", device, torch.bfloat16)
    with torch.autocast(device, torch.bfloat16):
        assert kind(torch.ones(1)).dtype == torch.bfloat16 and kind(torch.ones(1, dtype=torch.float64)).dtype == torch.float64
    assert kind(torch.ones(1)).dtype == torch.float32


def test_single_records_of_a_checkpoint(tmp_path):
    torch.save({"w": torch.arange(4.0)}, tmp_path / "x.pt")
    reader = torch.PyTorchFileReader(str(tmp_path / "x.pt"))
    assert reader.has_record("data.pkl") and not reader.has_record("other") and reader.version() == 3
    assert reader.get_storage_from_record("data/0", 4, torch.float32).tolist() == [0, 1, 2, 3]


def test_processes_started_anew_get_the_alias(tmp_path):
    """Their modules import torch as well; PyTorch itself must not come in through them."""
    program = """
        import multiprocessing

        def version(_):
            import torch
            return torch.__version__, torch.ones(2).sum().item()

        if __name__ == "__main__":
            import torch
            for method in ("spawn", "forkserver", "fork"):
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(pool.map(version, [0]) == [(torch.__version__, 2.0)])
    """
    assert run(program, tmp_path).split() == ["True"] * 3


def test_classes_say_that_they_are_torchs(tmp_path):
    """Programs look at a class's name alone: to know a tensor without importing torch, or a layer by its module."""
    program = """
        import io, inspect, pickle, sys
        import torch
        from torch import nn

        x = torch.ones(2, requires_grad=True)
        optimizer = torch.optim.SGD([x], 0.1)
        for value in (x, nn.Parameter(x), x.dtype, x.device, x.shape, nn.Linear(2, 2), optimizer, torch.strided, (x * 2).grad_fn):
            print(type(value))
        print(nn.init.ones_.__module__, nn.functional.relu.__module__, torch.utils.data.DataLoader.__module__)
        import torch.utils._pytree
        print(inspect.getmodule(nn.Linear) is sys.modules["torch.nn.modules.linear"] is nn.modules.linear)
        model = nn.Sequential(nn.Linear(2, 2), nn.GELU())
        model.activation = nn.functional.relu
        print(torch.equal(pickle.loads(pickle.dumps(model))(x), model(x)))
        file = io.BytesIO()
        torch.save(model, file)
        for allowed in ([], [nn.Sequential, nn.Linear, nn.GELU, nn.functional.relu, set]):
            file.seek(0)
            with torch.serialization.safe_globals(allowed):
                print(torch.equal(torch.load(file, weights_only=bool(allowed))(x), model(x)))
    """
    assert run(program, tmp_path).splitlines() == [
        f"<class '{name}'>" for name in (
            "torch.Tensor", "torch.nn.parameter.Parameter", "torch.dtype", "torch.device", "torch.Size", "torch.nn.modules.linear.Linear",
            "torch.optim.sgd.SGD", "torch.layout", "MulBackward0",
        )
    ] + ["torch.nn.init torch.nn.functional torch.utils.data.dataloader"] + ["True"] * 4  # fmt: skip


def test_names_of_classes_lead_to_them(tmp_path):
    """The module that a class names has it, and it is PyTorch's for what is kept in other files here."""
    program = """
        import importlib, sys
        import torch
        for room in ("distributions", "func", "fx", "jit", "nn.utils.parametrizations", "optim.swa_utils", "testing", "utils.data"):
            importlib.import_module(f"torch.{room}")
        torch.finfo, torch.Generator, torch.cuda.device

        def found(kind):
            value = importlib.import_module(kind.__module__)
            for part in kind.__qualname__.split("."):
                value = getattr(value, part, None)
            return value

        kinds = {v for name, m in list(sys.modules.items()) if name.startswith("torch.") for v in vars(m).values() if isinstance(v, type)}
        named = {k for k in kinds if k.__module__.startswith("torch.") and k.__qualname__[0] != "_"}
        lost = [k for k in named if found(k) is not k and k.__qualname__ != "PackedSequence"]  # which has a base of this name
        print(len(named) > 500, lost)
        D, L = torch.distributions, torch.optim.lr_scheduler
        for kind in (torch.finfo, torch.Generator, D.Normal, D.LogisticNormal, D.RelaxedOneHotCategorical, D.ExpTransform, L.CyclicLR):
            print(kind)
        print(torch.func.grad.__module__, torch.nn.functional.conv2d.__module__)
        print(torch.Generator(), "save" in dir(torch))
    """
    names = "torch.finfo torch._C.Generator torch.distributions.normal.Normal torch.distributions.logistic_normal.LogisticNormal"
    names += " torch.distributions.relaxed_categorical.RelaxedOneHotCategorical torch.distributions.transforms.ExpTransform"
    lines = run(program, tmp_path).splitlines()
    assert lines[0] == "True []"
    assert lines[1:8] == [f"<class '{n}'>" for n in [*names.split(), "torch.optim.lr_scheduler.CyclicLR"]]
    assert lines[8] == "torch.func torch.nn.functional"
    assert lines[9].startswith("<torch._C.Generator object at 0x") and lines[9].endswith(" True")


def test_optimizers_outside_ask_for_lists_of_tensors():
    """``torch.utils._foreach_utils``, as PyTorch's."""
    oracle = pytest.importorskip("torch")
    from torch.utils import _foreach_utils as theirs

    from rushlight.utils import _foreach_utils as ours

    def groups(lib, utils, with_indices):
        first = [lib.ones(2), lib.ones(3, dtype=lib.float64), lib.zeros(1), None, lib.zeros(2, 2, dtype=lib.float64)]
        lists = [[t for t in first if t is not None], [t * 2 for t in first if t is not None], []]
        found = utils._group_tensors_by_device_and_dtype(lists, with_indices)
        return sorted(
            (str(device).replace(here(), "cpu"), str(dtype).rpartition(".")[2], [[t.tolist() for t in part] for part in parts], positions)
            for (device, dtype), (parts, positions) in found.items()
        )

    for with_indices in (True, False):
        mine, other = groups(torch, ours, with_indices), groups(oracle, theirs, with_indices)
        assert [group[:3] for group in mine] == [group[:3] for group in other]
        if with_indices:
            assert [group[3] for group in mine] == [group[3] for group in other]
    for lib, utils in ((torch, ours), (oracle, theirs)):
        assert utils._has_foreach_support([lib.ones(1)], lib.device("cuda"))
    assert "cuda" in ours._get_foreach_kernels_supported_devices() and "cuda" in ours._get_fused_kernels_supported_devices()


def test_storages_tell_python_their_size():
    storage = torch.zeros(1000).untyped_storage()
    assert sys.getsizeof(storage) - sys.getsizeof(torch.UntypedStorage(0)) == 4000
    assert sys.getsizeof(torch.zeros(1000).storage()) > 4000


def test_flat_copies_of_parameters():
    """What mixed-precision optimizers outside use: one vector of all elements, and its parts again."""
    oracle = pytest.importorskip("torch")
    for lib in (torch, oracle):
        __import__(f"{lib.__name__}._utils")
        utils = lib._utils
        tensors = [lib.ones(2, 3), lib.zeros(4), lib.tensor(5.0), lib.ones(0, 2)]
        flat = utils._flatten_dense_tensors(tensors)
        parts = utils._unflatten_dense_tensors(flat, tensors)
        assert flat.tolist() == [1.0] * 6 + [0.0] * 4 + [5.0]
        assert [part.tolist() for part in parts] == [t.tolist() for t in tensors] and parts[0].data_ptr() == flat.data_ptr()
        both = [tensors[0], tensors[0].double(), tensors[1], tensors[3], tensors[2].double()]
        shapes = [[(tuple(t.shape), t.element_size()) for t in chunk] for chunk in utils._take_tensors(both, 30)]
        assert shapes == [[((2, 3), 4)], [((2, 3), 8)], [((4,), 4), ((0, 2), 4)], [((), 8)]]


def test_questions_about_overrides():
    overrides = torch.overrides
    assert overrides.is_tensor_method_or_property(torch.Tensor.add) and not overrides.is_tensor_method_or_property(len)
    assert overrides.resolve_name(torch.nn.functional.relu) == "torch.nn.functional.relu" and overrides.resolve_name(len) is None
    for path in "linalg.inv", "fft.irfft", "special.entr", "Tensor.backward", "Tensor.to_sparse", "Tensor.T.__get__", "Tensor.grad.__set__":
        function = operator.attrgetter(path)(torch)
        assert overrides.resolve_name(function) == f"torch.{path}"
        assert function.__name__ in (path.split(".")[-1], path.replace(".", "_"))  # linalg_inv, as in PyTorch

    class Told(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__

    @overrides.wrap_torch_function(lambda x: (x,))
    def twice(x):
        return 2 * x

    x = torch.ones(2)
    assert overrides.has_torch_function_unary(x.as_subclass(Told)) and not overrides.has_torch_function_variadic(x, 3)
    assert twice(x).tolist() == [2.0, 2.0] and twice(x.as_subclass(Told)) == "twice"


@pytest.mark.parametrize(("name", "why"), [("quantize_per_tensor", "Quantisation"), ("sparse_csr_tensor", "sparse_coo_tensor")])
def test_absent_names_say_why(name, why):
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'\n.*{why}"):
        getattr(torch, name)
    assert not hasattr(torch, name)


def test_batch_norm_without_running_statistics_for_transforms():
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))
    torch.func.replace_all_batch_norm_modules_(net)
    assert net[0].running_mean is None and not net[0].track_running_stats
    assert torch.func.functionalize(net) is net


def test_classes_of_tensors_pass_through_lists():
    """cat and stack ask the classes of the tensors in a list, and compute once these have passed the call on."""
    oracle = pytest.importorskip("torch")
    for lib in (torch, oracle):
        asked = []

        class Tagged(lib.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                asked.append(func.__name__)  # noqa: B023
                return super().__torch_function__(func, types, args, kwargs or {})

        parts = [lib.ones(2).as_subclass(Tagged) for _ in range(2)]
        results = [lib.stack(parts), lib.cat(parts), lib.stack(parts, dim=1), lib.hstack(parts), lib.stack((lib.zeros(2), parts[0]))]
        assert [type(r).__name__ for r in results] == ["Tagged"] * 5
        assert [tuple(r.shape) for r in results] == [(2, 2), (4,), (2, 2), (4,), (2, 2)]
        assert [name for name in asked if name in ("stack", "cat", "hstack")] == ["stack", "cat", "stack", "hstack", "stack"]
        assert "indexing" in lib.meshgrid.__kwdefaults__


def test_subclasses_are_made_by_new():
    """A subclass's ``__new__`` has the data from ``super().__new__``, and its ``__init__`` need not call ours: the tutorial's way."""
    oracle = pytest.importorskip("torch")

    def seen(lib):
        class Noted(lib.Tensor):
            @staticmethod
            def __new__(cls, x, note, *args, **kwargs):
                return super().__new__(cls, x, *args, **kwargs)

            def __init__(self, x, note):
                self.note = note

        class Plain(lib.Tensor):
            pass

        told, source = Noted([[1.0, 2.0]], "why"), lib.ones(2)
        aliased = Noted(source, 3)
        aliased += 1
        made = [told, aliased, source, told + 1, Plain([1, 2]), Plain(), Plain.__new__(Plain), Plain.__new__(Plain, [5])]
        made += [lib.Tensor.__new__(lib.Tensor, [3]), lib.Tensor.__new__(lib.Tensor)]
        return told.note, aliased.note, Plain(2, 3).shape == (2, 3), [(type(t).__name__, t.dtype.itemsize, t.tolist()) for t in made]

    assert seen(torch) == seen(oracle)
    for wrong in (int, 3):
        with pytest.raises(TypeError, match=r"Tensor.__new__\("):
            torch.Tensor.__new__(wrong)


def test_wrappers_of_optimizers_that_hook_their_own_step():
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, inner):
            from collections import OrderedDict

            self.inner = inner
            self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks = OrderedDict(), OrderedDict()
            self._patch_step_function()

        param_groups = property(lambda self: self.inner.param_groups)

        def step(self, closure=None):
            return self.inner.step(closure)

    w = torch.ones(2, requires_grad=True)
    wrapper, seen = Wrapper(torch.optim.SGD([w], 0.5)), []
    wrapper.register_step_post_hook(lambda *_: seen.append(w.tolist()))
    w.sum().backward()
    wrapper.step()
    assert seen == [[0.5, 0.5]]


def test_only_tensors_and_numbers_are_looked_for_in_a_tensor():
    x = torch.arange(3)
    assert 2 in x and 5 not in x and torch.tensor(1) in x and np.float32(2) in x
    for other in ("a", None, [1], np.ones(1)):
        with pytest.raises(RuntimeError, match="only supports Tensor or scalar, but you passed in a"):
            other in x  # noqa: B015


def test_switches_may_be_set_where_pytorch_asks_for_a_block():
    """monai's set_determinism sets them in a block of PyTorch's that permits it."""
    before = torch.backends.cudnn.benchmark
    with torch.backends.__allow_nonbracketed_mutation():
        torch.backends.cudnn.benchmark = not before
    assert torch.backends.cudnn.benchmark is not before
    torch.backends.cudnn.benchmark = before
