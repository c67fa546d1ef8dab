"""Activations: what stands between linear maps, so that they do not collapse into one. All keep the shape."""

import math

from .. import backend, checks, ops
from ..autograd import defgrad, op
from .basic import FunctionLayer

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class ReLU(FunctionLayer):
    r"""Cuts negative values off; the derivative at 0 is 0.

    (1)  y = \max(x, 0)"""

    def forward(self, x):
        return ops.relu(x)  # (1)


class Sigmoid(FunctionLayer):
    r"""Squeezes every number into (0, 1), as a probability.

    (1)  y = \frac{1}{1 + e^{-x}}"""

    def forward(self, x):
        return ops.sigmoid(x)  # (1)


class Tanh(FunctionLayer):
    r"""Squeezes every number into (-1, 1).

    (1)  y = \frac{e^x - e^{-x}}{e^x + e^{-x}}"""

    def forward(self, x):
        return ops.tanh(x)  # (1)


@op
def leaky_relu(input_, negative_slope=0.01):
    r"""A ReLU with a slope in [0, 1] on the negative side and at 0, where x is `input_` and s is `negative_slope`.

    (1)  y = \max(x, s x)"""
    checks.option("negative_slope", negative_slope)
    return backend.xp(input_).maximum(input_, negative_slope * input_)  # (1)


defgrad(leaky_relu, input_=lambda g, input_, negative_slope: g * ops.maximum(ops.sign(input_), negative_slope))


class LeakyReLU(FunctionLayer, function=leaky_relu): ...


@op
def elu(input_, alpha=1.0):
    r"""Exponential linear unit, which smoothly approaches -alpha on the negative side, where x is `input_`.

    (1)  y = \max(x, 0) + α (e^{\min(x, 0)} - 1)"""
    lib = backend.xp(input_)
    return lib.maximum(input_, 0) + alpha * lib.expm1(lib.minimum(input_, 0))  # (1)


defgrad(elu, input_=lambda g, input_, y, alpha: ops.where(input_ > 0, g, g * (y + alpha)))


class ELU(FunctionLayer, function=elu): ...


def selu(a):
    r"""Scaled ELU, which keeps mean 0 and variance 1 from layer to layer.

        (1)  y = λ (\max(a, 0) + α (e^{\min(a, 0)} - 1))

    where λ is `SELU_SCALE` and α is `SELU_ALPHA`. Source: Klambauer and others, arXiv:1706.02515, 2017, equation 2."""
    return SELU_SCALE * elu(a, SELU_ALPHA)  # (1)


class SELU(FunctionLayer, function=selu): ...


def gelu(input_, approximate="none"):
    r"""Gaussian error linear unit: x times Φ, the probability that a standard normal number lies below x.

        (1)  Φ = \frac{1 + \operatorname{erf}(\frac{x}{\sqrt{2}})}{2}                          if approximate is "none"
        (2)  Φ = \frac{1 + \tanh(\sqrt{\frac{2}{π}} (x + 0.044715 x^3))}{2}                    if approximate is "tanh"
        (3)  y = x Φ

    where x is `input_` and Φ is `phi`. Source: Hendrycks and Gimpel, arXiv:1606.08415, 2016, section 2."""
    if checks.option("approximate", approximate) == "none":
        phi = (1 + ops.erf(input_ / math.sqrt(2))) / 2  # (1)
    else:
        phi = (1 + ops.tanh(math.sqrt(2 / math.pi) * (input_ + 0.044715 * input_**3))) / 2  # (2)
    return input_ * phi  # (3)


class GELU(FunctionLayer, function=gelu): ...


def silu(a):
    r"""Sigmoid linear unit, also called swish.

    (1)  y = \frac{a}{1 + e^{-a}}"""
    return a * ops.sigmoid(a)  # (1)


class SiLU(FunctionLayer, function=silu): ...


@op
def softplus(input_, beta=1.0):
    r"""A smooth ReLU, sharper for a greater β > 0; without a `threshold`, as it cannot overflow, where x is `input_`.

    (1)  z = β x
    (2)  y = \frac{\log(1 + e^z)}{β}"""
    checks.option("beta", beta)
    lib = backend.xp(input_)
    z = beta * input_  # (1)
    return (lib.maximum(z, 0) + lib.log1p(lib.exp(-lib.abs(z)))) / beta  # (2)


defgrad(softplus, input_=lambda g, input_, beta: g * ops.sigmoid(beta * input_))


class Softplus(FunctionLayer, function=softplus): ...


def mish(a):
    r"""A self-gated activation. Source: Misra, arXiv:1908.08681, 2019, equation 1.

    (1)  y = a \tanh(\log(1 + e^a))"""
    return a * ops.tanh(softplus(a))  # (1)


class Mish(FunctionLayer, function=mish): ...


@op
def softmax(input_, axis=-1):
    r"""Positive numbers that add up to 1 along an axis, where x is `input_`; the maximum keeps e^x from overflowing.

    (1)  z_i = e^{x_i - \max_j x_j}
    (2)  y_i = \frac{z_i}{\sum_j z_j}"""
    z = backend.xp(input_).exp(input_ - input_.max(axis=axis, keepdims=True))  # (1)
    return z / z.sum(axis=axis, keepdims=True)  # (2)


@op
def log_softmax(input_, axis=-1):
    r"""The logarithm of `softmax`, finite even for its zeros, where x is `input_`.

    (1)  z_i = x_i - \max_j x_j
    (2)  y_i = z_i - \log \sum_j e^{z_j}"""
    lib = backend.xp(input_)
    z = input_ - input_.max(axis=axis, keepdims=True)  # (1)
    return z - lib.log(lib.exp(z).sum(axis=axis, keepdims=True))  # (2)


defgrad(softmax, input_=lambda g, y, axis: y * (g - (g * y).sum(axis=axis, keepdims=True)))
defgrad(log_softmax, input_=lambda g, y, axis: g - ops.exp(y) * g.sum(axis=axis, keepdims=True))


class Softmax(FunctionLayer, function=softmax): ...


class LogSoftmax(FunctionLayer, function=log_softmax): ...
