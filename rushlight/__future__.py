"""How modules change their parameters: two switches that a program may set.

By default a conversion (``to``, ``float``, ``cuda`` ...) gives a parameter new data, and ``load_state_dict`` copies into it.
"""

_overwrite = False
_swap = False


def set_overwrite_module_params_on_conversion(value):
    """True: a conversion puts new parameters in the place of the old ones.

    >>> layer = nn.Linear(2, 3)
    >>> weight = layer.weight
    >>> torch.__future__.set_overwrite_module_params_on_conversion(True)
    >>> layer.double().weight is weight
    False
    >>> torch.__future__.set_overwrite_module_params_on_conversion(False)
    """
    global _overwrite
    _overwrite = value


def get_overwrite_module_params_on_conversion():
    """Whether a conversion puts new parameters in the place of the old ones.

    >>> torch.__future__.get_overwrite_module_params_on_conversion()
    False
    """
    return _overwrite


def set_swap_module_params_on_conversion(value):
    """True: a parameter changes places with the converted one (:func:`torch.utils.swap_tensors`), and ``load_state_dict`` swaps it with
    what :meth:`Tensor.module_load` makes of the given tensor. So its class may change as well. Goes before the other switch.

    >>> layer = nn.Linear(2, 3)
    >>> weight = layer.weight
    >>> torch.__future__.set_swap_module_params_on_conversion(True)
    >>> layer.double().weight is weight, weight.dtype
    (True, torch.float64)
    >>> torch.__future__.set_swap_module_params_on_conversion(False)
    """
    global _swap
    _swap = value


def get_swap_module_params_on_conversion():
    """Whether a parameter changes places with the converted one.

    >>> torch.__future__.get_swap_module_params_on_conversion()
    False
    """
    return _swap
