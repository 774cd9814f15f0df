"""``python tools/fuzz_programs.py [first] [count] [deep]``: random short programs under PyTorch and rushlight, each step compared.

A program is drawn from its number alone: tensors of several dtypes, sizes (0 among them) and layouts, then some steps of views,
writes in place, operators with and without ``out=`` and gradients, whose dims may be negative or out of range. Compared are the values,
dtype, shape, strides and requires_grad that a step leaves, which tensors are leaves and which share memory, or the type of its exception
and the first line. A line is printed for each program that differs. Some do rightly: where two things are wrong with a call either may
be said first, of equal elements any may be the median, and PyTorch reads what it has written where ``out=`` is an operand of a reduction.

Programs of the kind ``deep`` are about gradients: of complex numbers with lazy bits, of views of views that are written in place with hooks
upon them, and of compositions of ``torch.func``'s transforms; what hooks were given is compared, too.
"""

import pathlib
import random
import re
import sys
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

DTYPES = """
    float32 float32 float32 float64 float64 int64 int32 uint8 int8 int16 bool float16 bfloat16 complex64 complex128
""".split()
SHAPES = [(), (1,), (3,), (0,), (2, 3), (3, 2), (1, 3), (3, 1), (3, 3), (2, 0), (2, 1, 3), (2, 3, 3), (1, 1), (2, 2, 3, 1)]

POINTWISE = """
    neg abs exp sin cos tanh sigmoid sqrt reciprocal sign floor ceil round trunc square relu log1p expm1 erf isnan isfinite
    logical_not bitwise_not frac rsqrt angle conj real imag sgn signbit lgamma digamma positive deg2rad exp2 log2 asinh atan
    nan_to_num sinc
""".split()
PAIRS = """
    add sub mul div true_divide floor_divide remainder fmod pow maximum minimum atan2 eq ne lt le gt ge logical_and logical_or
    logical_xor bitwise_and bitwise_or bitwise_xor hypot fmax fmin copysign xlogy heaviside rsub matmul mm bmm mv dot outer inner
    dist cdist kron bitwise_left_shift gcd lcm ldexp logaddexp nextafter isclose vdot cross equal allclose where_ ger tensordot
    addmv_
""".split()
ALONG = """
    sum mean prod amax amin all any argmax argmin max min median nanmedian mode std var logsumexp cumsum cumprod cummax cummin
    softmax log_softmax sort argsort flip unbind squeeze unsqueeze logcumsumexp norm nansum nanmean count_nonzero diff std_mean
    var_mean aminmax unique_consecutive msort nonzero
""".split()
VIEWS = """
    transpose select narrow slice expand reshape view flatten diagonal chunk split permute unfold movedim swapaxes t T mT
    as_strided view_dtype view_as_real unflatten tensor_split index none roll rot90 repeat tile tril triu diag take_along_dim
    gather index_select masked_select repeat_interleave broadcast_to squeeze_all ravel detach clone contiguous topk kthvalue item
    tolist adjoint hsplit
""".split()
INPLACE = """
    add_ sub_ mul_ div_ neg_ exp_ zero_ fill_ copy_ clamp_ relu_ sqrt_ pow_ index_fill_ masked_fill_ scatter_ index_add_ setitem
    transpose_ unsqueeze_ squeeze_ resize_ addcmul_ lerp_ cumsum_ tril_ fill_diagonal_ floor_ eq_ logical_not_ t_ index_copy_ put_
    bitwise_and_ remainder_ requires_grad_ detach_ fmod_ round_ floor_divide_ set_data scatter_add_ scatter_reduce_
    masked_scatter_ index_put_
""".split()
OUT = """
    add mul sum amax cat mm matmul exp cumsum where abs eq sort gather stack mean argmax softmax div index_select tril logical_and
    clamp pow std bmm
""".split()
LISTS = """
    cat stack hstack vstack dstack broadcast_tensors meshgrid block_diag cartesian_prod column_stack einsum where addcmul lerp
    addmm clamp baddbmm addr addmv addbmm
""".split()


