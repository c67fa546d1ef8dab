"""Ops that move elements without changing them: reshaping, indexing, joining.

Most results are views of the same memory. The few ops with gradient rules stand first; the rest is made of them."""

import functools
import itertools
import math

from .. import backend, checks
from ..autograd import defgrad, op
from ..backend import numpy, raw, whole_numbers, xp
from .pointwise import _named, masked_fill


def _axis(axis, ndim):
    """The axis counted from 0."""
    if not -ndim <= axis < ndim:
        raise IndexError(f"axis {axis} is out of bounds for {ndim} axes; count from 0, or from -1 backwards")
    return axis % ndim


def _axes(axis, ndim):
    """The axes that None (all), a number or several numbers name, counted from 0."""
    return tuple(range(ndim)) if axis is None else tuple(_axis(i, ndim) for i in whole_numbers((axis,)))


_reshape = _named("reshape", "", lambda a, shape: a.reshape(shape), a=lambda g, a_shape: g.reshape(a_shape))
_getitem = _named("getitem", "", lambda a, index: a[index], a=lambda g, index, a_shape: _scatter(g, index, a_shape))


_transpose = _named(
    "transpose", "", lambda a, axes: a.transpose(axes), a=lambda g, axes: _transpose(g, numpy.argsort(axes).tolist())
)
swapaxes = _named(
    "swapaxes", "Two axes exchanged", lambda a, axis1, axis2: a.swapaxes(axis1, axis2),
    a=lambda g, axis1, axis2: g.swapaxes(axis1, axis2),
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
    a=lambda g, shifts, axis: roll(g, [-n for n in whole_numbers((shifts,))], axis),
)  # fmt: skip


@op
def _scatter(a, index, shape, value=0):
    total = xp(a).full(shape, value, a.dtype) if value else backend.zeros(shape, like=a)
    if any(hasattr(i, "dtype") and i.dtype.kind != "b" for i in (index if isinstance(index, tuple) else (index,))):
        xp(total).add.at(total, index, a)  # integers may name an element twice
    else:
        total[index] = a
    return total


defgrad(_scatter, a=lambda g, index: _getitem(g, index))


@op
def windows(a, size, stride=1, dilation=1):
    """All windows of this size over the last axes: (..., lengths) -> (..., positions, size), as a view.

    `size` is a number for the last axis, (height, width) for the last two, and so on. `stride` is the way from window
    to window, `dilation` from one element of a window to the next: one number for all axes, or one for each."""
    n = 1 if hasattr(size, "__index__") else len(size)
    size, stride = checks.each("size", size, n), checks.each("stride", stride, n)
    dilation, lengths = checks.each("dilation", dilation, n), a.shape[a.ndim - n :]
    if len(lengths) < n or any(d * (k - 1) >= length for length, k, d in zip(lengths, size, dilation)):
        raise ValueError(f"size {size} with dilation {dilation} does not fit into shape {a.shape}")
    return backend.windows(a, size, stride, dilation)


@op
def overlap_add(a, shape, stride=1, dilation=1):
    """Windows (..., positions, size) put back into `shape` and added where they overlap: the transpose of `windows`."""
    n = a.ndim - len(shape)  # windows have as many axes more as they have
    total, size = backend.zeros(tuple(shape), like=a), a.shape[a.ndim - n :]
    places = backend.windows(total, size, checks.each("stride", stride, n), checks.each("dilation", dilation, n))
    places = places[(..., *map(slice, a.shape[a.ndim - 2 * n :]))]
    for offset in numpy.ndindex(size):  # those of one offset lie apart
        places[(..., *offset)] += a[(..., *offset)]
    return total


defgrad(windows, a=lambda g, a_shape, stride, dilation: overlap_add(g, a_shape, stride, dilation))
defgrad(overlap_add, a=lambda g, a_shape, shape, stride, dilation: windows(g, a_shape[len(shape) :], stride, dilation))

# ---- Made of them: new shapes ----------------------------------------------------------------------------------------


def reshape(a, *shape):
    """a with another shape, `reshape(a, 2, 3)` or `reshape(a, (2, 3))`; one length may be -1."""
    return _reshape(a, whole_numbers(shape))


def ravel(a):
    """All elements along one axis."""
    return _reshape(a, (-1,))


