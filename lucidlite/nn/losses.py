"""Losses: one number that says how wrong a prediction is, for `backward` to start from; as functions and as modules.

`reduction` says what becomes of the single losses: "mean", "sum", or "none", which keeps them. Shapes that differ are
refused: broadcasting (8, 1) against (8,) would average 64 differences instead of 8.
"""

from typing import Any

from .. import backend, checks
from ..autograd import defgrad, op, wrap
from ..backend import raw, xp
from ..errors import composed
from ..ops import clip, getitem, maximum
from ..tensor import Tensor
from .activations import log_softmax, softplus
from .basic import FunctionLayer

# ---- Losses of numbers -----------------------------------------------------------------------------------------------


@composed
def mse_loss(input_, target, reduction="mean"):
    """The squared difference of two tensors of one shape, for regression.

        (1)  ℓ = (x - y)^2

    where ℓ is `losses`, x is `input_` and y is `target`.

    >>> nn.functional.mse_loss(lucidlite.tensor([1.0, 2.0]), lucidlite.tensor([1.0, 4.0]), reduction="none")
    Tensor([0., 4.])
    """
    target = _matching(target, input_)
    losses = (input_ - target) ** 2  # (1)
    return _reduce(losses, reduction)


@composed
def l1_loss(input_, target, reduction="mean"):
    """The absolute difference of two tensors of one shape, which outliers impress less; its derivative at 0 is 0.

        (1)  ℓ = |x - y|

    where ℓ is `losses`, x is `input_` and y is `target`.
    """
    target = _matching(target, input_)
    losses = abs(input_ - target)  # (1)
    return _reduce(losses, reduction)


@composed
def huber_loss(input_, target, delta=1.0, reduction="mean"):
    r"""Half the squared difference up to delta, a number > 0, and a straight line beyond it.

        (1)  d = x - y
        (2)  c = \max(-δ, \min(d, δ))
        (3)  ℓ = c (d - \frac{c}{2})

    where ℓ is `losses`, x is `input_`, y is `target` and δ is `delta`.

    Source: Huber, Robust Estimation of a Location Parameter, 1964.
    """
    target, delta = _matching(target, input_), checks.option("delta", delta)
    d = input_ - target  # (1)
    c = clip(d, -delta, delta)  # (2)
    losses = c * (d - c / 2)  # (3)
    return _reduce(losses, reduction)


# ---- Losses of yes and no --------------------------------------------------------------------------------------------


@composed
def binary_cross_entropy(input_, target, weight=None, reduction="mean"):
    r"""How surprised one is by `target`, 0, 1 or between, after predicting probabilities; both of one shape.

        (1)  ℓ = -(t \log p + (1 - t) \log(1 - p))

    where ℓ is `losses`, p is `input_` and t is `target`. As in PyTorch, and in place of lucid's `eps`, logarithms below
    -100 count as -100. `weight`, an array that broadcasts to the shape, multiplies each loss.
    """
    target, p = _matching(target, input_), raw(input_)
    if p.size and not 0 <= p.min() <= p.max() <= 1:
        hint = "probabilities are in [0, 1]; take binary_cross_entropy_with_logits, or sigmoid before"
        raise ValueError(f"it holds numbers from {p.min()} to {p.max()}, but {hint}")
    losses = -(target * _log(input_) + (1 - target) * _log(1 - input_))  # (1)
    return _reduce(losses * _weights("weight", weight, input_), reduction)


@op
def _log(a):
    """log(a), but not less than -100; the derivative is 1 / a, but not more than 1e12."""
    zero = (a == 0).astype(a.dtype)
    return xp(a).maximum(xp(a).log(a + zero) - 100 * zero, -100)


defgrad(_log, a=lambda g, a: g / maximum(a, 1e-12))


@composed
def binary_cross_entropy_with_logits(input_, target, weight=None, pos_weight=None, reduction="mean"):
    r"""`binary_cross_entropy` of the sigmoid of `input_`, for logits of any size: no sigmoid goes before it.

        (1)  ℓ = w t \log(1 + e^{-x}) + (1 - t) \log(1 + e^x)

    where ℓ is `losses`, x is `input_`, t is `target` and w is `pos_weight`, 1 unless given: more makes a missed yes
    worse than a missed no. It and `weight`, which multiplies each loss, are arrays that broadcast to the shape.

    >>> nn.functional.binary_cross_entropy_with_logits(lucidlite.tensor([-1e4]), lucidlite.tensor([1.0])).item()
    10000.0
    """
    target, pos_weight = _matching(target, input_), _weights("pos_weight", pos_weight, input_)
    losses = pos_weight * target * softplus(-input_) + (1 - target) * softplus(input_)  # (1)
    return _reduce(losses * _weights("weight", weight, input_), reduction)


