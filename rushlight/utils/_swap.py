"""Two tensors that change places."""

from rushlight._core.tensor import Tensor, class_changed


def swap_tensors(t1, t2):
    """Exchanges all that two tensors are: memory, shape, dtype, gradient, attributes and class. Whoever holds one of them sees the other.

    Raises RuntimeError for a tensor that was computed with a tape.
    """
    for t in (t1, t2):
        if not t.is_leaf:
            raise RuntimeError("swap_tensors: both tensors must be leaves\n  Detach the one that was computed: t.detach().")
    kept = Tensor.__new__(Tensor)._adopt(t1)
    grads, attributes, kinds = (t1.grad, t2.grad), (dict(t1.__dict__), dict(t2.__dict__)), (type(t1), type(t2))
    t1.grad = t2.grad = None
    for t, other, own, kind in ((t1, t2, attributes[1], kinds[1]), (t2, kept, attributes[0], kinds[0])):
        t._adopt(other)
        if type(t) is not kind:
            t.__class__ = kind
            class_changed(t)
        t.__dict__.clear()
        t.__dict__.update(own)
    t1.grad, t2.grad = grads[1], grads[0]
