"""The rows of the operator tests: for each operator of the registry, sample arguments in its domain.

Pointwise and rowwise operators need no row: their samples follow from the signature. A row here says only what is special.
"""

import rushlight as rl
from rushlight.ops import _define

# interval from which each operand is drawn where the default (-3, 3) leaves the domain
DOMAIN = {
    "acosh": [(1.1, 5)], "log": [(0.1, 5)], "log2": [(0.1, 5)], "log10": [(0.1, 5)], "log1p": [(-0.8, 5)], "sqrt": [(0.1, 5)],
    "rsqrt": [(0.1, 5)], "asin": [(-0.9, 0.9)], "acos": [(-0.9, 0.9)], "atanh": [(-0.9, 0.9)], "erfinv": [(-0.9, 0.9)],
    "logit": [(0.1, 0.9)], "lgamma": [(0.2, 5)], "digamma": [(0.2, 5)], "ndtri": [(0.1, 0.9)], "entr": [(0.1, 3)],
    "xlogy": [(-3, 3), (0.2, 4)], "xlog1py": [(-3, 3), (-0.7, 4)], "pow": [(0.2, 3), (-2, 2)], "zeta": [(1.5, 4), (0.5, 4)],
    "reciprocal": [(0.3, 4)], "true_divide": [(-3, 3), (0.4, 4)], "fmod": [(-9, 9), (0.7, 4)], "remainder": [(-9, 9), (0.7, 4)],
    "floor_divide": [(-9, 9), (0.7, 4)], "addcdiv": [(-3, 3), (-3, 3), (0.4, 4)], "tan": [(-1.2, 1.2)], "i0": [(-4, 4)],
    "copysign": [(0.3, 4), (-3, 3)], "tanhshrink": [(0.8, 3)],
}  # fmt: skip

# operands that are numbers in PyTorch's signature
NUMBERS = {"threshold": {1: 0.3, 2: -1.0}, "masked_fill": {2: 1.5}}

# operands that may be left out and are given all the same
OPTIONAL = {"clamp": [-1.0]}

# where the two differ on purpose: (operator, law) -> why
DIFFERENT = {
    ("tanhshrink", "refusals"): "PyTorch refuses bool, though tanh takes it",
    ("_prelu_kernel", "refusals"): "PyTorch refuses to promote",
    ("zeta", "node"): "there is no derivative by the first operand: refused in the call, by PyTorch in backward",
    ("ndtr", "node"): "PyTorch composes it of several operators",
}

# values that PyTorch computes in several steps, each of which rounds half-width numbers
ROUNDED = ("ndtr",)

SHIFTS = ("bitwise_left_shift", "bitwise_right_shift")


def entries(family):
    """The public registry entries of one family."""
    return [e for e in _define.registry.values() if e.family == family and e.where]


def operands(op):
    """Names of the operands of a pointwise or rowwise operator that must be given."""
    required = rl._core.operator.Signature.required
    return [n for n, d, o in zip(op.signature.names, op.signature.defaults, op.operand) if o and d is required]
