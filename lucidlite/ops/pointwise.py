"""Ops that work element by element: a forward in one line, and the derivative times `g`.

Two operands broadcast as in NumPy. Where a derivative jumps, its value is chosen here: `abs`, `sign` and the roundings
take 0, `maximum` and `minimum` share the gradient of a tie equally, `clip` passes it on at its bounds."""

import math
import operator

from .. import backend, checks
from ..autograd import defgrad, op
from ..backend import ufunc, xp

_maximum = ufunc("maximum")


def _named(name, text, described, forward=None, **rules):
    """The op of this name; a lambda may be what lends its arguments to a `forward` that shows none, written in C."""
    described.__name__ = described.__qualname__ = name
    described.__doc__ = f"{text}."
    return defgrad(op(described, forward), **{argument: rule for argument, rule in rules.items() if rule})


def _operator(name, text, forward, a=None, b=None):
    """The op of two tensors that calls `forward`; the rules `a` and `b` are its derivatives times g."""
    return _named(name, text, lambda a, b: None, forward, a=a, b=b)


def _function(name, text, rule=None, forward=None):
    """The op of one tensor that calls NumPy's universal function of this name, or `forward`."""
    return _named(name, text, lambda a: None, forward or ufunc(name), a=rule)


def _power_base(g, a, b):
    """b a^(b-1); 0 for b = 0, also where a = 0 makes a^-1 infinite."""
    if isinstance(b, (int, float)):
        return g * (b * a ** (b - 1)) if b else zeros_like(g)
    return g * (b * a ** where(b == 0, 1, b - 1))


def _power_exponent(g, a, y):
    """a^b log a; 0 for a = 0, where a^b stays 0."""
    return g * (y * log(where(a == 0, 1, a)))