class Program:
    """The steps of one number, run by one library."""

    KINDS = "pointwise pair pair along along view view inplace inplace out list grad".split()

    def __init__(self, library, number):
        self.L, self.r = library, random.Random(number)
        self.tensors = [self.new() for _ in range(4)]

    def dtype(self):
        return getattr(self.L, self.r.choice(DTYPES))

    def new(self):
        r, L = self.r, self.L
        shape, dtype = r.choice(SHAPES), self.dtype()
        n = 1
        for s in shape:
            n *= s
        values = [r.choice([-2, -1, 0, 1, 2, 3, 0.5, -1.5]) for _ in range(n)]
        if dtype in (L.uint8, L.bool):
            values = [abs(int(v)) for v in values]
        elif not (dtype.is_floating_point or dtype.is_complex):
            values = [int(v) for v in values]
        elif dtype.is_complex:
            values = [complex(v, r.choice([-1, 0, 1, 2])) for v in values]
        t = L.tensor(values).to(dtype).reshape(shape)
        layout = r.random()
        if layout < 0.15 and t.ndim > 1:
            t = t.transpose(0, -1).contiguous().transpose(0, -1)
        elif layout < 0.25 and t.ndim:
            t = L.cat([t, t], -1)[..., ::2] if t.shape[-1] else t
        elif layout < 0.3 and t.ndim and t.shape[0] == 1:
            t = t.expand(3, *t.shape[1:])
        if r.random() < 0.3 and (dtype.is_floating_point or dtype.is_complex):
            t.requires_grad_()
        return t

    def any(self):
        return self.r.choice(self.tensors)

    def dim(self):
        return self.r.choice([0, 0, -1, -1, 1, -2, 2, 3, -4])

    def number(self):
        return self.r.choice([0, 1, 2, -1, 0.5, True, 2.0, 1j, 3, -1.5, 300])

    def call(self, where, name, *args, **kwargs):
        """As a method or as a function."""
        if self.r.random() < 0.5 and isinstance(args[0], self.L.Tensor):
            return getattr(args[0], name)(*args[1:], **kwargs)
        return getattr(self.L, name)(*args, **kwargs)

    def step(self):
        kind = self.r.choice(self.KINDS)
        name, arguments, f = getattr(self, "_" + kind)()
        return f"{kind} {name} {arguments}", f

    def _pointwise(self):
        name, x = self.r.choice(POINTWISE), self.any()
        method = self.r.random() < 0.5
        return name, _shown(x), lambda: getattr(x, name)() if method else getattr(self.L, name)(x)

    def _pair(self):
        name, x = self.r.choice(PAIRS), self.any()
        y = self.any() if self.r.random() < 0.7 else self.number()
        if name == "where_":
            return name, _shown(x, y), lambda: self.L.where(x > 0, x, y)
        if name == "addmv_":
            return name, _shown(x, y), lambda: self.L.addr(x, x, y)
        kwargs = {"alpha": self.number()} if name in ("add", "sub", "rsub") and self.r.random() < 0.3 else {}
        if name == "div" and self.r.random() < 0.4:
            kwargs = {"rounding_mode": self.r.choice(["floor", "trunc", "up", None])}
        method = self.r.random() < 0.5 and hasattr(x, name)
        if kwargs:
            return name, _shown(x, y, kwargs), lambda: getattr(x, name)(y, **kwargs) if method else getattr(self.L, name)(x, y, **kwargs)
        return name, _shown(x, y, kwargs), lambda: getattr(x, name)(y) if method else getattr(self.L, name)(x, y)

    def _along(self):
        name, x, r = self.r.choice(ALONG), self.any(), self.r
        args, kwargs = (), {}
        if (
            name in ("sum", "mean", "amax", "amin", "std", "var", "logsumexp", "norm", "all", "any", "nansum", "std_mean", "count_nonzero")
            and r.random() < 0.3
        ):
            kwargs["dim"] = tuple(self.dim() for _ in range(r.randrange(3)))
        elif name == "diff":
            kwargs = {"n": r.choice([0, 1, 2]), "dim": self.dim()}
        elif name in ("msort", "nonzero"):
            pass
        elif name == "flip":
            args = (tuple(self.dim() for _ in range(r.choice([1, 2]))),)
        elif r.random() < 0.8 or name in ("cumsum", "cumprod", "softmax", "unsqueeze", "cummax"):
            kwargs["dim"] = self.dim()
            if r.random() < 0.3 and name in (
                "sum",
                "mean",
                "amax",
                "max",
                "min",
                "median",
                "argmax",
                "std",
                "var",
                "logsumexp",
                "all",
                "prod",
                "mode",
                "aminmax",
            ):
                kwargs["keepdim"] = True
        if name in ("sum", "mean", "prod", "cumsum", "cumprod", "softmax", "log_softmax", "nansum") and r.random() < 0.25:
            kwargs["dtype"] = self.dtype()
        if name in ("std", "var", "std_mean") and r.random() < 0.4:
            kwargs["correction"] = r.choice([0, 1, 2])
        if name in ("sort", "argsort"):
            kwargs["stable"] = True
        method = r.random() < 0.5
        return (
            name,
            _shown(x, *args, kwargs),
            lambda: (getattr(x, name) if method and hasattr(x, name) else lambda *a, **k: getattr(self.L, name)(x, *a, **k))(
                *args, **kwargs
            ),
        )

    def _view(self):
        L, r, x = self.L, self.r, self.any()
        name, d, e, k = r.choice(VIEWS), self.dim(), self.dim(), r.choice([0, 1, 2, 3, -1, 5])
        size = r.choice(
            [(-1,), (3, -1), (1, -1), (2, 3), (0, -1), (3, 2, 1), (-1, -1), (6,), (1,) * (x.ndim + 1), (2, *x.shape), (-1, *x.shape)]
        )
        dtype, index = (
            self.dtype(),
            L.tensor(r.choice([[0], [0, 1], [1, -1], [], [5], [[0, 1]]]), dtype=r.choice([L.int64, L.int64, L.int32, L.uint8])),
        )
        item = r.choice([0, -1, slice(None), slice(1, None), None, Ellipsis, index, slice(None, None, 2), True, 5, slice(0, 0)])
        both = r.choice([(item, 0), (item, index), (..., item), (slice(None), item), item, (None, item)])
        f = {
            "transpose": lambda: x.transpose(d, e),
            "select": lambda: x.select(d, k),
            "narrow": lambda: x.narrow(d, k, 1),
            "slice": lambda: x[k:],
            "expand": lambda: x.expand(*size),
            "reshape": lambda: x.reshape(size),
            "view": lambda: x.view(size),
            "flatten": lambda: x.flatten(d, e),
            "diagonal": lambda: x.diagonal(k, d, e),
            "chunk": lambda: x.chunk(k, d),
            "split": lambda: x.split(k, d),
            "permute": lambda: x.permute(d, e) if x.ndim == 2 else x.permute(*range(x.ndim)[::-1]),
            "unfold": lambda: x.unfold(d, k, 1),
            "movedim": lambda: x.movedim(d, e),
            "swapaxes": lambda: x.swapaxes(d, e),
            "t": lambda: x.t(),
            "T": lambda: x.T,
            "mT": lambda: x.mT,
            "as_strided": lambda: x.as_strided((2, 2), (1, 1), k),
            "view_dtype": lambda: x.view(dtype),
            "view_as_real": lambda: L.view_as_real(x),
            "unflatten": lambda: x.unflatten(d, size),
            "tensor_split": lambda: x.tensor_split(k, d),
            "index": lambda: x[both],
            "none": lambda: x[None],
            "roll": lambda: x.roll(k, d),
            "rot90": lambda: x.rot90(k, (d, e)),
            "repeat": lambda: x.repeat(*size),
            "tile": lambda: x.tile(size),
            "tril": lambda: x.tril(k),
            "triu": lambda: x.triu(k),
            "diag": lambda: x.diag(k),
            "gather": lambda: x.gather(d, index),
            "take_along_dim": lambda: x.take_along_dim(index, d),
            "index_select": lambda: x.index_select(d, index),
            "masked_select": lambda: x.masked_select(x > 0),
            "repeat_interleave": lambda: x.repeat_interleave(k, d),
            "broadcast_to": lambda: x.broadcast_to(size),
            "squeeze_all": lambda: x.squeeze(),
            "ravel": lambda: x.ravel(),
            "detach": lambda: x.detach(),
            "clone": lambda: x.clone(),
            "contiguous": lambda: x.contiguous(),
            "topk": lambda: x.topk(k, d),
            "kthvalue": lambda: x.kthvalue(k, d),
            "item": lambda: x.item(),
            "tolist": lambda: x.tolist(),
            "adjoint": lambda: x.adjoint(),
            "hsplit": lambda: x.hsplit(k),
        }[name]
        return name, _shown(x, d, e, k, size, dtype, both), f

    def _inplace(self):
        L, r, x, y = self.L, self.r, self.any(), self.any()
        name, d, n = r.choice(INPLACE), self.dim(), self.number()
        other = y if r.random() < 0.6 else n
        index = L.tensor(r.choice([[0], [0, 1], [0, 0], [], [5], [-1]]))
        mask = r.choice([x, y]) > 0
        size = r.choice([(2, 2), (0,), (), (5,), (1, 3)])
        write = lambda: getattr(x, name)(other)  # noqa: E731
        f = {
            "neg_": lambda: x.neg_(),
            "exp_": lambda: x.exp_(),
            "zero_": lambda: x.zero_(),
            "fill_": lambda: x.fill_(other),
            "copy_": lambda: x.copy_(y),
            "clamp_": lambda: x.clamp_(n, r.choice([None, 2])),
            "relu_": lambda: x.relu_(),
            "sqrt_": lambda: x.sqrt_(),
            "index_fill_": lambda: x.index_fill_(d, index, n),
            "masked_fill_": lambda: x.masked_fill_(mask, n),
            "scatter_": lambda: x.scatter_(d, index, other),
            "index_add_": lambda: x.index_add_(d, index, y),
            "setitem": lambda: x.__setitem__(index if d else d, other),
            "transpose_": lambda: x.transpose_(0, d),
            "unsqueeze_": lambda: x.unsqueeze_(d),
            "squeeze_": lambda: x.squeeze_(d),
            "resize_": lambda: x.resize_(size).zero_(),  # new elements are anything
            "addcmul_": lambda: x.addcmul_(y, y, value=n),
            "lerp_": lambda: x.lerp_(y, other),
            "cumsum_": lambda: x.cumsum_(d),
            "tril_": lambda: x.tril_(),
            "fill_diagonal_": lambda: x.fill_diagonal_(n),
            "floor_": lambda: x.floor_(),
            "logical_not_": lambda: x.logical_not_(),
            "t_": lambda: x.t_(),
            "index_copy_": lambda: x.index_copy_(d, index, y),
            "put_": lambda: x.put_(index, y),
            "requires_grad_": lambda: x.requires_grad_(),
            "detach_": lambda: x.detach_(),
            "round_": lambda: x.round_(),
            "set_data": lambda: setattr(x, "data", y),
            "scatter_add_": lambda: x.scatter_add_(d, index, y),
            "scatter_reduce_": lambda: x.scatter_reduce_(d, index, y, "amax"),
            "masked_scatter_": lambda: x.masked_scatter_(mask, y),
            "index_put_": lambda: x.index_put_((index,), y, accumulate=bool(d)),
        }.get(name, write)
        return name, _shown(x, other, y, d, n, index, size), f

    def _out(self):
        L, r, x, y, d = self.L, self.r, self.any(), self.any(), self.dim()
        name = r.choice(OUT)
        out = r.choice([self.any(), self.any(), L.empty(0, dtype=self.dtype()), L.empty(0, dtype=x.dtype), L.empty_like(x)])
        index = L.tensor([0, 0])
        args = {
            "sum": (x, d),
            "amax": (x, d),
            "mean": (x, d),
            "argmax": (x, d),
            "std": (x, d),
            "cat": ([x, y], d),
            "stack": ([x, y], d),
            "exp": (x,),
            "abs": (x,),
            "cumsum": (x, d),
            "softmax": (x, d),
            "where": (x > 0, x, y),
            "gather": (x, d, index),
            "index_select": (x, d, index),
            "tril": (x,),
            "clamp": (x, 0, 1),
            "sort": (x, d),
        }.get(name, (x, y))
        return (
            name,
            _shown(*args, "out", out),
            lambda: getattr(L, name)(*args, out=(out, L.empty(0, dtype=L.int64)) if name == "sort" else out),
        )

    def _list(self):
        L, r, x, y, z, d = self.L, self.r, self.any(), self.any(), self.any(), self.dim()
        name = r.choice(LISTS)
        if name in ("cat", "stack"):
            return name, _shown(x, y, d), lambda: getattr(L, name)([x, y], d)
        if name in ("addcmul", "lerp", "addmm", "where", "clamp", "baddbmm", "addr", "addmv", "addbmm"):
            return name, _shown(x, y, z), lambda: getattr(L, name)(x > 0 if name == "where" else x, y, z)
        if name == "einsum":
            text = r.choice(["ij,jk->ik", "i,i", "ij->ji", "ij,ij->i", "...i,...i->...", "bij,bjk->bik", "ii->i", "i,j"])
            return name, _shown(text, x, y), lambda: L.einsum(text, *([x, y] if "," in text else [x]))
        if name == "meshgrid":
            return name, _shown(x, y), lambda: L.meshgrid(x, y, indexing="ij")
        if name in ("broadcast_tensors", "block_diag", "cartesian_prod"):
            return name, _shown(x, y), lambda: getattr(L, name)(x, y)
        return name, _shown(x, y), lambda: getattr(L, name)([x, y])

    def _grad(self):
        L, r, x, y = self.L, self.r, self.any(), self.any()
        twice = r.random() < 0.4
        create = r.random() < 0.5
        unused = r.random() < 0.7

        def f():
            total = (x * x.detach()).sum() if twice else x
            found = L.autograd.grad(
                total, [y], None if twice or r.random() < 0.5 else L.ones_like(x), create_graph=create, allow_unused=unused
            )
            return [g for g in found if g is not None]

        return "grad", _shown(x, y, twice, create, unused), f


