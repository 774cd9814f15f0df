"""What cuDNN is asked for: a frontend in its place writes graphs down, and computes them on the host by the CPU's operators."""

import ctypes
import math
import types

import numpy as np
import pytest

import rushlight as torch
from rushlight import backends
from rushlight.cuda.ops import _cudnn, _cudnn_attention, _cudnn_conv, _nvidia
from rushlight.ops import attention, conv

pytestmark = pytest.mark.cpu("what answers in the library's place lies in the host's memory")
KINDS = {"HALF": torch.float16, "BFLOAT16": torch.bfloat16, "FLOAT": torch.float32}
PATTERNS = {2: np.int16, 4: np.int32, 8: np.int64}


class Operand:
    """A tensor of a graph: its description, and how it comes to be."""

    def __init__(self, operation=None, **told):
        self.operation, self.told = operation, told

    def __getattr__(self, name):
        assert name.startswith("set_")

        def told(value):
            self.told[name[4:]] = value
            return self

        return told

    def elements(self, addresses):
        """A view of the memory at its address, as a tensor."""
        dtype, dim, stride = KINDS[self.told["data_type"]], self.told["dim"], self.told["stride"]
        length = 1 + sum((n - 1) * step for n, step in zip(dim, stride))
        address = addresses[self.told["uid"]]
        assert address % 16 == 0
        flat = np.frombuffer((ctypes.c_char * (length * dtype.itemsize)).from_address(address), PATTERNS[dtype.itemsize])
        return torch.from_numpy(flat).view(dtype).as_strided(dim, stride)


class Graph:
    """cudnn.pygraph."""

    def __init__(self, library, **types):
        self.library, self.types, self.given, self.results, self.barred, self.calls = library, types, [], [], [], 0
        library.graphs.append(self)

    def tensor(self, **told):
        self.given.append(Operand(**told))
        return self.given[-1]

    def operation(self, function, *operands, **how):
        self.library.asked.append((function, how))
        if function in self.library.lacks:
            raise self.library.cudnnGraphNotSupportedError(f"no engine for\n{function}")
        operand = Operand(operation=(function, operands, how))
        self.results.append(operand)
        return operand

    def conv_fprop(self, image, weight, **how):
        return self.operation("fprop", image, weight, **how)

    def conv_dgrad(self, loss, filter, **how):
        return self.operation("dgrad", loss, filter, **how)

    def conv_wgrad(self, image, loss, **how):
        return self.operation("wgrad", image, loss, **how)

    def bias(self, input, bias):
        return self.operation("bias", input, bias)

    def sdpa(self, q, k, v, **how):
        assert how.pop("generate_stats")
        bias = [how.pop("bias")] if "bias" in how else []
        out = self.operation("sdpa", q, k, v, *bias, **how)
        return out, self.operation("stats", out)

    def sdpa_backward(self, q, k, v, o, dO, stats, **how):
        bias = [how.pop("bias")] if "bias" in how else []
        first = self.operation("sdpa_backward", q, k, v, o, dO, stats, *bias, **how)
        return first, self.operation("second", first), self.operation("third", first)

    def validate(self):
        pass

    build_operation_graph = check_support = build_plans = validate

    def create_execution_plans(self, modes):
        assert modes == ["A", "FALLBACK"]

    def deselect_numeric_notes(self, notes):
        self.barred = notes

    def deselect_workspace_greater_than(self, bytes):
        assert bytes == _cudnn.MOST_WORKSPACE

    def get_workspace_size(self):
        return 48

    def get_execution_plan_count(self):
        return 5

    def build_plan_at_index(self, index):
        if index == 1:
            raise self.library.cudnnGraphNotSupportedError("Deselecting execution plan")

    def get_workspace_size_plan_at_index(self, index):
        return 0

    def execute_plan_at_index(self, addresses, workspace, index, handle):
        self.library.tried.append(index)
        self.execute(addresses, 16, handle)

    def execute(self, addresses, workspace, handle):
        assert workspace and handle == 7
        self.calls += 1
        for result in self.results:
            value = self.value(result, addresses)
            if result.told:
                result.elements(addresses).copy_(value.view(result.told["dim"]))

    def value(self, operand, addresses):
        if operand.operation is None:
            return operand.elements(addresses)
        function, operands, how = operand.operation
        return getattr(self, f"compute_{function}")(operand, [self.value(x, addresses) for x in operands], **how)

    @staticmethod
    def groups(image, weight):
        return image[1] // weight[1]

    def compute_fprop(self, operand, given, pre_padding, post_padding, stride, dilation):
        assert pre_padding == post_padding
        image, weight = given
        groups = self.groups(image.shape, weight.shape)
        return torch.convolution(image, weight, None, stride, pre_padding, dilation, False, [0] * len(stride), groups)

    def compute_dgrad(self, operand, given, pre_padding, post_padding, stride, dilation):
        places, weight = given
        dim = operand.told["dim"]
        more = [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1)
                for n, m, s, p, d, k in zip(dim[2:], places.shape[2:], stride, pre_padding, dilation, weight.shape[2:])]  # fmt: skip
        groups = self.groups(dim, weight.shape)
        return torch.convolution(places, weight, None, stride, pre_padding, dilation, True, more, groups)

    def compute_wgrad(self, operand, given, pre_padding, post_padding, stride, dilation):
        dim = operand.told["dim"]
        return conv.convolution_weight(*given, tuple(dim[2:]), stride, pre_padding, dilation, self.groups(given[0].shape, dim))

    def compute_bias(self, operand, given):
        return given[0] + given[1]

    def attention(self, q, k, v, mask, attn_scale, diagonal_alignment=None, diagonal_band_right_bound=None):
        causal = diagonal_alignment is not None
        assert not causal or (diagonal_alignment, diagonal_band_right_bound) == ("TOP_LEFT", 0)
        assert mask is None or mask.isfinite().all()
        return attention.attention(q, k, v, mask, None, causal, attn_scale)

    def compute_sdpa(self, operand, given, **how):
        out, self.logs = self.attention(*(given if len(given) > 3 else (*given, None)), **how)
        return out

    def compute_stats(self, operand, given):
        return self.logs

    def compute_sdpa_backward(self, operand, given, use_deterministic_algorithm, **how):
        q, k, v, o, grad, stats, *mask = given
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        blind = stats == math.inf  # their weights are 0
        with torch.enable_grad():
            out, logs = self.attention(*inputs, *(mask or (None,)), **how)
            grads = torch.autograd.grad(out, inputs, grad.masked_fill(blind, 0))
        assert torch.allclose(out.masked_fill(blind, 0), o, atol=1e-2)
        assert torch.allclose(logs.masked_fill(blind[..., 0], math.inf), stats[..., 0], atol=1e-4)
        self.others = grads[1:]
        return grads[0]

    def compute_second(self, operand, given):
        return self.others[0]

    def compute_third(self, operand, given):
        return self.others[1]


