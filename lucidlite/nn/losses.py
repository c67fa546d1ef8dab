"""Losses: one number that says how wrong a prediction is, for `backward` to start from; as functions and as modules.

`reduction` is "mean", "sum", or "none". Shapes must agree: (8, 1) against (8,) would average 64 differences."""

from .. import backend, checks, ops
from ..autograd import defgrad, op, wrap
from ..tensor import Tensor
from .activations import log_softmax, softplus
from .basic import FunctionLayer, in_range, integers


def mse_loss(input_, target, reduction="mean"):
    """The squared difference of two tensors of one shape, where ℓ is `losses`, x is `input_` and y is `target`.

    (1)  ℓ = (x - y)^2"""
    losses = (input_ - _matching(target, input_)) ** 2  # (1)
    return _reduce(losses, reduction)


class MSELoss(FunctionLayer, function=mse_loss): ...


def l1_loss(input_, target, reduction="mean"):
    """The absolute difference, which outliers impress less, where ℓ is `losses`, x is `input_` and y is `target`.

    (1)  ℓ = |x - y|"""
    losses = abs(input_ - _matching(target, input_))  # (1)
    return _reduce(losses, reduction)


class L1Loss(FunctionLayer, function=l1_loss): ...


def huber_loss(input_, target, delta=1.0, reduction="mean"):
    r"""Half the squared difference up to delta, a number > 0, and a straight line beyond it.

        (1)  d = x - y
        (2)  c = \max(-δ, \min(d, δ))
        (3)  ℓ = c (d - \frac{c}{2})

    where ℓ is `losses`, x is `input_`, y is `target` and δ is `delta`. Source: Huber, Ann. Math. Statist. 35, 1964."""
    d = input_ - _matching(target, input_)  # (1)
    c = d.clip(-checks.option("delta", delta), delta)  # (2)
    losses = c * (d - c / 2)  # (3)
    return _reduce(losses, reduction)


class HuberLoss(FunctionLayer, function=huber_loss, last="delta"): ...


def binary_cross_entropy(input_, target, weight=None, reduction="mean"):
    r"""How surprised one is by `target`, 0, 1 or between, after predicting probabilities; both of one shape.

        (1)  ℓ = -(t \log p + (1 - t) \log(1 - p))

    where ℓ is `losses`, p is `input_` and t is `target`; logarithms are at least -100; `weight` multiplies losses."""
    target, p = _matching(target, input_), backend.raw(input_)
    if p.size and not backend.on_gpu(p) and not 0 <= p.min() <= p.max() <= 1:
        raise ValueError(f"it goes from {p.min()} to {p.max()}, but probabilities are in [0, 1]; take ..._with_logits")
    losses = -(target * _log(input_) + (1 - target) * _log(1 - input_))  # (1)
    return _reduce(losses, reduction, weight)


@op
def _log(a):
    lib = backend.xp(a)
    return lib.where(a == 0, -100, lib.maximum(lib.log(a + (a == 0)), -100))


defgrad(_log, a=lambda g, a: g / ops.maximum(a, 1e-12))


class BCELoss(FunctionLayer, function=binary_cross_entropy): ...


def binary_cross_entropy_with_logits(input_, target, weight=None, pos_weight=None, reduction="mean"):
    r"""`binary_cross_entropy` of the sigmoid of `input_`, for logits of any size: no sigmoid goes before it.

        (1)  ℓ = w t \log(1 + e^{-x}) + (1 - t) \log(1 + e^x)

    where ℓ is `losses`, x is `input_`, t is `target` and w is `pos_weight`, 1 unless given: more makes a missed yes
    worse than a missed no. It and `weight`, which multiplies each loss, are arrays that broadcast to the shape."""
    target = _matching(target, input_)
    pos_weight = 1 if pos_weight is None else ops.broadcast_to(_constant(pos_weight, input_), input_.shape)
    losses = pos_weight * target * softplus(-input_) + (1 - target) * softplus(input_)  # (1)
    return _reduce(losses, reduction, weight)


class BCEWithLogitsLoss(FunctionLayer, function=binary_cross_entropy_with_logits, last="pos_weight"): ...


