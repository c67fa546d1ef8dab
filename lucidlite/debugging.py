"""Is a gradient right? `gradcheck` takes differences. Where does the first nan come from? `detect_anomaly` says it."""

import contextlib
import copy
import math
import sys
from typing import Any

from . import autograd, checks
from .backend import numpy, raw, xp
from .tensor import Tensor


@autograd.enable_grad()
def gradcheck(function: Any, *inputs: Any, order: int = 1, h: float = 1e-5, rtol: float = 1e-5, atol: float = 1e-7):
    """Check a function's gradients against central differences in float64: True, or a ValueError that says where.

    Each element of each floating input is moved by h to both sides (formula (1) of `_compare`), and the gradient must
    be the difference d to within rtol |d| + atol. The function, which is not random and smooth within h, takes Tensors
    and returns one or a tuple of them: their elements are summed with the weights 1 + cos 1, 1 + cos 2, ... With order
    2 the gradients of the gradients are checked too.

    >>> lucidlite.gradcheck(lambda x: x**3, lucidlite.tensor([1.0, 2.0]), order=2)
    True

    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1."""
    checks.choice("gradcheck: order", order, (1, 2))
    checks.number("gradcheck: h", h, ends="()")
    copies = [Tensor(x, device=getattr(x, "device", "cpu")) for x in inputs]
    copies = [Tensor(x, True, "float64", x.device) if x.dtype.kind == "f" else x for x in copies]
    wanted = {i: x for i, x in enumerate(copies) if x.requires_grad}
    if not (callable(function) and wanted):
        raise TypeError(f"gradcheck: it takes a function, not {function!r}, and at least one floating input")

    total = lambda: _weighted(function(*copies))

    def slope():
        gradients = autograd.grad(total(), [*wanted.values()], create_graph=True, allow_unused=True)
        return _weighted([g for g in gradients if g is not None])

    for result, what in [(total, "gradient"), (slope, "second derivative")][:order]:
        _compare(result, wanted, what, h, rtol, atol)
    return True


def _weighted(results):
    """One number made of all elements of the results, each with a weight of its own; it always has a graph."""
    total, n = Tensor(0.0, True, "float64"), 0
    for y in results if isinstance(results, (tuple, list)) else (results,):
        if not isinstance(y, Tensor):
            raise TypeError(f"gradcheck: the function returned {y!r}, a {type(y).__name__}; it must return Tensors")
        weights = Tensor([1 + math.cos(k) for k in range(n + 1, n + 1 + y.size)], False, "float64", y.device)
        total, n = total.to(y.device) + (y.reshape(-1) * weights).sum(), n + y.size
    return total


def _compare(total, wanted, what, h, rtol, atol):
    r"""Compare the gradients of all elements with differences, whose error is about h^2 f''' / 6 + 1e-16 f / h.

        (1)  d = \frac{f_+ - f_-}{2 h}

    where f_+ is `sides[0]` and f_- is `sides[1]`."""
    gradients = autograd.grad(total(), [*wanted.values()], allow_unused=True)
    for (number, x), g in zip(wanted.items(), gradients):
        for index in numpy.ndindex(x.shape):
            found = 0.0 if g is None else g.data[index].item()
            center, sides = x.data[index].item(), []
            for place in (center + h, center - h):
                x.data[index] = place
                sides.append(float(total()))
            x.data[index] = center
            d = (sides[0] - sides[1]) / (2 * h)  # (1)
            if not abs(found - d) <= atol + rtol * abs(d):
                where = f"{what} of input {number} at {index}"
                raise ValueError(f"gradcheck: {where}: the rules give {found:.9g}, central differences {d:.9g}")


@contextlib.contextmanager
def detect_anomaly():
    """Within it, the first op or gradient rule that gives nan or inf raises a RuntimeError; NumPy's warnings are off.

    The message names the op, the line of your code that called it (also in the backward pass, if the forward pass ran
    within it), and the ranges of what it was given. An inf that an op was given, as in a mask of -inf, is no anomaly.

    >>> with lucidlite.detect_anomaly():
    ...     lucidlite.tensor([1e30, 1.0]) * 1e30  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: multiply, called at ...: gave inf from a (2,) float32 in [1, 1e+30], b=1e+30"""
    before, autograd.watch = autograd.watch, _watch
    try:
        with numpy.errstate(all="ignore"):
            yield
    finally:
        autograd.watch = before


def _watch(what, names, values, result, out=None):
    """Refuse a result with nan or inf; `out`, the Tensor around an op's result, learns which line called the op."""
    if out is not None:
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals["__name__"].partition(".")[0] == __package__:
            frame = frame.f_back
        what += f", called at {frame.f_code.co_filename}:{frame.f_lineno}"
        if out._node is not None:
            out._node.plan = copy.copy(out._node.plan)
            out._node.plan.line = what
    result, values = raw(result), raw([*values])
    nan = xp(result).isnan(result).any()
    given_inf = any(xp(v).isinf(v).any() for v in values if isinstance(v, float) or hasattr(v, "dtype"))
    if nan or (xp(result).isinf(result).any() and not given_inf):
        raise RuntimeError(f"{what}: gave {'nan' if nan else 'inf'} from {', '.join(map(_in_range, names, values))}")


def _in_range(name, value):
    """`a (3,) float32 in [-1, 2]`, and how many nan or inf there are besides."""
    text = checks.describe(name, value)
    if hasattr(value, "dtype") and value.size:
        finite = value[xp(value).isfinite(value)]
        text += f" in [{float(finite.min()):.3g}, {float(finite.max()):.3g}]" if finite.size else ""
        text += f" with {value.size - finite.size} nan or inf" if finite.size < value.size else ""
    return text
