"""Moving a Module's tensors to another device or dtype."""

import warnings

import rushlight as torch

from ..parameter import Parameter

_TO_FORMS = """
 * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, bool copy = False, *, \
torch.memory_format memory_format = None)
 * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = None)
 * (Tensor tensor, bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = None)
"""


def parse_to(*args, **kwargs):
    """The arguments of ``to`` in any of its forms as (device, dtype, non_blocking, memory_format). Raises TypeError."""
    memory_format = kwargs.get("memory_format")
    named = {key: value for key, value in kwargs.items() if key != "memory_format"}
    first = args[0] if args else None
    if isinstance(first, torch.Tensor) or "tensor" in named:
        form = ("tensor", "non_blocking", "copy")
    elif isinstance(first, torch.dtype):
        form = ("dtype", "non_blocking", "copy")
    else:
        form = ("device", "dtype", "non_blocking", "copy")
    given = {**dict(zip(form, args)), **named}
    device, dtype = given.get("device"), given.get("dtype")
    wrong_type = dtype is not None and not isinstance(dtype, torch.dtype)
    wrong_type = wrong_type or not isinstance(device, (torch.device, str, int, type(None))) or isinstance(device, bool)
    if len(args) > len(form) or not set(named) <= set(form) or wrong_type:
        got = [type(arg).__name__ for arg in args] + [f"{key}={type(value).__name__}" for key, value in kwargs.items()]
        text = ", ".join(got) + (", " if len(got) == 1 else "")
        raise TypeError(f"to() received an invalid combination of arguments - got ({text}), but expected one of:{_TO_FORMS}")
    if "tensor" in given:
        device, dtype = given["tensor"].device, given["tensor"].dtype
    if isinstance(device, int):
        device = torch.device("cuda", device)
    elif isinstance(device, str):
        device = torch.device(device)
    return device, dtype, bool(given.get("non_blocking", False)), memory_format


def _converted(parameter, fn):
    """The parameter with new data, ``fn`` of its own, in the way that ``torch.__future__`` says."""
    if torch.__future__.get_swap_module_params_on_conversion():
        torch.utils.swap_tensors(parameter, Parameter(fn(parameter), parameter.requires_grad))
    elif torch.__future__.get_overwrite_module_params_on_conversion():
        return Parameter(fn(parameter), parameter.requires_grad)
    else:
        parameter.data = fn(parameter.data)
    return parameter


class ConvertibleModule:
    """The part of Module that converts all parameters and buffers, in place: a parameter stays the same object."""

    def _apply(self, fn, recurse=True):
        """Replaces every tensor t (parameter, its gradient, buffer) by ``fn(t)``; parameters keep their identity, unless
        ``torch.__future__`` says otherwise.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, parameter in self._parameters.items():
            if parameter is not None:
                with torch.no_grad():
                    grad = parameter.grad
                    parameter.grad = None
                    parameter = self._parameters[name] = _converted(parameter, fn)
                    if grad is not None:
                        parameter.grad = fn(grad).requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args, **kwargs):
        """Moves or casts every parameter and buffer, in place: ``to(device)``, ``to(dtype)``, ``to(device, dtype)``,
        ``to(tensor)``, with ``non_blocking=`` and ``memory_format=`` (for parameters of 4 or 5 dimensions).

        A dtype must be floating point or complex (TypeError) and leaves integer tensors alone. Returns self.

        >>> layer = nn.BatchNorm1d(2)
        >>> layer.to(torch.float64) is layer, layer.weight.dtype, layer.num_batches_tracked.dtype
        (True, torch.float64, torch.int64)
        >>> layer.to(torch.int64)
        Traceback (most recent call last):
            ...
        TypeError: nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.int64
        """
        device, dtype, non_blocking, memory_format = parse_to(*args, **kwargs)
        if dtype is not None:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}")
            if dtype.is_complex:
                warnings.warn(
                    "Complex modules are a new feature under active development whose design may change, and some modules might "
                    "not work as expected when using complex tensors as parameters or buffers. Please file an issue at "
                    "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml if a complex module does not work "
                    "as expected.",
                    stacklevel=2,
                )

        def convert(tensor):
            kind = dtype if tensor.is_floating_point() or tensor.is_complex() else None
            if memory_format is not None and tensor.dim() in (4, 5):
                return tensor.to(device, kind, non_blocking, memory_format=memory_format)
            try:
                return tensor.to(device, kind, non_blocking)
            except NotImplementedError as error:
                if not tensor.is_meta:
                    raise
                raise NotImplementedError(
                    f"{str(error).splitlines()[0]} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving "
                    "module from meta to a different device."
                ) from None

        return self._apply(convert)

    def to_empty(self, *, device, recurse=True):
        """Moves parameters and buffers to ``device`` without copying their values; returns self. For modules made on "meta".

        >>> layer = nn.Linear(2, 3, device="meta")
        >>> layer.to_empty(device="cpu").weight.device
        device(type='cpu')
        """
        return self._apply(lambda tensor: torch.empty_like(tensor, device=device), recurse=recurse)

    def cpu(self):
        """Moves parameters and buffers to the CPU; returns self.

        >>> nn.Linear(2, 3).cpu().weight.device
        device(type='cpu')
        """
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self, device=None):
        """Moves parameters and buffers to a GPU, the current one by default; returns self. Raises RuntimeError where there is none.

        >>> layer = nn.Linear(2, 3)
        >>> layer = layer.cuda() if torch.cuda.is_available() else layer
        >>> layer.weight.is_cuda == torch.cuda.is_available()
        True
        """
        return self._apply(lambda tensor: tensor.cuda(device))

    def type(self, dst_type):
        """Casts every parameter and buffer, integers included; returns self.

        >>> nn.BatchNorm1d(2).type(torch.float64).num_batches_tracked.dtype
        torch.float64
        """
        return self._apply(lambda tensor: tensor.type(dst_type))

    def _cast(self, dtype):
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def float(self):
        """Casts floating point parameters and buffers to float32; returns self.

        >>> layer = nn.BatchNorm1d(2).double().float()
        >>> layer.running_mean.dtype, layer.num_batches_tracked.dtype
        (torch.float32, torch.int64)
        """
        return self._cast(torch.float32)

    def double(self):
        """Casts floating point parameters and buffers to float64; returns self.

        >>> nn.Linear(2, 3).double()(torch.ones(2, dtype=torch.float64)).dtype
        torch.float64
        """
        return self._cast(torch.float64)

    def half(self):
        """Casts floating point parameters and buffers to float16; returns self.

        >>> nn.Linear(2, 3).half().bias.dtype
        torch.float16
        """
        return self._cast(torch.float16)

    def bfloat16(self):
        """Casts floating point parameters and buffers to bfloat16; returns self.

        >>> nn.Linear(2, 3).bfloat16().weight.dtype
        torch.bfloat16
        """
        return self._cast(torch.bfloat16)