def _matching(target, input_):
    """The target as a Tensor of the shape of `input_`."""
    target = target if isinstance(target, Tensor) else wrap(_constant(target, input_))
    if input_.shape != target.shape:
        hint = "reshape one, or elements would meet several"
        raise ValueError(f"shapes {input_.shape} and {target.shape} differ; {hint}")
    return target


def _constant(x, like):
    """A list, array or Tensor as a raw array of the dtype and device of `like`."""
    x, like = raw(x), raw(like)
    return x.astype(like.dtype) if hasattr(x, "astype") else backend.array(x, like.dtype, backend.device_of(like))


def _weights(name, weight, like):
    """Weights as a Tensor of the shape of `like`, or 1 for None."""
    if weight is None:
        return 1
    weight = _constant(weight, like)
    try:
        return wrap(xp(weight).broadcast_to(weight, like.shape))
    except ValueError:
        raise ValueError(f"{name} {weight.shape} does not broadcast to losses of shape {like.shape}") from None


def _reduce(losses, reduction):
    checks.option("reduction", reduction)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


# ---- Losses of classes -----------------------------------------------------------------------------------------------


@composed
def cross_entropy(
    input_: Any, target: Any, weight: Any = None, reduction: str = "mean", ignore_index: int | None = None
) -> Any:
    """How surprised a classifier is by the labels: `nll_loss` of `log_softmax`, for logits of any size.

    Args:
        input_: logits, (classes), (batch, classes) or (batch, classes, d1, ...); no softmax goes before it.
        target: labels, whole numbers from 0 to classes - 1: (), (batch) or (batch, d1, ...).
        weight: None, or a number for each class. The mean is then divided by the sum of the labels' weights.
        reduction: "mean", "sum", or "none" for the loss of each label.
        ignore_index: a label that does not count. None, as in lucid, passes over no label; PyTorch's default is -100.

    lucid's `eps` is not needed: no logarithm of 0 is taken.

    >>> nn.functional.cross_entropy(lucidlite.tensor([[0.0, 1e4]]), lucidlite.tensor([0])).item()
    10000.0
    """
    rows, labels, shape = _rows(input_, target)
    return _class_loss(log_softmax(rows, 1), labels, shape, weight, reduction, ignore_index)


@composed
def nll_loss(input_, target, weight=None, reduction="mean", ignore_index=None):
    """The negative log-probability of the labels: `cross_entropy`, but `input_` holds log-probabilities already."""
    return _class_loss(*_rows(input_, target), weight, reduction, ignore_index)


def _rows(a, target):
    """Predictions as (rows, classes), labels as (rows), and the shape of the labels before."""
    labels = _labels(target, a)
    if type(labels) is not type(raw(a)):
        backend.same_device("loss", ("input_", raw(a)), ("target", labels))
    if not a.ndim or labels.shape != a.shape[: a.ndim > 1] + a.shape[2:]:
        hint = "(classes) goes with (), and (batch, classes, d1, ...) with (batch, d1, ...)"
        raise ValueError(f"predictions {a.shape} and labels {labels.shape} do not go together; {hint}")
    if a.ndim > 2:
        a = a.transpose((0, *range(2, a.ndim), 1))
    return a if a.ndim == 2 else a.reshape(-1, a.shape[-1]), labels.reshape(-1), labels.shape


def _class_loss(log_p, labels, shape, weight, reduction, ignore_index):
    checks.option("reduction", reduction)
    (n, classes), w = log_p.shape, 1
    if ignore_index is not None:
        w = (labels != ignore_index).astype(log_p.dtype)
        labels = labels * (labels != ignore_index)
    _check_range(labels, classes, ignore_index)
    if weight is not None:
        weight = _constant(weight, log_p)
        if weight.shape != (classes,):
            raise ValueError(f"weight has shape {weight.shape}; it needs a number for each of {classes} classes")
        w = w * weight[labels]
    total = n if isinstance(w, int) else w.sum()
    if reduction == "mean" and not total:
        raise ValueError("the labels that count weigh 0 together, so there is no mean; take reduction='sum'")
    losses = _nll(log_p, (xp(labels).arange(n), labels), w, {"mean": total, "sum": 1, "none": None}[reduction])
    return losses.reshape(shape) if reduction == "none" else losses


