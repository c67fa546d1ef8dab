"""Convolution: one small kernel of weights slides over the whole input, and learns what to look for anywhere.

All rests on one matrix product: the windows of the input, one a row, times the kernel. Inside, channels come last in
memory, so that a window is a few long runs of numbers; results are views with the axes in the usual order. They are
linear in the input and in the kernel: the gradients of each of the three products below are the two others.
"""

import itertools
import math
from typing import Any

from lucidlite import backend, checks
from lucidlite.autograd import defgrad, op
from lucidlite.backend import xp
from lucidlite.creation import zeros
from lucidlite.errors import composed
from lucidlite.nn import init
from lucidlite.nn.basic import FunctionLayer
from lucidlite.nn.module import Module
from lucidlite.ops import pad, windows
from lucidlite.tensor import Parameter

from .basic import sizes

BLOCK = 2**19  # numbers: on the CPU the windows are laid out in pieces of this size, which stay in the cache

# ---- Three products, each the transpose of another; `how` is (stride, padding, dilation, groups) ---------------------


@op
def _convolve(x, weight, bias, how):
    r"""x (batch, channels, height, width), weight (filters, channels / groups, rows, columns) -> (batch, filters, ...).

        (1)  y_{n,o,i,j} = \sum_{c,a,b} w_{o,c,a,b} x_{n,c,s i + d a,z j + e b}

    where w is `weight`, s is `stride[0]`, z is `stride[1]`, d is `dilation[0]` and e is `dilation[1]`, of one group.
    """
    stride, padding, dilation, groups = how
    x = _last(x, padding)
    y = _by_group(_windows_times, groups, x, weight.transpose(2, 3, 1, 0), stride, dilation)
    if bias is not None:
        y += bias
    x = x.transpose(0, 3, 1, 2)
    y = y.transpose(0, 3, 1, 2)  # (1)
    return y


@op
def _spread(out, weight, shape, how):
    """`_convolve` as a map of x, transposed: (batch, filters, ...) -> an input of this shape."""
    stride, padding, dilation, groups = how
    kernel = weight.transpose(2, 3, 1, 0)
    reach = [d * (k - 1) for k, d in zip(kernel.shape, dilation)]
    room = [[r - n for n in pair] for r, pair in zip(reach, padding)]
    lengths = tuple(n + sum(pair) - r for n, pair, r in zip(out.shape[2:], room, reach))
    if stride == (1, 1) and lengths == shape[2:] and min(map(min, room)) >= 0:
        turned = kernel[::-1, ::-1]
        x = _by_group(_windows_times, groups, _last(out, room), turned, stride, dilation, True)
    else:
        padded = [n + sum(pair) for n, pair in zip(shape[2:], padding)]
        x = _by_group(_windows_put_back, groups, _last(out), kernel, stride, dilation, padded)
        x = x[(slice(None), *(slice(a, n - b) for n, (a, b) in zip(padded, padding)))]
    return x.transpose(0, 3, 1, 2)


@op
def _compare(out, x, shape, how):
    """`_convolve` as a map of the weight, transposed: (batch, filters, ...) -> a weight of this shape."""
    stride, padding, dilation, groups = how
    out, x = _last(out), _last(x, padding)
    return _by_group(_windows_against, groups, x, out, stride, dilation, shape[2:]).transpose(3, 2, 0, 1)


defgrad(
    _convolve,
    x=lambda g, weight, x_shape, how: _spread(g, weight, x_shape, how),
    weight=lambda g, x, weight_shape, how: _compare(g, x, weight_shape, how),
    bias=lambda g: g.sum(axis=(0, 2, 3)),
)
defgrad(
    _spread,
    out=lambda g, weight, how: _convolve(g, weight, None, how),
    weight=lambda g, out, weight_shape, how: _compare(out, g, weight_shape, how),
)
defgrad(
    _compare,
    out=lambda g, x, how: _convolve(x, g, None, how),
    x=lambda g, out, x_shape, how: _spread(out, g, x_shape, how),
)

# ---- The same on arrays, channels last; a kernel is (rows, columns, channels, filters) -------------------------------


def _last(x, padding=((0, 0), (0, 0))):
    """The array with its channels last, and zeros around it."""
    x = x.transpose(0, 2, 3, 1)
    if not any(map(any, padding)):
        return xp(x).ascontiguousarray(x)
    (top, bottom), (left, right) = padding
    n, height, width, channels = x.shape
    total = backend.zeros((n, height + top + bottom, width + left + right, channels), like=x)
    total[:, top : top + height, left : left + width] = x
    return total


