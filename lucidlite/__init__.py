"""lucidlite: a small autograd framework to learn from, on NumPy or on a GPU."""

import importlib
import typing

__version__ = "0.1.0"

from .tensor import Parameter, Tensor, tensor
from .ops import (
    abs, add, all, any, arccos, arccosh, arcsin, arcsinh, arctan, arctanh, argmax, argmin, argsort, astype,
    broadcast_to, ceil, chunk, clip, clone, concatenate, cos, cosh, cumsum, diagonal, div, dot, einsum, equal, erf,
    exp, expand, flatten, flip, floor, floor_divide, gather, greater, greater_equal, less, less_equal, log, log2,
    logical_and, logical_not, logical_or, logsumexp, masked_fill, matmul, max, maximum, mean, min, minimum, multiply,
    neg, norm, not_equal, outer, overlap_add, pad, power, prod, ravel, reciprocal, relu, remainder, repeat, reshape,
    roll, round, sigmoid, sign, sin, sinh, sort, split, sqrt, square, squeeze, stack, std, sub, sum, swapaxes, tan,
    tanh, tensordot, tile, topk, transpose, tril, triu, unsqueeze, var, where, windows,
)  # fmt: skip
from .creation import arange, eye, from_dlpack, full, full_like, linspace, ones, ones_like, zeros, zeros_like
from .random import rand, randint, randn, randperm
from .autograd import defgrad, enable_grad, grad, grad_enabled, no_grad, op

from .debugging import detect_anomaly, gradcheck
from .gpu import capture, device_count, gpu_available, memory_allocated, synchronize
from . import autograd, checks, random

if typing.TYPE_CHECKING:
    from . import data, formulas, nn, optim
    from .drawing import graph
    from .serialization import load, save


_LATER = {"graph": "drawing", "load": "serialization", "save": "serialization"}  # a function and where it stands
_LATER |= dict.fromkeys(["data", "formulas", "nn", "optim"], "")


def __getattr__(name):
    """What not every program needs is imported when it is first asked for: `import lucidlite` is quick."""
    checks.refuse(name not in _LATER, f"lucidlite has no {name!r}", AttributeError)
    found = importlib.import_module(f"lucidlite.{_LATER[name] or name}")
    return getattr(found, name) if _LATER[name] else found


def __dir__():
    return [*globals(), *_LATER]
