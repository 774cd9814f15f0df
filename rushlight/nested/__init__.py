"""``torch.nested``: refused."""

from .._absent import absent_room as _absent_room

_WHY = "batches of unequal lengths are later work; pad them by torch.nn.utils.rnn.pad_sequence and pass a mask"

globals().update(_absent_room(
    "torch.nested", _WHY,
    functions="as_nested_tensor nested_tensor nested_tensor_from_jagged to_padded_tensor narrow masked_select",
))  # fmt: skip
