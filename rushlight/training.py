"""A training loop for the common case: progress, validation, early stopping, checkpoints, and resuming without a trace.

>>> import rushlight as torch
>>> from rushlight.training import fit
>>> _ = torch.manual_seed(0)
>>> data = torch.utils.data.TensorDataset(torch.randn(64, 3), torch.randn(64, 1))
>>> model = torch.nn.Linear(3, 1)
>>> history = fit(model, torch.utils.data.DataLoader(data, 16, shuffle=True), torch.nn.MSELoss(),
...               torch.optim.SGD(model.parameters(), 0.1), epochs=3, progress=False)
>>> len(history["loss"])
3
"""

import os
import random
import sys

import rushlight as torch

__all__ = ["accuracy", "evaluate", "fit"]


def accuracy(output, target):
    """The number of rows whose largest output is at the label, as an int.

    >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), torch.tensor([1, 0, 0]))
    2
    """
    return int((output.argmax(1) == target).sum())


def evaluate(model, loader, loss_fn, metric=None):
    """The mean loss over all samples of ``loader``, and with ``metric`` (a count of hits) the share of hits, else None.

    The model runs in evaluation mode without gradients, and is put back into the mode it was in. ValueError for a loader without batches.

    >>> batches = [(torch.zeros(3, 2), torch.tensor([0, 0, 1]))]
    >>> loss, share = evaluate(nn.Identity(), batches, nn.CrossEntropyLoss(), metric=accuracy)
    >>> round(loss, 4), round(share, 4)
    (0.6931, 0.6667)
    """
    was_training = model.training
    model.eval()
    total = hits = samples = 0
    try:
        with torch.no_grad():
            for x, y in _on_device_of(model, loader):
                output = model(x)
                total += loss_fn(output, y).item() * len(x)
                hits += metric(output, y) if metric else 0
                samples += len(x)
    finally:
        model.train(was_training)
    return total / _positive(samples), hits / samples if metric else None


def _on_device_of(model, batches):
    """The batches (input, target), moved to where the model's parameters are."""
    parameter = next(model.parameters(), None)
    for x, y in batches:
        yield (x, y) if parameter is None else (x.to(parameter.device), y.to(parameter.device))


def _positive(samples):
    if not samples:
        raise ValueError("the loader gave no batch: is the data set empty, or smaller than one batch with drop_last=True?")
    return samples


def _bar(loader, title, progress):
    """The batches, behind a progress bar where tqdm is installed and somebody looks."""
    if progress:
        try:
            from tqdm import tqdm
        except ImportError:
            return loader
        return tqdm(loader, desc=title, leave=False, unit="batch")
    return loader


def _train_epoch(model, batches, loss_fn, optimizer):
    model.train()
    total = samples = 0
    for x, y in _on_device_of(model, batches):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
        samples += len(x)
    return total / _positive(samples)


# -- checkpoints ---------------------------------------------------------------------------------------------------------


class _Run:
    """What an interrupted run needs to go on as if nothing had happened."""

    def __init__(self, model, loader, optimizer, scheduler):
        self.parts = {"model": model, "optimizer": optimizer}
        if scheduler is not None:
            self.parts["scheduler"] = scheduler
        self.generator = getattr(loader, "generator", None)
        self.history = {"loss": [], "validation_loss": [], "validation_metric": []}
        self.best, self.stale = float("inf"), 0

    def save(self, path):
        state = {name: part.state_dict() for name, part in self.parts.items()}
        torch.save({**state, "history": self.history, "best": self.best, "stale": self.stale, "random": self._random_states()}, path)

    def load(self, path):
        state = torch.load(path)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.history, self.best, self.stale = state["history"], state["best"], state["stale"]
        self._set_random_states(state["random"])

    def _random_states(self):
        """Of all generators that shuffling, dropout and the data set's own transforms may draw from."""
        states = {"default": torch.get_rng_state(), "python": random.getstate()}
        if torch.cuda.is_initialized():
            states["gpus"] = torch.cuda.get_rng_state_all()
        if self.generator is not None:
            states["loader"] = self.generator.get_state()
        if "numpy" in sys.modules:
            name, keys, *rest = sys.modules["numpy"].random.get_state()
            states["numpy"] = (name, keys.tolist(), *rest)
        return states

    def _set_random_states(self, states):
        torch.set_rng_state(states["default"])
        torch.cuda.set_rng_state_all(states.get("gpus", [])[: torch.cuda.device_count()])
        random.setstate(states["python"])
        if self.generator is not None and "loader" in states:
            self.generator.set_state(states["loader"])
        if "numpy" in states:
            import numpy

            numpy.random.set_state(states["numpy"])


