"""LLVM text to object code, and object code to an address. llvmlite is imported here, at the first compilation, and nowhere
else.

RUSHLIGHT_DEBUG=1 prints one line for each compilation, 2 the LLVM text as well, 3 the assembly as well (on stderr).
"""

import functools
import itertools
import os
import sys
import threading
import time

from .._core import loader
from .cache import remembered

lock = threading.RLock()  # held at fork: the child must not inherit a half-linked library
_loaded = []  # what keeps loaded code alive; kernels live as long as the process
_serial = itertools.count()

os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


@functools.cache
def debug_level():
    """RUSHLIGHT_DEBUG as a number."""
    return int(os.environ.get("RUSHLIGHT_DEBUG") or 0)


@functools.cache
def binding():
    """llvmlite's binding to LLVM, at the first compilation. A process whose kernels are all in the cache does without: it takes 55 MB."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


class Host:
    """This machine: CPU name, features, and the width of its vectors in bits. (Tests name a lesser machine.)"""

    def __init__(self, cpu=None, lacking=()):
        self.llvm, triple, name, flags = remembered(_facts)
        self.cpu = cpu or name
        self.features = {flag[1:]: flag[0] == "+" and not flag[1:].startswith(tuple(lacking)) for flag in flags.split(",") if flag}
        self.flags = ",".join(("+" if on else "-") + name for name, on in self.features.items())
        self.vector_bits = self._vector_bits()
        self.x86 = triple.startswith(("x86_64", "i686", "amd64"))
        self.half = not self.x86 or bool(self.features.get("f16c"))  # converts f16 by itself

    @property
    def slow_gathers(self):
        """Do gathers and scatters take longer than the loads and stores they stand for? So they do on AMD's processors."""
        return self.cpu.startswith("znver")

    def _vector_bits(self):
        has = self.features.get
        if has("avx512f") and has("avx512vl") and has("avx512bw") and has("avx512dq"):
            return 512
        return 256 if has("avx2") else 128

    def machine(self, optimizes=True):
        """A new target machine (the JIT takes its own for good). A kernel's sections lie together: 32 bits reach from one to another."""
        model = "small" if self.x86 else "jitdefault"
        target = binding().Target.from_default_triple()
        return target.create_target_machine(
            cpu=self.cpu, features=self.flags, opt=2 if optimizes else 0, reloc="pic", codemodel=model, jit=True
        )

    @functools.cached_property
    def compiler(self):
        """What optimized objects are made by."""
        return Compiler(self)

    @functools.cached_property
    def drafter(self):
        """What drafts are made by (drafts.py)."""
        return Compiler(self, optimizes=False)

    @functools.cached_property
    def jit(self):
        """The ORC JIT that links and loads those that :mod:`rushlight._core.loader` doesn't."""
        return binding().create_lljit_compiler(self.machine())


def _facts():
    """What LLVM says of itself and of this machine: its version, the target triple, the CPU's name and features."""
    llvm = binding()
    version = ".".join(map(str, llvm.llvm_version_info))
    return version, llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@functools.cache
def host():
    """This machine, examined once."""
    return Host()


def module(function, name, parameters):
    """The text of a module with one exported function."""
    target = host()
    attributes = [
        "nounwind",
        f'"prefer-vector-width"="{target.vector_bits}"',
        f'"min-legal-vector-width"="{target.vector_bits}"',
    ]
    return "\n".join(
        [
            f"define void @{name}({parameters}) #0 {{", function.lines[0], *function.allocas, *function.lines[1:], "}",
            *function.declarations.values(),
            f"attributes #0 = {{ {' '.join(attributes)} }}", "!0 = !{i32 1}", "",
        ]
    )  # fmt: skip


class Compiler:
    """LLVM text to object code. Threads may use several at once: llvmlite lets one call at a time into LLVM."""

    def __init__(self, target, optimizes=True):
        self.machine, self.optimizes = target.machine(optimizes), optimizes

    def compile(self, text, name):
        """The object code of a module in text form."""
        start = time.perf_counter()
        parsed = binding().parse_assembly(text)
        if self.optimizes:
            self._clean_up(parsed)
        code = self.machine.emit_object(parsed)
        if debug_level() >= 1:
            made = "compiled" if self.optimizes else "drafted"
            sys.stderr.write(f"rushlight: {made} {name} in {1e3 * (time.perf_counter() - start):.1f} ms, {len(code)} bytes\n")
        if debug_level() >= 2:
            sys.stderr.write(text + "\n")
        if debug_level() >= 3:
            sys.stderr.write(self.machine.emit_assembly(parsed) + "\n")
        return code

    def _clean_up(self, parsed):
        """The text is already in good order (graphs are hash-consed, loops are vectors): more passes don't pay."""
        llvm = binding()
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.run(parsed, llvm.create_pass_builder(self.machine, llvm.create_pipeline_tuning_options(1)))


def compile(text, name):
    """The optimized object code of an LLVM module in text form."""
    with lock:
        return host().compiler.compile(text, name)


def draft(text, name):
    """The same in a third of the time, not optimized."""
    with lock:
        return host().drafter.compile(text, name)


def load(code, name):
    """Bring object code into the process; the address of its function ``name``."""
    return loader.load(code, name) or _linked(code, name)


def _linked(code, name):
    """The same by LLVM's JIT, which knows every processor, and the symbols of this process."""
    target = host()
    with lock:
        library = binding().JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(name)
        tracker = library.link(target.jit, f"{name}.{next(_serial)}")
        _loaded.append(tracker)
        return tracker[name]
