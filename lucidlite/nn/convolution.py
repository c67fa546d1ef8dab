"""Convolution, the windows of the input, one a row, times a kernel of weights, in one matrix product; and pooling.
Channels come last in memory, so that a window is a few long runs; results are views with the axes in usual order."""

import functools
import itertools
import math
from typing import Any

from .. import backend, checks, ops
from ..autograd import defgrad, op
from ..backend import raw, xp
from ..checks import each
from .basic import FunctionLayer, drawn, floating, sizes

BLOCK = 2**19  # numbers: on the CPU a batch is worked on in pieces of this size, which stay in the cache

# ---- Three products, the gradients of each are the two others; `how` is (stride, padding, dilation, groups) ----------


@op
def _convolve(x, w, how, bias=None):
    r"""x (batch, channels, height, width), w (filters, channels / groups, rows, columns) -> (batch, filters, ...).

        (1)  y_{n,o,i,j} = \sum_{c,a,b} w_{o,c,a,b} x_{n,c,s i + d a,z j + e b}

    where s is `how[0][0]` and z is `how[0][1]`, the strides, d is `how[2][0]` and e is `how[2][1]`, the dilations; of
    one group, without padding and bias."""
    y = _by_group(_times, x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), how)
    if bias is not None:
        y += bias
    return y.transpose(0, 3, 1, 2)  # (1)


@op
def _spread(out, w, shape, how):
    """`_convolve` as a map of x, transposed: (batch, filters, ...) -> an input of this shape."""
    x = _by_group(_put_back, out.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), how, shape[2:])
    return x.transpose(0, 3, 1, 2)


@op
def _compare(out, x, shape, how):
    """`_convolve` as a map of w, transposed: (batch, filters, ...) -> a weight of this shape."""
    w = _by_group(_against, x.transpose(0, 2, 3, 1), out.transpose(0, 2, 3, 1), how, shape[2:])
    return w.transpose(3, 2, 0, 1)


def _sums(g):
    """The sum over all but the channels, as a product with ones: a tenth of the time of g.sum((0, 2, 3))."""
    rows = g.transpose((0, 2, 3, 1)).reshape(-1, g.shape[1])
    return ops.matmul(backend.ones_like(raw(rows)[:, 0]), rows)


defgrad(
    _convolve,
    x=lambda g, w, x_shape, how: _spread(g, w, x_shape, how),
    w=lambda g, x, w_shape, how: _compare(g, x, w_shape, how),
    bias=_sums,
)
defgrad(
    _spread, out=lambda g, w, how: _convolve(g, w, how), w=lambda g, out, w_shape, how: _compare(out, g, w_shape, how)
)
defgrad(
    _compare, out=lambda g, x, how: _convolve(x, g, how), x=lambda g, out, x_shape, how: _spread(out, g, x_shape, how)
)

# ---- The same on arrays, channels last; a kernel is (rows, columns, channels, filters) -------------------------------


def _by_group(function, first, second, how, *rest):
    if how[-1] == 1:
        return function(first, second, how, *rest)
    pairs = zip(*(xp(a).split(a, how[-1], axis=-1) for a in (first, second)))
    return xp(first).concatenate([function(*pair, how, *rest) for pair in pairs], axis=-1)