# -- the loop ------------------------------------------------------------------------------------------------------------


def fit(model, loader, loss_fn, optimizer, *, epochs, validation=None, metric=None, scheduler=None, patience=None, checkpoint=None,
        best=None, resume=False, progress=True):  # fmt: skip
    """Trains ``model``; returns its history, lists with one entry per epoch: ``loss``, ``validation_loss``, ``validation_metric``.

    loader, validation: give batches (input, target), which are moved to the model's device.
    metric: counts hits of a batch, e.g. :func:`accuracy`; the history has their share.
    scheduler: stepped after each epoch (ReduceLROnPlateau with the validation loss, or the training loss if there is none).
    patience: training ends after so many epochs in a row without a better validation loss.
    checkpoint: path of a file that is written after every epoch, with all that is needed to go on.
    best: path of a file with the model's state_dict at the best validation loss.
    resume: go on from ``checkpoint`` if it exists, with the very numbers of an uninterrupted run.
    progress: a bar for each epoch where tqdm is installed, and a line after it.

    ValueError for ``patience`` or ``best`` without ``validation``, ``resume`` without ``checkpoint``, and a loader without batches.

    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> batches = [(x, torch.tensor([0, 1]))]
    >>> model = nn.Linear(1, 2)
    >>> optimizer = optim.SGD(model.parameters(), lr=1.0)
    >>> history = fit(model, batches, nn.CrossEntropyLoss(), optimizer, epochs=20, progress=False)
    >>> len(history["loss"]), history["loss"][-1] < 0.1
    (20, True)
    """
    _check_options(validation, patience, best, checkpoint, resume)
    run = _Run(model, loader, optimizer, scheduler)
    if resume and os.path.exists(checkpoint):
        run.load(checkpoint)
    for epoch in range(len(run.history["loss"]), epochs):
        if patience is not None and run.stale >= max(patience, 1):
            break
        title = f"epoch {epoch + 1}/{epochs}"
        loss = _train_epoch(model, _bar(loader, title, progress), loss_fn, optimizer)
        run.history["loss"].append(loss)
        line = f"{title}  loss {loss:.4f}"
        if validation is not None:
            line += _validate(run, validation, loss_fn, metric, best)
        if scheduler is not None:
            _step_scheduler(scheduler, run.history)
        if checkpoint:
            run.save(checkpoint)
        if progress:
            print(line, flush=True)
    return run.history


def _check_options(validation, patience, best, checkpoint, resume):
    for name, given in (("patience", patience), ("best", best)):
        if given is not None and validation is None:
            raise ValueError(f"fit(): {name} judges by the validation loss, so it needs validation=<loader>")
    if resume and not checkpoint:
        raise ValueError("fit(): resume needs the path to go on from, checkpoint=<path>")


def _validate(run, loader, loss_fn, metric, best_path):
    """Notes the validation loss and share of hits of one epoch; returns their part of the line to print."""
    model = run.parts["model"]
    value, share = evaluate(model, loader, loss_fn, metric)
    run.history["validation_loss"].append(value)
    run.history["validation_metric"].append(share)
    if value < run.best:
        run.best, run.stale = value, 0
        if best_path:
            torch.save(model.state_dict(), best_path)
    else:
        run.stale += 1
    return f"  validation loss {value:.4f}" + (f"  accuracy {share:.2%}" if share is not None else "")


def _step_scheduler(scheduler, history):
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        scheduler.step((history["validation_loss"] or history["loss"])[-1])
    else:
        scheduler.step()
