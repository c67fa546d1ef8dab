"""Initial values: fill a tensor in place with numbers from the package's stream, and return it.

A weight is (out, in) or (out, in, *kernel): fan_in numbers go into each output, each input goes to fan_out."""

import math

from .. import backend, checks
from ..random import generator
from ..tensor import Tensor


def uniform(tensor, a=0.0, b=1.0):
    """Numbers from a to b, each equally likely; u is uniform in [0, 1).

    (1)  w = a + (b - a) u"""
    a, b = checks.number("uniform: a", a, -math.inf, ends="()"), checks.number("uniform: b", b, a, ends="[)")
    u = generator().random(tensor.shape)
    w = a + (b - a) * u  # (1)
    return _fill(tensor, w)


def normal(tensor, mean=0.0, std=1.0):
    """Normally distributed numbers, where μ is `mean` and σ is `std`; z is standard normal.

    (1)  w = μ + σ z"""
    mean, std = checks.number("normal: mean", mean, -math.inf, ends="()"), checks.number("normal: std", std, ends="[)")
    z = generator().standard_normal(tensor.shape)
    w = mean + std * z  # (1)
    return _fill(tensor, w)


def constant(tensor, val):
    """The same number everywhere."""
    return _fill(tensor, backend.numpy.full(tensor.shape, checks.number("constant: val", val, -math.inf)))


def xavier_uniform(tensor, gain=1.0):
    r"""Uniform numbers between -b and b that keep the variance both ways, for tanh and sigmoid.

        (1)  b = γ \sqrt{\frac{6}{m + n}}

    where γ is `gain`, m is fan_in and n is fan_out. Source: Glorot and Bengio, AISTATS 2010, equation 16."""
    m, n = _fans(tensor)
    b = gain * math.sqrt(6 / (m + n))  # (1)
    return uniform(tensor, -b, b)


def xavier_normal(tensor, gain=1.0):
    r"""Normal numbers with the variance of `xavier_uniform`, where σ is `std` and γ is `gain`.

    (1)  σ = γ \sqrt{\frac{2}{m + n}}"""
    m, n = _fans(tensor)
    std = gain * math.sqrt(2 / (m + n))  # (1)
    return normal(tensor, 0.0, std)


def kaiming_uniform(tensor, mode="fan_in", a=0.0):
    r"""Uniform numbers between -b and b that keep the variance through ReLU, or through a leaky ReLU of slope a.

        (1)  b = \sqrt{\frac{6}{(1 + a^2) n}}

    where n is fan_in, for signals, or fan_out, for gradients. Source: He and others, arXiv:1502.01852, eq. 10, 14."""
    (n,) = _fans(tensor, mode)
    b = math.sqrt(6 / ((1 + a**2) * n))  # (1)
    return uniform(tensor, -b, b)


def kaiming_normal(tensor, mode="fan_in", a=0.0):
    r"""Normal numbers with the variance of `kaiming_uniform`, where σ is `std`.

    (1)  σ = \sqrt{\frac{2}{(1 + a^2) n}}"""
    (n,) = _fans(tensor, mode)
    std = math.sqrt(2 / ((1 + a**2) * n))  # (1)
    return normal(tensor, 0.0, std)


def _fans(tensor, *modes):
    if tensor.ndim < 2 or not tensor.size:
        raise ValueError(f"shape {tensor.shape} has no fan_in and fan_out; a weight is (out, in) or (out, in, *kernel)")
    fans = {"fan_in": tensor.size // tensor.shape[0], "fan_out": tensor.size // tensor.shape[1]}
    return [fans[checks.choice("mode", mode, (*fans,))] for mode in modes or fans]


def _fill(tensor, values):
    checks.refuse(not isinstance(tensor, Tensor), f"take nn.Parameter(...), not a {type(tensor).__name__}", TypeError)
    tensor.data = backend.move(values, tensor.device)
    return tensor