def flatten(a, start_axis=0, end_axis=-1):
    """The axes from `start_axis` to `end_axis` made one."""
    shape = a.shape or (1,)
    start, end = _axis(start_axis, len(shape)), _axis(end_axis, len(shape))
    checks.refuse(start > end, "start_axis comes after end_axis")
    return _reshape(a, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def transpose(a, *axes):
    """The axes in another order; in reverse when none is given."""
    given = axes and axes != (None,)
    return _transpose(a, _axes(whole_numbers(axes), a.ndim) if given else tuple(reversed(range(a.ndim))))


def unsqueeze(a, axis):
    """With a new axis of length 1 at this place."""
    place = _axis(axis, a.ndim + 1)
    return _reshape(a, (*a.shape[:place], 1, *a.shape[place:]))


def squeeze(a, axis=None):
    """Without the axes of length 1, or without just these, which must have length 1."""
    return _reshape(a, raw(a).squeeze(axis).shape)


def expand(a, *sizes):
    """a broadcast to these lengths; -1 keeps the length that an axis has."""
    sizes = whole_numbers(sizes)
    old = (-1,) * (len(sizes) - a.ndim) + a.shape
    return broadcast_to(a, tuple(o if n == -1 else n for n, o in zip(sizes, old)))


def pad(a, pairs, value: float = 0):
    """`value` put before and after each axis: so many times on all sides, (before, after), or a pair for each axis."""
    pairs = numpy.broadcast_to(pairs, (a.ndim, 2)).tolist()
    checks.refuse(min((n for pair in pairs for n in pair), default=0) < 0, "give numbers >= 0")
    middle = tuple(slice(before, before + n) for (before, _), n in zip(pairs, a.shape))
    return _scatter(a, middle, tuple(before + n + after for (before, after), n in zip(pairs, a.shape)), value)


def tril(a, diagonal=0):
    """The lower triangle of the last two axes, up to and with this diagonal; zeros above."""
    return masked_fill(a, ~xp(raw(a)).tri(a.shape[-2], a.shape[-1], diagonal, bool), 0)


def triu(a, diagonal=0):
    """The upper triangle of the last two axes, from this diagonal on; zeros below."""
    return masked_fill(a, xp(raw(a)).tri(a.shape[-2], a.shape[-1], diagonal - 1, bool), 0)


def concatenate(arrays, axis=0):
    """Tensors one behind the other along an axis; the other lengths must agree."""
    arrays = list(arrays)
    checks.refuse(not arrays, "the list of tensors is empty; give at least one")
    axis = _axis(axis, arrays[0].ndim)
    ends = tuple(itertools.accumulate((a.shape[axis] for a in arrays), initial=0))
    return _concatenate(len(arrays))(*arrays, axis, ends)


@functools.lru_cache(64)
def _concatenate(n):
    """The op that joins n tensors, the i-th of which goes from ends[i] to ends[i + 1]."""

    forward = lambda *args: xp(*args[:n]).concatenate(args[:n], args[n])
    rule = lambda i: lambda g, axis, ends: _cut(g, axis, ends[i], ends[i + 1])
    rules = {f"a{i}": rule(i) for i in range(n)}
    forward.__name__, forward.parameters = "concatenate", [*rules, "axis", "ends"]
    return defgrad(op(forward), **rules)


def _cut(a, axis, start, stop):
    return _getitem(a, (slice(None),) * axis + (slice(start, stop),))


def stack(arrays, axis=0):
    """Tensors of one shape along a new axis."""
    return concatenate([unsqueeze(a, axis) for a in arrays], axis)


def split(a, size_or_sections, axis=0):
    """A tuple of pieces along an axis: of one size each (the last may be shorter), or of the sizes in a list."""
    axis, sizes = _axis(axis, a.ndim), size_or_sections
    length = a.shape[axis]
    if not hasattr(sizes, "__iter__"):
        size = checks.whole("the size", sizes)
        sizes = [min(size, length - i) for i in range(0, length, size)] or [0]
    checks.refuse(sum(sizes) != length or min(sizes, default=0) < 0, f"the sizes do not add up to {length}")
    return tuple(_cut(a, axis, sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes)))


def chunk(a, chunks, axis=0):
    """At most `chunks` pieces of equal size along an axis; the last may be shorter."""
    size = math.ceil(a.shape[_axis(axis, a.ndim)] / checks.whole("chunks", chunks))
    return split(a, size or 1, axis)


def repeat(a, repeats, axis=None):
    """Each element `repeats` times in a row; a list has a number for each. Without an axis, a is raveled first."""
    if axis is None:
        a, axis = _reshape(a, (-1,)), 0
    axis = _axis(axis, a.ndim)
    places = xp(raw(a)).arange(a.shape[axis]).repeat(whole_numbers((repeats,)))
    return _getitem(a, (slice(None),) * axis + (places,))


def tile(a, *reps):
    """The whole tensor `reps` times along each axis."""
    reps = whole_numbers(reps)
    shape = (1,) * (len(reps) - a.ndim) + a.shape
    pairs = list(zip((1,) * (len(shape) - len(reps)) + reps, shape))
    a = broadcast_to(_reshape(a, [k for _, n in pairs for k in (1, n)]), [k for pair in pairs for k in pair])
    return _reshape(a, [times * n for times, n in pairs])


def getitem(a, index):
    """a[index]: ints, slices, None, Ellipsis, and integer or bool arrays, lists or Tensors."""
    return _getitem(a, backend.index(index, a, "getitem"))


def gather(a, axis, index):
    """For axis 1, result[i, j, k] = a[i, index[i, j, k], k]: an element for each index, which has as many axes as a."""
    index, axis = backend.index(index, a, "gather"), _axis(axis, a.ndim)
    shapes = zip(index.shape, a.shape)
    if index.dtype == bool or index.ndim != a.ndim or any(m > n for k, (m, n) in enumerate(shapes) if k != axis):
        raise ValueError(f"the index must hold integers, have as many axes as a, and only axis {axis} may be longer")
    grid = [xp(index).arange(n).reshape((-1,) + (1,) * (a.ndim - k - 1)) for k, n in enumerate(index.shape)]
    return _getitem(a, tuple(index if k == axis else grid[k] for k in range(a.ndim)))


def diagonal(a, offset=0, axis1=0, axis2=1):
    """The diagonal of two axes, as the last axis; `offset` > 0 above the main one, < 0 below."""
    i, j = _axes((axis1, axis2), a.ndim)
    n = min(a.shape[i] + min(offset, 0), a.shape[j] - max(offset, 0))
    places = xp(raw(a)).arange(n)  # none where n < 0
    a = transpose(a, *(k for k in range(a.ndim) if k not in (i, j)), i, j)
    return _getitem(a, (..., places - min(offset, 0), places + max(offset, 0)))
