"""Losses: one number that says how wrong a prediction is, for `backward` to start from; as functions and as modules.

`reduction` says what becomes of the single losses: "mean", "sum", or "none", which keeps them. Shapes that differ are
refused: broadcasting (8, 1) against (8,) would average 64 differences instead of 8.
"""

from .. import backend, checks
from ..autograd import defgrad, op, wrap
from ..backend import raw, xp
from ..errors import composed
from ..ops import broadcast_to, clip, getitem, maximum
from ..tensor import Tensor
from .activations import log_softmax, softplus
from .basic import FunctionLayer


@composed
def mse_loss(input_, target, reduction="mean"):
    """The squared difference of two tensors of one shape, for regression.

        (1)  ℓ = (x - y)^2

    where ℓ is `losses`, x is `input_` and y is `target`.
    """
    target = _matching(target, input_)
    losses = (input_ - target) ** 2  # (1)
    return _reduce(losses, reduction)


class MSELoss(FunctionLayer, function=mse_loss): ...


@composed
def l1_loss(input_, target, reduction="mean"):
    """The absolute difference of two tensors of one shape, which outliers impress less; its derivative at 0 is 0.

        (1)  ℓ = |x - y|

    where ℓ is `losses`, x is `input_` and y is `target`.
    """
    target = _matching(target, input_)
    losses = abs(input_ - target)  # (1)
    return _reduce(losses, reduction)


class L1Loss(FunctionLayer, function=l1_loss): ...


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


class HuberLoss(FunctionLayer, function=huber_loss, last="delta"): ...


@composed
def binary_cross_entropy(input_, target, weight=None, reduction="mean"):
    r"""How surprised one is by `target`, 0, 1 or between, after predicting probabilities; both of one shape.

        (1)  ℓ = -(t \log p + (1 - t) \log(1 - p))

    where ℓ is `losses`, p is `input_` and t is `target`. As in PyTorch, logarithms below -100 count as -100. `weight`,
    an array that broadcasts to the shape, multiplies each loss.
    """
    target, p = _matching(target, input_), raw(input_)
    if p.size and not backend.on_gpu(p) and not 0 <= p.min() <= p.max() <= 1:
        raise ValueError(f"it goes from {p.min()} to {p.max()}, but probabilities are in [0, 1]; take ..._with_logits")
    losses = -(target * _log(input_) + (1 - target) * _log(1 - input_))  # (1)
    return _reduce(losses, reduction, weight)


@op
def _log(a):
    """log(a), but not less than -100; the derivative is 1 / a, but not more than 1e12."""
    zero = (a == 0).astype(a.dtype)
    return xp(a).maximum(xp(a).log(a + zero) - 100 * zero, -100)


defgrad(_log, a=lambda g, a: g / maximum(a, 1e-12))


class BCELoss(FunctionLayer, function=binary_cross_entropy): ...


@composed
def binary_cross_entropy_with_logits(input_, target, weight=None, pos_weight=None, reduction="mean"):
    r"""`binary_cross_entropy` of the sigmoid of `input_`, for logits of any size: no sigmoid goes before it.

        (1)  ℓ = w t \log(1 + e^{-x}) + (1 - t) \log(1 + e^x)

    where ℓ is `losses`, x is `input_`, t is `target` and w is `pos_weight`, 1 unless given: more makes a missed yes
    worse than a missed no. It and `weight`, which multiplies each loss, are arrays that broadcast to the shape.
    """
    target = _matching(target, input_)
    pos_weight = 1 if pos_weight is None else broadcast_to(_constant(pos_weight, input_), input_.shape)
    losses = pos_weight * target * softplus(-input_) + (1 - target) * softplus(input_)  # (1)
    return _reduce(losses, reduction, weight)


class BCEWithLogitsLoss(FunctionLayer, function=binary_cross_entropy_with_logits, last="pos_weight"): ...


def _matching(target, input_):
    target = target if isinstance(target, Tensor) else _constant(target, input_)
    if input_.shape != target.shape:
        raise ValueError(f"shapes {input_.shape} and {target.shape} differ; reshape one, since elements must pair up")
    return target


def _constant(x, like):
    """A list, array or Tensor as a Tensor without a graph, of the dtype of `like`; a list goes to its device."""
    x, like = raw(x), raw(like)
    return wrap(x.astype(like.dtype) if hasattr(x, "dtype") else backend.array(x, like.dtype, backend.device_of(like)))


