"""The networks of examples/models, as training step and as inference: time, share of the arithmetic limit, and peak memory."""

import functools
import importlib
import pathlib
import sys

from rushlight.bench import row

FOLDER = str(pathlib.Path(__file__).parents[2] / "examples" / "models")


def _task(file, function="task"):
    """The task of a file, whose ``import torch`` gives the library of this process."""
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    return getattr(importlib.import_module(file), function)()


def _flops(task, training):
    """Two for each multiply-add that ``summary`` counts; a backward pass takes as many as two forward ones."""

    def count(torch, *call):
        return 2 * torch.summary(*call).multiply_adds

    def flops(torch):
        made = task()
        forward = count(torch, made.net, *made.inputs)
        if not training:
            return forward
        if hasattr(made, "discriminator"):  # it sees the real images, the made ones, and these again for the generator
            return 3 * forward + 9 * count(torch, made.discriminator, made.target)
        return 3 * forward

    return flops


def model(name, target, inference_target, file, function="task"):
    """Adds the two rows of a network."""
    task = functools.partial(_task, file, function)

    @row(f"{name}, training step", target, flops=_flops(task, True), alone=True)
    def training(torch):
        return task().step

    @row(f"{name}, inference", inference_target, flops=_flops(task, False), alone=True)
    def inference(torch):
        made = task()
        made.net.eval()
        return made.predict


model("MNIST CNN, batch 64", 1.6, 1.3, "mnist_cnn")
model("ResNet-20 on 32x32, batch 32", 1.4, 1.3, "resnet_cifar")
model("GPT 4 layers width 192, 8 x 128", 1.6, 1.3, "gpt")
model("LSTM 64->128, 50 steps, batch 16", 1.2, 1.3, "lstm")
model("ResNet-18 at 224, batch 8", 1.3, 1.3, "resnet18")
model("MobileNetV3-small at 224, batch 8", 1.3, 1.3, "mobilenet_v3_small")
model("U-Net at 128, batch 4", 1.3, 1.3, "unet")
model("BERT-base blocks (2), 4 x 256", 1.3, 1.3, "bert")
model("GPT-2-small blocks (2), 4 x 256", 1.3, 1.3, "gpt", "gpt2")
model("VAE, batch 128", 1.3, 1.3, "vae")
model("DCGAN at 64, batch 16", 1.3, 1.3, "dcgan")
model("char-LSTM, 2 layers of 256, 32 x 64", 1.3, 1.3, "char_lstm")
