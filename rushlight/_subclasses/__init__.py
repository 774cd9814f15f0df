"""Tensors that are only traced: there are none."""
