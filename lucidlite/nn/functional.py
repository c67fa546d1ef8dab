"""Layers, activations and losses as functions; where several ops would be slow they are one, with its rule below it.

Losses refuse shapes that differ: broadcasting (8, 1) against (8,) would average 64 differences instead of 8.
"""

import math
from typing import Any

from .. import backend
from ..autograd import defgrad, op, wrap
from ..backend import raw, xp
from ..ops import clip, exp, getitem, matmul, maximum, relu, sigmoid, sign, tanh, where
from ..random import generator
from . import checks

__all__ = [
    "linear", "dropout", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "softplus", "mish",
    "softmax", "log_softmax", "mse_loss", "l1_loss", "huber_loss", "cross_entropy", "nll_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "one_hot",
]  # fmt: skip

REDUCTIONS = ("mean", "sum", "none")
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


# ---- Layers ----------------------------------------------------------------------------------------------------------


@op
def linear(input_, weight, bias=None):
    """An affine map: (..., in), weight (out, in), bias (out) or None -> (..., out).

        (1)  Y = X W^⊤ + b

    where X is `input_`, W is `weight` and b is `bias`.

    >>> nn.functional.linear(lucidlite.ones(5, 3), lucidlite.ones(2, 3), lucidlite.ones(2)).shape
    (5, 2)
    """
    if weight.ndim != 2 or not input_.ndim or input_.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: input_ {input_.shape} and weight {weight.shape} must end in the same length")
    y = _rows(input_).dot(weight.T)
    if bias is not None:
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"linear: bias {bias.shape} must have a number for each row of weight {weight.shape}")
        y = y + bias  # (1)
    return y if input_.ndim == 2 else y.reshape(*input_.shape[:-1], len(weight))


def _rows(a):
    """(..., n) -> (rows, n)."""
    return a if a.ndim == 2 else a.reshape(-1, a.shape[-1])


def _linear_input(g, weight):
    return matmul(g, weight) if g.ndim == 2 else matmul(_rows(g), weight).reshape(*g.shape[:-1], weight.shape[1])


defgrad(
    linear,
    input_=_linear_input,
    weight=lambda g, input_: matmul(_rows(g).T, _rows(input_)),
    bias=lambda g: _rows(g).sum(axis=0),
)


def dropout(input_, p=0.5, training=True):
    r"""Each element becomes 0 with probability p, in [0, 1), or is scaled up, so that the expected value stays.

        (1)  k = \frac{m}{1 - p}
        (2)  y = k x

    where x is `input_`, k is `scale`, and m is `kept`: 1 with probability 1 - p, else 0, from the package's stream.
    Without `training` the input itself is returned.
    """
    p = checks.number("dropout: p", p, 0, 1, "[)")
    if not training or p == 0:
        return input_
    if input_.dtype.kind != "f":
        raise TypeError(f"dropout: input_ is {input_.dtype}; convert it with .astype('float32')")
    kept = (generator().random(input_.shape, dtype="float32") >= p).astype(input_.dtype)
    scale = kept / (1 - p)  # (1)
    return input_ * wrap(backend.move(scale, backend.device_of(raw(input_))))  # (2)


# ---- Activations, element by element ---------------------------------------------------------------------------------


@op
def leaky_relu(input_, negative_slope=0.01):
    r"""A ReLU whose negative side has a slope in [0, 1], which is also the derivative at 0.

        (1)  y = \max(x, s x)

    where x is `input_` and s is `negative_slope`.
    """
    if not 0 <= negative_slope <= 1:
        raise ValueError(f"leaky_relu: negative_slope is {negative_slope!r}; it must be a number in [0, 1]")
    return xp(input_).maximum(input_, negative_slope * input_)  # (1)


@op
def elu(input_, alpha=1.0):
    r"""Exponential linear unit.

        (1)  y = \max(x, 0) + α (e^{\min(x, 0)} - 1)

    where x is `input_`.
    """
    lib = xp(input_)
    return lib.maximum(input_, 0) + alpha * lib.expm1(lib.minimum(input_, 0))  # (1)


