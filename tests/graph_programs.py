"""Programs that look at the tape's nodes, as programs that draw graphs and hooks do: run with either library. Used by test_graph.py."""


def tree(node, leaves):
    """The graph behind a node, as text: ``AddBackward0(x, -)``; ``-`` is an input without gradient."""
    if node is None:
        return "-"
    if hasattr(node, "variable"):
        return next(name for name, leaf in leaves.items() if leaf is node.variable)
    return f"{node.name().split('::')[-1]}({', '.join(tree(n, leaves) for n, _ in node.next_functions)})"


def _drawn(torch, *shape):
    """Numbers of the CPU's stream, wherever the tensors of this run are."""
    return torch.rand(shape, device="cpu").to(torch.get_default_device())


def _leaves(torch):
    torch.manual_seed(0)
    shapes = {"x": (3, 4), "y": (3, 4), "w": (2, 4), "b": (2,), "s": (), "v": (4,)}
    return {name: _drawn(torch, *shape).requires_grad_() for name, shape in shapes.items()}


def _constants(torch):
    return {
        "torch": torch, "F": torch.nn.functional, "c": _drawn(torch, 3, 4), "i": torch.tensor([[0, 1], [2, 3], [1, 0]]),
        "j": torch.tensor([0, 2, 1]),
    }  # fmt: skip


CALLS = """
x + c; c + x; x + y; x + 2; 2 + x; x - 1; 1 - x; x * c; c * x; 2 * x; x / 3; x / c; x ** 2; 2 ** x; x ** c; c ** x; x ** y
torch.add(x, c, alpha=2); torch.rsub(x, 2); torch.rsub(x, c); x % 2; torch.fmod(x, c); torch.copysign(x, 1.); torch.copysign(x, c)
torch.maximum(x, c); torch.minimum(c, x); torch.fmax(x, c); torch.atan2(x, c); torch.hypot(c, x); torch.xlogy(x, 2.); torch.xlogy(2., x)
torch.xlogy(x, c); torch.logaddexp(x, c); torch.lerp(x, c, .5); torch.lerp(c, c, x); torch.addcmul(c, x, c)
torch.addcdiv(x, c, c, value=2); torch.where(c > .5, x, c); torch.where(c > .5, x, 0.); x.masked_fill(c > .5, 0.)
x.masked_fill(c > .5, s); x.clamp(0, 1); x.clamp(min=0); x.clamp(c); x.clamp(c, c + 1); x.clamp_min(0); x.clamp_max(c); x.exp()
x.sigmoid(); x.relu(); x.abs(); x.round(); x.floor(); torch.nn.functional.threshold(x, .1, 0.); x.sum(); x.sum(1); x.mean()
x.mean(0, keepdim=True); x.prod(); x.var(); x.std(1); x.amax(1); x.max(); x.max(1)[0]; x.softmax(1); x.log_softmax(0); x.logsumexp(1)
x.norm(); x.cumsum(0); x.sort(1)[0]; x.topk(2)[0]; x.gather(1, i); x.index_select(0, j); x[j]; x[0]; x[:, 1:]; x[..., None]; x[c > .5]
x.T; x.t(); x.transpose(0, 1); x.permute(1, 0); x.reshape(4, 3); x.view(-1); x.expand(2, 3, 4); x.unsqueeze(0); x.squeeze(); x.flatten()
x.clone(); torch.cat([x, c]); torch.stack([c, x, y]); x.chunk(2)[0]; x.split(2)[1]; x.unbind()[0]; x.repeat(2, 1); x.flip(0); x.roll(1)
x.tril(); x.diagonal(); x @ c.T; c @ x.T; x @ v; c @ v; torch.dot(v, c[0]); torch.addmm(b, c, w.T); torch.bmm(c[None], x.T[None])
x.double(); x.to(x.dtype); F.linear(x, w); F.linear(x, w, b); F.linear(c, w, b); F.linear(c[None], w, b); F.linear(x[None], w)
F.linear(v, w); F.linear(v, w, b); F.linear(x, w, c[:2, 0]); F.mse_loss(x, c); F.mse_loss(c, x); F.smooth_l1_loss(x, c)
F.huber_loss(x, c); F.binary_cross_entropy_with_logits(x, c); F.binary_cross_entropy_with_logits(x, c, weight=c, pos_weight=c[0])
F.soft_margin_loss(x, c); F.cross_entropy(x, j); F.cross_entropy(x, j, weight=c[0]); F.nll_loss(x, j, reduction='none')
F.layer_norm(x, (4,)); F.layer_norm(x, (4,), v); F.layer_norm(c, (4,), v, v); F.batch_norm(x, c[0], c[1], training=True)
F.batch_norm(x, c[0], c[1], v, v); F.gelu(x); F.silu(x); F.elu(x); F.softplus(x); F.leaky_relu(x); F.hardtanh(x); F.prelu(x, s)
F.embedding(j, x); F.dropout(x, 0.); torch.linalg.inv(x @ x.T); torch.linalg.det(x @ x.T); torch.linalg.svdvals(x)
torch.fft.fft(x + 0j); x.scatter(1, i, c); c.scatter_add(1, i, x); c.index_add(0, j, x); c.masked_scatter(c > .5, x)
""".replace("\n", ";")


