"""Optimizers: what turns gradients into steps."""

from ..backend import get_num_threads, set_num_threads, use_kernel
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

RMSProp = RMSprop  # netcl's spelling
