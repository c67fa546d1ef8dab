"""Normalisation: numbers brought to mean 0 and variance 1, whatever the layers before it are doing."""

from typing import Any

from .. import backend, checks, creation, ops
from ..autograd import defgrad, op
from ..tensor import Parameter, Tensor
from .basic import FunctionLayer, floating, sizes


def _wide(x):
    return x.astype("float32") if x.dtype.itemsize < 4 else x  # in float16 squares above 65504 would be infinite


@op
def _standardize(x, axis, eps):
    r"""Mean 0 and variance 1 along these axes, where μ is `mean`, v is `var` and ε is `eps`.

    (1)  μ = \operatorname{mean}_i x_i
    (2)  v = \operatorname{mean}_i (x_i - μ)^2
    (3)  y = \frac{x - μ}{\sqrt{v + ε}}"""
    dtype, x = x.dtype, _wide(x)
    mean = x.mean(axis, keepdims=True)  # (1)
    var = backend.xp(x).square(x - mean).mean(axis, keepdims=True)  # (2)
    y = (x - mean) / backend.xp(x).sqrt(var + eps)  # (3)
    return y.astype(dtype, copy=False)


def _standardize_x(g, x, y, axis, eps):
    r"""The gradient of `_standardize`: what would change mean and variance has no effect, and goes.

        (1)  σ = \sqrt{\operatorname{mean}_i (x_i - \bar{x})^2 + ε}
        (2)  a = \operatorname{mean}_i g_i
        (3)  b = \operatorname{mean}_i g_i y_i
        (4)  ∂x = \frac{g - a - y b}{σ}

    where x̄ is `x.mean(axis=axis, keepdims=True)` and ε is `eps`."""
    x = _wide(x)
    sigma = ops.sqrt(ops.var(x, axis, True) + eps)  # (1)
    a = g.mean(axis=axis, keepdims=True)  # (2)
    b = (g * y).mean(axis=axis, keepdims=True)  # (3)
    return (g - a - y * b) / sigma  # (4)


defgrad(_standardize, x=_standardize_x)


def _affine(y, weight, bias, shape):
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def batch_norm(input_, running_mean: Any = None, running_var: Any = None, weight=None, bias=None, training=True,
               momentum=0.1, eps=1e-5):  # fmt: skip
    r"""Normalise each channel of (batch, channels, ...) over the batch and all positions; then weight and bias follow.

        (1)  r_t = (1 - α) r_{t-1} + α μ
        (2)  s_t = (1 - α) s_{t-1} + α \frac{n v}{n - 1}

    where r is `running_mean.data`, s is `running_var.data`, μ is `mean`, v is `var` and α is `momentum`. In training
    these running statistics, if given, are kept; without `training` they are used in place of the batch's own. As in
    PyTorch, s is unbiased (lucid's is not). Source: Ioffe and Szegedy, arXiv:1502.03167, 2015, algorithms 1 and 2."""
    input_, channels, n = floating(input_), input_.shape[1], input_.size // max(1, input_.shape[1])
    shape, axis = (channels, *(1,) * (input_.ndim - 2)), (0, *range(2, input_.ndim))
    if any(p is not None and p.shape != (channels,) for p in (running_mean, running_var, weight, bias)):
        raise ValueError(f"input_ {input_.shape} must be (batch, channels, ...), all others (channels)")
    kept = [p for p in (running_mean, running_var) if p is not None]
    checks.refuse(len(kept) == 1 or not (kept or training), "running_mean and running_var go together; give both")
    if not training:
        y = (input_ - running_mean.reshape(shape)) / ops.sqrt(running_var.reshape(shape) + eps)
        return _affine(y, weight, bias, shape)
    checks.refuse(n < 2, f"input_ {input_.shape} has one value per channel, without variance; take a larger batch")
    if kept:
        x = _wide(backend.raw(input_))
        mean, var = x.mean(axis), x.var(axis)
        running_mean.data = (1 - momentum) * running_mean.data + momentum * mean  # (1)
        running_var.data = (1 - momentum) * running_var.data + momentum * (var * n / (n - 1))  # (2)
    return _affine(_standardize(input_, axis, eps), weight, bias, shape)


def layer_norm(input_, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalise every sample over its last axes, `normalized_shape`. Source: Ba and others, arXiv:1607.06450."""
    shape = backend.whole_numbers((normalized_shape,))
    checks.refuse(input_.shape[-len(shape) :] != shape, f"input_ {input_.shape} does not end in {shape}")
    return _affine(_standardize(floating(input_), tuple(range(-len(shape), 0)), eps), weight, bias, shape)


def group_norm(input_, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalise every sample over each of `num_groups` groups of channels. Source: Wu and He, arXiv:1803.08494."""
    if input_.ndim < 2 or input_.shape[1] % checks.whole("num_groups", num_groups):
        raise ValueError(f"input_ {input_.shape} must be (batch, channels, ...), channels a multiple of {num_groups}")
    batch, channels, *lengths = input_.shape
    parts = input_.reshape(batch, num_groups, channels // num_groups, *lengths)
    y = _standardize(floating(parts), tuple(range(2, parts.ndim)), eps).reshape(input_.shape)
    return _affine(y, weight, bias, (channels, *(1,) * len(lengths)))


class Norm(FunctionLayer):
    """What the normalisations share: weight, which starts at 1, and bias, which starts at 0."""

    def __init__(self, shape, eps, affine, bias=True):
        self.eps = checks.number("eps", eps)
        self.weight = Parameter(creation.ones(shape)) if checks.flag("affine", affine) else None
        self.bias = Parameter(creation.zeros(shape)) if checks.flag("bias", bias) and affine else None


class BatchNorm1d(Norm, function=batch_norm):
    """`functional.batch_norm` of (batch, num_features) or (batch, num_features, length).

    `momentum` is the weight of the newest batch. Without `track_running_stats` each batch's own count."""

    axes = (2, 3)

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        sizes(self, num_features=num_features)
        super().__init__(num_features, eps, affine)
        self.momentum = checks.number("BatchNorm: momentum", momentum, high=1)
        kept = self.track_running_stats = checks.flag("BatchNorm: track_running_stats", track_running_stats)
        self.register_buffer("running_mean", creation.zeros(num_features) if kept else None)
        self.register_buffer("running_var", creation.ones(num_features) if kept else None)
        self.register_buffer("num_batches_tracked", Tensor(0) if kept else None)

    def forward(self, input_):
        checks.refuse(input_.ndim not in self.axes, f"input_ {input_.shape}: the number of axes must be in {self.axes}")
        y = super().forward(input_, training=self.training or self.running_mean is None)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.data = self.num_batches_tracked.data + 1
        return y


class BatchNorm2d(BatchNorm1d):
    """`BatchNorm1d` for images, (batch, channels, height, width)."""

    axes = (4,)


class LayerNorm(Norm, function=layer_norm):
    """`functional.layer_norm`: (..., *normalized_shape), which is a whole number or a tuple."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        self.normalized_shape = backend.whole_numbers((normalized_shape,))
        super().__init__(self.normalized_shape, eps, elementwise_affine, bias)


class GroupNorm(Norm, function=group_norm):
    """`functional.group_norm`: (batch, num_channels, ...)."""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        sizes(self, num_groups=num_groups, num_channels=num_channels)
        super().__init__(num_channels, eps, affine)
