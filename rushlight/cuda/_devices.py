"""Which GPUs there are, what they are, and which one is current."""

from .._core import device as _device
from .._core import tensor as _tensor
from . import _start


def is_available():
    """True if tensors can live and be computed with on a GPU: driver, GPU and the compiler's packages are there.

    >>> device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    >>> torch.ones(2, device=device).sum().item()
    2.0
    """
    return _start.found()[1] is None


def device_count():
    """How many GPUs the driver shows (CUDA_VISIBLE_DEVICES chooses), 0 where none can be used.

    >>> torch.cuda.device_count() > 0
    True
    """
    return _start.found()[0]


def is_initialized():
    """Has this process used a GPU?

    >>> torch.cuda.init()
    >>> torch.cuda.is_initialized()
    True
    """
    return _start.is_started()


def init():
    """Starts the GPUs now instead of at their first use. Raises AssertionError where there are none.

    >>> torch.cuda.init()
    """
    _start.start()


def index_of(device, optional=True):
    """A device argument (index, 'cuda:1', device, None for the current one) as a GPU's index. Raises ValueError for a CPU."""
    if isinstance(device, int) and not isinstance(device, bool):
        device = _tensor.device("cuda", device)
    elif isinstance(device, str):
        device = _tensor.device(device)
    _start.start()
    if device is None:
        if not optional:
            raise ValueError("a GPU must be named, by its number or as in 'cuda:0'")
        return _tensor.current_gpu()
    if not isinstance(device, _tensor.device):
        device = _tensor.device(device)
    if device.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {device}")
    return _tensor.place_of(device) - 1


def current_device():
    """The index of this thread's current GPU: where 'cuda' without a number is.

    >>> torch.cuda.current_device()
    0
    """
    _start.start()
    return _tensor.current_gpu()


def set_device(device):
    """Makes a GPU this thread's current one; a negative number changes nothing.

    >>> torch.cuda.set_device(0)
    >>> torch.cuda.current_device()
    0
    """
    if isinstance(device, int) and device < 0:
        return
    _tensor.set_current_gpu(index_of(device))


class device:
    """Context manager: inside, a GPU is the current one. None or a negative number changes nothing.

    >>> with torch.cuda.device(0):
    ...     torch.ones(2, device="cuda").device
    device(type='cuda', index=0)
    """

    def __init__(self, device):
        self.idx = -1 if device is None or (isinstance(device, int) and device < 0) else device
        self.prev_idx = -1

    def __enter__(self):
        if isinstance(self.idx, int) and self.idx < 0:
            return
        self.idx = index_of(self.idx)
        self.prev_idx = _tensor.set_current_gpu(self.idx)

    def __exit__(self, kind, value, traceback):
        if self.prev_idx >= 0:
            _tensor.set_current_gpu(self.prev_idx)
        return False


class device_of(device):
    """Context manager: inside, the GPU of a tensor (or storage) is the current one; for the CPU it does nothing.

    >>> x = torch.ones(2, device="cuda:0")
    >>> with torch.cuda.device_of(x):
    ...     torch.cuda.current_device()
    0
    """

    def __init__(self, obj):
        super().__init__(obj.device.index if obj.is_cuda else -1)


# -- what a GPU is --

# the driver's numbers of what properties tell, by PyTorch's names
_ATTRIBUTES = {
    "multi_processor_count": 16, "warp_size": 10, "max_threads_per_multi_processor": 39, "max_threads_per_block": 1,
    "regs_per_multiprocessor": 82, "shared_memory_per_block": 8, "shared_memory_per_block_optin": 97,
    "shared_memory_per_multiprocessor": 81, "L2_cache_size": 38, "clock_rate": 13, "memory_clock_rate": 36,
    "memory_bus_width": 37, "is_integrated": 18, "is_multi_gpu_board": 84,
    "pci_bus_id": 33, "pci_device_id": 34, "pci_domain_id": 50,
}  # fmt: skip


class Properties:
    """What a GPU is: ``name``, ``major``, ``minor``, ``total_memory`` (bytes), ``multi_processor_count``, ``uuid`` ..."""

    def __init__(self, index):
        self.name = _device.name_of(index)
        self.major, self.minor = divmod(_device.capability(index), 10)
        self.total_memory = _device.total_memory(index)
        uuid = _device.uuid_of(index).hex()
        self.uuid = "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))
        for name, number in _ATTRIBUTES.items():
            setattr(self, name, _device.attribute_of(index, number))

    def __repr__(self):
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory >> 20}MB, multi_processor_count={self.multi_processor_count}, uuid={self.uuid}, "
            f"pci_bus_id={self.pci_bus_id}, L2_cache_size={self.L2_cache_size >> 20}MB)"
        )


