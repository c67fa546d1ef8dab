"""Normalisation: numbers brought to mean 0 and variance 1, over a batch, a layer or a group of channels.

Layers behind it then see inputs of one size, whatever the layers before it are doing, and large steps stay safe.
"""

from typing import Any

from lucidlite import checks
from lucidlite.autograd import defgrad, op
from lucidlite.backend import raw, xp
from lucidlite.creation import ones, zeros
from lucidlite.errors import composed
from lucidlite.nn.module import Module
from lucidlite.ops import sqrt
from lucidlite.tensor import Parameter, Tensor

from .basic import sizes


def _wide(x):
    """x, from float16 in float32: squares above 65504 would be infinite."""
    return x.astype("float32") if x.dtype.itemsize < 4 else x


@op
def _standardize(x, axis, eps):
    r"""Mean 0 and variance 1 along these axes.

        (1)  μ = \operatorname{mean}_i x_i
        (2)  v = \operatorname{mean}_i (x_i - μ)^2
        (3)  y = \frac{x - μ}{\sqrt{v + ε}}

    where μ is `mean`, v is `var` and ε is `eps`.
    """
    dtype, x = x.dtype, _wide(x)
    mean = x.mean(axis, keepdims=True)  # (1)
    var = xp(x).square(x - mean).mean(axis, keepdims=True)  # (2)
    y = (x - mean) / xp(x).sqrt(var + eps)  # (3)
    return y.astype(dtype, copy=False)


def _standardize_x(g, x, y, axis, eps):
    r"""The gradient of `_standardize`: what would change mean and variance has no effect, and goes.

        (1)  σ = \sqrt{\operatorname{mean}_i (x_i - \bar{x})^2 + ε}
        (2)  a = \operatorname{mean}_i g_i
        (3)  b = \operatorname{mean}_i g_i y_i
        (4)  ∂x = \frac{g - a - y b}{σ}

    where ∂x is `gradient`, x̄ is `x.mean(axis=axis, keepdims=True)` and ε is `eps`.
    """
    x = _wide(x)
    centered = x - x.mean(axis=axis, keepdims=True)
    sigma = sqrt((centered * centered).mean(axis=axis, keepdims=True) + eps)  # (1)
    a = g.mean(axis=axis, keepdims=True)  # (2)
    b = (g * y).mean(axis=axis, keepdims=True)  # (3)
    gradient = (g - a - y * b) / sigma  # (4)
    return gradient


defgrad(_standardize, x=_standardize_x)


def _affine(y, weight, bias, shape):
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


@composed
def batch_norm(
    input_, running_mean: Any = None, running_var: Any = None, weight=None, bias=None, training=True, momentum=0.1,
    eps=1e-5,
):  # fmt: skip
    r"""Normalise each channel of (batch, channels, ...) over the batch and all positions, then scale and shift it.

        (1)  r_t = (1 - α) r_{t-1} + α μ
        (2)  s_t = (1 - α) s_{t-1} + α \frac{n v}{n - 1}

    where r is `running_mean.data`, s is `running_var.data`, μ is `mean`, v is `var` and α is `momentum`. In training
    these running statistics are kept; without `training` they are used in place of the batch's own. As in PyTorch, s
    is unbiased (lucid's is not). `weight` and `bias`, (channels), scale and shift.

    Source: Ioffe and Szegedy, arXiv:1502.03167, 2015, algorithms 1 and 2.
    """
    channels, known = input_.shape[1] if input_.ndim > 1 else 0, running_mean is not None
    if any(p is not None and p.shape != (channels,) for p in (running_mean, running_var, weight, bias)):
        raise ValueError(f"input_ {input_.shape} must be (batch, channels, ...), with a number of each channel given")
    if known != (running_var is not None) or not (known or training):
        raise ValueError("running_mean and running_var come together; without training they are needed")
    shape, axis = (channels, *(1,) * (input_.ndim - 2)), (0, *range(2, input_.ndim))
    if not training:
        y = (input_ - running_mean.reshape(shape)) / sqrt(running_var.reshape(shape) + eps)
        return _affine(y, weight, bias, shape)
    n = input_.size // max(1, channels)
    if n < 2:
        raise ValueError(f"input_ {input_.shape} has one value per channel, which has no variance; take a larger batch")
    if known:
        x = _wide(raw(input_))
        mean, var = x.mean(axis), x.var(axis)
        running_mean.data = (1 - momentum) * running_mean.data + momentum * mean  # (1)
        running_var.data = (1 - momentum) * running_var.data + momentum * (var * n / (n - 1))  # (2)
    return _affine(_standardize(input_, axis, eps), weight, bias, shape)


