"""What TensorBoard's files hold for each kind of value, as the package's protocol buffers."""

import functools
import io
import math
import wave

import numpy
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_STRING
from tensorboard.util.tensor_util import make_tensor_proto

import rushlight as torch


def array(value):
    """A tensor, number, list or array as a NumPy array."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else numpy.asarray(value)


def _plugin(name):
    return SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=name))


def scalar(tag, value, new_style=False, double_precision=False):
    """One number. NotImplementedError for what is none, AssertionError for an array of several.

    new_style: as a tensor of TensorBoard's scalar plugin, with double_precision a float64.
    """
    if not isinstance(value, torch.Tensor | numpy.ndarray | numpy.generic | int | float):
        raise NotImplementedError(
            f"Got {type(value)}, but numpy array or torch tensor are expected.\n  A scalar is a number or a tensor with one element."
        )
    value = array(value)
    if value.size != 1:
        raise AssertionError(
            f"Tensor should contain one element (0 dimensions). Was given size: {value.size} and {value.ndim} dimensions.\n"
            "  Use add_scalars or add_histogram for several numbers."
        )
    number = float(value.reshape(()))
    if not new_style:
        return Summary(value=[Summary.Value(tag=tag, simple_value=number)])
    kind = {"dtype": DT_DOUBLE, "double_val": [number]} if double_precision else {"dtype": DT_FLOAT, "float_val": [number]}
    return Summary(value=[Summary.Value(tag=tag, metadata=_plugin("scalars"), tensor=TensorProto(**kind))])


def tensor(tag, values):
    """A tensor as it is."""
    return Summary(value=[Summary.Value(tag=tag, metadata=_plugin("tensor"), tensor=make_tensor_proto(array(values)))])


def float_proto(values):
    """An array as a tensor of float32."""
    return make_tensor_proto(values.astype(numpy.float32), dtype=DT_FLOAT)


def text_proto(words, *shape):
    """Bytes as a tensor of one string."""
    dims = [TensorShapeProto.Dim(size=n) for n in shape]
    return TensorProto(dtype=DT_STRING, string_val=[words], tensor_shape=TensorShapeProto(dim=dims))


@functools.cache
def _tensorflow_edges():
    """TensorFlow's buckets: ten per cent wider from one to the next, on both sides of 0, the same for all data."""
    edges, edge = [], 1e-12
    while edge < 1e20:
        edges.append(edge)
        edge *= 1.1
    return numpy.array([-edge for edge in reversed(edges)] + [0] + edges)


def histogram(tag, values, bins, max_bins=None):
    """How the values are spread over ``bins`` (numpy.histogram's, or 'tensorflow'), neighbours joined down to about ``max_bins``."""
    values = array(values).astype(float).ravel()
    if not values.size:
        raise ValueError("The input has no element.")
    counts, edges = numpy.histogram(values, _tensorflow_edges() if bins == "tensorflow" else bins)
    if max_bins is not None and len(counts) > max_bins:
        joined = len(counts) // max_bins
        edges = numpy.append(edges[:-1:joined], edges[-1])
        counts = numpy.pad(counts, (0, -len(counts) % joined)).reshape(-1, joined).sum(1)
    full = numpy.flatnonzero(counts)
    if not full.size:
        raise ValueError("The histogram is empty, please file a bug report.\n  No value lies in a bucket: are they finite?")
    first, last = full[0], full[-1]
    # An empty bucket in front tells where the first one begins.
    return histogram_raw(
        tag, values.min(), values.max(), len(values), values.sum(), values.dot(values), edges[first : last + 2],
        [0, *counts[first : last + 1]],
    )  # fmt: skip


def histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts):
    """A histogram that was counted elsewhere."""
    found = HistogramProto(
        min=min, max=max, num=num, sum=sum, sum_squares=sum_squares, bucket_limit=bucket_limits, bucket=bucket_counts
    )  # fmt: skip
    return Summary(value=[Summary.Value(tag=tag, histo=found)])


def _bytes(pixels):
    """uint8 in 0 to 255 from uint8 or from floats in 0 to 1."""
    return pixels if pixels.dtype == numpy.uint8 else (pixels * 255).clip(0, 255).astype(numpy.uint8)


