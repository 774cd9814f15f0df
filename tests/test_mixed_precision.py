"""Autocast and GradScaler in programs, beside PyTorch on the CPU: blocks, threads, Functions, checkpoints, modules, training."""

import copy
import threading
import warnings

import numpy as np
import pytest
import torch

import rushlight as rl
import rushlight.utils.checkpoint

HALVES = pytest.mark.parametrize("half", ["bfloat16", "float16"])


def device_of(library):
    return "cpu" if library is torch else rl.get_default_device().type


def autocast(library, half="bfloat16", **options):
    return library.autocast(device_of(library), getattr(library, half), **options)


def kinds(*values):
    """The names of the dtypes of tensors, also within tuples."""
    flat = [t for v in values for t in (v if isinstance(v, (tuple, list)) else (v,))]
    return [None if t is None else str(t.dtype).removeprefix("torch.") for t in flat]


def pair(build, *args):
    """A module of each library with the same parameters."""
    torch.manual_seed(0)
    theirs, ours = build(torch, *args), build(rl, *args)
    ours.load_state_dict({name: rl.tensor(t.tolist(), device="cpu") for name, t in theirs.state_dict().items()})
    return theirs, ours.to(rl.get_default_device())


def drawn(*shape):
    """The same numbers for both libraries."""
    values = np.random.RandomState(0).uniform(0.1, 0.9, shape).round(2).tolist()
    return torch.tensor(values), rl.tensor(values)


def close(ours, theirs, tolerance=0.03):
    np.testing.assert_allclose(np.asarray(ours.float().tolist()), np.asarray(theirs.float().tolist()), rtol=tolerance, atol=tolerance)


# -- blocks --


def test_blocks_within_blocks():
    a = rl.ones(2, 2)
    with autocast(rl):
        with autocast(rl, enabled=False):
            assert (a @ a).dtype is rl.float32 and not rl.is_autocast_enabled(device_of(rl))
            with autocast(rl, "float16"):
                assert (a @ a).dtype is rl.float16 and rl.get_autocast_dtype(device_of(rl)) is rl.float16
            assert (a @ a).dtype is rl.float32
        assert (a @ a).dtype is rl.bfloat16
    assert (a @ a).dtype is rl.float32 and not rl.is_autocast_enabled(device_of(rl))


def test_one_block_in_itself_as_a_decorator_and_left_by_an_error():
    a, block = rl.ones(2, 2), autocast(rl)

    @block
    def products(depth):
        return [(a @ a).dtype, *(products(depth - 1) if depth else [])]

    assert products(2) == [rl.bfloat16] * 3
    with pytest.raises(ValueError), block, block:
        raise ValueError
    assert (a @ a).dtype is rl.float32


def test_a_thread_has_its_own_autocast():
    a, found, block = rl.ones(2, 2), [], autocast(rl)
    inside, go_on = threading.Event(), threading.Event()

    def work():
        found.append((a @ a).dtype)
        with block:
            inside.set()
            go_on.wait(10)
            found.append((a @ a).dtype)
        found.append((a @ a).dtype)

    with block:
        thread = threading.Thread(target=work)
        thread.start()
        inside.wait(10)
    assert (a @ a).dtype is rl.float32
    go_on.set()
    thread.join()
    assert found == [rl.float32, rl.bfloat16, rl.float32]


def test_switches_outside_of_blocks():
    a, device = rl.ones(2, 2), device_of(rl)
    before = rl.get_autocast_dtype(device)
    rl.set_autocast_enabled(device, True)
    rl.set_autocast_dtype(device, rl.float16)
    try:
        assert (a @ a).dtype is rl.float16
        with rl.autocast(device, enabled=False):
            assert (a @ a).dtype is rl.float32
        assert (a @ a).dtype is rl.float16
    finally:
        rl.set_autocast_enabled(device, False)
        rl.set_autocast_dtype(device, before)
    assert (a @ a).dtype is rl.float32


def test_other_devices_tensors_and_out_are_left_alone():
    a, other = rl.ones(2, 2), rl.ones(2, 2, device="meta")
    with autocast(rl):
        assert (other @ other).dtype is rl.float32 and (a.double() @ a.double()).dtype is rl.float64
        assert rl.mm(a, a, out=rl.empty(2, 2)).dtype is rl.float32


