"""Contiguous parameters: the parameters of a group, their gradients and their state in one flat piece of memory each.

A step is then one kernel call for the whole group, which pays for many small parameters. They stay ordinary Parameters:
their arrays are views. The idea and the name, `contiguous_params`, are OneFlow's.
"""

import itertools

from .. import backend
from ..autograd import version_of


class Block:
    """The flat memory of parameters of one dtype and device; to the step it looks like one large Parameter."""

    def __init__(self, params):
        self.params, ends = params, list(itertools.accumulate((p.size for p in params), initial=0))
        self.spans = list(itertools.starmap(slice, itertools.pairwise(ends)))
        self._data = backend.zeros((ends[-1],), like=params[0]._data)
        self._grad, self._node, self._version = backend.zeros_like(self._data), None, None
        self.data, self.grads, self.buffers, self.state = self.views(self._data), self.views(self._grad), {}, {}
        for p, view in zip(params, self.data):
            view[...] = p._data
            p._data = view

    def views(self, flat):
        """The parameters' pieces of a flat array, in their shapes."""
        return [flat[span].reshape(p.shape) for p, span in zip(self.params, self.spans)]

    def gather(self, states):
        """Bring gradients and state into the flat memory; False where the parameters cannot take one step together."""
        first = states[self.params[0]]
        for p in self.params:
            numbers = [x == first.get(k) for k, x in states[p].items() if not hasattr(x, "shape")]
            if p._grad is None or states[p].keys() != first.keys() or not all(numbers):
                return False
        for p, view in zip(self.params, self.grads):
            if p._grad is not view:
                view[...] = p._grad
                p._grad = view
        self.state = {name: self.buffer(name, states) if hasattr(x, "shape") else x for name, x in first.items()}
        return True

    def buffer(self, name, states):
        """The flat array of one kind of state, with what the parameters have of it."""
        if name not in self.buffers:
            flat = backend.filled_like(self._data, 0, backend.state_dtype(self._data))
            self.buffers[name] = flat, self.views(flat)
        flat, views = self.buffers[name]
        for p, view in zip(self.params, views):
            if states[p][name] is not view:
                view[...] = states[p][name]
                states[p][name] = view
        return flat

    def share(self, states):
        """Give the parameters their pieces of the state after a step, and note that their memory has changed."""
        for name, value in self.state.items():
            if hasattr(value, "shape") and self.buffers.get(name, (None,))[0] is not value:
                self.buffers[name] = value, self.views(value)
        for i, p in enumerate(self.params):
            states[p] |= {k: self.buffers[k][1][i] if hasattr(x, "shape") else x for k, x in self.state.items()}
            version_of(p).bump()


def blocks(params, old):
    """The blocks for these parameters: the old ones as long as the parameters' arrays are still their views."""
    same = {p for block in old for p in block.params} == set(params)
    if same and all(p._data is view for block in old for p, view in zip(block.params, block.data)):
        return old
    kinds = {}
    for p in params:
        kinds.setdefault((p.dtype, p.device), []).append(p)
    return [Block(kind) for kind in kinds.values()]
