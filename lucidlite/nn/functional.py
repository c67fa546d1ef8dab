"""Layers, activations and losses as functions; each is defined beside its layer."""

# ruff: noqa: F401, I001  (they are imported for the user, and one to a line would take a page)
from ..ops import relu, sigmoid, tanh
from .activations import elu, gelu, leaky_relu, log_softmax, mish, selu, silu, softmax, softplus
from .basic import dropout, linear
from .losses import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, nll_loss, one_hot
from .losses import huber_loss, l1_loss, mse_loss
