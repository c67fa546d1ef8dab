"""What went wrong, in the user's words: which op, which argument, which shapes, and what to do."""

import functools
import re

from . import backend

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
            given = (*args[:n], args[n:]) if len(args) > n else args  # the name of *sizes stands behind the others
            values = dict(zip(names, given)) | options
            raise explain(name, values, backend.raw([*values.values()]), error) from None

    return call