LAZY = """
    conj conj imag imag real resolve_conj resolve_neg conj_physical view_as_real view_as_complex mH adjoint neg_view is_conj is_neg
    conj_imag real_of_conj conj_of_view
""".split()
CHAIN = """
    sin exp tanh square double cumsum softmax flip first last turn mean norm prod matmul masked amax sort written clamp logsumexp
    roll index conj abs half where std add_row
""".split()
TRANSFORMS = "vmap vmap grad jvp vjp jacrev jacfwd hessian vmap_last grad_and_value".split()


class Deep(Program):
    """Steps that are about gradients."""

    KINDS = "lazy lazy view view inplace inplace inplace hook backward backward func func out".split()

    def __init__(self, library, number):
        self.seen = []
        super().__init__(library, number)

    def dtype(self):
        return getattr(self.L, self.r.choice(["float32", "float64", "complex64", "complex64", "complex128"]))

    def new(self):
        t = super().new()
        return t * 1 if t.requires_grad and self.r.random() < 0.5 else t  # what is no leaf may be written to

    def _lazy(self):
        L, x, name = self.L, self.any(), self.r.choice(LAZY)
        f = {
            "neg_view": lambda: L._neg_view(x),
            "conj_imag": lambda: x.conj().imag,
            "real_of_conj": lambda: L.view_as_real(x.resolve_conj()),
            "conj_of_view": lambda: x[..., :1].conj(),
            "view_as_real": lambda: L.view_as_real(x),
            "view_as_complex": lambda: L.view_as_complex(x),
        }.get(name)
        return name, _shown(x), f or (lambda: getattr(x, name)() if callable(getattr(x, name)) else getattr(x, name))

    def _hook(self):
        x, factor = self.any(), self.r.choice([None, 2, 0.5])

        def note(g):
            self.seen.append(g.detach())
            return factor and g * factor

        return "hook", _shown(x, factor), lambda: x.register_hook(note) and None

    def _backward(self):
        L, r, x, y = self.L, self.r, self.any(), self.any()
        create, product = r.random() < 0.3, r.random() < 0.3

        def f():
            total = (x * y if product else x * x.conj()).sum()
            self.seen.clear()
            wanted = [t for t in self.tensors if t.requires_grad]
            total = L.view_as_real(total).sum() if total.is_complex() else total
            found = L.autograd.grad(total, wanted, create_graph=create, allow_unused=True)
            rows = {"memory_format": L.contiguous_format}  # how gradients lie is nobody's business
            return [g.clone(**rows) for g in [g for g in found if g is not None] + self.seen]

        return "backward", _shown(x, y, create, product), f

    def _func(self):
        L, r, x = self.L, self.r, self.any().detach()
        links = [(r.choice(CHAIN), r.choice([0, -1])) for _ in range(r.choice([1, 2, 3]))]
        names = [r.choice(TRANSFORMS) for _ in range(r.choice([1, 1, 2, 3]))]

        def f():
            g = lambda v: chained(L, v, links)  # noqa: E731
            for name in names:
                g = transformed(L, name, g)
            return g(x).clone(memory_format=L.contiguous_format)

        return "func", f"{_shown(x)} {links} {names}", f


