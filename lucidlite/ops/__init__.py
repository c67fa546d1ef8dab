"""The ops: functions of the package, and methods and operators of a Tensor. When one fails, the error names it."""

# ruff: noqa: F403, F405
from ..autograd import parameters
from ..checks import composed
from .pointwise import *
from .reduce import *
from .shape import *

_own = {name: f for name, f in globals().items() if getattr(f, "__module__", "").startswith(__name__)}
globals().update({name: f if hasattr(f, "op") else composed(f) for name, f in _own.items()})

OPERATORS = {
    "add": "add", "sub": "sub", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "matmul": "matmul", "and": "logical_and", "or": "logical_or",
}  # fmt: skip
OTHERS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
    "neg": "neg", "abs": "abs", "invert": "logical_not", "round": "round", "getitem": "getitem",
}  # fmt: skip


def attach(Tensor):
    """Give the class its methods and operators: the functions of this package that take a tensor `a` first."""
    for name, function in _own.items():
        if parameters(getattr(function, "__wrapped__", function))[:1] == ["a"]:
            setattr(Tensor, name, globals()[name])
    for name, op_name in (OPERATORS | OTHERS).items():
        function = globals()[op_name]
        setattr(Tensor, f"__{name}__", function)
        if name in OPERATORS:
            setattr(Tensor, f"__r{name}__", lambda a, b, function=function: function(b, a))
    Tensor.T = property(transpose, doc="The axes in reverse order.")
    Tensor.mT = property(lambda self: swapaxes(self, -1, -2), doc="The last two axes exchanged.")
