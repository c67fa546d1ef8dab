"""The basic layers: an affine map, dropout, and two that only pass on or reshape."""

import math

from .. import backend, ops
from ..tensor import Parameter
from . import checks, init
from . import functional as F
from .module import Module


class Identity(Module):
    """Returns what it gets: a placeholder for a layer that is left out.

    >>> nn.Identity()(lucidlite.ones(2))
    Tensor([1., 1.])
    """

    def forward(self, input_):
        """The input itself."""
        return input_


class Flatten(Module):
    """Makes the axes from `start_axis` to `end_axis` one: (batch, 1, 28, 28) -> (batch, 784).

    >>> nn.Flatten()(lucidlite.zeros(5, 2, 3)).shape
    (5, 6)
    """

    def __init__(self, start_axis=1, end_axis=-1):
        super().__init__()
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, input_):
        """(batch, ...) -> (batch, features)."""
        return ops.flatten(input_, self.start_axis, self.end_axis)


class Linear(Module):
    r"""A fully connected layer, `functional.linear`: (..., in_features) -> (..., out_features).

    Args:
        in_features: numbers in, at least 1.
        out_features: numbers out, at least 1.
        bias: whether b is added.

    Weight, (out_features, in_features), and bias, (out_features), start as uniform numbers between -k and k:

        (1)  k = \frac{1}{\sqrt{n}}

    where n is `self.in_features`. That is PyTorch's choice; lucid draws its weights from a range sqrt(6) times as wide.

    >>> layer = nn.Linear(3, 2)
    >>> layer(lucidlite.ones(5, 3)).shape
    (5, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.in_features = checks.whole("Linear: in_features", in_features)
        self.out_features = checks.whole("Linear: out_features", out_features)
        self.weight = Parameter(backend.create("empty", "cpu", (self.out_features, self.in_features), "float32"))
        self.bias = Parameter(self.weight.data[:, 0]) if checks.flag("Linear: bias", bias) else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial values from the package's stream."""
        k = 1 / math.sqrt(self.in_features)  # (1)
        for p in self.parameters():
            init.uniform(p, -k, k)

    def forward(self, input_):
        """(..., in_features) -> (..., out_features)."""
        return F.linear(input_, self.weight, self.bias)

    def extra_repr(self):
        """The arguments that made it."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Dropout(Module):
    """Sets each element to 0 with probability p in training, and scales the others up; see `functional.dropout`.

    >>> lucidlite.random.seed(0)
    >>> nn.Dropout(0.5)(lucidlite.ones(5))
    Tensor([2., 2., 2., 0., 0.])
    >>> nn.Dropout(0.5).eval()(lucidlite.ones(5))
    Tensor([1., 1., 1., 1., 1.])
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p = checks.number("Dropout: p", p, 0, 1, "[)")

    def forward(self, input_):
        """The same shape as the input."""
        return F.dropout(input_, self.p, self.training)
