"""Python data, NumPy arrays, buffers and DLPack in and out of tensors: every line is run by PyTorch and by rushlight and must agree."""

import array  # noqa: F401  (the lines below use it)
import gc
import re
import subprocess
import sys
import warnings

import pytest
from oracle import worded

import rushlight

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

nan, inf = float("nan"), float("inf")


class Sequence:
    """Something with a length and items that is no list."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, i):
        return self.values[i]


class Index:
    def __index__(self):
        return 3


class Real:
    def __float__(self):
        return 3.5


def outcome(line, T):
    """What a line does under one library: its text and dtype, or the type and first line of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = eval(line, {**globals(), "T": T})
        except Exception as error:  # which one is what the tests compare
            return type(error).__name__, str(error).split("\n")[0]
        return worded(repr(result)).replace(", device='cpu'", ""), str(getattr(result, "dtype", ""))


def check(line):
    if rushlight.get_default_device().type != "cpu" and re.search("cuda|pin_memory|copy=False", line):
        pytest.skip("about the CPU: its memory, and what is said where there is no GPU")
    assert outcome(line, rushlight) == outcome(line, torch)


def lines(text):
    return [line for line in text.strip().splitlines() if not line.startswith("#")]


NESTED = """
T.tensor([[1,2],[3]])
T.tensor([[1,2],3])
T.tensor([1,[2,3]])
T.tensor([1,[2]])
T.tensor([[1],2])
T.tensor([[[1,2]],[[1,2,3]]])
T.tensor([1,'a'])
T.tensor('a')
T.tensor(['a'])
T.tensor(None)
T.tensor([None])
T.tensor([1,None])
T.tensor([None],dtype=T.float32)
T.tensor(['1'],dtype=T.float32)
T.tensor([1,()])
T.tensor([1,'a'],dtype=T.bool)
T.tensor([[1],[2]],dtype=T.bool)
T.tensor([1,None],dtype=T.bool)
T.tensor([1,None],dtype=T.complex64)
T.tensor([-0.0,complex(-0.0,0.0)])
T.tensor({})
T.tensor({1:2})
T.tensor([{}])
T.tensor(set())
T.tensor(object())
T.tensor(b'ab')
T.tensor([])
T.tensor([[],[]])
T.tensor([[]])
T.tensor([[[]]])
T.tensor(())
T.tensor([1,2.])
T.tensor([True,2])
T.tensor([True,2.])
T.tensor([True,False])
T.tensor([1,2j])
T.tensor([1.,True])
T.tensor(2**63)
T.tensor(2**63-1)
T.tensor(-2**63)
T.tensor(2**64)
T.tensor(-2**63-1)
T.tensor([2**64])
T.tensor(2**63, dtype=T.uint64)
T.tensor(-1, dtype=T.uint64)
T.tensor(300, dtype=T.uint8)
T.tensor(-1, dtype=T.uint8)
T.tensor(-256, dtype=T.uint8)
T.tensor([256], dtype=T.uint8)
T.tensor(128, dtype=T.int8)
T.tensor(-129, dtype=T.int8)
T.tensor(2**15, dtype=T.int16)
T.tensor(2**31, dtype=T.int32)
T.tensor(3.7, dtype=T.int32)
T.tensor([3.7, -3.7], dtype=T.int64)
T.tensor(3.7, dtype=T.uint8)
T.tensor(-3.7, dtype=T.uint8)
T.tensor(300.7, dtype=T.uint8)
T.tensor(nan, dtype=T.int32)
T.tensor(inf, dtype=T.int64)
T.tensor(1e20, dtype=T.int64)
T.tensor(1j, dtype=T.float32)
T.tensor([1j], dtype=T.int64)
T.tensor(1j, dtype=T.bool)
T.tensor(2, dtype=T.bool)
T.tensor(0.5, dtype=T.bool)
T.tensor(1e40)
T.tensor(1e40, dtype=T.float16)
T.tensor([1e40])
T.tensor(2**70, dtype=T.float32)
T.tensor(2**2000, dtype=T.float64)
T.tensor([0.1,65504.,1e-8],dtype=T.float16)
T.tensor([0.1,3e38,1e-40],dtype=T.bfloat16)
T.tensor([1,2j],dtype=T.complex128)
T.tensor(1, dtype='float32')
T.tensor(1, dtype=float)
T.tensor(1, dtype=int)
T.tensor(1, dtype=bool)
T.tensor(1, dtype=str)
T.tensor(1, device='cpu')
T.tensor(1, device='cuda')
T.tensor([1,2], requires_grad=True)
T.tensor([1.,2], requires_grad=True)
T.tensor([1j,2], requires_grad=True)
T.tensor(T.ones(2))
T.tensor(T.ones(2,dtype=T.int8),dtype=T.float64)
T.tensor([T.tensor(1), T.tensor(2)])
T.tensor([T.tensor(1), T.tensor(2.)])
T.tensor([T.tensor(1.,dtype=T.float64), 2])
T.tensor([T.tensor(1.,dtype=T.float16), T.tensor(1.,dtype=T.float64)])
T.tensor([T.tensor(1,dtype=T.int8), T.tensor(1,dtype=T.uint8)])
T.tensor([T.tensor(1,dtype=T.int8), 2])
T.tensor([T.tensor([1,2]), T.tensor([3,4])])
T.tensor([T.tensor([1.,2]), T.tensor([3.,4])])
T.tensor([T.tensor([1]), T.tensor([3])])
T.tensor([T.tensor([1,2]), [3,4]])
T.tensor([T.tensor(1.,requires_grad=True), 2.])
T.tensor(range(3))
T.tensor([range(3),range(3)])
T.tensor(Sequence([1,2]))
T.tensor(Index())
T.tensor([Index()])
T.tensor(Real())
T.tensor([Real()],dtype=T.float32)
T.tensor([Index()],dtype=T.int32)
T.tensor(array.array('f',[1,2]))
T.tensor(array.array('i',[1,2]))
T.tensor(bytearray(b'abc'))
T.tensor(memoryview(b'abc'))
T.tensor(x for x in [1])
T.tensor(T.Size([1,2]))
T.tensor([(1,2),[3,4]])
T.tensor(data=[1])
T.tensor([1],foo=1)
T.tensor([1], pin_memory=True)
T.tensor([[1,2],(3.,True)])
T.as_tensor([1,2])
T.as_tensor([1,2],dtype=T.float32)
T.tensor([1.5]).new_tensor(3)
T.tensor([1.5]).new_tensor([True])
T.tensor([[1,2]]).new_tensor([3.5])
T.tensor([1.5]).new_tensor(T.tensor([3]))
T.scalar_tensor(3)
T.scalar_tensor(3,dtype=T.int64)
"""

