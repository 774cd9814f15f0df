"""Rows of optimizer steps."""

from rushlight.bench import row


def _optimizer(kind, target, **options):
    @row(f"optimizer {kind}, 10M parameters in 60 tensors", target)
    def make(torch):
        shapes = [(512, 512), (512,), (512, 464)] * 20
        parameters = [torch.randn(*s).requires_grad_() for s in shapes]
        for p in parameters:
            p.grad = torch.randn(*p.shape)
        opt = getattr(torch.optim, kind)(parameters, **options)
        return opt.step


_optimizer("Adam", 1.5, lr=1e-3)
_optimizer("AdamW", 1.5, lr=1e-3)
_optimizer("SGD", 1.5, lr=1e-3, momentum=0.9)
