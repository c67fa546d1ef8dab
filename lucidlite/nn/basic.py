"""The basic layers: an affine map, dropout, and two that only pass on or reshape; the first two as functions too."""

import math

from .. import backend, checks, ops
from ..autograd import defgrad, op, wrap
from ..backend import raw
from ..ops import matmul
from ..random import generator
from ..tensor import Parameter, Tensor
from . import init
from .module import Module


class FunctionLayer(Module):
    """A function as a layer, which keeps the function's options; so most activations and losses are made."""

    def __init__(self, function, **options):
        super().__init__()
        self._function, self._options = function, list(options)
        for name, value in options.items():
            if name in ("weight", "pos_weight"):  # it moves with the module and is saved, but not trained
                constant = value.detach() if isinstance(value, Tensor) else value if value is None else Tensor(value)
                self.register_buffer(name, constant)
            else:
                setattr(self, name, checks.option(name, value, f"{type(self).__name__}: "))

    def forward(self, *inputs):
        """The function of the inputs, with the options that the layer keeps."""
        return self._function(*inputs, **{name: getattr(self, name) for name in self._options})


@op
def linear(input_, weight, bias=None):
    """An affine map: (..., in), weight (out, in), bias (out) or None -> (..., out).

        (1)  Y = X W^⊤ + b

    where Y is `y`, X is `input_`, W is `weight` and b is `bias`.

    >>> nn.functional.linear(lucidlite.ones(5, 3), lucidlite.ones(2, 3), lucidlite.ones(2)).shape
    (5, 2)
    """
    if weight.ndim != 2 or not input_.ndim or input_.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: input_ {input_.shape} and weight {weight.shape} must end in the same length")
    y = _rows(input_).dot(weight.T)
    if bias is not None:
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"linear: bias {bias.shape} must have a number for each row of weight {weight.shape}")
        y += bias  # (1)
    return _as_before(y, input_)


def _rows(a):
    """(..., n) -> (rows, n): one product of large matrices takes less time than many of small ones."""
    return a if a.ndim == 2 else a.reshape(-1, a.shape[-1])


def _as_before(rows, a):
    return rows if a.ndim == 2 else rows.reshape(*a.shape[:-1], rows.shape[-1])


defgrad(
    linear,
    input_=lambda g, weight: _as_before(matmul(_rows(g), weight), g),
    weight=lambda g, input_: matmul(_rows(g).T, _rows(input_)),
    bias=lambda g: _rows(g).sum(axis=0),
)


class Linear(Module):
    r"""A fully connected layer, `functional.linear`: (..., in_features) -> (..., out_features).

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
        return linear(input_, self.weight, self.bias)

    def extra_repr(self):
        """The arguments that made it."""
        return f"{super().extra_repr()}, bias={self.bias is not None}"


def dropout(input_, p=0.5, training=True):
    r"""Each element becomes 0 with probability p, in [0, 1), or is scaled up, so that the expected value stays.

        (1)  k = \frac{m}{1 - p}
        (2)  y = k x

    where x is `input_`, k is `scale`, and m is `kept`: 1 with probability 1 - p, else 0, from the package's stream.
    Without `training` the input itself is returned.
    """
    p = checks.option("p", p, "dropout: ")
    if not training or p == 0:
        return input_
    if input_.dtype.kind != "f":
        raise TypeError(f"dropout: input_ is {input_.dtype}; convert it with .astype('float32')")
    kept = (generator().random(input_.shape, dtype="float32") >= p).astype(input_.dtype)
    scale = kept / (1 - p)  # (1)
    return input_ * wrap(backend.move(scale, backend.device_of(raw(input_))))  # (2)


class Dropout(FunctionLayer):
    """`functional.dropout` in training; after `eval()` it lets everything through.

    >>> lucidlite.random.seed(0)
    >>> nn.Dropout(0.5)(lucidlite.ones(5))
    Tensor([2., 2., 2., 0., 0.])
    >>> nn.Dropout(0.5).eval()(lucidlite.ones(5))
    Tensor([1., 1., 1., 1., 1.])
    """

    def __init__(self, p=0.5):
        super().__init__(dropout, p=p)

    def forward(self, input_):
        """The same shape as the input."""
        return dropout(input_, self.p, self.training)


class Flatten(FunctionLayer):
    """Makes the axes from `start_axis` to `end_axis` one: (batch, 1, 28, 28) -> (batch, 784).

    >>> nn.Flatten()(lucidlite.zeros(5, 2, 3)).shape
    (5, 6)
    """

    def __init__(self, start_axis=1, end_axis=-1):
        super().__init__(ops.flatten, start_axis=start_axis, end_axis=end_axis)


class Identity(Module):
    """Returns what it gets: a placeholder for a layer that is left out."""

    def forward(self, input_):
        """The input itself."""
        return input_