@op
def selu(a):
    r"""Scaled ELU, which keeps mean 0 and variance 1 from layer to layer.

        (1)  y = λ (\max(a, 0) + α (e^{\min(a, 0)} - 1))

    where λ is `SELU_SCALE`, 1.0507, and α is `SELU_ALPHA`, 1.6733.

    Source: Klambauer et al., Self-Normalizing Neural Networks, 2017, eq. 2.
    """
    lib = xp(a)
    return SELU_SCALE * (lib.maximum(a, 0) + SELU_ALPHA * lib.expm1(lib.minimum(a, 0)))  # (1)


defgrad(leaky_relu, input_=lambda g, input_, negative_slope: g * maximum(sign(input_), negative_slope))
defgrad(elu, input_=lambda g, input_, y, alpha: where(input_ > 0, g, g * (y + alpha)))
defgrad(selu, a=lambda g, a, y: g * where(a > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA))


def gelu(input_, approximate="none"):
    r"""Gaussian error linear unit: x times Φ, the probability that a standard normal number lies below x.

        (1)  Φ = \frac{1 + \operatorname{erf}(\frac{x}{\sqrt{2}})}{2}                          if approximate is "none"
        (2)  Φ = \frac{1 + \tanh(\sqrt{\frac{2}{π}} (x + 0.044715 x^3))}{2}                    if approximate is "tanh"
        (3)  y = x Φ

    where x is `input_` and Φ is `phi`.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, section 2.
    """
    if checks.choice("gelu: approximate", approximate, ("none", "tanh")) == "none":
        phi = _normal_cdf(input_)  # (1)
    else:
        phi = _normal_cdf_by_tanh(input_)  # (2)
    return input_ * phi  # (3)


@op
def _normal_cdf(a):
    return (1 + backend.erf(a * math.sqrt(0.5))) / 2


@op
def _normal_cdf_by_tanh(a):
    return (1 + xp(a).tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a * a * a))) / 2


defgrad(_normal_cdf, a=lambda g, a: g * (exp(-0.5 * a * a) / math.sqrt(2 * math.pi)))
defgrad(_normal_cdf_by_tanh, a=lambda g, a, y: g * (y * (1 - y) * (math.sqrt(8 / math.pi) * (1 + 0.134145 * a * a))))


@op
def silu(a):
    r"""Sigmoid linear unit, also called swish.

        (1)  y = \frac{a}{1 + e^{-a}}

    The derivative is s + y (1 - s), with s the sigmoid of a.
    """
    return a * sigmoid(a)  # (1)


@op
def softplus(input_, beta=1.0):
    r"""A smooth ReLU, computed so that it cannot overflow; PyTorch's `threshold` is not needed.

        (1)  z = β x
        (2)  y = \frac{\log(1 + e^z)}{β}

    where x is `input_`, and β is `beta`, a number > 0.
    """
    if not beta > 0:
        raise ValueError(f"softplus: beta is {beta!r}; it must be a number > 0")
    lib = xp(input_)
    z = beta * input_  # (1)
    return (lib.maximum(z, 0) + lib.log1p(lib.exp(-lib.abs(z)))) / beta  # (2)


@op
def mish(a):
    r"""A self-gated activation.

        (1)  y = a \tanh(\log(1 + e^a))

    Source: Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019, eq. 1.
    """
    return a * tanh(softplus(a))  # (1)


def _silu_rule(g, a, y):
    s = sigmoid(a)
    return g * (s + y * (1 - s))


def _mish_rule(g, a):
    """t + a (1 - t^2) s, with t the tanh and s the sigmoid, which is the derivative of softplus."""
    t = tanh(softplus(a))
    return g * (t + a * (1 - t * t) * sigmoid(a))


defgrad(silu, a=_silu_rule)
defgrad(softplus, input_=lambda g, input_, beta: g * sigmoid(beta * input_))
defgrad(mish, a=_mish_rule)


# ---- Softmax ---------------------------------------------------------------------------------------------------------


@op
def softmax(input_, axis=-1):
    r"""Positive numbers that add up to 1 along an axis; shifted by the maximum so that nothing overflows.

        (1)  z_i = e^{x_i - \max_j x_j}
        (2)  y_i = \frac{z_i}{\sum_j z_j}

    where x is `input_`, and i and j run along the axis.
    """
    z = xp(input_).exp(input_ - input_.max(axis=axis, keepdims=True))  # (1)
    return z / z.sum(axis=axis, keepdims=True)  # (2)


