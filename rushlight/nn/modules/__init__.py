"""The layers: one file per topic."""

from .activation import *
from .container import *
from .distance import *
from .linear import *
from .loss import *
from .module import Module  # noqa: F401
