"""The ops: functions of the package, and methods and operators of a Tensor."""

from .contract import dot, einsum, matmul, outer, overlap_add, tensordot, windows
from .pointwise import (
    abs, add, arccos, arccosh, arcsin, arcsinh, arctan, arctanh, astype, ceil, clip, clone, cos, cosh, div, equal,
    erf, exp, floor, floor_divide, greater, greater_equal, isnan, less, less_equal, log, log2, logical_and,
    logical_not, logical_or, masked_fill, maximum, minimum, move, multiply, neg, not_equal, power, reciprocal, relu,
    remainder, round, sigmoid, sign, sin, sinh, sqrt, square, sub, tan, tanh, true_divide, where, zeros_like,
)  # fmt: skip
from .reduce import (
    all, any, argmax, argmin, argsort, cumsum, logsumexp, max, mean, min, norm, prod, sort, std, sum, topk, var,
)  # fmt: skip
from .shape import (
    broadcast_to, chunk, concatenate, diagonal, expand, flatten, flip, gather, getitem, pad, ravel, repeat, reshape,
    roll, split, squeeze, stack, swapaxes, tile, transpose, tril, triu, unsqueeze,
)  # fmt: skip

OPERATORS = {
    "add": add, "sub": sub, "mul": multiply, "truediv": true_divide, "floordiv": floor_divide, "mod": remainder,
    "pow": power, "matmul": matmul, "and": logical_and, "or": logical_or,
}  # fmt: skip
COMPARISONS = {"eq": equal, "ne": not_equal, "lt": less, "le": less_equal, "gt": greater, "ge": greater_equal}
METHODS = (
    abs, add, all, any, arccos, arccosh, arcsin, arcsinh, arctan, arctanh, argmax, argmin, argsort, astype,
    broadcast_to, ceil, chunk, clip, cos, cosh, cumsum, diagonal, div, dot, erf, exp, expand, flatten, flip, floor,
    gather, isnan, log, log2, logsumexp, masked_fill, matmul, max, maximum, mean, min, minimum, multiply, neg, norm,
    outer, pad, power, prod, ravel, reciprocal, relu, repeat, reshape, roll, round, sigmoid, sign, sin, sinh, sort,
    split, sqrt, square, squeeze, std, sub, sum, swapaxes, tan, tanh, tile, topk, transpose, tril, triu, unsqueeze,
    var,
)  # fmt: skip


def attach(Tensor):
    """Give the class its operators and methods: the functions of this package, with the tensor first."""
    for name, function in OPERATORS.items():
        setattr(Tensor, f"__{name}__", function)
        setattr(Tensor, f"__r{name}__", _reflected(function))
    for name, function in COMPARISONS.items():
        setattr(Tensor, f"__{name}__", function)
    for function in METHODS:
        setattr(Tensor, function.__name__, function)
    Tensor.__neg__, Tensor.__abs__, Tensor.__invert__, Tensor.__round__, Tensor.__getitem__ = (
        neg,
        abs,
        logical_not,
        round,
        getitem,
    )
    Tensor.T = property(transpose, doc="The axes in reverse order.")
    Tensor.mT = property(lambda self: swapaxes(self, -1, -2), doc="The last two axes exchanged.")


def _reflected(function):
    return lambda a, b: function(b, a)