@pytest.mark.cpu("a stack of unlike widths")
def test_operands_that_meet_in_the_widest_are_of_two_widths():
    with autocast(rl), pytest.raises(RuntimeError, match="Unexpected floating ScalarType in at::autocast::prioritize"):
        rl.stack([rl.ones(2).half(), rl.ones(2)])


# -- the copies of weights --


def casts_of(weight, monkeypatch):
    """A list that grows by the dtype of each copy made of ``weight``."""
    made, to = [], rl.Tensor.to

    def counting(self, *args, **kwargs):
        if self is weight:
            made.append(args)
        return to(self, *args, **kwargs)

    monkeypatch.setattr(rl.nn.Parameter, "to", counting, raising=False)
    return made


def test_a_weight_is_cast_once_in_a_block(monkeypatch):
    x, weight = rl.ones(2, 2), rl.nn.Parameter(rl.ones(2, 2))
    made = casts_of(weight, monkeypatch)
    with autocast(rl):
        with autocast(rl):
            x @ weight
        x @ weight
        assert len(made) == 1
        with rl.no_grad():
            weight += 1
        assert float((x @ weight)[0, 0]) == 4.0 and len(made) == 2
        rl.clear_autocast_cache()
        x @ weight
        assert len(made) == 3
    with autocast(rl, cache_enabled=False):
        x @ weight
        x @ weight
    assert len(made) == 5


def test_a_copy_made_without_a_tape_is_none_for_the_tape():
    x, weight = rl.ones(2, 2), rl.nn.Parameter(rl.ones(2, 2))
    with autocast(rl):
        with rl.no_grad():
            x @ weight
        (x @ weight).sum().backward()
    assert weight.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]] and weight.grad.dtype is rl.float32


# -- Functions, checkpoints, classes, modes --


def seen_by_a_function(library, half, cast_inputs, inside):
    """dtypes and switch that a custom Function's two passes see, and those of its results."""
    seen, device = [], device_of(library)

    class Product(library.autograd.Function):
        @staticmethod
        @library.amp.custom_fwd(device_type=device, cast_inputs=cast_inputs and getattr(library, cast_inputs))
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            seen.append((kinds(x, w), library.is_autocast_enabled(device)))
            return x @ w

        @staticmethod
        @library.amp.custom_bwd(device_type=device)
        def backward(ctx, grad):
            x, w = ctx.saved_tensors
            seen.append((kinds(x, w, grad), library.is_autocast_enabled(device)))
            return grad @ w.t(), x.t() @ grad

    x, w = (library.ones(3, 3, requires_grad=True) for _ in range(2))
    with autocast(library, half):
        y = Product.apply(x, w)
        if inside:
            y.sum().backward()
    if not inside:
        y.sum().backward()
    return seen, kinds(y, x.grad, w.grad)


@HALVES
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("cast_inputs", [None, "float32", "float16"])
def test_functions_with_custom_passes(cast_inputs, inside, half):
    ours = seen_by_a_function(rl, half, cast_inputs, inside)
    if device_of(rl) == "cpu":
        assert ours == seen_by_a_function(torch, half, cast_inputs, inside)
    assert ours[1][1:] == ["float32", "float32"]


@HALVES
@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_runs_again_as_it_ran(reentrant, half):
    model, x = rl.nn.Sequential(rl.nn.Linear(4, 4), rl.nn.Tanh(), rl.nn.Linear(4, 4)), rl.ones(2, 4, requires_grad=True)

    def gradients(run):
        model.zero_grad()
        with autocast(rl, half):
            out = run(x)
        assert out.dtype is getattr(rl, half)
        out.float().sum().backward()
        return [p.grad.tolist() for p in model.parameters()]

    assert gradients(lambda x: rl.utils.checkpoint.checkpoint(model, x, use_reentrant=reentrant)) == gradients(model)