NUMPY = """
T.tensor(np.float32(1))
T.tensor(np.float64(1))
T.tensor(np.float16(1))
T.tensor(np.int8(1))
T.tensor(np.int64(1))
T.tensor(np.bool_(1))
T.tensor(np.complex64(1))
T.tensor([np.float32(1)])
T.tensor([np.float64(1),1.0])
T.tensor([np.float16(1)])
T.tensor([np.int8(1)])
T.tensor([np.int32(1),2.])
T.tensor([np.bool_(1)])
T.tensor([np.complex64(1)])
T.tensor(np.arange(3))
T.tensor(np.arange(3,dtype=np.uint16))
T.tensor(np.array(['a']))
T.tensor(np.array([None]))
T.tensor(np.arange(6).reshape(2,3)[:,::-1])
T.tensor(np.arange(6).reshape(2,3)[:,::2])
T.tensor(np.arange(3,dtype='>i4'))
T.tensor([np.arange(3),np.arange(3)])
T.tensor([np.arange(3.),np.arange(3)])
T.tensor([np.arange(2),[1,2]])
T.as_tensor(np.arange(3)[::-1])
T.as_tensor(np.arange(3), dtype=T.float32)
T.from_numpy([1])
T.from_numpy(np.arange(3)[::-1])
T.from_numpy(np.float64(3))
T.from_numpy(np.array(3))
T.from_numpy(np.array(['a']))
T.from_numpy(np.arange(3,dtype='>i4'))
T.from_numpy(np.zeros(3,dtype=[('a','i4')]))
T.from_numpy(np.zeros(3,dtype='M8[s]'))
T.from_numpy(np.frombuffer(b'abcd',dtype=np.uint8))
T.from_numpy(np.zeros((0,3)))
T.from_numpy(np.zeros(3,dtype=np.longdouble))
T.from_numpy(np.asfortranarray(np.arange(6).reshape(2,3))).stride()
T.from_numpy(np.broadcast_to(np.arange(3),(2,3))).stride()
T.from_numpy(np.arange(10)[2:8:2]).storage_offset()
T.ones(2,requires_grad=True).numpy()
T.ones(2,requires_grad=True).numpy(force=True)
T.ones(2,dtype=T.bfloat16).numpy()
T.ones(2,dtype=T.complex64).conj().numpy()
T.ones(2,dtype=T.complex64).conj().numpy(force=True)
T.ones(2,dtype=T.float8_e5m2).numpy()
T.tensor(3).numpy()
T.zeros(0,3).numpy().shape
T.arange(6).reshape(2,3).t().numpy().strides
np.asarray(T.ones(2,requires_grad=True))
np.asarray(T.ones(2,dtype=T.bfloat16))
np.asarray(T.ones(2),dtype=np.float64)
np.asarray(T.tensor(3))
np.asarray(T.tensor([True,False]))
np.asarray(T.tensor([1,2j]))
np.asarray(T.tensor([1,2],dtype=T.uint16))
np.asarray(T.tensor([1,2],dtype=T.float16))
np.array(T.arange(6).reshape(2,3).t())
np.ones(2)+T.ones(2)
T.ones(2).__array_priority__
np.from_dlpack(T.ones(2))
np.from_dlpack(T.arange(6).reshape(2,3).t())
T.from_dlpack(np.ones(2))
T.from_dlpack(np.arange(6,dtype=np.int8).reshape(2,3).T)
T.from_dlpack(3)
T.from_dlpack(np.ones(2),copy=True)
"""

