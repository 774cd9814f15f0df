"""``torch.hub``: models from a local folder with a ``hubconf.py``, and weights from local files and the cache. Nothing is downloaded."""

import importlib.util
import os
import re
import sys
from urllib.parse import unquote, urlparse

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
_state = {"dir": None}


def __getattr__(name):
    if name == "tqdm":
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise AttributeError(f"module '{__name__}' has no attribute 'tqdm': the tqdm package is not installed") from None
        return tqdm
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def _get_torch_home():
    """TORCH_HOME, or ``torch`` in the user's cache folder."""
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir():
    """The folder of cached models and weights: that of :func:`set_dir`, or ``hub`` in TORCH_HOME."""
    return _state["dir"] or os.path.join(_get_torch_home(), "hub")


def set_dir(d):
    """Sets the folder of the cache."""
    _state["dir"] = os.path.expanduser(d)


def _folder(repo_or_dir, source):
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "local":
        return os.path.expanduser(repo_or_dir)
    owner, _, rest = repo_or_dir.partition("/")
    name, _, ref = rest.partition(":")
    for branch in (ref,) if ref else ("main", "master"):
        cached = os.path.join(get_dir(), "_".join((owner, name, branch)).replace("/", "_"))
        if os.path.isdir(cached):
            return cached
    raise RuntimeError(
        f"torch.hub: {repo_or_dir!r} is not in the cache {get_dir()!r}, and rushlight downloads no code.\n"
        "  Clone the repository yourself and pass its folder with source='local'."
    )


def _hubconf(folder):
    path = os.path.join(folder, "hubconf.py")
    if not os.path.exists(path):
        raise FileNotFoundError(f"torch.hub: there is no hubconf.py in {folder!r}")
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location("hubconf", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    missing = [d for d in getattr(module, "dependencies", ()) if importlib.util.find_spec(d) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def _entry(module, model):
    entry = getattr(module, model, None)
    if not callable(entry):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return entry


def load(repo_or_dir, model, *args, source="github", trust_repo="check", force_reload=False, verbose=True, skip_validation=False, **kwargs):
    """``model(*args, **kwargs)`` of the ``hubconf.py`` in a folder (``source='local'``), or in a repository that is in the cache."""
    return _entry(_hubconf(_folder(repo_or_dir, source)), model)(*args, **kwargs)


def help(github, model, force_reload=False, skip_validation=False, trust_repo="check", verbose=True, source="github"):
    """The documentation of a model."""
    return _entry(_hubconf(_folder(github, source)), model).__doc__


def _models(github, force_reload=False, skip_validation=False, trust_repo="check", verbose=True, source="github"):
    """The names of the models in a ``hubconf.py``."""
    module = _hubconf(_folder(github, source))
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


list = _models


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Copies a ``file://`` address to ``dst``; other addresses are refused."""
    import hashlib
    import shutil

    source = _local(url)
    if hash_prefix is not None:
        with open(source, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        if not digest.startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest}")')
    shutil.copyfile(source, dst)


def _local(url):
    parts = urlparse(url)
    if parts.scheme not in ("", "file"):
        raise RuntimeError(
            f"torch.hub: {url!r} is not in the cache, and rushlight downloads nothing.\n"
            f"  Fetch it yourself into {os.path.join(get_dir(), 'checkpoints')!r}, or pass a file:// address."
        )
    return unquote(parts.path)


def load_state_dict_from_url(
    url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=True
):
    """The weights that ``url`` names, from the cache folder or a ``file://`` address; anything else raises RuntimeError."""
    from .serialization import load

    name = file_name or os.path.basename(urlparse(url).path)
    cached = os.path.join(model_dir or os.path.join(get_dir(), "checkpoints"), name)
    return load(cached if os.path.exists(cached) else _local(url), map_location=map_location, weights_only=weights_only)
