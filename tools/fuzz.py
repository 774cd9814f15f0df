"""``python tools/fuzz.py [pattern ...]``: random right and wrong calls of every public operator, in PyTorch and in rushlight.

A case is ``operator/number``, and the number seeds everything about it: arguments from PyTorch's samples (or random ones where there are
none), of which some are replaced by nonsense, cast, emptied, expanded, reversed, made to overlap, or also given as ``out=``. The arguments
of rushlight lie in front of an unmapped page, so that a read or write past their end is a crash. Calls run in worker processes with a limit
of time and memory. A line is printed for each finding:

- a process that dies, a call that takes longer than ``--seconds``,
- an exception that tells of a defect (SystemError, AttributeError, KeyError ...), arguments changed by a call that failed,
- what PyTorch does otherwise: values, dtype, shape, gradients, arguments left behind, the type of the exception.

``--case operator/number`` runs one case and prints the call.
"""

import argparse
import collections
import ctypes
import fnmatch
import functools
import itertools
import mmap
import os
import pathlib
import random
import resource
import selectors
import subprocess
import sys
import time
import warnings
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

MEMORY = 12 << 30  # bytes of address space of a worker
SKIPPED = set(
    "__array__ __array_priority__ __array_wrap__ __class__ __delattr__ __dir__ __dlpack__ __getattribute__ __hash__ __init__"
    " __init_subclass__ __new__ __reduce__ __reduce_ex__ __setattr__ __setstate__ __sizeof__ __subclasshook__"
    " __torch_function__ as_subclass assert_int_or_pair autocast_decrement_nesting autocast_increment_nesting backward"
    " boolean_dispatch classproperty clear_autocast_cache compile cond cuda data_ptr empty empty_like empty_permuted"
    " empty_quantized empty_strided fork from_file get_device_module get_rng_state handle_torch_function has_torch_function"
    " has_torch_function_unary has_torch_function_variadic hpu import_ir_module init_num_threads initial_seed ipu"
    " is_grad_enabled is_shared load manual_seed mtia multi_head_attention_forward new new_empty new_empty_strided parse_ir"
    " parse_schema parse_type_comment pin_memory read_vitals register_hook register_post_accumulate_grad_hook resize resize_"
    " resize_as resize_as_ save seed set_ set_anomaly_enabled set_autocast_cache_enabled set_autocast_cpu_enabled"
    " set_autocast_dtype set_autocast_enabled set_default_device set_default_dtype set_default_tensor_type"
    " set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal set_grad_enabled set_num_interop_threads"
    " set_num_threads set_printoptions set_rng_state set_vital set_warn_always share_memory_ storage sym_fresh_size sym_ite"
    " to_mkldnn to_sparse to_sparse_coo typename untyped_storage use_deterministic_algorithms vmap wait while_loop xpu".split()
)
RANDOM = set(
    "alpha_dropout alpha_dropout_ bernoulli bernoulli_ binomial cauchy_ dropout dropout1d dropout2d dropout3d dropout_ eig"
    " eigh exponential_ feature_alpha_dropout feature_alpha_dropout_ feature_dropout feature_dropout_ fractional_max_pool2d"
    " fractional_max_pool2d_with_indices fractional_max_pool3d fractional_max_pool3d_with_indices geometric_ geqrf"
    " gumbel_softmax ldl_factor ldl_factor_ex lobpcg log_normal_ lu_factor lu_factor_ex multinomial normal normal_ pca_lowrank"
    " poisson rand rand_like randint randint_like randn randn_like random_ randperm rrelu rrelu_ scaled_dot_product_attention"
    " svd svd_lowrank uniform_".split()
)
DTYPES = "float32 float32 float64 int64 int32 bool bfloat16 float16 complex64 complex128 uint8 int8 int16 uint16".split()
DEFECTS = (SystemError, AttributeError, KeyError, NameError, AssertionError, ZeroDivisionError, RecursionError, StopIteration, UnicodeError)

TENSORS = "input self other a b x y tensor weight bias target mat2 source index mask".split()  # parameters that are tensors
Finding = collections.namedtuple("Finding", "case kind text call")

# -- what is called --


