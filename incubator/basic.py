"""What the layers need of the basic ones: dropout of whole channels, and attributes that are checked whole numbers."""

from lucidlite import backend, checks
from lucidlite.autograd import wrap
from lucidlite.nn.basic import FunctionLayer, dropout


def sizes(owner, **values):
    """Make these attributes of a module, each a whole number >= 1."""
    for name, value in values.items():
        setattr(owner, name, checks.whole(f"{type(owner).__name__}: {name}", value))


def dropout2d(input_, p=0.5, training=True):
    """`dropout` of whole channels: input_ (batch, channels, height, width) or (batch, channels, length)."""
    if input_.ndim < 3:
        raise ValueError(f"dropout2d: input_ {input_.shape} must be (batch, channels, ...)")
    ones = wrap(backend.ones_like(backend.raw(input_[(..., *[slice(1)] * (input_.ndim - 2))])))
    return input_ * dropout(ones, p) if training and p else input_


class Dropout2d(FunctionLayer, function=dropout2d): ...