ASARRAY = """
T.asarray(b'abc')
T.asarray(bytearray(b'abc'))
T.asarray([1,2])
T.asarray(3.)
T.asarray(bytearray(b'abcd'),dtype=T.float32)
T.asarray(np.arange(3),copy=False,dtype=T.float32)
T.asarray(np.arange(3),copy=True)
T.asarray(np.arange(3),dtype=T.float32)
T.asarray([1,2],copy=False)
T.asarray(array.array('f',[1,2]))
T.asarray(T.ones(2),requires_grad=True)
T.asarray(T.ones(2,requires_grad=True),requires_grad=False)
T.asarray(T.ones(2),dtype=T.float64)
T.frombuffer(bytearray(b'abcdefgh'),dtype=T.float32)
T.frombuffer(bytearray(b'abcdefgh'),dtype=T.float32,count=1,offset=4)
T.frombuffer(bytearray(b'abcdefghi'),dtype=T.float32)
T.frombuffer(bytearray(b'abcdefgh'),dtype=T.float32,offset=9)
T.frombuffer(bytearray(b'abcdefgh'),dtype=T.float32,offset=-1)
T.frombuffer(bytearray(b'abcdefgh'),dtype=T.float32,count=3)
T.frombuffer(bytearray(b'abcdefgh'),dtype=T.float32,count=0)
T.frombuffer(bytearray(b''),dtype=T.float32)
T.frombuffer(bytearray(b'abcdefgh'),dtype=T.float32,count=-2)
T.frombuffer(b'abcdefgh',dtype=T.float32)
T.frombuffer(3,dtype=T.float32)
T.frombuffer(bytearray(b'abcd'),dtype=T.int32,requires_grad=True)
T.frombuffer(bytearray(b'abcd'),dtype=T.uint8,offset=2)
"""

