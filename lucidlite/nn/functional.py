"""Layers, activations and losses as functions; each is defined beside its layer."""

# ruff: noqa: I001  (it would give every name a line)
from ..ops import relu, sigmoid, tanh
from .activations import elu, gelu, leaky_relu, log_softmax, mish, selu, silu, softmax, softplus
from .basic import dropout, linear
from .losses import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, huber_loss, l1_loss, mse_loss, nll_loss,
    one_hot,
)  # fmt: skip

__all__ = [
    "linear", "dropout", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "softplus", "mish",
    "softmax", "log_softmax", "mse_loss", "l1_loss", "huber_loss", "cross_entropy", "nll_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "one_hot",
]  # fmt: skip
