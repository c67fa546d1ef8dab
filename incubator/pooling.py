"""Pooling and resizing: fewer numbers that say as much, or more that say the same.

Averages, and the nearest neighbour, are one matrix for each axis. A maximum's gradient goes to the first that is it.
"""

import functools
import itertools

from lucidlite import backend, checks
from lucidlite.autograd import defgrad, op
from lucidlite.backend import raw, xp
from lucidlite.errors import composed
from lucidlite.nn.basic import FunctionLayer
from lucidlite.ops import pad

from .convolution import beside, each


def _prepared(input_, kernel_size, stride, padding):
    """size, stride and padding as pairs, which must fit (batch..., channels, height, width)."""
    size, padding = each("kernel_size", kernel_size, 2, 1), each("padding", padding, 2, 0)
    stride = size if stride is None else each("stride", stride, 2, 1)
    fits = all(2 * p <= k <= n + 2 * p for k, n, p in zip(size, input_.shape[-2:], padding))
    if not fits or input_.ndim not in (3, 4):
        hint = "it needs 3 axes, or 4 with a batch (in 1-D 2 or 3), and padding is at most half of kernel_size"
        raise ValueError(f"windows {size} with padding {padding} do not fit into input_ {input_.shape}; {hint}")
    return size, stride, padding


@op
def _greatest(x, size, stride):
    r"""The greatest element of every window.

        (1)  y_{n,c,i,j} = \max_{a,b} w_{n,c,i,j,a,b}

    where w is `backend.windows(x, size, stride, (1, 1))`, of which no copy is made.
    """
    y = functools.reduce(xp(x).maximum, (x[place] for place in _taps(x, size, stride)))  # (1)
    return y


