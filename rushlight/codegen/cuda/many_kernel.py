"""The CUDA C of a pointwise kernel that goes through many lists of tensors: an update rule over all parameters of a network in one launch.

Blocks are dealt out to the entries in turn, CHUNK elements to each; a block finds its entry by bisection. The struct has the place of each
entry's memory; as in ``core.update``, the first output replaces the first input, and every other one the input behind the second.
"""

from ..._core.operator import entries_of
from .pointwise_kernel import THREADS, Pointwise

CHUNK = 1 << 14  # elements of a block: a multiple of what its threads take in a turn


class Many(Pointwise):
    """Writes one kernel; ``tensors`` of the inputs, the first ones, are lists, the others numbers."""

    block, blocks = "0", "1"

    def __init__(self, outputs, inputs, tensors, vector, groups):
        super().__init__(outputs, inputs, "c" * (len(outputs) + tensors) + "n" * (len(inputs) - tensors), 0, False, vector, groups)
        self.tensors, self.numbers = tensors, len(inputs) - tensors
        self.entries = entries_of(tensors, self.numbers)

    def _parameters(self):
        numbers = f" Slot number[{self.numbers}];" if self.numbers else ""
        return "\n".join([
            super()._parameters(),
            f"struct Entry {{ i64 block, n; char *pointer[{self.tensors}]; }};",
            f"struct Entries {{ i64 count;{numbers} Entry entry[{self.entries}]; }};",
        ])  # fmt: skip

    def _signature(self, symbol):
        return f'extern "C" __global__ void __launch_bounds__({THREADS}) {symbol}(const __grid_constant__ Entries all)'

    def _main(self):
        fits = [f"divides({min(16, self.vector * o.bytes)}, {o.slot}.pointer)" for o in self.operands if o.packed and o.letter == "c"]
        n_out = len(self.outputs)
        return [
            "    i64 low = 0, high = all.count - 1;",
            "    while (low < high) {",
            "        const i64 middle = (low + high + 1) / 2;",
            "        if (all.entry[middle].block <= (i64)blockIdx.x) low = middle; else high = middle - 1;",
            "    }",
            "    const Entry &entry = all.entry[low];",
            "    Parameters p;",
            "    p.n = entry.n;",
            "    p.fault = nullptr;",
            *(f"    p.operand[{k}].pointer = entry.pointer[{k + 1 if k else 0}];" for k in range(n_out)),
            *(f"    p.operand[{n_out + i}].pointer = entry.pointer[{i}];" for i in range(self.tensors)),
            *(f"    p.operand[{n_out + self.tensors + i}] = all.number[{i}];" for i in range(self.numbers)),
            f"    const i64 first = ((i64)blockIdx.x - entry.block) * {CHUNK}, last = min(first + {CHUNK}, p.n);",
            f"    const bool fits = {' && '.join(fits)};",
            f"    const i64 whole = fits ? last / {self.vector} : first / {self.vector};",
            f"    run<{self.vector}, {self.groups}>(p, first / {self.vector}, whole);",
            f"    run<1, 1>(p, whole * {self.vector}, last);",
        ]  # fmt: skip