SCALARS = """
T.ones(2).item()
T.ones(2,0).item()
T.tensor(3,dtype=T.int8).item()
T.tensor(2**64-1,dtype=T.uint64).item()
T.tensor(0.1,dtype=T.float16).item()
T.tensor(0.1,dtype=T.bfloat16).item()
T.tensor(0.1).item()
T.tensor(1+2j).item()
T.tensor([[True]]).item()
bool(T.ones(2))
bool(T.ones(0))
bool(T.ones(1,1))
bool(T.tensor(nan))
bool(T.tensor(0j))
int(T.ones(2))
float(T.ones(2))
complex(T.ones(2))
int(T.tensor(3.7))
int(T.tensor(nan))
int(T.tensor(inf))
int(T.tensor(3j))
float(T.tensor(3j))
float(T.tensor(3+0j))
float(T.tensor(True))
complex(T.tensor(3))
T.tensor(3.).__index__()
T.tensor(True).__index__()
T.tensor([3]).__index__()
T.tensor([3,4]).__index__()
[1,2,3][T.tensor(1)]
[1,2,3][T.tensor(1.)]
hex(T.tensor(15))
T.ones(2,requires_grad=True).tolist()
T.tensor([[1,2],[3,4]]).t().tolist()
T.zeros(2,0).tolist()
T.tensor(3.5).tolist()
T.tensor([1,2j]).conj().tolist()
T.tensor([1.5],dtype=T.bfloat16).tolist()
f'{T.tensor(3.14159):.2f}'
f'{T.ones(2):.2f}'
f'{T.tensor(3):5d}'
f'{T.ones(2)}'
f'{T.tensor([3.14159]):.2f}'
f'{T.tensor(3.14159,requires_grad=True):.2f}'
format(T.tensor(3.),'d')
"""

LEGACY = """
T.Tensor(2,3).shape
T.Tensor([1,2])
T.Tensor()
T.Tensor(T.ones(2))
T.Tensor(T.ones(2).long())
T.Tensor(3.)
T.Tensor((2,3))
T.Tensor(T.Size([2,3])).shape
T.Tensor([[1,2],[3]])
T.Tensor('a')
T.Tensor(2,device='cpu').shape
T.Tensor(np.arange(3))
T.FloatTensor([1,2])
T.LongTensor([1,2])
T.LongTensor([1.5,2])
T.LongTensor(2).shape
T.LongTensor(np.arange(3.))
T.ByteTensor([300])
T.BoolTensor([0,2])
T.DoubleTensor([1])
T.HalfTensor([1])
T.BFloat16Tensor([1])
T.FloatTensor(2,3).shape
T.FloatTensor(range(3))
T.FloatTensor(device='cuda')
T.FloatTensor(-1)
isinstance(T.ones(2),T.FloatTensor)
isinstance(T.ones(2),T.LongTensor)
isinstance(T.ones(2).long(),T.LongTensor)
isinstance(3,T.LongTensor)
T.FloatTensor
T.FloatTensor.dtype
T.FloatTensor.__name__
T.ones(2).type()
T.ones(2).type(T.LongTensor)
T.ones(2).type('torch.DoubleTensor')
T.ones(2,dtype=T.float64).new(3).shape
T.ones(2,dtype=T.float64).new([1,2])
"""


@pytest.mark.parametrize("line", lines(NESTED))
def test_nested_data(line):
    check(line)


@pytest.mark.cpu("arrays that share its memory")
@pytest.mark.parametrize("line", lines(NUMPY))
def test_numpy(line):
    check(line)


@pytest.mark.parametrize("line", lines(ASARRAY))
def test_buffers(line):
    check(line)


@pytest.mark.parametrize("line", lines(SCALARS))
def test_scalars(line):
    check(line)


@pytest.mark.parametrize("line", lines(LEGACY))
def test_legacy_constructors(line):
    check(line)