class Frontend:
    """The module ``cudnn``."""

    cudnnGraphNotSupportedError = type("cudnnGraphNotSupportedError", (Exception,), {})
    data_type = types.SimpleNamespace(**{name: name for name in KINDS})
    heur_mode = types.SimpleNamespace(A="A", FALLBACK="FALLBACK")
    numerical_note = types.SimpleNamespace(
        **{name: name for name in ("NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION", "TENSOR_CORE", "DOWN_CONVERT_INPUTS")}
    )
    diagonal_alignment = types.SimpleNamespace(TOP_LEFT="TOP_LEFT")

    def __init__(self):
        self.graphs, self.asked, self.lacks, self.streams, self.tried = [], [], set(), [], []

    def pygraph(self, **types):
        return Graph(self, **types)

    def create_handle(self):
        return 7

    def set_stream(self, handle, stream):
        self.streams.append(stream)

    def backend_version(self):
        return 91900


@pytest.fixture
def frontend(monkeypatch):
    library = Frontend()
    _cudnn.use(library)
    monkeypatch.setattr(_cudnn._device, "stream_of", lambda index: 3)
    monkeypatch.setattr(_cudnn._device, "is_capturing", lambda index: False)
    yield library
    _cudnn.use(None)


def near(a, b):
    return torch.allclose(a.float(), b.float(), rtol=1e-2 if a.dtype.itemsize == 2 else 1e-5, atol=2e-2 if a.dtype.itemsize == 2 else 1e-5)


