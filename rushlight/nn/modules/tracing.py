"""Names, on an error's way out, the module that raised it: its path in the model, what it is, what it was called with."""

import rushlight as torch

_PATH = "_module_path"


def note_module(error, module, args):
    """Extends the note on ``error`` by one level; called by each module that the error passes, innermost first."""
    try:
        _extend_note(error, module, args)
    except Exception:  # a broken __repr__ of the user's must not hide the error on its way
        pass


def _extend_note(error, module, args):
    trail = error.__dict__.get(_PATH)
    if trail is None:
        trail = error.__dict__[_PATH] = {"last": module, "names": [], "what": _describe(module, args), "note": None}
    else:
        name = next((name for name, below in module.named_modules() if below is trail["last"]), None)
        if name:
            trail["names"].insert(0, name)
        trail["last"] = module
    path = ".".join(trail["names"])
    note = f"in module {path + ': ' if path else ''}{trail['what']}"
    notes = getattr(error, "__notes__", None)
    if trail["note"] is not None and notes and trail["note"] in notes:
        notes[notes.index(trail["note"])] = note
    else:
        error.add_note(note)
    trail["note"] = note


def _describe(module, args):
    given = ", ".join(_describe_argument(arg) for arg in args)
    return f"{module._get_name()}({'...' if module._modules else module.extra_repr()}) called with ({given})"


def _describe_argument(arg):
    if isinstance(arg, torch.Tensor):
        return f"tensor {tuple(arg.shape)} {str(arg.dtype).removeprefix('torch.')} on {arg.device}"
    return type(arg).__name__