def test_wrong_dtype_of_legacy_type_names_both():
    with pytest.raises(TypeError, match="expected TensorOptions"):
        rushlight.IntTensor(rushlight.ones(2))


def test_elements_beside_an_empty_list_are_not_dropped():
    with pytest.raises(ValueError, match="expected sequence of length 0"):  # PyTorch makes an empty tensor of this
        rushlight.tensor([[], [1]])


# -- shared memory --


@pytest.mark.cpu("arrays that share its memory")
def test_arrays_share_memory_both_ways():
    a = np.arange(6.0).reshape(2, 3)
    t = rushlight.from_numpy(a)
    b = t.numpy()
    a[0, 0] = 7
    b[1, 2] = 8
    t.view(-1)[1] = 9
    assert t.tolist() == a.tolist() == b.tolist() == [[7, 9, 2], [3, 4, 8]]


@pytest.mark.cpu("arrays that share its memory")
def test_as_tensor_shares_and_tensor_copies():
    a = np.zeros(3)
    shared, copy = rushlight.as_tensor(a), rushlight.tensor(a)
    a[0] = 1
    assert (shared.tolist(), copy.tolist()) == ([1, 0, 0], [0, 0, 0])


@pytest.mark.cpu("arrays that share its memory")
def test_memory_outlives_its_first_owner():
    t = rushlight.from_numpy(np.arange(100000))
    n = (rushlight.arange(100000) + 1).numpy()
    d = rushlight.from_dlpack(np.arange(100000) + 2)
    view = memoryview(rushlight.arange(100000) + 3)
    gc.collect()
    assert (t[-1].item(), n[-1], d[-1].item(), view[-1]) == (99999, 100000, 100001, 100002)


@pytest.mark.cpu("buffers in its memory")
def test_bytearray_cannot_be_resized_while_a_tensor_sees_it():
    data = bytearray(8)
    t = rushlight.frombuffer(data, dtype=rushlight.int32)
    with pytest.raises(BufferError):
        data.append(0)
    t[0] = 1
    assert data[0] == 1
    del t
    gc.collect()
    data.append(0)


@pytest.mark.cpu("buffers in its memory")
def test_buffer_protocol():
    t = rushlight.arange(6, dtype=rushlight.int16).reshape(2, 3)
    view = memoryview(t.t())
    assert (view.shape, view.strides, view.format, view.tolist()) == ((3, 2), (2, 6), "h", [[0, 3], [1, 4], [2, 5]])
    view[0, 1] = 9
    assert t[1, 0].item() == 9
    assert bytes(t[0]) == np.arange(3, dtype=np.int16).tobytes()
    with pytest.raises(BufferError, match="detach"):
        memoryview(rushlight.ones(2, requires_grad=True))


def test_read_only_arrays_warn_once():
    frozen = np.frombuffer(b"abcd", dtype=np.uint8)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        rushlight.from_numpy(frozen)
        rushlight.from_numpy(frozen)
    assert len(seen) <= 1  # none if another test was first: the flag lives as long as the process


# -- DLPack --


NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128", "uint16", "uint32")


@pytest.mark.cpu("arrays that share its memory")
@pytest.mark.parametrize("name", NAMES)
def test_dlpack_with_numpy_and_torch(name):
    t = rushlight.arange(6).reshape(2, 3).t().to(getattr(rushlight, name))
    assert np.from_dlpack(t).tolist() == t.tolist()
    assert torch.from_dlpack(t).tolist() == t.tolist()
    assert rushlight.from_dlpack(torch.from_dlpack(t)).data_ptr() == t.data_ptr()
    assert rushlight.from_dlpack(np.from_dlpack(t)).stride() == t.stride()


@pytest.mark.cpu("arrays that share its memory")
def test_dlpack_bfloat16_with_torch():
    t = rushlight.tensor([1.5, -2], dtype=rushlight.bfloat16)
    assert torch.from_dlpack(t).dtype is torch.bfloat16
    assert rushlight.from_dlpack(torch.tensor([1.5], dtype=torch.bfloat16)).tolist() == [1.5]