def chained(L, v, links):
    """A function of one tensor, made of named ones along a dim."""
    for name, d in links:
        v = link(L, v, name, d)
    return v


def link(L, v, name, d):
    """One of them; a name that is not listed is that of an operator."""
    listed = {
        "double": lambda: v + v,
        "cumsum": lambda: v.cumsum(d),
        "softmax": lambda: v.softmax(d),
        "flip": lambda: v.flip(d),
        "first": lambda: v[0],
        "last": lambda: v[..., -1:],
        "turn": lambda: v.transpose(0, d),
        "mean": lambda: v.mean(d),
        "norm": lambda: L.linalg.vector_norm(v),
        "prod": lambda: v.prod(d),
        "matmul": lambda: v @ v.mT,
        "masked": lambda: v.masked_fill(v.abs() > 1, 0),
        "amax": lambda: v.amax(d, True),
        "sort": lambda: v.sort(d).values,
        "written": lambda: v.clone().mul_(v),
        "clamp": lambda: v.clamp(-1, 1),
        "logsumexp": lambda: v.logsumexp(d),
        "roll": lambda: v.roll(1, d),
        "index": lambda: v[L.tensor([0, 0])],
        "half": lambda: v[::2] / 2,
        "where": lambda: L.where(v.abs() > 1, v, v * v),
        "std": lambda: v.std(d),
        "add_row": lambda: v + v[:1],
    }
    return listed[name]() if name in listed else getattr(L, name)(v)


