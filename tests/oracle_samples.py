"""Every operator of PyTorch against rushlight on PyTorch's own sample inputs: values, gradients, in-place forms and errors.

PyTorch keeps, for the tests of its own, samples of the arguments of some 600 operators in every dtype that they support, and arguments that
they must refuse. ``python tests/oracle_samples.py [pattern ...]`` runs them through both libraries and prints a line for each
difference; tests/test_oracle_samples.py is the slow test. An operator that rushlight lacks is a difference too.
"""

import argparse
import collections
import fnmatch
import functools
import itertools
import sys
import types
import warnings
import zlib

import torch
from oracle import worded

import rushlight as rl

sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=object))  # imported by the samples' module, needed by its tests only

SKIPPED_ROOMS = ("ops.", "_refs.", "masked.", "sparse.", "jiterator", "nn.functional.scaled_grouped", "torch.", "_")
BRIDGED = {torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.complex32}

# where two right results need not agree: operator -> why
FREE = {
    **dict.fromkeys(("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"), "uninitialised memory"),
    **dict.fromkeys(("linalg.eig", "linalg.eigh", "linalg.svd", "svd", "svd_lowrank", "pca_lowrank"), "the phase of a vector is free"),
    "to_sparse": "sparse tensors are made by torch.sparse_coo_tensor",
    "nn.functional.triplet_margin_with_distance_loss": "the sample's distance is a module of PyTorch's",
    "nn.functional.embedding_bag": "PyTorch adds half-width rows in half width",
    "as_strided_scatter": "PyTorch does not zero the overwritten elements' gradient",
    "linalg.cholesky": "the gradient of a Hermitian matrix is Hermitian here; its product with a Hermitian direction is the same",
    "linalg.cholesky_ex": "as linalg.cholesky",
    "logcumsumexp": "complex: PyTorch's imaginary part winds on, here it is the principal one",
    "matrix_exp": "what overflows is infinite here, nan in PyTorch",
    "polygamma": "PyTorch's float32 is off by 0.3 % next to a pole (mpmath)",
}
FREE_KINDS = {
    ("nn.functional.conv_transpose3d", "value"): "sums of hundreds of products differ by their order",
    ("special.hermite_polynomial_he", "value"): "recurrences differ by their rounding",
    ("special.polygamma.special_polygamma_n_0", "value"): "as polygamma",
    ("nn.functional.ctc_loss", "gradient"): "behind log_softmax, for which PyTorch's formula is made, both agree",
    ("linalg.householder_product", "gradient"): "of vectors and factors that do not belong together",
    ("cholesky", "gradient"): "as linalg.cholesky",
    ("index_fill", "gradient"): "PyTorch counts an element as often as index names it",
    ("linalg.matrix_power", "requires_grad"): "the identity is recorded by PyTorch",
    ("bernoulli", "requires_grad"): "a gradient of zeros is recorded by PyTorch",
    ("normal", "requires_grad"): "a gradient of zeros is recorded by PyTorch",
    ("normal.number_mean", "requires_grad"): "a gradient of zeros is recorded by PyTorch",
}
# the same for values of half-width floats alone
FREE_HALVES = {
    "div.trunc_rounding": "PyTorch rounds a half-width quotient before it cuts the fraction off",
    "histc": "PyTorch's half-width bins are wider by a rounding",
    "addbmm": "half-width sums differ by their order",
    "nn.functional.conv_transpose2d": "half-width sums differ by their order",
    "nn.functional.binary_cross_entropy_with_logits": "PyTorch rounds half-width numbers between steps",
    "nn.functional.scaled_dot_product_attention": "PyTorch rounds half-width numbers between steps",
    "gradient": "PyTorch rounds half-width numbers between steps",
    "grid_sampler_2d": "PyTorch finds pixels in half width (off by 0.45 where this is by 0.01)",
    "nn.functional.grid_sample": "as grid_sampler_2d",
    "grid_sampler_3d": "PyTorch computes half-width volumes in half width (off by 1.9 where this is by 0.03)",
    "nn.functional.hinge_embedding_loss": "PyTorch rounds the margin to half width",
}
HALVES = torch.float16, torch.bfloat16
TIES = ("argsort", "sort", "kthvalue", "median", "nanmedian", "mode", "topk", "msort")  # equal elements may stand in any order

Difference = collections.namedtuple("Difference", "operator kind dtype text")


@functools.cache
def database():
    """PyTorch's OpInfo entries for what is public and not sparse, masked or quantised."""
    from torch.testing._internal.common_methods_invocations import op_db

    return [o for o in op_db if not o.name.startswith(SKIPPED_ROOMS) and o.name not in FREE]