_properties = {}


def get_device_properties(device=None):
    """A GPU's :class:`Properties`.

    >>> properties = torch.cuda.get_device_properties(0)
    >>> (properties.major, properties.minor) == torch.cuda.get_device_capability(0), properties.total_memory > 0
    (True, True)
    """
    index = index_of(device)
    if index not in _properties:
        _properties[index] = Properties(index)
    return _properties[index]


def get_device_name(device=None):
    """A GPU's name, such as 'NVIDIA H200'.

    >>> torch.cuda.get_device_name(0) == torch.cuda.get_device_properties(0).name
    True
    """
    return _device.name_of(index_of(device))


def get_device_capability(device=None):
    """(major, minor) of a GPU's compute capability: (9, 0) for Hopper.

    >>> torch.cuda.get_device_capability() >= (5, 0)
    True
    """
    return divmod(_device.capability(index_of(device)), 10)


def is_bf16_supported(including_emulation=True):
    """Does the current GPU compute in bfloat16? Kernels do everywhere; in hardware from compute capability 8.0 on.

    >>> torch.cuda.is_bf16_supported()
    True
    """
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported():
    """Has the current GPU tensor cores for tf32 (compute capability 8.0 and later)?

    >>> torch.cuda.is_tf32_supported() == (torch.cuda.get_device_capability() >= (8, 0))
    True
    """
    return is_available() and get_device_capability()[0] >= 8


def get_arch_list():
    """The architectures of the GPUs found: kernels are compiled for what is there, when it is first needed.

    >>> major, minor = torch.cuda.get_device_capability()
    >>> f"sm_{major}{minor}" in torch.cuda.get_arch_list()
    True
    """
    return sorted({f"sm_{_device.capability(i)}" for i in range(device_count())}) if is_available() else []


def get_gencode_flags():
    """The architectures as the compiler's flags.

    >>> type(torch.cuda.get_gencode_flags()).__name__
    'str'
    """
    return " ".join(f"-gencode compute=compute_{a[3:]},code={a}" for a in get_arch_list())


def describe():
    """One line for each GPU: name, memory, architecture; the versions of CUDA that the driver and NVRTC have.

    >>> type(torch.cuda.describe()).__name__
    'str'
    """
    if not is_available():
        return str(_start.unavailable())
    lines = []
    for i in range(device_count()):
        p = get_device_properties(i)
        lines.append(f"cuda:{i} {p.name}, {p.total_memory >> 20} MiB, sm_{p.major}{p.minor}, {p.multi_processor_count} multiprocessors")
    version = _device.driver_version()
    from ..codegen.cuda import nvrtc

    compiler = ".".join(map(str, nvrtc.version()))
    lines.append(f"driver for CUDA {version // 1000}.{version % 1000 // 10}, NVRTC {compiler}")
    return "\n".join(lines)


def can_device_access_peer(device, peer_device):
    """Can kernels of one GPU read another's memory?

    >>> torch.cuda.can_device_access_peer(0, 0)
    False
    """
    _start.start()
    index, peer = (_tensor.current_gpu() if d is None else d if isinstance(d, int) else index_of(d) for d in (device, peer_device))
    for what, number in (("device", index), ("peer device", peer)):
        if not 0 <= number < device_count():
            raise AssertionError(f"Invalid {what} id\n  {number} was given, there are {device_count()} GPUs.")
    return _device.can_access_peer(index, peer)


def synchronize(device=None):
    """Waits for all work of a GPU. Errors that kernels found since the last time (an index out of range) are raised here.

    >>> x = torch.ones(1000, device="cuda").exp()  # returns before it is computed
    >>> torch.cuda.synchronize()
    """
    _device.synchronize(index_of(device))


def ipc_collect():
    """Nothing to do: memory is not shared between processes.

    >>> torch.cuda.ipc_collect()
    """
    _start.start()


class unsupported:
    """A function of this name that says why it is not there: AssertionError without a GPU, else RuntimeError."""

    def __init__(self, name, why):
        self.__name__ = self.__qualname__ = name
        self.__module__ = "rushlight.cuda"
        self.why = why
        call = f">>> torch.cuda.{name}()\nTraceback (most recent call last):\n    ...\nRuntimeError: {self._error()}"
        self.__doc__ = f"Not available: {why}.\n\n{call}"

    def __call__(self, *args, **kwargs):
        _start.start()
        raise self._error()

    def _error(self):
        return RuntimeError(f"torch.cuda.{self.__name__} is not available in rushlight: {self.why}.")

    @staticmethod
    def need():
        """Raises AssertionError where there is no GPU."""
        _start.start()
