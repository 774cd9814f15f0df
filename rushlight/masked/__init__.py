"""``torch.masked``: refused."""

from .._absent import absent_room as _absent_room

_WHY = "use torch.where, masked_fill and a sum of the mask"

globals().update(_absent_room(
    "torch.masked", _WHY,
    functions="""amax
    amin argmax argmin as_masked_tensor cumprod cumsum log_softmax logaddexp logsumexp masked_tensor mean median norm normalize
    prod softmax softmin std sum var""",
    classes="MaskedTensor",
))  # fmt: skip


def is_masked_tensor(obj):
    """False: there are none."""
    return False
