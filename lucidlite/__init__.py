"""lucidlite: a small autograd framework to learn from, on NumPy or on a GPU."""

import importlib
import typing

__version__ = "0.1.0"

from .tensor import Parameter, Tensor, tensor
from .ops import (
    abs, add, all, any, arccos, arccosh, arcsin, arcsinh, arctan, arctanh, argmax, argmin, argsort, astype,
    broadcast_to, ceil, chunk, clip, clone, concatenate, cos, cosh, cumsum, diagonal, div, dot, einsum, equal, erf,
    exp, expand, flatten, flip, floor, floor_divide, gather, greater, greater_equal, isnan, less, less_equal, log,
    log2, logical_and, logical_not, logical_or, logsumexp, masked_fill, matmul, max, maximum, mean, min, minimum,
    multiply, neg, norm, not_equal, outer, overlap_add, pad, power, prod, ravel, reciprocal, relu, remainder,
    repeat, reshape, roll, round, sigmoid, sign, sin, sinh, sort, split, sqrt, square, squeeze, stack, std, sub,
    sum, swapaxes, tan, tanh, tensordot, tile, topk, transpose, tril, triu, unsqueeze, var, where, windows,
)  # fmt: skip
from .creation import arange, eye, full, full_like, linspace, ones, ones_like, zeros, zeros_like
from .random import rand, randint, randn, randperm
from .autograd import defgrad, grad, op
from .grad_mode import enable_grad, grad_enabled, no_grad
from .gradcheck import gradcheck
from . import autograd, random

if typing.TYPE_CHECKING:
    from . import data, nn, optim
    from .serialization import load, save


def __getattr__(name):
    """What not every program needs is imported when it is first asked for: `import lucidlite` is quick."""
    if name in ("data", "nn", "optim"):
        return importlib.import_module(f"lucidlite.{name}")
    if name in ("load", "save"):
        return getattr(importlib.import_module("lucidlite.serialization"), name)
    raise AttributeError(f"lucidlite has no {name!r}")


def __dir__():
    return [*globals(), "data", "load", "nn", "optim", "save"]
