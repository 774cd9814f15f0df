"""The generator and the streams are PyTorch's: equal bits (float64 normals: 4 ULP), and the same words taken."""

import copy
import pickle
import threading
import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int8", "uint8", "int16", "int32", "int64", "bool")
SHAPES = ((1,), (3,), (15,), (16,), (17,), (100,), (3, 5), (4, 4, 4), (1000, 7), (2, 3, 1, 5), (0,), (70001,))
STREAMS = pytest.mark.cpu("the bits are those of PyTorch's generator, which is the CPU's")
LAYOUTS = ("row-major", "transposed", "rotated", "strided")


def zeros(T, shape, dtype, layout):
    """Zeros whose dims lie in memory in one of several orders."""
    dtype = getattr(T, dtype)
    if layout == "transposed":
        return T.zeros(shape[::-1], dtype=dtype).permute(*range(len(shape))[::-1])
    if layout == "rotated":
        return T.zeros(shape[1:] + shape[:1], dtype=dtype).permute(len(shape) - 1, *range(len(shape) - 1))
    if layout == "strided":
        return T.zeros(*shape[:-1], 2 * shape[-1], dtype=dtype)[..., ::2]
    return T.zeros(shape, dtype=dtype)


def generator():
    """One of ours, on the device under test."""
    return rushlight.Generator(rushlight.get_default_device())


def generators(seed=7):
    """A generator of each library, some words into the same stream."""
    pair = rushlight.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    for T, g in zip((rushlight, torch), pair):
        T.rand(5, generator=g)
    return pair


def ours_as_torch(t):
    return torch.from_dlpack(t.detach().contiguous() if t.numel() else t)


def state(g):
    return bytes(g.get_state().tolist())


def worst_ulp(a, b):
    size = torch.maximum(a.abs(), b.abs()).clamp_min(torch.finfo(a.dtype).tiny).double()
    return ((a.double() - b.double()).abs() / (torch.exp2(torch.floor(torch.log2(size))) * torch.finfo(a.dtype).eps)).max().item()