def _by_group(function, groups, first, second, *rest):
    """The function of each group of channels or filters, which are the last axes."""
    if groups == 1:
        return function(first, second, *rest)
    pairs = zip(*(xp(a).split(a, groups, axis=-1) for a in (first, second)))
    return xp(first).concatenate([function(*pair, *rest) for pair in pairs], axis=-1)


def _blocks(x, size, stride, dilation):
    """(which images, their windows as rows), for a few images at a time."""
    view = backend.windows(x.transpose(0, 3, 1, 2), size, stride, dilation).transpose(0, 2, 3, 4, 5, 1)
    length = math.prod(view.shape[3:])
    if (*size, *stride) == (1, 1, 1, 1):
        yield slice(None), x.reshape(-1, length)
        return
    pieces = _pieces(x, math.prod(view.shape[1:]))
    room = xp(x).empty((max([p.stop for p in pieces[:1]], default=0), *view.shape[1:]), x.dtype)
    for images in pieces:
        rows = room[: images.stop - images.start]
        rows[...] = view[images]
        yield images, rows.reshape(-1, length)


def _pieces(x, size):
    """Slices of a batch, whose windows, of `size` numbers an image, fit the cache; the whole on a GPU."""
    step = max(1, BLOCK // size) if size and type(x) is backend.ndarray else max(1, len(x))
    return [slice(i, min(i + step, len(x))) for i in range(0, len(x), step)]


def _windows_times(x, kernel, stride, dilation, transposed=False):
    kernel = kernel.swapaxes(2, 3) if transposed else kernel
    lengths = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:], kernel.shape, stride, dilation)]
    y, flat = xp(x).empty((len(x), *lengths, kernel.shape[-1]), x.dtype), kernel.reshape(-1, kernel.shape[-1])
    for images, rows in _blocks(x, kernel.shape[:2], stride, dilation):
        xp(x).dot(rows, flat, out=y[images].reshape(-1, kernel.shape[-1]))
    return y


def _windows_put_back(out, kernel, stride, dilation, lengths):
    (rows, columns, channels, filters), (height, width) = kernel.shape, out.shape[1:3]
    x, flat = backend.zeros((len(out), *lengths, channels), like=out), kernel.reshape(-1, filters).T
    for images in _pieces(out, height * width * kernel[..., 0].size):
        parts = out[images].reshape(-1, filters).dot(flat).reshape(-1, height, width, rows, columns, channels)
        for a, b in itertools.product(range(rows), range(columns)):
            i, j = a * dilation[0], b * dilation[1]
            ends = i + stride[0] * (height - 1) + 1, j + stride[1] * (width - 1) + 1
            x[images, i : ends[0] : stride[0], j : ends[1] : stride[1]] += parts[:, :, :, a, b]
    return x


def _windows_against(x, out, stride, dilation, size):
    channels, filters = x.shape[-1], out.shape[-1]
    total = backend.zeros((math.prod(size) * channels, filters), like=x)
    for images, rows in _blocks(x, size, stride, dilation):
        total += rows.T.dot(out[images].reshape(-1, filters))
    return total.reshape(*size, channels, filters)


def each(what, value, n, low):
    """A whole number for each of n axes."""
    values = tuple(value) if hasattr(value, "__iter__") else (value,) * n
    if len(values) != n:
        raise ValueError(f"{what} is {value!r}; give a whole number, or {n} of them")
    return tuple(checks.whole(what, v, low) for v in values)


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
    if input_.ndim in (3, 4) and weight.ndim == 4:
        how, x = _how(weight.shape[2:], *options), input_ if input_.ndim == 4 else input_.unsqueeze(0)
        groups, (first, second) = how[-1], weight.shape[:2]
        channels, filters = (first, second * groups) if transposed else (second * groups, first)
        if x.shape[1] == channels and first % groups == 0 and (bias is None or bias.shape == (filters,)):
            return x, filters, how
    what = f"input_ {input_.shape}, weight {weight.shape} and bias {getattr(bias, 'shape', None)} do not go together"
    hint = "input_ is (batch, channels, height, width), in 1-D (batch, channels, length), or that without a batch"
    raise ValueError(f"{what}: {hint}; groups={options[-1]} divides channels and filters; bias has a number a filter")


