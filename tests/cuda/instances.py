"""The kernels that operators ask for, as CUDA kernels. While every pointwise and rowwise operator runs forwards and backwards on the
CPU, each call of the CPU's code generator is recorded as one instance. NVRTC compiles them, and says whether any spills registers.

    python tests/cuda/instances.py sm_90 f32,i64 [K of N]     prints what it compiled: every N-th kernel from the K-th on; "every"
                                                              adds strided and 64-bit forms
"""

import collections
import os
import sys
import warnings

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import rows

import rushlight as rl
from rushlight.codegen import cpu, cuda
from rushlight.codegen.cuda import compile as compiler
from rushlight.ops import _row_gradients

F = rl.nn.functional
DTYPES = {"f32": rl.float32, "f64": rl.float64, "bf16": rl.bfloat16, "f16": rl.float16, "i64": rl.int64, "b1": rl.bool, "c64": rl.complex64}
BATCH = 20  # kernels in a translation unit

# Rowwise operators through their public faces: what to call with x (6, 5, 4), the same in float, a row of 4, labels below 4.
ROWWISE = (
    lambda x, w, k: [x.sum(), x.sum(1), x.mean((0, 2)), x.prod(-1), x.amax(0), x.amin(2), x.any(1), x.all(0), x.count_nonzero(1)],
    lambda x, w, k: [x.argmax(0), x.argmin(-1), x.max(1), x.min(-1)],
    lambda x, w, k: [x.var(0), x.std(-1), x.logsumexp(1), x.norm(dim=0), x.norm(3, dim=-1), x.norm(float("inf"), dim=1)],
    lambda x, w, k: [F.softmax(x, 0), F.softmax(x, -1), F.log_softmax(x, 1), F.layer_norm(x, (4,), w, w), F.rms_norm(x, (5, 4))],
    lambda x, w, k: [loss(x, x.detach() * 2) for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.soft_margin_loss)],
    lambda x, w, k: [loss(x, x.detach()) for loss in (F.binary_cross_entropy_with_logits, F.kl_div)],
    lambda x, w, k: [F.cross_entropy(x[:, 0], k), F.cross_entropy(x[:, 0], k, label_smoothing=0.1)],
    lambda x, w, k: [F.nll_loss(x[:, 0], k, weight=w.detach()), F.cosine_similarity(x, x.detach() + 1), rl.equal(x, x)],
    lambda x, w, k: [F.batch_norm(x.mT, None, None, w, w, True), F.batch_norm(x.mT, w.detach(), w.detach().abs())],
    lambda x, w, k: [F.instance_norm(x), F.group_norm(x.mT, 2, w, w)],
    lambda x, w, k: [rl.autograd.grad(x.prod(0).sum(), x, create_graph=True)[0].square()] if x.requires_grad else [],
)


class Recorder:
    """Stands in place of the CPU's code generator for a while, and keeps what it is asked for."""

    def __init__(self):
        self.pointwise, self.rowwise, self.failed = {}, {}, collections.Counter()

    def __enter__(self):
        self.real = cpu.pointwise, cpu.rowwise, (_row_gradients.kept_rows, _row_gradients.summed_gradient)
        # What the CPU alone does with gradients of rows a GPU is not asked for.
        _row_gradients.kept_rows = _row_gradients.summed_gradient = lambda *_: None

        def pointwise(outputs, inputs, layout, stream=False, interleaved=False, name="pointwise"):
            self.pointwise.setdefault((tuple(map(tuple, outputs)), tuple(inputs), layout), name)
            return self.real[0](outputs, inputs, layout, stream, interleaved, name)

        def rowwise(outputs, inputs, mode, layout, stage="whole", rows=(), stream=False, fetch=False, name="rowwise"):
            self.rowwise.setdefault((tuple(map(tuple, outputs)), tuple(inputs), mode, layout, stage, tuple(rows)), name)
            return self.real[1](outputs, inputs, mode, layout, stage, rows, stream, name)

        cpu.pointwise, cpu.rowwise = pointwise, rowwise
        return self

    def __exit__(self, *_):
        cpu.pointwise, cpu.rowwise, (_row_gradients.kept_rows, _row_gradients.summed_gradient) = self.real

    def attempt(self, name, call):
        """A call with its gradient; an operator may refuse a dtype."""
        try:
            results = call()
        except (RuntimeError, TypeError, NotImplementedError, IndexError, ValueError):
            self.failed[name] += 1
            return
        for result in results if isinstance(results, (list, tuple)) else [results]:
            for r in result if isinstance(result, tuple) else [result]:
                if isinstance(r, rl.Tensor) and r.requires_grad:
                    (r.abs() if r.is_complex() else r).sum().backward(retain_graph=True)


