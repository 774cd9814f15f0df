"""Memory formats of convolutions' weights."""

from ..modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module, memory_format, kinds):
    for layer in module.modules():
        if isinstance(layer, kinds):
            layer.weight.data = layer.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module, memory_format):
    """Lays the weights of all 2-D convolutions in ``module`` out in ``memory_format``; returns the module.

    >>> layer = nn.utils.convert_conv2d_weight_memory_format(nn.Conv2d(3, 8, 3), torch.channels_last)
    >>> layer.weight.is_contiguous(memory_format=torch.channels_last)
    True
    """
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module, memory_format):
    """Lays the weights of all 3-D convolutions in ``module`` out in ``memory_format``; returns the module.

    >>> layer = nn.utils.convert_conv3d_weight_memory_format(nn.Conv3d(3, 8, 2), torch.channels_last_3d)
    >>> layer.weight.stride()
    (24, 1, 12, 6, 3)
    """
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))
