"""Native kernels for the CPU: the public entries. docs/internals.md ("Kernels") states what each kernel computes and its signature."""

from . import llvm


def pointwise(outputs, inputs, layout, stream=False, name="pointwise"):
    """The address of the kernel that computes ``outputs`` element by element.

    outputs: tuple of ``(Expr, store type)``; an output may also be ``(Expr, store type, kind)`` or ``(Expr, store type, kind,
    offset)`` with kind "set" or "add" (add to what is there, in the order of the elements) and an i64 expression of a byte offset.
    inputs: tuple of load types. layout: ``c``, ``s`` or ``v`` for each operand, outputs first. stream: write with non-temporal
    stores. name: for profilers and debug output.
    """
    from .pointwise import Pointwise

    symbol = f"rushlight_{name}"
    outputs = [tuple(o) for o in outputs]
    text = Pointwise(outputs, inputs, layout, stream).write(symbol)
    return llvm.load(llvm.compile(text, symbol), symbol)
