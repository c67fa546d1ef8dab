"""Checks of arguments: each returns the value, or says what it is and what it must be."""

import math
from functools import partial

from .errors import brief


def number(what, value, low=0.0, high=math.inf, ends="[]"):
    """`value` as a float between low and high, never nan; `ends` says which end belongs to the interval."""
    kind = hasattr(value, "__float__") and type(value).__name__ != "bool" and getattr(value, "size", 1) == 1
    try:
        found = float(value) if kind else math.nan
    except OverflowError:
        found = math.nan
    fits = low < found < high or (found, ends[0]) == (low, "[") or (found, ends[1]) == (high, "]")
    _require(kind, fits, what, value, f"a number in {ends[0]}{low:g}, {high:g}{ends[1]}")
    return found


def whole(what, value, low=1):
    """`value` as an int that is not below `low`."""
    kind = hasattr(value, "__index__") and not isinstance(value, bool)
    return _require(kind, kind and value.__index__() >= low, what, value, f"a whole number >= {low}").__index__()


def choice(what, value, choices):
    """`value`, which must be one of the choices."""
    fits = type(value) in map(type, choices) and value in choices  # first the type: an array has no single truth
    return _require(True, fits, what, value, f"one of {', '.join(map(repr, choices))}")


def flag(what, value):
    """`value`, which must be True or False."""
    return _require(isinstance(value, bool), True, what, value, "True or False")


def _require(kind, fits, what, value, wanted):
    """`value`; a TypeError if its kind is wrong, a ValueError if it does not fit."""
    if not (kind and fits):
        raise (ValueError if kind else TypeError)(f"{what} is {brief(value)}; it must be {wanted}")
    return value


OPTIONS = {
    "p": partial(number, high=1, ends="[)"),
    "negative_slope": partial(number, high=1),
    "alpha": number,
    "beta": partial(number, ends="()"),
    "delta": partial(number, ends="()"),
    "approximate": partial(choice, choices=("none", "tanh")),
    "reduction": partial(choice, choices=("mean", "sum", "none")),
}


def option(name, value, owner=""):
    """The option of this name, checked; one that is not in the table is returned as it is."""
    return OPTIONS[name](owner + name, value) if name in OPTIONS else value
