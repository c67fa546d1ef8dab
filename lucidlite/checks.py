"""Checks of arguments: each returns the value, or says what it is and what it must be."""

import math
from functools import partial

from .errors import brief


def number(what, value, low=0.0, high=math.inf, ends="[]"):
    """`value` as a float between low and high, never nan; `ends` says which end belongs to the interval."""
    wanted = f"a number in {ends[0]}{low:g}, {high:g}{ends[1]}"
    _require(hasattr(value, "__float__") and not isinstance(value, bool), TypeError, what, value, wanted)
    above = value > low or (value == low and ends[0] == "[")
    below = value < high or (value == high and ends[1] == "]")
    _require(above and below, ValueError, what, value, wanted)
    return float(value)


def whole(what, value, low=1):
    """`value` as an int that is not below `low`."""
    wanted = f"a whole number >= {low}"
    _require(hasattr(value, "__index__") and not isinstance(value, bool), TypeError, what, value, wanted)
    _require(value.__index__() >= low, ValueError, what, value, wanted)
    return value.__index__()


def choice(what, value, choices):
    """`value`, which must be one of the choices."""
    _require(value in choices, ValueError, what, value, f"one of {', '.join(map(repr, choices))}")
    return value


def flag(what, value):
    """`value`, which must be True or False."""
    _require(value is True or value is False, TypeError, what, value, "True or False")
    return value


def _require(holds, kind, what, value, wanted):
    if not holds:
        raise kind(f"{what} is {brief(value)}; it must be {wanted}")


OPTIONS = {
    "p": partial(number, high=1, ends="[)"),
    "negative_slope": partial(number, high=1),
    "alpha": number,
    "beta": partial(number, ends="()"),
    "delta": partial(number, ends="()"),
    "approximate": partial(choice, choices=("none", "tanh")),
    "reduction": partial(choice, choices=("mean", "sum", "none")),
    "mode": partial(choice, choices=("fan_in", "fan_out")),
}


def option(name, value, owner=""):
    """The option of this name, checked; one that is not in the table is returned as it is."""
    return OPTIONS[name](owner + name, value) if name in OPTIONS else value