# -- carrying arguments over --


def memory_of(x):
    """(a copy of the stretch of memory in which x lies, sizes, strides)."""
    x = x.detach().resolve_conj().resolve_neg()
    if not x.numel():
        return torch.empty(1, dtype=x.dtype), tuple(x.shape), x.stride()
    room = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride()))
    return x.as_strided((room,), (1,)).clone(), tuple(x.shape), x.stride()


def to_rl(x):
    """Tensors in ``x`` as rushlight ones with memory of their own, on the default device: same values, dtype, strides, requires_grad."""
    if isinstance(x, torch.Tensor):
        memory, sizes, strides = memory_of(x)
        out = rl.from_dlpack(memory).to(rl.get_default_device(), copy=True).as_strided(sizes, strides)
        return out.detach().requires_grad_() if x.requires_grad else out
    if isinstance(x, (list, tuple)):
        values = [to_rl(v) for v in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)
    if isinstance(x, dict):
        return {k: rl.get_default_device() if (k, str(v)) == ("device", "cpu") else to_rl(v) for k, v in x.items()}
    if isinstance(x, (torch.dtype, torch.memory_format, torch.layout)):
        return getattr(rl, str(x).removeprefix("torch."))
    if isinstance(x, torch.Generator):
        return rl.Generator(rl.get_default_device()).manual_seed(x.initial_seed())
    if isinstance(x, torch.device):
        return str(x)
    return x


def own(x):
    """The same for PyTorch: copies with memory of their own, so that no sample is changed by the call before."""
    if isinstance(x, torch.Tensor):
        memory, sizes, strides = memory_of(x)
        return memory.as_strided(sizes, strides).requires_grad_(x.requires_grad)
    if isinstance(x, (list, tuple)):
        values = [own(v) for v in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)
    return {k: own(v) for k, v in x.items()} if isinstance(x, dict) else x


def from_rl(x):
    """A result of rushlight as PyTorch would return it, for comparison."""
    if isinstance(x, rl.Tensor):
        x = x.detach().resolve_conj().resolve_neg().cpu()
        return torch.from_dlpack(x if x.numel() else x.clone())
    if isinstance(x, (list, tuple)):
        return [from_rl(v) for v in x]
    if isinstance(x, (rl.dtype, rl.device)):
        return str(x)
    return x


def path_of(library, name):
    """``library.a.b`` by its dotted name, or None."""
    found = library
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def callables(info):
    """(form, PyTorch's function, rushlight's) of each form in which the operator is public."""
    wanted = {"function": info.op, "method": info.method_variant, "inplace": info.inplace_variant}
    for form, theirs in wanted.items():
        if theirs is None or isinstance(theirs, functools.partial):  # inplace=True: the functions of nn have tests of their own
            continue
        title = getattr(theirs, "__name__", "")
        if form == "function" and callable(path_of(torch, info.name)):
            ours = path_of(rl, info.name)
            if theirs is not path_of(torch, info.name) and title == "<lambda>":  # a wrapper of PyTorch's tests: run it over our operator
                ours = None if ours is None else wrapped(theirs)
        elif title == "<lambda>":
            ours = wrapped(theirs)
        elif form == "function" and getattr(torch.Tensor, title, None) is not theirs:  # public in the dispatcher only
            continue
        else:
            ours = getattr(rl.Tensor, title, None)
        yield form, theirs, ours


def wrapped(function):
    """A function of PyTorch's tests with every ``torch`` in it read as rushlight."""
    scope = {**function.__globals__, "torch": rl, "wrapper_set_seed": seeded}
    return types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)


def seeded(function, *args, **kwargs):
    """What PyTorch's tests wrap random operators in, on rushlight's generator."""
    rl.manual_seed(42)
    return function(*args, **kwargs)


# -- running --


def outcome(library, function, args, kwargs):
    library.manual_seed(0)
    try:
        return function(*args, **kwargs), None
    except Exception as error:
        return None, error


def tolerance(dtype):
    return {torch.float16: (4e-3, 2e-3), torch.bfloat16: (3e-2, 3e-2), torch.float32: (2e-5, 1e-5), torch.complex64: (4e-5, 2e-5),
            torch.complex32: (1e-2, 1e-2)}.get(dtype, (1e-6, 3e-7))  # fmt: skip


