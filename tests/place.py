"""Where rushlight's tensors are in this run of the tests: on the CPU or, with ``--device cuda``, on a GPU."""

import rushlight as rl


def on_gpu():
    """Are they on a GPU?"""
    return rl.get_default_device().type == "cuda"


def here():
    """Their device, as messages write it."""
    return "cuda:0" if on_gpu() else "cpu"


def settle():
    """Waits for the GPU, which tells only then what it found wrong in data."""
    if on_gpu():
        for index in range(rl.cuda.device_count()):
            rl.cuda.synchronize(index)


def worded(text):
    """A text of rushlight as on the CPU, where PyTorch's tensors are: on a GPU its types name it."""
    return text.replace("torch.cuda.", "torch.")
