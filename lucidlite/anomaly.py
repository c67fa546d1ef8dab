"""Where does the first nan come from? A detector for a training that diverges."""

import contextlib
import copy
import sys

from . import autograd, errors
from .backend import numpy, raw, xp


@contextlib.contextmanager
def detect_anomaly():
    """Within it, the first op or gradient rule that gives nan or inf raises a RuntimeError; NumPy's warnings are off.

    The message names the op, the line of your code that called it (also in the backward pass, if the forward pass ran
    within it), and the ranges of what it was given. An inf that an op was given, as in a mask of -inf, is no anomaly.

    >>> with lucidlite.detect_anomaly():
    ...     lucidlite.tensor([1e30, 1.0]) * 1e30  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: multiply, called at ...: gave inf from a (2,) float32 in [1, 1e+30], b=1e+30
    """
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
    text = errors.describe(name, value)
    if hasattr(value, "dtype") and value.size:
        finite = value[xp(value).isfinite(value)]
        text += f" in [{float(finite.min()):.3g}, {float(finite.max()):.3g}]" if finite.size else ""
        text += f" with {value.size - finite.size} nan or inf" if finite.size < value.size else ""
    return text
