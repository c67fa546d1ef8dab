"""Ops that move elements without changing them: reshaping, indexing, joining.

Gradients move back the way the elements came. Most results are views of the same memory. The few ops that carry
gradient rules stand first; the rest is made of them.
"""

import functools
import math
import operator

from .. import backend
from ..autograd import defgrad, op
from ..backend import raw, xp
from ..errors import composed


def _sizes(sizes):
    """(2, 3) from `2, 3`, from `(2, 3)` or from `[2, 3]`."""
    if len(sizes) == 1 and hasattr(sizes[0], "__iter__"):
        sizes = sizes[0]
    return tuple(map(operator.index, sizes))


def _axis(axis, ndim, what):
    """The axis counted from 0."""
    if not -ndim <= axis < ndim:
        raise IndexError(f"{what}: axis {axis} is out of bounds for {ndim} axes; count from 0, or from -1 backwards")
    return axis % ndim


# ---- The ops with rules ----------------------------------------------------------------------------------------------


@op
def _reshape(a, shape):
    return a.reshape(shape)


@op
def _transpose(a, axes):
    return a.transpose(axes)


@op
def broadcast_to(a, shape):
    """a, repeated along new axes in front and along axes of length 1 until it has this shape; no memory is used."""
    return xp(a).broadcast_to(a, shape)


@op
def _getitem(a, index):
    return a[index]


@op
def _scatter(a, index, shape):
    total = backend.zeros(shape, like=a)
    if any(hasattr(i, "dtype") and i.dtype.kind != "b" for i in (index if isinstance(index, tuple) else (index,))):
        backend.add_at(total, index, a)  # integers may name an element twice
    else:
        total[index] = a
    return total


@op
def flip(a, axis=None):
    """a with the elements along an axis, several, or all of them in reverse order."""
    return xp(a).flip(a, axis)


@op
def roll(a, shifts, axis=None):
    """a with the elements along an axis moved on by `shifts` places; those that fall out come in again in front."""
    return xp(a).roll(a, shifts, axis)


def _check_matrix(a, name):
    if a.ndim < 2:
        raise ValueError(f"{name}: a has shape {a.shape}; a triangle needs two axes")


@op
def tril(a, diagonal=0):
    """The lower triangle of the last two axes, up to and with this diagonal; zeros above."""
    _check_matrix(a, "tril")
    return xp(a).tril(a, diagonal)


@op
def triu(a, diagonal=0):
    """The upper triangle of the last two axes, from this diagonal on; zeros below."""
    _check_matrix(a, "triu")
    return xp(a).triu(a, diagonal)


_reshape.op.name, _transpose.op.name, _getitem.op.name, _scatter.op.name = "reshape", "transpose", "getitem", "scatter"

defgrad(_reshape, a=lambda g, a_shape: g.reshape(a_shape))
defgrad(_transpose, a=lambda g, axes: _transpose(g, tuple(sorted(range(len(axes)), key=axes.__getitem__))))
defgrad(broadcast_to, a=lambda g: g)
defgrad(_getitem, a=lambda g, index, a_shape: _scatter(g, index, a_shape))
defgrad(_scatter, a=lambda g, index: _getitem(g, index))
defgrad(flip, a=lambda g, axis: flip(g, axis))
defgrad(roll, a=lambda g, shifts, axis: roll(g, [-s for s in shifts] if hasattr(shifts, "__iter__") else -shifts, axis))
defgrad(tril, a=lambda g, diagonal: tril(g, diagonal))
defgrad(triu, a=lambda g, diagonal: triu(g, diagonal))


def variadic(name, count, options, forward, rule):
    """An op of `count` tensors a0, a1, ... and some options: `forward(tensors, *options)`, `rule(i)` for the i-th."""

    def call(*args):
        return forward(args[:count], *args[count:])

    names = [*(f"a{i}" for i in range(count)), *options]
    call.__name__ = name
    call.parameters = names
    result = op(call)
    defgrad(result, **{f"a{i}": rule(i) for i in range(count)})
    return result


def _cut(g, axis, start, stop):
    return _getitem(g, (slice(None),) * axis + (slice(start, stop),))


@functools.lru_cache(64)
def _concatenate(n):
    def forward(arrays, axis, starts):
        return xp(*arrays).concatenate(arrays, axis)

    def rule(i):
        return lambda g, axis, starts: _cut(g, axis, starts[i], starts[i + 1])

    return variadic("concatenate", n, ("axis", "starts"), forward, rule)


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
    if a.ndim == 0:
        return _reshape(a, (1,))
    start, end = _axis(start_axis, a.ndim, "flatten"), _axis(end_axis, a.ndim, "flatten")
    if start > end:
        raise ValueError(f"flatten: start_axis {start_axis} comes after end_axis {end_axis}")
    return _reshape(a, (*a.shape[:start], math.prod(a.shape[start : end + 1]), *a.shape[end + 1 :]))


