"""vmap of one operator after another: programs to run under PyTorch and under rushlight."""

X = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
CUBE = [[[1.0, 2.0, 4.0], [3.0, 5.0, 1.0]], [[2.0, 8.0, 6.0], [1.0, 0.0, -1.0]]]

# each is mapped over the rows of X
ROWS = {
    "pointwise": lambda torch, a: a * 2 + a.sum(),
    "scalar": lambda torch, a: a.sum() * 2,
    "constant": lambda torch, a: torch.ones(2),
    "several": lambda torch, a: (a.sum(), a.max()),
    "dot": lambda torch, a: torch.dot(a, a),
    "outer": lambda torch, a: torch.outer(a, a),
    "expand": lambda torch, a: a.unsqueeze(0).expand(2, 3).t(),
    "reshape": lambda torch, a: a.reshape(3, 1) @ a.reshape(1, 3),
    "matmul_constant": lambda torch, a: a @ torch.ones(3, 2),
    "matmul_from_left": lambda torch, a: torch.ones(2, 3) @ a,
    "stack": lambda torch, a: torch.stack([a, a * 2], 1),
    "cat": lambda torch, a: torch.cat([a, torch.ones(1)]),
    "slice": lambda torch, a: a[1:],
    "as_strided": lambda torch, a: a.as_strided((2, 2), (1, 1)),
    "as_strided_offset": lambda torch, a: a.as_strided((2,), (1,), 1),
    "as_strided_copy": lambda torch, a: torch.as_strided_copy(a, (2,), (2,), 0),
    "no_out": lambda torch, a: torch.functional.norm(a, p=2, out=None),
    "integer": lambda torch, a: a[-1],
    "none": lambda torch, a: a[None, :, None],
    "ellipsis": lambda torch, a: a[..., 0],
    "index_tensor": lambda torch, a: a[torch.tensor([2, 0])],
    "flip": lambda torch, a: a.flip(0),
    "softmax": lambda torch, a: a.softmax(-1),
    "log_softmax": lambda torch, a: a.log_softmax(0),
    "mean": lambda torch, a: a.mean(0, keepdim=True),
    "where": lambda torch, a: torch.where(a > 2, a, 0.0),
    "comparison": lambda torch, a: (a > 2) & (a < 5),
    "argmax": lambda torch, a: a.argmax(),
    "var": lambda torch, a: a.var(0),
    "cumsum": lambda torch, a: a.cumsum(0),
    "sort": lambda torch, a: a.sort(descending=True).values,
    "norm": lambda torch, a: a.norm(),
    "clamp": lambda torch, a: a.clamp(min=2, max=5),
    "cast": lambda torch, a: a.long(),
    "to": lambda torch, a: a.to(torch.float64),
    "chunk": lambda torch, a: a.chunk(2)[1],
    "unbind": lambda torch, a: a.unbind()[1],
    "zeros_like": lambda torch, a: torch.zeros_like(a) + a,
    "new_zeros": lambda torch, a: a.new_zeros(2),
    "diag": lambda torch, a: torch.diag(a),
    "einsum": lambda torch, a: torch.einsum("i,j->ij", a, a),
    "layer_norm": lambda torch, a: torch.nn.functional.layer_norm(a, (3,)),
    "linear": lambda torch, a: torch.nn.functional.linear(a, torch.ones(2, 3), torch.ones(2)),
    "relu": lambda torch, a: torch.relu(a - 3),
    "gelu": lambda torch, a: torch.nn.functional.gelu(a),
    "pow": lambda torch, a: a**2,
    "reversed_sub": lambda torch, a: 1 - a,
    "logsumexp": lambda torch, a: a.logsumexp(0),
    "prod": lambda torch, a: a.prod(),
    "any": lambda torch, a: (a > 5).any(),
    "roll": lambda torch, a: a.roll(1, 0),
    "gather": lambda torch, a: a.gather(0, torch.tensor([1, 1])),
    "masked_fill": lambda torch, a: a.masked_fill(a > 2, -1.0),
    "tril": lambda torch, a: torch.outer(a, a).tril(),
    "cross_entropy": lambda torch, a: torch.nn.functional.cross_entropy(a, torch.tensor(1)),
    "mse_loss": lambda torch, a: torch.nn.functional.mse_loss(a, torch.ones(3)),
}

# each is mapped over the first dim of CUBE
MATRICES = {
    "transpose": lambda torch, a: a.transpose(0, 1),
    "permute": lambda torch, a: a.permute(1, 0),
    "T": lambda torch, a: a.T,
    "mT": lambda torch, a: a.mT,
    "squeeze": lambda torch, a: a[:1].squeeze(0),
    "flatten": lambda torch, a: a.flatten(),
    "view": lambda torch, a: a.view(3, -1),
    "sum_dim": lambda torch, a: a.sum(-1),
    "sum_dims": lambda torch, a: a.sum((0, 1)),
    "amax": lambda torch, a: a.amax(0),
    "max_dim": lambda torch, a: a.max(1),
    "mm": lambda torch, a: torch.mm(a, a.t()),
    "mv": lambda torch, a: torch.mv(a, torch.ones(3)),
    "bmm": lambda torch, a: torch.bmm(a[None], a.t()[None]),
    "addmm": lambda torch, a: torch.addmm(torch.ones(2, 2), a, a.t(), beta=2, alpha=3),
    "narrow": lambda torch, a: a.narrow(1, 1, 2),
    "select": lambda torch, a: a.select(-1, 0),
    "diagonal": lambda torch, a: a.diagonal(),
    "unfold": lambda torch, a: a.unfold(1, 2, 1),
    "split": lambda torch, a: a.split(2, dim=1)[0],
    "movedim": lambda torch, a: a.movedim(0, 1),
    "two_indices": lambda torch, a: a[0, 1:],
    "concatenated": lambda torch, a: torch.cat([a, a], dim=1),
    "svd_free_inverse": lambda torch, a: torch.linalg.inv(a @ a.T + torch.eye(2)),
    "conv1d": lambda torch, a: torch.nn.functional.conv1d(a[None], torch.ones(1, 2, 2)),
    "repeat": lambda torch, a: a.repeat(2, 1),
}

