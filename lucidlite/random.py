"""Randomness: one seed for everything random in the package.

Initial weights, dropout, shuffling and the functions here draw from one stream of NumPy's PCG64, on the CPU; numbers
for a GPU are moved there, so that a seed gives the same numbers on every device.
"""

from typing import Any

from . import autograd, backend
from .tensor import Tensor

_stream: Any = None  # made when first asked for: importing NumPy's generators takes a tenth of importing NumPy


def seed(n):
    """Start the package's stream anew: the same seed, a whole number >= 0, gives the same numbers.

    >>> lucidlite.random.seed(0)
    >>> a = lucidlite.randn(3)
    >>> lucidlite.random.seed(0)
    >>> (a == lucidlite.randn(3)).all().item()
    True
    """
    if not hasattr(n, "__index__") or n.__index__() < 0:
        raise ValueError(f"seed: {n!r} is no seed; it takes a whole number >= 0")
    _restart(n.__index__())


def get_state():
    """Where the stream is: a dict of names and whole numbers that `lucidlite.save` can store."""
    return generator().bit_generator.state


def set_state(state):
    """Go on from where `get_state` was called."""
    try:
        generator().bit_generator.state = state
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ValueError(f"set_state: this is no state of lucidlite.random.get_state(): {error}") from None


def generator() -> Any:
    """The NumPy generator behind the package's stream."""
    if _stream is None:
        _restart(None)
    return _stream


def _restart(n):
    global _stream
    _stream = backend.stream(n)


def _tensor(array, dtype, requires_grad, device):
    made = autograd.wrap(backend.move(array.astype(backend.dtype(dtype), copy=False), device))
    made.requires_grad = requires_grad
    return made


def _floats(array, dtype, requires_grad, device):
    if backend.dtype(dtype).kind != "f":
        raise TypeError(f"{dtype!r} cannot hold random fractions; take a floating dtype, or randint for whole numbers")
    return _tensor(array, dtype, requires_grad, device)


def uniform(low=0.0, high=1.0, size=(), *, dtype="float32", requires_grad=False, device="cpu"):
    """Numbers from low (included) to high (excluded), each equally likely; `size` is the shape."""
    if isinstance(low, str) or isinstance(high, str):
        raise TypeError(f"uniform: low={low!r} and high={high!r} must be numbers")
    if not low <= high:
        raise ValueError(f"uniform: low={low} lies above high={high}")
    return _floats(low + (high - low) * generator().random(backend.shape((size,))), dtype, requires_grad, device)


def rand(*shape, dtype="float32", requires_grad=False, device="cpu"):
    """Uniform numbers in [0, 1)."""
    return _floats(generator().random(backend.shape(shape)), dtype, requires_grad, device)


def randn(*shape, dtype="float32", requires_grad=False, device="cpu"):
    """Normal numbers of mean 0 and variance 1."""
    return _floats(generator().standard_normal(backend.shape(shape)), dtype, requires_grad, device)


def randint(low, high=None, size=1, *, dtype="int64", device="cpu"):
    """Whole numbers from low (included) to high (excluded); from 0 to `low` where only that is given."""
    low, high = (0, low) if high is None else (low, high)
    if not (hasattr(low, "__index__") and hasattr(high, "__index__") and low < high):
        raise ValueError(f"randint: low={low!r} and high={high!r} must be whole numbers, low below high")
    return _tensor(generator().integers(low, high, backend.shape((size,))), dtype, False, device)


def randperm(n, *, dtype="int64", device="cpu"):
    """The numbers 0 to n - 1 in random order."""
    return _tensor(generator().permutation(backend.shape((n,))[0]), dtype, False, device)


permutation = randperm


def bernoulli(probs, *, dtype="float32"):
    """1 with the given probability in [0, 1], else 0, for each element of a tensor of probabilities."""
    p = probs if isinstance(probs, Tensor) else Tensor(probs)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("bernoulli: a probability lies outside [0, 1]")
    return _tensor(generator().random(p.shape) < p.cpu().numpy(), dtype, False, p.device)