@functools.cache
def catalogue():
    """{label: (PyTorch's function, rushlight's, samples or None)} of everything callable that both libraries have."""
    import torch
    from oracle_samples import callables, database, path_of

    import rushlight as rl

    found = {}
    for info in database():
        label = info.name + (f".{info.variant_test_name}" if info.variant_test_name else "")
        for form, theirs, ours in callables(info):
            if ours is not None:
                found[label if form == "function" else f"{label}:{form}"] = (theirs, ours, info)
    for room in ("", "Tensor", "nn.functional", "linalg", "fft", "special"):
        for name in sorted(dir(path_of(torch, room) if room else torch)):
            label = f"{room}.{name}".lstrip(".")
            theirs, ours = path_of(torch, label), path_of(rl, label)
            public = not name.startswith("_") or (room == "Tensor" and name.endswith("__"))
            if public and name not in SKIPPED and callable(theirs) and callable(ours) and not isinstance(theirs, type):
                found.setdefault(f"blind:{label}", (theirs, ours, None))
    return found


def labels_like(patterns):
    """The labels of the catalogue that match any of the patterns."""
    return sorted(label for label in catalogue() if any(fnmatch.fnmatch(label, p) for p in patterns))


def parameters_of(function):
    """The names of a function's arguments, as far as they can be known."""
    import inspect

    names = getattr(getattr(function, "signature", None), "names", None)
    if names is None:
        try:
            names = [p.name for p in inspect.signature(function).parameters.values() if p.kind < 2]
        except (ValueError, TypeError):
            names = ["input", "a", "b"]
    return list(names)


@functools.cache
def samples(label, dtype):
    """PyTorch's samples of an operator's arguments, the first of them."""
    import torch

    torch.manual_seed(0)
    try:
        return list(itertools.islice(catalogue()[label][2].sample_inputs("cpu", dtype), 24))
    except Exception:
        return []


# -- arguments --


def numbers(rng):
    return rng.choice(
        (None, True, False, 0, 1, 2, 3, -1, -2, -3, 7, 64, 65, 10**6, 2**31, 2**31 - 1, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63), 2**63,
         2**64, 0.0, -0.0, 0.5, 1.5, -2.5, 1e-8, 1e300, float("nan"), float("inf"), float("-inf"), 1j, 0j)
    )  # fmt: skip


def nonsense(rng):
    """Anything but a tensor."""
    import torch

    kind = rng.randrange(10)
    if kind < 5:
        return numbers(rng)
    if kind < 7:
        return rng.choice(("abc", "", "mean", "sum", "none", "reflect", "ij,jk", "cpu", "meta", "tanh", b"x", "é"))
    if kind < 9:
        values = [numbers(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 5)))]
        return rng.choice((list, tuple))(values if rng.random() < 0.5 else [v for v in values if type(v) is int and abs(v) < 100])
    return rng.choice((torch.float16, torch.int64, torch.complex64, torch.strided, {}, {"dim": 0}, slice(None), ..., range(3), object, min))