def calls():
    return [call.strip() for call in CALLS.split(";") if call.strip()]


def look(torch, call):
    """What the graph of one call looks like."""
    leaves = _leaves(torch)
    return tree(eval(call, {**_constants(torch), **leaves}).grad_fn, leaves)


def step(torch, call):
    """What a node gives for gradients of ones, as a function."""
    leaves = _leaves(torch)
    out = eval(call, {**_constants(torch), **leaves})
    node, ones = out.grad_fn, torch.ones_like(out).detach()
    found = node(*[ones if i == out.output_nr else None for i in range({"SplitBackward0": 2, "UnbindBackward0": 3}.get(node.name(), 1))])
    several = isinstance(found, tuple)
    return several, [g.tolist() for g, (n, _) in zip(found if several else (found,), node.next_functions) if n is not None]


def called(torch):
    """Nodes as functions: they take the gradient of each result, and leave hooks alone."""
    leaves = _leaves(torch)
    x, seen = leaves["x"], []
    y = x.tanh()
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append("after"))
    y.grad_fn.register_prehook(lambda outputs: seen.append("before"))
    ones = torch.ones(3, 4)

    def tried(function):
        try:
            found = function()
            seen.append(found if not isinstance(found, torch.Tensor) else (found.tolist(), found.requires_grad))
        except (RuntimeError, TypeError) as error:
            seen.append((type(error).__name__, str(error).splitlines()[0]))

    tried(lambda: y.grad_fn(ones))
    with torch.no_grad():
        tried(lambda: y.grad_fn(ones))
    for given in ((), (None,), (1,), (ones, ones)):
        tried(lambda given=given: y.grad_fn(*given))
    tried(lambda: y.grad_fn(ones, create_graph=True))
    parts = x.unbind()
    nodes = {part.grad_fn for part in parts}  # rushlight knows the shapes of results that were looked at
    seen.append(len(nodes))
    tried(lambda: parts[1].grad_fn(ones[0], None, ones[0]))
    tried(lambda: y.grad_fn.next_functions[0][0](ones))
    seen.append(x.grad.tolist())
    second = y.grad_fn(y).sum()
    seen.append(torch.autograd.grad(second, x, retain_graph=True)[0].tolist())
    y.sum().backward()
    tried(lambda: y.grad_fn(ones))
    return seen


def in_place(torch):
    """Writes to views and to whole tensors."""
    found = []
    for write in (
        lambda z, x, c: z.add_(c), lambda z, x, c: z.mul_(x), lambda z, x, c: c.mul_(x), lambda z, x, c: z[0].mul_(2),
        lambda z, x, c: z[0].copy_(c[0]),
        lambda z, x, c: z.pow_(c), lambda z, x, c: c.add_(x), lambda z, x, c: z.t().mul_(c.t()),
    ):  # fmt: skip
        leaves = _leaves(torch)
        z, c = leaves["x"] * 1, _drawn(torch, 3, 4)
        write(z, leaves["y"], c)
        found.append(tree(z.grad_fn, leaves) + " " + tree(c.grad_fn, leaves))
    return found


def node_hooks(torch):
    """What hooks of nodes are given, and what becomes of what they return."""
    seen = []
    leaves = _leaves(torch)
    x, w, b, c = leaves["x"], leaves["w"], leaves["b"], torch.ones(3, 4)

    def told(name):
        def hook(inputs, outputs):
            seen.append((name, *[[None if g is None else g.tolist() for g in given] for given in (inputs, outputs)]))
        return hook

    def swap(inputs, outputs):
        return tuple(None if g is None else g * 10 for g in inputs)

    first = c * x
    second = first + 2
    third = torch.nn.functional.linear(second, w, b)
    for name, t in (("mul", first), ("add", second), ("linear", third)):
        t.grad_fn.register_hook(told(name))
        t.grad_fn.register_prehook(lambda outputs, name=name: seen.append((name, len(outputs))))
    third.grad_fn.next_functions[2][0].register_hook(told("transposed"))
    first.grad_fn.register_hook(swap)
    third.sum().backward()
    try:
        second = c * x
        second.grad_fn.register_hook(lambda inputs, outputs: inputs[1:])
        second.sum().backward()
    except RuntimeError as error:
        seen.append(str(error)[-60:])
    return seen, x.grad.tolist(), w.grad.tolist(), b.grad.tolist()


