"""Update rules as machine code: an optimizer's rule, the same function, compiled by Numba into one loop.

Without fastmath the bits are NumPy's. This module is also the `math` that the rule gets; the rest of it is NumPy's."""

import functools
import sys
from typing import Any

from . import backend, checks, kernels


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
    import numba
    from numba.core import errors, types
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
            raise errors.TypingError(f"it turns {array.dtype} into {value}; is there a number in the formula?")
        return store

    return numba


@functools.cache
def find(rule, flags, kinds):
    """The compiled rule, `run(flat arrays, numbers)`, and ""; or None, and why. `kinds`: type characters, or None."""
    given = {backend.numpy.dtype(kind).name for kind in kinds if kind}
    if given not in ({"float32"}, {"float64"}):
        return None, f"its arrays are of {' and '.join(sorted(given))}"
    try:
        return _compile(rule, flags, kinds), ""
    except Exception as error:  # Numba's account names the cause between headers and listings of code
        lines = [line.strip() for line in str(error).split("specific error:")[-1].splitlines()]
        cause = next((line for line in lines if line and "Failed in" not in line), "")
        return None, f"{type(error).__name__}: {cause.removeprefix('TypingError: ')}"


def _compile(rule, flags, kinds):
    """The loop around the rule, of at most four buffers, compiled and called once on empty arrays."""
    update, count = rule(sys.modules[__name__], *flags), len(kinds) - 2
    checks.refuse(count > 4, "its rule has more than 4 buffers", TypeError)
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
    compiled = _numba().njit(loop, nogil=True, error_model="numpy", cache="<locals>" in update.__qualname__)
    padding = [None] * (4 - count)

    def run(arrays, numbers):
        compiled(*arrays, *padding, *numbers)

    dtype = backend.numpy.dtype(kinds[0])
    nothing = [None if kind is None else backend.numpy.empty(0, dtype) for kind in kinds]
    numbers = [dtype.type(1)] * (update.__code__.co_argcount - len(kinds))
    kernels.returned(update, rule(backend.numpy, *flags)(*nothing, *numbers), count + 1)  # the loop would pad or cut it
    run(nothing, numbers)
    return run
