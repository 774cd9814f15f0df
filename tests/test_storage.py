"""Storages as memory: mapped files, slices, the buffer protocol."""

import copy
import subprocess
import sys

import pytest

import rushlight as torch


@pytest.fixture
def path(tmp_path):
    (tmp_path / "bytes").write_bytes(bytes(range(16)))
    return str(tmp_path / "bytes")


@pytest.mark.parametrize("weights_only", [True, False])
def test_saved_storages_are_loaded_as_sequences_of_their_elements(weights_only, tmp_path):
    oracle = pytest.importorskip("torch")

    def loaded(lib):
        x = lib.tensor([1.0, 2.0, 3.0])
        lib.save({"x": x, "elements": x.storage(), "bytes": lib.tensor([1, 2], dtype=lib.int16).untyped_storage()}, tmp_path / "file")
        back = lib.load(tmp_path / "file", weights_only=weights_only)
        back["elements"][1] = 7
        kinds = [isinstance(back[name], lib.storage.TypedStorage) for name in ("elements", "bytes")]
        return back["x"].tolist(), list(back["elements"]), list(back["bytes"]), str(back["elements"].dtype)[-7:], kinds

    assert loaded(torch) == loaded(oracle)
    assert oracle.load(tmp_path / "file", weights_only=weights_only)["elements"].tolist() == [1, 2, 3]
    x = torch.arange(4.0)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        torch.save([x, x.untyped_storage()], tmp_path / "file")
    with pytest.raises(RuntimeError, match="cannot have -1 bytes"):
        torch.UntypedStorage(-1)


def test_a_private_mapping_leaves_the_file_alone(path):
    storage = torch.UntypedStorage.from_file(path, False, 8)
    assert bytes(storage) == bytes(range(8)) and storage.untyped() is storage
    torch.asarray(storage, dtype=torch.uint8, device="cpu").fill_(7)
    assert storage[3] == 7 and open(path, "rb").read() == bytes(range(16))


def test_a_shared_mapping_writes_and_lengthens_the_file(path):
    storage = torch.UntypedStorage.from_file(path, True, 20)
    memoryview(storage)[0] = 9
    del storage
    assert open(path, "rb").read() == bytes([9, *range(1, 16), 0, 0, 0, 0])


def test_slices_share_the_memory(path):
    storage = torch.UntypedStorage.from_file(path, False, 16)
    part = storage[4:8]
    del storage
    assert part.nbytes() == len(part) == 4 and list(part) == [4, 5, 6, 7] and list(part[-1:]) == [7] and len(part[3:1]) == 0
    assert torch.asarray(part, dtype=torch.uint8).view(torch.int32).item() == int.from_bytes(bytes([4, 5, 6, 7]), "little")
    with pytest.raises(RuntimeError, match="Trying to slice with a step of 2, but only a step of 1 is supported"):
        part[::2]
    with pytest.raises(IndexError):
        part[4]


def test_methods_of_both_kinds():
    """As PyTorch has them: in place, copies, elements of other dtypes. Untyped storages are made of bytes."""
    storage = torch.tensor([1.0, 2.0], device="cpu").untyped_storage()
    other = storage.clone()
    other[0], other[1:3] = 7, 4
    assert storage.tolist() == [0, 0, 128, 63, 0, 0, 0, 64] and other.tolist() == [7, 4, 4, 63, 0, 0, 0, 64]
    assert other.cpu() is other.to(device="cpu") is other and other.get_device() is None and not other.is_shared() and not other.is_sparse
    assert copy.copy(other).tolist() == other.tolist() and other.float().tolist()[:3] == [7.0, 4.0, 4.0]
    assert other.float().dtype is torch.float32 and other.long()[1] == 4
    assert storage.copy_(other) is storage and storage.fill_(3).tolist() == [3] * 8
    elements = torch.storage.TypedStorage([1, 2], dtype=torch.int64, device="cpu")
    assert elements.double().tolist() == [1.0, 2.0] and elements.long().data_ptr() != elements.data_ptr() and elements.cpu() is elements
    copied = copy.copy(elements)
    copied[0] = 5
    assert elements.tolist() == [1, 2] and copied.tolist() == [5, 2] and elements.copy_(copied).tolist() == [5, 2]
    with pytest.raises(IndexError):
        other[8] = 1
    with pytest.raises(AttributeError, match="'UntypedStorage' object has no attribute 'nothing'"):
        _ = other.nothing