def unlike(got, want, strides=False):
    """The first difference between two results as a text, or None."""
    if isinstance(want, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            return f"{type(got).__name__} for a tensor"
        if got.dtype != want.dtype:
            return f"dtype {got.dtype}, not {want.dtype}"
        if got.shape != want.shape:
            return f"shape {tuple(got.shape)}, not {tuple(want.shape)}"
        if want.dtype in BRIDGED:
            wide = torch.complex64 if want.is_complex() else torch.float32
            got, want = got.to(wide), want.to(wide)
        rtol, atol = tolerance(want.dtype)
        try:
            torch.testing.assert_close(got, want.detach().resolve_conj().resolve_neg(), rtol=rtol, atol=atol, equal_nan=True)
        except AssertionError as error:
            return " ".join(str(error).split())[:150]
        return None
    if isinstance(want, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(want):
            return f"{type(got).__name__} for {type(want).__name__} of {len(want)}"
        return next((f"[{i}] {d}" for i, (g, w) in enumerate(zip(got, want)) if (d := unlike(g, w))), None)
    if isinstance(want, float) and isinstance(got, float):
        return None if got == want or (got != got and want != want) or abs(got - want) <= 1e-6 * abs(want) else f"{got}, not {want}"
    if isinstance(want, (torch.dtype, torch.device)):
        want = str(want)
    return None if type(got) is type(want) and got == want else f"{got!r}, not {want!r}"


def first_line(error):
    return (worded(str(error)).splitlines() or [""])[0].strip()


def spelled(error):
    return f"{type(error).__name__}: {first_line(error)}"


def describe(args, kwargs):
    def one(x):
        if isinstance(x, torch.Tensor):
            return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}" + ("" if x.is_contiguous() else f"/{x.stride()}")
        if isinstance(x, (list, tuple)):
            return "[" + ", ".join(map(one, x)) + "]"
        return repr(x)

    return ", ".join([*map(one, args), *(f"{k}={one(v)}" for k, v in kwargs.items())])[:200]


def compare_sample(form, theirs, ours, args, kwargs, grads, ties=False):
    """The difference on one sample, as (kind, text), or None."""
    a, k = own(args), own(kwargs)
    b, m = to_rl(args), to_rl(kwargs)
    want, refused = outcome(torch, theirs, a, k)
    got, error = outcome(rl, ours, b, m)
    if refused is not None:
        if error is None or isinstance(refused, NotImplementedError):
            return None  # rushlight may know what to do with more than PyTorch does
        same = isinstance(error, (type(refused), NotImplementedError))
        return None if same else ("type of error", f"{spelled(error)} for {spelled(refused)}")
    if error is not None:
        return "raises", spelled(error)
    if ties and isinstance(want, (list, tuple)):
        want, got = want[0], got[0]
    elif ties and want.dtype is torch.int64 and args[0].dtype is not torch.int64:
        want, got = args[0].gather(-1, want), b[0].gather(-1, got)
    if difference := unlike(from_rl(got), want):
        return "value", difference
    return gradients(want, got, a, k, b, m) if grads else None


def tensors(x):
    if isinstance(x, (torch.Tensor, rl.Tensor)):
        return [x]
    if isinstance(x, (list, tuple)):
        return list(itertools.chain.from_iterable(map(tensors, x)))
    return list(itertools.chain.from_iterable(map(tensors, x.values()))) if isinstance(x, dict) else []


def gradients(want, got, a, k, b, m):
    """Compares the gradients of an uneven weighting of the results."""
    theirs, ours = [t for t in tensors(want) if t.requires_grad], [t for t in tensors(got) if t.requires_grad]
    if len(theirs) != len(ours):
        return "requires_grad", f"{len(ours)} results are recorded, PyTorch records {len(theirs)}"
    if not theirs:
        return None
    seed = torch.Generator().manual_seed(zlib.crc32(str([t.shape for t in theirs]).encode()))
    weights = [torch.randn(t.shape, generator=seed, dtype=torch.float64).to(t.dtype) for t in theirs]
    inputs = [t for t in tensors([a, k]) if t.requires_grad]
    mine = [t for t in tensors([b, m]) if t.requires_grad]
    found, refused = outcome(torch, lambda: torch.autograd.grad(theirs, inputs, weights, allow_unused=True), (), {})
    if refused is not None:
        return None
    answer, error = outcome(rl, lambda: rl.autograd.grad(ours, mine, to_rl(weights), allow_unused=True), (), {})
    if error is not None:
        return "gradient raises", spelled(error)
    for i, (g, w) in enumerate(zip(answer, found)):
        if w is None or g is None:
            if (w is None) != (g is None) and not (w if g is None else from_rl(g)).count_nonzero() == 0:
                return "gradient", f"[{i}] {'None' if g is None else 'a tensor'}, PyTorch gives {'None' if w is None else 'a tensor'}"
        elif difference := unlike(from_rl(g), w):
            return "gradient", f"[{i}] {difference}"
    return None


def is_free(label, kind, dtype):
    return (label, kind) in FREE_KINDS or (kind == "value" and dtype in HALVES and label in FREE_HALVES)


def differences(info, dtypes=None, limit=40, errors=True):
    """Every difference of one operator: one for each form, kind and dtype."""
    label = info.name + (f".{info.variant_test_name}" if info.variant_test_name else "")
    for form, theirs, ours in callables(info):
        if ours is None:
            yield Difference(label, f"{form} missing", "", "")
            continue
        for dtype in sorted(info.supported_dtypes("cpu") if dtypes is None else dtypes & info.supported_dtypes("cpu"), key=str):
            grads = dtype in (torch.float64, torch.complex128) and info.supports_autograd and form == "function"
            kinds = set()
            try:
                samples = list(itertools.islice(info.sample_inputs("cpu", dtype, requires_grad=grads), limit))
            except Exception:
                continue
            for sample in samples:
                args, kwargs = (sample.input, *sample.args), sample.kwargs
                found = compare_sample(form, theirs, ours, args, kwargs, grads, info.name in TIES)
                if found and found[0] not in kinds and not is_free(label, found[0], dtype):
                    kinds.add(found[0])
                    text = f"{found[1]}  <- {describe(args, kwargs)}"
                    yield Difference(label, f"{form} {found[0]}", str(dtype).removeprefix("torch."), text)
    if errors and info.error_inputs_func is not None:
        yield from refusals(info, label)


def refusals(info, label):
    """What PyTorch must refuse: the same type of exception, the same first line."""
    _, theirs, ours = next(iter(callables(info)))
    if ours is None:
        return
    try:
        samples = list(info.error_inputs("cpu"))
    except Exception:
        return
    for bad in samples:
        args, kwargs = (bad.sample_input.input, *bad.sample_input.args), bad.sample_input.kwargs
        if kwargs.get("layout", torch.strided) is not torch.strided:
            continue
        try:
            b, m = to_rl(args), to_rl(kwargs)
        except (ValueError, BufferError):  # more dims than either library has
            continue
        _, refused = outcome(torch, theirs, own(args), own(kwargs))
        _, error = outcome(rl, ours, b, m)
        # It may take numbers where PyTorch takes tensors only; then it may still refuse their dtype.
        if refused is None or (isinstance(refused, TypeError) and (error is None or isinstance(error, NotImplementedError))):
            continue
        call = f"  <- {describe(args, kwargs)}"
        if error is None:
            yield Difference(label, "accepts", "", f"PyTorch: {spelled(refused)}{call}")
        elif not isinstance(error, type(refused)) and not isinstance(refused, type(error)):
            yield Difference(label, "error type", "", f"{spelled(error)} | {spelled(refused)}{call}")
        elif first_line(error) != first_line(refused) and "invalid combination" not in first_line(refused):
            yield Difference(label, "error text", "", f"{first_line(error)} | {first_line(refused)}{call}")


# -- out= --

OUT_WAYS = ("fits", "empty", "larger", "spread", "leaf", "float64", "float16", "int64", "int32", "bool", "complex64")
FREE_OUTS = {  # operator -> (in which ways the two may differ, why)
    "cumsum": ("float16", "here sums are kept in float32"),
    "fft.ifft": ("empty larger", "PyTorch's transform lies innermost"),
    "fft.ihfft": ("empty larger", "PyTorch's transform lies innermost"),
    "inner": ("float64 float16 complex64", "PyTorch converts products with a number only"),
    "linalg.ldl_factor": ("empty larger", "row-major here"),
    "linalg.ldl_factor_ex": ("empty larger", "row-major here"),
    "linalg.lu_solve": ("empty larger", "as it was solved"),
    "linalg.matrix_power": ("float64 float16 complex64", "PyTorch converts some powers"),
    "nn.functional.avg_pool3d": ("spread", "PyTorch writes beside it"),
    "nn.functional.gelu": ("spread", "PyTorch does not write to it"),
    "nn.functional.linear": ("fits spread", "PyTorch resizes vectors"),
    "narrow_copy": ("spread", "PyTorch writes beside it"),
    "nonzero": (OUT_WAYS, "PyTorch's as_tuple knows no out="),
    "special.polygamma": (OUT_WAYS, "as polygamma"),
    **dict.fromkeys(("geqrf", "ormqr", "linalg.householder_product", "linalg.lstsq"), ("larger", "as it was computed")),
    "nansum": ("int64 int32 bool", "PyTorch has no kernel for it"),
    "normal": ("larger complex64", "PyTorch draws complex numbers"),
    "std": ("complex64", "PyTorch has no kernel for it"),
    "var": ("complex64", "PyTorch has no kernel for it"),
    **dict.fromkeys(("native_batch_norm", "nn.functional.avg_pool2d"), (OUT_WAYS, "no documented out=")),
}  # fmt: skip


def out_like(result, way):
    """An out= argument for a result (of several, a tuple): of its shape and dtype but for what ``way`` says; None where that is nothing."""
    if not isinstance(result, torch.Tensor):
        outs = tuple(out_like(r, way) for r in result)
        return None if None in [None if out is None else 0 for out in outs] else outs
    sizes, dtype = tuple(result.shape), result.dtype
    if way == "leaf":
        return torch.ones(sizes, dtype=dtype, requires_grad=True) if dtype.is_floating_point else None
    if way == "spread":
        return torch.ones((*sizes, 2), dtype=dtype)[..., 0]
    if way in ("fits", "empty", "larger"):
        return torch.ones({"fits": sizes, "empty": (0,), "larger": (*sizes, 2)}[way], dtype=dtype)
    return None if getattr(torch, way) is dtype else torch.ones(sizes, dtype=getattr(torch, way))


def out_outcome(library, function, args, kwargs):
    """(result, error, whether a warning told of a resized out=)."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result, error = outcome(library, function, args, kwargs)
    return result, error, any("was resized" in str(warning.message) for warning in told)


def out_difference(theirs, ours, args, kwargs, out):
    """The difference of one call with out=, as a text, or None."""
    b, m, into = to_rl(args), to_rl(kwargs), to_rl(out)
    _, refused, warned = out_outcome(torch, theirs, own(args), {**own(kwargs), "out": out})
    result, error, told = out_outcome(rl, ours, b, {**m, "out": into})
    if refused is not None or error is not None:
        if refused is None and "automatic differentiation" in str(error):  # PyTorch looks only where it has a gradient
            return None
        if refused is None or error is None:
            return f"{'accepted' if error is None else spelled(error)} | PyTorch: {'accepted' if refused is None else spelled(refused)}"
        return None if isinstance(error, type(refused)) or isinstance(refused, type(error)) else f"{spelled(error)} | {spelled(refused)}"
    if warned and not told:
        return "no warning of a resized out="
    for r, o, want in zip(tensors(result), tensors(into), tensors(out)):
        if r is not o:
            return "the result is not out="
        if want.numel() > 1 and o.stride() != want.stride():
            return f"strides {o.stride()}, not {want.stride()}"
    wide = torch.float64 in [o.dtype for o in tensors(out)] and torch.float64 not in [a.dtype for a in tensors(args)]
    both = [[x.float() if wide and x.is_floating_point() else x for x in found] for found in (from_rl(tensors(into)), tensors(out))]
    return unlike(*both)


def out_differences(info, limit=2):
    """Every way of giving out= in which the two differ."""
    _, theirs, ours = next(iter(callables(info)), (None, None, None))
    if not info.supports_out or ours is None:
        return
    free = FREE_OUTS.get(info.name, ("", ""))[0]
    dtype = torch.float32 if torch.float32 in info.supported_dtypes("cpu") else torch.int64
    seen = set()
    for sample in itertools.islice(info.sample_inputs("cpu", dtype), limit):
        args, kwargs = (sample.input, *sample.args), sample.kwargs
        result, refused = outcome(torch, theirs, own(args), own(kwargs))
        if refused is not None or not tensors(result) or not isinstance(result, (torch.Tensor, tuple, list)):
            continue
        for way in OUT_WAYS:
            out = out_like(result, way)
            if out is not None and way not in seen and way not in free and (found := out_difference(theirs, ours, args, kwargs, out)):
                seen.add(way)
                yield Difference(info.full_name, "out", way, f"{found}  <- {describe(args, kwargs)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--dtypes", default="float32 float64 int64 complex64 complex128 bool bfloat16")
    parser.add_argument("--limit", type=int, default=40, help="samples of each operator and dtype")
    parser.add_argument("--out", action="store_true", help="calls with out= instead")
    parser.add_argument("--part", default="0/1", help="i/n: the i-th of n parts of the operators")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    dtypes = {getattr(torch, d) for d in given.dtypes.split()}
    warnings.simplefilter("ignore")
    chosen = [o for o in database() if any(fnmatch.fnmatch(o.name, p) for p in given.patterns)][part::parts]
    count = 0
    for info in chosen:
        for found in out_differences(info) if given.out else differences(info, dtypes, given.limit):
            print(*found, sep=" | ", flush=True)
            count += 1
    print(f"{len(chosen)} operators, {count} differences")


if __name__ == "__main__":
    main()