def operands(size, inputs, outputs, window, groups, transposed, dtype=torch.float32):
    """(image, weights, bias) of a convolution, or of a transposed one."""
    torch.manual_seed(0)
    weight = (inputs, outputs // groups, *window) if transposed else (outputs, inputs // groups, *window)
    return torch.randn(3, inputs, *size).to(dtype), torch.randn(weight).to(dtype), torch.randn(outputs).to(dtype)


GEOMETRIES = {
    "plain": ((9, 8), 4, 6, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "strided": ((9, 8), 4, 6, (3, 2), (2, 3), (1, 0), (1, 1), 1),
    "dilated": ((11, 12), 4, 6, (3, 3), (1, 2), (2, 1), (2, 3), 1),
    "groups": ((7, 7), 6, 4, (3, 3), (1, 1), (1, 1), (1, 1), 2),
    "row": ((13,), 4, 6, (5,), (2,), (2,), (1,), 1),
    "volume": ((5, 6, 4), 2, 4, (3, 2, 3), (2, 1, 1), (1, 0, 1), (1, 2, 1), 2),
    "one channel": ((6, 6), 1, 3, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    "one place": ((1, 1), 5, 3, (1, 1), (1, 1), (0, 0), (1, 1), 1),
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_and_their_gradients(frontend, geometry, last, transposed):
    size, inputs, outputs, window, stride, padding, dilation, groups = GEOMETRIES[geometry]
    x, weight, bias = operands(size, inputs, outputs, window, groups, transposed)
    last = last and len(size) > 1
    formats = {2: torch.channels_last, 3: torch.channels_last_3d}
    if last:
        x = x.contiguous(memory_format=formats[len(size)])
    extra = tuple(s - 1 for s in stride) if transposed else (0,) * len(size)
    want = torch.convolution(x, weight, bias, stride, padding, dilation, transposed, extra, groups)
    got = _cudnn_conv.convolution(x, weight, bias, tuple(want.shape), stride, padding, dilation, transposed)
    assert near(got, want) and len(frontend.graphs) == 1 and got.stride() == want.stride()
    grad = torch.randn(want.shape)
    image, places = (grad, x) if transposed else (x, grad)
    want = conv.convolution_weight(image, places, window, stride, padding, dilation, groups)
    assert near(_cudnn_conv.weight_gradient(image, places, tuple(want.shape), stride, padding, dilation), want)
    assert [name for name, _ in frontend.asked if name != "bias"] == ["dgrad" if transposed else "fprop", "wgrad"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_each_dtype_in_its_precision(frontend, dtype):
    x, weight, bias = operands((6, 6), 4, 6, (3, 3), 1, False, dtype)
    want = torch.convolution(x, weight, bias, (1, 1), (1, 1), (1, 1), False, (0, 0), 1)
    assert near(_cudnn_conv.convolution(x, weight, bias, tuple(want.shape), (1, 1), (1, 1), (1, 1), False), want)
    types = frontend.graphs[0].types
    assert KINDS[types["io_data_type"]] is dtype and types["compute_data_type"] == "FLOAT"
    barred = ["NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION"]
    assert frontend.graphs[0].barred == (barred if dtype.itemsize == 2 else [*barred, "TENSOR_CORE", "DOWN_CONVERT_INPUTS"])
    doubles = operands((6, 6), 4, 6, (3, 3), 1, False, torch.float64)
    assert _cudnn_conv.convolution(*doubles, tuple(want.shape), (1, 1), (1, 1), (1, 1), False) is None


def call(x, weight, bias=None):
    sizes = (x.shape[0], weight.shape[0], *x.shape[2:])
    return _cudnn_conv.convolution(x, weight, bias, sizes, (1, 1), (1, 1), (1, 1), False)


def test_tf32_only_where_it_is_allowed(frontend):
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)
    assert call(x, weight) is not None
    assert frontend.graphs[0].barred == ["NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION", "TENSOR_CORE", "DOWN_CONVERT_INPUTS"]
    with backends.cudnn.flags(allow_tf32=True):
        assert call(x, weight) is not None
    assert len(frontend.graphs) == 2 and "TENSOR_CORE" not in frontend.graphs[1].barred


def test_a_graph_is_made_once_and_the_stream_set_when_it_changes(frontend, monkeypatch):
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)
    for _ in range(3):
        call(x, weight)
    assert len(frontend.graphs) == 1 and frontend.graphs[0].calls == 3 and frontend.streams == [3]
    monkeypatch.setattr(_cudnn._device, "stream_of", lambda index: 5)
    call(torch.randn(3, 4, 6, 6), weight)
    assert len(frontend.graphs) == 1 and frontend.streams == [3, 5]
    call(torch.randn(2, 4, 6, 6), weight)
    assert len(frontend.graphs) == 2


def test_operands_are_read_where_they_lie(frontend):
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)
    read = []
    execute = Graph.execute

    def spy(self, addresses, workspace, handle):
        read.append(addresses)
        execute(self, addresses, workspace, handle)

    x, frontend.pygraph = x.contiguous(memory_format=torch.channels_last), lambda **types: types_graph(types)

    def types_graph(types):
        graph = Graph(frontend, **types)
        graph.execute = spy.__get__(graph)
        return graph

    for given in (x, x[:, :2], torch.randn(3, 4, 6, 12)[..., ::2], torch.randn(3 * 4 * 36 + 1)[1:].view(3, 4, 6, 6)):
        parts = weight[:, : given.shape[1]]
        want = torch.convolution(given, parts, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1)
        assert near(call(given, parts), want)
    assert read[0][1] == x.data_ptr() and read[0][2] == weight.data_ptr()
    assert all(addresses[1] != x.data_ptr() for addresses in read[1:])  # neither dense nor aligned: copies


def test_a_bias_that_is_not_fused_is_added(frontend):
    frontend.lacks.add("bias")
    x, weight, bias = operands((6, 6), 4, 6, (3, 3), 1, False)
    assert near(call(x, weight, bias), torch.convolution(x, weight, bias, (1, 1), (1, 1), (1, 1), False, (0, 0), 1))
    assert near(call(x, weight, bias), call(x, weight) + bias.view(-1, 1, 1)) and len(frontend.graphs) == 2


def test_what_cudnn_does_not_compute_is_left_to_the_kernels(frontend, monkeypatch, capfd):
    monkeypatch.setattr(_nvidia, "debug_level", lambda: 1)
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)
    assert call(x.to(torch.int32), weight.to(torch.int32)) is None and not frontend.asked
    frontend.lacks.add("fprop")
    assert call(x, weight) is None and call(x, weight) is None
    assert len(frontend.graphs) == 1 and [*_cudnn.refused.values()] == ["no engine for fprop"]
    said = capfd.readouterr().err
    assert said.count("rushlight: convolution, places<f32>") == 1 and "is left to the kernels: RuntimeError: no engine for fprop" in said


def test_an_output_padding_of_a_stride_or_more_is_left_to_the_kernels(frontend):
    x, weight, _ = operands((5, 5), 4, 6, (3, 3), 1, True)
    want = torch.convolution(x, weight, None, (1, 1), (0, 0), (2, 2), True, (1, 1), 1)
    assert _cudnn_conv.convolution(x, weight, None, tuple(want.shape), (1, 1), (0, 0), (2, 2), True) is None and not frontend.asked


def test_a_failed_run_is_left_to_the_kernels(frontend, monkeypatch):
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)

    def fail(*given, **how):
        raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")

    monkeypatch.setattr(Graph, "execute", fail)
    assert call(x, weight) is None and call(x, weight) is None and len(frontend.graphs) == 1