def tensor(rng):
    """A small tensor of any dtype, shape and layout."""
    import torch

    shapes = ((), (1,), (3,), (0,), (2, 3), (3, 3), (0, 3), (3, 0), (1, 3), (2, 3, 4), (2, 2, 2), (1, 1, 1, 1), (2, 3, 4, 4), (33, 5))
    shape, dtype = rng.choice(shapes), getattr(torch, rng.choice(DTYPES))
    made = torch.Generator().manual_seed(rng.randrange(1000))
    x = torch.randn(shape, generator=made) * rng.choice((1, 1, 3, 100))
    if rng.random() < 0.1:
        x = x * rng.choice((0.0, float("inf"), float("nan"), 1e30, 1e-30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = x.abs().to(dtype) if dtype is torch.uint8 else x.to(dtype)
    return relaid(x, rng) if rng.random() < 0.4 else x


def relaid(x, rng):
    """A tensor as another: other strides, shape, dtype or flags."""
    import torch

    kind = rng.randrange(14)
    if kind == 0:
        return x.t() if x.ndim == 2 else x.transpose(0, -1) if x.ndim else x
    if kind == 1:
        return x.unsqueeze(rng.randint(0, x.ndim))
    if kind == 2:
        return x[..., :0] if x.ndim else x
    if kind == 3:
        return x[..., ::2] if x.ndim else x
    if kind == 4:
        return x[:1].expand(3, *x.shape[1:]) if x.ndim and x.shape[0] else x.expand(2, *x.shape)
    if kind == 5:
        return x.flatten()[0] if x.numel() else x.sum()
    if kind == 6:
        return x.detach().clone().requires_grad_() if x.is_floating_point() or x.is_complex() else x
    if kind == 7:
        return x.flatten()
    if kind == 8 and x.ndim and x.shape[-1] > 1 and x.is_contiguous():  # rows that overlap
        return x.detach().as_strided((max(x.numel() - 1, 0), 2), (1, 1))
    if kind == 9:
        return x[..., :-1] if x.ndim else x
    if kind == 10:
        return torch.zeros((), dtype=x.dtype).expand(x.shape)
    if kind == 11:
        return x.detach().repeat(*(2,) * x.ndim) if x.ndim and x.numel() < 1000 else x
    dtype = getattr(torch, rng.choice(DTYPES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x.detach().to(dtype)


def changed(x, rng):
    """One argument, replaced by something more or less like it."""
    import torch

    if isinstance(x, torch.Tensor):
        return relaid(x, rng) if rng.random() < 0.7 else rng.choice((tensor, nonsense))(rng)
    if isinstance(x, (list, tuple)) and x and rng.random() < 0.7:
        parts = list(x)
        at = rng.randrange(len(parts))
        action = rng.randrange(4)
        if action == 0:
            del parts[at]
        elif action == 1:
            parts.insert(at, parts[at])
        else:
            parts[at] = changed(parts[at], rng)
        return type(x)(parts) if type(x) in (list, tuple) else parts
    if type(x) is int and rng.random() < 0.6:
        return x + rng.choice((-2, -1, 1, 2, 100, -100))
    return numbers(rng) if rng.random() < 0.6 else rng.choice((tensor, nonsense))(rng)


def arguments(label, number):
    """The positional and named arguments of a case, as PyTorch's; None if there are none to be had."""
    _, ours, info = catalogue()[label]
    rng = random.Random(zlib.crc32(f"{label}/{number}".encode()))
    if info is None:
        return blind(label, parameters_of(ours), rng)
    dtype = rng.choice(sorted(info.supported_dtypes("cpu"), key=str))
    found = samples(label, dtype)
    if not found:
        return None
    sample = rng.choice(found)
    args, kwargs = [sample.input, *sample.args], dict(sample.kwargs)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
        action = rng.randrange(12)
        if action == 0 and len(args) > 1:
            args.pop(rng.randrange(len(args)))
        elif action == 1:
            args.append(rng.choice((tensor, nonsense))(rng))
        elif action == 2:
            kwargs[rng.choice(("dim", "dtype", "out", "keepdim", "bogus", *parameters_of(ours)))] = nonsense(rng)
        elif action == 3 and ":" not in label:
            kwargs["out"] = rng.choice((args[0], tensor(rng)))
        elif action < 6 and kwargs:
            name = rng.choice(sorted(kwargs))
            kwargs[name] = changed(kwargs[name], rng)
        else:
            at = rng.randrange(len(args))
            args[at] = changed(args[at], rng)
    return args, kwargs


def blind(label, names, rng):
    """Arguments by the names of the parameters alone."""
    args = []
    for name in names[: rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 8))] or (["self"] if "Tensor." in label else []):
        tensorlike = name in TENSORS
        if name in ("tensors", "indices") and rng.random() < 0.7:
            args.append([tensor(rng) for _ in range(rng.randrange(4))])
        elif name in ("size", "shape", "dims", "dim", "kernel_size", "output_size", "stride") and rng.random() < 0.7:
            args.append(rng.choice((rng.randint(-3, 4), [rng.randint(-2, 4) for _ in range(rng.randrange(4))])))
        else:
            args.append(tensor(rng) if (tensorlike and rng.random() < 0.9) or rng.random() < 0.3 else nonsense(rng))
    if label.startswith("blind:Tensor."):
        args = [tensor(rng), *args[1:]]
    kwargs = {rng.choice((*names, "out", "dim", "dtype")): nonsense(rng)} if rng.random() < 0.15 else {}
    return args, kwargs


# -- carrying over --


@functools.cache
def _protect():
    function = ctypes.CDLL(None, use_errno=True).mprotect
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def guarded(memory):
    """A flat PyTorch tensor's copy whose last byte lies right in front of an unmapped page."""
    import torch

    size = memory.numel() * memory.element_size()
    pages = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    room = mmap.mmap(-1, pages + mmap.PAGESIZE)
    whole = torch.frombuffer(room, dtype=torch.uint8)
    _protect()(whole.data_ptr() + pages, mmap.PAGESIZE, 0)
    return whole[pages - size : pages].view(memory.dtype).copy_(memory)


def to_rushlight(x, seen):
    """``x`` with every tensor carried over; what was one object stays one."""
    import torch
    from oracle_samples import memory_of
    from oracle_samples import to_rl as plain

    import rushlight as rl

    if isinstance(x, torch.Tensor):
        if id(x) not in seen:
            memory, sizes, strides = memory_of(x)
            out = rl.from_dlpack(guarded(memory)).as_strided(sizes, strides)
            seen[id(x)] = out.detach().requires_grad_() if x.requires_grad else out
        return seen[id(x)]
    if isinstance(x, (list, tuple)):
        values = [to_rushlight(v, seen) for v in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)
    if isinstance(x, dict):
        return {k: to_rushlight(v, seen) for k, v in x.items()}
    return plain(x)


def to_own(x, seen):
    """The same for PyTorch: copies, so that a sample survives the call."""
    import torch
    from oracle_samples import own

    if isinstance(x, torch.Tensor):
        if id(x) not in seen:
            seen[id(x)] = own(x)
        return seen[id(x)]
    if isinstance(x, (list, tuple)):
        values = [to_own(v, seen) for v in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)
    return {k: to_own(v, seen) for k, v in x.items()} if isinstance(x, dict) else x


# -- one case --


def compare_errors(error, refused):
    """What is wrong with rushlight's error (None: it returned) beside PyTorch's (None), as (kind, text); None if nothing is."""
    from oracle_samples import spelled

    lacking = isinstance(error, AttributeError) and str(error).startswith(("'", "type object"))  # of what a wrong argument lacks
    if isinstance(error, DEFECTS) and not (refused is not None and (lacking or type(error) is type(refused))):
        return "defect", f"{spelled(error)} | {spelled(refused) if refused else 'returns'}"
    if refused is None:
        return "raises", spelled(error)
    by_accident = isinstance(refused, DEFECTS) or "INTERNAL ASSERT" in str(refused)
    if isinstance(refused, NotImplementedError) or (by_accident and error is not None):
        return None
    if error is None:
        return None if isinstance(refused, TypeError) else ("accepts", spelled(refused))
    same = isinstance(error, type(refused)) or isinstance(refused, type(error))
    return None if same else ("type of error", f"{spelled(error)} | {spelled(refused)}")


def compare(label, number, mark=lambda what: None):
    """The finding of a case, or None."""
    import torch
    from oracle_samples import FREE_KINDS, TIES, describe, from_rl, gradients, outcome, spelled, tensors, unlike

    import rushlight as rl

    given = arguments(label, number)
    if given is None:
        return None
    theirs, ours, _ = catalogue()[label]
    name = label.removeprefix("blind:").partition(":")[0]
    found = functools.partial(Finding, f"{label}/{number}", call=describe(*given))
    args, kwargs = to_rushlight(given, seen := {})
    before = [(t, from_rl(t).clone()) for t in seen.values()]
    mark("rushlight")
    started = time.process_time()  # a clock on the wall counts what else the machine does
    got, error = outcome(rl, ours, args, kwargs)
    took = time.process_time() - started
    mark("checking")
    if error is not None and "out" not in kwargs:
        left = next((i for i, (t, old) in enumerate(before) if tuple(t.shape) != tuple(old.shape) or unlike(from_rl(t), old)), None)
        if left is not None:
            return found("changed by a failed call", f"argument {left}: {spelled(error)}")
    mark("torch")
    mine, named = to_own(given, also := {})
    began = time.process_time()
    want, refused = outcome(torch, theirs, mine, named)
    theirs_took = time.process_time() - began
    mark("comparing")
    if took > 2 and took > 20 * theirs_took:
        return found("slow", f"{took:.1f} s, PyTorch {theirs_took:.2f} s")
    if error is not None or refused is not None:
        wrong = compare_errors(error, refused)
        return found(*wrong) if wrong else None
    last = name.rpartition(".")[2]
    aliased = any(t is given[0][0] for t in tensors(given[1].get("out"))) if given[0] else False
    if last in RANDOM or last.rstrip("_") in RANDOM or (name, "value") in FREE_KINDS or aliased:
        return None
    try:
        results = from_rl(got)
    except Exception as failure:
        return found("defect", f"result: {spelled(failure)}")
    ties = last in TIES and isinstance(want, (list, tuple))
    if difference := unlike(results[0], want[0]) if ties else None if last in TIES else unlike(results, want):
        return found("value", difference)
    for i, (a, b) in enumerate(zip(seen.values(), also.values())):
        if difference := unlike(from_rl(a), b):
            return found("argument afterwards", f"argument {i}: {difference}")
    if all(t.dtype in (torch.float32, torch.float64, torch.complex128) for t in tensors(want)):
        if (difference := gradients(want, got, mine, named, args, kwargs)) and (name, difference[0]) not in FREE_KINDS:
            return found(*difference)
    return None


# -- workers --


def work(labels, count, first):
    """Runs cases and tells by lines where it is: `> case stage`, then `! kind | text | call` for a finding."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    for label in labels:
        for number in range(first, first + count):
            case = f"{label}/{number}"
            try:
                found = compare(label, number, lambda what, case=case: print(f"> {case} {what}", flush=True))
            except Exception as error:  # of the comparison itself
                found = Finding(case, "harness", f"{type(error).__name__}: {error}", "")
            if found:
                print("! " + " | ".join(" ".join(str(part).split()) for part in found), flush=True)


def spent(pid):
    """The seconds that a process has computed; infinitely many where the system does not tell."""
    try:
        numbers = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


class Driver:
    """Keeps a worker going through the cases; after a death or a timeout the next one starts behind the case."""

    def __init__(self, labels, count, first, seconds):
        self.labels, self.count, self.first, self.seconds = labels, count, first, seconds

    def start(self, labels):
        command = [sys.executable, __file__, "--work", "--count", str(self.count), "--first", str(self.first)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True), labels

    def run(self):
        """Yields the findings."""
        todo = list(self.labels)
        while todo:
            at, ended = "", None
            for line, how in self.lines(todo):
                if line is None:
                    ended = how
                elif line.startswith("! "):
                    yield Finding(*(line[2:].split(" | ", 3)))
                elif line.startswith("> "):
                    at = line[2:]
            if ended is None:
                return
            case, _, stage = at.rpartition(" ")
            if not case:
                raise SystemExit(f"a worker {ended} before its first case")
            if stage != "torch":
                yield Finding(case, ended, stage, "")
            label = case.rpartition("/")[0]
            todo = todo[todo.index(label) + 1 :]  # the rest of this operator's cases is given up

    def lines(self, labels):
        """(line, None) of a worker, then (None, how it ended) if that was not by itself."""
        worker, _ = self.start(labels)
        worker.stdin.write("\n".join(labels))
        worker.stdin.close()
        watch = selectors.DefaultSelector()
        watch.register(worker.stdout, selectors.EVENT_READ)
        patience = 120
        try:
            while self.heard(watch, worker.pid, patience):
                line = worker.stdout.readline()
                if not line:
                    code = worker.wait()
                    if code:
                        yield None, f"died ({code})"
                    return
                patience = self.seconds
                yield line.rstrip("\n"), None
            yield None, f"took over {self.seconds} s"
        finally:
            worker.kill()
            worker.wait()

    @staticmethod
    def heard(watch, pid, patience):
        """Is there a line? Not, after so many seconds of the worker's own time, or ten times as many of the clock's."""
        before = spent(pid)
        for _ in range(10):
            if watch.select(patience):
                return True
            if spent(pid) - before >= patience or before == float("inf"):
                return False
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--count", type=int, default=20, help="cases of each operator")
    parser.add_argument("--first", type=int, default=0, help="the first case's number")
    parser.add_argument("--part", default="0/1", help="i/n: the i-th of n parts of the operators")
    parser.add_argument("--seconds", type=float, default=20, help="limit of a case")
    parser.add_argument("--case", help="run this case here")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(sys.stdin.read().split("\n"), given.count, given.first)
    if given.case:
        label, _, number = given.case.rpartition("/")
        print(*given.case.split(), arguments(label, int(number)), sep="\n")
        print(compare(label, int(number), print))
        return None
    part, parts = map(int, given.part.split("/"))
    labels = labels_like(given.patterns)[part::parts]
    kinds = collections.Counter()
    for found in Driver(labels, given.count, given.first, given.seconds).run():
        kinds[found.kind] += 1
        print(" | ".join(found), flush=True)
    print(f"{len(labels)} operators, {given.count} cases each: {dict(kinds) or 'no findings'}")
    return None


if __name__ == "__main__":
    main()
