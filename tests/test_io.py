"""Checkpoints: both ways with PyTorch, shared storages, closed to code, damage reported, written whole or not at
all.
"""

import argparse
import collections
import datetime
import decimal
import enum
import gc
import io
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
import weakref
import zipfile

import numpy as np
import pytest

import rushlight
from rushlight import serialization
from rushlight.io import CheckpointError, NotACheckpoint, TruncatedFile, UnsafeContent, load, save


@pytest.fixture
def oracle():
    """PyTorch, or skip."""
    return pytest.importorskip("torch")


def plain(value):
    """``value`` with tensors as (type, layout, list), so that both libraries' results can be compared."""
    if getattr(value, "is_sparse", False):
        return [tuple(value.shape), value.is_coalesced(), value._indices().tolist(), value._values().tolist(), value._values().ndim]
    if hasattr(value, "untyped_storage") and hasattr(value, "stride"):
        kind = str(value.dtype).rpartition(".")[2]
        numbers = value.tolist() if not kind.startswith("float8") else None
        return kind, tuple(value.shape), value.stride(), value.requires_grad, numbers
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value).replace("torch.", "").replace("rushlight.", "") if "." in str(type(value)) else value


DTYPES = (
    "float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool", "complex64",
    "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn",
)  # fmt: skip


def coordinates(library, dense=()):
    """A sparse tensor with an index that occurs twice."""
    return library.sparse_coo_tensor([[0, 1, 1], [2, 0, 0]], library.ones(3, *dense), (2, 3, *dense), check_invariants=True)


def examples(library):
    """Things to save, made by either library."""
    base = library.arange(12).float()
    return {
        "plain": {
            "numbers": [1, -5, 300, 70000, 2**40, -(2**70), 1.5, float("inf"), True, None, 3 + 4j],
            "text": ["é", "", "a" * 300], "bytes": [b"xy", b""], "tuples": [(), (1,), (1, 2, 3, 4)],
        },
        "containers": [{1, 2}, collections.OrderedDict(b=1, a=2), collections.Counter("aab"), {(1, "x"): 2}],
        "types": [library.float32, library.uint16, library.device("cpu"), library.Size([1, 2])],
        "views": [base, base[2:6], base.view(3, 4).t(), base[::2]],
        "dtypes": [library.zeros(3, dtype=getattr(library, name)) for name in DTYPES],
        "sparse": [coordinates(library), coordinates(library).coalesce(), coordinates(library, (3,))],
        "shapes": [library.tensor(3.5), library.zeros(0, 3), library.ones(1).expand(5)],
        "state": collections.OrderedDict(weight=library.ones(2, 3), bias=library.zeros(2).requires_grad_()),
    }  # fmt: skip