def test_switched_off(frontend):
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)
    with backends.cudnn.flags(enabled=False):
        assert call(x, weight) is None
    _cudnn.use(False)
    assert call(x, weight) is None and not frontend.asked


def test_no_plan_is_made_during_a_capture(frontend, monkeypatch):
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)
    monkeypatch.setattr(_cudnn._device, "is_capturing", lambda index: True)
    assert call(x, weight) is None and not frontend.asked
    monkeypatch.setattr(_cudnn._device, "is_capturing", lambda index: False)
    assert call(x, weight) is not None
    monkeypatch.setattr(_cudnn._device, "is_capturing", lambda index: True)
    assert call(x, weight) is not None  # a plan that is there may be captured


@pytest.mark.parametrize("limit, tried, best", [(None, [0, 2, 3, 4], 3), (2, [0, 2], 2)])
def test_the_fastest_plan_by_time(frontend, monkeypatch, limit, tried, best):
    times = iter([4.0, 3.0, 1.0, 2.0])
    for name, function in {
        "event_create": lambda index, flags: 1, "event_record": lambda *_: None, "event_synchronize": lambda *_: None,
        "event_destroy": lambda *_: None, "event_elapsed": lambda *_: next(times),
    }.items():  # fmt: skip
        monkeypatch.setattr(_cudnn._device, name, function)
    x, weight, _ = operands((6, 6), 4, 6, (3, 3), 1, False)
    with backends.cudnn.flags(benchmark=True, benchmark_limit=limit):
        for _ in range(2):
            assert near(call(x, weight), torch.convolution(x, weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1))
    assert frontend.tried == [i for i in tried for _ in range(2)] + [best, best]


def test_what_backends_say(frontend, monkeypatch):
    monkeypatch.setattr(_cudnn._start, "found", lambda: (1, None))
    assert backends.cudnn.is_available() and backends.cudnn.version() == 91900
    _cudnn.use(False)
    assert not backends.cudnn.is_available() and backends.cudnn.version() is None