@op
def _nll(a, index, w, n):
    r"""The weighted negative log-probabilities of the labels; summed and divided by n, unless that is None.

        (1)  ℓ = -w q
        (2)  L = \frac{\sum_i ℓ_i}{n}

    where ℓ is `losses`, and q is the log-probability of each label, 0 where its weight is 0.
    """
    q = a[index] if isinstance(w, int) else xp(a).where(w, a[index], 0)  # 0 times infinity is not 0
    losses = -w * q  # (1)
    return losses if n is None else losses.sum() / n  # (2)


@op
def _placed(a, index, shape):
    """Zeros, with the elements of a at an index that names no element twice."""
    total = backend.zeros(shape, like=a)
    total[index] = a
    return total


defgrad(_nll, a=lambda g, index, w, n, a_shape: _placed(g * (-w / (n or 1)), index, a_shape))
defgrad(_placed, a=lambda g, index: getitem(g, index))


@composed
def one_hot(input_, num_classes=-1, dtype=None):
    """Labels as rows of zeros with a single one: (...) -> (..., classes), int64 unless a dtype is given.

    Without `num_classes` there is one more than the greatest label.

    >>> nn.functional.one_hot(lucidlite.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    labels = _labels(input_)
    if num_classes == -1 and not labels.size:
        raise ValueError("there is no label to count the classes from; give num_classes")
    classes = int(labels.max()) + 1 if num_classes == -1 else checks.whole("num_classes", num_classes)
    _check_range(labels, classes, -1)
    return wrap((labels[..., None] == xp(labels).arange(classes)).astype(backend.dtype(dtype or "int64")))


def _labels(target, like=None):
    """The labels as int64, in a copy: the gradient needs them unchanged."""
    labels = raw(target)
    labels = labels if hasattr(labels, "dtype") else backend.array(labels, device=backend.device_of(raw(like)))
    if labels.dtype.kind not in "iu":
        hint = "convert with .astype('int64'); rows of probabilities become labels by .argmax(axis=1)"
        raise TypeError(f"the labels are {labels.dtype}, but they number the classes, as integers: {hint}")
    return labels.astype("int64")


def _check_range(labels, classes, ignore_index):
    if labels.size and not labels.view("uint64").max() < classes:  # where negative numbers are large ones
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        hint = f"; ignore_index={wrong} would pass over it" if ignore_index is None else ""
        raise ValueError(f"there is a label {wrong}, but the {classes} classes are 0 to {classes - 1}{hint}")


# ---- As modules ------------------------------------------------------------------------------------------------------


class MSELoss(FunctionLayer):
    """`functional.mse_loss`."""

    def __init__(self, reduction="mean"):
        super().__init__(mse_loss, reduction=reduction)


class L1Loss(FunctionLayer):
    """`functional.l1_loss`."""

    def __init__(self, reduction="mean"):
        super().__init__(l1_loss, reduction=reduction)


class HuberLoss(FunctionLayer):
    """`functional.huber_loss`."""

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(huber_loss, reduction=reduction, delta=delta)


class CrossEntropyLoss(FunctionLayer):
    """`functional.cross_entropy`: for classes; takes logits.

    >>> nn.CrossEntropyLoss()(lucidlite.tensor([[0.0, 1e4], [1e4, 0.0]]), lucidlite.tensor([1, 1])).item()
    5000.0
    """

    def __init__(self, weight=None, reduction="mean", ignore_index=None):
        super().__init__(cross_entropy, weight=weight, reduction=reduction, ignore_index=ignore_index)


class NLLLoss(FunctionLayer):
    """`functional.nll_loss`: for classes; takes log-probabilities, as LogSoftmax gives them."""

    def __init__(self, weight=None, reduction="mean", ignore_index=None):
        super().__init__(nll_loss, weight=weight, reduction=reduction, ignore_index=ignore_index)


class BCELoss(FunctionLayer):
    """`functional.binary_cross_entropy`: for yes and no; takes probabilities."""

    def __init__(self, weight=None, reduction="mean"):
        super().__init__(binary_cross_entropy, weight=weight, reduction=reduction)


class BCEWithLogitsLoss(FunctionLayer):
    """`functional.binary_cross_entropy_with_logits`: for yes and no; takes logits."""

    def __init__(self, weight=None, reduction="mean", pos_weight=None):
        options = {"weight": weight, "reduction": reduction, "pos_weight": pos_weight}
        super().__init__(binary_cross_entropy_with_logits, **options)
