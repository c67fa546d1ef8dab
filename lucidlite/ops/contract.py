"""Ops that multiply and add up: matrix products, einsum, and the windows that convolution and pooling stand on."""

import functools
import math
from typing import Any

from .. import backend
from ..autograd import defgrad, op
from ..backend import xp
from ..errors import composed
from .pointwise import multiply
from .reduce import stretch
from .shape import _axis, diagonal, reshape, transpose, unsqueeze, variadic


@op
def matmul(a, b):
    """The matrix product of the last two axes, batched over the others; 1-D is a row on the left and a column right.

    >>> lucidlite.ones(2, 3) @ lucidlite.ones(3)
    Tensor([3., 3.])
    """
    try:
        matrices = a.ndim == b.ndim == 2
    except AttributeError:
        raise TypeError(f"matmul: one of {a!r} and {b!r} is no tensor; * multiplies by a number") from None
    return a.dot(b) if matrices else xp(a, b).matmul(a, b)  # for small matrices, dot takes a third of matmul's time


def _turned(a):
    """The last two axes exchanged."""
    return a.T if a.ndim == 2 else a.swapaxes(-1, -2)


def _matmul_a(g, b):
    if g.ndim == b.ndim == 2:
        return matmul(g, b.T)
    if b.ndim == 1:
        return unsqueeze(g, -1) * b  # a may be 1-D too: g is 0-d then
    if g.ndim < b.ndim:  # a is 1-D
        return matmul(unsqueeze(g, -2), _turned(b)).squeeze(-2)
    return matmul(g, _turned(b))


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
    return matmul(_turned(a), g)


defgrad(matmul, a=_matmul_a, b=_matmul_b)


@composed
def dot(a, b):
    """The inner product of two vectors."""
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"dot: shapes {a.shape} and {b.shape}; it takes two vectors, @ multiplies matrices")
    return matmul(a, b)


@composed
def outer(a, b):
    """Every element of the vector a times every element of the vector b: (n,), (m,) -> (n, m)."""
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: shapes {a.shape} and {b.shape}; it takes two vectors")
    return multiply(unsqueeze(a, 1), b)


@composed
def tensordot(a, b, axes: Any = 2):
    """Products summed over pairs of axes: the last `axes` of a with the first of b, or two lists of axes."""
    if hasattr(axes, "__index__"):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: axes={axes} for shapes {a.shape} and {b.shape}; they have not as many")
        axes = [range(a.ndim - axes, a.ndim), range(axes)]
    left, right = (
        [_axis(i, x.ndim, "tensordot") for i in ([n] if hasattr(n, "__index__") else n)] for x, n in zip((a, b), axes)
    )
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ValueError(f"tensordot: axes {left} of {a.shape} and {right} of {b.shape} differ in length")
    rows, columns = [i for i in range(a.ndim) if i not in left], [i for i in range(b.ndim) if i not in right]
    n = math.prod(a.shape[i] for i in left)
    product = matmul(
        reshape(transpose(a, (*rows, *left)), (math.prod(a.shape[i] for i in rows), n)),
        reshape(transpose(b, (*right, *columns)), (n, math.prod(b.shape[i] for i in columns))),
    )
    return reshape(product, (*(a.shape[i] for i in rows), *(b.shape[i] for i in columns)))


# ---- einsum ----------------------------------------------------------------------------------------------------------


@composed
def einsum(subscripts, *operands):
    """Einstein's summation, as numpy.einsum: "ij,jk->ik" is the matrix product; "..." stands for any further axes.

    >>> lucidlite.einsum("ij->ji", lucidlite.zeros(2, 3)).shape
    (3, 2)
    """
    inputs, output = _explicit(subscripts, operands)
    lengths = {}
    for letters, x in zip(inputs, operands):
        for letter, n in zip(letters, x.shape):
            if lengths.setdefault(letter, n) != n and letter in subscripts:
                raise ValueError(f"einsum: {letter!r} stands for lengths {lengths[letter]} and {n} in {subscripts!r}")
    plain = []
    for letters, x in zip(inputs, operands):
        for letter in dict.fromkeys(letters):  # "ii" is the diagonal first
            while letters.count(letter) > 1:
                i, j = [k for k, c in enumerate(letters) if c == letter][:2]
                x, letters = diagonal(x, 0, i, j), "".join(c for k, c in enumerate(letters) if k not in (i, j)) + letter
        plain.append((letters, x))
    return _einsum(tuple(letters for letters, _ in plain), output)(*(x for _, x in plain))


