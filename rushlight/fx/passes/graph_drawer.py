"""Drawings of graphs: not available, ``print(graph)`` and ``Graph.print_tabular`` are."""

from ..._absent import absent_room as _absent_room

_WHY = "graphs are not drawn; print(gm.graph) and gm.graph.print_tabular() show them"
globals().update(_absent_room("torch.fx.passes.graph_drawer", _WHY, classes="FxGraphDrawer"))
