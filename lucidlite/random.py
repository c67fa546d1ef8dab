"""Randomness: one seed for everything random in the package.

Initial weights, dropout, shuffling and the functions here draw from one stream of NumPy's PCG64, on the CPU; numbers
for a GPU are moved there, so that a seed gives the same numbers on every device.
"""

from typing import Any

from . import backend, checks
from .creation import wrapped

_stream: Any = None  # made when first asked for: importing NumPy's generators takes a tenth of importing NumPy


def seed(n):
    """Start the package's stream anew: the same seed, a whole number >= 0, gives the same numbers."""
    global _stream
    _stream = backend.stream(checks.whole("seed: n", n, 0))


def generator() -> Any:
    """The NumPy generator behind the package's stream."""
    global _stream
    _stream = _stream or backend.stream(None)
    return _stream


def get_state():
    """Where the stream is: a dict of names and whole numbers that `lucidlite.save` can store."""
    return generator().bit_generator.state


def set_state(state):
    """Go on from where `get_state` was called."""
    try:
        generator().bit_generator.state = state
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ValueError(f"set_state: this is no state of lucidlite.random.get_state(): {error}") from None


def _tensor(array, dtype, requires_grad, device, kinds="fiub"):
    if backend.dtype(dtype).kind not in kinds:
        raise TypeError(f"{dtype!r} cannot hold random fractions; take a floating dtype, or randint for whole numbers")
    return wrapped(backend.move(array.astype(backend.dtype(dtype), copy=False), device), requires_grad)


def rand(*shape, dtype="float32", requires_grad=False, device="cpu"):
    """Uniform numbers in [0, 1)."""
    return _tensor(generator().random(backend.shape(shape)), dtype, requires_grad, device, "f")


def randn(*shape, dtype="float32", requires_grad=False, device="cpu"):
    """Normal numbers of mean 0 and variance 1."""
    return _tensor(generator().standard_normal(backend.shape(shape)), dtype, requires_grad, device, "f")


def randint(low, high=None, size=1, *, dtype="int64", device="cpu"):
    """Whole numbers from low (included) to high (excluded); from 0 to `low` where only that is given."""
    low, high = (0, low) if high is None else (low, high)
    if not (hasattr(low, "__index__") and hasattr(high, "__index__") and low < high):
        raise ValueError(f"randint: low={low!r} and high={high!r} must be whole numbers, low below high")
    return _tensor(generator().integers(low, high, backend.shape((size,))), dtype, False, device)


def randperm(n, *, dtype="int64", device="cpu"):
    """The numbers 0 to n - 1 in random order."""
    return _tensor(generator().permutation(checks.whole("randperm: n", n, 0)), dtype, False, device)
