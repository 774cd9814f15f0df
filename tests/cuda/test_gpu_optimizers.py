"""Steps of optimizers in captured graphs: each replay makes the next one.

Run by ``pytest --device cuda tests/cuda``.
"""

import pytest

import rushlight as torch
from rushlight import optim

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")

OPTIMIZERS = {
    "Adam": lambda p, **o: optim.Adam(p, 0.1, **o),
    "amsgrad": lambda p, **o: optim.Adam(p, 0.1, betas=(0.8, 0.9), amsgrad=True, weight_decay=0.1, **o),
    "AdamW": lambda p, **o: optim.AdamW(p, 0.1, **o),
    "rate": lambda p, **o: optim.AdamW(p, torch.tensor(0.1, device=p[0].device), **o),
    "Adamax": lambda p, **o: optim.Adamax(p, 0.1, **o),
    "NAdam": lambda p, **o: optim.NAdam(p, 0.1, weight_decay=0.1, decoupled_weight_decay=True, **o),
    "RAdam": lambda p, **o: optim.RAdam(p, 0.1, betas=(0.8, 0.9), weight_decay=0.1, **o),
    "RAdam of little memory": lambda p, **o: optim.RAdam(p, 0.1, betas=(0.8, 0.6), **o),
    "ASGD": lambda p, **o: optim.ASGD(p, 0.1, lambd=0.1, t0=3, **o),
    "Adadelta": lambda p, **o: optim.Adadelta(p, 1.0, **o),
    "RMSprop": lambda p, **o: optim.RMSprop(p, 0.1, momentum=0.5, centered=True, **o),
    "Rprop": lambda p, **o: optim.Rprop(p, 0.1, **o),
}


def stepper(make, device, **options):
    """A function that makes a step by a gradient, and the parameters."""
    params = [torch.linspace(1, 2, n, device=device).requires_grad_() for n in (3, 5)]
    optimizer = make(params, **options)

    def step(scale):
        optimizer.zero_grad()
        sum((p * p).sum() * scale for p in params).backward()
        optimizer.step()

    return step, params, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_replay_makes_the_next_step(name):
    there, params, _ = stepper(OPTIMIZERS[name], "cuda", capturable=True)
    here, wanted, _ = stepper(OPTIMIZERS[name], "cpu")
    scale, graph = torch.ones((), device="cuda"), torch.cuda.CUDAGraph()
    there(scale), here(1.0)
    with torch.cuda.graph(graph):
        there(scale)
    for k in range(8):
        scale.fill_(1.0 + k % 3)
        graph.replay()
        here(1.0 + k % 3)
    for p, at in zip(params, wanted):
        torch.testing.assert_close(p.detach().cpu(), at.detach(), rtol=2e-4, atol=2e-5)


def test_a_rate_in_memory_may_change_between_replays():
    there, params, optimizer = stepper(OPTIMIZERS["rate"], "cuda", capturable=True)
    here, wanted, other = stepper(OPTIMIZERS["Adam"], "cpu", weight_decay=0)
    rate = optimizer.param_groups[0]["lr"]
    optimizer.param_groups[0]["weight_decay"] = 0.0
    scale, graph = torch.ones((), device="cuda"), torch.cuda.CUDAGraph()
    there(scale), here(1.0)
    with torch.cuda.graph(graph):
        there(scale)
    for lr in (0.05, 0.01):
        rate.fill_(lr)
        other.param_groups[0]["lr"] = lr
        graph.replay(), here(1.0)
    for p, at in zip(params, wanted):
        torch.testing.assert_close(p.detach().cpu(), at.detach(), rtol=2e-4, atol=2e-5)


def test_a_step_counted_on_the_cpu_is_not_captured():
    there, params, optimizer = stepper(OPTIMIZERS["Adam"], "cuda")
    there(1.0)
    before = params[0].tolist()
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        with pytest.raises(RuntimeError, match=r"^Attempting CUDA graph capture of step\(\) for an instance of Adam but param_groups' "):
            optimizer.step()
    assert params[0].tolist() == before
    there(1.0)
    assert optimizer.state[params[0]]["step"].item() == 2


def test_where_steps_are_counted():
    for options, place in ({}, "cpu"), ({"capturable": True}, "cuda"):
        there, params, optimizer = stepper(OPTIMIZERS["NAdam"], "cuda", **options)
        there(1.0)
        state = optimizer.state[params[0]]
        assert state["step"].device.type == state["mu_product"].device.type == place
        assert state["step"].item() == 1
        other = OPTIMIZERS["NAdam"](params, **options)
        other.load_state_dict(optimizer.state_dict())
        assert other.state[params[0]]["step"].device.type == place