def grid(pixels):
    """(N, H, W, C) as one picture of at most eight beside each other, as wide as it needs to be."""
    count, height, width, channels = pixels.shape
    columns = min(count, 8)
    rows = -(-count // columns)
    sheet = numpy.zeros((rows, columns, height, width, channels), pixels.dtype)
    sheet.reshape(rows * columns, height, width, channels)[:count] = pixels
    return sheet.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def picture(pixels, layout):
    """The array (H, W, C) of bytes of an image, or of several in a grid; ``layout`` names the dimensions, as CHW."""
    pixels, layout = array(pixels), layout.upper()
    if pixels.ndim != len(layout) or len(set(layout)) != len(layout) or set(layout) - set("NHWC"):
        raise AssertionError(
            f"size of input tensor and input format are different. tensor shape: {pixels.shape}, input_format: {layout}\n"
            "  dataformats names each dimension of the image once: N of the pictures, H and W of the pixels, C of the colours."
        )
    for missing in sorted(set("NHWC") - set(layout)):
        pixels, layout = pixels[None], missing + layout
    pixels = grid(_bytes(pixels.transpose([layout.index(dim) for dim in "NHWC"])))
    return numpy.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels


def _drawn(tag, drawing, size, channels, format="PNG", **how):
    """The summary of a PIL image."""
    buffer = io.BytesIO()
    drawing.save(buffer, format=format, **how)
    found = Summary.Image(height=size[0], width=size[1], colorspace=channels, encoded_image_string=buffer.getvalue())
    return Summary(value=[Summary.Value(tag=tag, image=found)])


def image(tag, pixels, layout):
    """A picture, or several in a grid, as PNG: uint8 in 0 to 255 or floats in 0 to 1; ``layout`` names the dimensions, as CHW."""
    from PIL import Image

    pixels = picture(pixels, layout)
    return _drawn(tag, Image.fromarray(pixels), pixels.shape[:2], pixels.shape[2])


def image_with_boxes(tag, pixels, boxes, rescale, layout, labels):
    """A picture with rectangles (left, top, right, bottom) in red, ``labels`` above them."""
    from PIL import Image, ImageDraw

    boxes = array(boxes)
    if labels is not None and len(labels) != len(boxes):
        raise AssertionError(f"labels should be of same length as boxes: {len(labels)} and {len(boxes)}")
    drawing = Image.fromarray(picture(pixels, layout))
    pen = ImageDraw.Draw(drawing)
    for i, (left, top, right, bottom) in enumerate(boxes.tolist()):
        pen.line([(left, top), (left, bottom), (right, bottom), (right, top), (left, top)], "red", 2)
        if labels is not None:
            pen.text((left + 2, max(top - 12, 0)), str(labels[i]), "red")
    drawing = drawing.resize([int(n * rescale) for n in drawing.size])
    return _drawn(tag, drawing, drawing.size[::-1], 3)


def video(tag, frames, fps):
    """(N, T, C, H, W) as an animated GIF, N beside each other."""
    from PIL import Image

    frames = array(frames)
    drawings = [Image.fromarray(picture(frames[:, t], "NCHW")) for t in range(frames.shape[1])]
    size = drawings[0].size[::-1]
    return _drawn(tag, drawings[0], size, 3, "GIF", save_all=True, append_images=drawings[1:], duration=int(1000 / fps), loop=0)


def audio(tag, sound, sample_rate):
    """Sound in -1 to 1, (1, samples) or (samples,), as WAV of 16 bits; what is louder is clipped."""
    sound = array(sound).squeeze().clip(-1, 1)
    if sound.ndim != 1:
        raise AssertionError(f"input tensor should be 1 dimensional.\n  Its shape is {sound.shape}: one channel is written.")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    found = Summary.Audio(
        sample_rate=sample_rate, num_channels=1, length_frames=len(sound), encoded_audio_string=buffer.getvalue(), content_type="audio/wav"
    )  # fmt: skip
    return Summary(value=[Summary.Value(tag=tag, audio=found)])


def sprite(pictures):
    """(N, C, H, W) as one square sheet of pictures, which the projector cuts apart."""
    from PIL import Image

    pixels = _bytes(array(pictures)).transpose(0, 2, 3, 1)
    side = math.ceil(math.sqrt(len(pixels)))
    sheet = numpy.zeros((side * side, *pixels.shape[1:]), numpy.uint8)
    sheet[: len(pixels)] = pixels
    height, width, channels = pixels.shape[1:]
    sheet = sheet.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4).reshape(side * height, side * width, channels)
    return Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)


def text(tag, words):
    """A text, shown as Markdown."""
    return Summary(value=[Summary.Value(tag=tag + "/text_summary", metadata=_plugin("text"), tensor=text_proto(words.encode(), 1))])
