"""Ops that work element by element: a forward in one line, and the derivative times `g`.

Two operands broadcast as in NumPy. Where a derivative jumps, its value is chosen here: `abs`, `sign` and the roundings
take 0, `maximum` and `minimum` share the gradient of a tie equally, `clip` passes it on at its bounds.
"""

import math

from .. import backend
from ..autograd import defgrad, op
from ..backend import ufunc, xp, zero

_maximum, _minimum = ufunc("maximum"), ufunc("minimum")

# ---- Arithmetic ------------------------------------------------------------------------------------------------------


@op
def add(a, b):
    """a + b."""
    return a + b


@op
def sub(a, b):
    """a - b."""
    return a - b


@op
def multiply(a, b):
    """a * b, element by element."""
    return a * b


@op
def true_divide(a, b):
    """a / b."""
    return a / b


@op
def floor_divide(a, b):
    """The largest whole number not above a / b."""
    return a // b


@op
def remainder(a, b):
    """What is left of a after dividing by b: a - b * floor(a / b), with the sign of b."""
    return a % b


@op
def power(a, b):
    """a to the power of b; a may be negative where b is a whole number."""
    return a**b


def div(a, b, floor=False):
    """a / b, or with `floor` the largest whole number not above it."""
    return floor_divide(a, b) if floor else true_divide(a, b)


@op
def neg(a):
    """-a."""
    return -a


def _power_base(g, a, b):
    """b a^(b-1); 0 for b = 0, also where a = 0 makes a^-1 infinite."""
    if isinstance(b, (int, float)):
        return g * (b * a ** (b - 1)) if b else zeros_like(g)
    return g * (b * a ** where(b == 0, 1, b - 1))


def _power_exponent(g, a, y):
    """a^b log a; 0 for a = 0, where a^b stays 0."""
    return g * (y * log(where(a == 0, 1, a)))


defgrad(add, a=lambda g: g, b=lambda g: g)
defgrad(sub, a=lambda g: g, b=lambda g: -g)
defgrad(multiply, a=lambda g, b: g * b, b=lambda g, a: g * a)
defgrad(true_divide, a=lambda g, b: g / b, b=lambda g, b, y: -g * y / b)
defgrad(floor_divide, a=lambda g: zeros_like(g), b=lambda g: zeros_like(g))
defgrad(remainder, a=lambda g: g, b=lambda g, a, b: -g * floor_divide(a, b))
defgrad(power, a=_power_base, b=_power_exponent)
defgrad(neg, a=lambda g: -g)

# ---- Comparisons: tensors of bool, without a gradient ----------------------------------------------------------------


@op
def equal(a, b):
    """Where a == b."""
    return a == b


@op
def not_equal(a, b):
    """Where a != b."""
    return a != b


@op
def less(a, b):
    """Where a < b."""
    return a < b


@op
def less_equal(a, b):
    """Where a <= b."""
    return a <= b


@op
def greater(a, b):
    """Where a > b."""
    return a > b


@op
def greater_equal(a, b):
    """Where a >= b."""
    return a >= b


@op
def logical_and(a, b):
    """a & b: and for bool tensors, bit by bit for integers."""
    return a & b


@op
def logical_or(a, b):
    """a | b: or for bool tensors, bit by bit for integers."""
    return a | b


@op
def logical_not(a):
    """~a: not for bool tensors, the complement for integers."""
    return ~a


@op
def isnan(a):
    """Where a is not a number."""
    return xp(a).isnan(a)


# ---- Functions of one argument, with NumPy's names -------------------------------------------------------------------


def _function(name, text, rule):
    """The op that calls NumPy's universal function of this name; `rule` is its derivative times g."""

    def function(a):
        raise NotImplementedError  # it lends the op its name, signature and text

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text}, element by element."
    call = op(function, forward=ufunc(name))
    defgrad(call, a=rule)
    return call


exp = _function("exp", "e to the power of a", lambda g, y: g * y)
log = _function("log", "The natural logarithm", lambda g, a: g / a)
log2 = _function("log2", "The logarithm to base 2", lambda g, a: g / (a * math.log(2)))
sqrt = _function("sqrt", "The square root", lambda g, y: g / (2 * y))
square = _function("square", "a * a", lambda g, a: g * (2 * a))
reciprocal = _function("reciprocal", "1 / a", lambda g, y: -g * y * y)
abs = _function("abs", "The absolute value", lambda g, a: g * sign(a))
sign = _function("sign", "-1, 0 or 1", lambda g: zeros_like(g))
floor = _function("floor", "The largest whole number that is not above a", lambda g: zeros_like(g))
ceil = _function("ceil", "The smallest whole number that is not below a", lambda g: zeros_like(g))
sin = _function("sin", "The sine of an angle in radians", lambda g, a: g * cos(a))
cos = _function("cos", "The cosine of an angle in radians", lambda g, a: -g * sin(a))
tan = _function("tan", "The tangent of an angle in radians", lambda g, y: g * (1 + y * y))
arcsin = _function("arcsin", "The angle in [-pi/2, pi/2] with sine a", lambda g, a: g / sqrt(1 - a * a))
arccos = _function("arccos", "The angle in [0, pi] with cosine a", lambda g, a: -g / sqrt(1 - a * a))
arctan = _function("arctan", "The angle in (-pi/2, pi/2) with tangent a", lambda g, a: g / (1 + a * a))
sinh = _function("sinh", "The hyperbolic sine", lambda g, a: g * cosh(a))
cosh = _function("cosh", "The hyperbolic cosine", lambda g, a: g * sinh(a))
tanh = _function("tanh", "The hyperbolic tangent", lambda g, y: g * (1 - y * y))
arcsinh = _function("arcsinh", "The inverse hyperbolic sine", lambda g, a: g / sqrt(a * a + 1))
arccosh = _function("arccosh", "The inverse hyperbolic cosine, for a >= 1", lambda g, a: g / sqrt((a - 1) * (a + 1)))
arctanh = _function("arctanh", "The inverse hyperbolic tangent, for -1 < a < 1", lambda g, a: g / (1 - a * a))