def pieces(x, numbers):
    """Slices of a batch of which each, with so many numbers an image, fits the cache; the whole on a GPU."""
    step = max(1, BLOCK // max(1, numbers) if type(x) is backend.ndarray else len(x))
    return [slice(i, min(i + step, len(x))) for i in range(0, len(x) or 1, step)]


def _framed(count, lengths, channels, size, how, like):
    """Of images of zeros: what is inside the padding, and all windows, (images, positions..., size..., channels)."""
    (height, width), ((top, bottom), (left, right)) = lengths, how[1]
    images = backend.zeros((count, top + height + bottom, left + width + right, channels), like=like)
    windows = backend.windows(images.transpose(0, 3, 1, 2), size, how[0], how[2]).transpose(0, 2, 3, 4, 5, 1)
    return images[:, top : top + height, left : left + width], windows


def _blocks(x, size, how):
    channels = x.shape[-1]
    if size == how[0] == (1, 1) and not any(map(any, how[1])):
        yield slice(None), x.reshape(-1, channels)
        return
    pixels = math.prod(n + sum(pair) for n, pair in zip(x.shape[1:], how[1]))
    batch = pieces(x, pixels * channels * math.prod(size))
    inside, windows = _framed(batch[0].stop, x.shape[1:3], channels, size, how, x)
    room = xp(x).empty((*windows.shape[3:], *windows.shape[:3]), x.dtype).transpose(3, 4, 5, 0, 1, 2)
    if channels > 3:  # with fewer, the rows of an image are longer runs of numbers than those of a window
        room = xp(x).empty(windows.shape, x.dtype)
    for images in batch:
        count = images.stop - images.start
        inside[:count] = x[images]
        room[:count] = windows[:count]
        yield images, room[:count].reshape(-1, math.prod(size) * channels)


def _times(x, kernel, how):
    lengths = [(n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(x.shape[1:], kernel.shape, *how[:3])]
    y, flat = xp(x).empty((len(x), *lengths, kernel.shape[-1]), x.dtype), kernel.reshape(-1, kernel.shape[-1])
    for images, rows in _blocks(x, kernel.shape[:2], how):
        xp(x).dot(rows, flat, out=y[images].reshape(-1, kernel.shape[-1]))
    return y


def _put_back(out, kernel, how, lengths):
    stride, padding, dilation, _ = how
    room = [[d * (k - 1) - n for n in pair] for k, d, pair in zip(kernel.shape, dilation, padding)]
    if stride == (1, 1) and min(map(min, room)) >= 0:
        return _times(out, kernel[::-1, ::-1].swapaxes(2, 3), (stride, room, dilation))
    flat = kernel.reshape(-1, kernel.shape[-1]).T
    inside, windows = _framed(len(out), lengths, kernel.shape[2], kernel.shape[:2], how, out)
    for images in pieces(out, windows[:1].size):
        parts = out[images].reshape(-1, len(flat)).dot(flat).reshape(-1, *windows.shape[1:])
        for a, b in backend.numpy.ndindex(kernel.shape[:2]):  # windows overlap, but not those parts of them
            windows[images, :, :, a, b] += parts[:, :, :, a, b]
    return inside


def _against(x, out, how, size):
    total: Any = sum(rows.T.dot(out[images].reshape(-1, out.shape[-1])) for images, rows in _blocks(x, size, how))
    return total.reshape(*size, x.shape[-1], out.shape[-1])


def beside(value, other) -> Any:
    """The option of one axis as that of two, of which the first is 1 long: (other, value)."""
    kept = value is None or isinstance(value, str)
    return value if kept else (other, *value) if isinstance(value, tuple) else (other, value)


def _how(size, stride, padding, dilation, groups):
    """What the three products are told; size is the kernel's."""
    n = len(size)
    stride, dilation = each("stride", stride, n, 1), each("dilation", dilation, n, 1)
    total = [2 * p for p in each("padding", 0 if padding in ("same", "valid") else padding, n, 0)]
    if padding == "same":
        checks.choice("stride for padding='same'", stride, [(1,) * n])
        total = [d * (k - 1) for k, d in zip(size, dilation)]
    return stride, tuple((m // 2, m - m // 2) for m in total), dilation, checks.whole("groups", groups)


def _prepared(input_, weight, bias, options, transposed=False):
    """The input with a batch, the number of filters, and `how`; refused unless they fit."""
    hint = "input_ is (batch, channels, height, width), or (batch, channels, length), or has no batch"
    if input_.ndim in (3, 4) and weight.ndim == 4:
        how, x = _how(weight.shape[2:], *options), input_ if input_.ndim == 4 else input_.unsqueeze(0)
        groups, (first, second) = how[-1], weight.shape[:2]
        channels, filters = (first, second * groups) if transposed else (second * groups, first)
        fits = x.shape[1] == channels and x.dtype == weight.dtype
        if fits and first % groups == 0 and (bias is None or bias.shape == (filters,)):
            return x, filters, how
        hint = f"input_ has {x.shape[1]} channels of {x.dtype}, the weight takes {channels} of {weight.dtype}"
    raise ValueError(f"{hint}; groups={options[-1]} must divide channels and filters; bias has a number a filter")


def conv1d(input_, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """`conv2d` along one axis: (batch, channels, length), weight (filters, channels / groups, size)."""
    options = beside(stride, 1), beside(padding, 0), beside(dilation, 1)
    return conv2d(input_.unsqueeze(-2), weight.unsqueeze(-2), bias, *options, groups).squeeze(-2)


def conv2d(input_, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide a kernel over images: (batch, channels, height, width) -> (batch, filters, height', width').

    `weight` is (filters, channels / groups, rows, columns), `bias` (filters). `stride`, `padding` (zeros on both sides,
    or "same" or "valid") and `dilation` are a whole number or a pair. A cross-correlation, (1) of `_convolve`."""
    x, _, how = _prepared(input_, weight, bias, (stride, padding, dilation, groups))
    wrong = any(m + sum(p) <= d * (k - 1) for m, k, p, d in zip(x.shape[2:], weight.shape[2:], *how[1:3]))
    checks.refuse(wrong, f"a kernel of {weight.shape[2:]} does not fit into input_ {input_.shape}; add padding")
    y = _convolve(x, weight, how, bias)
    return y if input_.ndim == 4 else y.squeeze(0)


def conv_transpose2d(input_, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """The gradient of `conv2d` as a layer, which enlarges: weight is (channels, filters / groups, rows, columns).

    A side becomes (length - 1) stride - 2 padding + dilation (size - 1) + output_padding + 1 long."""
    x, filters, how = _prepared(input_, weight, bias, (stride, padding, dilation, groups), transposed=True)
    more = each("output_padding", output_padding, 2, 0)
    sides = zip(x.shape[2:], weight.shape[2:], more, *how[:3])
    lengths = tuple((n - 1) * s - sum(p) + d * (k - 1) + m + 1 for n, k, m, s, p, d in sides)
    wrong = min(lengths) < 1 or any(m >= s for m, s in zip(more, how[0]))
    checks.refuse(wrong, f"the result would be {lengths}; take less padding, and output_padding less than the stride")
    y = _spread(x, weight, (x.shape[0], filters, *lengths), how)
    y = y if bias is None else y + bias.reshape(-1, 1, 1)
    return y if input_.ndim == 4 else y.squeeze(0)


def unfold(input_, kernel_size=1, stride=1, padding=0, dilation=1):
    """The windows of images as columns: (batch, channels, height, width) -> (batch, channels rows columns, windows)."""
    size = each("kernel_size", kernel_size, 2, 1)
    stride, padding, dilation, _ = _how(size, stride, padding, dilation, 1)
    view = ops.windows(ops.pad(input_, ((0, 0), (0, 0), *padding)), size, stride, dilation)
    return view.transpose((0, 1, 4, 5, 2, 3)).flatten(1, 3).flatten(2)


class Convolution(FunctionLayer):
    """What the convolutions share: (batch, in_channels, ...) -> (batch, out_channels, ...).

    Weight and bias are drawn from -k to k, see `basic.drawn`, where n is the size of `weight[0]`."""

    axes = 2

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        sizes(self, in_channels=in_channels, out_channels=out_channels)
        self.kernel_size = each("kernel_size", kernel_size, self.axes, 1)
        _how(self.kernel_size, stride, padding, dilation, groups)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        wrong = in_channels % groups or out_channels % groups
        checks.refuse(wrong, f"groups is {groups}; it must divide {in_channels} and {out_channels} channels")
        first, second = (in_channels, out_channels) if "output_padding" in self._names else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        self.weight, self.bias = drawn(math.prod(shape[1:]), shape, checks.flag("bias", bias) and out_channels)


class Conv1d(Convolution, function=conv1d):
    axes = 1


class Conv2d(Convolution, function=conv2d): ...


class ConvTranspose2d(Convolution, function=conv_transpose2d):
    """`functional.conv_transpose2d`; after `output_padding` it takes dilation, groups and bias, as `Conv2d` does."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, *rest, **named):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, *rest, **named)
        self.output_padding = output_padding


class Unfold(FunctionLayer, function=unfold): ...


# ---- Pooling and resizing: fewer numbers that say as much, or more that say the same ---------------------------------


def _fitted(input_, kernel_size, stride, padding):
    size, padding = each("kernel_size", kernel_size, 2, 1), each("padding", padding, 2, 0)
    stride = size if stride is None else each("stride", stride, 2, 1)
    fits = all(2 * p <= k <= n + 2 * p for k, n, p in zip(size, input_.shape[-2:], padding))
    if not fits or input_.ndim not in (3, 4):
        hint = "it needs 3 axes, or 4 with a batch (in 1-D 2 or 3), and padding is at most half of kernel_size"
        raise ValueError(f"windows {size} with padding {padding} do not fit into input_ {input_.shape}; {hint}")
    return size, stride, padding


@op
def _greatest(x, size, stride):
    r"""The greatest element of every window, where w is `backend.windows(x, size, stride, (1, 1))`, in place of copies.

    (1)  y_{n,c,i,j} = \max_{a,b} w_{n,c,i,j,a,b}"""
    return functools.reduce(backend.xp(x).maximum, (x[place] for place in _taps(x, size, stride)))  # (1)


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
    total, given = backend.zeros_like(x), backend.xp(y).empty_like(y)
    given[...] = g  # in the layout of y: a product of two layouts takes five times as long
    for part in pieces(x, 4 * math.prod(x.shape[1:])):  # besides x the total, and less of others
        for place, won in _winners(x[part], y[part], size, stride):
            total[part][place] += given[part] * won  # a tenth of the time of a selection, which is hard to predict
    return total


defgrad(_greatest, x=lambda g, x, y, size, stride: _hand_back(g, *backend.raw((x, y)), size, stride))
defgrad(_hand_back, g=lambda g, x, y, size, stride: sum(g[at] * won for at, won in _winners(x, y, size, stride)))


def max_pool1d(input_, kernel_size=1, stride=None, padding=0):
    """`max_pool2d` along one axis: (batch, channels, length)."""
    return max_pool2d(input_.unsqueeze(-2), beside(kernel_size, 1), beside(stride, 1), beside(padding, 0)).squeeze(-2)


def max_pool2d(input_, kernel_size=1, stride=None, padding=0):
    """The greatest element of every window: (batch, channels, height, width) -> (batch, channels, height', width').

    Sizes are a whole number or a pair; stride is kernel_size (in lucid 1). Of equals the first gets the gradient."""
    size, stride, padding = _fitted(input_, kernel_size, stride, padding)
    if any(padding):
        input_ = ops.pad(floating(input_), (*[(0, 0)] * (input_.ndim - 2), *zip(padding, padding)), -math.inf)
    return _greatest(input_, size, stride)


def _averaged(x, bounds):
    """Means over the last two axes of x; for each axis all starts and all ends of what goes into one mean."""
    return _resample(x, *(_means(low, high, n, x.dtype) for (low, high), n in zip(bounds, x.shape[-2:])))


def _means(low, high, n, dtype):
    r"""The matrix that takes in each row the mean of elements l to h - 1 of n, where l is `low` and h is `high`.

    (1)  w = \begin{cases} 0 & j < l \\ 0 & j ≥ h \\ \frac{1}{h - l} & \text{otherwise} \end{cases}"""
    low, high, j = low[:, None], high[:, None], backend.xp(low).arange(n)
    w = ((j >= low) & (j < high)) / (high - low)  # (1)
    return w.astype(dtype)


@op
def _resample(x, rows, columns):
    r"""Means of rows, then of columns, of the last two axes, where X is `x`, R is `rows` and C is `columns`.

    (1)  Y = R X C^⊤"""
    return rows @ backend.xp(x).ascontiguousarray(x) @ columns.T  # (1)


defgrad(_resample, x=lambda g, rows, columns: _resample(g, rows.T, columns.T))


def avg_pool1d(input_, kernel_size=1, stride=None, padding=0):
    """`avg_pool2d` along one axis: (batch, channels, length)."""
    return avg_pool2d(input_.unsqueeze(-2), beside(kernel_size, 1), beside(stride, 1), beside(padding, 0)).squeeze(-2)


def avg_pool2d(input_, kernel_size=1, stride=None, padding=0):
    """The mean of every window, zeros of the padding included; shapes and arguments as in `max_pool2d`."""
    axes = zip(input_.shape[-2:], *_fitted(input_, kernel_size, stride, padding))
    starts = [(_counted(input_, (n + 2 * p - k) // s + 1) * s - p, k) for n, k, s, p in axes]
    return _averaged(floating(input_), [(start, start + k) for start, k in starts])


def _counted(like, n):
    return backend.create("arange", like.device, n)


def adaptive_avg_pool2d(input_, output_size=1):
    """Means of so many rows and columns of parts, as in PyTorch; lucid's have one size. None keeps a length."""
    sizes = output_size if isinstance(output_size, (tuple, list)) else [output_size] * 2
    sizes = each("output_size", [input_.shape[i - 2] if m is None else m for i, m in enumerate(sizes)], 2, 1)
    parts = [(_counted(input_, m), n, m) for n, m in zip(input_.shape[-2:], sizes)]
    return _averaged(floating(input_), [(i * n // m, -(-(i + 1) * n // m)) for i, n, m in parts])


def interpolate(input_, size=None, scale_factor=None, mode="nearest"):
    """Enlarge, or shrink, by repeating the nearest element: (batch, channels, length), or (..., height, width)."""
    checks.choice("mode", mode, ("nearest",))
    if input_.ndim == 3:
        return interpolate(input_.unsqueeze(-2), beside(size, 1), beside(scale_factor, 1)).squeeze(-2)
    if input_.ndim != 4 or (size is None) == (scale_factor is None):
        raise ValueError(f"input_ {input_.shape} must have 3 or 4 axes, and either size or scale_factor is given")
    factors = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * 2
    if size is None:
        size = [int(n * checks.number("scale_factor", f)) for n, f in zip(input_.shape[2:], factors)]
    axes = zip(input_.shape[2:], each("size", size, 2, 1), factors)
    steps = [(n, m, n / m if f is None or m in (n, 2 * n) else 1 / f) for n, m, f in axes]  # in float32, as in PyTorch
    places = [(_counted(input_, m).astype("float32") * backend.numpy.float32(step), n) for n, m, step in steps]
    rows, columns = (place.astype("int64").clip(0, n - 1) for place, n in places)
    return input_[..., rows[:, None], columns]


class MaxPool1d(FunctionLayer, function=max_pool1d): ...


class MaxPool2d(FunctionLayer, function=max_pool2d): ...


class AvgPool1d(FunctionLayer, function=avg_pool1d): ...


class AvgPool2d(FunctionLayer, function=avg_pool2d): ...


class AdaptiveAvgPool2d(FunctionLayer, function=adaptive_avg_pool2d): ...


class Upsample(FunctionLayer, function=interpolate): ...