def agree(line, ulp=0, **values):
    """Runs a line, which may use T (the library), g (a generator) and x, with both; compares results and generators."""
    ours_g, theirs_g = generators()
    arguments = {name: make for name, make in values.items()}
    results = []
    for T, g in ((rushlight, ours_g), (torch, theirs_g)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(eval(line, {"T": T, "g": g, **{name: make(T) for name, make in arguments.items()}}))
    ours, theirs = results
    assert ours.shape == theirs.shape
    assert ours.stride() == theirs.stride()
    assert str(ours.dtype) == str(theirs.dtype)
    assert state(ours_g) == state(theirs_g), "another number of words was taken"
    a = ours_as_torch(ours)
    if ulp and a.numel():
        assert worst_ulp(a, theirs) <= ulp
    else:
        assert torch.equal(a.nan_to_num(), theirs.nan_to_num())


# -- fillers --

EXACT = (
    "x.uniform_(generator=g)",
    "x.uniform_(-1.3, 2.9, generator=g)",
    "x.bernoulli_(0.3, generator=g)",
    "x.exponential_(1.3, generator=g)",
    "x.geometric_(0.3, generator=g)",
    "x.cauchy_(0.3, 1.2, generator=g)",
    "x.log_normal_(0.3, 1.2, generator=g)",
    "x.random_(generator=g)",
    "x.random_(100, generator=g)",
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("line", EXACT)
@STREAMS
def test_floating_fillers(line, dtype, layout):
    for shape in SHAPES:
        agree(line, x=lambda T, shape=shape: zeros(T, shape, dtype, layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@STREAMS
def test_normal(dtype, layout):
    for shape in SHAPES:
        for line in ("x.normal_(generator=g)", "x.normal_(0, 0.02, generator=g)"):
            agree(line, ulp=4 if dtype == "float64" else 0, x=lambda T, shape=shape: zeros(T, shape, dtype, layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", INTEGERS)
@STREAMS
def test_integer_fillers(dtype, layout):
    bounds = [(0, 1), (0, 2), (3, 100), (-50, 60), (-1000, 2**15), (0, 2**28 - 1), (0, 2**28), (-(2**31), 2**31 - 1), (-(2**63), 2**62)]
    info = torch.iinfo(getattr(torch, dtype)) if dtype != "bool" else None
    low, high = (info.min, info.max) if info else (0, 1)
    lines = [f"x.random_({a}, {b}, generator=g)" for a, b in bounds if low <= a and b - 1 <= high]
    lines += ["x.random_(generator=g)", "x.bernoulli_(0.3, generator=g)"]
    lines += ["x.geometric_(0.3, generator=g)"] if dtype != "bool" else []
    for line in lines:
        for shape in ((1,), (100,), (1000, 7), (30, 4, 5)):
            agree(line, x=lambda T, shape=shape: zeros(T, shape, dtype, layout))


@STREAMS
def test_whole_int64_range():
    agree("x.random_(-2**63, None, generator=g)", x=lambda T: T.zeros(1000, dtype=T.int64))


WIDE = ((0, 2**24 + 3), (0, 2**28 - 1), (-(2**31), 2**31), (-(2**24) - 5, 2**24 + 9))


@pytest.mark.parametrize(
    ("dtype", "bounds"), [(d, b) for d in ("float32", "float64") for b in WIDE] + [("float16", (0, 5000)), ("float16", (-2051, 2051))]
)
@STREAMS
def test_integers_beyond_the_precision_of_floats(dtype, bounds):
    agree(f"x.random_({bounds[0]}, {bounds[1]}, generator=g)", x=lambda T: T.zeros(3000, dtype=getattr(T, dtype)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", ["row-major", "transposed"])
@STREAMS
def test_bernoulli_with_probabilities(dtype, layout):
    p = torch.rand(40, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def probabilities(T):
        return zeros(T, (40, 7), dtype, layout).copy_(T.tensor(p.tolist()))

    agree("T.bernoulli(p, generator=g)", p=probabilities)
    agree("T.bernoulli(p, 0.3, generator=g)", p=probabilities)
    agree("T.zeros(40, 7).bernoulli_(p, generator=g)", p=probabilities)
    agree("T.zeros(3, 40, 7, dtype=T.int64).bernoulli_(p, generator=g)", p=probabilities)


@pytest.mark.parametrize("dtype", FLOATS)
@STREAMS
def test_samplers(dtype):
    p = torch.rand(5000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def parameter(scale):
        return lambda T: (T.tensor(p.tolist(), dtype=T.float64) * scale).to(getattr(T, dtype))

    agree("T.poisson(rate, generator=g)", rate=parameter(30))
    if dtype in ("float32", "float64"):
        agree("T.binomial(n.round(), p, generator=g)", n=parameter(100), p=parameter(1))
        agree("T._standard_gamma(a, generator=g)", a=parameter(3))
        agree("T._sample_dirichlet(a.reshape(500, 10), generator=g)", ulp=8, a=parameter(3))


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0, 2.5, 10.0, 50.0, 500.0, 1e4])
def test_gradient_of_gamma_samples(alpha):
    a = torch.full((500,), alpha, dtype=torch.float64)
    samples = torch._standard_gamma(a, generator=torch.Generator().manual_seed(0))
    ours = rushlight._standard_gamma_grad(rushlight.from_dlpack(a), rushlight.from_dlpack(samples))
    assert torch.allclose(ours_as_torch(ours), torch._standard_gamma_grad(a, samples), rtol=2e-3)  # PyTorch's are good to 1e-3


def test_gradients_of_gamma_samples_of_large_parameters():
    """The series for them would have sqrt(alpha) terms, and at last never end: samples are nearly normal, alpha + z sqrt(alpha)."""
    z = rushlight.tensor([-3.0, -1.0, 0.0, 1.0, 3.0], dtype=rushlight.float64)
    for alpha in (9.9e7, 1.1e8, 1e12, 1e18):
        found = rushlight._standard_gamma_grad(rushlight.full_like(z, alpha), alpha + z * alpha**0.5)
        rushlight.testing.assert_close(found, 1 + z / (2 * alpha**0.5), rtol=2 / alpha + 1e-10, atol=0)


def test_gamma_samples_are_differentiable():
    alpha = rushlight.tensor([2.0, 3.0], requires_grad=True)
    rushlight._standard_gamma(alpha).sum().backward()
    assert (alpha.grad > 0).all()
    assert rushlight._standard_gamma(rushlight.tensor([float("nan")])).isnan().all()


# -- laws: on every device --

LAWS = (
    *EXACT,
    "x.normal_(0.3, 2, generator=g)",
    "x.random_(-5, 5, generator=g)",
    "T.randint(0, 2**40, x.shape, generator=g)",
    "T.bernoulli(x + 0.3, generator=g)",
    "T.poisson(x + 3.7, generator=g)",
    "T.poisson(x + 30, generator=g)",
    "T.binomial(x + 40, x + 0.2, generator=g)",
    "T._standard_gamma(x + 0.4, generator=g)",
    "T._standard_gamma(x + 3, generator=g)",
    "T.multinomial(T.tensor([0.1, 0.0, 0.4, 3.0]), len(x), True, generator=g)",
    "T.multinomial(T.tensor([[0.1, 0.2, 0.4]]).expand(len(x), -1), 2, generator=g)[:, 1]",
)


@pytest.mark.parametrize("line", LAWS)
def test_samples_follow_their_law(line, n=20_000):
    """Kolmogorov and Smirnov: the greatest distance of two samples' distributions; sqrt(2 / n) times 2.5 comes once in 130,000 tests."""
    pair = ((rushlight, generator()), (torch, torch.Generator()))
    ours, theirs = (eval(line, {"T": T, "g": g.manual_seed(11), "x": T.zeros(n)}).cpu().double() for T, g in pair)
    ours = ours_as_torch(ours)
    at = torch.cat([ours, theirs])
    below, below_theirs = (torch.searchsorted(sample.sort().values, at, right=True) / n for sample in (ours, theirs))
    assert (below - below_theirs).abs().max() < 2.5 * (2 / n) ** 0.5
    ranks = below[:n] - below[:n].mean()  # neighbours know nothing of each other
    assert abs((ranks[1:] * ranks[:-1]).mean()) < 6 * ranks.var() / n**0.5


# -- constructors --

CONSTRUCTORS = (
    "T.rand(3, 4, generator=g)",
    "T.rand((2, 3), generator=g, dtype=T.float64)",
    "T.rand(size=(2,), generator=g)",
    "T.rand(7, dtype=T.complex64, generator=g)",
    "T.randint(10, (2, 3), generator=g)",
    "T.randint(-5, 5, (100,), generator=g)",
    "T.randint(low=2, high=9, size=(5,), generator=g, dtype=T.int32)",
    "T.randint(5, size=(3,), generator=g)",
    "T.randint(2**40, (10,), generator=g)",
    "T.randint(0, 5, (7,), generator=g, dtype=T.float32)",
    "T.randperm(0, generator=g)",
    "T.randperm(1, generator=g)",
    "T.randperm(1000, generator=g)",
    "T.randperm(T.tensor(12), generator=g)",
    "T.randperm(100, dtype=T.int32, generator=g)",
    "T.randperm(100, dtype=T.float32, generator=g)",
    "T.rand(3, out=T.empty(5, dtype=T.float64), generator=g)",
    "T.multinomial(T.tensor([0.1, 0.0, 0.4, 3.0]), 1, generator=g)",
    "T.multinomial(T.tensor([[0.2, 0.8], [3.0, 1.0]]), 1, True, generator=g)",
    "T.multinomial(T.tensor([0.1, 0.5, 0.4, 3.0]), 3, generator=g)",
    "T.multinomial(T.tensor([[0.1, 0.5, 0.4], [1, 0, 2]]), 2, generator=g)",
    "T.multinomial(T.tensor([[0.1, 0.5, 0.4], [1, 0, 2]]), 20, True, generator=g)",
    "T.multinomial(T.arange(1000, dtype=T.float64), 500, True, generator=g)",
    "T.multinomial(T.arange(1000, dtype=T.float64), 500, generator=g)",
    "T.multinomial(T.arange(1000, dtype=T.float32), 500, True, generator=g)",
    "T.multinomial(T.arange(1000, dtype=T.float32), 500, generator=g)",
    "T.multinomial(T.arange(100).to(T.float16), 50, True, generator=g)",
    "T.multinomial(T.arange(1.0, 13).view(4, 3).t(), 2, generator=g)",
    "T.multinomial(T.arange(1.0, 13).view(4, 3).t(), 9, True, generator=g)",
    "T.multinomial(T.empty(0, 3), 1, generator=g)",
)


@pytest.mark.parametrize("line", CONSTRUCTORS)
@STREAMS
def test_constructors(line):
    agree(line)


@pytest.mark.parametrize(
    "line",
    [
        "T.randn(3, 4, generator=g)",
        "T.randn(33, generator=g)",
        "T.randn(33, dtype=T.float64, generator=g)",
        "T.normal(1.0, 2.0, (20,), generator=g)",
        "T.normal(T.arange(20.0), 2.0, generator=g)",
    ],
)
@STREAMS
def test_normal_constructors(line):
    agree(line, ulp=4 if "float64" in line else 0)


@STREAMS
def test_normal_around_tensors():
    for line in ("T.normal(0.5, T.arange(40.0), generator=g)", "T.normal(T.arange(40.0), T.arange(40.0), generator=g)"):
        agree(line)


@STREAMS
def test_complex_normal():
    for n in (3, 7, 8, 20, 100):
        ours_g, theirs_g = generators()
        ours = rushlight.randn(n, dtype=rushlight.complex64, generator=ours_g)
        theirs = torch.randn(n, dtype=torch.complex64, generator=theirs_g)
        assert state(ours_g) == state(theirs_g)
        assert torch.allclose(ours_as_torch(ours), theirs, rtol=1e-6, atol=1e-7)


LIKE = ("T.rand_like(x)", "T.randn_like(x)", "T.randint_like(x, 5)", "T.randint_like(x, 2, 5)", "T.randn_like(x.t())")


@pytest.mark.parametrize("line", LIKE)
@STREAMS
def test_like(line):
    for T in (rushlight, torch):
        T.manual_seed(3)
    ours, theirs = (eval(line, {"T": T, "x": T.zeros(3, 2)}) for T in (rushlight, torch))
    assert repr(ours) == repr(theirs)
    assert ours.stride() == theirs.stride()


def test_normals_do_not_depend_on_what_ran_before():
    def draw(dtype):
        return rushlight.randn(1000, dtype=dtype, generator=generator().manual_seed(0)).tolist()

    for dtype in (rushlight.float32, rushlight.float64):
        before = draw(dtype)
        rushlight.randn(300_000, dtype=dtype)  # loads the kernels
        assert draw(dtype) == before


@STREAMS
def test_large_fills_cross_pieces_and_threads():
    for line, ulp in (("T.rand(600_001, generator=g)", 0), ("T.rand(300_001, dtype=T.float64, generator=g)", 0)):
        agree(line, ulp)
    agree("T.empty(300_001).uniform_(-1.3, 2.9, generator=g)")
    agree("T.empty(300_001, dtype=T.float64).uniform_(-1.3, 2.9, generator=g)")
    agree("T.empty(300_001, dtype=T.float16).uniform_(-1.3, 2.9, generator=g)")
    agree("T.empty(300_001).bernoulli_(0.3, generator=g)")
    agree("T.randn(600_007, generator=g)")
    agree("T.randn(300_007, dtype=T.bfloat16, generator=g)")
    agree("T.randn(300_007, dtype=T.float64, generator=g)", 4)
    agree("T.randint(1000, (300_001,), generator=g)")


# -- the generator --


def test_seeds():
    for seed in (0, 1, -1, 2**32, 2**63, 2**64 - 1, -(2**63), 5201314):
        ours, theirs = rushlight.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        assert ours.initial_seed() == theirs.initial_seed()
        assert state(ours) == state(theirs)
    assert rushlight.Generator().initial_seed() == torch.Generator().initial_seed()
    assert rushlight.Generator().device.type == "cpu"


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 1.5, "a", None])
def test_bad_seeds(seed):
    errors = []
    for T in (rushlight, torch):
        with pytest.raises((RuntimeError, ValueError)) as caught:
            T.Generator().manual_seed(seed)
        errors.append((caught.type, str(caught.value).split("\n")[0]))
    assert errors[0] == errors[1]


def test_seed_is_unpredictable_and_reported():
    g = rushlight.Generator()
    a, b = g.seed(), g.seed()
    assert a != b
    assert g.initial_seed() == b


@pytest.mark.parametrize("draws", [0, 1, 3, 5, 623, 624, 625, 1248, 2000])
@STREAMS
def test_states_travel_both_ways(draws):
    ours, theirs = rushlight.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    for T, g in ((rushlight, ours), (torch, theirs)):
        T.rand(draws, generator=g)
        T.randn(3, generator=g)  # leaves a normal waiting
    assert state(ours) == state(theirs)
    loaded = rushlight.Generator()
    loaded.set_state(rushlight.from_dlpack(theirs.get_state()))
    back = torch.Generator()
    back.set_state(torch.from_dlpack(ours.get_state()))
    assert rushlight.randn(5, generator=loaded).tolist() == torch.randn(5, generator=back).tolist()
    assert state(loaded) == state(back)


def test_copies_continue_alike():
    g = generator().manual_seed(4)
    rushlight.randn(3, generator=g)
    copies = [g.clone_state(), copy.copy(g), copy.deepcopy(g), pickle.loads(pickle.dumps(g))]
    expected = rushlight.rand(3, generator=g).tolist()
    assert all(rushlight.rand(3, generator=c).tolist() == expected for c in copies)


@pytest.mark.parametrize(
    "line",
    [
        "g.set_state(T.zeros(3, dtype=T.uint8, device='cpu'))",
        "g.set_state(T.zeros(5056, dtype=T.uint8, device='cpu'))",
        "g.set_state(T.zeros(5056, device='cpu'))",
        "g.set_state(b'a')",
        "g.get_offset()",
        "g.set_offset(3)",
    ],
)
def test_generator_errors(line):
    errors = []
    for T in (rushlight, torch):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            eval(line, {"T": T, "g": T.Generator()})
        errors.append((caught.type, str(caught.value).split("\n")[0]))
    assert errors[0] == errors[1]


@STREAMS
def test_default_generator():
    for T in (rushlight, torch):
        T.manual_seed(5)
        T.rand(3)
    assert rushlight.initial_seed() == torch.initial_seed() == 5
    assert rushlight.get_rng_state().tolist() == torch.get_rng_state().tolist()
    before = rushlight.get_rng_state()
    with rushlight.random.fork_rng():
        rushlight.rand(10)
    assert rushlight.get_rng_state().tolist() == before.tolist()
    a = rushlight.rand(3).tolist()
    rushlight.set_rng_state(before)
    assert rushlight.rand(3).tolist() == a
    assert rushlight.default_generator.manual_seed(1) is rushlight.default_generator


@STREAMS
def test_fork_rng_keeps_the_generators():
    """Nested, as a decorator and with an error inside, as PyTorch does."""

    @rushlight.random.fork_rng()
    def drawn():
        rushlight.manual_seed(9)
        return rushlight.rand(2).tolist()

    rushlight.manual_seed(5)
    forked = rushlight.random.fork_rng(devices=[], device_type="cuda")
    with pytest.raises(KeyError), forked:
        rushlight.rand(1)
        with forked:
            rushlight.rand(2)
            assert drawn() == drawn()
        raise KeyError
    with rushlight.random.fork_rng(enabled=False):
        first = rushlight.rand(3).tolist()
    torch.manual_seed(5)
    assert first == torch.rand(3).tolist() and rushlight.initial_seed() == 5
    errors = []
    for T in (rushlight, torch):
        with pytest.raises(RuntimeError) as caught:
            T.random.fork_rng(device_type="abacus").__enter__()
        errors.append(str(caught.value).splitlines()[0])
    assert errors[0] == errors[1]


def test_a_fork_leaves_the_default_streams_where_they_were():
    rushlight.manual_seed(5)
    rushlight.rand(3)
    with rushlight.random.fork_rng():
        rushlight.rand(10)
        rushlight.manual_seed(6)
        rushlight.rand(4)
    after = rushlight.rand(3).tolist()
    rushlight.manual_seed(5)
    rushlight.rand(3)
    assert after == rushlight.rand(3).tolist()


def test_threads_share_one_stream():
    g = generator().manual_seed(0)
    drawn = []

    def draw():
        drawn.extend(rushlight.rand(20_000, generator=g, device=g.device).tolist())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    g.manual_seed(0)
    together, drawn = drawn, []
    for _ in range(4):
        draw()
    assert sorted(together) == sorted(drawn)


# -- errors --

ERRORS = """
x.uniform_(3,2)
x.uniform_(0,float("inf"))
x.uniform_(-3e38,3e38)
x.long().uniform_()
x.normal_(0,-1)
x.long().normal_()
x.random_(5,5)
x.random_(0)
x.random_(3,2)
x.random_(2**70)
x.char().random_(0,200)
x.char().random_(-200,5)
x.byte().random_(-1,5)
x.bool().random_(3)
x.exponential_(-1)
x.exponential_(0)
x.long().exponential_()
x.geometric_(0)
x.geometric_(1)
x.geometric_(1.5)
x.cauchy_(0,-1)
x.log_normal_(0,0)
x.log_normal_(0,-1)
x.bernoulli_(-1)
x.bernoulli_(2)
x.bernoulli_(T.tensor(2))
x.expand(2,10).normal_()
T.ones(2,requires_grad=True).uniform_()
T.poisson(T.tensor([-1.]))
T.poisson(T.tensor([1]))
T.multinomial(T.tensor([0.,0.]),1)
T.multinomial(T.tensor([-1.,0.]),1)
T.multinomial(T.tensor([1.,float("nan")]),1)
T.multinomial(T.tensor([1.,float("inf")]),1)
T.multinomial(T.tensor([1.,0]),3)
T.multinomial(T.tensor([1,0]),1)
T.multinomial(T.tensor(1.),1)
T.multinomial(T.ones(1,1,1),1)
T.multinomial(T.tensor([1.,0]),0)
T.multinomial(T.tensor([0.,0]),1,True)
T.multinomial(T.tensor([-1.,0]),1,True)
T.multinomial(T.empty(0),1)
T.randperm(-1)
T.randperm(300,dtype=T.int8)
T.randperm(5000,dtype=T.float16)
T.randperm(5,dtype=T.bool)
T.randint(5,5,(2,))
T.randint(0,(2,))
T.randint(-5,(2,))
T.randint(0,300,(2,),dtype=T.int8)
T.randint(5,(2,),dtype=T.bool)
T.randint(2**63,(2,))
T.randint(5,2)
T.randint(2.5,(2,))
T.rand(-1)
T.rand(2,3,dtype=T.int64)
T.randn(3,dtype=T.int32)
T.randn_like(T.zeros(3,dtype=T.int64))
T.normal(T.tensor([1.,2]),-1.)
T.normal(T.ones(3),T.tensor([1.,-1,2]))
T.normal(T.ones(3),T.ones(2))
T.bernoulli(T.tensor([1]))
T.binomial(T.tensor([1]),T.tensor([.5]))
"""


@pytest.mark.parametrize("line", ERRORS.strip().splitlines())
def test_errors(line):
    errors = []
    for T in (rushlight, torch):
        with pytest.raises(Exception) as caught:  # which one is what is compared
            repr(eval(line, {"T": T, "x": T.zeros(10)}))  # a GPU tells what it found in elements when somebody looks
        errors.append((caught.type, str(caught.value).split("\n")[0]))
    assert errors[0] == errors[1]


def test_gradient_stops_at_a_filler():
    x = rushlight.ones(3, requires_grad=True)
    y = x * 2
    y.uniform_()
    (y * 3).sum().backward()
    assert x.grad is None or x.grad.tolist() == [0, 0, 0]
