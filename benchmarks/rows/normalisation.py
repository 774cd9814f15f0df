"""Rows of normalisation, softmax and the losses made of it."""

from benchmarks.rows.layers import both, of_input


def _layer_norm(t, x):
    w, b = t.randn(x.shape[-1]), t.randn(x.shape[-1])
    return lambda: t.nn.functional.layer_norm(x, (x.shape[-1],), w, b), [w, b]


def _rms_norm(t, x):
    w = t.randn(x.shape[-1])
    return lambda: t.nn.functional.rms_norm(x, (x.shape[-1],), w), [w]


def _batch_norm(t, x, training=True):
    c = x.shape[1]
    w, b, mean, var = t.randn(c), t.randn(c), t.zeros(c), t.ones(c)
    return lambda: t.nn.functional.batch_norm(x, mean, var, w, b, training), [w, b]


def _batch_norm_last(t, x):
    x.data = x.data.contiguous(memory_format=t.channels_last)
    return _batch_norm(t, x)


def _group_norm(t, x):
    w, b = t.randn(x.shape[1]), t.randn(x.shape[1])
    return lambda: t.nn.functional.group_norm(x, 8, w, b), [w, b]


both("norm layer_norm 2048x2048", 1.3, 1.3, of_input((2048, 2048), _layer_norm), bytes=8 << 22)
both("norm layer_norm 8x128x192", 1.3, 1.3, of_input((8, 128, 192), _layer_norm))
both("norm rms_norm 2048x2048", 1.3, 1.3, of_input((2048, 2048), _rms_norm), bytes=8 << 22)
both("norm batch_norm 32x64x28x28", 1.3, 1.3, of_input((32, 64, 28, 28), _batch_norm))
both("norm batch_norm eval 32x64x28x28", 1.3, 1.3, of_input((32, 64, 28, 28), lambda t, x: _batch_norm(t, x, False)))
both("norm batch_norm channels_last 32x64x28x28", 1.3, 1.3, of_input((32, 64, 28, 28), _batch_norm_last))
both("norm group_norm 32x64x28x28", 1.3, 1.3, of_input((32, 64, 28, 28), _group_norm))
both("norm instance_norm 32x64x28x28", 1.3, 1.3,
     of_input((32, 64, 28, 28), lambda t, x: (lambda: t.nn.functional.instance_norm(x), [])))
both("softmax 2048x2048", 1.3, 1.3, of_input((2048, 2048), lambda t, x: (lambda: t.softmax(x, 1), [])), bytes=8 << 22)
both("log_softmax 2048x2048", 1.3, 1.3, of_input((2048, 2048), lambda t, x: (lambda: t.log_softmax(x, 1), [])), bytes=8 << 22)
both("softmax over channels 32x64x28x28", 1.3, 1.3, of_input((32, 64, 28, 28), lambda t, x: (lambda: t.softmax(x, 1), [])))


def _cross_entropy(t, x, **options):
    y = t.randint(0, x.shape[1], (x.shape[0],))
    return lambda: t.nn.functional.cross_entropy(x, y, **options), []


both("cross_entropy 1024x8192", 1.3, 1.3, of_input((1024, 8192), _cross_entropy))
both("cross_entropy smoothed 1024x8192", 1.3, 1.3, of_input((1024, 8192), lambda t, x: _cross_entropy(t, x, label_smoothing=0.1)))


def _probabilities(t, x):
    y = t.softmax(t.randn(*x.shape), 1)
    return lambda: t.nn.functional.cross_entropy(x, y), []


both("cross_entropy probabilities 1024x8192", 1.3, 1.3, of_input((1024, 8192), _probabilities))