def operand(op, i, dtype):
    """A tensor for operand i of an operator."""
    x = rl.rand(3, 5) * 0.8 + 0.1
    if op.fixed[i] == 0 or dtype == rl.bool:
        return x > 0.5
    if not (dtype.is_floating_point or dtype.is_complex):
        return (x * 4 + 1).to(dtype)
    return x.to(dtype).requires_grad_()


def recorded(dtypes):
    """A Recorder after all operators ran in these types."""
    recorder = Recorder()
    with recorder:
        for name in dtypes:
            dtype = DTYPES[name]
            for entry in rows.entries("pointwise"):
                op = entry.operator
                args = [rows.NUMBERS.get(entry.name, {}).get(i, operand(op, i, dtype)) for i in range(len(rows.operands(op)))]
                args += rows.OPTIONAL.get(entry.name, [])
                recorder.attempt(entry.name, lambda op=op, args=args: op(*args))
                recorder.attempt(entry.name, lambda op=op, args=args: op(*[a.t() if isinstance(a, rl.Tensor) else a for a in args]))
            floating = dtype.is_floating_point
            x, w = (operand_of(shape, dtype, floating) for shape in ((6, 5, 4), (4,)))
            k = rl.arange(6) % 4
            for number, calls in enumerate(ROWWISE):
                recorder.attempt(f"rowwise {number}", lambda calls=calls, x=x, w=w, k=k: calls(x, w, k))
    return recorder


def operand_of(shape, dtype, grad):
    x = rl.rand(*shape) * 0.8 + 0.1
    return x.to(dtype).requires_grad_() if grad else (x * 4).to(dtype)


def kernels(recorder, every=False):
    """The CUDA kernels of what was recorded; every: strided, 64-bit and many-dimensional forms too."""
    found = {}
    for (outputs, inputs, layout), name in recorder.pointwise.items():
        forms = [(0, False)] if "v" not in layout else [(2, False)]
        for rank, wide in forms + ([(2, False), (3, True)] if every else []):
            kernel = cuda.pointwise(outputs, inputs, layout, rank, wide, name)
            found[kernel.symbol] = kernel
    for (outputs, inputs, mode, layout, stage, row_inputs), name in recorder.rowwise.items():
        for dims, wide, aligned, longest in [(1, False, 8, 64)] + ([(2, True, 0, 0), (1, False, 8, 8192)] if every else []):
            reduced = 1 if stage == "finish" else dims
            kernel = cuda.rowwise(outputs, inputs, mode, layout, dims, reduced, wide, stage, row_inputs, aligned, longest, name)
            found[kernel.symbol] = kernel
    return list(found.values())


def survey(batch, arch):
    """symbol -> what NVRTC says that a kernel uses (``compile.Usage``), which for shared memory must be what launches reckon with."""
    used = {}
    for i in range(0, len(batch), BATCH):
        cubin, usage = compiler.compiled(batch[i : i + BATCH], arch)
        assert cubin[:4] == b"\x7fELF"
        used |= usage
    assert len(used) == len(batch)
    rowwise = {k.symbol: k.shared for k in batch if k.shared}
    more = {symbol: (used[symbol].shared, reckoned) for symbol, reckoned in rowwise.items() if used[symbol].shared > reckoned}
    assert not more, f"shared memory that is used, and that launches reckon with: {more}"
    return used


def main(arch, types, part="0 of 1", every=""):
    recorder = recorded(types.split(","))
    first, step = map(int, part.split(" of "))
    used = survey(kernels(recorder, bool(every))[first::step], arch)
    print(f"{len(used)} kernels of {len(recorder.pointwise)} pointwise and {len(recorder.rowwise)} rowwise instances for {arch}")
    registers = sorted(u.registers for u in used.values())
    again = {symbol: u.registers for symbol, u in used.items() if u.blocks}
    print(f"registers of a thread: {registers[0]} to {registers[-1]}, half of the kernels at most {registers[len(registers) // 2]}")
    print(f"compiled again for fewer blocks, since they spilled: {again or 'none'}")
    bad = [symbol for symbol, u in used.items() if u.spilled]
    print("spilled:", bad or "none")
    return bad


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(bool(main(*sys.argv[1:])))
