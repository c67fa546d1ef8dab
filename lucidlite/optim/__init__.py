"""Optimizers: what turns gradients into steps."""

from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

RMSProp = RMSprop  # netcl's spelling