def test_modes_and_classes_see_calls_before_autocast_does():
    calls, x, half = [], rl.ones(1, 1, 3, 3), rl.ones(1, 1, 3, 3).bfloat16()

    class Mode(rl.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            calls.append((func.__name__, *kinds(*args)))
            return func(*args, **(kwargs or {}))

    class Kind(rl.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            with rl._C.DisableTorchFunctionSubclass():  # a dtype that is read would ask again
                calls.append((func.__name__, *kinds(*args)))
            return super().__torch_function__(func, types, args, kwargs or {})

    F, kind = rl.nn.functional, x.as_subclass(Kind)
    with Mode(), autocast(rl):
        assert kinds(F.conv2d(x, x), F.mse_loss(x, half)) == ["bfloat16", "float32"]
    with autocast(rl):
        assert type(F.conv2d(kind, x)) is Kind and kinds(F.mse_loss(kind, half).as_subclass(rl.Tensor)) == ["float32"]
    calls = [call for call in calls if call[0] not in ("as_subclass", "__get__")]
    wanted = [("conv2d", "float32", "float32"), ("mse_loss", "float32", "bfloat16")]
    assert calls == wanted * 2


def test_vmap_and_gradients_of_functions():
    F, a = rl.nn.functional, rl.ones(3, 4)
    with autocast(rl):
        losses = rl.vmap(F.mse_loss)(a, a.bfloat16() * 2)
        products = rl.vmap(F.linear)(a, rl.ones(3, 2, 4))
        gradient = rl.func.grad(lambda w: F.linear(a, w).float().sum())(rl.ones(2, 4))
    assert kinds(losses, products, gradient) == ["float32", "bfloat16", "float32"]
    assert losses.tolist() == [1.0, 1.0, 1.0] and gradient.tolist() == [[3.0] * 4] * 2


def test_plans_are_remembered_and_made_without_autocast():
    from rushlight.ops._define import planned

    made = []

    @planned
    def plan(size):
        made.append((rl.ones(size, size, device="cpu") @ rl.ones(size, size, device="cpu")).dtype)
        return made

    with rl.autocast("cpu"):
        assert plan(2) is plan(2)
    plan(2)
    assert made == [rl.float32]


def test_compile_keeps_autocast():
    with autocast(rl):
        assert rl.compile(lambda x: x @ x)(rl.ones(2, 2)).dtype is rl.bfloat16


# -- modules --

MODULES = {
    "batch_norm": (lambda nn: nn.BatchNorm2d(2), (2, 2, 3, 3)),
    "layer_norm": (lambda nn: nn.LayerNorm(4), (3, 4)),
    "group_norm": (lambda nn: nn.GroupNorm(2, 4), (2, 4, 3)),
    "instance_norm": (lambda nn: nn.InstanceNorm2d(2, affine=True, track_running_stats=True), (2, 2, 3, 3)),
    "rms_norm": (lambda nn: nn.RMSNorm(4), (3, 4)),
    "convolutions": (lambda nn: nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 2)), (2, 2, 4, 4)),
    "padded": (lambda nn: nn.Conv1d(2, 3, 3, padding=1, padding_mode="reflect"), (1, 2, 5)),
    "transposed": (lambda nn: nn.ConvTranspose2d(2, 3, 3), (1, 2, 5, 5)),
    "prelu": (lambda nn: nn.PReLU(), (3, 4)),
    "lstm": (lambda nn: nn.LSTM(4, 3, 2, bidirectional=True), (2, 2, 4)),
    "lstm, projected": (lambda nn: nn.LSTM(4, 3, proj_size=2), (2, 2, 4)),
    "gru": (lambda nn: nn.GRU(4, 3, 2, bidirectional=True), (2, 2, 4)),
    "rnn": (lambda nn: nn.RNN(4, 3, 2), (2, 2, 4)),
    "lstm cell": (lambda nn: nn.LSTMCell(4, 3), (2, 4)),
    "gru cell": (lambda nn: nn.GRUCell(4, 3), (2, 4)),
    "rnn cell": (lambda nn: nn.RNNCell(4, 3), (2, 4)),
    "encoder": (lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2), (2, 3, 8)),
    "upsample": (lambda nn: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 2, 1)), (1, 2, 3, 3)),
    "bilinear": (lambda nn: nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1), nn.Linear(3, 2), nn.LogSoftmax(-1)), (2, 4)),
}


