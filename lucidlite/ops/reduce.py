"""Ops that turn many elements into one, along one axis, several or all of them; and sorting.

`axis` is None (all axes), an integer or a tuple of them; with `keepdims` a reduced axis stays, with length 1. The
gradient of a reduction is stretched back over the elements that went into it.
"""

import math

from ..autograd import defgrad, op
from ..backend import xp
from ..errors import composed
from .pointwise import abs, clone, exp, maximum, sign, where
from .shape import _axis, _cut, broadcast_to, concatenate, flip, gather, transpose


def stretch(g, shape, axis, keepdims):
    """The result of a reduction, repeated along the axes that it removed."""
    if axis is not None and not keepdims:
        axes = {i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,))}
        g = g.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return broadcast_to(g, shape)


def _count(shape, axis):
    """How many elements go into one result."""
    return math.prod(shape if axis is None else (shape[i] for i in (axis if isinstance(axis, tuple) else (axis,))))


@op
def sum(a, axis=None, keepdims=False):
    """The sum over an axis.

    >>> lucidlite.ones(2, 3).sum(axis=0)
    Tensor([2., 2., 2.])
    """
    return a.sum(axis=axis, keepdims=keepdims)


@op
def mean(a, axis=None, keepdims=False):
    """The arithmetic mean over an axis."""
    if not _count(a.shape, axis):
        raise ValueError(f"mean: there is nothing to average in shape {a.shape} along axis {axis}")
    return a.mean(axis=axis, keepdims=keepdims)


@op
def var(a, axis=None, keepdims=False, ddof=0):
    """The mean squared distance from the mean; the sum is divided by n - ddof."""
    if _count(a.shape, axis) <= ddof:
        raise ValueError(f"var: {_count(a.shape, axis)} elements for ddof={ddof}; it needs more elements than that")
    return a.var(axis=axis, keepdims=keepdims, ddof=ddof)


@op
def max(a, axis=None, keepdims=False):
    """The largest value along an axis; equal ones share its gradient."""
    return a.max(axis=axis, keepdims=keepdims)


@op
def min(a, axis=None, keepdims=False):
    """The smallest value along an axis; equal ones share its gradient."""
    return a.min(axis=axis, keepdims=keepdims)


@op
def std(a, axis=None, keepdims=False, ddof=0):
    """The square root of the variance; its gradient is 0 where all elements are equal."""
    if _count(a.shape, axis) <= ddof:
        raise ValueError(f"std: {_count(a.shape, axis)} elements for ddof={ddof}; it needs more elements than that")
    return a.std(axis=axis, keepdims=keepdims, ddof=ddof)


@op
def logsumexp(a, axis=None, keepdims=False):
    """log(sum(exp(a))) along an axis, shifted by the maximum so that nothing overflows; -inf where all elements are."""
    top = a.max(axis=axis, keepdims=True)
    shift = xp(a).where(xp(a).isfinite(top), top, 0)
    total = xp(a).exp(a - shift).sum(axis=axis, keepdims=True)
    y = xp(a).where(total > 0, xp(a).log(xp(a).where(total > 0, total, 1)) + shift, top)
    return y if keepdims else y.reshape(a.sum(axis=axis).shape)


@op
def norm(a, ord=2, axis=None, keepdims=False):
    """The vector norm along an axis, (sum |a|^ord)^(1/ord); for math.inf the largest |a|. Its gradient is 0 at 0."""
    if not ord > 0:
        raise ValueError(f"norm: the order is {ord}; it must be greater than 0")
    if ord == math.inf:
        return xp(a).abs(a).max(axis=axis, keepdims=keepdims)
    if ord == 2:
        return xp(a).sqrt((a * a).sum(axis=axis, keepdims=keepdims))
    return (xp(a).abs(a) ** ord).sum(axis=axis, keepdims=keepdims) ** (1 / ord)


@op
def cumsum(a, axis=-1):
    """Running sums along an axis."""
    _axis(axis, a.ndim, "cumsum")
    return a.cumsum(axis=axis)


def _extreme(g, a, y, axis, keepdims):
    """g for the elements that equal the extreme value, divided among them."""
    hit = a == stretch(y, a.shape, axis, keepdims)
    ties = maximum(hit.sum(axis=axis, keepdims=keepdims), 1)  # none are equal to nan
    return where(hit, stretch(g / ties, a.shape, axis, keepdims), 0)


def _norm_rule(g, a, y, ord, axis, keepdims):
    """g sign(a) (|a| / y)^(ord - 1)."""
    if ord == math.inf:
        return sign(a) * _extreme(g, abs(a), y, axis, keepdims)
    safe = where(y == 0, 1, y)
    if ord == 2:
        return a * stretch(g / safe, a.shape, axis, keepdims)
    return sign(a) * abs(a) ** (ord - 1) * stretch(g / safe ** (ord - 1), a.shape, axis, keepdims)


