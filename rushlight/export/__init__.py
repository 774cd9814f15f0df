"""``torch.export``: refused."""

from .._absent import absent_room as _absent_room

_WHY = "programs run as they are written; keep weights by torch.save(model.state_dict(), path)"

globals().update(_absent_room(
    "torch.export", _WHY,
    functions="draft_export export load save unflatten register_dataclass dims",
    classes="Dim ExportedProgram ExportGraphSignature ModuleCallEntry ModuleCallSignature UnflattenedModule ShapesCollection",
))  # fmt: skip
