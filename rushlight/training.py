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

import rushlight as torch


def accuracy(output, target):
    """The number of rows whose largest output is at the label, as an int."""
    return int((output.argmax(1) == target).sum())


def evaluate(model, loader, loss_fn, metric=None):
    """The mean loss over all samples of ``loader`` in evaluation mode, and with ``metric`` (a count of hits) the share of hits."""
    was_training = model.training
    model.eval()
    total = hits = samples = 0
    try:
        with torch.no_grad():
            for x, y in loader:
                output = model(x)
                total += loss_fn(output, y).item() * len(x)
                hits += metric(output, y) if metric else 0
                samples += len(x)
    finally:
        model.train(was_training)
    return (total / samples, hits / samples) if metric else (total / samples, None)


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
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
        samples += len(x)
    return total / samples


def _state(model, optimizer, scheduler, history, best, stale):
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history, "best": best, "stale": stale,
             "generator": torch.get_rng_state()}  # fmt: skip
    if scheduler is not None:
        state["scheduler"] = scheduler.state_dict()
    return state


def _restore(path, model, optimizer, scheduler):
    state = torch.load(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(state["scheduler"])
    torch.set_rng_state(state["generator"])
    return state["history"], state["best"], state["stale"]


def fit(model, loader, loss_fn, optimizer, *, epochs, validation=None, metric=None, scheduler=None, patience=None, checkpoint=None,
        resume=False, progress=True):  # fmt: skip
    """Trains ``model`` and returns the history: a dict of lists with one entry per epoch.

    loader, validation: give batches (input, target). metric: counts hits of a batch, e.g. :func:`accuracy`. scheduler: stepped after each
    epoch (with the validation loss if it wants one). patience: stops after so many epochs without a better validation loss.
    checkpoint: path
    of a file written after every epoch; resume: go on from it if it exists, with the very numbers of an uninterrupted run.
    """
    history = {"loss": [], "validation_loss": [], "validation_metric": []}
    best, stale = float("inf"), 0
    if resume and checkpoint and os.path.exists(checkpoint):
        history, best, stale = _restore(checkpoint, model, optimizer, scheduler)
    for epoch in range(len(history["loss"]), epochs):
        if patience is not None and stale > patience:
            break
        title = f"epoch {epoch + 1}/{epochs}"
        loss = _train_epoch(model, _bar(loader, title, progress), loss_fn, optimizer)
        history["loss"].append(loss)
        line = f"{title}  loss {loss:.4f}"
        if validation is not None:
            value, share = evaluate(model, validation, loss_fn, metric)
            history["validation_loss"].append(value)
            history["validation_metric"].append(share)
            best, stale = (value, 0) if value < best else (best, stale + 1)
            line += f"  validation loss {value:.4f}" + (f"  accuracy {share:.2%}" if share is not None else "")
        if scheduler is not None:
            _step_scheduler(scheduler, history)
        if checkpoint:
            torch.save(_state(model, optimizer, scheduler, history, best, stale), checkpoint)
        if progress:
            print(line, flush=True)
    return history


def _step_scheduler(scheduler, history):
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        scheduler.step((history["validation_loss"] or history["loss"])[-1])
    else:
        scheduler.step()
