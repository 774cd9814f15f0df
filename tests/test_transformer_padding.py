"""TransformerEncoder where PyTorch leaves padded positions out: the same numbers, zeros where it has zeros."""

import warnings

import pytest
from oracle import torch

import rushlight as rl

PADDING = {
    "at the end": [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]],
    "in every row": [[0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]],
    "not at the end": [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 1]],
}


def drawn(lib, *sizes):
    """Numbers that PyTorch draws, for either library."""
    return lib.tensor(torch.randn(sizes).tolist())


def encoded(lib, padding, grad=False, norm=False, heads=2, train=False, first=False, activation="relu", nested=True, as_numbers=False):
    layer = lib.nn.TransformerEncoderLayer(8, heads, 16, 0.0, activation, batch_first=True, norm_first=first)
    model = lib.nn.TransformerEncoder(layer, 2, lib.nn.LayerNorm(8) if norm else None, enable_nested_tensor=nested).train(train)
    torch.manual_seed(0)
    with lib.no_grad():
        for p in model.parameters():
            p.copy_(drawn(lib, *p.shape) * 0.3)
    mask = lib.tensor(padding).bool()
    if as_numbers:
        mask = lib.zeros(mask.shape).masked_fill(mask, float("-inf"))
    x = drawn(lib, 3, 5, 8)
    with lib.set_grad_enabled(grad):
        return model(x, src_key_padding_mask=mask), model.use_nested_tensor


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("options", [
    {}, {"grad": True}, {"norm": True}, {"heads": 1}, {"train": True}, {"first": True}, {"activation": "gelu"}, {"nested": False},
    {"as_numbers": True},
])  # fmt: skip
def test_padded_positions(padding, options):
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        want, nested = encoded(torch, PADDING[padding], **options)
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        got, mine = encoded(rl, PADDING[padding], **options)
    assert mine == nested
    texts = [str(w.message) for w in theirs if "enable_nested_tensor" in str(w.message)]
    assert [str(w.message) for w in ours] == texts
    torch.testing.assert_close(torch.tensor(got.tolist()), want.detach(), rtol=1e-4, atol=1e-5)
