"""SummaryWriter: PyTorch's calls, put into TensorBoard's files by the tensorboard package's own writer."""

import os
import socket
import time
from urllib.parse import quote

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
    """Writes scalars, histograms, images, sound, texts, hyperparameters, embeddings and graphs to ``log_dir`` for ``tensorboard --logdir``.

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

    def _add(self, summary, global_step=None, walltime=None):
        self._get_file_writer().add_summary(summary, global_step, walltime)

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False):
        """One number (or tensor with one element), as float32. new_style: for TensorBoard's newer reader, there float64 on demand."""
        self._add(values.scalar(tag, scalar_value, new_style, double_precision), global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        """Numbers by name, drawn as curves in one picture; each has a file in a folder of its own."""
        for tag, value in tag_scalar_dict.items():
            folder = os.path.join(self.log_dir, main_tag.replace("/", "_") + "_" + tag)
            self._writer_in(folder).add_summary(values.scalar(main_tag, value), global_step, walltime)

    def add_histogram(self, tag, values, global_step=None, bins="tensorflow", walltime=None, max_bins=None):
        """How the elements of ``values`` are spread. bins: numpy.histogram's, by default one for all data; max_bins: about the most."""
        self._add(_histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_histogram_raw(
        self, tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts, global_step=None, walltime=None
    ):
        """A histogram that was counted elsewhere: bucket_limits are the buckets' upper ends."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        found = values.histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts)
        self._add(found, global_step, walltime)

    def add_tensor(self, tag, tensor, global_step=None, walltime=None):
        """A tensor as it is, for programs that read the file."""
        self._add(values.tensor(tag, tensor), global_step, walltime)

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        """A picture: uint8 in 0 to 255 or floats in 0 to 1. dataformats: the order of its dimensions, CHW, HWC or HW."""
        self._add(values.image(tag, img_tensor, dataformats), global_step, walltime)

    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats="NCHW"):
        """Pictures of one size, eight beside each other."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_image_with_boxes(
        self, tag, img_tensor, box_tensor, global_step=None, walltime=None, rescale=1, dataformats="CHW", labels=None
    ):
        """A picture with the rectangles ``box_tensor`` (N, 4): left, top, right, bottom in pixels. labels: N texts, or one."""
        labels = [labels] if isinstance(labels, str) else labels
        self._add(values.image_with_boxes(tag, img_tensor, box_tensor, rescale, dataformats, labels), global_step, walltime)

    def add_video(self, tag, vid_tensor, global_step=None, fps=4, walltime=None):
        """Films (N, T, C, H, W), uint8 in 0 to 255 or floats in 0 to 1, as an animation of ``fps`` pictures a second."""
        self._add(values.video(tag, vid_tensor, fps), global_step, walltime)

    def add_audio(self, tag, snd_tensor, global_step=None, sample_rate=44100, walltime=None):
        """Sound in -1 to 1, one channel of ``sample_rate`` values a second."""
        self._add(values.audio(tag, snd_tensor, sample_rate), global_step, walltime)

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
        self._add(values.text(tag, text_string), global_step, walltime)

    def add_graph(self, model, input_to_model=None, verbose=False, use_strict_trace=True):
        """The operators that ``model(*input_to_model)`` runs in evaluation mode, in boxes of its modules.

        verbose: prints them; use_strict_trace is accepted.
        """
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

        summaries = hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        writer = self._writer_in(os.path.join(self.log_dir, run_name or str(time.time())))
        for summary in (*summaries, *(values.scalar(name, value) for name, value in metric_dict.items())):
            writer.add_summary(summary, global_step)

    def add_pr_curve(self, tag, labels, predictions, global_step=None, num_thresholds=127, weights=None, walltime=None):
        """Precision against recall, for labels 0 and 1 and predictions in 0 to 1. weights: of the samples."""
        from .summary import pr_curve

        self._add(pr_curve(tag, labels, predictions, num_thresholds, weights), global_step, walltime)

    def add_pr_curve_raw(
        self, tag, true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts, precision, recall,
        global_step=None, num_thresholds=127, weights=None, walltime=None,
    ):  # fmt: skip
        """A precision-recall curve from counts at each threshold that were made elsewhere; ``weights`` is accepted."""
        from .summary import pr_curve_raw

        counts = (true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts)
        self._add(pr_curve_raw(tag, *counts, precision, recall, num_thresholds), global_step, walltime)

    def add_mesh(self, tag, vertices, colors=None, faces=None, config_dict=None, global_step=None, walltime=None):
        """Meshes or clouds of points (N, points, 3); colors: (N, points, 3) in 0 to 255; faces: (N, faces, 3) numbers of points."""
        from .summary import mesh

        self._add(mesh(tag, vertices, colors, faces, config_dict), global_step, walltime)

    def add_custom_scalars(self, layout):
        """Which scalars share a chart: {category: {title: ["Multiline", [tags]]}}, or ["Margin", [value, low, high]]."""
        from .summary import custom_scalars

        self._add(custom_scalars(layout))

    def add_custom_scalars_multilinechart(self, tags, category="default", title="untitled"):
        """One chart of the scalars ``tags``."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(self, tags, category="default", title="untitled"):
        """One chart of a scalar between two others: ``tags`` names it, its lower and its upper bound."""
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_embedding(self, mat, metadata=None, label_img=None, global_step=None, tag="default", metadata_header=None):
        """Points (N, D) for the projector. metadata: N texts, or N rows of texts whose columns ``metadata_header`` names.

        label_img: (N, C, H, W), a picture for each.
        """
        from .projector import write

        write(self.log_dir, f"{str(global_step or 0).zfill(5)}/{quote(tag, safe='')}", tag, mat, metadata, label_img, metadata_header)

    def add_onnx_graph(self, prototxt):
        """Refused: ONNX files are not read here."""
        raise RuntimeError("add_onnx_graph is not available in rushlight: ONNX files are not read; add_graph draws a model itself")

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
