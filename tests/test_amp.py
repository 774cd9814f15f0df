"""Autocast and GradScaler by themselves; test_autocast.py and test_mixed_precision.py run them beside PyTorch."""

import pytest

import rushlight as torch


def test_autocast_chooses_the_width():
    a, device = torch.ones(2, 2), torch.get_default_device().type
    with torch.autocast(device, dtype=torch.bfloat16):
        assert torch.is_autocast_enabled(device)
        product = a @ a
        assert product.dtype is torch.bfloat16
        assert torch.nn.functional.mse_loss(product, product).dtype is torch.float32
        assert (product + a).dtype is torch.float32
        with torch.autocast(device, enabled=False):
            assert (a @ a).dtype is torch.float32
    assert (a @ a).dtype is torch.float32 and not torch.is_autocast_enabled(device)


def test_autocast_gradients_reach_float32_weights():
    layer = torch.nn.Linear(3, 2)
    with torch.autocast(torch.get_default_device().type, dtype=torch.bfloat16):
        loss = layer(torch.ones(4, 3)).float().sum()
    loss.backward()
    assert layer.weight.grad.dtype is torch.float32 and layer.weight.grad.tolist() == [[4.0] * 3] * 2


def test_grad_scaler_skips_a_bad_step():
    p = torch.nn.Parameter(torch.ones(1))
    optimizer, scaler = torch.optim.SGD([p], lr=1.0), torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(p.sum()).backward()
    assert p.grad.item() == 4.0
    scaler.step(optimizer)
    scaler.update()
    assert p.item() == 0.0 and scaler.get_scale() == 4.0
    p.grad = torch.tensor([float("inf")])
    scaler.step(optimizer)
    scaler.update()
    assert p.item() == 0.0 and scaler.get_scale() == 2.0


@pytest.mark.cpu("what is said where there is no GPU")
def test_cuda_autocast_without_a_gpu_does_nothing():
    with pytest.warns(UserWarning, match="CUDA is not available"), torch.cuda.amp.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert torch.cuda.amp.GradScaler().get_scale() == 1.0
