"""The basic layers: an affine and a bilinear map, a table of vectors, dropout, and two that pass on or reshape."""

import math
from typing import Any

from .. import backend, checks, creation, ops, random
from ..autograd import defgrad, op, parameters, wrap
from ..tensor import Parameter, Tensor
from . import init
from .module import Module


def sizes(owner, **values):
    """Make these attributes of a module, each a whole number >= 1."""
    for name, value in values.items():
        setattr(owner, name, checks.whole(f"{type(owner).__name__}: {name}", value))


def drawn(n, *shapes):
    r"""Parameters of these shapes, None for False, drawn from -k to k as in PyTorch; lucid's weights go further.

    (1)  k = \frac{1}{\sqrt{n}}"""
    k = 1 / math.sqrt(n)  # (1)
    return [init.uniform(Parameter(creation.zeros(shape)), -k, k) if shape else None for shape in shapes]


class FunctionLayer(Module):
    """A function as a layer: what a call does not give, an option or a weight, is an attribute of the layer.

    `class ELU(FunctionLayer, function=elu): ...` takes its options, `last` at the end; keywords are defaults."""

    __init__: Any  # of each subclass its own

    def __init_subclass__(cls, function: Any = None, last="", **changed):
        if function is None:
            return
        described = getattr(function, "__wrapped__", function)
        cls._names = names = parameters(described)
        values = described.__defaults__ or ()
        cls._function = staticmethod(function if hasattr(function, "op") else checks.composed(function))
        cls.__doc__ = cls.__doc__ or f"`functional.{described.__name__}`: {described.__doc__.partition(chr(10))[0]}"
        if cls.__init__ is not Module.__init__:
            return
        defaults = dict(zip(names[len(names) - len(values) :], values)) | changed
        options = sorted([name for name in defaults if name != "training"], key=lambda name: name == last)
        arguments = "".join(f", {name}={defaults[name]!r}" for name in options)
        # From text, as dataclasses do it: so help() shows the options, and Python refuses what is none of them.
        cls.__init__ = eval(f"lambda self{arguments}: keep(**locals())", {"keep": cls._keep})
        cls.__init__.__qualname__ = f"{cls.__qualname__}.__init__"

    def _keep(self, **options: Any):
        for name, value in options.items():
            if name in ("weight", "pos_weight"):
                self.register_buffer(name, value if isinstance(value, (Tensor, type(None))) else Tensor(value))
            else:
                setattr(self, name, checks.option(name, value, f"{type(self).__name__}: "))

    def forward(self, *inputs, **named):
        own = {name: getattr(self, name) for name in self._names[len(inputs) :] if hasattr(self, name)}
        return self._function(*inputs, **own | named)


