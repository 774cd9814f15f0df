"""``torch.nn.quantized``: refused. Its names are here for programs that import them, or ask isinstance of its classes."""

from .._absent import absent_room as _absent_room

globals().update(_absent_room("torch.nn.quantized", "quantised tensors are later work; use bfloat16 for half-width weights", classes="""
    BatchNorm2d BatchNorm3d Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d DeQuantize Dropout ELU Embedding
    EmbeddingBag FXFloatFunctional FloatFunctional GroupNorm Hardswish InstanceNorm1d InstanceNorm2d InstanceNorm3d LSTM LayerNorm
    LeakyReLU Linear MaxPool2d MultiheadAttention PReLU QFunctional Quantize ReLU6 Sigmoid Softmax"""))  # fmt: skip