def test_errors(path):
    with pytest.raises(RuntimeError, match="has 16 bytes, 17 were asked for"):
        torch.UntypedStorage.from_file(path, False, 17)
    with pytest.raises(FileNotFoundError):
        torch.UntypedStorage.from_file(path + ".absent", False, 1)
    assert len(torch.UntypedStorage.from_file(path)) == 0


def test_safetensors_torch(tmp_path):
    """The package's own loader maps the file with from_file and takes each tensor from a slice."""
    program = (
        "import torch\nfrom safetensors.torch import load_file, save_file\nt = {'a': torch.randn(3, 4), 'b': torch.arange(5)}\n"
        "save_file(t, 'x.safetensors')\nback = load_file('x.safetensors')\nassert all(torch.equal(t[k], back[k]) for k in t)\n"
    )
    (tmp_path / "program.py").write_text(program)
    subprocess.run([sys.executable, "-m", "rushlight", "program.py"], cwd=tmp_path, check=True)


SETS = {  # arguments of set_ behind the storage of six float32
    "longer": (0, (10,)),
    "with strides": (4, (10,), (1,)),
    "behind its end": (10, (1,), (1,)),
    "nothing behind its end": (10, (0,), (1,)),
    "a negative stride": (1, (2, 3), (-1, 2)),
    "a negative stride of one": (1, (1, 3), (-1, 2)),
    "a negative stride of none": (1, (0, 3), (-1, 2)),
    "a negative offset": (-1, (1,), (1,)),
    "too few strides": (1, (1, 2), (1,)),
    "a negative size": (0, (-1,)),
    "an offset beyond all memory": (2**61, (2,), (1,)),
    "a stride beyond all memory": (0, (3,), (2**62,)),
    "sizes beyond all memory": (0, (2**31, 2**31, 2**31), (1, 1, 1)),
}


@pytest.mark.parametrize("what", SETS)
def test_set_beyond_the_storage(what):
    oracle = pytest.importorskip("torch")

    def found(lib):
        storage = lib.arange(6.0).untyped_storage()
        try:
            x = lib.empty(0).set_(storage, *SETS[what])
        except RuntimeError as error:
            return str(error).split("\n")[0]
        return tuple(x.shape), x.stride(), x.storage_offset(), storage.nbytes(), x.untyped_storage().data_ptr() == storage.data_ptr()

    assert found(torch) == found(oracle)


def test_set_lengthens_the_storage_for_all_who_share_it():
    x = torch.arange(6.0)
    y = torch.empty(0).set_(x, 0, (100,))
    y[:] = 5
    assert x.tolist() == [5] * 6 and x.untyped_storage().nbytes() == 400
    with pytest.raises(RuntimeError, match="Trying to resize storage that is not resizable"):
        torch.empty(0, dtype=torch.uint8).set_(x.untyped_storage()[:4], 0, (100,))


def test_a_saved_stride_cannot_be_negative():
    from rushlight._core.storage import tensor_of_storage

    with pytest.raises(RuntimeError, match="do not go together"):
        tensor_of_storage(torch.arange(6.0).untyped_storage(), torch.float32, 1, (3,), (-1,))


def test_a_buffer_outlives_the_growth_of_its_storage():
    for size in (64, 1 << 16, 1 << 22):
        storage = torch.UntypedStorage(size)
        storage.fill_(7)
        one, two = memoryview(storage), memoryview(storage)[size // 2 :]
        tensor = torch.frombuffer(storage, dtype=torch.uint8)
        storage.resize_(4 * size)
        storage.fill_(1)
        others = [torch.full((size // 4,), 3.0) for _ in range(20)]
        assert bytes(one[:3]) == bytes(two[-3:]) == bytes([7] * 3) and tensor.eq(7).all() and len(others) == 20
        del tensor, one, two
        assert storage.nbytes() == 4 * size and storage[0] == 1