@op
def linear(input_, weight, bias=None):
    """An affine map: (..., in), weight (out, in), bias (out) or None -> (..., out).

        (1)  Y = X W^⊤ + b

    where Y is `y`, X is `input_`, W is `weight` and b is `bias`."""
    fits = weight.ndim == 2 and input_.ndim and input_.shape[-1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("the shapes must be (..., in), (out, in) and (out), with the same in and out")
    y = _rows(input_).dot(weight.T)
    if bias is not None:
        y += bias  # (1)
    return _as_before(y, input_)


def _rows(a):
    return a if a.ndim == 2 else a.reshape(-1, a.shape[-1])  # one product of large matrices is faster than many small


def _as_before(rows, a):
    return rows if a.ndim == 2 else rows.reshape(*a.shape[:-1], rows.shape[-1])


defgrad(
    linear,
    input_=lambda g, weight: _as_before(ops.matmul(_rows(g), weight), g),
    weight=lambda g, input_: ops.matmul(_rows(g).T, _rows(input_)),
    bias=lambda g: _rows(g).sum(axis=0),
)


class Linear(FunctionLayer, function=linear):
    """A fully connected layer, `functional.linear`: (..., in_features) -> (..., out_features).

    Weight, (out_features, in_features), and bias start between -k and k, see `drawn`, where n is in_features."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        sizes(self, in_features=in_features, out_features=out_features)
        shapes = (out_features, in_features), checks.flag("Linear: bias", bias) and out_features
        self.weight, self.bias = drawn(in_features, *shapes)


def bilinear(input_1, input_2, weight, bias=None):
    r"""A product of two inputs, (..., in1) and (..., in2), weight (out, in1, in2) and bias (out) -> (..., out).

        (1)  y_{n,o} = \sum_{i,j} x_{n,i} w_{o,i,j} z_{n,j}

    where x is `input_1`, z is `input_2` and w is `weight`; the bias is added."""
    y = ops.einsum("...i,oij,...j->...o", input_1, weight, input_2)  # (1)
    return y if bias is None else y + bias


class Bilinear(FunctionLayer, function=bilinear):
    """`functional.bilinear`, to (..., out_features); weight and bias start as in `Linear`, where n is in1_features."""

    def __init__(self, in1_features, in2_features, out_features, bias=True):
        sizes(self, in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        shapes = (out_features, in1_features, in2_features), checks.flag("Bilinear: bias", bias) and out_features
        self.weight, self.bias = drawn(in1_features, *shapes)


def integers(what, given, device):
    """What numbers rows or classes, as an int64 array of its own, because a gradient needs it unchanged."""
    found = backend.raw(given) if hasattr(given, "dtype") else backend.array(given, device=device)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, not {found.dtype}; .astype('int64') makes them, or .argmax(axis=1)")
    return found.astype("int64")


def floating(x):
    return x if x.dtype.kind == "f" else x.astype("float32")  # integers have no room for means and -inf


def in_range(what, found, n, hint=""):
    """Refuse integers that are not in 0 to n - 1; on a GPU that would mean to wait for them."""
    if found.size and not backend.on_gpu(found) and found.view("uint64").max() >= n:  # negative ones are large
        raise ValueError(f"{what} go from {found.min()} to {found.max()}, but there are only 0 to {n - 1}{hint}")


def _row(padding_idx, n):
    checks.refuse(checks.whole("padding_idx", padding_idx, -n) >= n, f"padding_idx is {padding_idx} of {n} rows")
    return padding_idx % n


def embedding(input_, weight, padding_idx=None):
    """Rows of a table: whole numbers (...), weight (rows, width) -> (..., width). Row `padding_idx` stays."""
    ids, n = integers("the numbers of rows", input_, weight.device), len(weight)
    in_range("the numbers of rows", ids, n)
    rows = weight[ids]
    if backend.on_gpu(ids):  # CuPy would take another row and say nothing
        rows = ops.where(((ids < 0) | (ids >= n))[..., None], math.nan, rows)
    return rows if padding_idx is None else ops.where((ids == _row(padding_idx, n))[..., None], rows.detach(), rows)


class Embedding(FunctionLayer, function=embedding):
    """`functional.embedding`: a trained vector for each of `num_embeddings` words: (...) -> (..., embedding_dim).

    They start as standard normal numbers (in lucid from -0.1 to 0.1), that of `padding_idx` as zeros, which stay."""

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        sizes(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.weight = init.normal(Parameter(creation.zeros(num_embeddings, embedding_dim)))
        self.padding_idx = padding_idx
        if padding_idx is not None:
            self.weight.data[_row(padding_idx, num_embeddings)] = 0


def dropout(input_, p=0.5, training=True):
    r"""In training each element becomes 0 with probability p, in [0, 1), or is scaled up to keep the expected value.

        (1)  k = \frac{m}{1 - p}
        (2)  y = k x

    where x is `input_`, k is `scale`, and m is `kept`: 1 with probability 1 - p, else 0, from the package's stream."""
    if checks.option("p", p, "dropout: ") == 0 or not training:
        return input_
    kept = (random.generator().random(input_.shape, dtype="float32") >= p).astype(input_.dtype)
    scale = kept / (1 - p)  # (1)
    return input_ * wrap(backend.move(scale, input_.device))  # (2)


class Dropout(FunctionLayer, function=dropout): ...


def dropout2d(input_, p=0.5, training=True):
    """`dropout` of whole channels: input_ (batch, channels, ...)."""
    channels = creation.ones(*input_.shape[:2], *[1] * (input_.ndim - 2), dtype=input_.dtype, device=input_.device)
    return input_ * dropout(channels, p) if training and p else input_


class Dropout2d(FunctionLayer, function=dropout2d): ...


class Flatten(FunctionLayer, function=ops.flatten, start_axis=1, end_axis=-1): ...


class Identity(Module):
    """Returns what it gets: a placeholder for a layer that is left out."""

    def forward(self, input_):
        return input_
