"""Initial values: fill a tensor in place with numbers from the package's stream, and return it.

How large they are decides whether signals and gradients keep their size from layer to layer. A weight has shape
(out, in) or (out, in, *kernel); fan_in and fan_out count the numbers that go into an output, and that an input goes to.

>>> lucidlite.random.seed(0)
>>> nn.init.xavier_uniform(nn.Parameter([[0.0, 0.0, 0.0]]))
Parameter([[ 0.33548626, -0.56390506, -1.1243806 ]])
"""

import math

from .. import backend, checks
from ..errors import composed
from ..grad_mode import no_grad
from ..random import generator
from ..tensor import Tensor


@composed
def uniform(tensor, a=0.0, b=1.0):
    """Numbers from a to b, each equally likely.

        (1)  w = a + (b - a) u

    where w is `values`, and u is uniform in [0, 1).
    """
    a, b = checks.number("a", a, -math.inf, ends="()"), checks.number("b", b, a, ends="[)")
    u = generator().random(_shape(tensor))
    values = a + (b - a) * u  # (1)
    return _fill(tensor, values)


@composed
def normal(tensor, mean=0.0, std=1.0):
    """Normally distributed numbers.

        (1)  w = μ + σ z

    where w is `values`, μ is `mean`, σ is `std`, and z is standard normal.
    """
    mean, std = checks.number("mean", mean, -math.inf, ends="()"), checks.number("std", std, ends="[)")
    z = generator().standard_normal(_shape(tensor))
    values = mean + std * z  # (1)
    return _fill(tensor, values)


@composed
def constant(tensor, val):
    """The same number everywhere."""
    _shape(tensor)
    return _fill(tensor, checks.number("val", val, -math.inf))


def zeros(tensor):
    """Zeros."""
    return constant(tensor, 0.0)


def ones(tensor):
    """Ones."""
    return constant(tensor, 1.0)


@composed
def xavier_uniform(tensor, gain=1.0):
    r"""Uniform numbers between -b and b that keep the variance both ways, for tanh and sigmoid.

        (1)  b = γ \sqrt{\frac{6}{m + n}}

    where b is `bound`, γ is `gain`, m is `fan_in` and n is `fan_out`.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, eq. 16.
    """
    fan_in, fan_out = _fans(tensor).values()
    bound = gain * math.sqrt(6 / (fan_in + fan_out))  # (1)
    return uniform(tensor, -bound, bound)


@composed
def xavier_normal(tensor, gain=1.0):
    r"""Normal numbers with the variance of `xavier_uniform`.

        (1)  σ = γ \sqrt{\frac{2}{m + n}}

    where σ is `std`, γ is `gain`, m is `fan_in` and n is `fan_out`.
    """
    fan_in, fan_out = _fans(tensor).values()
    std = gain * math.sqrt(2 / (fan_in + fan_out))  # (1)
    return normal(tensor, 0.0, std)


@composed
def kaiming_uniform(tensor, mode="fan_in", a=0.0):
    r"""Uniform numbers between -b and b that keep the variance through ReLU, or through a leaky ReLU of slope a.

        (1)  b = \sqrt{\frac{6}{(1 + a^2) n}}

    where b is `bound` and n is `fan`: fan_in keeps the variance of the signals, fan_out that of the gradients.

    Source: He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015, eq. 10 and 14.
    """
    fan = _fans(tensor)[checks.option("mode", mode)]
    bound = math.sqrt(6 / ((1 + a**2) * fan))  # (1)
    return uniform(tensor, -bound, bound)


@composed
def kaiming_normal(tensor, mode="fan_in", a=0.0):
    r"""Normal numbers with the variance of `kaiming_uniform`.

        (1)  σ = \sqrt{\frac{2}{(1 + a^2) n}}

    where σ is `std` and n is `fan`.
    """
    fan = _fans(tensor)[checks.option("mode", mode)]
    std = math.sqrt(2 / ((1 + a**2) * fan))  # (1)
    return normal(tensor, 0.0, std)


def _shape(tensor):
    if not isinstance(tensor, Tensor) or tensor.dtype.kind != "f":
        raise TypeError("it is no floating Tensor; make one with nn.Parameter(...) or lucidlite.tensor(...)")
    return tensor.shape


def _fans(tensor):
    shape = _shape(tensor)
    if len(shape) < 2 or not tensor.size:
        raise ValueError("it has no fan_in and fan_out; a weight is (out, in) or (out, in, *kernel)")
    kernel = math.prod(shape[2:])
    return {"fan_in": shape[1] * kernel, "fan_out": shape[0] * kernel}


@no_grad()
def _fill(tensor, values):
    """Write through the tensor, so that its version counter sees it."""
    tensor[...] = backend.move(values.astype(tensor.dtype), tensor.device) if hasattr(values, "astype") else values
    return tensor
