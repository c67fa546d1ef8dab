"""Layers, losses and what holds them together. `functional` has the same as plain functions."""

from ..tensor import Parameter
from . import functional, init, utils
from .module import Module
from .containers import ModuleDict, ModuleList, Sequential
from .basic import Dropout, Flatten, Identity, Linear
from .activations import ELU, GELU, SELU, LeakyReLU, LogSoftmax, Mish, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, L1Loss, MSELoss, NLLLoss
