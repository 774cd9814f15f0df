"""What rows of layers share: forward alone, and with backward."""

from rushlight.bench import row


def _train(torch, call, *inputs):
    """A call that runs forward and backward."""

    def step():
        for x in inputs:
            x.grad = None
        out = call()
        out.backward(torch.ones_like(out))

    return step


def both(name, target, target_backward, make, **options):
    """Two rows: forward alone without recording, and forward + backward. make(torch) -> (call, leaves)."""

    @row(name, target, **options)
    def forward(torch):
        call, _ = make(torch)

        def run():
            with torch.no_grad():
                return call()

        return run

    @row(f"{name}, with backward", target_backward)
    def backward(torch):
        call, leaves = make(torch)
        for x in leaves:
            x.requires_grad_()
        return _train(torch, call, *leaves)


def of_input(shape, make_call):
    """For :func:`both`: make_call(torch, x) -> (call, more leaves) with a random input x of this shape."""

    def make(torch):
        x = torch.randn(*shape)
        call, leaves = make_call(torch, x)
        return call, [x, *leaves]

    return make