def transformed(L, name, g):
    """A function under one of torch.func's transforms."""

    def real(v):
        w = g(v)
        return w.abs().sum() if w.is_complex() else w.sum()

    return {
        "vmap": lambda: L.vmap(g),
        "vmap_last": lambda: L.vmap(g, -1, -1),
        "grad": lambda: L.func.grad(real),
        "grad_and_value": lambda: lambda v: L.func.grad_and_value(real)(v)[0],
        "jvp": lambda: lambda v: L.func.jvp(g, (v,), (L.ones_like(v),))[1],
        "vjp": lambda: lambda v: (pair := L.func.vjp(g, v))[1](pair[0])[0],
        "jacrev": lambda: L.func.jacrev(g),
        "jacfwd": lambda: L.func.jacfwd(g),
        "hessian": lambda: L.func.hessian(real),
    }[name]()


def _shown(*values):
    """Arguments in words that are the same for both libraries."""
    return ", ".join(
        f"{str(v.dtype).split('.')[-1]}{list(v.shape)}{'' if v.is_contiguous() else list(v.stride())}{'*' if v.requires_grad else ''}"
        if hasattr(v, "requires_grad")
        else _shown(*v)
        if isinstance(v, (list, tuple)) and any(hasattr(i, "dtype") for i in v)
        else str(v).split("torch.")[-1].replace("rushlight.", "")
        for v in values
    )


