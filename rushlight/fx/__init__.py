"""``torch.fx``: names to annotate with and to ask isinstance of. Taking a graph of a program is refused."""

from .._absent import absent_room as _absent_room

_WHY = "programs run as they are written; no graph of them is taken"

globals().update(_absent_room(
    "torch.fx", _WHY,
    functions="symbolic_trace replace_pattern map_arg has_side_effect",
    classes="Graph GraphModule Interpreter Node Proxy Tracer Transformer",
))  # fmt: skip


def wrap(fn_or_name):
    """Returns its argument: nothing is traced, so nothing needs to be kept out of a trace."""
    return fn_or_name


from . import experimental, graph, graph_module, node, proxy  # noqa: E402, F401