def _taps(x, size, stride):
    """For each element of a window: where in x it is, for all windows at once."""
    count = [(n - k) // s + 1 for n, k, s in zip(x.shape[-2:], size, stride)]
    for offset in itertools.product(*map(range, size)):
        yield (..., *(slice(o, o + s * (m - 1) + 1, s) for o, s, m in zip(offset, stride, count)))


def _winners(x, y, size, stride):
    """(where, which windows have their greatest element there): the first of equals."""
    free = True
    for place in _taps(x, size, stride):
        won = (x[place] == y) & free
        free = free ^ won
        yield place, won


@op
def _hand_back(g, x, y, size, stride):
    """To each greatest element of x the number of its window, added up where windows overlap."""
    total, given = xp(x).zeros_like(x), xp(y).empty_like(y)
    given[...] = g  # in the layout of y: a product of two layouts takes five times as long
    for place, won in _winners(x, y, size, stride):
        total[place] += given * won  # a tenth of the time of a selection, which no processor can predict
    return total


@op
def _pick(g, x, y, size, stride):
    """The transpose of `_hand_back`."""
    return sum(g[place] * won for place, won in _winners(x, y, size, stride))


defgrad(_greatest, x=lambda g, x, y, size, stride: _hand_back(g, raw(x), raw(y), size, stride))
defgrad(_hand_back, g=lambda g, x, y, size, stride: _pick(g, x, y, size, stride))
defgrad(_pick, g=lambda g, x, y, size, stride: _hand_back(g, x, y, size, stride))


@composed
def max_pool1d(input_, kernel_size=1, stride=None, padding=0):
    """`max_pool2d` along one axis: (batch, channels, length)."""
    return max_pool2d(input_.unsqueeze(-2), beside(kernel_size, 1), beside(stride, 1), beside(padding, 0)).squeeze(-2)


@composed
def max_pool2d(input_, kernel_size=1, stride=None, padding=0):
    """The greatest element of every window: (batch, channels, height, width) -> (batch, channels, height', width').

    Sizes are a whole number or a pair; stride is kernel_size unless given (in lucid 1); padding never wins. Where
    several elements are the greatest, the first gets the gradient.
    """
    size, stride, padding = _prepared(input_, kernel_size, stride, padding)
    if any(padding):
        input_ = pad(input_, ((0, 0),) * (input_.ndim - 2) + tuple((p, p) for p in padding), -float("inf"))
    return _greatest(input_, size, stride)


def _means(low, high, n, like):
    r"""The matrix that takes, in row i, the mean of the elements from low_i to before high_i, of n.

        (1)  w = \begin{cases} 0 & j < l \\ 0 & j ≥ h \\ \frac{1}{h - l} & \text{otherwise} \end{cases}

    where w is `weights`, l is `low` and h is `high`; elements before the first and after the last are zeros.
    """
    low, high, j = low[:, None], high[:, None], backend.create("arange", backend.device_of(like), n)
    weights = ((j >= low) & (j < high)) / (high - low)  # (1)
    return weights.astype(like.dtype)


@op
def _resample(x, rows, columns):
    r"""Means of rows, then of columns, of the last two axes.

        (1)  Y = R X C^⊤

    where Y is `y`, X is `x`, R is `rows` and C is `columns`.
    """
    x = xp(x).ascontiguousarray(x)
    y = rows @ x @ columns.T  # (1)
    return y


defgrad(_resample, x=lambda g, rows, columns: _resample(g, rows.T, columns.T))


def _parts(input_, sizes):
    """For each of the last two axes the bounds of so many equal parts, rounded outwards, and its length."""
    for n, m in zip(input_.shape[-2:], sizes):
        i = backend.create("arange", input_.device, m)
        yield i * n // m, -(-(i + 1) * n // m), n


@composed
def avg_pool1d(input_, kernel_size=1, stride=None, padding=0):
    """`avg_pool2d` along one axis: (batch, channels, length)."""
    return avg_pool2d(input_.unsqueeze(-2), beside(kernel_size, 1), beside(stride, 1), beside(padding, 0)).squeeze(-2)


@composed
def avg_pool2d(input_, kernel_size=1, stride=None, padding=0):
    """The mean of every window, zeros of the padding included; shapes and arguments as in `max_pool2d`."""
    matrices = []
    for n, k, s, p in zip(input_.shape[-2:], *_prepared(input_, kernel_size, stride, padding)):
        start = backend.create("arange", input_.device, (n + 2 * p - k) // s + 1) * s - p
        matrices.append(_means(start, start + k, n, raw(input_)))
    return _resample(input_, *matrices)


@composed
def adaptive_avg_pool2d(input_, output_size=1):
    """Means of so many rows and columns of parts, of any height and width; None keeps a length.

    Parts overlap by an element where the length cannot be divided, as in PyTorch; lucid takes one fixed window.
    """
    _prepared(input_, 1, 1, 0)
    sizes = output_size if isinstance(output_size, (tuple, list)) else [output_size] * 2
    sizes = [input_.shape[i - 2] if m is None else m for i, m in enumerate(sizes)]
    parts = _parts(input_, each("output_size", sizes, 2, 1))
    return _resample(input_, *(_means(*bounds, raw(input_)) for bounds in parts))


@composed
def interpolate(input_, size=None, scale_factor=None, mode="nearest"):
    """Enlarge, or shrink, by repeating the nearest element: (batch, channels, length), or (..., height, width).

    `size` is the new length or lengths; or `scale_factor`, by what to multiply the old ones.
    """
    checks.choice("mode", mode, ("nearest",))
    if input_.ndim == 3:
        return interpolate(input_.unsqueeze(-2), beside(size, 1), beside(scale_factor, 1)).squeeze(-2)
    if input_.ndim != 4 or (size is None) == (scale_factor is None):
        raise ValueError(f"input_ {input_.shape} must have 3 or 4 axes, and either size or scale_factor is given")
    if size is None:
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * 2
        size = [int(n * checks.number("scale_factor", f)) for n, f in zip(input_.shape[2:], factors)]
    parts = _parts(input_, each("size", size, 2, 1))
    return _resample(input_, *(_means(low, low + 1, n, raw(input_)) for low, _, n in parts))


class MaxPool1d(FunctionLayer, function=max_pool1d): ...


class MaxPool2d(FunctionLayer, function=max_pool2d): ...


class AvgPool1d(FunctionLayer, function=avg_pool1d): ...


class AvgPool2d(FunctionLayer, function=avg_pool2d): ...


class AdaptiveAvgPool2d(FunctionLayer, function=adaptive_avg_pool2d): ...


class Upsample(FunctionLayer, function=interpolate): ...