@op
def log_softmax(input_, axis=-1):
    r"""The logarithm of softmax, without computing that, which may be 0.

        (1)  z_i = x_i - \max_j x_j
        (2)  y_i = z_i - \log \sum_j e^{z_j}

    where x is `input_`, and i and j run along the axis.
    """
    z = input_ - input_.max(axis=axis, keepdims=True)  # (1)
    return z - xp(z).log(xp(z).exp(z).sum(axis=axis, keepdims=True))  # (2)


def _softmax_rule(g, y, axis):
    g = g * y
    return g - y * g.sum(axis=axis, keepdims=True)


defgrad(softmax, input_=_softmax_rule)
defgrad(log_softmax, input_=lambda g, y, axis: g - exp(y) * g.sum(axis=axis, keepdims=True))


# ---- Losses of numbers -----------------------------------------------------------------------------------------------


def mse_loss(input_, target, reduction="mean"):
    """The squared difference of two tensors of one shape.

        (1)  ℓ = (x - y)^2

    where ℓ is `losses`, x is `input_` and y is `target`.

    >>> nn.functional.mse_loss(lucidlite.tensor([1.0, 2.0]), lucidlite.tensor([1.0, 4.0]), reduction="none")
    Tensor([0., 4.])
    """
    input_, target = _pair("mse_loss", input_, target, reduction)
    losses = (input_ - target) ** 2  # (1)
    return _reduce(losses, reduction)


def l1_loss(input_, target, reduction="mean"):
    """The absolute difference of two tensors of one shape; its derivative at 0 is 0.

        (1)  ℓ = |x - y|

    where ℓ is `losses`, x is `input_` and y is `target`.
    """
    input_, target = _pair("l1_loss", input_, target, reduction)
    losses = abs(input_ - target)  # (1)
    return _reduce(losses, reduction)


def huber_loss(input_, target, delta=1.0, reduction="mean"):
    r"""Half the squared difference up to delta, a number > 0, and a straight line beyond it.

        (1)  d = x - y
        (2)  c = \max(-δ, \min(d, δ))
        (3)  ℓ = c (d - \frac{c}{2})

    where ℓ is `losses`, x is `input_`, y is `target` and δ is `delta`.

    Source: Huber, Robust Estimation of a Location Parameter, 1964.
    """
    input_, target = _pair("huber_loss", input_, target, reduction)
    delta = checks.number("huber_loss: delta", delta, 0, ends="()")
    d = input_ - target  # (1)
    c = clip(d, -delta, delta)  # (2)
    losses = c * (d - c / 2)  # (3)
    return _reduce(losses, reduction)


# ---- Losses of classes -----------------------------------------------------------------------------------------------


def cross_entropy(
    input_: Any, target: Any, weight: Any = None, reduction: str = "mean", ignore_index: int | None = None
) -> Any:
    """How surprised a classifier is by the labels: `nll_loss` of `log_softmax`, for logits of any size.

    Args:
        input_: logits, (classes), (batch, classes) or (batch, classes, d1, ...).
        target: labels, whole numbers from 0 to classes - 1: (), (batch) or (batch, d1, ...).
        weight: None, or a number for each class. The mean is then divided by the sum of the labels' weights.
        reduction: "mean", "sum", or "none" for the loss of each label.
        ignore_index: a label that does not count. None, as in lucid, passes over no label; PyTorch's default is -100.

    lucid's `eps` is not needed: no logarithm of 0 is taken.

    >>> nn.functional.cross_entropy(lucidlite.tensor([[0.0, 1e4]]), lucidlite.tensor([0])).item()
    10000.0
    """
    return _class_loss("cross_entropy", input_, target, weight, reduction, ignore_index)


def nll_loss(input_, target, weight=None, reduction="mean", ignore_index=None):
    """The negative log-probability of the labels: `cross_entropy`, but `input_` holds log-probabilities already."""
    return _class_loss("nll_loss", input_, target, weight, reduction, ignore_index)


