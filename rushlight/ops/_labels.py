"""PyTorch's names for the nodes that gradients leave when they are recorded themselves, and its order of the operands that nodes save."""

# Where PyTorch has an operator of its own for the gradient. The others' gradients are products, or quotients.
_OWN = {
    "elu": "EluBackward", "celu": "EluBackward", "selu": "EluBackward", "relu": "ThresholdBackward", "relu6": "HardtanhBackward",
    "softmax": "SoftmaxBackwardData", "log_softmax": "LogSoftmaxBackwardData", "cross_entropy": "LogSoftmaxBackwardData",
    "logsigmoid": "LogSigmoidBackward", "layer_norm": "NativeLayerNormBackward", "batch_norm_training": "NativeBatchNormBackward",
    "mse": "MseLossBackward", "smooth_l1": "SmoothL1LossBackward", "huber": "HuberLossBackward", "gelu": "GeluBackward",
    "hardshrink": "HardshrinkBackward", "hardswish": "HardswishBackward", "hardsigmoid": "HardsigmoidBackward", "tanh": "TanhBackward",
    "hardtanh": "HardtanhBackward", "leaky_relu": "LeakyReluBackward", "sigmoid": "SigmoidBackward", "softplus": "SoftplusBackward",
    "softshrink": "SoftshrinkBackward",
}  # fmt: skip


def gradient_label(program, result):
    """The label of a program that computes the gradient of another; ``result``: its expression."""
    return (_OWN.get(program.name.lstrip("_")) or {"div": "Div"}.get(result.op, "Mul")) + "Backward0"


def saving_order(operands, names):
    """The places of a gradient's operands in the order in which PyTorch saves them: by their names, among which ``input`` is ``self``."""
    if not names:
        return range(len(operands))
    called = {i: "self" if name == "input" else name for i, name in enumerate(names)}
    return sorted(range(len(operands)), key=lambda k: called.get(operands[k][1], ""))