@op
def sigmoid(a):
    """1 / (1 + exp(-a)), computed from exp(-|a|), which cannot overflow."""
    e = xp(a).exp(-xp(a).abs(a))
    return xp(a).maximum(e, a >= 0) / (1 + e)  # e is at most 1: the numerator is 1 for a >= 0, else e


@op
def relu(a):
    """max(a, 0), with derivative 0 at 0."""
    return _maximum(a, zero(a))


@op
def erf(a):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to a."""
    return backend.erf(a)


@op
def round(a, decimals=0):
    """The nearest number with so many decimals; halves go to the even neighbour."""
    return xp(a).round(a, decimals)


defgrad(sigmoid, a=lambda g, y: g * (y * (1 - y)))
defgrad(relu, a=lambda g, y: g * sign(y))  # sign(y) is 0 or 1 and keeps the dtype; y > 0 would be cast at every product
defgrad(erf, a=lambda g, a: g * (2 / math.sqrt(math.pi) * exp(-a * a)))
defgrad(round, a=lambda g: zeros_like(g))

# ---- Choosing --------------------------------------------------------------------------------------------------------


@op
def where(condition, a, b):
    """a where the condition holds, else b."""
    if isinstance(condition, str):
        raise TypeError(f"where: the condition is {condition!r}; it must be a bool tensor")
    return xp(condition, a, b).where(condition, a, b)


@op
def maximum(a, b):
    """The greater of a and b."""
    return _maximum(a, b)


@op
def minimum(a, b):
    """The smaller of a and b."""
    return _minimum(a, b)


@op
def clip(a, min=None, max=None):
    """a, but not below min and not above max; either bound may be left out."""
    if min is None and max is None:
        raise ValueError("clip: min and max are both None; give at least one bound")
    return xp(a).clip(a, min, max)


@op
def masked_fill(a, mask, value):
    """a, with the number `value` where the mask (bool, broadcast to a's shape) is true."""
    if getattr(mask, "dtype", "") != "bool":
        raise TypeError(
            f"masked_fill: the mask must be a bool tensor, not {getattr(mask, 'dtype', type(mask).__name__)}"
        )
    if getattr(value, "ndim", 0):
        raise ValueError(f"masked_fill: the value has shape {value.shape}; it must be one number, or take where")
    return xp(a).where(mask, a.dtype.type(value), a)


def _larger(g, a, b):
    """g where a > b, half of it where a == b."""
    return where(a == b, 0.5 * g, where(a > b, g, 0))


def _inside(g, a, min, max):
    """g where a lies within the bounds."""
    inside = True if min is None else a >= min
    return where(inside if max is None else inside & (a <= max), g, 0)


defgrad(where, a=lambda g, condition: where(condition, g, 0), b=lambda g, condition: where(condition, 0, g))
defgrad(maximum, a=_larger, b=lambda g, a, b: _larger(g, b, a))
defgrad(minimum, a=lambda g, a, b: _larger(g, b, a), b=_larger)
defgrad(clip, a=_inside)
defgrad(masked_fill, a=lambda g, mask: where(mask, 0, g))

# ---- Copies ----------------------------------------------------------------------------------------------------------


@op
def clone(a):
    """A copy."""
    return a.copy()


def astype(a, dtype):
    """A copy in another dtype. A gradient comes back in a's own; whole numbers and bools have none."""
    dtype = backend.dtype(dtype)
    return _astype(a if dtype.kind == "f" else a.detach(), dtype)


@op
def _astype(a, dtype):
    return a.astype(dtype)


def move(a, device):
    """A copy on another device ("cpu", "gpu", "gpu:1"); a gradient comes back to where a is."""
    return _move(a, device, backend.device_of(backend.raw(a)))


@op
def _move(a, device, source):
    return backend.move(a, device)


@op
def zeros_like(a):
    """Zeros of the shape, dtype and device of a."""
    return backend.zeros_like(a)


defgrad(clone, a=lambda g: g)
_astype.op.name, _move.op.name = "astype", "move"
defgrad(_move, a=lambda g, source: move(g, source))
defgrad(_astype, a=lambda g: g)
