"""What the tests of this folder share."""

import pytest

import rushlight as torch


@pytest.fixture(autouse=True)
def default_cpu():
    """These tests name devices themselves."""
    before = torch.get_default_device()
    torch.set_default_device(None)
    yield
    torch.set_default_device(before)
