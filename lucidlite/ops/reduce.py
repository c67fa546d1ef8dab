"""Ops that turn many elements into one, along one axis, several or all of them: reductions, products, and sorting.

`axis` is None (all axes), an integer or a tuple of them; with `keepdims` a reduced axis stays, with length 1."""

import functools
import math

from .. import checks
from ..autograd import defgrad, op
from ..backend import numpy, xp
from .pointwise import _named, abs, clone, exp, maximum, square, where, zeros_like
from .shape import _axes, _axis, _cut, _reshape, _transpose, broadcast_to, concatenate, flip, gather, unsqueeze


def _stretch(g, shape, axis, keepdims):
    """The result of a reduction, repeated along the axes that it removed."""
    if axis is not None and not keepdims:
        axes = _axes(axis, len(shape))
        g = g.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return broadcast_to(g, shape)


def _count(shape, axis, least=0):
    """How many elements go into one result; there must be at least so many."""
    n = math.prod(shape if axis is None else [shape[i] for i in _axes(axis, len(shape))])
    checks.refuse(n < least, f"{n} elements go into each result; it takes at least {least}")
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
def logsumexp(a, axis=None, keepdims=False):
    """log(sum(exp(a))) along an axis, shifted by the maximum so that nothing overflows; -inf where all elements are."""
    top = a.max(axis=axis, keepdims=True)
    shift = xp(a).where(abs(top) < math.inf, top, 0)
    total = xp(a).exp(a - shift).sum(axis=axis, keepdims=True)
    y = xp(a).where(total > 0, xp(a).log(total + (total == 0)) + shift, top)
    return y if keepdims else y.squeeze(axis)


@op
def cumsum(a, axis=-1):
    """Running sums along an axis."""
    return a.cumsum(axis=_axis(axis, a.ndim))


def _extreme(g, a, y, axis, keepdims):
    """g for the elements that equal the extreme value, divided among them."""
    hit = a == _stretch(y, a.shape, axis, keepdims)
    ties = maximum(hit.sum(axis=axis, keepdims=keepdims), 1)  # none are equal to nan
    return where(hit, _stretch(g / ties, a.shape, axis, keepdims), 0)


def _logsumexp_rule(g, a, y, axis, keepdims):
    top = where(y == -math.inf, 0, y)  # exp(-inf - 0) is the 0 that is wanted, -inf - -inf is not
    return _stretch(g, a.shape, axis, keepdims) * exp(a - _stretch(top, a.shape, axis, keepdims))


# The clones give the gradient memory of its own: NumPy is four times slower on an array with strides of 0.
defgrad(sum, a=lambda g, a_shape, axis, keepdims: clone(_stretch(g, a_shape, axis, keepdims)))
defgrad(mean, a=lambda g, a_shape, axis, keepdims: clone(_stretch(g / _count(a_shape, axis), a_shape, axis, keepdims)))
defgrad(max, a=_extreme)
defgrad(min, a=_extreme)
defgrad(logsumexp, a=_logsumexp_rule)
defgrad(cumsum, a=lambda g, axis: flip(cumsum(flip(g, axis), axis), axis))


def _root(a, degree):
    """a^(1 / degree), whose slope is 0 at 0."""
    return where(a == 0, 0, where(a == 0, 1, a) ** (1 / degree))


def var(a, axis=None, keepdims=False, ddof=0):
    """The mean squared distance from the mean; the sum is divided by n - ddof."""
    n = _count(a.shape, axis, ddof + 1)
    return mean(square(a - mean(a, axis, True)), axis, keepdims) * (n / (n - ddof))


def std(a, axis=None, keepdims=False, ddof=0):
    """The square root of the variance; its gradient is 0 where all elements are equal."""
    return _root(var(a, axis, keepdims, ddof), 2)


def norm(a, ord=2, axis=None, keepdims=False):
    """The vector norm along an axis, (sum |a|^ord)^(1/ord); for math.inf the largest |a|. Its gradient is 0 at 0."""
    checks.refuse(not ord > 0, "the order must be greater than 0")
    return max(abs(a), axis, keepdims) if ord == math.inf else _root(sum(abs(a) ** ord, axis, keepdims), ord)


