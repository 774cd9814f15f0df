"""The CPU allocator: blocks never overlap, free neighbours are joined, memory follows the sum of what lives."""

import random

import pytest
from rushlight._core.tensor import empty_cache, memory_stats

import rushlight as torch

pytestmark = pytest.mark.cpu("the CPU's allocator")

KIB = 1 << 10


def held():
    """Bytes that the allocator has from the system."""
    stats = memory_stats()
    return stats["allocated"] + stats["cached"]


@pytest.mark.parametrize("seed", range(3))
def test_blocks_never_overlap(seed):
    """Blocks of all sizes come and go; each is marked at both ends and in the middle, and finds its marks."""
    choose = random.Random(seed)
    before, live = memory_stats()["allocated"], []
    for mark in range(1, 8000):
        if live and (choose.random() < 0.5 or len(live) > 60):
            block, old = live.pop(choose.randrange(len(live)))
            assert block[:: max(1, (len(block) - 1) // 2)].tolist()[:3] == [old] * min(3, len(block))
            if choose.random() < 0.002:
                empty_cache()
        else:
            n = choose.choice([choose.randint(1, 3000), choose.randint(15_000, 20_000), choose.randint(20_000, 200_000), 1 << 18])
            block = torch.empty(n, dtype=torch.int32)
            block[:: max(1, (n - 1) // 2)] = mark
            live.append((block, mark))
    wanted = sum(4 * len(block) for block, _ in live)
    assert wanted <= memory_stats()["allocated"] - before <= 1.3 * wanted + 64 * KIB
    live.clear()
    del block
    assert memory_stats()["allocated"] - before <= KIB


def test_free_neighbours_serve_a_larger_request():
    empty_cache()
    blocks = [torch.empty(300 * KIB, dtype=torch.uint8) for _ in range(16)]
    most = held()
    blocks.clear()
    large = torch.empty(4000 * KIB, dtype=torch.uint8)
    assert held() == most
    pieces = [torch.empty(100 * KIB, dtype=torch.uint8) for _ in range(5)]
    assert held() == most and large.numel() + sum(p.numel() for p in pieces) <= most


def test_layers_of_all_sizes_share_memory():
    """Layer after layer frees its input: what is held stays far below the sum of all sizes."""
    empty_cache()
    before, total = held(), 0
    x = torch.zeros(100 * KIB)
    for factor in (1.1, 1.3, 1.7, 1.9, 1.2, 0.6, 2.1, 0.5):
        total += x.nbytes
        x = torch.zeros(int(x.numel() * factor))
    assert held() - before < 0.65 * total


def test_the_cache_goes_back_to_the_system():
    kept = torch.full((100 * KIB,), 7, dtype=torch.uint8)
    torch.empty(8 << 20, dtype=torch.uint8)
    torch.empty(1000, dtype=torch.uint8)
    assert memory_stats()["cached"] >= 8 << 20 and empty_cache() >= 8 << 20
    assert memory_stats()["cached"] == 0 and bool((kept == 7).all())
    assert int(torch.ones(8 << 20, dtype=torch.uint8).sum()) == 8 << 20


def test_what_no_machine_has():
    for n in (1 << 45, 1 << 60):
        with pytest.raises(RuntimeError, match="can't allocate memory"):
            torch.empty(n, dtype=torch.uint8)
    assert torch.ones(1 << 20).sum().item() == 1 << 20