def _explicit(subscripts, operands):
    """The letters of each operand and of the result, with "..." spelled out and the output named."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = inputs.split(",")
    if len(inputs) != len(operands):
        raise ValueError(f"einsum: {subscripts!r} names {len(inputs)} operands, {len(operands)} were given")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    extra = [x.ndim - len(s.replace("...", "")) for s, x in zip(inputs, operands)]
    for s, x, n in zip(inputs, operands, extra):
        if n < 0 or (n and "..." not in s) or not (s.replace("...", "") or "a").isalpha():
            raise ValueError(f"einsum: {s!r} in {subscripts!r} does not fit an operand of shape {x.shape}")
    widest = max((n for s, n in zip(inputs, extra) if "..." in s), default=0)
    inputs = [s.replace("...", "".join(free[widest - n : widest])) for s, n in zip(inputs, extra)]
    if not arrow:
        letters = "".join(inputs)
        output = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in free[:widest]))
    output = output.replace("...", "".join(free[:widest]))
    if len(set(output)) < len(output) or not set(output) <= set("".join(inputs)):
        raise ValueError(f"einsum: the output of {subscripts!r} must name letters of the inputs, each once")
    return inputs, output


@functools.cache
def _einsum(inputs, output):
    """The op for one equation; its gradient is einsum again, with the output in the place of the input."""

    def forward(arrays):
        return xp(*arrays).einsum(",".join(inputs) + "->" + output, *arrays, optimize=len(arrays) > 2)

    def rule(i):
        others = [k for k in range(len(inputs)) if k != i]
        known = set(output).union(*(inputs[k] for k in others))

        def gradient(g, shape, *arrays):
            letters = "".join(c for c in inputs[i] if c in known)
            g = _einsum((output, *(inputs[k] for k in others)), letters)(g, *arrays)
            lost = tuple(k for k, c in enumerate(inputs[i]) if c not in known)  # summed in this operand alone
            return stretch(g, shape, lost, False) if lost else g

        names = ["g", f"a{i}_shape", *(f"a{k}" for k in others)]
        gradient.parameters = names
        return gradient

    return variadic("einsum", len(inputs), (), forward, rule)


# ---- Windows ---------------------------------------------------------------------------------------------------------


def _each(value, n, what, least=1):
    """One number for all of n axes, or a tuple of n."""
    values = (value,) * n if hasattr(value, "__index__") else tuple(value)
    if len(values) != n or any(v < least for v in values):
        raise ValueError(f"windows: {what} is {value!r}; give a whole number >= {least}, or {n} of them")
    return values


@composed
def windows(a: Any, size: Any, stride: Any = 1, dilation: Any = 1) -> Any:
    """All windows of this size over the last axes: (..., lengths) -> (..., positions, size).

    Args:
        a: (..., length) for one number as size, (..., height, width) for two, and so on.
        size: elements of a window along each axis.
        stride: steps from one window to the next.
        dilation: steps from one element of a window to the next.

    The result is a view; where windows overlap, its gradients are added up (`overlap_add`).
    """
    size = (size,) if hasattr(size, "__index__") else tuple(size)
    size, stride, dilation = (
        _each(size, len(size), "size"),
        _each(stride, len(size), "stride"),
        _each(dilation, len(size), "dilation"),
    )
    lengths = a.shape[a.ndim - len(size) :]
    if len(lengths) < len(size) or any(d * (k - 1) >= n for n, k, d in zip(lengths, size, dilation)):
        raise ValueError(f"windows: size {size} with dilation {dilation} does not fit into shape {a.shape}")
    return _windows(a, size, stride, dilation)


@composed
def overlap_add(a, shape, stride=1, dilation=1):
    """Windows (..., positions, size) put back into `shape` and added where they overlap: the transpose of `windows`."""
    n = a.ndim - len(shape)  # windows have as many axes more as they have
    return _overlap_add(a, tuple(shape), _each(stride, n, "stride"), _each(dilation, n, "dilation"))


@op
def _windows(a, size, stride, dilation):
    return backend.windows(a, size, stride, dilation)


@op
def _overlap_add(a, shape, stride, dilation):
    return backend.overlap_add(a, shape, stride, dilation)


_windows.op.name, _overlap_add.op.name = "windows", "overlap_add"
defgrad(_windows, a=lambda g, a_shape, stride, dilation: _overlap_add(g, a_shape, stride, dilation))
defgrad(
    _overlap_add,
    a=lambda g, a_shape, stride, dilation: _windows(g, a_shape[len(a_shape) - len(stride) :], stride, dilation),
)
