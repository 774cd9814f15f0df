"""What export rules are written with: decorators that return their argument."""


def parse_args(*arg_descriptors):
    """A decorator that returns its argument."""
    return lambda fn: fn


def quantized_args(*arg_q_descriptors, scale=None, zero_point=None, quantize_output=True):
    """A decorator that returns its argument."""
    return lambda fn: fn
