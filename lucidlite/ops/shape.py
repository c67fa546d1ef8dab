"""Ops that move elements without changing them: reshaping, indexing, joining.

Gradients move back the way the elements came. Most results are views of the same memory. The few ops that carry
gradient rules stand first; the rest is made of them.
"""

import functools
import itertools
import math
import operator

from .. import backend, checks
from ..autograd import defgrad, op
from ..backend import numpy, raw, xp
from ..errors import composed
from .pointwise import _named


def _sizes(sizes):
    """(2, 3) from `2, 3`, from `(2, 3)` or from `[2, 3]`."""
    if len(sizes) == 1 and hasattr(sizes[0], "__iter__"):
        sizes = sizes[0]
    return tuple(map(operator.index, sizes))


def _axis(axis, ndim):
    """The axis counted from 0."""
    if not -ndim <= axis < ndim:
        raise IndexError(f"axis {axis} is out of bounds for {ndim} axes; count from 0, or from -1 backwards")
    return axis % ndim


def _axes(axis, ndim):
    """The axes that None (all), a number or several numbers name, counted from 0."""
    return tuple(range(ndim)) if axis is None else tuple(_axis(i, ndim) for i in _sizes((axis,)))


# ---- The ops with rules ----------------------------------------------------------------------------------------------


_reshape = _named("reshape", "", lambda a, shape: a.reshape(shape), a=lambda g, a_shape: g.reshape(a_shape))
_getitem = _named("getitem", "", lambda a, index: a[index], a=lambda g, index, a_shape: _scatter(g, index, a_shape))


@op
def _transpose(a, axes):
    return a.transpose(axes)


swapaxes = _named(
    "swapaxes", "Two axes exchanged", lambda a, axis1, axis2: a.swapaxes(axis1, axis2),
    a=lambda g, axis1, axis2: g.swapaxes(axis1, axis2),
)  # fmt: skip
squeeze = _named(
    "squeeze", "Without the axes of length 1, or without just these, which must have length 1",
    lambda a, axis=None: a.squeeze(axis), a=lambda g, a_shape: g.reshape(a_shape),
)  # fmt: skip
broadcast_to = _named(
    "broadcast_to", "a, repeated along new axes in front and along axes of length 1 to have this shape; uses no memory",
    lambda a, shape: xp(a).broadcast_to(a, shape), a=lambda g: g,
)  # fmt: skip
flip = _named(
    "flip", "a with the elements along an axis, several, or all of them in reverse order",
    lambda a, axis=None: xp(a).flip(a, axis), a=lambda g, axis: flip(g, axis),
)  # fmt: skip
roll = _named(
    "roll", "a with the elements along an axis moved on by `shifts` places; those that fall out come in again in front",
    lambda a, shifts, axis=None: xp(a).roll(a, shifts, axis),
    a=lambda g, shifts, axis: roll(g, [-n for n in _sizes((shifts,))], axis),
)  # fmt: skip


@op
def _scatter(a, index, shape):
    total = backend.zeros(shape, like=a)
    if any(hasattr(i, "dtype") and i.dtype.kind != "b" for i in (index if isinstance(index, tuple) else (index,))):
        backend.add_at(total, index, a)  # integers may name an element twice
    else:
        total[index] = a
    return total


@op
def pad(a, pairs, value=0):
    """`value` put before and after each axis: so many times on all sides, (before, after), or a pair for each axis."""
    middle, shape = _middle(pairs, a.shape)
    total = xp(a).full(shape, value, a.dtype)
    total[middle] = a
    return total


def _middle(pairs, shape):
    """Where the middle of a padded array is, and the shape of the whole."""
    pairs = numpy.broadcast_to(pairs, (len(shape), 2)).tolist()
    if min((n for pair in pairs for n in pair), default=0) < 0:
        raise ValueError("give numbers >= 0")
    middle = tuple(slice(before, before + n) for (before, _), n in zip(pairs, shape))
    return middle, tuple(before + n + after for (before, after), n in zip(pairs, shape))


def _triangle(name, text):
    def triangle(a, diagonal=0):
        _axis(1, a.ndim)
        return getattr(xp(a), name)(a, diagonal)

    call = _named(name, text, triangle, a=lambda g, diagonal: call(g, diagonal))
    return call


tril = _triangle("tril", "The lower triangle of the last two axes, up to and with this diagonal; zeros above")
triu = _triangle("triu", "The upper triangle of the last two axes, from this diagonal on; zeros below")

defgrad(_transpose, a=lambda g, axes: _transpose(g, tuple(sorted(range(len(axes)), key=axes.__getitem__))))
defgrad(_scatter, a=lambda g, index: _getitem(g, index))
defgrad(pad, a=lambda g, pairs, a_shape: _getitem(g, _middle(pairs, a_shape)[0]))

# ---- Made of them: new shapes ----------------------------------------------------------------------------------------


@composed
def reshape(a, *shape):
    """a with another shape, `reshape(a, 2, 3)` or `reshape(a, (2, 3))`; one length may be -1.

    >>> lucidlite.arange(6).reshape(2, -1).shape
    (2, 3)
    """
    return _reshape(a, _sizes(shape))


@composed
def ravel(a):
    """All elements along one axis."""
    return _reshape(a, (-1,))


