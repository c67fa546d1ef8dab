"""What goes wrong, in the user's words: checks of arguments, and errors that say which op, which shapes, what to do."""

import functools
import math
import re

from . import backend


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


def each(what, value, n, low=1):
    """A whole number that is not below `low` for each of n axes, from one for all of them or from n."""
    values = tuple(value) if hasattr(value, "__iter__") else (value,) * n
    refuse(len(values) != n, f"{what} is {value!r}; give a whole number, or {n} of them")
    return tuple(whole(what, v, low) for v in values)


def choice(what, value, choices):
    """`value`, which must be one of the choices."""
    fits = type(value) in map(type, choices) and value in choices  # first the type: an array has no single truth
    return _require(True, fits, what, value, f"one of {', '.join(map(repr, choices))}")


def flag(what, value):
    """`value`, which must be True or False."""
    return _require(isinstance(value, bool), True, what, value, "True or False")


def refuse(wrong, message, kind: type[Exception] = ValueError):
    """Raise the error if something is wrong."""
    if wrong:
        raise kind(message)


def _require(kind, fits, what, value, wanted):
    """`value`; a TypeError if its kind is wrong, a ValueError if it does not fit."""
    if not (kind and fits):
        raise (ValueError if kind else TypeError)(f"{what} is {brief(value)}; it must be {wanted}")
    return value


OPTIONS = {
    "p": functools.partial(number, high=1, ends="[)"),
    "negative_slope": functools.partial(number, high=1),
    "alpha": number,
    "beta": functools.partial(number, ends="()"),
    "delta": functools.partial(number, ends="()"),
    "approximate": functools.partial(choice, choices=("none", "tanh")),
    "reduction": functools.partial(choice, choices=("mean", "sum", "none")),
}


def option(name, value, owner=""):
    """The option of this name, checked; one that is not in the table is returned as it is."""
    return OPTIONS[name](owner + name, value) if name in OPTIONS else value


# ---- When an op fails ------------------------------------------------------------------------------------------------

HINTS = {  # what NumPy's or CuPy's message contains, and the remedy
    "broadcast": "shapes broadcast when, counted from the right, two lengths are equal or one of them is 1",
    "mismatch in its core dimension|not aligned": "the last axis of a must be as long as the last but one of b",
    "not have enough dimensions": "both need at least one axis; * multiplies by a number",
    "cannot reshape": "the numbers of elements must agree; one length may be -1",
    "out of bounds for a|index out of range": "count axes and elements from 0, or from -1 backwards",
    "zero-size array|empty sequence": "there is no largest or smallest among no elements; check the size first",
    "has no attribute": "it takes Tensors or arrays here, and whole numbers for sizes",
}
KINDS = {  # of the exceptions that NumPy and Python raise, and of what the user gets; the first that fits
    kind: kind for kind in (IndexError, KeyError, ValueError, TypeError, RuntimeError, MemoryError)
} | {AttributeError: TypeError, OverflowError: ValueError}


def describe(name, value):
    """`a (3, 4) float32`, or the value itself when it is no array."""
    return f"{name} {brief(value)}" if hasattr(value, "dtype") else f"{name}={brief(value)}"


def brief(value):
    """A value as it should stand in a message: arrays by shape and dtype, anything long cut off."""
    if hasattr(value, "dtype") and not isinstance(value, backend.numpy.generic):
        return f"{tuple(value.shape)} {value.dtype}"
    if isinstance(value, (tuple, list)) and any(hasattr(item, "shape") for item in value):
        return f"[{', '.join(map(brief, value))}]"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def explain(op, names, values, error):
    """The exception to raise when an op failed on these values: the same kind, with op, values and a remedy."""
    backend.same_device(op, *zip(names, values))
    message = str(error) or type(error).__name__
    if message.startswith(op + ": ") and "Input operand" not in message:
        return error  # the op itself has said what is wrong; NumPy's matmul begins like that too
    hints = [f"; {hint}" for part, hint in HINTS.items() if re.search(part, message) and hint not in message]
    given = ", ".join(describe(*pair) for pair in zip(names, values))
    text = f"{op}: {given}: {message.split(' (has ')[0]}{''.join(hints[:1])}"
    for kind, wanted in KINDS.items():
        if isinstance(error, kind) and not isinstance(error, Warning):
            return wanted(text)
    error.add_note(text)  # a FloatingPointError, or what a user's own op raised
    return error


def composed(function):
    """A function made of ops: when something in it fails, the error names this function and its arguments."""
    name, names, n = function.__name__, function.__code__.co_varnames, function.__code__.co_argcount

    @functools.wraps(function)
    def call(*args, **options):
        try:
            return function(*args, **options)
        except Exception as error:
            given = (*args[:n], args[n:]) if function.__code__.co_flags & 4 else args[:n]  # named behind them: *sizes
            values = dict(zip(names, given)) | options
            raise explain(name, values, backend.raw([*values.values()]), error) from None

    return call