def described(library, value):
    """What is compared of a result."""
    if isinstance(value, library.Tensor):
        numbers = value.detach()
        numbers = numbers.resolve_conj() if value.is_complex() else numbers
        return (
            str(value.dtype).split(".")[-1],
            tuple(value.shape),
            tuple(value.stride()),
            value.requires_grad,
            numbers.double().tolist() if not value.is_complex() else numbers.tolist(),
        )
    if isinstance(value, (tuple, list)):
        return [described(library, v) for v in value]
    return value


def same(a, b, eps=2e-2):
    """Numbers may differ by rounding; everything else must be equal."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, complex) or isinstance(b, complex):
        a, b = complex(a), complex(b)
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b) or abs(a - b) <= eps * max(1, abs(a), abs(b))
    return a == b and type(a) is type(b)


def held(library, tensors):
    """What a step leaves: the tensors, which of them are leaves, and the first that each shares its memory with."""
    memory = [t.untyped_storage().data_ptr() if t.numel() else None for t in tensors]
    return [
        (described(library, t), t.is_leaf, t.grad_fn is None, memory.index(address) if address else -1)
        for t, address in zip(tensors, memory)
    ]


def first_line(error):
    """Type and first line of an exception. PyTorch names a tensor's type in two ways, whichever it thought of first."""
    text = str(error).split("\n")[0].replace("'rushlight.Tensor'", "'Tensor'")
    return type(error).__name__, re.sub(r"CPU(\w+)Type\{", r"torch.\1Tensor{", text)