NAMES = ("plain", "containers", "types", "views", "dtypes", "sparse", "shapes", "state")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_pytorch_loads(oracle, tmp_path, name):
    wanted = plain(examples(oracle)[name])
    oracle.save(examples(oracle)[name], tmp_path / "x.pt")
    assert plain(load(tmp_path / "x.pt")) == wanted
    assert plain(load(tmp_path / "x.pt", mmap=True)) == wanted
    oracle.save(examples(oracle)[name], tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert plain(load(tmp_path / "old.pt")) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_loads_our_file(oracle, tmp_path, name):
    save(examples(rushlight)[name], tmp_path / "x.pt")
    wanted = plain(examples(oracle)[name])
    assert plain(oracle.load(tmp_path / "x.pt", weights_only=True, map_location="cpu")) == wanted
    assert plain(oracle.load(str(tmp_path / "x.pt"), weights_only=True, map_location="cpu", mmap=True)) == wanted
    assert plain(load(tmp_path / "x.pt")) == wanted
    file = io.BytesIO()
    save(examples(rushlight)[name], file)
    file.seek(0)
    assert plain(load(file)) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_loads_our_stream_of_pickles(oracle, tmp_path, name):
    """The format before the archive. What PyTorch itself cannot load from its own file (uint16, say) need only load here."""
    ours, theirs = [], []
    for library, found in ((rushlight, ours), (oracle, theirs)):
        path = tmp_path / f"{library.__name__}.pth"
        try:
            library.save(examples(library)[name], path, _use_new_zipfile_serialization=False)
        except RuntimeError as error:
            found.append(str(error).partition("\n")[0])
            continue
        assert path.read_bytes()[:2] == b"\x80\x02"
        found.append(plain(load(path)))
        try:
            found.append(plain(oracle.load(path, weights_only=False, map_location="cpu")))
        except AttributeError as error:
            found.append(str(error))
    assert ours == theirs


def test_a_stream_of_pickles_in_a_file_object(oracle):
    model = rushlight.nn.Linear(3, 2)
    file = io.BytesIO()
    save({"model": model.state_dict(), "epoch": 3}, file, _use_new_zipfile_serialization=False)
    theirs = oracle.load(io.BytesIO(file.getvalue()), map_location="cpu", weights_only=True)
    assert theirs["epoch"] == 3 and theirs["model"]["weight"].tolist() == model.weight.tolist()
    file.seek(0)
    assert load(file)["model"]["bias"].tolist() == model.bias.tolist()


def test_the_archive_is_pytorchs(oracle, tmp_path):
    listings = []
    for library in (oracle, rushlight):
        library.save({"w": library.ones(3), "b": library.zeros(2)}, tmp_path / "model.ckpt")
        with zipfile.ZipFile(tmp_path / "model.ckpt") as archive:
            assert archive.testzip() is None
            listings.append(archive.namelist())
            for info in archive.infolist():
                with open(tmp_path / "model.ckpt", "rb") as file:
                    file.seek(info.header_offset + 26)
                    lengths = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
                assert (info.header_offset + 30 + lengths) % 64 == 0 and info.compress_type == zipfile.ZIP_STORED
    assert listings[0] == listings[1] and listings[0][0] == "model/data.pkl"


def test_views_share_memory_after_loading(tmp_path):
    base = rushlight.arange(12).float()
    save({"base": base, "part": base[2:6], "turned": base.view(3, 4).t()}, tmp_path / "x.pt")
    assert os.path.getsize(tmp_path / "x.pt") < 2000
    for mapped in (False, True):
        found = load(tmp_path / "x.pt", mmap=mapped)
        found["base"][2] = 99
        assert found["part"][0] == 99 and found["turned"][2, 0] == 99
    assert load(tmp_path / "x.pt")["base"][2] == 2  # the map was private


def test_a_storage_seen_with_two_types(oracle, tmp_path):
    base = rushlight.arange(4).float()
    save([base, base.view(rushlight.int32)], tmp_path / "x.pt")
    for found in (load(tmp_path / "x.pt"), oracle.load(tmp_path / "x.pt", weights_only=True, map_location="cpu")):
        found[0][1] = 2.0
        assert found[1][1] == 0x40000000


def test_what_refers_to_itself(tmp_path):
    loop = []
    loop.append(loop)
    pair = ([],)
    pair[0].append(pair)
    shared = [1]
    save({"loop": loop, "pair": pair, "twice": [shared, shared]}, tmp_path / "x.pt")
    found = load(tmp_path / "x.pt")
    assert found["loop"][0] is found["loop"] and found["pair"][0][0] is found["pair"]
    assert found["twice"][0] is found["twice"][1]


def test_arrays_load_as_plain_data(oracle, tmp_path):
    data = {"a": np.arange(6).reshape(2, 3), "f": np.asfortranarray(np.eye(3))}
    data |= {"s": np.float32(2.5), "t": np.dtype(">i2")}
    texts = {"u": np.array(["a", "b\u00e9d"]), "b": np.array([b"xy", b"z"]), "raw": np.zeros(2, "V3")}
    for write in (oracle.save, save):
        write(data | texts, tmp_path / "x.pt")
        found = load(tmp_path / "x.pt", weights_only=False)
        assert all((found[name] == array).all() and found[name].dtype == array.dtype for name, array in texts.items())
        write(data, tmp_path / "x.pt")
        found = load(tmp_path / "x.pt")
        assert (found["a"] == data["a"]).all() and (found["f"] == data["f"]).all() and type(found["a"]) is np.ndarray
        assert found["s"] == 2.5 and type(found["s"]) is np.float32 and found["t"] == np.dtype(">i2")
    oracle.save(np.array([print]), tmp_path / "x.pt")
    with pytest.raises((UnsafeContent, CheckpointError)):
        load(tmp_path / "x.pt", weights_only=False)


def test_defaultdicts_and_enums_and_values(oracle, tmp_path):
    oracle.save(collections.defaultdict(list, {"a": [1]}), tmp_path / "x.pt")
    found = load(tmp_path / "x.pt")
    assert found == {"a": [1]} and found["new"] == []


# ---- safetensors


def test_safetensors_both_ways(oracle, tmp_path):
    torch_side = pytest.importorskip("safetensors.torch")
    path = tmp_path / "x.safetensors"
    save({"w": rushlight.arange(6).view(2, 3).t(), "b": rushlight.ones(2, dtype=rushlight.bfloat16)}, path)
    found = torch_side.load_file(path)
    assert found["w"].tolist() == [[0, 3], [1, 4], [2, 5]] and found["b"].dtype == oracle.bfloat16
    torch_side.save_file({"w": oracle.arange(4.0), "empty": oracle.zeros(0, 2)}, path)
    found = load(path)
    assert found["w"].tolist() == [0, 1, 2, 3] and tuple(found["empty"].shape) == (0, 2)
    with open(path, "rb") as file:
        assert load(file)["w"].tolist() == [0, 1, 2, 3]
    with pytest.raises(TypeError, match="dict of tensors"):
        save([1], path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(CheckpointError, match="ends within tensor 'w'"):
        load(path)
    path.write_bytes(whole[:20])
    with pytest.raises(CheckpointError, match="safetensors file is damaged"):
        load(path)


# ---- the older formats


def test_a_tar_archive_of_the_first_version(tmp_path):
    def member(archive, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))

    storage = pickle.dumps(1, 2) + b"\x80\x02(K\x07X\3\0\0\0cpuctorch\nFloatStorage\nt."
    storage += (4).to_bytes(8, "little") + np.arange(4, dtype="<f4").tobytes() + pickle.dumps([], 2)
    tensor = pickle.dumps(1, 2) + b"\x80\x02(K\x09K\x07ctorch\nFloatTensor\nt." + np.array([2, 0], "<i4").tobytes()
    tensor += np.array([2, 2, 1, 2, 0], "<i8").tobytes()
    with tarfile.open(tmp_path / "x.pth", "w", format=tarfile.USTAR_FORMAT) as archive:
        member(archive, "storages", storage)
        member(archive, "tensors", tensor)
        member(archive, "pickle", b"\x80\x02}X\1\0\0\0wK\x09Qs.")
    assert load(tmp_path / "x.pth")["w"].tolist() == [[0, 2], [1, 3]]


def test_the_old_stream_with_modules(oracle, tmp_path):
    model = oracle.nn.Linear(2, 3)
    oracle.save(model, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    found = load(tmp_path / "x.pth", weights_only=False)
    assert type(found) is rushlight.nn.Linear and found.weight.tolist() == model.weight.tolist()


def test_a_storage_is_named_by_a_tuple():
    """In the old stream and in the archive; a storage in the name's place was asked for its elements."""
    pid = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0kX\3\0\0\0cpuK\1NtQ"
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    with pytest.raises(CheckpointError, match="StoredBytes where tuple is expected"):
        load(io.BytesIO(b"".join(head) + b"\x80\2" + pid + b"Q."))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\2K\1Q.")
    file.seek(0)
    with pytest.raises(CheckpointError, match="int where tuple is expected"):
        load(file)


# ---- whole objects


class Net(rushlight.nn.Module):
    """A module of the program's own."""

    def __init__(self):
        super().__init__()
        self.inner = rushlight.nn.Linear(2, 3)
        self.scale = 2.5

    def __setstate__(self, state):
        raise AssertionError("code of the file's class ran")


def test_modules_and_optimizers(oracle, tmp_path):
    model = rushlight.nn.Sequential(rushlight.nn.Linear(3, 4), rushlight.nn.ReLU())
    optimizer = rushlight.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(rushlight.ones(2, 3)).sum().backward()
    optimizer.step()
    save({"model": model, "optimizer": optimizer}, tmp_path / "x.pt")
    with pytest.raises(UnsafeContent, match="Weights only load failed"):
        load(tmp_path / "x.pt")
    found = load(tmp_path / "x.pt", weights_only=False)
    assert plain(found["model"].state_dict()) == plain(model.state_dict())
    assert plain(found["optimizer"].state_dict()) == plain(optimizer.state_dict())
    found["model"](rushlight.ones(2, 3)).sum().backward()
    found["optimizer"].step()
    theirs = oracle.nn.Sequential(oracle.nn.Linear(3, 4), oracle.nn.BatchNorm1d(4))
    oracle.save(theirs, tmp_path / "x.pt")
    assert plain(load(tmp_path / "x.pt", weights_only=False).state_dict()) == plain(theirs.state_dict())


def test_a_module_of_the_program_is_rebuilt_without_running_it(tmp_path):
    model = Net()
    save(model, tmp_path / "x.pt")
    found = load(tmp_path / "x.pt", weights_only=False)
    assert type(found) is Net and found.scale == 2.5
    assert found.inner.weight.tolist() == model.inner.weight.tolist()


# ---- closed to code


class Evil:
    """Pickles as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize(
    "call",
    [(os.system, ("touch pwned",)), (eval, ("1",)), (getattr, ("", "x")), (bytearray, (10**12,)), (exec, ("",))],
)
def test_no_file_runs_code(oracle, tmp_path, monkeypatch, call, weights_only):
    monkeypatch.chdir(tmp_path)
    for new in (True, False):
        oracle.save([Evil(*call)], "x.pt", _use_new_zipfile_serialization=new)
        with pytest.raises((UnsafeContent, CheckpointError)):
            load("x.pt", weights_only=weights_only)
    assert not os.path.exists("pwned")


@pytest.mark.parametrize("text", ["04", "f8,f8", "(2,)f8", "O", "float64", "", "f", 4, "f\u0664", "M8", "m8"])
def test_the_type_of_an_array_is_never_parsed_by_numpy(oracle, tmp_path, text):
    oracle.save([Evil(np.dtype, (text,))], tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="an array of type"):
        load(tmp_path / "x.pt", weights_only=False)


def test_a_file_cannot_have_a_module_imported(tmp_path):
    pickled = b"\x80\x02cantigravity\nfly\n)R."
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickled)
        archive.writestr("x/version", "3\n")
    with pytest.raises(UnsafeContent, match=r"antigravity\.fly"):
        load(tmp_path / "x.pt", weights_only=False)
    assert "antigravity" not in sys.modules


class Colour(enum.Enum):
    """Allowed by the tests."""

    RED = 1


class Plain:
    """Allowed by the tests; its methods must not run."""

    def __new__(cls):
        raise AssertionError("a constructor ran")

    __init__ = __setstate__ = __new__

    @classmethod
    def pick(cls):
        raise AssertionError("a method ran")


def test_what_the_program_allows(oracle, tmp_path):
    oracle.save([argparse.Namespace(a=1, b=oracle.ones(2)), Colour.RED], tmp_path / "x.pt")
    with pytest.raises(UnsafeContent, match=r"GLOBAL argparse.Namespace was not an allowed global by default"):
        load(tmp_path / "x.pt")
    with serialization.safe_globals([argparse.Namespace, Colour]):
        found = load(tmp_path / "x.pt")
        assert len(serialization.get_safe_globals()) == 2
    assert found[0].a == 1 and found[0].b.tolist() == [1, 1] and found[1] is Colour.RED
    assert serialization.get_safe_globals() == []
    oracle.save({"pick": Plain.pick}, tmp_path / "x.pt")  # pickle writes a method as a call of getattr
    with pytest.raises(UnsafeContent, match=r"names a method of a class or object.*safe_globals\(\[getattr, TheirClass\]\)"):
        load(tmp_path / "x.pt", weights_only=False)
    with serialization.safe_globals([getattr, Plain]):
        assert load(tmp_path / "x.pt", weights_only=False)["pick"].__func__ is Plain.pick.__func__
    blank = object.__new__(Plain)
    blank.__dict__["x"] = 3
    save(blank, tmp_path / "x.pt")
    with serialization.safe_globals([(Plain, f"{__name__}.Plain")]):
        assert load(tmp_path / "x.pt").x == 3
    assert serialization.get_unsafe_globals_in_checkpoint(tmp_path / "x.pt") == [f"{__name__}.Plain"]


def test_values_of_the_standard_library(oracle, tmp_path):
    values = [pathlib.PurePosixPath("a/b"), datetime.datetime(2020, 1, 2), datetime.timedelta(3), decimal.Decimal("1.5")]
    values += [range(3), slice(1, 4), ..., argparse.Namespace(rate=0.1, sizes=[1, 2])]
    oracle.save(values, tmp_path / "theirs.pt")
    save(values, tmp_path / "ours.pt")
    for name in ("theirs.pt", "ours.pt"):
        assert load(tmp_path / name, weights_only=False) == values
        with pytest.raises(UnsafeContent, match="was not an allowed global by default"):
            load(tmp_path / name)


def test_keys_that_would_take_for_ever_to_hash():
    key = b"K\1\x85" + b"q\0h\0h\0\x86" * 40  # a tuple of itself twice, forty times over
    for pickled in (b"\x80\x02}" + key + b"Ns.", b"\x80\x04\x8f(" + key + b"\x90."):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("x/data.pkl", pickled.replace(b"q\0h\0h\0", b"q\0h\0"))
        with pytest.raises(CheckpointError):
            load(file)


def test_damaged_files_are_refused_and_never_run():
    command = "-W ignore -m rushlight.io.fuzz --count 2000 --seed 11 --keep".split()
    done = subprocess.run([sys.executable, *command, os.devnull], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- damage, devices, files


def test_damage_is_reported_with_the_tensors_name(tmp_path):
    save({"model": {"weight": rushlight.zeros(9), "bias": rushlight.full((30,), 1.5)}}, tmp_path / "x.pt")
    data = bytearray((tmp_path / "x.pt").read_bytes())
    data[data.find(b"\0\0\xc0\x3f\0\0\xc0\x3f")] ^= 1
    with pytest.raises(CheckpointError, match="the checksum of record 'data/1' is wrong") as info:
        load(io.BytesIO(data))
    assert "belongs to 'model.bias'" in str(info.value)


def test_first_lines_of_errors(oracle, tmp_path):
    file = io.BytesIO()
    save(rushlight.zeros(9), file)
    cut = io.BytesIO(file.getvalue()[:300])
    with pytest.raises(RuntimeError, match="failed reading zip archive: failed finding central directory"):
        load(cut)
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: 'missing\.ckpt'"):
        load("missing.ckpt")
    with pytest.raises(RuntimeError, match=r"Parent directory no_such_folder does not exist\."):
        save({}, "no_such_folder/model.ckpt")
    with pytest.raises(NotACheckpoint, match="is not a checkpoint"):
        load(io.BytesIO(b"hello world"))
    with pytest.raises(EOFError):
        load(io.BytesIO(b""))
    with pytest.raises(TruncatedFile):
        load(io.BytesIO(b""))
    assert issubclass(NotACheckpoint, KeyError) and issubclass(CheckpointError, (RuntimeError, pickle.UnpicklingError))
    with pytest.raises(ValueError, match="mmap"):
        load(io.BytesIO(b""), mmap=True)


def test_files_without_checksums(oracle, tmp_path):
    for library in (oracle, rushlight):
        library.serialization.set_crc32_options(False)
        try:
            library.save({"w": library.ones(3)}, tmp_path / "x.pt")
        finally:
            library.serialization.set_crc32_options(True)
        assert load(tmp_path / "x.pt")["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "where",
    [None, "cpu", rushlight.device("cpu"), {"cpu": "cpu"}, {}, lambda storage, _: None, lambda storage, _: storage],
)
def test_forms_of_map_location(tmp_path, where):
    save(rushlight.ones(2), tmp_path / "x.pt")
    assert load(tmp_path / "x.pt", map_location=where).tolist() == [1, 1]


def test_a_location_that_is_not_here(tmp_path):
    save(rushlight.ones(2), tmp_path / "x.pt")
    if not rushlight.cuda.is_available():
        with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
            load(tmp_path / "x.pt", map_location="cuda:0")
    with pytest.raises(RuntimeError, match="don't know how to restore data location"):
        load(tmp_path / "x.pt", map_location="nowhere")


def test_a_large_number_of_records_and_sizes(tmp_path):
    tensors = {f"layer{n}": rushlight.full((n % 7,), float(n)) for n in range(500)}
    save(tensors, tmp_path / "x.pt")
    assert plain(load(tmp_path / "x.pt")) == plain(tensors)


def test_a_file_keeps_its_mode_and_a_link_its_target(tmp_path):
    save({"a": 1}, tmp_path / "x.pt")
    os.chmod(tmp_path / "x.pt", 0o640)
    os.symlink(tmp_path / "x.pt", tmp_path / "link.pt")
    save({"a": 2}, tmp_path / "link.pt")
    assert os.path.islink(tmp_path / "link.pt") and load(tmp_path / "x.pt") == {"a": 2}
    assert os.stat(tmp_path / "x.pt").st_mode & 0o777 == 0o640 and sorted(os.listdir(tmp_path)) == ["link.pt", "x.pt"]


def test_a_failed_save_leaves_the_former_file(tmp_path):
    save({"a": 1}, tmp_path / "x.pt")
    with pytest.raises(pickle.PicklingError, match="Can't pickle"):
        save({"a": lambda: 0}, tmp_path / "x.pt")
    assert load(tmp_path / "x.pt") == {"a": 1} and os.listdir(tmp_path) == ["x.pt"]


def test_killing_a_program_that_saves_leaves_a_whole_file(tmp_path):
    body = """
        import rushlight, sys
        n = 0
        while True:
            rushlight.save({"n": n, "w": rushlight.full((300000,), float(n))}, sys.argv[1])
            if n == 0: print("go", flush=True)
            n += 1
    """
    path = str(tmp_path / "x.pt")
    for attempt in range(6):
        program = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(body), path], stdout=subprocess.PIPE, text=True
        )
        program.stdout.readline()
        time.sleep(0.003 * attempt)
        program.send_signal(signal.SIGKILL)
        program.communicate()
        found = load(path)
        assert float(found["w"][0]) == float(found["w"][-1]) == found["n"]
    save({"n": -1}, path)
    assert os.listdir(tmp_path) == ["x.pt"]  # what the killed programs left behind is swept


def test_skipping_data_makes_a_file_of_the_same_layout(tmp_path):
    with serialization.skip_data():
        save(rushlight.ones(5), tmp_path / "x.pt")
    assert load(tmp_path / "x.pt").tolist() == [0] * 5


def test_messages_and_contents_do_not_outgrow_the_file():
    deep = b"K\1\x85q\0" + b"h\0h\0\x86q\0" * 60  # a tuple whose text would have 2**60 parts
    encoded = b"c_codecs\nencode\nq\2h\0\x85R" + b"h\2h\0\x85R" * 2000
    again = b"]q\1(X\xe8\3\0\0" + b"a" * 1000 + b"q\0" + encoded + b"e."
    for pickled in (b"\x80\2" + deep + b"Q.", b"\x80\2" + again):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("x/data.pkl", pickled)
        with pytest.raises(CheckpointError) as info:
            load(file)
        assert len(str(info.value)) < 500


def test_what_was_loaded_is_freed_without_a_collection(tmp_path):
    """A circle of references would keep the storages alive until the collector runs: loading again would not find their memory."""
    rushlight.save({"w": rushlight.ones(1000)}, tmp_path / "x.pt")
    gc.collect()
    gc.disable()
    try:
        gone = weakref.ref(rushlight.load(tmp_path / "x.pt")["w"])
        assert gone() is None
        before = len(gc.get_objects())
        for _ in range(20):
            rushlight.load(tmp_path / "x.pt")
        assert len(gc.get_objects()) - before < 20
    finally:
        gc.enable()


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "leaky_relu"])
def test_whole_transformers_pass_between_the_libraries(oracle, tmp_path, activation):
    """Attention lies where PyTorch has it, activations are functions that files name."""
    for lib, other in ((rushlight, oracle), (rushlight, rushlight), (oracle, rushlight)):
        layer = lib.nn.TransformerEncoderLayer(8, 2, 16, activation=getattr(lib.nn.functional, activation)).eval()
        lib.save(lib.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), tmp_path / "x.pt")
        found = other.load(tmp_path / "x.pt", map_location=other.get_default_device(), weights_only=False)
        assert type(found).__module__.startswith(other.__name__)
        x = np.random.RandomState(0).randn(3, 2, 8).astype("f4")
        mine, theirs = found(other.tensor(x)), layer(lib.tensor(x))
        assert mine.shape == theirs.shape and found.layers[0].activation is getattr(other.nn.functional, activation)
