"""SummaryWriter: PyTorch's calls, put into TensorBoard's files by the tensorboard package's own writer."""

import os
import socket
import time

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from . import values


class FileWriter:
    """One event file in the folder ``log_dir``; ``max_queue`` events are held back for at most ``flush_secs`` seconds."""

    def __init__(self, log_dir, max_queue=10, flush_secs=120, filename_suffix=""):
        self.event_writer = EventFileWriter(str(log_dir), max_queue, flush_secs, filename_suffix)

    def get_logdir(self):
        """The folder."""
        return self.event_writer.get_logdir()

    def add_event(self, event, step=None, walltime=None):
        """Writes an Event at ``step``, at the time ``walltime`` (seconds; default now)."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(self, summary, global_step=None, walltime=None):
        """Writes a Summary."""
        self.add_event(Event(summary=summary), global_step, walltime)

    def flush(self):
        """Writes what is held back."""
        self.event_writer.flush()

    def close(self):
        """Writes what is held back and closes the file."""
        self.event_writer.close()


class SummaryWriter:
    """Writes scalars, histograms, images, texts, hyperparameters and graphs to ``log_dir`` for ``tensorboard --logdir``.

    log_dir: default runs/DATE_TIME_HOST followed by ``comment``. purge_step: hides what an earlier run wrote from this step on.
    max_queue, flush_secs, filename_suffix: of the file, see :class:`FileWriter`.

        with SummaryWriter("runs/first") as writer:
            writer.add_scalar("loss/train", loss, step)
    """

    def __init__(self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix=""):
        if not log_dir:
            log_dir = os.path.join("runs", time.strftime("%b%d_%H-%M-%S_") + socket.gethostname() + comment)
        self.log_dir, self.purge_step = str(log_dir), purge_step
        self._options = (max_queue, flush_secs, filename_suffix)
        self.file_writer = self.all_writers = None
        self._get_file_writer()

    def _get_file_writer(self):
        """The main file's writer, opened again after ``close``."""
        if self.file_writer is None:
            self.file_writer = FileWriter(self.log_dir, *self._options)
            self.all_writers = {self.log_dir: self.file_writer}
            if self.purge_step is not None:
                self.file_writer.add_event(Event(session_log=SessionLog(status=SessionLog.START)), self.purge_step)
                self.purge_step = None
        return self.file_writer

    def _writer_in(self, folder):
        self._get_file_writer()
        if folder not in self.all_writers:
            self.all_writers[folder] = FileWriter(folder, *self._options)
        return self.all_writers[folder]

    def get_logdir(self):
        """The folder of the files."""
        return self.log_dir

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False):
        """One number (or tensor with one element). new_style and double_precision are accepted; the file holds a float32."""
        self._get_file_writer().add_summary(values.scalar(tag, scalar_value), global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        """Numbers by name, drawn as curves in one picture; each has a file in a folder of its own."""
        for tag, value in tag_scalar_dict.items():
            folder = os.path.join(self.log_dir, f"{main_tag}_{tag}".replace("/", "_"))
            self._writer_in(folder).add_summary(values.scalar(main_tag, value), global_step, walltime)

    def add_histogram(self, tag, values, global_step=None, bins="tensorflow", walltime=None, max_bins=None):
        """How the elements of ``values`` are spread. bins: as for numpy.histogram, default 64; max_bins: fewer than that."""
        bins = max_bins if max_bins and bins == "tensorflow" else bins
        self._get_file_writer().add_summary(_histogram(tag, values, bins), global_step, walltime)

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        """A picture: uint8 in 0 to 255 or floats in 0 to 1. dataformats: the order of its dimensions, CHW, HWC or HW."""
        self._get_file_writer().add_summary(values.image(tag, img_tensor, dataformats), global_step, walltime)

    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats="NCHW"):
        """Pictures of one size, side by side."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_figure(self, tag, figure, global_step=None, close=True, walltime=None):
        """A matplotlib figure or a list of them; closed afterwards unless ``close=False``."""
        from matplotlib import pyplot

        figures = figure if isinstance(figure, list) else [figure]
        pictures = []
        for one in figures:
            one.canvas.draw()
            pictures.append(values.array(one.canvas.buffer_rgba()))
            if close:
                pyplot.close(one)
        self.add_image(tag, values.array(pictures), global_step, walltime, "NHWC")

    def add_text(self, tag, text_string, global_step=None, walltime=None):
        """A text in Markdown."""
        self._get_file_writer().add_summary(values.text(tag, text_string), global_step, walltime)

    def add_graph(self, model, input_to_model=None, verbose=False, use_strict_trace=True):
        """The operations of ``model(*input_to_model)``, from its tape. verbose: prints them; use_strict_trace is accepted."""
        from .graph import graph

        drawn = graph(model, () if input_to_model is None else input_to_model)
        if verbose:
            print(drawn)
        self._get_file_writer().add_event(Event(graph_def=drawn.SerializeToString()))

    def add_hparams(self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None, global_step=None):
        """Hyperparameters (numbers, booleans, strings) of a run and the numbers it reached.

        hparam_domain_discrete: the possible values of some, by name. run_name: the folder, default the time.
        """
        from .summary import hparams

        writer = self._writer_in(os.path.join(self.log_dir, run_name or str(time.time())))
        for summary in hparams(hparam_dict, metric_dict, hparam_domain_discrete):
            writer.add_summary(summary)
        for name, value in metric_dict.items():
            writer.add_summary(values.scalar(name, value), global_step)

    def flush(self):
        """Writes what is held back, to all files."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self):
        """Closes all files; a later ``add_...`` opens a new one."""
        for writer in (self.all_writers or {}).values():
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


_histogram = values.histogram  # the argument `values` of add_histogram hides the module