def run(library, number, steps=6, kind=Program):
    """Yields (what the step was, what it gave) of a program."""
    program = kind(library, number)
    for _ in range(steps):
        try:
            said, f = program.step()
        except Exception as error:  # what the step's arguments are made of
            yield "arguments", first_line(error)
            return
        try:
            result = f()
        except Exception as error:
            yield said, first_line(error)
        else:
            yield said, described(library, result)
            found = [v for v in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(v, library.Tensor)]
            program.tensors += found[:1] if found and found[0].numel() < 1000 else []
        yield said + " leaves", held(library, program.tensors)


def main(first=0, count=1000, kind=Program):
    """Prints the first difference of each program; returns how many differ."""
    import torch

    import rushlight

    warnings.simplefilter("ignore")
    differ = 0
    for number in range(first, first + count):
        for (said, theirs), (_, mine) in zip(run(torch, number, kind=kind), run(rushlight, number, kind=kind)):
            if not same(theirs, mine):
                differ += 1
                print(f"{number}: {said}\n    PyTorch   {str(theirs)[:300]}\n    rushlight {str(mine)[:300]}", flush=True)
                break
    return differ


if __name__ == "__main__":
    raise SystemExit(min(main(*map(int, sys.argv[1:3]), kind=Deep if "deep" in sys.argv[3:] else Program), 1))