@composed
def conv1d(input_, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """`conv2d` along one axis: (batch, channels, length), weight (filters, channels / groups, size)."""
    options = beside(stride, 1), beside(padding, 0), beside(dilation, 1)
    return conv2d(input_.unsqueeze(-2), weight.unsqueeze(-2), bias, *options, groups).squeeze(-2)


@composed
def conv2d(input_, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide a kernel over images: (batch, channels, height, width) -> (batch, filters, height', width').

    `weight` is (filters, channels / groups, rows, columns), `bias` (filters). `stride`, `padding` (zeros on both sides,
    or "same" or "valid") and `dilation` are a whole number or a pair. Like all of this field it is a cross-correlation,
    formula (1) of `_convolve`, which does not turn the kernel around.

    >>> nn.functional.conv2d(lucidlite.ones(1, 1, 3, 3), lucidlite.ones(1, 1, 2, 2)).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    x, _, how = _prepared(input_, weight, bias, (stride, padding, dilation, groups))
    size = weight.shape[2:]
    if any(m + sum(p) <= d * (k - 1) for m, k, p, d in zip(x.shape[2:], size, *how[1:3])):
        raise ValueError(f"a kernel of {size} does not fit into input_ {input_.shape}; add padding")
    y = _convolve(x, weight, bias, how)
    return y if input_.ndim == 4 else y.squeeze(0)


@composed
def conv_transpose2d(input_, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """The gradient of `conv2d` as a layer, which enlarges: weight is (channels, filters / groups, rows, columns).

    A side becomes (length - 1) stride - 2 padding + dilation (size - 1) + output_padding + 1 long.
    """
    x, filters, how = _prepared(input_, weight, bias, (stride, padding, dilation, groups), transposed=True)
    more = each("output_padding", output_padding, 2, 0)
    sides = zip(x.shape[2:], weight.shape[2:], more, *how[:3])
    lengths = tuple((n - 1) * s - sum(p) + d * (k - 1) + m + 1 for n, k, m, s, p, d in sides)
    if min(lengths) < 1 or any(m >= s for m, s in zip(more, how[0])):
        hint = f"take less padding than {padding}, and output_padding, {output_padding}, less than the stride, {stride}"
        raise ValueError(f"the result of input_ {input_.shape} would be {lengths}; {hint}")
    y = _spread(x, weight, (x.shape[0], filters, *lengths), how)
    y = y if bias is None else y + bias.reshape(-1, 1, 1)
    return y if input_.ndim == 4 else y.squeeze(0)


@composed
def unfold(input_, kernel_size=1, stride=1, padding=0, dilation=1):
    """The windows of images as columns: (batch, channels, height, width) -> (batch, channels rows columns, windows)."""
    size = each("kernel_size", kernel_size, 2, 1)
    stride, padding, dilation, _ = _how(size, stride, padding, dilation, 1)
    view = windows(pad(input_, ((0, 0), (0, 0), *padding)), size, stride, dilation)
    batch, channels, rows, columns = view.shape[:4]
    return view.transpose((0, 1, 4, 5, 2, 3)).reshape(batch, channels * math.prod(size), rows * columns)


class Convolution(Module):
    r"""What the convolutions share: (batch, in_channels, ...) -> (batch, out_channels, ...).

        (1)  k = \frac{1}{\sqrt{n}}

    where n is `fan_in`: weight and bias start as uniform numbers between -k and k, as in `Linear`.
    """

    function, axes, options = staticmethod(conv2d), 2, ("stride", "padding", "dilation", "groups")

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        super().__init__()
        sizes(self, in_channels=in_channels, out_channels=out_channels)
        self.kernel_size = each("kernel_size", kernel_size, self.axes, 1)
        _how(self.kernel_size, stride, padding, dilation, groups)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"groups is {groups}; it must divide {in_channels} and {out_channels} channels")
        first, second = (in_channels, out_channels) if "output_padding" in self.options else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        fan_in = math.prod(shape[1:])
        k = 1 / math.sqrt(fan_in)  # (1)
        self.weight = init.uniform(Parameter(zeros(shape)), -k, k)
        self.bias = init.uniform(Parameter(zeros(out_channels)), -k, k) if checks.flag("bias", bias) else None

    def forward(self, input_):
        return self.function(input_, self.weight, self.bias, **{name: getattr(self, name) for name in self.options})


class Conv1d(Convolution):
    """`functional.conv1d`."""

    function, axes = staticmethod(conv1d), 1


class Conv2d(Convolution):
    """`functional.conv2d`."""


class ConvTranspose2d(Convolution):
    """`functional.conv_transpose2d`; after `output_padding` it takes dilation, groups and bias, as `Conv2d` does."""

    function, options = staticmethod(conv_transpose2d), (*Convolution.options, "output_padding")

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, *rest, **named):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, *rest, **named)
        self.output_padding = output_padding


class Unfold(FunctionLayer, function=unfold): ...
