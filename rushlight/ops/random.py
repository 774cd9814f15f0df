"""Random tensors: constructors, samplers and in-place fillers.

The streams, in ``_core/random.pyx``, are PyTorch's; what is here checks the arguments.
"""

import math
import warnings
from operator import index

from .._core import callbacks
from .._core import creation as _creation
from .._core import random as _core
from .._core import tensor as _tensor
from .._core.convert import leaf
from .._core.operator import deliver_new, deliver_out, dtype_name
from .._core.tape import records
from . import arithmetic, reduction
from ._define import composite, library
from ._expect import expect
from ._outputs import elementwise, exact, last, meets
from .creation import INT64, dtype_with, empty, empty_like, full

_DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
_MAX = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38, "float64": math.inf}
_TINY = {"float32": 2.0**-126, "float64": 2.0**-1022}
_C_NAMES = {
    "uint8": "unsigned char", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long", "bool": "bool",
    "float16": "c10::Half", "bfloat16": "c10::BFloat16", "float32": "float", "float64": "double", "uint16": "unsigned short",
    "uint32": "unsigned int", "uint64": "unsigned long",
}  # fmt: skip


def _kernel(name):
    """The address of a kernel for large fills."""
    from ._streams import compile_kernel  # imported when wanted: it needs the elementary functions of the language

    return compile_kernel(name)


_core.set_compiler(_kernel)


# -- in place --


def _filler(function):
    """Defines the in-place method ``Tensor.<name>_`` by a function that checks its arguments and fills. Gradients stop at it.

    A recorded result is filled through copy_(), which tells the tape that what was there is gone.
    """

    def call(self, *args, **kwargs):
        if records(self) and not (self.is_leaf and self.requires_grad):
            return self.copy_(function(empty_like(self.detach()), *args, **kwargs))
        return function(self, *args, **kwargs)

    call.__name__, call.__doc__, call.__wrapped__ = function.__name__, function.__doc__, function
    composite(call, name=function.__name__, where="method")
    return function


# PyTorch's kernels by what they draw, where their name is not <that>_cpu
_KERNELS = {
    "uniform": "check_uniform_bounds",
    "normal": "normal_kernel_cpu",
    "bernoulli": "bernoulli_scalar_cpu_",
    "bernoulli of p": "bernoulli_tensor_cpu_p_",
    "random": "random_kernel_cpu",
    "dirichlet": "dirichlet",
}


def _unsupported(stream, t):
    """The error for a tensor in whose dtype the stream's numbers are not drawn."""
    return NotImplementedError(
        f"\"{_KERNELS.get(stream, f'{stream}_cpu')}\" not implemented for '{dtype_name(t.dtype.code)}'\n"
        "  Use a tensor of another dtype, as with .float()."
    )


callbacks.register(no_samples=_unsupported)


def _continuous(name, t):
    """Distributions of real numbers fill floating tensors only."""
    if not t.is_floating_point():
        title = name.removesuffix("_").replace("_", " ").capitalize()
        raise RuntimeError(
            f"{title} distribution is a continuous probability distribution. dtype must be a floating point but you specified "
            f"{dtype_name(t.dtype.code)}"
        )


@_filler
def uniform_(self, *args, generator=None, **bounds):
    """Fills the tensor with uniform numbers from [from, to): x.uniform_(), x.uniform_(-1, 1). Returns it.

    >>> x = torch.empty(1000).uniform_(2, 3)
    >>> bool((x >= 2).all()), bool((x < 3).all())
    (True, True)
    """
    if not (args or bounds) and self.is_floating_point():
        return _core.fill(self, "uniform", 0.0, 1.0, generator)
    low, high = _pair("uniform_", args, bounds, ("from", "to"), (0.0, 1.0))
    if not (self.is_floating_point() or self.is_complex()):
        raise _unsupported("uniform", self)
    most = _MAX.get(self.dtype.to_real().name, math.inf)
    for name, value in (("from", low), ("to", high)):
        if not -most <= value <= most:
            raise RuntimeError(f"{name} is out of bounds for {_C_NAMES.get(self.dtype.to_real().name, self.dtype.name)}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if high - low > most:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{dtype_name(self.dtype.code)}>::max(), "
            f"but found to={high:g} and from={low:g} which result in to-from to exceed the limit"
        )
    return _core.fill(self, "uniform", low, high, generator)


def _pair(name, args, given, names, defaults):
    """Two numbers passed by position or by name (one of which, ``from``, is a keyword of Python)."""
    values = [*args, *defaults[len(args) :]]
    for key, value in given.items():
        if key not in names:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        values[names.index(key)] = value
    if len(args) > 2:
        raise TypeError(f"{name}() takes from 0 to 2 positional arguments but {len(args)} were given")
    return float(values[0]), float(values[1])


