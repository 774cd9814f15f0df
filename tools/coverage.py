"""``python tools/coverage.py [--check]``: writes docs/coverage.md, the table of what is compared with PyTorch, from the tests' own cases.

It needs PyTorch 2.13, whose public names it counts: a name without a case and without a reason is an error.
"""

import inspect
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "coverage.md"

HEAD = """# Coverage: what is compared with PyTorch

Made by `tools/coverage.py` from the cases of the tests; a test fails if it is out of date, or if PyTorch 2.13 has a public name that is
not here.
Each case runs under both libraries from the same seed.

- **Modules** (`tests/test_nn_module.py`): text, names, initial weights, state_dict, values, gradients of inputs and parameters, and the
  position of the generator afterwards; in training and evaluation mode, float32 and float64.
- **Functions** (`tests/test_functional.py`): values, dtypes, gradients, position of the generator; float32 and float64.
- **Optimizers** (`tests/test_optim.py`): losses, parameters and state_dict over several steps, loading and pickling.
- **Schedulers** (`tests/test_optim.py`): learning rates, momenta and state_dict over 22 epochs with two optimizers.
- **Signatures** of all of them (`tests/test_signatures.py`): names, order and defaults of the arguments.

A number is the number of cases.
"""

ELSEWHERE = {
    "modules": {
        "Container": "the old name of Module",
        "Module": "the base class: test_nn_mechanics.py",
        "ModuleDict": "test_nn_mechanics.py", "ModuleList": "test_nn_mechanics.py", "ParameterDict": "test_nn_mechanics.py",
        "ParameterList": "test_nn_mechanics.py", "Sequential": "test_nn_mechanics.py",
        "Parameter": "test_nn_mechanics.py", "Buffer": "test_nn_mechanics.py", "UninitializedParameter": "test_nn_mechanics.py",
        "UninitializedBuffer": "test_nn_mechanics.py",
        "RNNBase": "the base of RNN, LSTM and GRU", "RNNCellBase": "the base of the cells",
        "LinearCrossEntropyOptions": "a record of options of LinearCrossEntropyLoss",
        "DataParallel": "test_compat.py: one device", "SyncBatchNorm": "BatchNorm of one process: test_nn_mechanics.py",
    },
    "optimizers": {"Optimizer": "the base class", "SparseAdam": "by sparse gradients: compared in `tests/test_sparse_gradients.py`"},
    "schedulers": {"LRScheduler": "the base class", "_LRScheduler": "the base class", "ReduceLROnPlateau": "its own test"},
}  # fmt: skip


def counts(names):
    """{name: how often it occurs}."""
    found = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found


def sections():
    """(title, {public name: cases or text}, [names without either])."""
    import torch

    sys.path.insert(0, str(ROOT / "tests"))
    import functional_cases
    import nn_cases

    tests = (ROOT / "tests" / "test_optim.py").read_text()
    classes = {n for n in dir(torch.nn) if inspect.isclass(getattr(torch.nn, n)) and not n.startswith("_")}
    space = vars(torch.nn.functional).items()
    routines = {n: f for n, f in space if not n.startswith("_") and inspect.isroutine(f)}
    functions = {n for n, f in routines.items() if str(f.__module__).startswith(("torch", "None"))}
    schedulers = {n for n in torch.optim.lr_scheduler.__all__}
    optimizers = {n for n in dir(torch.optim) if inspect.isclass(getattr(torch.optim, n))}
    yield table("Modules", classes, counts(re.match(r"\w+", layer)[0] for layer, _ in nn_cases.LAYERS), ELSEWHERE["modules"])
    yield table("Functions", functions, counts(re.match(r"\w+", call)[0] for call in functional_cases.CASES), functional_cases.WITHOUT)
    yield table("Optimizers", optimizers, counts(re.findall(r'^    \("(\w+)", ', tests, re.M)), ELSEWHERE["optimizers"])
    yield table("Schedulers", schedulers, counts(re.findall(r"\bs\.(\w+)\(", tests)), ELSEWHERE["schedulers"])


def table(title, public, cases, elsewhere):
    """One section."""
    known = {name: cases.get(name) or elsewhere.get(name) for name in sorted(public, key=str.lower)}
    return title, {name: what for name, what in known.items() if what}, [name for name, what in known.items() if not what]


def page():
    """The page's text. SystemExit for a name with neither a case nor a reason."""
    text = HEAD
    for title, known, missing in sections():
        if missing:
            raise SystemExit(f"{title} without a case or a reason: {' '.join(missing)}")
        compared = {name: n for name, n in known.items() if isinstance(n, int)}
        text += f"\n## {title}: {len(compared)} of {len(known)} compared, {sum(compared.values())} cases\n\n"
        text += ", ".join(f"`{name}` {n}" for name, n in compared.items()) + ".\n"
        if others := {name: why for name, why in known.items() if name not in compared}:
            text += "\n| without a case of its own | because |\n|---|---|\n"
            text += "".join(f"| `{name}` | {why} |\n" for name, why in others.items())
    return text


def main():
    """The command."""
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            raise SystemExit("docs/coverage.md is out of date: run python tools/coverage.py")
        return
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
