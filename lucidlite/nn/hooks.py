"""Hooks: functions that a module calls around its forward, and when the gradients of a call are known."""

from functools import partial

from ..autograd import defgrad, op
from ..tensor import Tensor


class Handle:
    """What the registration of a hook returns: `handle.remove()`, or `handle()` as in lucid, takes the hook away."""

    def __init__(self, module, when, hook, with_kwargs=False):
        self._hooks, self._key = module.__dict__.setdefault("_hooks", {}), object()
        self._hooks[self._key] = when, hook, with_kwargs

    def remove(self):
        self._hooks.pop(self._key, None)

    __call__ = remove


def call(module, args, kwargs):
    """What `module(*args, **kwargs)` is while the module has hooks."""
    found, grad_output = list(module._hooks.values()), ()
    before, after, backward = ([pair for when, *pair in found if when == w] for w in ("before", "after", "backward"))
    for hook, with_kwargs in before:
        new = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if new is not None:
            args, kwargs = new if with_kwargs else (_several(new), kwargs)

    def at_output(gradients):
        nonlocal grad_output
        grad_output = gradients
        if all(new is old for new, old in zip(inputs, args)):  # no input needs a gradient, so none will arrive there
            at_input((None,) * len(args))

    def at_input(gradients):
        for hook, _ in backward:
            hook(module, gradients, grad_output)

    inputs = _watched(args, at_input) if backward else args
    output = module.forward(*inputs, **kwargs)
    for hook, with_kwargs in after:
        new = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if new is None else new
    if not backward:
        return output
    outputs = _watched(_several(output), at_output)
    return outputs if isinstance(output, (tuple, list)) else outputs[0]


def _several(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _watched(values, report):
    """The values; Tensors that need a gradient stand behind two identities, so that `report` gets all gradients.

    A backward pass runs from the newest op to the oldest: all gradients are in `found` before the first `leave`.
    """
    found, count = {}, len(values)

    def leave(i, g):
        if found:
            report(tuple(found.pop(k, None) for k in range(count)))

    for see in (leave, found.__setitem__):
        needing = [isinstance(x, Tensor) and x.requires_grad for x in values]
        values = tuple(_identity(x, partial(see, i)) if needing[i] else x for i, x in enumerate(values))
    return values


@op
def _identity(a, see):
    """The input itself; in a backward pass `see`, which returns nothing, is called with its gradient."""
    return a


defgrad(_identity, a=lambda g, see: see(g) or g)