def prod(a, axis=None, keepdims=False):
    """The product over an axis. Halves are multiplied until one is left, so that a factor of 0 is no special case."""
    axes = _axes(axis, a.ndim)
    for i in axes:
        a = concatenate([a, zeros_like(sum(a, i, True)) + 1], i)  # with ones, which change nothing, none is empty
        while (half := a.shape[i] // 2) > 0:
            a = concatenate([_cut(a, i, 0, half) * _cut(a, i, half, 2 * half), _cut(a, i, 2 * half, None)], i)
    return a if keepdims else a.squeeze(axes)


@op
def argsort(a, axis=-1, descending=False):
    """The order that sorts an axis; equal elements stay in order."""
    axis = _axis(axis, a.ndim)
    order = xp(a).argsort(xp(a).flip(a, axis) if descending else a, axis=axis, kind="stable")
    return a.shape[axis] - 1 - xp(a).flip(order, axis) if descending else order


def sort(a, axis=-1, descending=False):
    """(values, indices) along an axis in order; equal elements stay in order."""
    return topk(a, a.shape[_axis(axis, a.ndim)], axis, descending)


def topk(a, k, axis=-1, largest=True):
    """(values, indices) of the k largest, or smallest, elements along an axis, the first ones first."""
    axis = _axis(axis, a.ndim)
    checks.refuse(not 0 <= k <= a.shape[axis], f"k must be 0 to {a.shape[axis]}, the length of axis {axis}")
    order = _cut(argsort(a, axis, largest), axis, 0, k)
    return gather(a, axis, order), order


# ---- Products --------------------------------------------------------------------------------------------------------


@op
def matmul(a, b):
    """The matrix product of the last two axes, batched over the others; 1-D is a row on the left and a column right.

    >>> lucidlite.ones(2, 3) @ lucidlite.ones(3)
    Tensor([3., 3.])"""
    if getattr(a, "ndim", 0) == getattr(b, "ndim", 0) == 2:
        return a.dot(b)  # for small matrices, it takes a third of matmul's time
    return xp(a, b).matmul(a, b)


def _matmul_a(g, b):
    if b.ndim == 1:
        return unsqueeze(g, -1) * b  # a may be 1-D too: g is 0-d then
    g = unsqueeze(g, -2) if g.ndim < b.ndim else g  # a is 1-D; the engine adds up over what it has not
    return matmul(g, b.swapaxes(-1, -2))


def _matmul_b(g, a, b_shape):
    if len(b_shape) == 1:
        return a * unsqueeze(g, -1)
    if a.ndim == 1:
        return unsqueeze(a, -1) * unsqueeze(g, -2)
    if a.ndim > len(b_shape) == 2:  # one matrix for a batch: one product instead of a batch of them to add up
        rows = math.prod(a.shape[:-1])
        a, g = a.reshape(rows, a.shape[-1]), g.reshape(rows, g.shape[-1])
    return matmul(a.swapaxes(-1, -2), g)


defgrad(matmul, a=_matmul_a, b=_matmul_b)


def dot(a, b):
    """The inner product of two vectors."""
    checks.refuse(a.ndim != 1 or b.ndim != 1, "it takes two vectors; @ multiplies matrices")
    return matmul(a, b)


def outer(a, b):
    """Every element of the vector a times every element of the vector b: (n,), (m,) -> (n, m)."""
    return einsum("i,j->ij", a, b)


def tensordot(a, b, axes: int | list | tuple = 2):
    """Products summed over pairs of axes: the last `axes` of a with the first of b, or two lists of axes."""
    if not isinstance(axes, (list, tuple)):
        axes = [range(a.ndim - checks.whole("axes", axes, 0), a.ndim), range(axes)]
    left, right = (_axes(given, x.ndim) for x, given in zip((a, b), axes))
    checks.refuse([a.shape[i] for i in left] != [b.shape[i] for i in right], f"axes {left}, {right} differ in length")
    partners = dict(zip(right, left))
    letters = [partners.get(i, a.ndim + i) for i in range(b.ndim)]
    return _product([*range(a.ndim)], a, letters, b, {*range(a.ndim + b.ndim)} - {*left})[1]


def einsum(subscripts, *operands):
    """Einstein's summation, as numpy.einsum: "ij,jk->ik" is the matrix product; "..." stands for any further axes.

    More than two operands are multiplied from left to right."""
    inputs, output = _explicit(subscripts, *(x.shape for x in operands))
    lengths = {c: n for s, x in zip(inputs, operands) for c, n in zip(s, x.shape) if n != 1}
    terms = []
    for letters, x in zip(inputs, operands):
        for c in letters:
            while letters.count(c) > 1:  # "ii" is the diagonal first
                i, j = letters.find(c), letters.rfind(c)
                x, letters = x.diagonal(0, i, j), letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + c
        repeated = tuple(i for i, c in enumerate(letters) if x.shape[i] == 1 and c in lengths)
        terms.append(([c for i, c in enumerate(letters) if i not in repeated], x.squeeze(repeated) if repeated else x))
    (letters, x), *rest = terms
    for i, (others, y) in enumerate(rest, 1):
        letters, x = _product(letters, x, others, y, {*output}.union(*(c for c, _ in rest[i:])))
    letters, x = _summed(letters, x, output)
    return _transpose(x, [letters.index(c) for c in output])


@functools.lru_cache
def _explicit(subscripts, *shapes):
    """The letters of each operand and of the result; other characters stand for axes of "...", from the last on."""
    numpy.einsum_path(subscripts, *(numpy.broadcast_to(0, shape) for shape in shapes))  # refuses what does not fit
    text, arrow, output = subscripts.replace(" ", "").partition("->")
    axes = [len(shape) - len(s.replace("...", "")) for s, shape in zip(text.split(","), shapes)]
    dots = ["".join(map(chr, range(256 + n, 256, -1))) for n in axes]
    if not arrow:
        output = "..." + "".join(sorted(c for c in {*text} - {*".,"} if text.count(c) == 1))
    return [s.replace("...", d) for s, d in zip(text.split(","), dots)], output.replace(
        "...", sorted(dots, key=len)[-1]
    )


def _summed(letters, x, kept):
    """The letters that are kept, and x summed over all others."""
    lost = tuple(i for i, c in enumerate(letters) if c not in kept)
    return [c for c in letters if c in kept], sum(x, lost) if lost else x


def _product(a, x, b, y, needed):
    """Letters and tensor of x times y, whose letters are a and b, summed over the letters that are not needed."""
    a, x = _summed(a, x, {*needed, *b})
    b, y = _summed(b, y, {*needed, *a})
    batch, inner = [c for c in a if c in b and c in needed], [c for c in a if c in b and c not in needed]
    rows, columns = [c for c in a if c not in b], [c for c in b if c not in a]
    lengths, letters = dict(zip((*a, *b), (*x.shape, *y.shape))), batch + rows + columns
    front, (m, n, k) = [lengths[c] for c in batch], (math.prod(lengths[c] for c in g) for g in (rows, inner, columns))
    x = _reshape(_transpose(x, [a.index(c) for c in batch + rows + inner]), (*front, m, n))
    y = _reshape(_transpose(y, [b.index(c) for c in batch + inner + columns]), (*front, n, k))
    return letters, _reshape(x @ y if inner else x * y, [lengths[c] for c in letters])
