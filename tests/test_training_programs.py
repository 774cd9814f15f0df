"""Short programs of layers, optimizers and containers, under PyTorch and under rushlight: what the last line gives, or the error."""

import copy
import warnings

import pytest
from oracle import rl, same, torch

PROGRAMS = {
    "dropout of SELU networks leaves its input": """
        m, x = nn.AlphaDropout(0.9, inplace=True), torch.zeros(4, requires_grad=True)
        n = nn.FeatureAlphaDropout(0.9, inplace=True)
        m(x), n(x.reshape(1, 2, 2)), x, m, n""",
    "a norm bound on rows chosen by int32": """
        m = nn.Embedding(8, 4, max_norm=0.5)
        m(torch.tensor([[1, 1], [2, 7]], dtype=torch.int32)), m.weight.detach()""",
    "fractional windows that do not fit an image": "F.fractional_max_pool2d(torch.randn(1, 2, 5, 4), 2, output_size=(3, 4))",
    "fractional windows as many as fit an image": "F.fractional_max_pool2d(torch.randn(1, 2, 5, 4), 2, output_size=(4, 3))",
    "fractional windows that do not fit a volume": "F.fractional_max_pool3d(torch.randn(1, 2, 5, 4, 5), 2, output_size=3)",
    "fractional windows as many as fit a volume": "F.fractional_max_pool3d(torch.randn(1, 2, 5, 5, 5), 2, output_size=3)",
    "parameters in two places of an optimizer": """
        w, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.zeros(1))
        o = torch.optim.SGD([w, b, w], lr=0.1)
        (w.sum() + b.sum()).backward()
        o.step()
        o.state_dict()['param_groups'][0]['params']""",
    "a loaded state keeps its dtypes": """
        w = nn.Parameter(torch.ones(2, dtype=torch.float64))
        w.grad = torch.ones_like(w)
        o = torch.optim.ASGD([w])
        o.step()
        o.load_state_dict(o.state_dict())
        o.step()
        list(o.state[w].values())""",
    "parameters from a generator": """
        m = nn.ParameterList(torch.ones(1) for _ in range(2))
        m.extend(map(torch.ones, [1, 2]))
        repr(m), len(m)""",
    "a list of parameters from a number": "nn.ParameterList([1]).extend(3)",
    "the order of joined dicts of parameters": """
        m = nn.ParameterDict({'b': torch.ones(1)})
        m['a'] = torch.ones(2)
        list((m | {'c': torch.ones(1)}).keys()), list(m.copy())""",
    "weight norm of a vector": """
        m = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3), 'bias')
        m.bias.sum().backward()
        m.parametrizations.bias.original0, m.bias.detach(), [p.grad for p in m.parameters()]""",
    "older weight norm of a vector": """
        m = nn.utils.weight_norm(nn.Linear(2, 3), 'bias')
        m.bias_g.detach(), m(torch.ones(1, 2)).detach()""",
    "norms over other dims": """
        x = torch.arange(6.0)
        torch.norm_except_dim(x, 2, 0), torch.norm_except_dim(x, 1, -1), torch.norm_except_dim(x.reshape(2, 3), 3, 1)""",
    "a copy of what was computed": "copy.deepcopy(torch.ones(2, requires_grad=True) * 2)",
    "class weights of another number": "F.cross_entropy(torch.ones(2, 5), torch.ones(2, 5), weight=torch.ones(1))",
    "class weights of one too many": "F.cross_entropy(torch.ones(2, 5), torch.ones(2, 5), weight=torch.ones(6))",
    "class weights in a matrix": "F.cross_entropy(torch.ones(2, 5), torch.tensor([1, 2]), weight=torch.ones(1, 5))",
    "probabilities of another number of classes": "F.cross_entropy(torch.ones(2, 5), torch.ones(2, 4))",
    "a padding row that there is not": "nn.EmbeddingBag(3, 2, padding_idx=3)",
    "a padding row of a bag that there is not": "F.embedding_bag(torch.tensor([[1]]), torch.ones(3, 2), padding_idx=5)",
    "lengths without an order": "nn.utils.rnn.pack_padded_sequence(torch.ones(4, 3, 1), [2, 0, 1])",
    "lengths of nothing": "nn.utils.rnn.pack_padded_sequence(torch.ones(4, 2, 1), [2, 0])",
    "lengths in a matrix": "nn.utils.rnn.pack_padded_sequence(torch.ones(4, 2, 1), torch.tensor([[1, 0]]))",
    "no sequences to pack": "nn.utils.rnn.pack_padded_sequence(torch.ones(4, 0, 1), [])",
    "no sequences to pad": "nn.utils.rnn.pad_sequence(3)",
    "sequences padded at another side": "nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(1)], padding_side='up')",
    "sequences of other lengths": "nn.utils.rnn.unpad_sequence(torch.ones(2, 3), torch.tensor([2, 1]))",
    "unpadded sequences are new": """
        p = torch.ones(3, 2)
        s = nn.utils.rnn.unpad_sequence(p, torch.tensor([3, 1]))
        s[0].zero_(), p.sum(), s[0].stride(), s[1]""",
    "n samples": """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            x = torch.distributions.Normal(0.0, 1.0).sample_n(2)
        x, [(w.category.__name__, str(w.message)) for w in caught]""",
    "events of another shape": """
        d = torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3), validate_args=True)
        d.log_prob(torch.ones(3, 1))""",
    "a batch seen as a whole": """
        seen, f = [], torch.func.debug_unwrap
        torch.func.vmap(torch.func.vmap(lambda x: (seen.append((f(x).shape, f(x, recurse=False).shape)), x)[1]))(torch.ones(3, 2, 4))
        x = torch.ones(2)
        seen, f(x) is x""",
    "a primal by itself": "torch.func.jvp(torch.sin, torch.ones(2), torch.ones(2))",
    "state that waits for its shapes": """
        m, n = (nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d(affine=False)) for _ in range(2))
        n.load_state_dict(m.state_dict())
        repr(n), n(torch.ones(2, 3)).shape, repr(n)""",
    "saved state that waits for its shapes": """
        import io
        m, n, file = nn.LazyLinear(2), nn.LazyLinear(2), io.BytesIO()
        torch.save(m.state_dict(), file)
        file.seek(0)
        state = torch.load(file, weights_only=False)
        n.load_state_dict(state)
        [type(v).__name__ for v in state.values()], n(torch.ones(2, 3)).shape""",
    "a lazy layer that was loaded": """
        m = nn.LazyLinear(2)
        m.load_state_dict(nn.Linear(3, 2).state_dict())
        m(torch.ones(1, 3)), repr(m)""",
    "gradients of padding lie row-major": """
        x = torch.randn(2, 3, 5, 6, requires_grad=True)
        modes = "reflect", "replicate", "circular"
        [torch.autograd.grad(F.pad(x, (1, 2, 2, 1), mode=mode).sum(), x)[0].stride() for mode in modes]""",
    "extra places for a signal": "nn.ConvTranspose1d(1, 1, 2, output_padding=1)(torch.ones(1, 1, 3))",
    "which of the windows do not fit a volume": "F.fractional_max_pool3d(torch.randn(1, 2, 8, 5, 6), 3, output_size=(5, 3, 4))",
    "a hook before the backward pass of the first layer": """
        m = nn.Linear(2, 2)
        handle = m.register_full_backward_pre_hook(lambda m, grads: tuple(g * 2 for g in grads))
        with warnings.catch_warnings(record=True) as caught:
            m(torch.ones(1, 2)).sum().backward()
        m.weight.grad, [str(w.message) for w in caught]""",
    "names of steps on one sample": """
        x = torch.randn(2, 6, 6, requires_grad=True)
        y = nn.Conv2d(2, 3, 2, padding_mode='circular', padding=1)(x)
        type(y.grad_fn).__name__, type(F.fold(x.reshape(8, 9), (4, 4), 2).grad_fn).__name__""",
}  # fmt: skip
WRITTEN = """
    mul_(y) | pow_(y) | add_(y) | fill_(y.sum()) | index_fill_(0, torch.tensor([0]), y.sum()) | put_(torch.arange(3), y)
    index_put_((torch.arange(3),), y) | masked_scatter_(y > 0, y) | __setitem__(0, y[0]) | __setitem__(torch.tensor([0]), y[0])
""".strip().replace("\n", "|").split("|")
PROGRAMS |= {
    f"{call.strip()} of a tensor that all examples share": f"torch.func.vmap(lambda y: torch.ones(3).{call.strip()})(torch.ones(4, 3))"
    for call in WRITTEN
}


def outcome(library, text):
    """What the last line of a program gives, or the type and first line of its error."""
    lines = [line[8:] if line.startswith("        ") else line for line in text.split("\n") if line]
    names = {"torch": library, "nn": library.nn, "F": library.nn.functional, "copy": copy, "warnings": warnings}
    library.manual_seed(7)
    try:
        exec("\n".join(lines[:-1]), names)
        return eval(lines[-1], names), None
    except Exception as error:
        return None, (type(error).__name__, str(error).split("\n")[0])


def plain(value):
    """Modules by their text, dicts by their items: what ``same`` compares."""
    if isinstance(value, dict):
        return [(plain(k), plain(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return repr(value) if isinstance(value, (torch.nn.Module, rl.nn.Module)) else value


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    (want, error), (got, mine) = outcome(torch, PROGRAMS[name]), outcome(rl, PROGRAMS[name])
    assert mine == error
    same(plain(got), plain(want))
