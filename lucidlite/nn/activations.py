"""Activations: what stands between linear maps, so that they do not collapse into one. All keep the shape."""

import math

from .. import checks
from ..autograd import defgrad, op
from ..backend import xp
from ..errors import composed
from ..ops import erf, exp, maximum, relu, sigmoid, sign, tanh, where
from .basic import FunctionLayer
from .module import Module

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class ReLU(Module):
    r"""Cuts negative values off; the derivative at 0 is 0.

    (1)  y = \max(x, 0)
    """

    def forward(self, x):
        return relu(x)  # (1)


class Sigmoid(Module):
    r"""Squeezes every number into (0, 1), as a probability.

    (1)  y = \frac{1}{1 + e^{-x}}
    """

    def forward(self, x):
        return sigmoid(x)  # (1)


class Tanh(Module):
    r"""Squeezes every number into (-1, 1).

    (1)  y = \frac{e^x - e^{-x}}{e^x + e^{-x}}
    """

    def forward(self, x):
        return tanh(x)  # (1)


@op
def leaky_relu(input_, negative_slope=0.01):
    r"""A ReLU whose negative side has a slope in [0, 1], which is also the derivative at 0.

        (1)  y = \max(x, s x)

    where x is `input_` and s is `negative_slope`.
    """
    checks.option("negative_slope", negative_slope)
    return xp(input_).maximum(input_, negative_slope * input_)  # (1)


defgrad(leaky_relu, input_=lambda g, input_, negative_slope: g * maximum(sign(input_), negative_slope))


class LeakyReLU(FunctionLayer, function=leaky_relu): ...


@op
def elu(input_, alpha=1.0):
    r"""Exponential linear unit, which smoothly approaches -alpha on the negative side.

        (1)  y = \max(x, 0) + α (e^{\min(x, 0)} - 1)

    where x is `input_`.
    """
    lib = xp(input_)
    return lib.maximum(input_, 0) + alpha * lib.expm1(lib.minimum(input_, 0))  # (1)


defgrad(elu, input_=lambda g, input_, y, alpha: where(input_ > 0, g, g * (y + alpha)))


class ELU(FunctionLayer, function=elu): ...


@composed
def selu(a):
    r"""Scaled ELU, which keeps mean 0 and variance 1 from layer to layer.

        (1)  y = λ (\max(a, 0) + α (e^{\min(a, 0)} - 1))

    where λ is `SELU_SCALE`, 1.0507, and α is `SELU_ALPHA`, 1.6733.

    Source: Klambauer et al., Self-Normalizing Neural Networks, 2017, eq. 2.
    """
    return SELU_SCALE * elu(a, SELU_ALPHA)  # (1)


class SELU(FunctionLayer, function=selu): ...


@composed
def gelu(input_, approximate="none"):
    r"""Gaussian error linear unit: x times Φ, the probability that a standard normal number lies below x.

        (1)  Φ = \frac{1 + \operatorname{erf}(\frac{x}{\sqrt{2}})}{2}                          if approximate is "none"
        (2)  Φ = \frac{1 + \tanh(\sqrt{\frac{2}{π}} (x + 0.044715 x^3))}{2}                    if approximate is "tanh"
        (3)  y = x Φ

    where x is `input_` and Φ is `phi`.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, section 2.
    """
    if checks.option("approximate", approximate) == "none":
        phi = (1 + erf(input_ / math.sqrt(2))) / 2  # (1)
    else:
        phi = (1 + tanh(math.sqrt(2 / math.pi) * (input_ + 0.044715 * input_**3))) / 2  # (2)
    return input_ * phi  # (3)


class GELU(FunctionLayer, function=gelu): ...


@composed
def silu(a):
    r"""Sigmoid linear unit, also called swish.

    (1)  y = \frac{a}{1 + e^{-a}}
    """
    return a * sigmoid(a)  # (1)


class SiLU(FunctionLayer, function=silu): ...


@op
def softplus(input_, beta=1.0):
    r"""A smooth ReLU, the sharper the greater beta is; it cannot overflow, so PyTorch's `threshold` is not needed.

        (1)  z = β x
        (2)  y = \frac{\log(1 + e^z)}{β}

    where x is `input_`, and β is `beta`, a number > 0.
    """
    checks.option("beta", beta)
    lib = xp(input_)
    z = beta * input_  # (1)
    return (lib.maximum(z, 0) + lib.log1p(lib.exp(-lib.abs(z)))) / beta  # (2)


defgrad(softplus, input_=lambda g, input_, beta: g * sigmoid(beta * input_))


class Softplus(FunctionLayer, function=softplus): ...


@composed
def mish(a):
    r"""A self-gated activation.

        (1)  y = a \tanh(\log(1 + e^a))

    Source: Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019, eq. 1.
    """
    return a * tanh(softplus(a))  # (1)


class Mish(FunctionLayer, function=mish): ...


@op
def softmax(input_, axis=-1):
    r"""Positive numbers that add up to 1 along an axis; shifted by the maximum so that nothing overflows.

        (1)  z_i = e^{x_i - \max_j x_j}
        (2)  y_i = \frac{z_i}{\sum_j z_j}

    where x is `input_`, and i and j run along the axis.
    """
    z = xp(input_).exp(input_ - input_.max(axis=axis, keepdims=True))  # (1)
    return z / z.sum(axis=axis, keepdims=True)  # (2)


@op
def log_softmax(input_, axis=-1):
    r"""The logarithm of softmax, finite where that is 0.

        (1)  z_i = x_i - \max_j x_j
        (2)  y_i = z_i - \log \sum_j e^{z_j}

    where x is `input_`, and i and j run along the axis.
    """
    z = input_ - input_.max(axis=axis, keepdims=True)  # (1)
    return z - xp(z).log(xp(z).exp(z).sum(axis=axis, keepdims=True))  # (2)


defgrad(softmax, input_=lambda g, y, axis: y * (g - (g * y).sum(axis=axis, keepdims=True)))
defgrad(log_softmax, input_=lambda g, y, axis: g - exp(y) * g.sum(axis=axis, keepdims=True))


class Softmax(FunctionLayer, function=softmax): ...


class LogSoftmax(FunctionLayer, function=log_softmax): ...
