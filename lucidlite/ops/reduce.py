"""Ops that turn many elements into one, along one axis, several or all of them; and sorting.

`axis` is None (all axes), an integer or a tuple of them; with `keepdims` a reduced axis stays, with length 1. The
gradient of a reduction is stretched back over the elements that went into it.
"""

import math

from ..autograd import defgrad, op
from ..backend import xp
from ..errors import composed
from .pointwise import _named, abs, clone, exp, maximum, where, zeros_like
from .shape import _axes, _axis, _cut, broadcast_to, concatenate, flip, gather, transpose


def _stretch(g, shape, axis, keepdims):
    """The result of a reduction, repeated along the axes that it removed."""
    if axis is not None and not keepdims:
        axes = _axes(axis, len(shape))
        g = g.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return broadcast_to(g, shape)


def _count(shape, axis, least=0):
    """How many elements go into one result; there must be at least so many."""
    n = math.prod(shape if axis is None else [shape[i] for i in _axes(axis, len(shape))])
    if n < least:
        raise ValueError(f"{n} elements go into each result; it takes at least {least}")
    return n


def _reduction(name, text):
    """The op that calls the method of this name."""
    return _named(name, text, lambda a, axis=None, keepdims=False: getattr(a, name)(axis=axis, keepdims=keepdims))


sum = _reduction("sum", "The sum over an axis")
max = _reduction("max", "The largest value along an axis; equal ones share its gradient")
min = _reduction("min", "The smallest value along an axis; equal ones share its gradient")
any = _reduction("any", "Whether some element along an axis is true")
all = _reduction("all", "Whether every element along an axis is true")
argmax = _reduction("argmax", "Where the largest value along an axis stands; without an axis, counted row by row")
argmin = _reduction("argmin", "Where the smallest value along an axis stands")


@op
def mean(a, axis=None, keepdims=False):
    """The arithmetic mean over an axis."""
    _count(a.shape, axis, 1)
    return a.mean(axis=axis, keepdims=keepdims)


@op
def var(a, axis=None, keepdims=False, ddof=0):
    """The mean squared distance from the mean; the sum is divided by n - ddof."""
    _count(a.shape, axis, ddof + 1)
    return a.var(axis=axis, keepdims=keepdims, ddof=ddof)


@op
def logsumexp(a, axis=None, keepdims=False):
    """log(sum(exp(a))) along an axis, shifted by the maximum so that nothing overflows; -inf where all elements are."""
    top = a.max(axis=axis, keepdims=True)
    shift = xp(a).where(abs(top) < math.inf, top, 0)
    total = xp(a).exp(a - shift).sum(axis=axis, keepdims=True)
    y = xp(a).where(total > 0, xp(a).log(total + (total == 0)) + shift, top)
    return y if keepdims else y.reshape(a.sum(axis=axis).shape)


@op
def cumsum(a, axis=-1):
    """Running sums along an axis."""
    _axis(axis, a.ndim)
    return a.cumsum(axis=axis)


def _extreme(g, a, y, axis, keepdims):
    """g for the elements that equal the extreme value, divided among them."""
    hit = a == _stretch(y, a.shape, axis, keepdims)
    ties = maximum(hit.sum(axis=axis, keepdims=keepdims), 1)  # none are equal to nan
    return where(hit, _stretch(g / ties, a.shape, axis, keepdims), 0)


def _var_rule(g, a, axis, keepdims, ddof):
    n = _count(a.shape, axis)
    return _stretch(g * (2 / (n - ddof)), a.shape, axis, keepdims) * (a - mean(a, axis, True))


def _logsumexp_rule(g, a, y, axis, keepdims):
    top = where(y == -math.inf, 0, y)  # exp(-inf - 0) is the 0 that is wanted, -inf - -inf is not
    return _stretch(g, a.shape, axis, keepdims) * exp(a - _stretch(top, a.shape, axis, keepdims))


# The clones give the gradient memory of its own: NumPy is four times slower on an array with strides of 0.
defgrad(sum, a=lambda g, a_shape, axis, keepdims: clone(_stretch(g, a_shape, axis, keepdims)))
defgrad(mean, a=lambda g, a_shape, axis, keepdims: clone(_stretch(g / _count(a_shape, axis), a_shape, axis, keepdims)))
defgrad(var, a=_var_rule)
defgrad(max, a=_extreme)
defgrad(min, a=_extreme)
defgrad(logsumexp, a=_logsumexp_rule)
defgrad(cumsum, a=lambda g, axis: flip(cumsum(flip(g, axis), axis), axis))


def _root(a, degree):
    """a^(1 / degree), whose slope is 0 at 0."""
    return where(a == 0, 0, where(a == 0, 1, a) ** (1 / degree))


@composed
def std(a, axis=None, keepdims=False, ddof=0):
    """The square root of the variance; its gradient is 0 where all elements are equal."""
    return _root(var(a, axis, keepdims, ddof), 2)


@composed
def norm(a, ord=2, axis=None, keepdims=False):
    """The vector norm along an axis, (sum |a|^ord)^(1/ord); for math.inf the largest |a|. Its gradient is 0 at 0."""
    if not ord > 0:
        raise ValueError("the order must be greater than 0")
    return max(abs(a), axis, keepdims) if ord == math.inf else _root(sum(abs(a) ** ord, axis, keepdims), ord)


@composed
def prod(a, axis=None, keepdims=False):
    """The product over an axis. Halves are multiplied until one is left, so that a factor of 0 is no special case."""
    axes = _axes(axis, a.ndim)
    rest = [i for i in range(a.ndim) if i not in axes]
    shape = tuple(1 if i in axes else n for i, n in enumerate(a.shape) if keepdims or i in rest)
    a = transpose(a, (*axes, *rest)).reshape(_count(a.shape, axis), *(a.shape[i] for i in rest))
    while len(a) != 1:
        if len(a) and len(a) % 2 == 0:
            a = _cut(a, 0, 0, len(a) // 2) * _cut(a, 0, len(a) // 2, None)
        else:  # a row of ones changes nothing
            a = concatenate([a, zeros_like(sum(a, 0, True)) + 1])
    return a.reshape(shape)


@op
def argsort(a, axis=-1, descending=False):
    """The order that sorts an axis; equal elements stay in order."""
    _axis(axis, a.ndim)
    if not descending:
        return xp(a).argsort(a, axis=axis, kind="stable")
    order = xp(a).flip(xp(a).argsort(xp(a).flip(a, axis), axis=axis, kind="stable"), axis)
    return a.shape[axis] - 1 - order


@composed
def sort(a, axis=-1, descending=False):
    """(values, indices) along an axis in order; equal elements stay in order."""
    axis = _axis(axis, a.ndim)
    order = argsort(a, axis, descending)
    return gather(a, axis, order), order


@composed
def topk(a, k, axis=-1, largest=True):
    """(values, indices) of the k largest, or smallest, elements along an axis, the first ones first."""
    axis = _axis(axis, a.ndim)
    if not 0 <= k <= a.shape[axis]:
        raise ValueError(f"axis {axis} has {a.shape[axis]} elements; k must be none to all of them")
    order = _cut(argsort(a, axis, largest), axis, 0, k)
    return gather(a, axis, order), order