zeros_like = _function("zeros_like", "Zeros of the shape, dtype and device of a", None, backend.zeros_like)
add = _operator("add", "a + b", operator.add, lambda g: g, lambda g: g)
sub = _operator("sub", "a - b", operator.sub, lambda g: g, lambda g: -g)
multiply = _operator("multiply", "a * b, element by element", operator.mul, lambda g, b: g * b, lambda g, a: g * a)
true_divide = _operator("true_divide", "a / b", operator.truediv, lambda g, b: g / b, lambda g, b, y: -g * y / b)
floor_divide = _operator("floor_divide", "floor(a / b)", operator.floordiv, zeros_like, zeros_like)
remainder = _operator("remainder", "a - b floor(a / b)", operator.mod, lambda g: g, lambda g, a, b: -g * (a // b))
power = _operator("power", "a^b; a may be below 0 where b is whole", operator.pow, _power_base, _power_exponent)


def div(a, b, floor=False):
    """a / b, or with `floor` the largest whole number not above it."""
    return floor_divide(a, b) if floor else true_divide(a, b)


# ---- Comparisons: tensors of bool, without a gradient ----------------------------------------------------------------

equal = _operator("equal", "Where a == b", operator.eq)
not_equal = _operator("not_equal", "Where a != b", operator.ne)
less = _operator("less", "Where a < b", operator.lt)
less_equal = _operator("less_equal", "Where a <= b", operator.le)
greater = _operator("greater", "Where a > b", operator.gt)
greater_equal = _operator("greater_equal", "Where a >= b", operator.ge)
logical_and = _operator("logical_and", "a & b: and for bool tensors, bit by bit for integers", operator.and_)
logical_or = _operator("logical_or", "a | b: or for bool tensors, bit by bit for integers", operator.or_)
logical_not = _function("logical_not", "~a: not for bool tensors, the complement for integers", None, operator.invert)

neg = _function("neg", "-a", lambda g: -g, operator.neg)
exp = _function("exp", "e to the power of a", lambda g, y: g * y)
log = _function("log", "The natural logarithm", lambda g, a: g / a)
log2 = _function("log2", "The logarithm to base 2", lambda g, a: g / (a * math.log(2)))
sqrt = _function("sqrt", "The square root", lambda g, y: g / (2 * y))
square = _function("square", "a * a", lambda g, a: g * (2 * a))
reciprocal = _function("reciprocal", "1 / a", lambda g, y: -g * y * y)
abs = _function("abs", "The absolute value", lambda g, a: g * sign(a))
sign = _function("sign", "-1, 0 or 1", zeros_like)
floor = _function("floor", "The largest whole number that is not above a", zeros_like)
ceil = _function("ceil", "The smallest whole number that is not below a", zeros_like)
sin = _function("sin", "The sine of an angle in radians", lambda g, a: g * cos(a))
cos = _function("cos", "The cosine of an angle in radians", lambda g, a: -g * sin(a))
tan = _function("tan", "The tangent of an angle in radians", lambda g, y: g * (1 + y * y))
arcsin = _function("arcsin", "The angle in [-pi/2, pi/2] with sine a", lambda g, a: g / sqrt(1 - a * a))
arccos = _function("arccos", "The angle in [0, pi] with cosine a", lambda g, a: -g / sqrt(1 - a * a))
arctan = _function("arctan", "The angle in (-pi/2, pi/2) with tangent a", lambda g, a: g / (1 + a * a))
sinh = _function("sinh", "The hyperbolic sine", lambda g, a: g * cosh(a))
cosh = _function("cosh", "The hyperbolic cosine", lambda g, a: g * sinh(a))
arcsinh = _function("arcsinh", "The inverse hyperbolic sine", lambda g, a: g / sqrt(a * a + 1))
arccosh = _function("arccosh", "The inverse hyperbolic cosine, for a >= 1", lambda g, a: g / sqrt((a - 1) * (a + 1)))
arctanh = _function("arctanh", "The inverse hyperbolic tangent, for -1 < a < 1", lambda g, a: g / (1 - a * a))
tanh = _function("tanh", "The hyperbolic tangent", lambda g, y: g * (1 - y * y))
# sign(y) is 0 or 1 and keeps the dtype; y > 0 would be cast at every product.
relu = _function("relu", "max(a, 0); slope 0 at 0", lambda g, y: g * sign(y), lambda a: _maximum(a, 0))
_bell = lambda g, a: g * (2 / math.sqrt(math.pi) * exp(-a * a))
erf = _function("erf", "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to a", _bell, backend.erf)


@op
def sigmoid(a):
    """1 / (1 + exp(-a)), computed from exp(-|a|), which cannot overflow."""
    e = xp(a).exp(-xp(a).abs(a))
    return xp(a).maximum(e, a >= 0) / (1 + e)  # e is at most 1: the numerator is 1 for a >= 0, else e


defgrad(sigmoid, a=lambda g, y: g * (y * (1 - y)))
round = _named("round", "a, rounded; halves to even", lambda a, decimals=0: xp(a).round(a, decimals), a=zeros_like)


def _larger(g, a, b):
    """g where a > b, half of it where a == b."""
    return where(a == b, 0.5 * g, where(a > b, g, 0))


_smaller = lambda g, a, b: _larger(g, b, a)
maximum = _operator("maximum", "The greater of a and b", _maximum, _larger, _smaller)
minimum = _operator("minimum", "The smaller of a and b", ufunc("minimum"), _smaller, _larger)


@op
def where(condition, a, b):
    """a where the condition holds, else b."""
    return xp(condition, a, b).where(condition, a, b)


@op
def clip(a, min=None, max=None):
    """a, but not below min and not above max; either bound may be left out."""
    return xp(a).clip(a, min, max)


@op
def masked_fill(a, mask, value):
    """a, with the number `value` where the mask (bool, broadcast to a's shape) is true."""
    checks.refuse(getattr(mask, "dtype", "") != "bool", "the mask must be a bool tensor", TypeError)
    return xp(a).where(mask, a.dtype.type(value), a)


defgrad(where, a=lambda g, condition: where(condition, g, 0), b=lambda g, condition: where(condition, 0, g))
defgrad(clip, a=lambda g, a, y: where(a == y, g, 0))
defgrad(masked_fill, a=lambda g, mask: where(mask, 0, g))


clone = _function("clone", "A copy", lambda g: g, lambda a: a.copy())


def astype(a, dtype):
    """A copy in another dtype. A gradient comes back in a's own; whole numbers and bools have none."""
    dtype = backend.dtype(dtype)
    return _astype(a if dtype.kind == "f" else a.detach(), dtype)


_astype = _named("astype", "A copy in another dtype", lambda a, dtype: a.astype(dtype), a=lambda g: g)


def move(a, device):
    """A copy on another device ("cpu", "gpu", "gpu:1"); a gradient comes back to where a is."""
    return _move(a, device, backend.device_of(backend.raw(a)))


_move = _named("move", "", lambda a, device, source: backend.move(a, device), a=lambda g, source: move(g, source))
