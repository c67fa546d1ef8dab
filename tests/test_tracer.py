"""Every rule keeps the discipline of cupy.fuse, which has no GPU to be tried on here: a strict tracer runs it.

fuse falls back to another implementation without a word, or computes in another dtype, when a rule does more than work
element by element on arrays of one dtype with scalars of that dtype. So the tracer refuses: arithmetic between two
scalars (the host does that), Python floats (traced as float64 by some versions), branches on values, shapes, indices,
reductions, and functions other than those that fuse knows.
"""

import itertools

import numpy as np
import pytest

from lucidlite import backend, optim

OPERATORS = ("add", "sub", "mul", "truediv", "pow")
FUNCTIONS = {"sqrt": 1, "abs": 1, "sign": 1, "maximum": 2, "minimum": 2, "where": 3}


class BadRule(TypeError):
    """What a rule must not do."""


class Traced:
    """An array or a scalar whose values are not known; it remembers the dtype and refuses everything but arithmetic."""

    __slots__ = ("dtype", "scalar")

    def __init__(self, dtype, scalar=False):
        self.dtype, self.scalar = np.dtype(dtype), scalar

    def combine(self, *others):
        for x in others:
            if isinstance(x, float):
                raise BadRule(f"the Python float {x} in a rule; hand it in as a scalar of the arrays' dtype")
            if not isinstance(x, (Traced, int)):
                raise BadRule(f"{x!r} in a rule")
        traced = [x for x in (self, *others) if isinstance(x, Traced)]
        if all(x.scalar for x in traced):
            raise BadRule("arithmetic between scalars; the host does that")
        if len({x.dtype for x in traced}) > 1:
            raise BadRule(f"arrays and scalars of {sorted({x.dtype.name for x in traced})}")
        return Traced(self.dtype)

    def __neg__(self):
        return self.combine(self)

    def refuse(self, *arguments, **options):
        raise BadRule("a branch, an index or a loop over values that a kernel does not know yet")

    __bool__ = __getitem__ = __iter__ = __len__ = __float__ = __int__ = refuse


for _name in OPERATORS:
    setattr(Traced, f"__{_name}__", Traced.combine)
    setattr(Traced, f"__r{_name}__", Traced.combine)


class Math:
    """The functions that fuse knows."""

    def __getattr__(self, name):
        if name not in FUNCTIONS:
            raise BadRule(f"{name} is no function of fuse; there are {', '.join(FUNCTIONS)}")

        def function(*arguments):
            if len(arguments) != FUNCTIONS[name] or not isinstance(arguments[0], Traced):
                raise BadRule(f"{name}{arguments}")
            return arguments[0].combine(*arguments[1:])

        return function


def trace(rule, flags, buffers, scalars, dtype):
    """Run a rule on unknown values; give back the dtypes of what it returns for its buffers."""
    arrays = [None if start is None else Traced(dtype) for start in buffers]
    update = rule(Math(), *flags)
    if update.__name__ == "<lambda>":
        raise BadRule("a lambda; fuse needs a named function")
    new = update(Traced(dtype), Traced(dtype), *arrays, **{name: Traced(dtype, scalar=True) for name in scalars})
    return [x.dtype for x, old in zip(new, [1, *buffers]) if old is not None]


def settings_of(cls):
    """Every combination of switches, and of numbers that choose a branch by being 0, that the constructor takes."""
    p = backend.numpy.zeros(1, "float32")
    names = [name for name in cls.checks if name not in ("lr", "alpha", "eps", "initial_scale", "dampening")]
    for values in itertools.product((False, True), repeat=len(names)):
        chosen = {n: v if cls.checks[n] is optim.optimizer.flag else 0.5 * v for n, v in zip(names, values)}
        try:
            yield cls([optim.optimizer.Parameter(p)], **chosen)
        except ValueError:
            continue  # nesterov without momentum


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", [optim.RMSprop, optim.SGD])
def test_every_rule_can_be_fused_in_every_branch(cls, dtype):
    count = 0
    for optimizer in settings_of(cls):
        group = optimizer.param_groups[0]
        buffers, scalars = optimizer.buffers(group), optimizer.scalars(group, 1, [])
        found = trace(cls.rule, optimizer.flags(group), buffers.values(), scalars, dtype)
        assert found and set(found) == {np.dtype(dtype)}
        count += 1
    assert count >= 12


@pytest.mark.parametrize(
    "update",
    [
        lambda p, g, lr: (p - lr * g,),
        *[
            pytest.param(eval(f"lambda math: (lambda p, g, lr, decay: ({expression},))"), id=expression)
            for expression in (
                "p - 0.5 * g", "p - (lr * decay) * g", "p - g if g > 0 else p", "p - lr * g[0]", "p - lr * g.sum()",
                "p - lr * math.exp(g)", "p - lr * g.astype('float64')", "p - lr if lr else p", "[x for x in g][0]",
            )
        ],
    ],
)  # fmt: skip
def test_the_tracer_sees_a_rule_that_cannot_be_fused(update):
    def rule(math):
        made = update(math) if update.__code__.co_argcount == 1 else update
        if made is not update:
            made.__name__ = "update"
        return made

    with pytest.raises((BadRule, TypeError, AttributeError)):
        trace(rule, (), (), ("lr", "decay") if update.__code__.co_argcount == 1 else ("lr",), "float32")