@_filler
def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Fills the tensor with normally distributed numbers and returns it. mean: 0 unless given; std: 1 unless given, not negative.

    >>> torch.empty(3).normal_(mean=5., std=0.)
    tensor([5., 5., 5.])
    """
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if self.is_complex():  # each part has half the variance
        _core.fill(self, "normal", 0.0, std * math.sqrt(0.5), generator)
        return self.add_(complex(mean, mean)) if mean != 0 else self
    if not self.is_floating_point():
        raise _unsupported("normal", self)
    return _core.fill(self, "normal", float(mean), float(std), generator)


@_filler
def log_normal_(self, mean=1.0, std=2.0, *, generator=None):
    """Fills the tensor with numbers whose logarithms are normal with ``mean`` (1) and ``std`` (2), and returns it.

    >>> torch.empty(1000).log_normal_(0., 1.).min() > 0
    tensor(True)
    """
    _continuous("log_normal_", self)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    return _core.fill(self, "log_normal", float(mean), float(std), generator)


@_filler
def exponential_(self, lambd=1.0, *, generator=None):
    """Fills the tensor with exponentially distributed numbers of rate ``lambd`` (1), so of mean 1 / lambd, and returns it.

    >>> torch.empty(100_000).exponential_(4.).mean().sub(0.25).abs() < 0.01
    tensor(True)
    """
    _continuous("exponential_", self)
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    return _core.fill(self, "exponential", float(lambd), 0.0, generator)


@_filler
def cauchy_(self, median=0.0, sigma=1.0, *, generator=None):
    """Fills the tensor with Cauchy-distributed numbers around ``median`` (0), half of them within ``sigma`` (1) of it, and returns it.

    >>> torch.empty(100_000).cauchy_(median=7.).median().sub(7).abs() < 0.1
    tensor(True)
    """
    _continuous("cauchy_", self)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    return _core.fill(self, "cauchy", float(median), float(sigma), generator)


@_filler
def geometric_(self, p, *, generator=None):
    """Fills the tensor with how many trials of probability ``p``, in (0, 1), it takes to succeed, at least 1, and returns it.

    >>> torch.empty(1000).geometric_(0.5).min()
    tensor(1.)
    """
    if self.dtype.name == "bool" or self.is_complex() or (self.dtype.name.startswith("uint") and self.itemsize > 1):
        raise _unsupported("geometric", self)
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    return _core.fill(self, "geometric", float(p), 0.0, generator)


@_filler
def bernoulli_(self, p=0.5, *, generator=None):
    """Fills the tensor with ones, with probability ``p`` (0.5), and zeros, and returns it. p: a number or a tensor that broadcasts to it.

    >>> torch.empty(2, 2).bernoulli_(torch.tensor([0., 1.]))
    tensor([[0., 1.],
            [0., 1.]])
    """
    if self.is_complex() or (self.dtype.name.startswith("uint") and self.itemsize > 1):
        raise _unsupported("bernoulli", self)
    if isinstance(p, _tensor.Tensor):
        return _core.fill(self, "bernoulli", _probabilities(p, self.shape), 0.0, generator)
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    return _core.fill(self, "bernoulli", float(p), 0.0, generator)


def _probabilities(p, size):
    """A tensor of probabilities, checked and expanded."""
    p = p.detach()
    if not p.is_floating_point():
        raise _unsupported("bernoulli of p", p)
    expect(p, 0, 1, _no_probability)
    return p.expand(size)


def _no_probability(value):
    return RuntimeError(f"Expected p_in >= 0 && p_in <= 1 to be true, but got false.\n  Probabilities lie in [0, 1]; {value:g} does not.")


@_filler
def random_(self, *args, generator=None, **bounds):
    """Fills the tensor with integers: of the whole range of its dtype, from [0, to) or from [from, to). Returns it.

    A floating tensor without bounds gets 0 to 2**d, the integers it can represent (d: 24 for float32).

    >>> dice = torch.empty(1000, dtype=torch.int64).random_(1, 7)
    >>> dice.unique()
    tensor([1, 2, 3, 4, 5, 6])
    """
    bounds = dict(zip(("to",) if len(args) == 1 else ("from", "to"), args), **bounds)
    for name, value in bounds.items():
        if type(value) is int and -(1 << 63) <= value < 1 << 63:
            continue
        if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__")):
            raise TypeError(
                f"random_(): argument '{name}' must be int, not {type(value).__name__}\n  Give random_(to) or random_(from, to)."
            )
        if value is not None and not -(1 << 63) <= int(value) < 1 << 63:
            raise ValueError("Overflow when unpacking long long")
    name = self.dtype.name
    if self.is_complex() or (name in ("uint16", "uint32", "uint64") and not bounds) or name.startswith("float8"):
        raise _unsupported("random", self)
    if not bounds:
        return _core.fill_integers(self, 0, _highest(self.dtype) + 1, generator, wide=name in ("int64", "float64"))
    low, high = int(bounds.get("from", 0)), bounds.get("to")
    if high is None:
        whole = low == -(1 << 63)
        return _core.fill_integers(self, 0 if whole else low, 1 << 64 if whole else _highest(self.dtype) + 1 - low, generator)
    high = int(high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    low, high = _representable(self.dtype, low, high)
    return _core.fill_integers(self, low, high - low, generator)


def _highest(dtype):
    if dtype.is_floating_point:
        return 1 << _DIGITS[dtype.name]
    return (1 << (8 * dtype.itemsize - dtype.is_signed)) - 1 if dtype.name != "bool" else 1


def _representable(dtype, low, high):
    """Bounds that the dtype can hold: errors for integers; for floats a warning, and bounds moved in to representable numbers."""
    title = _C_NAMES[dtype.name]
    if not dtype.is_floating_point:
        least = -_highest(dtype) - 1 if dtype.is_signed else 0
        for name, value in (("from", low), ("to - 1", high - 1)):
            if not least <= value <= _highest(dtype):
                raise RuntimeError(f"{name} is out of bounds for {title}\n  {value} is no {dtype}.")
        return low, high
    digits = _DIGITS[dtype.name]
    for name, value in (("from", low), ("to - 1", high - 1)):
        if abs(value) > _MAX[dtype.name]:
            raise RuntimeError(f"{name} is out of bounds for {title}\n  {value} is no {dtype}.")
        if abs(value) > 1 << digits:
            warnings.warn(
                f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {title} can support discrete "
                "uniform distribution only within this range. This warning will become an error in version 1.7 release, "
                "please fix the code in advance",
                UserWarning, stacklevel=4,
            )  # fmt: skip
    above, below = _rounded(dtype, low + 1), _rounded(dtype, high - 1)
    if above < low:
        low = above + (1 << (abs(low + 1).bit_length() - digits))
    if below >= high:
        high = below - (1 << (abs(high - 1).bit_length() - digits))
    return low, high


def _rounded(dtype, value):
    """``value`` as the nearest number of a floating dtype; itself if that is infinite."""
    number = full((), value, dtype=dtype, device="cpu").item()
    return int(number) if math.isfinite(number) else value


# -- constructors --


def _new(name, size, given, dtype, device, out):
    """The tensor to fill: a new one, or ``out`` in the new shape."""
    size = size if given is None else (tuple(given) if hasattr(given, "__iter__") else given,)
    if out is None:
        return _creation.shaped(name, size, dtype, device)
    return deliver_new(_creation.shaped(name, size, dtype_with(out, dtype), None), out, name)


@composite(where="function")
def rand(*shape, size=None, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Uniform numbers from [0, 1): rand(2, 3), rand((2, 3)). dtype: the default float one unless given.

    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2)
    tensor([0.4963, 0.7682])
    """
    return leaf(uniform_(_new("rand", shape, size, dtype, device, out), generator=generator), requires_grad)


