"""Update rules as machine code: an optimizer's rule, the same function, compiled by Numba into one loop.

NumPy carries out a rule one operation after the other, each of them a pass over memory; this loop makes one pass for
all of them. `backend.kernel` takes it where Numba is installed (`pip install lucidlite[fast]`) and says what happened
when a rule cannot be compiled. Without fastmath the compiler may neither reorder nor contract: the bits are NumPy's.

This module is also the `math` that a rule gets here: `maximum`, `minimum` and `where` below, the rest is NumPy's own.
"""

import functools
import importlib
import inspect
import sys
from typing import Any

from . import backend

BUFFERS = 4  # how many buffers a rule may have
_HERE = sys.modules[__name__]


def __getattr__(name):
    return getattr(backend.numpy, name)


# What a compiled rule calls. Numba never runs these three: `_numba` says what they mean, type by type, because with
# NumPy's own a number such as the 0 in maximum(v, 0) would turn float32 into float64.


def maximum(a, b): ...


def minimum(a, b): ...


def where(condition, a, b): ...


def _get(array, i): ...


def _put(array, i, value): ...


@functools.cache
def _numba() -> Any:
    """Numba, imported at the first use and told what the functions above mean."""
    numba: Any = importlib.import_module("numba")
    from numba.core import types
    from numba.extending import overload

    def narrow(a, b) -> Any:
        """The type of what comes out: a number in the formula, which Numba takes as 64 bits, widens nothing."""
        return min((t for t in (a, b) if isinstance(t, types.Float)), key=lambda t: t.bitwidth, default=types.float64)

    @overload(maximum)
    def _(a, b):
        kind = narrow(a, b)
        return lambda a, b: kind(a) if kind(a) >= kind(b) or a != a else kind(b)  # nan, as NumPy's

    @overload(minimum)
    def _(a, b):
        kind = narrow(a, b)
        return lambda a, b: kind(a) if kind(a) <= kind(b) or a != a else kind(b)

    @overload(where)
    def _(condition, a, b):
        kind = narrow(a, b)
        return lambda condition, a, b: kind(a) if condition else kind(b)

    @overload(_get)
    def _(array, i):
        return (lambda array, i: None) if array is types.none else (lambda array, i: array[i])

    @overload(_put)
    def _(array, i, value):
        def store(array, i, value):
            array[i] = value

        if array is types.none:
            return lambda array, i, value: None
        if value != array.dtype:
            raise numba.errors.TypingError(f"it turns {array.dtype} into {value}; is there a number in the formula?")
        return store

    return numba


def _loop(update, count):
    """The loop around a rule with so many buffers; in `s` are the scalars, in the order of the rule's arguments."""

    def loop(p, g, a, b, c, d, *s):
        for i in range(p.size):
            old = (_get(a, i), _get(b, i), _get(c, i), _get(d, i))[:count]
            new = (*update(p[i], g[i], *old, *s), None, None, None, None)
            _put(p, i, new[0])
            _put(a, i, new[1])
            _put(b, i, new[2])
            _put(c, i, new[3])
            _put(d, i, new[4])

    return loop


@functools.cache
def find(rule, flags, kinds):
    """The compiled rule, `run(arrays, scalars)`, and ""; or None, and the reason why there is none.

    `kinds` holds the type characters of p, g and the buffers, None for what is not there; the arrays are flat.
    """
    given = {kind for kind in kinds if kind}
    if given not in ({"f"}, {"d"}):
        return None, f"its arrays are of {' and '.join(sorted(backend.numpy.dtype(kind).name for kind in given))}"
    try:
        update = rule(_HERE, *flags)
        scalars = list(inspect.signature(update).parameters.values())[len(kinds) :]
        if len(kinds) > BUFFERS + 2 or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in scalars):
            return None, f"its rule has more than {BUFFERS} buffers, or arguments with a star"
        loop = _loop(_numba().extending.register_jitable(update), len(kinds) - 2)
    except Exception as error:
        return None, _reason(error)
    # The key of Numba's cache holds all of a nested function, but only the name of another, which may change unnoticed.
    # A disk that takes no cache costs time, not the compiled rule.
    for cache in (True, False) if "<locals>" in update.__qualname__ else (False,):
        try:
            compiled = _numba().njit(loop, nogil=True, error_model="numpy", cache=cache)
            return _runner(compiled, kinds, [p.name for p in scalars]), ""
        except Exception as error:
            reason = _reason(error)
    return None, reason


def _runner(compiled, kinds, names):
    """The function that calls the compiled loop, which is called once here, on empty arrays."""
    dtype, last = backend.numpy.dtype(kinds[0]), ({}, [])
    padding = [None] * (BUFFERS + 2 - len(kinds))

    def run(arrays, scalars):
        nonlocal last
        given, numbers = last
        if given != scalars:
            numbers = [dtype.type(scalars[name]) for name in names]
            last = dict(scalars), numbers
        compiled(*arrays, *padding, *numbers)

    run([None if kind is None else backend.numpy.empty(0, dtype) for kind in kinds], dict.fromkeys(names, 1.0))
    return run


def _reason(error):
    """The line of Numba's account that names the cause: it stands between headers and listings of code."""
    lines = [line.strip() for line in str(error).split("specific error:")[-1].splitlines()]
    cause = next((line for line in lines if line and "Failed in" not in line), "")
    return f"{type(error).__name__}: {cause.removeprefix('TypingError: ')}"
