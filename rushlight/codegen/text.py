"""LLVM's text form: element types, constants and a builder that numbers values."""

import contextlib
import math
import struct

LLVM_TYPE = {
    "b1": "i1", "u8": "i8", "i8": "i8", "i16": "i16", "u16": "i16", "i32": "i32", "u32": "i32", "i64": "i64",
    "u64": "i64",
    "f16": "half", "bf16": "i16", "f32": "float", "f64": "double",
    "f8e4m3fn": "i8", "f8e5m2": "i8", "f8e4m3fnuz": "i8", "f8e5m2fnuz": "i8", "f8e8m0fnu": "i8",
}  # fmt: skip

_SUFFIX = {"half": "f16", "float": "f32", "double": "f64"}


def vector(lanes, scalar):
    """The LLVM vector type of ``lanes`` elements of LLVM type ``scalar``."""
    return f"<{lanes} x {scalar}>"


def mangled(lanes, scalar):
    """How an overloaded intrinsic's name spells a vector type, e.g. ``v16f32``."""
    return f"v{lanes}{_SUFFIX.get(scalar, scalar)}"


def literal(value, type):
    """The number ``value`` as an LLVM constant of element type ``type``."""
    if type == "b1":
        return "true" if value else "false"
    if type == "f32":
        return f"0x{struct.unpack('<Q', struct.pack('<d', _round_to_f32(value)))[0]:016X}"
    if type == "f64":
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    return str(int(value))


def _round_to_f32(value):
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


class Function:
    """A function being written: numbered values, labelled blocks, and the intrinsics it must declare."""

    def __init__(self):
        self.lines = []
        self.allocas = []  # stack slots, which belong in the entry block
        self.declarations = {}
        self.count = 0
        self.block = None  # the label of the block being written

    def name(self):
        """A fresh value name."""
        self.count += 1
        return f"%t{self.count}"

    def emit(self, instruction):
        """Append an instruction that yields a value; return the value's name."""
        name = self.name()
        self.lines.append(f"  {name} = {instruction}")
        return name

    def alloca(self, type):
        """A stack slot; the optimiser turns it into registers."""
        name = self.name()
        self.allocas.append(f"  {name} = alloca {type}")
        return name

    def int(self, opcode, a, b):
        """One instruction on two i64 values."""
        return self.emit(f"{opcode} i64 {a}, {b}")

    def do(self, instruction):
        """Append an instruction that yields nothing."""
        self.lines.append(f"  {instruction}")

    def label(self, label):
        """Start the block called ``label``."""
        self.block = label
        self.lines.append(f"{label}:")

    def fresh_label(self, hint):
        """A new block name."""
        self.count += 1
        return f"{hint}{self.count}"

    @contextlib.contextmanager
    def loop(self, start, end, step=1):
        """``for i in range(start, end, step)`` over i64 values; yields the name of i."""
        index, after, body, done = self.name(), self.name(), self.fresh_label("body"), self.fresh_label("done")
        entered = self.block
        some = self.emit(f"icmp slt i64 {start}, {end}")
        self.do(f"br i1 {some}, label %{body}, label %{done}")
        self.label(body)
        place = len(self.lines)
        self.lines.append("")  # the phi, once the last block of the body is known
        yield index
        self.lines[place] = f"  {index} = phi i64 [ {start}, %{entered} ], [ {after}, %{self.block} ]"
        self.do(f"{after} = add nsw i64 {index}, {step}")
        more = self.emit(f"icmp slt i64 {after}, {end}")
        self.do(f"br i1 {more}, label %{body}, label %{done}")
        self.label(done)

    @contextlib.contextmanager
    def when(self, condition):
        """``if condition:`` of an i1."""
        body, done = self.fresh_label("then"), self.fresh_label("done")
        self.do(f"br i1 {condition}, label %{body}, label %{done}")
        self.label(body)
        yield
        self.do(f"br label %{done}")
        self.label(done)

    def call(self, name, returns, *args):
        """Call an intrinsic or library function; each argument is written ``type value``."""
        kinds = ", ".join(a[: a.index(">") + 1] if a.startswith("<") else a.split(" ", 1)[0] for a in args)
        self.declarations[name] = f"declare {returns} @{name}({kinds})"
        text = f"call {returns} @{name}({', '.join(args)})"
        return self.do(text) if returns == "void" else self.emit(text)
