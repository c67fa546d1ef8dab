"""Ops that multiply and add up: matrix products, einsum, and the windows that convolution and pooling stand on."""

import functools
import math
from typing import Any

from .. import backend, checks
from ..autograd import defgrad, op
from ..backend import numpy, xp
from ..errors import composed
from .pointwise import multiply
from .reduce import sum
from .shape import _axes, _reshape, _transpose, diagonal, squeeze, unsqueeze


@op
def matmul(a, b):
    """The matrix product of the last two axes, batched over the others; 1-D is a row on the left and a column right.

    >>> lucidlite.ones(2, 3) @ lucidlite.ones(3)
    Tensor([3., 3.])
    """
    if getattr(a, "ndim", 0) == getattr(b, "ndim", 0) == 2:
        return a.dot(b)  # for small matrices, it takes a third of matmul's time
    return xp(a, b).matmul(a, b)


def _matmul_a(g, b):
    if g.ndim == b.ndim == 2:
        return matmul(g, b.T)
    if b.ndim == 1:
        return unsqueeze(g, -1) * b  # a may be 1-D too: g is 0-d then
    if g.ndim < b.ndim:  # a is 1-D
        return matmul(unsqueeze(g, -2), b.swapaxes(-1, -2)).squeeze(-2)
    return matmul(g, b.swapaxes(-1, -2))


def _matmul_b(g, a, b_shape):
    if a.ndim == g.ndim == 2:
        return matmul(a.T, g)
    if len(b_shape) == 1:
        return a * unsqueeze(g, -1)  # the engine adds up over a batch
    if a.ndim == 1:
        return unsqueeze(a, -1) * unsqueeze(g, -2)
    if a.ndim > len(b_shape) == 2:  # one matrix for a batch: one product instead of a batch of them to add up
        rows = math.prod(a.shape[:-1])
        a, g = a.reshape(rows, a.shape[-1]), g.reshape(rows, g.shape[-1])
    return matmul(a.swapaxes(-1, -2), g)


defgrad(matmul, a=_matmul_a, b=_matmul_b)


@composed
def dot(a, b):
    """The inner product of two vectors."""
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError("it takes two vectors; @ multiplies matrices")
    return matmul(a, b)


@composed
def outer(a, b):
    """Every element of the vector a times every element of the vector b: (n,), (m,) -> (n, m)."""
    return einsum("i,j->ij", a, b)


@composed
def tensordot(a, b, axes: Any = 2):
    """Products summed over pairs of axes: the last `axes` of a with the first of b, or two lists of axes."""
    if hasattr(axes, "__index__"):
        axes = [range(a.ndim - checks.whole("axes", axes, 0), a.ndim), range(axes)]
    left, right = (_axes(given, x.ndim) for x, given in zip((a, b), axes))
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ValueError(f"axes {left} of {a.shape} and {right} of {b.shape} differ in length")
    partners = dict(zip(right, left))
    letters = [partners.get(i, a.ndim + i) for i in range(b.ndim)]
    return _product([*range(a.ndim)], a, letters, b, {*range(a.ndim + b.ndim)} - {*left})[1]


@composed
def einsum(subscripts, *operands):
    """Einstein's summation, as numpy.einsum: "ij,jk->ik" is the matrix product; "..." stands for any further axes.

    More than two operands are multiplied from left to right.

    >>> lucidlite.einsum("ij->ji", lucidlite.zeros(2, 3)).shape
    (3, 2)
    """
    inputs, output = _explicit(subscripts, *(x.shape for x in operands))
    lengths = {c: n for s, x in zip(inputs, operands) for c, n in zip(s, x.shape) if n != 1}
    terms = []
    for letters, x in zip(inputs, operands):
        for c in letters:
            while letters.count(c) > 1:  # "ii" is the diagonal first
                i, j = letters.find(c), letters.rfind(c)
                x, letters = diagonal(x, 0, i, j), letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + c
        repeated = tuple(i for i, c in enumerate(letters) if x.shape[i] == 1 and c in lengths)
        terms.append(([c for i, c in enumerate(letters) if i not in repeated], squeeze(x, repeated)))
    letters, x = terms[0]
    for k, (others, y) in enumerate(terms[1:], 2):
        letters, x = _product(letters, x, others, y, {*output}.union(*(c for c, _ in terms[k:])))
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
    return [s.replace("...", d) for s, d in zip(text.split(","), dots)], output.replace("...", max(dots, key=len))


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
    return letters, _reshape(matmul(x, y) if inner else multiply(x, y), [lengths[c] for c in letters])


# ---- Windows ---------------------------------------------------------------------------------------------------------


def _each(value, n, what):
    """One number for all of n axes, or a tuple of n."""
    values = (value,) * n if hasattr(value, "__index__") else tuple(value)
    if len(values) != n or min(values) < 1:
        raise ValueError(f"{what} is {value!r}; give a whole number >= 1, or {n} of them")
    return values


@op
def windows(a: Any, size: Any, stride: Any = 1, dilation: Any = 1) -> Any:
    """All windows of this size over the last axes: (..., lengths) -> (..., positions, size), as a view.

    `size` is one number where windows run along the last axis, (height, width) for the last two, and so on. `stride` is
    the way from one window to the next, `dilation` from one element of a window to the next: one number for all axes,
    or one for each. Where windows overlap, gradients add up (`overlap_add`).
    """
    n = 1 if hasattr(size, "__index__") else len(size)
    size, stride, dilation = _each(size, n, "size"), _each(stride, n, "stride"), _each(dilation, n, "dilation")
    lengths = a.shape[a.ndim - n :]
    if len(lengths) < n or any(d * (k - 1) >= length for length, k, d in zip(lengths, size, dilation)):
        raise ValueError(f"size {size} with dilation {dilation} does not fit into shape {a.shape}")
    return backend.windows(a, size, stride, dilation)


@op
def overlap_add(a, shape, stride=1, dilation=1):
    """Windows (..., positions, size) put back into `shape` and added where they overlap: the transpose of `windows`."""
    n = a.ndim - len(shape)  # windows have as many axes more as they have
    return backend.overlap_add(a, tuple(shape), _each(stride, n, "stride"), _each(dilation, n, "dilation"))


defgrad(windows, a=lambda g, a_shape, stride, dilation: overlap_add(g, a_shape, stride, dilation))
defgrad(overlap_add, a=lambda g, a_shape, shape, stride, dilation: windows(g, a_shape[len(shape) :], stride, dilation))
