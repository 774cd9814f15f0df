"""What PyTorch has under this name: ``optimization``; of ``proxy_tensor`` the predicates."""

from . import optimization, proxy_tensor  # noqa: F401