# -- attention --


@pytest.fixture
def small(frontend, monkeypatch):
    monkeypatch.setattr(_cudnn_attention, "WORTH", 1)
    return frontend


def tensors(heads=4, groups=2, length=10, keys=12, width=16, value_width=8, turned=False):
    torch.manual_seed(1)
    shapes = (heads, length, width), (groups, keys, width), (groups, keys, value_width), (heads, length, value_width)
    if turned:  # as projections of (B, L, H * E) lie
        return [torch.randn(2, n, h, e).to(torch.bfloat16).transpose(1, 2) for h, n, e in shapes]
    return [torch.randn(2, h, n, e).to(torch.bfloat16) for h, n, e in shapes]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_attention_and_its_gradients(small, causal, turned, deterministic):
    q, k, v, grad = tensors(turned=turned)
    want, logs = attention.attention(q, k, v, None, None, causal, 0.3)
    out, found = torch.empty_like(want), torch.empty_like(logs)
    assert _cudnn_attention.forward(q, k, v, None, None, causal, 0.3, out, found)
    assert near(out, want) and near(found, logs)
    inputs = [x.detach().clone().requires_grad_() for x in (q, k, v)]
    with torch.enable_grad():
        wanted = torch.autograd.grad(attention.attention(*inputs, None, None, causal, 0.3)[0], inputs, grad)
    got = [torch.empty_like(x) for x in (q, k, v)]
    with backends.cudnn.flags(deterministic=deterministic):
        assert _cudnn_attention.backward(q, k, v, None, None, causal, 0.3, out, found, grad, *got, None)
    assert all(map(near, got, wanted))
    (how,) = (how for name, how in small.asked if name == "sdpa_backward")
    assert how["use_deterministic_algorithm"] is deterministic and math.isclose(how["attn_scale"], 0.3)


@pytest.mark.parametrize("sizes", [(2, 1, 1, 12), (1, 1, 10, 12), (2, 4, 10, 12)])
def test_attention_with_a_mask(small, sizes):
    q, k, v, grad = tensors()
    mask = torch.randn(sizes).masked_fill(torch.rand(sizes) < 0.4, -math.inf).to(torch.bfloat16)
    mask[0, 0, 0] = -math.inf  # of a query that sees no key
    full = mask.expand(2, 4, 10, 12)
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    with torch.enable_grad():
        want, logs = attention.attention(*inputs, full, None, False, 0.3)
        wanted = torch.autograd.grad(want, inputs, grad)
    out, found = torch.empty_like(want), torch.empty_like(logs)
    assert _cudnn_attention.forward(q, k, v, full, None, False, 0.3, out, found)
    assert near(out, want) and out[0, 0, 0].eq(0).all() and found[0, 0, 0] == math.inf
    got = [torch.empty_like(x) for x in (q, k, v)]
    done = _cudnn_attention.backward(q, k, v, full, None, False, 0.3, out, found, grad, *got, None)
    assert done == (sizes[2] > 1) and (not done or all(map(near, got, wanted)))  # gradients with one row for all queries are not cuDNN's
    told = [operand.told["dim"] for graph in small.graphs for operand in graph.given if operand.told["name"] == "bias"]
    assert told == [list(sizes)] * (1 + done)  # read where it repeats, not written out


def test_attention_that_is_left_to_the_kernels(small, monkeypatch):
    q, k, v, _ = tensors()
    out, logs = attention.attention(q, k, v, None, None, False, 1.0)

    def asked(q, k, v, mask=None, kept=None, causal=False):
        return _cudnn_attention.forward(q, k, v, mask, kept, causal, 1.0, out, logs)

    assert asked(q, k, v)
    weights = torch.ones(2, 4, 10, 12).to(torch.bfloat16)
    assert not asked(q, k, v, mask=weights, causal=True) and not asked(q, k, v, kept=weights)
    assert not _cudnn_attention.backward(q, k, v, weights, None, False, 1.0, out, logs, out, q, k, v, weights)  # with the mask's gradient
    assert not asked(q.float(), k.float(), v.float())
    assert not asked(*(x[..., :4] for x in (q, k, v))) and asked(q, k[:1].expand(2, -1, -1, -1), v)  # the second by a copy
    with backends.cudnn.flags(enabled=False):
        assert not asked(q, k, v)
    with backends.cuda.sdp_kernel(enable_cudnn=False):
        assert not asked(q, k, v)
    monkeypatch.setattr(_cudnn_attention, "WORTH", 1 << 20)
    assert not asked(q, k, v)
