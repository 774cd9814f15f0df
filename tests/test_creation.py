"""Constructors: every line is run by PyTorch and by rushlight and must agree in text, dtype, strides or error."""

import warnings

import pytest
from oracle import refused_alike

import rushlight

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

nan, inf = float("nan"), float("inf")


def outcome(line, T):
    """Text, dtype and strides of what a line makes, or the type and first line of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = eval(line, {**globals(), "T": T})
        except Exception as error:  # which one is what is compared
            return type(error).__name__, str(error).split("\n")[0]
    if not hasattr(result, "stride"):
        return repr(result)
    return repr(result), str(result.dtype), result.stride(), result.requires_grad


LINES = """
T.zeros(2,3)
T.zeros((2,3))
T.zeros([2,3])
T.zeros(T.Size([2]))
T.zeros()
T.zeros(())
T.zeros(size=(2,))
T.zeros(T.tensor(3))
T.zeros(T.tensor(2),3)
T.zeros(np.int64(3))
T.zeros(2.)
T.zeros(2,'a')
T.zeros('a')
T.zeros([2.])
T.zeros(True)
T.zeros(2,dtype=3)
T.zeros(2,dtype=T.int64)
T.zeros(2,requires_grad=True)
T.zeros(2,dtype=T.int64,requires_grad=True)
T.zeros(2,foo=3)
T.zeros(2,out=T.ones(2,dtype=T.int64))
T.zeros(2,out=T.ones(2,dtype=T.int64),dtype=T.float32)
T.zeros(2,layout=T.strided)
T.ones(-1)
T.ones(2,dtype=T.bool)
T.ones(17,dtype=T.int8)
T.ones(3,dtype=T.complex128)
T.ones(3,dtype=T.bfloat16)
T.empty(2,memory_format=T.channels_last)
T.empty(2,3,4,5,memory_format=T.channels_last).stride()
T.empty(2,3,4,5,6,memory_format=T.channels_last_3d).stride()
T.full((2,),3)
T.full((2,),3.)
T.full((2,),True)
T.full((2,),1j)
T.full((2,),np.float32(1.5))
T.full((2,),np.int8(3))
T.full((2,),np.float16(3))
T.full((5,),1.5+2j,dtype=T.complex128)
T.full(2,3)
T.full([2,2],fill_value=3.,dtype=T.int32)
T.full((2,),T.tensor(3.))
T.full((2,),300,dtype=T.uint8)
T.full((2,),-1,dtype=T.uint8)
T.full((2,),nan)
T.full((),7)
T.full_like(T.ones(2),3)
T.full_like(T.ones(2,dtype=T.int32),3.7)
T.zeros_like(T.ones(2,3).t())
T.zeros_like(T.ones(2,3,dtype=T.int8))
T.zeros_like(T.ones(2,4,6)[:,::2])
T.zeros_like(T.ones(2,1).expand(2,3))
T.zeros_like(T.ones(3,2,4).permute(1,2,0))
T.zeros_like(T.ones(3,2,4).permute(1,2,0)[:,::2])
T.zeros_like(T.ones(4,1,6).permute(2,0,1))
T.zeros_like(T.ones(3,2,4).permute(1,2,0),memory_format=T.contiguous_format)
T.zeros_like(3)
T.empty_like(T.ones(2,3,4,5),memory_format=T.channels_last).stride()
T.ones_like(T.ones(2,requires_grad=True))
T.ones_like(T.ones(2),requires_grad=True)
T.ones_like(input=T.ones(2),dtype=T.int64)
T.empty_strided((2,3),(1,2)).stride()
T.empty_strided((2,3),(1,))
T.empty_permuted((2,3),(1,0)).stride()
T.ones(2).new_zeros(3)
T.ones(2).new_zeros((2,3))
T.ones(2).new_zeros(2,3,dtype=T.int64)
T.ones(2,dtype=T.int32).new_ones(3)
T.ones(2).new_full((3,),7)
T.ones(2,dtype=T.int32).new_full((3,),7.5)
T.ones(2).new_empty((0,2))
T.eye(2)
T.eye(2,3)
T.eye(-1)
T.eye(2,-1)
T.eye(3,dtype=T.bool)
T.eye(0)
T.arange(5)
T.arange(5.)
T.arange(1,5)
T.arange(1,5,2)
T.arange(1,2,.25)
T.arange(5,1)
T.arange(5,1,-1)
T.arange(0,5,0)
T.arange(0,inf)
T.arange(0,nan)
T.arange(5,dtype=T.float16)
T.arange(0,1,.1,dtype=T.float64)
T.arange(0,5,.5,dtype=T.int64)
T.arange(end=3)
T.arange(start=1,end=3)
T.arange(1,end=3)
T.arange(1,7,step=2)
T.arange(T.tensor(3))
T.arange(T.tensor(3.))
T.arange(True)
T.arange(2**53,2**53+3)
T.arange(-3)
T.arange(3,dtype=T.bool)
T.arange(3,dtype=T.complex64)
T.arange(3j)
T.arange('a')
T.arange(5,requires_grad=True)
T.arange(5.,requires_grad=True)
T.arange(300,dtype=T.uint8).sum()
T.arange(0.,10.,3.)
T.arange(3,out=T.empty(3))
T.range(0,5)
T.range(0,1,.25)
T.linspace(0,1,5)
T.linspace(0,10,5,dtype=T.int64)
T.linspace(0,10,4,dtype=T.int64)
T.linspace(0,1,1)
T.linspace(0,1,0)
T.linspace(0,1,-1)
T.linspace(T.tensor(0.),1,3)
T.linspace(T.tensor([0.]),1,3)
T.linspace(0,1j,3)
T.linspace(start=-10,end=10,steps=5)
T.linspace(0,1,3,dtype=T.float16)
T.linspace(3,10,3,dtype=T.uint8)
T.logspace(0,2,3)
T.logspace(0,2,3,base=2)
T.logspace(0,2,3,2)
T.logspace(0,2,1)
T.logspace(0,3,4,dtype=T.int64)
T.logspace(-1,1,3,base=-2)
T.tril_indices(3,3)
T.tril_indices(3,4,1)
T.tril_indices(4,3,-1)
T.tril_indices(3,3,dtype=T.int32)
T.tril_indices(3,3,dtype=T.float32)
T.tril_indices(-1,3)
T.triu_indices(3,3)
T.triu_indices(3,4,1)
T.triu_indices(4,3,-2)
T.triu_indices(0,3)
T.tril_indices(3,3,-5)
T.triu_indices(3,3,offset=2)
T.vander(T.tensor([1,2,3]))
T.vander(T.tensor([1.,2,3]),4)
T.vander(T.tensor([1.,2,3]),N=2,increasing=True)
T.vander(T.tensor([[1.]]))
T.vander(T.tensor([1.,2]),0)
T.hann_window(4)
T.hann_window(4,False)
T.hann_window(4,periodic=False)
T.hann_window(1)
T.hann_window(0)
T.hann_window(-1)
T.hann_window(4,dtype=T.float64)
T.hamming_window(4)
T.hamming_window(4,True,.5)
T.hamming_window(4,True,.5,.4)
T.hamming_window(5,False)
T.bartlett_window(5)
T.bartlett_window(5,False)
T.bartlett_window(4,False)
T.kaiser_window(5)
T.kaiser_window(5,False)
T.kaiser_window(5,False,3.)
T.kaiser_window(5,False,beta=3.)
T.kaiser_window(1)
"""


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_line(line):
    assert outcome(line, rushlight) == outcome(line, torch)


@pytest.mark.cpu("what is said where there is no GPU")
@pytest.mark.parametrize("line", ["T.zeros(2,device='cuda')", "T.zeros(2,pin_memory=True)"])
def test_a_gpu_is_asked_for(line):
    assert outcome(line, rushlight) == outcome(line, torch)


LONG = ("blackman_window(64)", "hann_window(1000)", "kaiser_window(200)", "linspace(-3, 7, 1001)", "arange(0, 10, 0.01)")


@pytest.mark.parametrize("line", LONG)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_ones_are_close(line, dtype):
    ours, theirs = (eval(f"T.{line[:-1]}, dtype=T.{dtype})", {"T": T}) for T in (rushlight, torch))
    bound = 1e-6 if dtype == "float32" else 1e-14
    assert np.allclose(ours.numpy(force=True), theirs.numpy(), rtol=bound, atol=bound)


def test_sizes_beyond_memory_are_an_error():
    for size in ((2**62, 2**62), (2**50,)):
        with pytest.raises(RuntimeError, match=r"can't allocate memory|overflowed|out of memory"):
            rushlight.zeros(*size)
    with pytest.raises(RuntimeError, match="negative dimension"):
        rushlight.zeros(2, -3)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", "complex128"])
def test_large_fills(dtype):
    d = getattr(rushlight, dtype)
    for n in (1, 7, 100_003, 3_000_001):
        assert (rushlight.ones(n, dtype=d).numpy(force=True) == 1).all()
        assert (rushlight.zeros(n, dtype=d).numpy(force=True) == 0).all()
        assert (rushlight.full((n,), 3, dtype=d).numpy(force=True) == 3).all()


def test_one_number_for_elements_that_are_one_in_memory():
    """zeros, ones and full write to an expanded out=, which holds one number for several elements."""

    def run(L):
        found = []
        for make in (L.zeros, L.ones, lambda *s, out: L.full(s, 3.0, out=out)):
            for out in (L.full((1,), 2.0).expand(4), L.full((3, 1), 2.0).expand(3, 4)):
                got = make(*out.shape, out=out)
                found.append((got is out, out.stride(), out.tolist(), out._version))
        return found

    assert run(rushlight) == run(torch)


def test_random_numbers_over_what_they_are_drawn_by():
    for call in (
        lambda L, x: L.normal(x[:4], 1.0, out=x[1:]),
        lambda L, x: L.normal(0.0, x[:4], out=x[1:]),
        lambda L, x: L.bernoulli(x[:4], out=x[1:]),
    ):
        refused_alike(lambda L, call=call: call(L, L.ones(5) / 2))
    x = rushlight.ones(4)
    assert rushlight.bernoulli(x, out=x) is x