@composed
def transpose(a, *axes):
    """The axes in another order; in reverse when none is given."""
    if not axes or axes == (None,):
        return _transpose(a, tuple(reversed(range(a.ndim))))
    order = _sizes(axes)
    axes = tuple(_axis(n, a.ndim, "transpose") for n in order)
    if sorted(axes) != list(range(a.ndim)):
        raise ValueError(f"transpose: axes {order} for a tensor of shape {a.shape}; name each axis once")
    return _transpose(a, axes)


@composed
def swapaxes(a, axis1, axis2):
    """Two axes exchanged."""
    axes = list(range(a.ndim))
    i, j = _axis(axis1, a.ndim, "swapaxes"), _axis(axis2, a.ndim, "swapaxes")
    axes[i], axes[j] = axes[j], axes[i]
    return _transpose(a, tuple(axes))


@composed
def squeeze(a, axis=None):
    """Without the axes of length 1, or without just these, which must have length 1."""
    axes = range(a.ndim) if axis is None else [_axis(i, a.ndim, "squeeze") for i in _sizes((axis,))]
    if axis is not None and any(a.shape[i] != 1 for i in axes):
        raise ValueError(f"squeeze: axis {axis} of a tensor of shape {a.shape} has another length than 1")
    return _reshape(a, tuple(n for i, n in enumerate(a.shape) if n != 1 or i not in axes))


@composed
def unsqueeze(a, axis):
    """With a new axis of length 1 at this place."""
    place = _axis(axis, a.ndim + 1, "unsqueeze")
    return _reshape(a, (*a.shape[:place], 1, *a.shape[place:]))


@composed
def expand(a, *sizes):
    """a broadcast to these lengths; -1 keeps the length that an axis has."""
    sizes = _sizes(sizes)
    old = (1,) * (len(sizes) - a.ndim) + a.shape
    new = len(sizes) - a.ndim
    if new < 0 or -1 in sizes[:new] or any(n not in (-1, o) and o != 1 for n, o in zip(sizes, old)):
        raise ValueError(f"expand: {sizes} from shape {a.shape}; only new axes in front and axes of length 1 can grow")
    return broadcast_to(a, tuple(o if n == -1 else n for n, o in zip(sizes, old)))


@composed
def repeat(a, repeats, axis=None):
    """Each element `repeats` times in a row; a list has a number for each. Without an axis, a is raveled first."""
    if axis is None:
        a, axis = ravel(a), 0
    axis = _axis(axis, a.ndim, "repeat")
    counts = repeats if hasattr(repeats, "__iter__") else [operator.index(repeats)] * a.shape[axis]
    if len(counts) != a.shape[axis] or any(n < 0 for n in counts):
        raise ValueError(
            f"repeat: repeats={repeats} for axis {axis} of shape {a.shape}; give a number >= 0, or one for each element"
        )
    if counts is not repeats:
        wide = (*a.shape[: axis + 1], repeats, *a.shape[axis + 1 :])
        return _reshape(
            broadcast_to(unsqueeze(a, axis + 1), wide), (*a.shape[:axis], a.shape[axis] * repeats, *a.shape[axis + 1 :])
        )
    places = [i for i, n in enumerate(counts) for _ in range(n)]
    return getitem(a, (slice(None),) * axis + (places,))


@composed
def tile(a, *reps):
    """The whole tensor `reps` times along each axis."""
    reps = _sizes(reps)
    if any(n < 0 for n in reps):
        raise ValueError(f"tile: reps={reps}; each must be at least 0")
    shape = (1,) * (len(reps) - a.ndim) + a.shape
    reps = (1,) * (len(shape) - len(reps)) + reps
    pairs = [m for n in shape for m in (1, n)]
    wide = broadcast_to(_reshape(a, pairs), tuple(m for r, n in zip(reps, shape) for m in (r, n)))
    return _reshape(wide, tuple(r * n for r, n in zip(reps, shape)))


# ---- Made of them: joining and taking apart --------------------------------------------------------------------------


@composed
def concatenate(arrays, axis=0):
    """Tensors one behind the other along an axis; the other lengths must agree.

    >>> lucidlite.concatenate([lucidlite.zeros(2, 3), lucidlite.ones(1, 3)]).shape
    (3, 3)
    """
    arrays = list(arrays)
    if not arrays:
        raise ValueError("concatenate: the list of tensors is empty; give at least one")
    first, axis = arrays[0].shape, _axis(axis, arrays[0].ndim, "concatenate")
    starts = [0]
    for i, a in enumerate(arrays):
        if a.ndim != len(first) or any(m != n for k, (m, n) in enumerate(zip(a.shape, first)) if k != axis):
            raise ValueError(
                f"concatenate: tensor {i} has shape {a.shape}, tensor 0 has {first}; only axis {axis} may differ"
            )
        starts.append(starts[-1] + a.shape[axis])
    return _concatenate(len(arrays))(*arrays, axis, tuple(starts))