def _shape(normalized_shape):
    shape = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    return tuple(checks.whole("normalized_shape", n) for n in shape)


@composed
def layer_norm(input_, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalise every sample over its last axes, which are `normalized_shape`; weight and bias have this shape.

    Source: Ba, Kiros and Hinton, arXiv:1607.06450, 2016, equation 3.
    """
    shape = _shape(normalized_shape)
    if input_.shape[-len(shape) :] != shape:
        raise ValueError(f"input_ {input_.shape} does not end in normalized_shape {shape}")
    return _affine(_standardize(input_, tuple(range(-len(shape), 0)), eps), weight, bias, shape)


@composed
def group_norm(input_, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalise every sample (channels, ...) over each of `num_groups` groups of its channels and all positions.

    Source: Wu and He, arXiv:1803.08494, 2018, equations 1 to 7.
    """
    if input_.ndim < 2 or input_.shape[1] % checks.whole("num_groups", num_groups):
        raise ValueError(f"input_ {input_.shape} must be (batch, channels, ...), channels a multiple of {num_groups}")
    batch, channels, *lengths = input_.shape
    parts = input_.reshape(batch, num_groups, channels // num_groups, *lengths)
    y = _standardize(parts, tuple(range(2, parts.ndim)), eps).reshape(input_.shape)
    return _affine(y, weight, bias, (channels, *(1,) * len(lengths)))


class Norm(Module):
    """What the normalisations share: weight, which starts at 1, and bias, which starts at 0."""

    def __init__(self, shape, eps, affine, bias=True):
        super().__init__()
        self.eps = checks.number("eps", eps)
        self.weight = Parameter(ones(shape)) if checks.flag("affine", affine) else None
        self.bias = Parameter(zeros(shape)) if checks.flag("bias", bias) and affine else None


class BatchNorm1d(Norm):
    """`functional.batch_norm` of (batch, num_features) or (batch, num_features, length).

    `momentum` is the weight of the newest batch in the running statistics; None weighs all batches alike. Without
    `track_running_stats` there are none, and the batch's own are used after `eval()` too.
    """

    axes = (2, 3)

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        sizes(self, num_features=num_features)
        super().__init__(num_features, eps, affine)
        self.momentum = momentum if momentum is None else checks.number("BatchNorm: momentum", momentum, high=1)
        kept = self.track_running_stats = checks.flag("BatchNorm: track_running_stats", track_running_stats)
        self.register_buffer("running_mean", zeros(num_features) if kept else None)
        self.register_buffer("running_var", ones(num_features) if kept else None)
        self.register_buffer("num_batches_tracked", Tensor(0) if kept else None)

    def forward(self, input_):
        checks.choice(f"{type(self).__name__}: the number of axes", input_.ndim, self.axes)
        count, momentum = self.num_batches_tracked, self.momentum
        if self.training and count is not None:
            count.data = count.data + 1
            momentum = 1 / count.data if momentum is None else momentum
        own, training = (self.running_mean, self.running_var), self.training or count is None
        return batch_norm(input_, *own, self.weight, self.bias, training, momentum, self.eps)


class BatchNorm2d(BatchNorm1d):
    """`BatchNorm1d` for images, (batch, channels, height, width)."""

    axes = (4,)


class LayerNorm(Norm):
    """`functional.layer_norm`: (..., *normalized_shape), which is a whole number or a tuple."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        self.normalized_shape = _shape(normalized_shape)
        super().__init__(self.normalized_shape, eps, elementwise_affine, bias)

    def forward(self, input_):
        return layer_norm(input_, self.normalized_shape, self.weight, self.bias, self.eps)


class GroupNorm(Norm):
    """`functional.group_norm`: (batch, num_channels, ...)."""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        sizes(self, num_groups=num_groups, num_channels=num_channels)
        super().__init__(num_channels, eps, affine)

    def forward(self, input_):
        return group_norm(input_, self.num_groups, self.weight, self.bias, self.eps)
