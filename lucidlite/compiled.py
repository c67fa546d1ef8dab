"""Update rules as machine code: an optimizer's rule, the same function, compiled by Numba into one loop.

NumPy carries out a rule one operation after the other, each of them a pass over memory; this loop makes one pass for
all of them. Without fastmath the compiler may neither reorder nor contract: the bits are NumPy's.

This module is also the `math` that a rule gets here: `maximum`, `minimum` and `where` below, the rest is NumPy's own.
"""

import functools
import importlib
import sys
from typing import Any

from . import backend

BUFFERS = 4  # how many buffers a rule may have


def __getattr__(name):
    return getattr(backend.numpy, name)


def maximum(a, b):
    return where(a >= b or a != a, a, b)  # nan, as NumPy's


def minimum(a, b):
    return where(a <= b or a != a, a, b)


# Numba never runs these three: `_numba` says what they mean, type by type.


def where(condition, a, b) -> Any: ...


def _get(array, i): ...


def _put(array, i, value): ...


@functools.cache
def _numba() -> Any:
    """Numba, imported at the first use and told what the functions above mean."""
    numba: Any = importlib.import_module("numba")
    from numba.core import types
    from numba.extending import overload, register_jitable

    register_jitable(maximum)
    register_jitable(minimum)

    @overload(where)
    def _(condition, a, b):
        # A number in the formula, such as the 0 in maximum(v, 0), has 64 bits here; it must not widen float32.
        floats = [kind for kind in (a, b) if isinstance(kind, types.Float)]
        narrow: Any = min(floats, key=lambda kind: kind.bitwidth, default=types.float64)
        return lambda condition, a, b: narrow(a) if condition else narrow(b)

    @overload(_get)
    def _(array, i):
        return (lambda array, i: None) if array is types.none else (lambda array, i: array[i])

    @overload(_put)
    def _(array, i, value):
        def store(array, i, value):
            if array is not None:
                array[i] = value

        if array is not types.none and value != array.dtype:
            raise numba.errors.TypingError(f"it turns {array.dtype} into {value}; is there a number in the formula?")
        return store

    return numba


@functools.cache
def find(rule, flags, kinds):
    """The compiled rule, `run(flat arrays, numbers)`, and ""; or None, and why. `kinds`: type characters, or None."""
    given, reason = {kind for kind in kinds if kind}, ""
    if given not in ({"f"}, {"d"}):
        return None, f"its arrays are of {' and '.join(sorted(backend.numpy.dtype(kind).name for kind in given))}"
    for cache in (True, False):  # a disk that takes no cache costs time, not the compiled rule
        try:
            return _compile(rule, flags, kinds, cache), ""
        except Exception as error:  # Numba's account names the cause between headers and listings of code
            lines = [line.strip() for line in str(error).split("specific error:")[-1].splitlines()]
            cause = next((line for line in lines if line and "Failed in" not in line), "")
            reason = f"{type(error).__name__}: {cause.removeprefix('TypingError: ')}"
    return None, reason


def _compile(rule, flags, kinds, cache):
    """The loop around the rule, compiled, and called once on empty arrays to see that it can be."""
    update, count = rule(sys.modules[__name__], *flags), len(kinds) - 2
    if count > BUFFERS:
        raise TypeError(f"its rule has more than {BUFFERS} buffers")
    _numba().extending.register_jitable(update)

    def loop(p, g, a, b, c, d, *s):
        for i in range(p.size):
            old = (_get(a, i), _get(b, i), _get(c, i), _get(d, i))[:count]
            new = (*update(p[i], g[i], *old, *s), None, None, None, None)
            _put(p, i, new[0])
            _put(a, i, new[1])
            _put(b, i, new[2])
            _put(c, i, new[3])
            _put(d, i, new[4])

    # The key of Numba's cache holds all of a nested function, but only the name of another, which may change unnoticed.
    cache = cache and "<locals>" in update.__qualname__
    compiled = _numba().njit(loop, nogil=True, error_model="numpy", cache=cache)
    padding = [None] * (BUFFERS - count)

    def run(arrays, numbers):
        compiled(*arrays, *padding, *numbers)

    dtype = backend.numpy.dtype(kinds[0])
    nothing = [None if kind is None else backend.numpy.empty(0, dtype) for kind in kinds]
    run(nothing, [dtype.type(1)] * (update.__code__.co_argcount - len(kinds)))
    return run