def _reduce(losses, reduction, weight=None):
    checks.option("reduction", reduction)
    losses = losses if weight is None else losses * broadcast_to(_constant(weight, losses), losses.shape)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


@composed
def nll_loss(input_, target, weight=None, reduction="mean", ignore_index=None):
    """The negative log-probability of the labels: `cross_entropy`, but `input_` holds log-probabilities already."""
    checks.option("reduction", reduction)
    labels, axis, w = _labels(target, input_), int(input_.ndim > 1), 1
    backend.same_device("loss", ("input_", raw(input_)), ("target", labels))
    if not input_.ndim or labels.shape != input_.shape[:axis] + input_.shape[2:]:
        hint = "(classes) goes with (), and (batch, classes, d1, ...) with (batch, d1, ...)"
        raise ValueError(f"predictions {input_.shape} and labels {labels.shape} do not go together; {hint}")
    classes = input_.shape[axis]
    if ignore_index is not None:
        w = (labels != ignore_index).astype(input_.dtype)
        labels = labels * (labels != ignore_index)
    _check_range(labels, classes, ignore_index)
    if weight is not None:
        w = w * raw(broadcast_to(_constant(weight, input_), (classes,)))[labels]
    total = labels.size if isinstance(w, int) else w.sum()
    if reduction == "mean" and not backend.on_gpu(total) and not total:
        raise ValueError("the labels that count weigh 0 together, so there is no mean; take reduction='sum'")
    rows = [xp(labels).arange(n).reshape(n, *[1] * (labels.ndim - i)) for i, n in enumerate(labels.shape, 1)]
    index = (*rows[:axis], labels, *rows[axis:])  # of the element of each label: the other axes are counted through
    return _nll(input_, index, w, {"mean": total, "sum": 1, "none": None}[reduction])


class NLLLoss(FunctionLayer, function=nll_loss): ...


@composed
def cross_entropy(input_, target, weight=None, reduction="mean", ignore_index=None):
    """How surprised a classifier is by the labels: `nll_loss` of `log_softmax`, for logits of any size.

    `input_` holds logits, (classes), (batch, classes) or (batch, classes, d1, ...), with no softmax before; `target`
    labels from 0 to classes - 1: (), (batch) or (batch, d1, ...). `weight` has a number for each class; the mean is
    then weighted. A label `ignore_index` does not count; as in lucid there is none by default, in PyTorch -100.

    >>> nn.functional.cross_entropy(lucidlite.tensor([[0.0, 1e4]]), lucidlite.tensor([0])).item()
    10000.0
    """
    log_p = log_softmax(input_, int(input_.ndim > 1))
    return nll_loss.__wrapped__(log_p, target, weight, reduction, ignore_index)  # errors name cross_entropy


class CrossEntropyLoss(FunctionLayer, function=cross_entropy): ...


@op
def _nll(a, index, w, n):
    r"""The weighted negative log-probabilities of the labels; summed and divided by n, unless that is None.

        (1)  ℓ = -w q
        (2)  L = \frac{\sum_i ℓ_i}{n}

    where ℓ is `losses`, and q is the log-probability of each label, 0 where its weight is 0.
    """
    q = a[index] if isinstance(w, int) else xp(a).where(w, a[index], 0)  # 0 times infinity is not 0
    place = int(a.ndim > 1)  # of the classes
    q = backend.nan_outside(q, index[place], a.shape[place])
    losses = -w * q  # (1)
    return losses if n is None else losses.sum() / n  # (2)


@op
def _placed(a, index, shape):
    """Zeros, with the elements of a at an index that names no element twice."""
    total = backend.zeros(shape, like=a)
    total[index] = a
    return total


defgrad(_nll, a=lambda g, index, w, n, a_shape: _placed(g * (-w / (1 if n is None else n)), index, a_shape))
defgrad(_placed, a=lambda g, index: getitem(g, index))


@composed
def one_hot(input_, num_classes=-1, dtype=None):
    """Labels as rows of zeros with one 1, (...) -> (..., classes), by default int64, up to the greatest label."""
    labels = _labels(input_)
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
    if labels.size and not backend.on_gpu(labels) and labels.view("uint64").max() >= classes:  # negative ones are large
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        hint = f"; ignore_index={wrong} would pass over it" if ignore_index is None else ""
        raise ValueError(f"there is a label {wrong}, but the {classes} classes are 0 to {classes - 1}{hint}")
