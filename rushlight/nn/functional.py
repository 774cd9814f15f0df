"""Every function of ``torch.nn.functional``: what modules compute, without their parameters."""

from ._functional_activation import *
from ._functional_class_loss import *
from ._functional_distance import *
from ._functional_linear import *
from ._functional_loss import *