@composed
def stack(arrays, axis=0):
    """Tensors of one shape along a new axis."""
    arrays = list(arrays)
    if len({a.shape for a in arrays}) > 1:
        raise ValueError(f"stack: the shapes differ: {', '.join(str(a.shape) for a in arrays)}")
    return concatenate([unsqueeze(a, axis) for a in arrays], axis)


@composed
def split(a, size_or_sections, axis=0):
    """A tuple of pieces along an axis: of one size each (the last may be shorter), or of the sizes in a list."""
    axis, sizes = _axis(axis, a.ndim, "split"), size_or_sections
    length = a.shape[axis]
    if not hasattr(sizes, "__iter__"):
        sizes = operator.index(sizes)
        if sizes < 1:
            raise ValueError(f"split: the size of a piece is {sizes}; it must be at least 1")
        sizes = [min(sizes, length - i) for i in range(0, length, sizes)] or [0]
    if sum(sizes) != length or min(sizes, default=0) < 0:
        raise ValueError(f"split: sizes {list(sizes)} do not add up to the length {length} of axis {axis}")
    return tuple(_cut(a, axis, sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes)))


@composed
def chunk(a, chunks, axis=0):
    """At most `chunks` pieces of equal size along an axis; the last may be shorter."""
    if chunks < 1:
        raise ValueError(f"chunk: {chunks} pieces; it must be at least 1")
    return split(a, max(1, math.ceil(a.shape[_axis(axis, a.ndim, "chunk")] / chunks)), axis)


@composed
def pad(a, pairs, value=0):
    """`value` put before and after each axis: so many times on all sides, (before, after), or a pair for each axis."""
    if hasattr(pairs, "__index__"):
        pairs = (pairs, pairs)
    if len(pairs) == 2 and all(hasattr(n, "__index__") for n in pairs):
        pairs = (pairs,) * a.ndim
    pairs = tuple((before.__index__(), after.__index__()) for before, after in pairs)
    if len(pairs) != a.ndim or any(n < 0 for pair in pairs for n in pair):
        raise ValueError(
            f"pad: widths {pairs} for a tensor of shape {a.shape}; give a pair of numbers >= 0 for each axis"
        )
    return _pad(a, pairs, value)


@op
def _pad(a, pairs, value):
    total = xp(a).full([n + sum(pair) for n, pair in zip(a.shape, pairs)], value, a.dtype)
    total[_middle(pairs, a.shape)] = a
    return total


def _middle(pairs, shape):
    return tuple(slice(before, before + n) for (before, _), n in zip(pairs, shape))


_pad.op.name = "pad"
defgrad(_pad, a=lambda g, pairs, a_shape: _getitem(g, _middle(pairs, a_shape)))


# ---- Made of them: choosing elements ---------------------------------------------------------------------------------


@composed
def getitem(a, index):
    """a[index]: ints, slices, None, Ellipsis, and integer or bool arrays, lists or Tensors."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(backend.index(i, a, "getitem") if hasattr(i, "__len__") or hasattr(i, "shape") else i for i in parts)
    return _getitem(a, parts if isinstance(index, tuple) else parts[0])


@composed
def gather(a, axis, index):
    """For axis 1, result[i, j, k] = a[i, index[i, j, k], k]: an element for each index, which has as many axes as a."""
    index, axis = backend.index(index, a, "gather"), _axis(axis, a.ndim, "gather")
    if index.dtype == bool:
        raise TypeError("gather: the index is bool; it takes integers, a[mask] takes a mask")
    if index.ndim != a.ndim or any(m > n for k, (m, n) in enumerate(zip(index.shape, a.shape)) if k != axis):
        raise ValueError(f"gather: index of shape {index.shape} for {a.shape}; as many axes, only axis {axis} longer")
    grid = [xp(index).arange(n).reshape((-1,) + (1,) * (a.ndim - k - 1)) for k, n in enumerate(index.shape)]
    return _getitem(a, tuple(index if k == axis else grid[k] for k in range(a.ndim)))


@composed
def diagonal(a, offset=0, axis1=0, axis2=1):
    """The diagonal of two axes, as the last axis; `offset` > 0 above the main one, < 0 below."""
    i, j = _axis(axis1, a.ndim, "diagonal"), _axis(axis2, a.ndim, "diagonal")
    if i == j:
        raise ValueError(f"diagonal: axis1 and axis2 are both {i}")
    last = _transpose(a, (*(k for k in range(a.ndim) if k not in (i, j)), i, j))
    rows, columns = max(-offset, 0), max(offset, 0)
    steps = xp(raw(a)).arange(max(0, min(a.shape[i] - rows, a.shape[j] - columns)))
    return _getitem(last, (..., rows + steps, columns + steps))
