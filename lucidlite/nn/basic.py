"""The basic layers: an affine map, dropout, and two that only pass on or reshape; the first two as functions too."""

import math
from typing import Any

from .. import backend, checks, ops
from ..autograd import defgrad, op, parameters, wrap
from ..creation import zeros
from ..random import generator
from ..tensor import Parameter, Tensor
from . import init
from .module import Module


class FunctionLayer(Module):
    """A function as a layer: `class ELU(FunctionLayer, function=elu)` takes what `elu` takes with a default.

    `last` is the option that moves to the end; further keywords are other defaults. Weights become buffers.
    """

    __init__: Any  # of each subclass its own

    def __init_subclass__(cls, function: Any = None, last="", **changed):
        if function is None:
            return
        described = getattr(function, "__wrapped__", function)
        names, values = parameters(described), described.__defaults__ or ()
        defaults = dict(zip(names[len(names) - len(values) :], values)) | changed
        cls._function, cls._passed = staticmethod(function), tuple(defaults)
        options = sorted([name for name in defaults if name != "training"], key=lambda name: name == last)
        arguments = "".join(f", {name}={defaults[name]!r}" for name in options)
        # From text, as dataclasses do it: so help() shows the options, and Python refuses what is none of them.
        cls.__init__ = eval(f"lambda self{arguments}: keep(**locals())", {"keep": cls._keep})
        cls.__init__.__qualname__ = f"{cls.__qualname__}.__init__"
        cls.__doc__ = cls.__doc__ or f"`functional.{described.__name__}`: {described.__doc__.partition(chr(10))[0]}"

    def _keep(self, **options: Any):
        for name, value in options.items():
            if name in ("weight", "pos_weight"):
                self.register_buffer(name, value if isinstance(value, (Tensor, type(None))) else Tensor(value))
            else:
                setattr(self, name, checks.option(name, value, f"{type(self).__name__}: "))

    def forward(self, *inputs):
        return self._function(*inputs, **{name: getattr(self, name) for name in self._passed})


@op
def linear(input_, weight, bias=None):
    """An affine map: (..., in), weight (out, in), bias (out) or None -> (..., out).

        (1)  Y = X W^⊤ + b

    where Y is `y`, X is `input_`, W is `weight` and b is `bias`.
    """
    fits = weight.ndim == 2 and input_.ndim and input_.shape[-1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("the shapes must be (..., in), (out, in) and (out), with the same in and out")
    y = _rows(input_).dot(weight.T)
    if bias is not None:
        y += bias  # (1)
    return _as_before(y, input_)


def _rows(a):
    """(..., n) -> (rows, n): one product of large matrices takes less time than many of small ones."""
    return a if a.ndim == 2 else a.reshape(-1, a.shape[-1])


def _as_before(rows, a):
    return rows if a.ndim == 2 else rows.reshape(*a.shape[:-1], rows.shape[-1])


defgrad(
    linear,
    input_=lambda g, weight: _as_before(ops.matmul(_rows(g), weight), g),
    weight=lambda g, input_: ops.matmul(_rows(g).T, _rows(input_)),
    bias=lambda g: _rows(g).sum(axis=0),
)


class Linear(Module):
    r"""A fully connected layer, `functional.linear`: (..., in_features) -> (..., out_features).

    Weight, (out_features, in_features), and bias, (out_features), start as uniform numbers between -k and k:

        (1)  k = \frac{1}{\sqrt{n}}

    where n is `self.in_features`. That is PyTorch's choice; lucid draws its weights from a range sqrt(6) times as wide.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.in_features = checks.whole("Linear: in_features", in_features)
        self.out_features = checks.whole("Linear: out_features", out_features)
        k = 1 / math.sqrt(self.in_features)  # (1)
        self.weight = init.uniform(Parameter(zeros(out_features, in_features)), -k, k)
        self.bias = init.uniform(Parameter(zeros(out_features)), -k, k) if checks.flag("Linear: bias", bias) else None

    def forward(self, input_):
        return linear(input_, self.weight, self.bias)

    def extra_repr(self):
        return f"{super().extra_repr()}, bias={self.bias is not None}"


def dropout(input_, p=0.5, training=True):
    r"""Each element becomes 0 with probability p, in [0, 1), or is scaled up, so that the expected value stays.

        (1)  k = \frac{m}{1 - p}
        (2)  y = k x

    where x is `input_`, k is `scale`, and m is `kept`: 1 with probability 1 - p, else 0, from the package's stream.
    Without `training` the input itself is returned.
    """
    if checks.option("p", p, "dropout: ") == 0 or not training:
        return input_
    kept = (generator().random(input_.shape, dtype="float32") >= p).astype(input_.dtype)
    scale = kept / (1 - p)  # (1)
    return input_ * wrap(backend.move(scale, backend.device_of(backend.raw(input_))))  # (2)


class Dropout(FunctionLayer, function=dropout):
    """`functional.dropout` in training; after `eval()` it lets everything through."""


class Flatten(FunctionLayer, function=ops.flatten, start_axis=1, end_axis=-1):
    """Makes the axes from `start_axis` to `end_axis` one: (batch, 1, 28, 28) -> (batch, 784)."""


class Identity(Module):
    """Returns what it gets: a placeholder for a layer that is left out."""

    def forward(self, input_):
        return input_
