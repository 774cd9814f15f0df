"""A user's first programs on a GPU or its stand-in: the CPU's losses, mixed precision, several GPUs, errors that say what to change."""

import copy

import pytest

import rushlight as torch
from rushlight import nn

F = nn.functional
pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
TWO = pytest.mark.skipif("__import__('rushlight').cuda.device_count() < 2", reason="needs two GPUs")


# -- the CPU's losses --


def regression():
    """(network, batches, loss): the homework of 118 features."""
    x = torch.rand(48, 118)
    y = x @ torch.rand(118) / 30
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=16, shuffle=True)
    net = nn.Sequential(nn.Linear(118, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
    return net, batches, nn.MSELoss()


def images():
    """The same for a convolutional network. No bias stands before the normalization: its gradient would be rounding errors, of which Adam
    makes steps."""
    batches = [(torch.randn(4, 3, 12, 12), torch.randint(5, (4,))) for _ in range(3)]
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 36, 5)
    )  # fmt: skip
    return net, batches, nn.CrossEntropyLoss()


def text():
    """A causal transformer, whose attention is one pass in float32."""
    batches = [(torch.randint(11, (2, 9)),) * 2]
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    net = nn.Sequential(nn.Embedding(11, 16), layer, nn.Linear(16, 11))
    return net, batches * 3, lambda scores, words: F.cross_entropy(scores[:, :-1].flatten(0, 1), words[:, 1:].flatten())


def losses(task, device, optimizer, wrap=lambda net: net):
    """Of two epochs, and of what the network says in evaluation."""
    torch.manual_seed(4)
    net, batches, loss = task()
    net = wrap(net.to(device))
    optimizer, found = optimizer(net.parameters()), []
    for _ in range(2):
        for x, y in batches:
            optimizer.zero_grad()
            error = loss(net(x.to(device)), y.to(device))
            error.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            optimizer.step()
            found.append(error.detach().item())
        net.eval()
        with torch.no_grad():
            found += [loss(net(x.to(device)), y.to(device)).cpu().item() for x, y in batches]
        net.train()
    return found


@pytest.mark.parametrize("task", [regression, images, text])
def test_losses_are_the_cpu_s(task):
    def optimizer(parameters):
        return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9) if task is regression else torch.optim.AdamW(parameters, lr=1e-3)

    expected = losses(task, "cpu", optimizer)
    assert losses(task, "cuda", optimizer) == pytest.approx(expected, rel=1e-4)
    assert len(set(expected)) > 6


@TWO
def test_losses_of_data_parallel_are_the_cpu_s():
    def optimizer(parameters):
        return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9)

    assert losses(regression, "cuda", optimizer, nn.DataParallel) == pytest.approx(losses(regression, "cpu", optimizer), rel=1e-4)


# -- mixed precision, several GPUs --


def test_autocast_and_scaler():
    a = torch.ones(2, 2, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert (a @ a).dtype is torch.bfloat16 and a.bfloat16().softmax(-1).dtype is torch.float32
        assert (a.cpu() @ a.cpu()).dtype is torch.float32 and a.bfloat16().exp().dtype is torch.float32
        with torch.autocast("cuda", enabled=False):
            assert (a @ a).dtype is torch.float32
        with pytest.raises(RuntimeError, match="unsafe to autocast"):
            torch.nn.functional.binary_cross_entropy(a * 0.5, a)
    model = torch.nn.Linear(2, 1).cuda()
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), torch.amp.GradScaler("cuda", init_scale=8.0, growth_interval=1)
    before = model.weight.tolist()
    model.weight.grad, model.bias.grad = torch.full((1, 2), float("inf"), device="cuda"), torch.zeros(1, device="cuda")
    scaler.step(optimizer)
    scaler.update()
    assert model.weight.tolist() == before and scaler.get_scale() == 4.0
    optimizer.zero_grad()
    scaler.scale(model(a).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert model.weight.tolist() != before and scaler.get_scale() == 8.0
    assert model.weight.grad.tolist() == [[2.0, 2.0]]


@TWO
def test_replicas_keep_autocast():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)).cuda()
    parallel, x = torch.nn.DataParallel(model), torch.randn(6, 3)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        out = parallel(x)
        assert out.dtype is torch.bfloat16
    out.float().sum().backward()
    assert model[0].weight.grad.dtype is torch.float32 and model[1].bias.grad.tolist() == [6.0, 6.0]
    assert parallel(x).dtype is torch.float32


@TWO
def test_data_parallel_has_the_gradients_of_one_device():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    reference = copy.deepcopy(model)
    parallel = torch.nn.DataParallel(model.cuda())
    x = torch.randn(6, 3)
    out = parallel(x)
    torch.testing.assert_close(out.cpu(), reference(x))
    out.pow(2).sum().backward()
    reference(x).pow(2).sum().backward()
    for p, q in zip(reference.parameters(), model.parameters()):
        torch.testing.assert_close(q.grad.cpu(), p.grad)
    assert "module.0.weight" in parallel.state_dict()
    with pytest.raises(RuntimeError, match="must have its parameters and buffers on device cuda:0"):
        torch.nn.DataParallel(torch.nn.Linear(2, 2).to("cuda:1"), device_ids=[0, 1])(torch.ones(2, 2))


# -- mistakes --


def test_a_tensor_that_stayed_on_the_cpu_is_named_with_the_module():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.shift = nn.Sequential(nn.Linear(3, 2)), torch.ones(2)

        def forward(self, x):
            return self.body(x) + self.shift

    net, x = Shifted(), torch.ones(4, 3)
    with pytest.raises(RuntimeError, match=r"at least two devices, cuda:0 and cpu!\n.*\[linear\].*\(4, 3\) on cuda:0") as caught:
        net(x.cuda())
    assert "body.0" in "".join(caught.value.__notes__)
    with pytest.raises(RuntimeError, match=r"\[add\] was given tensors of shape \(4, 2\) on cuda:0, \(2,\) on cpu") as caught:
        net.cuda()(x.cuda())
    assert "Shifted" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RMSprop])
def test_a_model_that_is_moved_after_a_step_is_told_to_the_optimizer(kind):
    net = nn.Linear(3, 2)
    optimizer = kind(net.parameters())
    net(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    net.cuda()
    optimizer.zero_grad()
    net(torch.ones(4, 3, device="cuda")).sum().backward()
    with pytest.raises(RuntimeError, match=rf"(?s)at least two devices.*\[{kind.__name__}\].*Move it first, then make the optimizer"):
        optimizer.step()


def test_a_generator_draws_on_its_own_device():
    with pytest.raises(RuntimeError, match=r"Expected a 'cuda' device type for generator but found 'cpu'\n.*Generator\('cuda:0'\)"):
        torch.randn(3, device="cuda", generator=torch.Generator())
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found 'cuda'"):
        torch.randn(3, generator=torch.Generator("cuda"))


def test_the_default_tensor_type_says_where():
    try:
        torch.set_default_tensor_type("torch.cuda.DoubleTensor")
        assert torch.zeros(2).is_cuda and torch.zeros(2).dtype is torch.float64
        torch.set_default_tensor_type(torch.FloatTensor)
        assert torch.zeros(2).is_cpu and torch.zeros(2).dtype is torch.float32
        torch.set_default_tensor_type(torch.cuda.FloatTensor)
        assert torch.zeros(2).is_cuda
    finally:
        torch.set_default_tensor_type(torch.FloatTensor)
    with pytest.raises(TypeError, match=r"invalid type name: torch\.cuda\.Foo"):
        torch.set_default_tensor_type("torch.cuda.Foo")
