"""Optimizers: what turns gradients into steps, in the order of their history."""

from . import lr_scheduler
from ..kernels import get_num_threads, set_num_threads, use_kernel
from .optimizer import Optimizer
from .classic import ASGD, SGD, Adadelta, Adagrad, Rprop
from .rmsprop import RMSprop
from .adam import Adam, AdamW, Adamax, Lion, NAdam, RAdam

RMSProp = RMSprop  # netcl's spelling
