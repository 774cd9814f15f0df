"""``torch.quantization``: refused."""

from ..ao.quantization import _named

globals().update(_named("torch.quantization"))
