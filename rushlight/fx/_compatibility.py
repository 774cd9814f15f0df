"""Marks of what is promised to stay as it is: accepted, and nothing is done about them."""


def compatibility(is_backward_compatible):
    """A decorator that returns what it decorates."""
    return lambda function: function
