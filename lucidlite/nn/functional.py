"""Layers, activations and losses as functions; each is defined beside its layer. When one fails, the error names it."""

# ruff: noqa: F401, I001  (they are imported for the user, and one to a line would take a page)
from ..checks import composed as _composed
from ..ops import relu, sigmoid, tanh
from .activations import elu, gelu, leaky_relu, log_softmax, mish, selu, silu, softmax, softplus
from .basic import bilinear, dropout, dropout2d, embedding, linear
from .losses import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, nll_loss, one_hot
from .losses import huber_loss, l1_loss, mse_loss
from .convolution import conv1d, conv2d, conv_transpose2d, unfold
from .convolution import adaptive_avg_pool2d, avg_pool1d, avg_pool2d, interpolate, max_pool1d, max_pool2d
from .normalization import batch_norm, group_norm, layer_norm
from .attention import scaled_dot_product_attention

_plain = [name for name, function in globals().items() if name[0] != "_" and not hasattr(function, "op")]
globals().update({name: _composed(globals()[name]) for name in _plain})