@pytest.mark.cpu("its capsules")
def test_dlpack_capsules():
    t = rushlight.ones(2)
    assert '"dltensor"' in repr(t.__dlpack__())
    assert '"dltensor"' in repr(t.__dlpack__(max_version=(0, 8)))
    capsule = t.__dlpack__(max_version=(1, 0))
    assert '"dltensor_versioned"' in repr(capsule)
    assert rushlight.from_dlpack(capsule).data_ptr() == t.data_ptr()
    with pytest.raises(RuntimeError, match="consumed only once"):
        rushlight.from_dlpack(capsule)
    assert rushlight.from_dlpack(t.__dlpack__(copy=True)).data_ptr() != t.data_ptr()
    assert t.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="require gradient"):
        rushlight.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(BufferError, match="conjugate bit"):
        rushlight.ones(2, dtype=rushlight.complex64).conj().__dlpack__()


def test_dlpack_negative_strides_are_an_error():
    with pytest.raises(ValueError, match="negative strides"):
        rushlight.from_dlpack(np.arange(3)[::-1])


def test_unused_capsules_free_their_tensor():
    import sys

    t = rushlight.ones(2)
    before = sys.getrefcount(t)
    for _ in range(10):
        t.__dlpack__()
        t.__dlpack__(max_version=(1, 0))
    assert sys.getrefcount(t) == before


@pytest.mark.cpu("its memory")
def test_failing_calls_leak_nothing():
    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * 4096

    lines = ("T.tensor([[1,2],[3]])", "T.tensor([1,None])", "T.from_numpy(np.array(['a']))", "T.zeros(2**50)", "T.from_dlpack(3)")

    def fail(times):
        for _ in range(times):
            for line in lines:
                outcome(line, rushlight)

    fail(300)
    gc.collect()
    before = resident()
    fail(2000)
    gc.collect()
    assert resident() - before < 1 << 20


@pytest.mark.parametrize("kind", "? i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8 c8 c16".split())
def test_an_array_whose_byte_order_is_stated_is_native_all_the_same(kind):
    plain = np.arange(6).astype(kind).reshape(2, 3)
    stated = plain.view(plain.dtype.newbyteorder("<" if sys.byteorder == "little" else ">"))  # as h5py gives them
    for made in (rushlight.from_numpy(stated), rushlight.as_tensor(stated), rushlight.tensor(stated)):
        assert made.dtype == rushlight.from_numpy(plain).dtype and made.tolist() == plain.tolist()
    if plain.itemsize > 1:
        with pytest.raises(ValueError, match="byte order different from the native"):
            rushlight.from_numpy(plain.astype(plain.dtype.newbyteorder()))


def test_asarray_takes_numbers_of_numpy_and_keeps_history():
    assert rushlight.asarray(np.float64(0.5)).equal(rushlight.tensor(0.5, dtype=rushlight.float64))
    assert rushlight.asarray(np.int8(3)).dtype == rushlight.int8
    x = rushlight.ones(2, requires_grad=True)
    assert rushlight.asarray(x) is x and rushlight.asarray(x * 2).grad_fn is not None
    assert not rushlight.asarray(x, requires_grad=False).requires_grad


@pytest.mark.parametrize("call", ["tensor", "as_tensor", "asarray"])
def test_tensors_go_to_the_default_device(call):
    for lib in (rushlight, torch):
        x = lib.ones(2, device="cpu")
        with lib.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert getattr(lib, call)(x).device.type == "meta"
            assert getattr(lib, call)(x, device="cpu").device.type == "cpu"


def test_scalars_of_recorded_tensors_warn():
    """Once in a process, so this one is new."""
    program = (
        "import rushlight as rl, warnings; warnings.simplefilter('always'); x = rl.ones(1, requires_grad=True) * 2; "
        "rl.no_grad()(float)(x); x.item(); print('quiet', flush=True); float(x); float(x)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "quiet\n" and done.stderr.count("Converting a tensor with requires_grad=True to a scalar") == 1
