"""Initial values: fill a tensor in place with numbers from the package's stream, and return it.

A weight is (out, in) or (out, in, *kernel): fan_in numbers go into each output, each input goes to fan_out.
"""

import math

from .. import backend, checks
from ..errors import composed
from ..random import generator
from ..tensor import Tensor


@composed
def uniform(tensor, a=0.0, b=1.0):
    """Numbers from a to b, each equally likely.

        (1)  w = a + (b - a) u

    where w is `values`, and u is uniform in [0, 1).
    """
    a, b = checks.number("a", a, -math.inf, ends="()"), checks.number("b", b, a, ends="[)")
    u = generator().random(tensor.shape)
    values = a + (b - a) * u  # (1)
    return _fill(tensor, values)


@composed
def normal(tensor, mean=0.0, std=1.0):
    """Normally distributed numbers.

        (1)  w = μ + σ z

    where w is `values`, μ is `mean`, σ is `std`, and z is standard normal.
    """
    mean, std = checks.number("mean", mean, -math.inf, ends="()"), checks.number("std", std, ends="[)")
    z = generator().standard_normal(tensor.shape)
    values = mean + std * z  # (1)
    return _fill(tensor, values)


@composed
def constant(tensor, val):
    """The same number everywhere."""
    return _fill(tensor, backend.numpy.full(tensor.shape, checks.number("val", val, -math.inf)))


@composed
def xavier_uniform(tensor, gain=1.0):
    r"""Uniform numbers between -b and b that keep the variance both ways, for tanh and sigmoid.

        (1)  b = γ \sqrt{\frac{6}{m + n}}

    where γ is `gain`, m is fan_in and n is fan_out.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, eq. 16.
    """
    m, n = _fans(tensor)
    b = gain * math.sqrt(6 / (m + n))  # (1)
    return uniform(tensor, -b, b)


@composed
def xavier_normal(tensor, gain=1.0):
    r"""Normal numbers with the variance of `xavier_uniform`.

        (1)  σ = γ \sqrt{\frac{2}{m + n}}

    where σ is `std`, γ is `gain`, m is fan_in and n is fan_out.
    """
    m, n = _fans(tensor)
    std = gain * math.sqrt(2 / (m + n))  # (1)
    return normal(tensor, 0.0, std)


@composed
def kaiming_uniform(tensor, mode="fan_in", a=0.0):
    r"""Uniform numbers between -b and b that keep the variance through ReLU, or through a leaky ReLU of slope a.

        (1)  b = \sqrt{\frac{6}{(1 + a^2) n}}

    where n is fan_in, which keeps the variance of the signals, or fan_out, which keeps that of the gradients.

    Source: He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015, eq. 10 and 14.
    """
    (n,) = _fans(tensor, mode)
    b = math.sqrt(6 / ((1 + a**2) * n))  # (1)
    return uniform(tensor, -b, b)


@composed
def kaiming_normal(tensor, mode="fan_in", a=0.0):
    r"""Normal numbers with the variance of `kaiming_uniform`.

        (1)  σ = \sqrt{\frac{2}{(1 + a^2) n}}

    where σ is `std` and n is fan_in or fan_out.
    """
    (n,) = _fans(tensor, mode)
    std = math.sqrt(2 / ((1 + a**2) * n))  # (1)
    return normal(tensor, 0.0, std)


def _fans(tensor, *modes):
    if tensor.ndim < 2 or not tensor.size:
        raise ValueError("it has no fan_in and fan_out; a weight is (out, in) or (out, in, *kernel)")
    fans = {"fan_in": tensor.size // tensor.shape[0], "fan_out": tensor.size // tensor.shape[1]}
    return [fans[checks.choice("mode", mode, (*fans,))] for mode in modes or fans]


def _fill(tensor, values):
    if not isinstance(tensor, Tensor):
        raise TypeError("it is no Tensor; make one with nn.Parameter(...) or lucidlite.tensor(...)")
    tensor.data = backend.move(values, tensor.device)
    return tensor