def _matching(target, input_):
    target = target if isinstance(target, Tensor) else _constant(target, input_)
    if input_.shape != target.shape:
        raise ValueError(f"shapes {input_.shape} and {target.shape} differ; reshape one, since elements must pair up")
    return target


def _constant(x, like):
    """A list, array or Tensor as a Tensor without a graph, of the dtype and device of `like`."""
    return wrap(backend.array(backend.raw(x), like.dtype, like.device))


def _reduce(losses, reduction, weight=None):
    checks.option("reduction", reduction)
    losses = losses if weight is None else losses * ops.broadcast_to(_constant(weight, losses), losses.shape)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def nll_loss(input_, target, weight=None, reduction="mean", ignore_index=None):
    """The negative log-probability of the labels: `cross_entropy`, but `input_` holds log-probabilities already."""
    checks.option("reduction", reduction)
    labels, shape, axis = integers("the labels", target, input_.device), input_.shape, int(input_.ndim > 1)
    if not shape or labels.shape != shape[:axis] + shape[axis + 1 :]:
        raise ValueError(f"predictions {shape} and labels {labels.shape} must be (batch, classes, *d) and (batch, *d)")
    classes, w = shape[axis], 1 if ignore_index is None else (labels != ignore_index).astype(labels.dtype)
    labels = labels * w
    in_range("the labels", labels, classes, "; ignore_index passes over a label")
    w = w if weight is None else w * ops.broadcast_to(_constant(weight, input_), (classes,)).data[labels]
    total = labels.size if isinstance(w, int) else w.sum()
    if reduction == "mean" and not backend.on_gpu(total) and not total:
        raise ValueError("the labels that count weigh 0 together, so there is no mean; take reduction='sum'")
    w = backend.nan_outside(w, labels, classes, input_.dtype)
    rows = [backend.xp(labels).arange(n).reshape(n, *[1] * (labels.ndim - i)) for i, n in enumerate(labels.shape, 1)]
    index = (*rows[:axis], labels, *rows[axis:])  # of the element of each label: the other axes are counted through
    return _nll(input_, index, w, {"mean": total, "sum": 1, "none": None}[reduction])


class NLLLoss(FunctionLayer, function=nll_loss): ...


@op
def _nll(a, index, w, n):
    r"""The losses of labels with log-probabilities q and weights w; unless n is None their mean, where ℓ is `losses`.

    (1)  ℓ = -w q
    (2)  L = \frac{\sum_i ℓ_i}{n}"""
    q = a[index] if isinstance(w, int) else backend.xp(a).where(w, a[index], 0)  # 0 times infinity is not 0
    losses = -w * q  # (1)
    return losses if n is None else losses.sum() / n  # (2)


@op
def _placed(a, index, shape):
    total = backend.zeros(shape, like=a)
    total[index] = a
    return total


defgrad(_nll, a=lambda g, index, w, n, a_shape: _placed(g * (-w / (1 if n is None else n)), index, a_shape))
defgrad(_placed, a=lambda g, index: ops.getitem(g, index))


def cross_entropy(input_, target, weight=None, reduction="mean", ignore_index=None):
    """How surprised a classifier is by the labels: `nll_loss` of `log_softmax`, for logits of any size.

    `input_` holds logits, (classes), (batch, classes) or (batch, classes, d1, ...), with no softmax before; `target`
    labels from 0 to classes - 1: (), (batch) or (batch, d1, ...). `weight` has a number for each class; the mean is
    then weighted. A label `ignore_index` does not count; as in lucid there is none by default, in PyTorch -100."""
    return nll_loss(log_softmax(input_, int(input_.ndim > 1)), target, weight, reduction, ignore_index)


class CrossEntropyLoss(FunctionLayer, function=cross_entropy): ...


def one_hot(input_, num_classes=-1, dtype=None):
    """Labels as rows of zeros with one 1, (...) -> (..., classes), by default int64, up to the greatest label."""
    labels = integers("the labels", input_, "cpu")
    classes = int(labels.max()) + 1 if num_classes == -1 else checks.whole("num_classes", num_classes)
    in_range("the labels", labels, classes)
    return wrap((labels[..., None] == backend.xp(labels).arange(classes)).astype(backend.dtype(dtype or "int64")))