@HALVES
@pytest.mark.parametrize("name", MODULES)
def test_modules(name, half):
    build, shape = MODULES[name]
    models = pair(lambda library: build(library.nn))
    for halved in (False, True):
        results = []
        for library, model, x in zip((torch, rl), models, drawn(*shape)):
            if library is torch and name == "lstm" and half == "float16":
                half_of_torch = "bfloat16"  # oneDNN has no training of float16 on every CPU
            else:
                half_of_torch = half
            x = (x.to(getattr(library, half_of_torch)) if halved else x).requires_grad_()
            with autocast(library, half_of_torch):
                out = model(x)
            parts = [out[0], *(out[1] if isinstance(out[1], tuple) else (out[1],))] if isinstance(out, tuple) else [out]
            sum(p.float().square().sum() for p in parts).backward()
            results.append((parts, [x.grad, *(p.grad for p in model.parameters())]))
            model.zero_grad()
        (theirs, gradients_there), (ours, gradients) = results
        assert all(g.dtype is rl.float32 for g in gradients[1:]) and kinds(gradients[0]) == [half if halved else "float32"]
        if device_of(rl) == "cpu":
            assert [k if k == "float32" else "half" for k in kinds(*ours)] == [k if k == "float32" else "half" for k in kinds(*theirs)]
        for a, b in zip([*ours, *gradients], [*theirs, *gradients_there]):
            close(a, b, 0.06)


@HALVES
@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("mask", [None, "bool", "float32"])
def test_attention(mask, weights, half):
    models = pair(lambda library: library.nn.MultiheadAttention(8, 2, batch_first=True))
    found = []
    for library, model, x in zip((torch, rl), models, drawn(2, 3, 8)):
        forbidden = mask and library.zeros(3, 3, dtype=getattr(library, mask))
        with autocast(library, half):
            found.append([t for t in model(x, x, x, need_weights=weights, attn_mask=forbidden) if t is not None])
    if device_of(rl) == "cpu":
        assert kinds(*found[1]) == kinds(*found[0])
    for a, b in zip(*found):
        close(b, a)


@pytest.mark.parametrize("network", ["LSTM", "GRU"])
def test_packed_sequences(network):
    models = pair(lambda library: getattr(library.nn, network)(4, 3))
    found = []
    for library, model, x in zip((torch, rl), models, drawn(3, 2, 4)):
        packed = library.nn.utils.rnn.pack_padded_sequence(x, library.tensor([3, 2], device="cpu"))
        with autocast(library):
            found.append(model(packed)[0].data)
    if device_of(rl) == "cpu":
        assert kinds(found[1]) == kinds(found[0])
    close(found[1], found[0])


@HALVES
@pytest.mark.parametrize("operation", "add_ mul_ div_ copy_ addcmul_ pow_".split())
def test_in_place_operators_keep_their_width(operation, half):
    for own, others in ((half, "float32"), ("float32", half)):
        found = []
        for library in (torch, rl):
            x, y = library.ones(3, dtype=getattr(library, own)), library.ones(3, dtype=getattr(library, others))
            with autocast(library, half):
                found.append(kinds(getattr(x, operation)(*([y, y] if operation == "addcmul_" else [y]))))
        assert found[0] == found[1] == [own]


def test_ctc_loss_takes_lengths_from_the_cpu():
    x, labels = rl.zeros(4, 1, 3), rl.tensor([[1, 2]])
    with autocast(rl):
        scores = (x.bfloat16() if device_of(rl) == "cpu" else x).log_softmax(-1)
        loss = rl.nn.functional.ctc_loss(scores, labels, rl.tensor([4], device="cpu"), rl.tensor([2], device="cpu"))
    assert loss.dtype is rl.float32 and float(loss) == pytest.approx(float(np.log(81 / 15)) / 2, rel=0.02)


# -- training --


def trained(library, model, x, target, half, steps=8):
    """Losses, scales and parameters of a training with GradScaler, in which two steps have infinite gradients."""
    optimizer = library.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = library.amp.GradScaler(device_of(library), init_scale=1024.0, growth_interval=2)
    losses, scales = [], []
    for step in range(steps):
        optimizer.zero_grad()
        with autocast(library, half):
            loss = library.nn.functional.cross_entropy(model(x), target)
        scaler.scale(loss * float("inf") if step in (2, 5) else loss).backward()
        scaler.unscale_(optimizer)
        library.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
        scales.append(scaler.get_scale())
    return losses, scales


