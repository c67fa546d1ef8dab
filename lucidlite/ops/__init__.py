"""The ops: functions of the package, and methods and operators of a Tensor."""

# ruff: noqa: F403, F405
from ..autograd import parameters
from .contract import *
from .pointwise import *
from .reduce import *
from .shape import *

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
    for name, function in [*globals().items()]:
        own = getattr(function, "__module__", "").startswith(__name__)
        if own and parameters(getattr(function, "__wrapped__", function))[:1] == ["a"]:
            setattr(Tensor, name, function)
    for name, op_name in (OPERATORS | OTHERS).items():
        setattr(Tensor, f"__{name}__", globals()[op_name])
    for name, op_name in OPERATORS.items():
        setattr(Tensor, f"__r{name}__", _reflected(globals()[op_name]))
    Tensor.T = property(transpose, doc="The axes in reverse order.")
    Tensor.mT = property(lambda self: swapaxes(self, -1, -2), doc="The last two axes exchanged.")


def _reflected(function):
    return lambda a, b: function(b, a)