def twice(torch):
    """Looking at a graph changes none of its derivatives, of any order."""
    results = []
    for look in (False, True):
        for shape in ((4,), (3, 4), (2, 3, 4)):
            leaves = _leaves(torch)
            x, w, b = (_drawn(torch, *shape) + 0.5).requires_grad_(), leaves["w"], leaves["b"]
            y = torch.nn.functional.linear(x * x, w, b) if len(shape) != 3 else torch.nn.functional.linear((x * x).transpose(0, 1), w)
            if look:
                tree(y.grad_fn, {**leaves, "x": x})
            g = torch.autograd.grad((y**3).sum(), (x, w), create_graph=True)
            if look:
                tree(g[1].grad_fn, {**leaves, "x": x})
            results.append([h.sum().item() for h in (*g, *torch.autograd.grad((g[0] ** 2).sum() + (g[1] ** 2).sum(), (x, w)))])
    return results


SAVED = """
x * y: self other; x * c: other; x / y: self other; x ** 2: self exponent; x ** y: self exponent; x.exp(): result; x.sigmoid(): result
x.tanh(): result; x.log(): self; x.sin(): self; x.relu(): result; torch.where(c > 0.5, x, y): condition; x @ y.T: self mat2
x @ v: self vec; torch.addmm(b, x, w.T): mat1 mat2 alpha beta; torch.addcmul(x, y, c, value=3): tensor1 tensor2 value
x.gather(1, i): index dim; x.index_select(0, j): index dim; x.add(y, alpha=2): alpha; x.sub(y): alpha; x.lerp(y, 0.5): weight
x.softmax(1): result; x.sum(1, keepdim=True): dim keepdim; F.leaky_relu(x, 0.2): negative_slope; x.masked_fill(c > 0.5, 0.): mask
x.transpose(0, 1): dim0 dim1; x.cumsum(1): dim; x * 2: other; torch.cat([x, y], 1): dim; x.maximum(y): self other
x.atan2(y): self other; torch.dot(v, v): self tensor; x.clamp_min(0.2): self; x.abs(): self; x.reshape(4, 3): self_sym_sizes
F.embedding(j, x): indices; x.norm(): self result
""".replace("\n", ";")


def saved(torch):
    """The kept values of a few calls, by the names that both libraries have."""
    found = []
    for line in SAVED.split(";"):
        call, _, wanted = line.partition(": ")
        if not wanted:
            continue
        leaves = _leaves(torch)
        node = eval(call, {**_constants(torch), **leaves}).grad_fn
        for name in wanted.split():
            value = getattr(node, "_saved_" + name, "missing")
            found.append((call, name, "_saved_" + name in dir(node), value.tolist() if isinstance(value, torch.Tensor) else value))
    return found


def saved_details(torch):
    """Identity, raw saved tensors and their hooks, and what is left when the graph is freed."""
    leaves = _leaves(torch)
    x, y = leaves["x"], leaves["y"]
    found = []

    def tried(action):
        try:
            value = action()
            found.append(value.tolist() if isinstance(value, torch.Tensor) else value)
        except (RuntimeError, AttributeError, TypeError) as error:
            found.append((type(error).__name__, str(error).split("\n")[0]))

    z = x * y
    e = z.exp()
    found.append((z.grad_fn._saved_self is x, z.grad_fn._saved_other is y, e.grad_fn._saved_result is e))
    found.append(bool((e.grad_fn._saved_result == e).all()))
    found.append((e.grad_fn._saved_result.grad_fn.name(), type(z.grad_fn._raw_saved_self).__name__))
    z.grad_fn._raw_saved_self.register_hooks(lambda t: t * 2, lambda t: t / 2 + 1)
    tried(lambda: z.grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t))
    tried(lambda: z.grad_fn._saved_self)
    tried(lambda: (x * 1.0 + torch.ones(3, 4)).grad_fn._saved_self)
    half = x * torch.ones(3, 4)
    found.append(half.grad_fn._saved_self)
    tried(lambda: half.grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t))
    e.sum().backward()
    found += [x.grad.tolist(), y.grad.tolist()]
    tried(lambda: z.grad_fn._saved_self)
    tried(lambda: e.grad_fn._saved_result)
    tried(lambda: z.grad_fn._raw_saved_other.register_hooks(lambda t: t, lambda t: t))
    total = (x + 1).sum(1)
    total.sum().backward()
    tried(lambda: total.grad_fn._saved_keepdim)
    v = x * 1
    kept = v.sin()
    v.add_(1)
    tried(lambda: kept.grad_fn._saved_self)
    return found
