"""Summaries of TensorBoard's plugins: hyperparameters, precision-recall curves, meshes, layouts of charts."""

import json

import numpy
from google.protobuf.struct_pb2 import ListValue
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as charts_metadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.mesh import metadata as mesh_metadata
from tensorboard.plugins.mesh import plugin_data_pb2 as mesh_data
from tensorboard.plugins.pr_curve import metadata as pr_metadata

from . import values

_LEAST_COUNT = 1e-7  # keeps precision and recall of empty classes at 0
_MOST_THRESHOLDS = 127  # what TensorBoard draws
_KINDS = {bool: "DATA_TYPE_BOOL", str: "DATA_TYPE_STRING", float: "DATA_TYPE_FLOAT64"}


def hparams(hparam_dict=None, metric_dict=None, hparam_domain_discrete=None):
    """(experiment, start, end): the summaries that tell the hyperparameters of a run and the names of the numbers it reaches.

    hparam_domain_discrete: the possible values of some, by name. TypeError for what is no dictionary and for a possible value of
    another type, ValueError for a hyperparameter that is no number, boolean, string or tensor.
    """
    if not isinstance(hparam_dict, dict) or not isinstance(metric_dict, dict):
        raise TypeError(
            "hparam_dict and metric_dict should be dictionary.\n"
            f"  They are a {type(hparam_dict).__name__} and a {type(metric_dict).__name__}; give {{name: value}} for both."
        )
    domains = hparam_domain_discrete or {}
    if not isinstance(domains, dict):
        raise TypeError("hparam_domain_discrete should be a dictionary")
    for name, domain in domains.items():
        if name not in hparam_dict or not isinstance(domain, list) or not all(isinstance(d, type(hparam_dict[name])) for d in domain):
            raise TypeError(f"parameter: hparam_domain_discrete[{name}] should be a list of same type as hparam_dict[{name}].")
    start, infos = plugin_data_pb2.SessionStartInfo(), []
    for name, value in hparam_dict.items():
        value = _plain(name, value)
        if value is None:
            continue
        _set(start.hparams[name], value)
        info = api_pb2.HParamInfo(name=name, type=_KINDS[type(value)])
        if name in domains:
            info.domain_discrete.CopyFrom(ListValue())
            for one in domains[name]:
                _set(info.domain_discrete.values.add(), _plain(name, one))
        infos.append(info)
    metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=name)) for name in metric_dict]
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=metrics)
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS)
    return tuple(
        _of_plugin(tag, hparams_metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content)))
        for tag, content in (
            (hparams_metadata.EXPERIMENT_TAG, {"experiment": experiment}),
            (hparams_metadata.SESSION_START_INFO_TAG, {"session_start_info": start}),
            (hparams_metadata.SESSION_END_INFO_TAG, {"session_end_info": end}),
        )
    )


def _plain(name, value):
    """A hyperparameter as a bool, str or float."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) or hasattr(value, "item"):
        return float(value)
    raise ValueError(
        f"value should be one of int, float, str, bool, or torch.Tensor\n  The hyperparameter {name!r} is a {type(value).__name__}."
    )


def _set(slot, value):
    setattr(slot, {bool: "bool_value", str: "string_value", float: "number_value"}[type(value)], value)


def _of_plugin(tag, metadata, **value):
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, **value)])


def pr_curve(tag, labels, predictions, num_thresholds=_MOST_THRESHOLDS, weights=None):
    """Precision and recall of predictions in 0 to 1 for labels 0 and 1, at ``num_thresholds`` thresholds of equal distance."""
    labels, predictions = (values.array(x).astype(float).ravel() for x in (labels, predictions))
    weights = 1.0 if weights is None else values.array(weights).ravel()
    n = min(num_thresholds, _MOST_THRESHOLDS)
    bucket = numpy.floor(predictions * (n - 1))
    true, false = (numpy.histogram(bucket, n, (0, n - 1), weights=w * weights)[0] for w in (labels, 1 - labels))
    tp, fp = (counts[::-1].cumsum()[::-1] for counts in (true, false))  # predicted positive: at or above the threshold
    tn, fn = fp[0] - fp, tp[0] - tp
    precision, recall = tp / numpy.maximum(tp + fp, _LEAST_COUNT), tp / numpy.maximum(tp + fn, _LEAST_COUNT)
    return pr_curve_raw(tag, tp, fp, tn, fn, precision, recall, n)


def pr_curve_raw(tag, tp, fp, tn, fn, precision, recall, num_thresholds=_MOST_THRESHOLDS):
    """A precision-recall curve from the counts at each threshold."""
    rows = numpy.stack([values.array(row) for row in (tp, fp, tn, fn, precision, recall)])
    metadata = pr_metadata.create_summary_metadata("", "", min(num_thresholds, _MOST_THRESHOLDS))
    return _of_plugin(tag, metadata, tensor=values.float_proto(rows))


def mesh(tag, vertices, colors, faces, config_dict):
    """Meshes or clouds of points: (N, points, 3) places, colours (0 to 255) and (N, faces, 3) corners by number."""
    kinds = mesh_data.MeshPluginData
    parts = ((vertices, kinds.VERTEX), (faces, kinds.FACE), (colors, kinds.COLOR))
    parts = [(values.array(part), kind) for part, kind in parts if part is not None]
    bits = mesh_metadata.get_components_bitmask([kind for _, kind in parts])
    config = json.dumps(config_dict or {}, sort_keys=True)
    found = Summary()
    for part, kind in parts:
        metadata = mesh_metadata.create_summary_metadata(tag, "", kind, bits, part.shape, None, json_config=config)
        name = mesh_metadata.get_instance_name(tag, kind)
        found.value.append(Summary.Value(tag=name, metadata=metadata, tensor=values.float_proto(part)))
    return found


def custom_scalars(layout):
    """Which scalars are drawn in one chart: {category: {title: ["Multiline", [tags]]}}, or ["Margin", [value, low, high]]."""
    drawn = layout_pb2.Layout()
    for category, charts in layout.items():
        into = drawn.category.add(title=category)
        for title, (kind, tags) in charts.items():
            if kind == "Margin":
                if len(tags) != 3:
                    raise AssertionError(f"a Margin chart has 3 tags, its value, its lower and its upper bound; got {len(tags)}: {tags}")
                series = layout_pb2.MarginChartContent.Series(value=tags[0], lower=tags[1], upper=tags[2])
                into.chart.add(title=title, margin=layout_pb2.MarginChartContent(series=[series]))
            else:
                into.chart.add(title=title, multiline=layout_pb2.MultilineChartContent(tag=list(tags)))
    tensor = values.text_proto(drawn.SerializeToString())
    return _of_plugin("custom_scalars__config__", charts_metadata.create_summary_metadata(), tensor=tensor)
