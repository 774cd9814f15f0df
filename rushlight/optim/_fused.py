"""Update rules as kernels: a rule is traced once by the kernel language and then run over all parameters in one call."""

from .._core import operator as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import types as ty

_programs = {}


def step(name, rule, entries, hyper, maximize):
    """Runs ``rule`` on entries, tuples (param, grad, *state) of one floating dtype, in place.

    hyper: its keyword arguments; numbers other than 0 are read at run time, everything else is a constant of the trace.
    """
    live = {k: v for k, v in hyper.items() if isinstance(v, (int, float)) and not isinstance(v, bool) and v}
    constants = tuple((k, v) for k, v in hyper.items() if k not in live)
    code = _tensor.code_of(entries[0][0])
    key = (rule, len(entries[0]), code, tuple(live), constants, maximize)
    program = _programs.get(key)
    if program is None:
        program = _programs[key] = _trace(name, rule, len(entries[0]), code, tuple(live), dict(constants), maximize)
    try:
        core.update(program, entries, tuple(live.values()))
    except RuntimeError as error:
        raise _explained(name, entries, error) from None


def _explained(name, entries, error):
    """The error of an update; of state that lies elsewhere than its parameter it says how that comes."""
    for param, _, *state in entries:
        for x in state:
            if x.device != param.device:
                return RuntimeError(
                    f"{str(error).partition(chr(10))[0]}\n"
                    f"  [{name}] a parameter of shape {tuple(param.shape)} is on {param.device}, what the optimizer keeps of it is on\n"
                    f"  {x.device}: the model was moved after a step was made. Move it first, then make the optimizer."
                )
    return error


def _trace(name, rule, n, code, live, constants, maximize):
    type = ty.NAMES[code]
    compute = ty.opmath(type)
    param, grad, *state = (ex.input(i, compute) for i in range(n))
    numbers = {k: ex.input(n + i, compute) for i, k in enumerate(live)}
    outputs = tuple(rule(param, -grad if maximize else grad, *state, **numbers, **constants))[: n - 1]
    in_codes = (code,) * n + (ty.CODES[compute],) * len(live)
    return core.Program(name, outputs, (code,) * (n - 1), in_codes)
