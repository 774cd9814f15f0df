# The constructors as operators, with what help() says of them. Included by creation.pyx.

OPERATORS = (
    constructor("empty", SIZED, EMPTY,
        """empty(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None)
        A tensor of the given shape whose elements are whatever its memory holds: ``empty(2, 3)`` or ``empty((2, 3))``.

        dtype: the default float one unless given. Each element must be written before it is read.

        >>> torch.empty(2, 3).shape, torch.empty(0)
        (torch.Size([2, 3]), tensor([]))
        """),
    constructor("zeros", SIZED, ZEROS,
        """zeros(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        A tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``. dtype: the default float one unless given.

        >>> torch.zeros(2, 3)
        tensor([[0., 0., 0.],
                [0., 0., 0.]])
        >>> torch.zeros(2, dtype=torch.bool)
        tensor([False, False])
        """),
    constructor("ones", SIZED, ONES,
        """ones(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        A tensor of ones: ``ones(2, 3)`` or ``ones((2, 3))``. dtype: the default float one unless given.

        >>> torch.ones(2, 3)
        tensor([[1., 1., 1.],
                [1., 1., 1.]])
        >>> torch.ones((), dtype=torch.int64)
        tensor(1)
        """),
    constructor("full", SIZED, FULL,
        """full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        A tensor of one value. dtype: that of the value unless given: bool, int64, the default float or complex one.

        >>> torch.full((2, 3), 7)
        tensor([[7, 7, 7],
                [7, 7, 7]])
        >>> torch.full((2,), 0.5)
        tensor([0.5000, 0.5000])
        """),
    constructor("empty_like", LIKE, EMPTY,
        """empty_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None)
        An uninitialised tensor of the same shape, dtype, device and order of dims.

        >>> x = torch.ones(2, 3, dtype=torch.int16).t()
        >>> y = torch.empty_like(x)
        >>> y.shape, y.dtype, y.stride()
        (torch.Size([3, 2]), torch.int16, (1, 3))
        """),
    constructor("zeros_like", LIKE, ZEROS,
        """zeros_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None)
        Zeros of the same shape, dtype, device and order of dims; ``dtype`` and ``device`` may be given.

        >>> torch.zeros_like(torch.tensor([[1, 2], [3, 4]]))
        tensor([[0, 0],
                [0, 0]])
        """),
    constructor("ones_like", LIKE, ONES,
        """ones_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None)
        Ones of the same shape, dtype, device and order of dims; ``dtype`` and ``device`` may be given.

        >>> torch.ones_like(torch.tensor([1, 2, 3]), dtype=torch.float32)
        tensor([1., 1., 1.])
        """),
    constructor("full_like", LIKE, FULL,
        """full_like(input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None)
        One value in the same shape, dtype (not the value's), device and order of dims.

        >>> torch.full_like(torch.tensor([1, 2, 3]), 7.9)
        tensor([7, 7, 7])
        """),
    native("empty_strided", _empty_strided,
        """empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        An uninitialised tensor with the given strides, in elements; its memory reaches to the last of them.

        >>> x = torch.empty_strided((2, 3), (1, 2))
        >>> x.stride(), x.t().is_contiguous()
        ((1, 2), True)
        """),
)
METHODS = (
    constructor("new_empty", NEW, EMPTY,
        """new_empty(input, *size, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        An uninitialised tensor of another shape, with this tensor's dtype and device.

        >>> torch.ones(2, dtype=torch.float64).new_empty(3, 4).dtype
        torch.float64
        """),
    constructor("new_zeros", NEW, ZEROS,
        """new_zeros(input, *size, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        Zeros of another shape, with this tensor's dtype and device.

        >>> torch.tensor([1, 2]).new_zeros(3)
        tensor([0, 0, 0])
        """),
    constructor("new_ones", NEW, ONES,
        """new_ones(input, *size, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        Ones of another shape, with this tensor's dtype and device.

        >>> torch.tensor([0.5], dtype=torch.float64).new_ones(1, 2)
        tensor([[1., 1.]], dtype=torch.float64)
        """),
    constructor("new_full", NEW, FULL,
        """new_full(input, size, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)
        One value in another shape, with this tensor's dtype (not the value's) and device.

        >>> torch.tensor([1, 2]).new_full((2, 3), 7)
        tensor([[7, 7, 7],
                [7, 7, 7]])
        """),
)
