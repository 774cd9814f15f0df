"""Logs for TensorBoard: each call writes what PyTorch's writes, as the tensorboard package reads it."""

import glob
import io
import os
import warnings

import numpy as np
import pytest

import rushlight

oracle = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
Image = pytest.importorskip("PIL.Image")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.util.tensor_util import make_ndarray
    from torch.utils.tensorboard import SummaryWriter as Theirs

    from rushlight.utils.tensorboard import SummaryWriter as Ours
    from rushlight.utils.tensorboard.summary import hparams

CALLS = """
add_scalar("a", 1.5, 3)
add_scalar("a", T(2.5), 3, new_style=True)
add_scalar("a", 1.5, 3, new_style=True, double_precision=True)
add_scalars("l/m", {"x": 1.0, "y": 2.0}, 1)
add_tensor("x", T([0.0, 1.0, 2.0]), 1)
add_histogram("h", T([0.0, 1.0, 5.0, -3.0]), 1)
add_histogram("h", T([0.0, 1.0, 5.0]), 1, max_bins=7)
add_histogram("h", np.arange(20.0), 1, bins="auto")
add_histogram("h", np.arange(20.0) ** 2, 1, bins=12, max_bins=5)
add_histogram_raw("h", 0.0, 9.0, 10, 45.0, 285.0, [3.0, 6.0, 9.0], [3.0, 3.0, 4.0], 1)
add_image("i", T([[[0.0, 0.3], [0.7, 2.0]]] * 3), 1)
add_image("i", np.arange(12, dtype=np.uint8).reshape(2, 2, 3), 1, dataformats="HWC")
add_image("i", T([[0.0, 0.3], [0.7, 1.0]]), 1, dataformats="HW")
add_images("i", np.arange(11 * 12, dtype=np.uint8).reshape(11, 3, 2, 2), 1)
add_audio("a", np.linspace(-1.5, 1.5, 50)[None], 1, 8000)
add_text("t", "some *words*", 1)
add_pr_curve("p", T([0, 1, 1, 0]), T([0.1, 0.9, 0.6, 0.4]), 1)
add_pr_curve("p", np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.6, 0.4]), 1, num_thresholds=5, weights=np.array([1.0, 2.0, 0.5, 1.0]))
add_pr_curve_raw("p", [75, 64], [75, 2], [0, 1], [0, 11], [1.0, 0.5], [1.0, 0.4], 1, num_thresholds=2)
add_mesh("m", T([[[0.0, 1.0, 2.0]] * 3]), colors=T([[[0, 9, 255]] * 3]), faces=T([[[0, 1, 2]]]), config_dict={"b": 1, "a": 2})
add_mesh("m", T([[[0.0, 1.0, 2.0]] * 4]))
add_custom_scalars({"T": {"a": ["Multiline", ["x", "y"]], "b": ["Margin", ["x", "y", "z"]]}})
add_custom_scalars_multilinechart(["a", "b"])
add_custom_scalars_marginchart(["a", "b", "c"])
add_hparams({"lr": 0.1, "n": 4, "by": "adam", "none": None}, {"acc": 0.5, "loss": T(1.5)}, run_name="r")
add_hparams({"lr": 0.1, "by": "adam"}, {"acc": 0.5}, {"by": ["adam", "sgd"], "lr": [0.1, 0.2]}, "r", 4)
add_embedding(T([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), ["a", "b", "c"], T([[[[0.1, 0.5], [0.9, 0.0]]] * 3] * 3), 2)
add_embedding(T([[0.0, 1.0], [2.0, 3.0]]), [["a", 1], ["b", 2]], tag="t", metadata_header=["name", "n"])
""".strip().splitlines()

WRONG = """
add_hparams({"lr": [1]}, {"acc": 0.5})
add_hparams("x", {"acc": 0.5})
add_hparams({"lr": 1}, {"a": 1.0}, {"other": [1]})
add_hparams({"lr": 1}, {"a": 1.0}, {"lr": ["x"]})
add_scalar("a", T([1.0, 2.0]))
add_histogram("h", T([]), 1)
add_histogram_raw("h", 0.0, 9.0, 10, 45.0, 285.0, [3.0, 6.0], [3.0], 1)
add_image("i", T([[0.0, 1.0]]), 1)
add_embedding(T([[0.0, 1.0], [2.0, 3.0]]), ["a"])
add_embedding(T([[0.0, 1.0]]), None, T([[[[0.0, 0.0]]]] * 2))
""".strip().splitlines()


def readable(event):
    """What a summary says, however it is laid out: tensors and pictures as arrays."""
    found = []
    for value in event.summary.value:
        kind = value.WhichOneof("value")
        content = getattr(value, kind) if kind else None
        if kind == "tensor":
            content = (make_ndarray(content).dtype.kind, make_ndarray(content).tolist())
        elif kind == "image":
            content = np.asarray(Image.open(io.BytesIO(content.encoded_image_string))).astype(int).tolist()
        elif kind is not None:
            content = str(content)
        plugin = value.metadata.plugin_data
        about = str(HParamsPluginData.FromString(plugin.content)) if plugin.plugin_name == "hparams" else plugin.content
        found.append((value.tag, kind, content, plugin.plugin_name, about))
    return event.step, found


