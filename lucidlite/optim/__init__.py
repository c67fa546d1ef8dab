"""Optimizers: what turns gradients into steps, in the order of their history."""

from . import lr_scheduler
from ..backend import get_num_threads, set_num_threads, use_kernel
from .optimizer import Optimizer
from .sgd import SGD
from .rprop import ASGD, Rprop
from .ada import Adadelta, Adagrad
from .rmsprop import RMSprop
from .adam import Adam, AdamW, Adamax, NAdam, RAdam
from .sgd import Lion

RMSProp = RMSprop  # netcl's spelling
