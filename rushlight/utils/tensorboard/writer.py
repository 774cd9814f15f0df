"""The writer: one event file per run, scalars, histograms, texts and images."""

import os
import socket
import time

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def _array(x):
    return np.asarray(x.detach().cpu().numpy() if hasattr(x, "detach") else x)


class SummaryWriter:
    """Writes what training shows into ``log_dir`` (by default ``runs/<time>_<host>`` and ``comment``).

    flush_secs, max_queue, filename_suffix: as for the event file writer.
    """

    def __init__(self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix=""):
        stamp = time.strftime("%b%d_%H-%M-%S")
        self.log_dir = str(log_dir or os.path.join("runs", f"{stamp}_{socket.gethostname()}{comment}"))
        self._writer = EventFileWriter(self.log_dir, max_queue, flush_secs, filename_suffix)

    def get_logdir(self):
        """The folder."""
        return self.log_dir

    def _write(self, value, step, walltime):
        event = Event(wall_time=time.time() if walltime is None else walltime, summary=Summary(value=[value]))
        if step is not None:
            event.step = int(step)
        self._writer.add_event(event)

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False):
        """One number."""
        self._write(Summary.Value(tag=tag, simple_value=float(_array(scalar_value))), global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        """Several numbers, under ``main_tag/name``."""
        for name, value in tag_scalar_dict.items():
            self.add_scalar(f"{main_tag}/{name}", value, global_step, walltime)

    def add_histogram(self, tag, values, global_step=None, bins="auto", walltime=None, max_bins=None):
        """How values are distributed. bins: a number of bins or NumPy's name of a rule."""
        data = _array(values).astype(np.float64).ravel()
        counts, edges = np.histogram(data, bins=64 if bins in ("tensorflow", "fd") else bins)
        proto = HistogramProto(
            min=data.min(), max=data.max(), num=data.size, sum=data.sum(), sum_squares=np.square(data).sum(),
            bucket_limit=edges[1:].tolist(), bucket=counts.tolist(),
        )  # fmt: skip
        self._write(Summary.Value(tag=tag, histo=proto), global_step, walltime)

    def add_text(self, tag, text_string, global_step=None, walltime=None):
        """A text."""
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[text_string.encode()], tensor_shape=shape)
        self._write(Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor), global_step, walltime)

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        """A picture: floats from 0 to 1 or bytes. dataformats: the order of the dims, such as CHW, HWC or HW."""
        import io

        from PIL import Image

        pixels = _array(img_tensor)
        pixels = pixels[None] if "C" not in dataformats else pixels
        pixels = np.transpose(pixels, self._hwc(dataformats))
        if pixels.dtype != np.uint8:
            pixels = (pixels * 255).clip(0, 255).astype(np.uint8)
        pixels = pixels.repeat(3, -1) if pixels.shape[-1] == 1 else pixels
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG")
        height, width = pixels.shape[:2]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=file.getvalue())
        self._write(Summary.Value(tag=tag, image=image), global_step, walltime)

    @staticmethod
    def _hwc(dataformats):
        """The permutation that puts the dims into the order H, W, C."""
        order = dataformats if "C" in dataformats else "C" + dataformats
        return [order.index(d) for d in "HWC"]

    def flush(self):
        """Writes what is waiting."""
        self._writer.flush()

    def close(self):
        """Writes what is waiting, and closes the file."""
        self._writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