@composed
def flatten(a, start_axis=0, end_axis=-1):
    """The axes from `start_axis` to `end_axis` made one."""
    shape = a.shape or (1,)
    start, end = _axis(start_axis, len(shape)), _axis(end_axis, len(shape))
    if start > end:
        raise ValueError("start_axis comes after end_axis")
    return _reshape(a, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@composed
def transpose(a, *axes):
    """The axes in another order; in reverse when none is given."""
    given = axes and axes != (None,)
    return _transpose(a, _axes(_sizes(axes), a.ndim) if given else tuple(reversed(range(a.ndim))))


@composed
def unsqueeze(a, axis):
    """With a new axis of length 1 at this place."""
    place = _axis(axis, a.ndim + 1)
    return _reshape(a, (*a.shape[:place], 1, *a.shape[place:]))


@composed
def expand(a, *sizes):
    """a broadcast to these lengths; -1 keeps the length that an axis has."""
    sizes = _sizes(sizes)
    old = (-1,) * (len(sizes) - a.ndim) + a.shape
    return broadcast_to(a, tuple(o if n == -1 else n for n, o in zip(sizes, old)))


@composed
def concatenate(arrays, axis=0):
    """Tensors one behind the other along an axis; the other lengths must agree.

    >>> lucidlite.concatenate([lucidlite.zeros(2, 3), lucidlite.ones(1, 3)]).shape
    (3, 3)
    """
    arrays = list(arrays)
    if not arrays:
        raise ValueError("the list of tensors is empty; give at least one")
    axis = _axis(axis, arrays[0].ndim)
    ends = tuple(itertools.accumulate((a.shape[axis] for a in arrays), initial=0))
    return _concatenate(len(arrays))(*arrays, axis, ends)


@functools.lru_cache(64)
def _concatenate(n):
    """The op that joins n tensors, the i-th of which goes from ends[i] to ends[i + 1]."""

    def forward(*args):
        return xp(*args[:n]).concatenate(args[:n], args[n])

    def rule(i):
        return lambda g, axis, ends: _cut(g, axis, ends[i], ends[i + 1])

    rules = {f"a{i}": rule(i) for i in range(n)}
    forward.__name__, forward.parameters = "concatenate", [*rules, "axis", "ends"]
    return defgrad(op(forward), **rules)


def _cut(a, axis, start, stop):
    return _getitem(a, (slice(None),) * axis + (slice(start, stop),))


@composed
def stack(arrays, axis=0):
    """Tensors of one shape along a new axis."""
    return concatenate([unsqueeze(a, axis) for a in arrays], axis)


@composed
def split(a, size_or_sections, axis=0):
    """A tuple of pieces along an axis: of one size each (the last may be shorter), or of the sizes in a list."""
    axis, sizes = _axis(axis, a.ndim), size_or_sections
    length = a.shape[axis]
    if not hasattr(sizes, "__iter__"):
        size = checks.whole("the size", sizes)
        sizes = [min(size, length - i) for i in range(0, length, size)] or [0]
    if sum(sizes) != length or min(sizes, default=0) < 0:
        raise ValueError(f"the sizes do not add up to the length {length} of axis {axis}")
    return tuple(_cut(a, axis, sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes)))


@composed
def chunk(a, chunks, axis=0):
    """At most `chunks` pieces of equal size along an axis; the last may be shorter."""
    size = math.ceil(a.shape[_axis(axis, a.ndim)] / checks.whole("chunks", chunks))
    return split(a, size or 1, axis)


@composed
def repeat(a, repeats, axis=None):
    """Each element `repeats` times in a row; a list has a number for each. Without an axis, a is raveled first."""
    if axis is None:
        a, axis = _reshape(a, (-1,)), 0
    axis = _axis(axis, a.ndim)
    places = xp(raw(a)).arange(a.shape[axis]).repeat(_sizes((repeats,)))
    return _getitem(a, (slice(None),) * axis + (places,))


@composed
def tile(a, *reps):
    """The whole tensor `reps` times along each axis."""
    reps = _sizes(reps)
    shape = (1,) * (len(reps) - a.ndim) + a.shape
    pairs = list(zip((1,) * (len(shape) - len(reps)) + reps, shape))
    a = broadcast_to(_reshape(a, [k for _, n in pairs for k in (1, n)]), [k for pair in pairs for k in pair])
    return _reshape(a, [times * n for times, n in pairs])


@composed
def getitem(a, index):
    """a[index]: ints, slices, None, Ellipsis, and integer or bool arrays, lists or Tensors."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(backend.index(i, a, "getitem") if hasattr(i, "__len__") or hasattr(i, "shape") else i for i in parts)
    return _getitem(a, parts if isinstance(index, tuple) else parts[0])


@composed
def gather(a, axis, index):
    """For axis 1, result[i, j, k] = a[i, index[i, j, k], k]: an element for each index, which has as many axes as a."""
    index, axis = backend.index(index, a, "gather"), _axis(axis, a.ndim)
    shapes = zip(index.shape, a.shape)
    if index.dtype == bool or index.ndim != a.ndim or any(m > n for k, (m, n) in enumerate(shapes) if k != axis):
        raise ValueError(f"the index must hold integers, have as many axes as a, and only axis {axis} may be longer")
    grid = [xp(index).arange(n).reshape((-1,) + (1,) * (a.ndim - k - 1)) for k, n in enumerate(index.shape)]
    return _getitem(a, tuple(index if k == axis else grid[k] for k in range(a.ndim)))


@composed
def diagonal(a, offset=0, axis1=0, axis2=1):
    """The diagonal of two axes, as the last axis; `offset` > 0 above the main one, < 0 below."""
    i, j = _axes((axis1, axis2), a.ndim)
    n = min(a.shape[i] + min(offset, 0), a.shape[j] - max(offset, 0))
    places = xp(raw(a)).arange(n)  # none where n < 0
    a = transpose(a, *(k for k in range(a.ndim) if k not in (i, j)), i, j)
    return _getitem(a, (..., places - min(offset, 0), places + max(offset, 0)))