def written(Writer, library, call, folder):
    """What ``call`` wrote, file by file."""
    with Writer(str(folder)) as writer:
        eval("writer." + call, {"writer": writer, "T": library.tensor, "np": np})
    files = {}
    for path in sorted(glob.glob(f"{folder}/**/*", recursive=True)):
        name = os.path.relpath(path, folder)
        if "events" in name:
            events = [Event.FromString(record) for record in RawEventFileLoader(path).Load()]
            found = [readable(event) for event in events if event.HasField("summary")]
            files[os.path.dirname(name)] = files.get(os.path.dirname(name), []) + found
        elif name.endswith("png"):
            files[name] = np.asarray(Image.open(path)).tolist()
        elif os.path.isfile(path):
            with open(path) as file:
                files[name] = file.read().split()
    return files


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", CALLS, ids=[f"{i}-{call.partition('(')[0]}" for i, call in enumerate(CALLS)])
def test_calls_write_what_pytorchs_write(call, tmp_path, capsys):
    assert written(Ours, rushlight, call, tmp_path / "ours") == written(Theirs, oracle, call, tmp_path / "theirs")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", WRONG)
def test_wrong_calls_raise_what_pytorchs_raise(call, tmp_path):
    errors = []
    for Writer, library in ((Ours, rushlight), (Theirs, oracle)):
        with pytest.raises((TypeError, ValueError, AssertionError)) as caught:
            written(Writer, library, call, tmp_path / library.__name__)
        errors.append((caught.type, " ".join(str(caught.value).split("\n  ")[0].split())))
    ours, theirs = errors
    assert ours[0] is theirs[0] and theirs[1].replace("        ", " ").startswith(ours[1][:40])


def test_what_differs_from_pytorch(tmp_path):
    """A hyperparameter that is a truth value is kept as one, not as the number 1; boxes and films are drawn without further packages."""
    data = HParamsPluginData.FromString(hparams({"on": True}, {})[1].value[0].metadata.plugin_data.content)
    assert data.session_start_info.hparams["on"].bool_value is True
    with Ours(str(tmp_path)) as writer:
        writer.add_image_with_boxes("boxes", rushlight.zeros(3, 20, 20), rushlight.tensor([[2.0, 4, 10, 12]]), 1, labels=["a"])
        writer.add_video("film", rushlight.rand(2, 5, 3, 4, 4), 1, fps=2)
        with pytest.raises(RuntimeError, match="add_graph draws a model"):
            writer.add_onnx_graph("x")
    (path,) = glob.glob(f"{tmp_path}/events*")
    boxes, film = (Event.FromString(record).summary.value for record in list(RawEventFileLoader(path).Load())[-2:])
    pixels = np.asarray(Image.open(io.BytesIO(boxes[0].image.encoded_image_string)))
    assert pixels[12, 6].tolist() == [255, 0, 0] and pixels[15, 15].tolist() == [0, 0, 0]
    animation = Image.open(io.BytesIO(film[0].image.encoded_image_string))
    assert animation.n_frames == 5 and animation.size == (8, 4)


def drawn_by(writer, library, folder):
    """(boxes, operator, shape of its result) of every operator that a residual network's graph shows, and its inputs and outputs."""
    nn = library.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5))

        def forward(self, x):
            return library.cat([self.body(x) + x, x], 1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks, self.pool, self.fc = nn.Sequential(Block()), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 3)
            self.register_buffer("scale", library.ones(3))

        def forward(self, image, shift):
            scores = self.fc(self.pool(self.blocks(image)).flatten(1)) * self.scale + shift
            return scores.log_softmax(1), scores.mT

    model = Net()
    with writer(str(folder)) as log:
        log.add_graph(model, (library.rand(2, 4, 6, 6), library.rand(3)))
    assert model.training and model.blocks[0].body[1].num_batches_tracked == 0
    (path,) = glob.glob(f"{folder}/events*")
    graphs = [Event.FromString(record).graph_def for record in RawEventFileLoader(path).Load()]
    (nodes,) = [GraphDef.FromString(g).node for g in graphs if g]
    shapes = {n.name: [[d.size for d in s.dim] for s in n.attr["_output_shapes"].list.shape] for n in nodes}
    return [
        (n.name.rpartition("/")[0], n.op.replace("aten::_convolution", "aten::conv2d"), shapes[n.name])
        for n in nodes if n.op.startswith("aten::")
    ], {n.name: shapes[n.name] for n in nodes if n.op == "IO Node" and n.name.startswith("input/")}  # fmt: skip


def test_a_graph_shows_pytorchs_boxes_and_operators(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = drawn_by(Theirs, oracle, tmp_path / "theirs")
    found = drawn_by(Ours, rushlight, tmp_path / "ours")
    assert found[1] == expected[1] and sorted(map(str, found[0])) == sorted(map(str, expected[0]))