@composite(where="function")
def randn(*shape, size=None, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Normal numbers of mean 0 and variance 1: randn(2, 3), randn((2, 3)). dtype: the default float one unless given.

    >>> _ = torch.manual_seed(0)
    >>> torch.randn(2)
    tensor([ 1.5410, -0.2934])
    """
    return leaf(normal_(_new("randn", shape, size, dtype, device, out), generator=generator), requires_grad)


@composite(where="function")
def randint(*args, low=0, high=None, size=None, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False,
            pin_memory=False):  # fmt: skip
    """Integers from [low, high) as an int64 tensor: randint(10, (2, 3)), randint(-5, 5, (2, 3)).

    >>> torch.randint(3, (1000,)).unique()
    tensor([0, 1, 2])
    """
    numbers, size = (args[:-1], args[-1]) if size is None and args else (args, size)
    if len(numbers) == 2:
        low, high = numbers
    elif len(numbers) == 1:
        low, high = (low, numbers[0]) if high is None else (numbers[0], high)
    if high is None or size is None:
        raise TypeError(
            "randint() received an invalid combination of arguments\n"
            "  It takes randint(high, size) or randint(low, high, size), size being a tuple."
        )
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, float):
            raise TypeError(f"randint(): argument '{name}' (position {1 + (len(numbers) > 1 and name == 'high')}) must be int, not float")
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' (position {len(args)}) must be tuple of ints, not {type(size).__name__}")
    dtype = dtype or (out.dtype if out is not None else INT64)
    return leaf(random_(_new("randint", (size,), None, dtype, device, out), low, high, generator=generator), requires_grad)


randint.quick = _core.quick["randint"]


def _model(input, dtype, device, memory_format):
    return empty_like(input, dtype=dtype, device=device, memory_format=memory_format)


@composite(where="function")
def rand_like(input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None, generator=None):
    """Uniform numbers from [0, 1) in the shape and dtype of ``input``.

    >>> x = torch.rand_like(torch.ones(2, 3, dtype=torch.float64))
    >>> x.shape, x.dtype
    (torch.Size([2, 3]), torch.float64)
    """
    return leaf(uniform_(_model(input, dtype, device, memory_format), generator=generator), requires_grad)


@composite(where="function")
def randn_like(input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None, generator=None):
    """Normal numbers of mean 0 and variance 1 in the shape and dtype of ``input``.

    >>> noise = torch.randn_like(torch.ones(1000, 10))
    >>> noise.shape, noise.mean().abs() < 0.1
    (torch.Size([1000, 10]), tensor(True))
    """
    return leaf(normal_(_model(input, dtype, device, memory_format), generator=generator), requires_grad)


@composite(where="function")
def randint_like(
    input, low, high=None, *,
    dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None, generator=None,
):  # fmt: skip
    """Integers from [0, low) or [low, high) in the shape and dtype of ``input``.

    >>> torch.randint_like(torch.zeros(1000), 2, 5).unique()
    tensor([2., 3., 4.])
    """
    low, high = (0, low) if high is None else (low, high)
    return leaf(random_(_model(input, dtype, device, memory_format), low, high, generator=generator), requires_grad)


@composite(where="function")
def randperm(n, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """The numbers 0 to n - 1 in random order, as an int64 tensor.

    >>> order = torch.randperm(5)
    >>> order.sort().values
    tensor([0, 1, 2, 3, 4])
    """
    n, dtype = index(n), dtype or INT64
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    if dtype.name == "bool" or dtype.is_complex or dtype.name.startswith("float8"):
        raise NotImplementedError(f"\"randperm\" not implemented for '{dtype_name(dtype.code)}'")
    if not dtype.is_floating_point and n > _highest(dtype) + 1:
        raise RuntimeError(f"value cannot be converted to type {dtype.name}_t without overflow\n  {n} numbers need a wider dtype.")
    if dtype.is_floating_point and n > _highest(dtype) + 1:
        raise RuntimeError(f"n cannot be greater than {_highest(dtype) + 1} for {dtype_name(dtype.code)} type.")
    return leaf(_core.fill_permutation(_creation.shaped("randperm", (n,), dtype, device), generator), requires_grad)


meets(last, randperm)


# -- samplers --


@composite(where="function", memory=elementwise)
def normal(mean, std=1.0, size=None, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Normal numbers: normal(0., 1., (2, 3)), or one for each element of the tensors ``mean`` and ``std`` (either may be a number).

    >>> torch.normal(torch.tensor([1., 2.]), torch.tensor([0., 0.]))
    tensor([1., 2.])
    """
    tensors = [t for t in (mean, std) if isinstance(t, _tensor.Tensor)]
    if not tensors:
        if size is None:
            raise TypeError(
                "normal() received an invalid combination of arguments\n  With two numbers it needs a size: normal(mean, std, size)."
            )
        out = _creation.shaped("normal", (size,), dtype, device)
        return leaf(normal_(out, mean, std, generator=generator), requires_grad)
    mean, std = (t.detach() if isinstance(t, _tensor.Tensor) else t for t in (mean, std))
    if isinstance(std, _tensor.Tensor):
        if std.is_complex():
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if std.numel() and reduction.occurs(std < 0):
            raise RuntimeError("normal expects all elements of std >= 0.0")
    elif std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    model = tensors[0].detach() if len(tensors) == 1 else arithmetic.add(mean, std)
    z = normal_(empty(model.shape, dtype=model.dtype, device=model.device), generator=generator)
    return arithmetic.add(arithmetic.mul(z, std), mean)


@composite(where="function method", memory=elementwise)
def bernoulli(input, p=None, *, generator=None, out=None):
    """Ones with the probabilities in ``input``, else zeros. p: one probability for all, ``input`` giving shape and dtype only; out:
    may be of another dtype.

    >>> torch.bernoulli(torch.tensor([0., 1., 1.]))
    tensor([0., 1., 1.])
    """
    made = empty(input.shape, dtype=input.dtype if out is None else out.dtype, device=input.device)
    bernoulli_(made, input if p is None else p, generator=generator)
    return made if out is None else deliver_out(made, out, "bernoulli")


@composite(where="function method", out=exact("multinomial expects Long tensor out, got: {Given}"))
def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Positions drawn by the weights in ``input``, a vector or the rows of a matrix: an int64 tensor with ``num_samples`` per row.

    Weights need not sum to one. Without replacement no position comes twice.
    Raises RuntimeError for negative, infinite or all-zero weights.

    >>> torch.multinomial(torch.tensor([0., 3., 0., 1.]), 2).sort().values
    tensor([1, 3])
    """
    if not input.is_floating_point():
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {dtype_name(input.dtype.code)}")
    if input.dim() not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement\n"
            f"  {num_samples} samples of {input.shape[-1]} weights; pass replacement=True or fewer samples."
        )
    if input.shape[-1] > 2**24:
        n = input.shape[-1]
        raise RuntimeError(f"number of categories cannot exceed 2^24\n  There are {n} weights; draw a block of them first, then one in it.")
    rows = input.detach().reshape(-1, input.shape[-1]).contiguous() if input.dim() == 1 else input.detach().contiguous()
    by_columns = input.dim() == 2 and 0 < input.stride(0) < input.stride(1)  # PyTorch draws for each weight as they lie in memory
    out = _core.draw_choices(rows, num_samples, replacement and num_samples > 1, generator, by_columns)  # one alone: without replacement
    return out.reshape(num_samples) if input.dim() == 1 else out


def _sampled(stream, generator, *parameters):
    """A row-major tensor of samples, one for each element of the broadcast parameters."""
    first = parameters[0]
    if not first.is_floating_point():
        raise _unsupported(stream, first)
    size = first.shape
    for other in parameters[1:]:
        size = arithmetic.add(first.detach(), other.detach()).shape
    out = empty(size, dtype=first.dtype, device=first.device)
    return _core.fill(out, stream, *(p.detach().expand(size) for p in parameters), generator=generator)


@composite(where="function")
def poisson(input, generator=None):
    """Poisson-distributed counts with the rates in ``input``, in its dtype.

    >>> torch.poisson(torch.tensor([0., 0.])), torch.poisson(torch.full((10_000,), 4.)).mean().sub(4).abs() < 0.2
    (tensor([0., 0.]), tensor(True))
    """
    if input.is_floating_point():
        expect(input, 0, math.inf, lambda rate: RuntimeError(f"invalid Poisson rate, expected rate to be non-negative\n  Found {rate:g}."))
    return _sampled("poisson", generator, input)


@composite(where="function")
def binomial(count, prob, generator=None):
    """How many of ``count`` trials succeed with probability ``prob``; both are floating tensors that broadcast.

    >>> torch.binomial(torch.tensor([10., 10.]), torch.tensor([0., 1.]))
    tensor([ 0., 10.])
    """
    for name, t in (("count", count), ("prob", prob)):
        if not t.is_floating_point():
            raise ValueError(f"binomial only supports floating-point dtypes for {name}, got: {dtype_name(t.dtype.code)}")
    return _sampled("binomial", generator, count, prob)


@library(where="function", differentiable="input")
def _standard_gamma(input, generator=None):
    """Gamma-distributed numbers of scale 1 with the shapes in ``input``; their gradient moves them along with their quantile."""
    return _sampled("gamma", generator, input)


@_standard_gamma.backward_of
def _(grad, input, result):
    return (arithmetic.mul(grad, _standard_gamma_grad(input, result)),)


@composite(where="function")
def _standard_gamma_grad(input, output):
    """The derivatives of the gamma samples ``output`` by their shapes ``input``."""
    out = empty(input.shape, dtype=input.dtype, device=input.device)
    return _core.fill_gamma_slopes(out, input.detach().contiguous(), output.detach().contiguous())


@composite(where="function")
def _sample_dirichlet(input, generator=None):
    """Points of the simplex: each row of the last dim is Dirichlet-distributed with the concentrations in ``input``."""
    if not input.is_floating_point():
        raise _unsupported("dirichlet", input)
    g = _sampled("gamma", generator, input.detach().double())
    points = arithmetic.div(g, reduction.sum(g, -1, True)).to(input.dtype)
    return points.clamp(_TINY[input.dtype.name], 1.0 - 0.5 ** _DIGITS[input.dtype.name])