def _class_loss(name, input_, target, weight, reduction, ignore_index):
    _check(name, input_, reduction)
    labels = _labels(name, raw(input_), target)
    single, kept = input_.ndim == 1, None
    if single:  # a batch of one
        input_, labels = input_.reshape(1, -1), labels.reshape(1)
    shape, classes = labels.shape, input_.shape[1]
    if ignore_index is not None and not (counts := labels != ignore_index).all():
        kept = counts.nonzero()
        labels = labels[kept]
    _check_range(name, labels, classes, ignore_index)
    places = kept or [xp(labels).arange(n).reshape((n,) + (1,) * (len(shape) - 1 - k)) for k, n in enumerate(shape)]
    w, total = 1, labels.size
    if weight is not None:
        weight = _constant(weight, input_)
        if weight.shape != (classes,):
            raise ValueError(
                f"{name}: weight has shape {weight.shape}; it needs a number for each of {classes} classes"
            )
        w = weight[labels]
        total = w.sum()
    n = {"mean": total, "sum": 1, "none": None}[reduction]
    if reduction == "mean" and not n:
        raise ValueError(f"{name}: the labels that count weigh 0 together, so there is no mean; take reduction='sum'")
    log_p = log_softmax(input_, 1) if name == "cross_entropy" else input_
    losses = _nll(log_p, (places[0], labels, *places[1:]), w, n)
    if kept and n is None:
        losses = _placed(losses, kept, shape)
    return losses.reshape(()) if single else losses


def _labels(name, a, target):
    """The labels as int64, in a copy: the gradient needs them unchanged. Their shape must go with that of `a`."""
    labels = raw(target)
    labels = labels if hasattr(labels, "dtype") else backend.array(labels, device=backend.device_of(a))
    if labels.dtype.kind not in "iu":
        hint = "convert with .astype('int64'); rows of probabilities become labels by .argmax(axis=1)"
        raise TypeError(f"{name}: target is {labels.dtype}; labels are the numbers of the classes, as integers: {hint}")
    if not a.ndim or labels.shape != (a.shape[:1] + a.shape[2:] if a.ndim > 1 else ()):
        hint = "(classes) goes with (), and (batch, classes, d1, ...) with (batch, d1, ...)"
        raise ValueError(f"{name}: input_ has shape {a.shape} and target {labels.shape}; {hint}")
    if type(a) is not type(labels):
        backend.same_device(name, ("input_", a), ("target", labels))
    return labels.astype("int64")


def _check_range(name, labels, classes, ignore_index):
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        hint = f"; ignore_index={wrong} would pass over it" if ignore_index is None else ""
        raise ValueError(f"{name}: target holds the label {wrong}; the {classes} classes are 0 to {classes - 1}{hint}")


@op
def _nll(a, index, w, n):
    r"""The negative log-probabilities of the labels; their mean, unless n is None.

        (1)  ℓ = -w q
        (2)  L = \frac{\sum_i ℓ_i}{n}

    where ℓ is `losses`, q is `a[index]`, and n is the sum of the weights w, or 1.
    """
    losses = -w * a[index]  # (1)
    if n is None:
        return losses
    return losses.sum() / n  # (2)


@op
def _placed(a, index, shape):
    """Zeros, with the elements of a at an index that names no element twice."""
    total = backend.zeros(shape, like=a)
    total[index] = a
    return total


defgrad(_nll, a=lambda g, index, w, n, a_shape: _placed(g * (-w / (n or 1)), index, a_shape))
defgrad(_placed, a=lambda g, index: getitem(g, index))


# ---- Losses of yes and no --------------------------------------------------------------------------------------------


def binary_cross_entropy(input_, target, weight=None, reduction="mean"):
    r"""How surprised one is by `target`, 0, 1 or between, after predicting probabilities; both of one shape.

        (1)  ℓ = -(t \log p + (1 - t) \log(1 - p))

    where ℓ is `losses`, p is `input_` and t is `target`. As in PyTorch, and in place of lucid's `eps`, logarithms below
    -100 count as -100; `binary_cross_entropy_with_logits` loses no digits. `weight`, an array that broadcasts to the
    shape, multiplies each loss.
    """
    input_, target = _pair("binary_cross_entropy", input_, target, reduction)
    p = raw(input_)
    if p.size and not 0 <= p.min() <= p.max() <= 1:
        what = f"input_ holds numbers from {p.min()} to {p.max()}, but probabilities are in [0, 1]"
        raise ValueError(f"binary_cross_entropy: {what}; take binary_cross_entropy_with_logits, or sigmoid before")
    losses = -(target * _log(input_) + (1 - target) * _log(1 - input_))  # (1)
    return _reduce(_weighted("binary_cross_entropy: weight", losses, weight), reduction)


