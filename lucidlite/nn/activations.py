"""Activations as layers: what stands between linear maps, so that they do not collapse into one. All keep the shape."""

from . import checks
from . import functional as F
from .module import Module


class ReLU(Module):
    r"""Cuts negative values off; the derivative at 0 is 0.

        (1)  y = \max(x, 0)

    where x is `input_`.

    >>> nn.ReLU()(lucidlite.tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, input_):
        return F.relu(input_)  # (1)


class LeakyReLU(Module):
    """`functional.leaky_relu`: lets a little of the negative side through, so that no unit is ever without a gradient.

    >>> nn.LeakyReLU(0.1)(lucidlite.tensor([-1.0, 2.0]))
    Tensor([-0.1,  2. ])
    """

    def __init__(self, negative_slope=0.01):
        super().__init__()
        self.negative_slope = checks.number("LeakyReLU: negative_slope", negative_slope, 0, 1)

    def forward(self, input_):
        return F.leaky_relu(input_, self.negative_slope)


class ELU(Module):
    """`functional.elu`: smoothly approaches -alpha on the negative side.

    >>> nn.ELU()(lucidlite.tensor([-100.0, 2.0]))
    Tensor([-1.,  2.])
    """

    def __init__(self, alpha=1.0):
        super().__init__()
        self.alpha = checks.number("ELU: alpha", alpha)

    def forward(self, input_):
        return F.elu(input_, self.alpha)


class SELU(Module):
    """`functional.selu`: an ELU scaled so that mean 0 and variance 1 stay so from layer to layer.

    >>> nn.SELU()(lucidlite.tensor([1.0]))
    Tensor([1.050701])
    """

    def forward(self, input_):
        return F.selu(input_)


class GELU(Module):
    """`functional.gelu`: x times the probability that a standard normal number lies below x.

    >>> nn.GELU()(lucidlite.tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = checks.choice("GELU: approximate", approximate, ("none", "tanh"))

    def forward(self, input_):
        return F.gelu(input_, self.approximate)


class SiLU(Module):
    """`functional.silu`, also called swish: x times its sigmoid.

    >>> nn.SiLU()(lucidlite.tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """

    def forward(self, input_):
        return F.silu(input_)


class Sigmoid(Module):
    r"""Squeezes every number into (0, 1), as a probability.

        (1)  y = \frac{1}{1 + e^{-x}}

    where x is `input_`.

    >>> nn.Sigmoid()(lucidlite.tensor([0.0, 100.0]))
    Tensor([0.5, 1. ])
    """

    def forward(self, input_):
        return F.sigmoid(input_)  # (1)


class Tanh(Module):
    r"""Squeezes every number into (-1, 1).

        (1)  y = \frac{e^x - e^{-x}}{e^x + e^{-x}}

    where x is `input_`.

    >>> nn.Tanh()(lucidlite.tensor([0.0, 100.0]))
    Tensor([0., 1.])
    """

    def forward(self, input_):
        return F.tanh(input_)  # (1)


class Softmax(Module):
    """`functional.softmax`: positive numbers that add up to 1 along an axis.

    >>> nn.Softmax()(lucidlite.tensor([[1.0, 1.0], [0.0, 1000.0]]))
    Tensor([[0.5, 0.5],
            [0. , 1. ]])
    """

    def __init__(self, axis=-1):
        super().__init__()
        self.axis = axis

    def forward(self, input_):
        return F.softmax(input_, self.axis)


class LogSoftmax(Module):
    """`functional.log_softmax`: the logarithms of softmax, finite where softmax itself is 0.

    >>> nn.LogSoftmax()(lucidlite.tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """

    def __init__(self, axis=-1):
        super().__init__()
        self.axis = axis

    def forward(self, input_):
        return F.log_softmax(input_, self.axis)


class Softplus(Module):
    """`functional.softplus`: a smooth ReLU, the sharper the greater beta is.

    >>> nn.Softplus()(lucidlite.tensor([0.0, 100.0]))
    Tensor([  0.6931472, 100.       ])
    """

    def __init__(self, beta=1.0):
        super().__init__()
        self.beta = checks.number("Softplus: beta", beta, 0, ends="()")

    def forward(self, input_):
        return F.softplus(input_, self.beta)


class Mish(Module):
    """`functional.mish`: x times tanh(softplus(x)).

    >>> nn.Mish()(lucidlite.tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """

    def forward(self, input_):
        return F.mish(input_)
