"""Summaries of runs, for programs that write them to a file of their own."""

from . import values


def hparams(hparam_dict=None, metric_dict=None, hparam_domain_discrete=None):
    """(experiment, start, end): the summaries that tell the hyperparameters of a run and the names of the numbers it reaches.

    hparam_domain_discrete: the possible values of some, by name.
    """
    from tensorboard.plugins.hparams import api_pb2, summary, summary_v2

    numbers, domains = hparam_dict or {}, hparam_domain_discrete or {}
    params = [summary_v2.HParam(name, summary_v2.Discrete(domains[name]) if name in domains else None) for name in numbers]
    experiment = summary_v2.hparams_config_pb(params, [summary_v2.Metric(name) for name in metric_dict or {}])
    start = summary_v2.hparams_pb({name: values.plain(value) for name, value in numbers.items()})
    return experiment, start, summary.session_end_pb(api_pb2.STATUS_SUCCESS)