PROGRAMS = []


def _mapped(name, function, data):
    def run(torch):
        x = torch.tensor(data, requires_grad=True)
        out = torch.func.vmap(lambda a: function(torch, a))(x)
        leaves = [t for t in (out if isinstance(out, tuple) else (out,)) if t.requires_grad]
        if not leaves:
            return out
        total = sum((t * t).sum() for t in leaves)
        return tuple(out) if isinstance(out, tuple) else out, torch.autograd.grad(total, x)

    run.__name__ = f"vmap_{name}"
    PROGRAMS.append(run)


for _name, _function in ROWS.items():
    _mapped(_name, _function, X)
for _name, _function in MATRICES.items():
    _mapped(_name, _function, CUBE)


def program(function):
    PROGRAMS.append(function)
    return function


@program
def vmap_dims(torch):
    vmap = torch.func.vmap
    x = torch.tensor(X)
    return (
        vmap(lambda a: a.sum(), in_dims=1)(x),
        vmap(lambda a: a, out_dims=1)(x),
        vmap(lambda a: a, in_dims=-1, out_dims=-1)(x),
        vmap(lambda a, b: a * b, in_dims=(0, None))(x, x[0]),
        vmap(lambda a, *, b: a * b)(x, b=x),
        vmap(vmap(lambda a, b: a * b, in_dims=(0, None)))(x, x[:, 0]),
        vmap(lambda a: a * 2, chunk_size=1)(x),
        vmap(lambda d: {"s": d["a"].sum()})({"a": x})["s"],
        vmap(lambda a, b: (a, b), in_dims=(None, 0), out_dims=(None, 0))(x, x),
    )


@program
def vmap_of_two_levels(torch):
    vmap = torch.func.vmap
    x, y = torch.tensor(X), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    return (
        vmap(lambda a: vmap(lambda b: torch.outer(a, b).sum(0))(y))(x),
        vmap(lambda a: vmap(lambda b: torch.stack([a.sum(), b.sum()]))(y))(x),
        vmap(lambda a: vmap(lambda b: a[1:] @ b)(y).softmax(0))(x),
    )


@program
def autograd_grad_under_vmap(torch):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * x * x
    return torch.func.vmap(lambda v: torch.autograd.grad(y, x, v, retain_graph=True)[0])(torch.eye(3))


def _draws(draw, randomness, size):
    def function(torch):
        torch.manual_seed(3)
        return torch.func.vmap(lambda a: a + draw(torch, a), randomness=randomness)(torch.zeros(3, size))

    function.__name__ = f"vmap_draws_{randomness}_{len(PROGRAMS)}"
    PROGRAMS.append(function)


for _draw in (
    lambda t, a: t.randn(20), lambda t, a: t.randint(0, 9, (20,)), lambda t, a: t.rand_like(a),
    lambda t, a: t.nn.functional.dropout(t.ones(20)),
    lambda t, a: t.bernoulli(t.full((20,), 0.5)), lambda t, a: t.normal(0.0, t.ones(20)), lambda t, a: t.nn.functional.dropout(a + 1, 0.5),
    lambda t, a: t.randperm(20), lambda t, a: a.clone().uniform_(), lambda t, a: t.empty(20).normal_(),
    lambda t, a: t.func.vmap(lambda b: b + t.rand(2), randomness="different")(t.zeros(20, 2)).sum(1),
):  # fmt: skip
    for _how in ("different", "same", "error"):
        _draws(_draw, _how, 20)


def _refused(name, function):
    function.__name__ = f"vmap_refuses_{name}"
    PROGRAMS.append(function)


_refused("item", lambda torch: torch.func.vmap(lambda a: a.sum().item())(torch.ones(2, 2)))
_refused("control_flow", lambda torch: torch.func.vmap(lambda a: a if a.sum() > 0 else -a)(torch.ones(2, 2)))
_refused("no_inputs", lambda torch: torch.func.vmap(lambda: 1)())
_refused("nothing_mapped", lambda torch: torch.func.vmap(lambda a: a, in_dims=None)(torch.ones(2)))
_refused("dim_out_of_range", lambda torch: torch.func.vmap(lambda a: a, in_dims=2)(torch.ones(2)))
_refused("randomness", lambda torch: torch.func.vmap(lambda a: a, randomness="often")(torch.ones(2)))
_refused("chunk_size", lambda torch: torch.func.vmap(lambda a: a, chunk_size=0)(torch.ones(2)))
_refused("number_returned", lambda torch: torch.func.vmap(lambda a: 1)(torch.ones(2)))
_refused("unbatched_target", lambda torch: torch.func.vmap(lambda a: torch.ones(3).add_(a))(torch.ones(2, 3)))
