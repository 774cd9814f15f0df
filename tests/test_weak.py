"""utils.weak: keys by identity that are not kept, as in PyTorch."""

import copy
import gc

import pytest
from oracle import torch
from torch.utils import weak as _  # noqa: F401  a room that both load on first use

import rushlight as rl

LIBRARIES = pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])


@LIBRARIES
def test_keys_are_told_apart_by_identity(library):
    known = library.utils.weak.WeakTensorKeyDictionary()
    x, y = library.zeros(2), library.zeros(2)
    known[x] = 1
    assert x in known and y not in known and 3 not in known and known.get(y, "no") == "no"
    known[y] = 2
    known[x] += 10
    assert [known[x], known[y]] == [11, 2] and len(known) == 2 and list(known.values()) == [11, 2]
    assert [k is t for k, t in zip(known, (x, y))] == [True, True] and known.setdefault(x, 5) == 11 and known.pop(y) == 2
    with pytest.raises(KeyError):
        known[y]
    with pytest.raises(KeyError):
        del known[y]


@LIBRARIES
def test_entries_go_with_their_keys(library):
    weak = library.utils.weak
    x, y = library.zeros(2), library.zeros(2)
    known, ref = weak.WeakIdKeyDictionary({x: "x", y: "y"}), weak.TensorWeakRef(x)
    assert ref() is x
    walk = iter(known)
    assert next(walk) is x
    del y
    gc.collect()
    assert list(walk) == [] and len(known) == 1  # what died since the walk began is left out
    del x
    gc.collect()
    assert ref() is None and len(known) == 0 and list(known.items()) == []


@LIBRARIES
def test_mappings_are_copied_joined_and_compared(library):
    weak = library.utils.weak
    x, y = library.zeros(2), library.zeros(2)
    known = weak.WeakTensorKeyDictionary({x: [1]})
    deep, flat = copy.deepcopy(known), copy.copy(known)
    assert deep[x] == [1] and deep[x] is not known[x] and flat[x] is known[x] and flat == known and deep == known
    assert (known | {y: [2]})[y] == [2] and ({y: [2], x: [3]} | known)[x] == [1] and known != (known | {y: [2]})
    known |= {y: [4]}
    assert len(known) == 2 and len(known.keyrefs()) == 2 and known.keyrefs()[0]() is x
    assert weak.WeakIdRef(x) == weak.WeakIdRef(x) and not weak.WeakIdRef(x) == weak.WeakIdRef(y)
    assert hash(weak.WeakIdRef(x)) == id(x)


def test_references_to_other_tensors_are_unequal():  # PyTorch compares the tensors here
    assert rl.utils.weak.WeakIdRef(rl.zeros(2)) != rl.utils.weak.WeakIdRef(rl.zeros(2))
