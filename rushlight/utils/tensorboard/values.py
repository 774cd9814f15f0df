"""What TensorBoard's files hold for each kind of value, as the package's protocol buffers."""

import io
import json

import numpy
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING

import rushlight as torch

BUCKETS = 64


def array(value):
    """A tensor, number, list or array as a NumPy array."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else numpy.asarray(value)


def scalar(tag, value):
    """One number. NotImplementedError for what is none, AssertionError for an array of several."""
    if not isinstance(value, torch.Tensor | numpy.ndarray | numpy.generic | int | float):
        raise NotImplementedError(
            f"Got {type(value)}, but numpy array or torch tensor are expected.\n  A scalar is a number or a tensor with one element."
        )
    value = array(value)
    if value.size != 1:
        raise AssertionError(f"scalar should be 0D\n  It has shape {value.shape}: use add_scalars or add_histogram.")
    return Summary(value=[Summary.Value(tag=tag, simple_value=float(value.reshape(())))])


def histogram(tag, values, bins):
    """How the values are spread over ``bins`` (numpy.histogram's; 'tensorflow' stands for 64 of equal width)."""
    values = array(values).astype(float).ravel()
    if not values.size:
        raise ValueError("The input has no element.")
    counts, edges = numpy.histogram(values, BUCKETS if bins == "tensorflow" else bins)
    found = HistogramProto(
        min=values.min(), max=values.max(), num=len(values), sum=values.sum(), sum_squares=values.dot(values), bucket=counts,
        bucket_limit=edges[1:],
    )  # fmt: skip
    return Summary(value=[Summary.Value(tag=tag, histo=found)])


def image(tag, pixels, layout):
    """A picture, or several side by side, as PNG: uint8 in 0 to 255 or floats in 0 to 1; ``layout`` names the dimensions, as CHW."""
    from PIL import Image

    pixels, layout = array(pixels), layout.upper()
    if pixels.ndim != len(layout):
        raise ValueError(f"dataformats {layout!r} names {len(layout)} dimensions, the image has shape {pixels.shape}")
    for missing in set("NHWC") - set(layout):
        pixels, layout = pixels[None], missing + layout
    pixels = pixels.transpose([layout.index(dim) for dim in "HNWC"])
    height, count, width, channels = pixels.shape
    pixels = pixels.reshape(height, count * width, channels)
    if pixels.dtype != numpy.uint8:
        pixels = (pixels * 255).clip(0, 255).astype(numpy.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(buffer, format="PNG")
    found = Summary.Image(height=height, width=count * width, colorspace=channels, encoded_image_string=buffer.getvalue())
    return Summary(value=[Summary.Value(tag=tag, image=found)])


def text(tag, words):
    """A text, shown as Markdown."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    value = TensorProto(dtype=DT_STRING, string_val=[words.encode()], tensor_shape=shape)
    return Summary(value=[Summary.Value(tag=tag + "/text_summary", metadata=metadata, tensor=value)])


def plain(value):
    """A hyperparameter as TensorBoard takes it: numbers, booleans and strings as they are, anything else as text."""
    if isinstance(value, torch.Tensor):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else json.dumps(value, default=str)