@HALVES
def test_training_with_scaled_losses(half):
    models = pair(lambda library: library.nn.Sequential(library.nn.Linear(6, 8), library.nn.GELU(), library.nn.Linear(8, 3)))
    (losses, scales), (ours, our_scales) = (
        trained(library, model, x, library.tensor([0, 1, 2, 1]), half)
        for library, model, x in zip((torch, rl), models, drawn(4, 6))
    )
    assert our_scales == scales == [1024.0, 2048.0, 1024.0, 1024.0, 2048.0, 1024.0, 1024.0, 2048.0]
    assert ours == pytest.approx(losses, rel=0.02) and ours[-1] < ours[0]
    for a, b in zip(models[1].parameters(), models[0].parameters()):
        close(a, b)


@pytest.mark.parametrize("factor, steps, scale", [(float("nan"), 20, 2.0**-1065), (1e-30, 20, 2.0**115), (1e-30, 5, 3e38)])
def test_a_scale_ends_at_zero_or_at_the_largest_float32(factor, steps, scale):
    found = []
    for library in (torch, rl):
        p = library.nn.Parameter(library.ones(2))
        optimizer = library.optim.SGD([p], 0.0)
        scaler = library.amp.GradScaler(device_of(library), init_scale=scale, growth_interval=1)
        for _ in range(steps):
            optimizer.zero_grad()
            scaler.scale((p * factor).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        found.append([scaler.get_scale(), p.tolist()])
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-6) and found[1][1] == found[0][1]


def test_scalers_states_and_what_they_refuse():
    device = device_of(rl)
    scaler, weight = rl.amp.GradScaler(device, init_scale=4.0), rl.nn.Parameter(rl.ones(2))
    optimizer = rl.optim.SGD([weight], lr=1.0)
    with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
        scaler.step(optimizer)
    scaler = copy.deepcopy(rl.amp.GradScaler(device, init_scale=4.0))
    assert [float(t) for t in scaler.scale(rl.ones(2))] == [float(t) for t in scaler.scale(iter([rl.ones(()), rl.ones(())]))] == [4.0, 4.0]
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    assert weight.grad.tolist() == [1.0, 1.0] and [float(bad) for bad in scaler._found_inf_per_device(optimizer).values()] == [0.0]
    with pytest.raises(RuntimeError, match=r"unscale_\(\) has already been called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called"):
        scaler.step(optimizer)
    scaler.update()
    assert weight.tolist() == [0.0, 0.0]
    half = rl.nn.Parameter(rl.ones(2).half())
    half.grad = rl.ones(2).half()
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.unscale_(rl.optim.SGD([half]))


@pytest.mark.parametrize("name", "SGD Adam AdamW RMSprop Adagrad Adadelta NAdam RAdam Adamax Adafactor".split())
def test_optimizers_within_autocast(name):
    models = pair(lambda library: library.nn.Linear(3, 3))
    for library, model, x in zip((torch, rl), models, drawn(2, 3)):
        optimizer = getattr(library.optim, name)(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            with autocast(library):  # all of the step, as some programs have it
                model(x).square().mean().backward()
                optimizer.step()
    for a, b in zip(models[1].parameters(), models[0].parameters()):
        assert a.dtype is rl.float32
        close(a, b, 0.01)


def test_older_spellings():
    with pytest.warns(FutureWarning, match=r"torch.cpu.amp.autocast\(args...\)` is deprecated"), rl.cpu.amp.autocast():
        if device_of(rl) == "cpu":
            assert (rl.ones(2, 2) @ rl.ones(2, 2)).dtype is rl.bfloat16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from rushlight.cuda.amp.common import amp_definitely_not_available
        from rushlight.cuda.amp.grad_scaler import GradScaler, OptState

        assert GradScaler(enabled=False).get_scale() == 1.0 and OptState.READY.value == 0
        assert amp_definitely_not_available() == (not rl.cuda.is_available())
