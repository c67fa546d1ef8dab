"""What went wrong, in the user's words: which op, which argument, which shapes, and what to do."""

import functools

from . import backend

SECOND_BACKWARD = (
    "backward: this graph was used by an earlier backward pass, which has freed what it had saved; "
    "compute the result again, or say retain_graph=True in the first pass"
)

HINTS = (  # what NumPy's or CuPy's message contains, and the remedy
    ("broadcast", "shapes broadcast when, counted from the right, two lengths are equal or one of them is 1"),
    ("mismatch in its core dimension", "the last axis of a must be as long as the last but one of b"),
    ("not aligned", "the last axis of a must be as long as the last but one of b"),
    ("not have enough dimensions", "both need at least one axis; * multiplies by a number"),
    ("cannot reshape", "the numbers of elements must agree; one length may be -1"),
    ("out of bounds for a", "count axes and elements from 0, or from -1 backwards"),
    ("index out of range", "count axes from 0, or from -1 backwards"),
    ("zero-size array", "there is no largest or smallest among no elements; check the size first"),
    ("empty sequence", "there is no largest or smallest among no elements; check the size first"),
    ("too many indices", "a tensor takes at most one index for each axis"),
    ("has no attribute", "it takes Tensors or arrays here, and whole numbers for sizes"),
    ("cannot be interpreted as an integer", "sizes, axes and counts are whole numbers"),
)
KINDS = (IndexError, KeyError, ValueError, TypeError, RuntimeError, MemoryError)


def describe(name, value):
    """`a (3, 4) float32`, or the value itself when it is no array."""
    return f"{name} {brief(value)}" if hasattr(value, "dtype") else f"{name}={brief(value)}"


def brief(value):
    """A value as it should stand in a message: arrays by shape and dtype, anything long cut off."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, backend.numpy.generic):
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
    hint = next((f"; {hint}" for part, hint in HINTS if part in message), "")
    text = f"{op}: {', '.join(describe(*pair) for pair in zip(names, values))}: {message.split(' (has ')[0]}{hint}"
    if isinstance(error, (AttributeError, OverflowError)):
        return TypeError(text) if isinstance(error, AttributeError) else ValueError(text)
    kind = next((kind for kind in KINDS if isinstance(error, kind) and not isinstance(error, Warning)), None)
    if kind is None:  # a FloatingPointError, or what a user's own op raised
        error.add_note(text)
        return error
    return kind(text)


def composed(function):
    """A function made of ops: when something in it fails, the error names this function and its arguments."""
    name, names = function.__name__, function.__code__.co_varnames

    @functools.wraps(function)
    def call(*args, **options):
        try:
            return function(*args, **options)
        except Exception as error:
            labels = [*names[: len(args)], *options]
            raise explain(name, labels, [backend.raw(x) for x in (*args, *options.values())], error) from None

    return call


def changed_in_place(node, slot, shape, version):
    """The message for a kept value that is no longer what it was; both versions are readings of the engine's clock."""
    op = node.plan.op
    what = f"argument {op.names[slot]}" if slot < len(op.names) else "result"
    return (
        f"{op.name}: its {what}, shape {shape}, was saved for the gradient at version {node.number} and has since been "
        f"changed in place (version {version.changed}); change a copy, as in x = x.clone(), or do it after backward()"
    )
