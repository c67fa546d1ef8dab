"""One seed for everything random: weights, dropout, shuffling and these functions draw from one stream, on the CPU."""

import functools
from typing import Any

from . import backend, checks
from .creation import wrapped


def seed(n):
    """Start the package's stream anew: the same seed, a whole number >= 0, gives the same numbers."""
    generator().bit_generator.state = backend.stream(checks.whole("seed: n", n, 0)).bit_generator.state


@functools.cache
def generator() -> Any:
    """The NumPy generator behind the package's stream."""
    return backend.stream(None)


def get_state():
    """Where the stream is: a dict of names and whole numbers that `lucidlite.save` can store."""
    return generator().bit_generator.state


@checks.composed
def set_state(state):
    """Go on from where `get_state` was called, whose result the state must be."""
    generator().bit_generator.state = state


def _tensor(array, dtype, requires_grad, device, kinds="fiub"):
    if backend.dtype(dtype).kind not in kinds:
        raise TypeError(f"{dtype!r} cannot hold random fractions; take a floating dtype, or randint for whole numbers")
    return wrapped(backend.move(array.astype(backend.dtype(dtype), copy=False), device), requires_grad)


def rand(*shape, dtype="float32", requires_grad=False, device="cpu"):
    """Uniform numbers in [0, 1)."""
    return _tensor(generator().random(backend.whole_numbers(shape)), dtype, requires_grad, device, "f")


def randn(*shape, dtype="float32", requires_grad=False, device="cpu"):
    """Normal numbers of mean 0 and variance 1."""
    return _tensor(generator().standard_normal(backend.whole_numbers(shape)), dtype, requires_grad, device, "f")


def randint(low, high=None, size=1, *, dtype="int64", device="cpu"):
    """Whole numbers from low (included) to high (excluded); from 0 to `low` where only that is given."""
    low, high = (0, low) if high is None else (low, high)
    checks.whole("randint: high", high, checks.whole("randint: low", low, -(2**63)) + 1)
    return _tensor(generator().integers(low, high, backend.whole_numbers((size,))), dtype, False, device)


def randperm(n, *, dtype="int64", device="cpu"):
    """The numbers 0 to n - 1 in random order."""
    return _tensor(generator().permutation(checks.whole("randperm: n", n, 0)), dtype, False, device)