def _var_rule(g, a, axis, keepdims, ddof):
    n = _count(a.shape, axis)
    return stretch(g * (2 / (n - ddof)), a.shape, axis, keepdims) * (a - mean(a, axis, True))


def _std_rule(g, a, y, axis, keepdims, ddof):
    return _var_rule(g / (2 * where(y == 0, 1, y)), a, axis, keepdims, ddof)


def _logsumexp_rule(g, a, y, axis, keepdims):
    top = where(y == -math.inf, 0, y)  # exp(-inf - 0) is the 0 that is wanted, -inf - -inf is not
    return stretch(g, a.shape, axis, keepdims) * exp(a - stretch(top, a.shape, axis, keepdims))


# The clones give the gradient memory of its own: NumPy is four times slower on an array with strides of 0.
defgrad(sum, a=lambda g, a_shape, axis, keepdims: clone(stretch(g, a_shape, axis, keepdims)))
defgrad(mean, a=lambda g, a_shape, axis, keepdims: clone(stretch(g / _count(a_shape, axis), a_shape, axis, keepdims)))
defgrad(var, a=_var_rule)
defgrad(std, a=_std_rule)
defgrad(max, a=_extreme)
defgrad(min, a=_extreme)
defgrad(logsumexp, a=_logsumexp_rule)
defgrad(norm, a=_norm_rule)
defgrad(cumsum, a=lambda g, axis: flip(cumsum(flip(g, axis), axis), axis))


@composed
def prod(a, axis=None, keepdims=False):
    """The product over an axis. Halves are multiplied until one is left, so that a factor of 0 is no special case."""
    axes = (
        range(a.ndim)
        if axis is None
        else sorted(_axis(i, a.ndim, "prod") for i in (axis if isinstance(axis, tuple) else (axis,)))
    )
    kept = [i for i in range(a.ndim) if i not in axes]
    shape = tuple(a.shape[i] for i in kept)
    rows = math.prod(a.shape[i] for i in axes)
    a, short = (
        transpose(a, (*axes, *kept)).reshape(rows, *shape),
        tuple(1 if i in axes else n for i, n in enumerate(a.shape)),
    )
    if not len(a):
        a = 1 + a.sum(axis=0, keepdims=True)
    while len(a) > 1:
        half = len(a) // 2
        product = _cut(a, 0, 0, half) * _cut(a, 0, half, 2 * half)
        a = product if len(a) == 2 * half else concatenate([product, _cut(a, 0, 2 * half, None)])
    return a.reshape(short if keepdims else shape)


# ---- Without a gradient ----------------------------------------------------------------------------------------------


@op
def argmax(a, axis=None, keepdims=False):
    """Where the largest value along an axis stands; among all elements, counted row by row, without an axis."""
    return xp(a).argmax(a, axis=axis, keepdims=keepdims)


@op
def argmin(a, axis=None, keepdims=False):
    """Where the smallest value along an axis stands."""
    return xp(a).argmin(a, axis=axis, keepdims=keepdims)


@op
def any(a, axis=None, keepdims=False):
    """Whether some element along an axis is true."""
    return a.any(axis=axis, keepdims=keepdims)


@op
def all(a, axis=None, keepdims=False):
    """Whether every element along an axis is true."""
    return a.all(axis=axis, keepdims=keepdims)


@op
def argsort(a, axis=-1, descending=False):
    """The order that sorts an axis; equal elements stay in order."""
    _axis(axis, a.ndim, "argsort")
    if not descending:
        return xp(a).argsort(a, axis=axis, kind="stable")
    order = xp(a).flip(xp(a).argsort(xp(a).flip(a, axis), axis=axis, kind="stable"), axis)
    return a.shape[axis] - 1 - order


@composed
def sort(a, axis=-1, descending=False):
    """(values, indices) along an axis in order; equal elements stay in order."""
    axis = _axis(axis, a.ndim, "sort")
    order = argsort(a, axis, descending)
    return gather(a, axis, order), order


@composed
def topk(a, k, axis=-1, largest=True):
    """(values, indices) of the k largest, or smallest, elements along an axis, the first ones first."""
    axis = _axis(axis, a.ndim, "topk")
    if not 0 <= k <= a.shape[axis]:
        raise ValueError(f"topk: k={k}, but axis {axis} has {a.shape[axis]} elements")
    order = _cut(argsort(a, axis, largest), axis, 0, k)
    return gather(a, axis, order), order
