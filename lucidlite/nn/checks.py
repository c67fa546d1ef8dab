"""Checks of arguments: each returns the value, or says what is wrong with it."""

import math
import operator


def number(what, value, low=0.0, high=math.inf, ends="[]"):
    """`value` as a float between low and high, never nan; `ends` says which end belongs to the interval."""
    wanted = f"a number in {ends[0]}{low:g}, {high:g}{ends[1]}"
    try:
        found = None if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError):
        found = None
    if found is None:
        raise TypeError(f"{what} is {value!r}, a {type(value).__name__}; it must be {wanted}")
    if not (low <= found <= high) or (found == low and ends[0] == "(") or (found == high and ends[1] == ")"):
        raise ValueError(f"{what} is {value!r}; it must be {wanted}")
    return found


def whole(what, value, low=1):
    """`value` as an int that is not below `low`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} is {value!r}, a {type(value).__name__}; it must be a whole number >= {low}")
    if operator.index(value) < low:
        raise ValueError(f"{what} is {value!r}; it must be a whole number >= {low}")
    return operator.index(value)


def choice(what, value, choices):
    """`value`, which must be one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{what} is {value!r}; it must be one of {', '.join(map(repr, choices))}")
    return value


def flag(what, value):
    """`value`, which must be True or False."""
    if value is not True and value is not False:
        raise TypeError(f"{what} is {value!r}; it must be True or False")
    return value