def binary_cross_entropy_with_logits(input_, target, weight=None, pos_weight=None, reduction="mean"):
    r"""`binary_cross_entropy` of the sigmoid of `input_`, for logits of any size.

        (1)  ℓ = w t \log(1 + e^{-x}) + (1 - t) \log(1 + e^x)

    where ℓ is `losses`, x is `input_`, t is `target` and w is `pos_weight`, 1 unless given: more makes a missed yes
    worse than a missed no. It and `weight`, which multiplies each loss, are arrays that broadcast to the shape.

    >>> nn.functional.binary_cross_entropy_with_logits(lucidlite.tensor([-1e4]), lucidlite.tensor([1.0])).item()
    10000.0
    """
    name = "binary_cross_entropy_with_logits"
    input_, target = _pair(name, input_, target, reduction)
    pos_weight = 1 if pos_weight is None else _weights(f"{name}: pos_weight", pos_weight, input_)
    losses = _logits_loss(input_, target, pos_weight)  # (1)
    return _reduce(_weighted(f"{name}: weight", losses, weight), reduction)


@op
def _log(a):
    """log(a), but not less than -100; the derivative is 1 / a, but not more than 1e12."""
    zero = (a == 0).astype(a.dtype)
    return xp(a).maximum(xp(a).log(a + zero) - 100 * zero, -100)


@op
def _logits_loss(x, t, w):
    return w * t * softplus(-x) + (1 - t) * softplus(x)


defgrad(_log, a=lambda g, a: g / maximum(a, 1e-12))
defgrad(
    _logits_loss,
    x=lambda g, x, t, w: g * (sigmoid(x) * (1 + (w - 1) * t) - w * t),
    t=lambda g, x, w: g * (w * softplus(-x) - softplus(x)),
)


# ---- What the losses share, and labels -------------------------------------------------------------------------------


def _pair(name, input_, target, reduction):
    """Both, with the target as an array; refused unless their shapes are equal."""
    _check(name, input_, reduction)
    target = target if hasattr(target, "shape") else _constant(target, input_)
    if input_.shape != target.shape:
        shapes = f"input_ has shape {input_.shape} and target {target.shape}"
        raise ValueError(f"{name}: {shapes}; they must be equal, or elements would meet several others: reshape one")
    return input_, target


def _check(name, input_, reduction):
    checks.choice(f"{name}: reduction", reduction, REDUCTIONS)
    if not hasattr(input_, "dtype"):
        raise TypeError(f"{name}: input_ is a {type(input_).__name__}; it must be a Tensor")


def _constant(x, like):
    """A list, array or Tensor as a raw array of the dtype and device of `like`."""
    x, like = raw(x), raw(like)
    return x.astype(like.dtype) if hasattr(x, "astype") else backend.array(x, like.dtype, backend.device_of(like))


def _weights(what, weight, like):
    """Weights that broadcast to `like`, and not beyond it."""
    weight = _constant(weight, like)
    if weight.ndim > len(like.shape) or any(m not in (1, n) for m, n in zip(weight.shape[::-1], like.shape[::-1])):
        raise ValueError(f"{what} has shape {weight.shape}, which does not broadcast to losses of shape {like.shape}")
    return weight


def _weighted(what, losses, weight):
    return losses if weight is None else losses * _weights(what, weight, losses)


def _reduce(losses, reduction):
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def one_hot(input_, num_classes=-1, dtype=None):
    """Labels as rows of zeros with a single one: (...) -> (..., classes), int64 unless a dtype is given.

    Without `num_classes` there is one more than the greatest label.

    >>> nn.functional.one_hot(lucidlite.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    labels = raw(input_) if hasattr(input_, "dtype") else backend.array(input_)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: input_ is {labels.dtype}; labels are integers, convert with .astype('int64')")
    if num_classes == -1 and not labels.size:
        raise ValueError("one_hot: there is no label to count the classes from; give num_classes")
    classes = int(labels.max()) + 1 if num_classes == -1 else checks.whole("one_hot: num_classes", num_classes)
    _check_range("one_hot", labels, classes, -1)
    return wrap((labels[..., None] == xp(labels).arange(classes)).astype(backend.dtype(dtype or "int64")))
