"""Every rule keeps the discipline of cupy.fuse, which has no GPU to be tried on here: a strict tracer runs it.

fuse falls back to another implementation without a word, or computes in another dtype, when a rule does more than work
element by element on arrays of one dtype with scalars of that dtype. So the tracer refuses: arithmetic between two
scalars (the host does that), Python floats (traced as float64 by some versions), branches on values, shapes, indices,
reductions, and functions other than those that fuse knows.
"""

import itertools

import numpy as np
import pytest
from tracer import BadRule, Math, Traced

from lucidlite import backend, optim

FAMILY = [x for x in vars(optim).values() if isinstance(x, type) and issubclass(x, optim.Optimizer)]
FAMILY = list(dict.fromkeys(x for x in FAMILY if x is not optim.Optimizer))


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
    known = cls._arguments()
    switches = [n for n, x in known.items() if isinstance(x, bool) and n != "contiguous_params"]
    names = switches + [n for n in ("momentum", "weight_decay") if n in known]
    for values in itertools.product((False, True), repeat=len(names)):
        chosen = {n: v if n in switches else 0.5 * v for n, v in zip(names, values)}
        try:
            yield cls([optim.optimizer.Parameter(p)], **chosen)
        except ValueError:
            continue  # nesterov without momentum


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", FAMILY)
def test_every_rule_can_be_fused_in_every_branch(cls, dtype):
    count = 0
    for optimizer in settings_of(cls):
        group = optimizer.param_groups[0]
        flags, buffers, fixed = optimizer._worked_out(group)
        found = trace(cls.rule, flags, buffers.values(), optimizer._scalars(group, {}, fixed), dtype)
        assert found and set(found) == {np.dtype(dtype)}
        count += 1
    assert count >= {optim.RMSprop: 300, optim.SGD: 12, optim.Rprop: 2}.get(cls, 4)


@pytest.mark.parametrize(
    "update",
    [
        lambda p, g, lr: (p - lr * g,),
        *[
            pytest.param(eval(f"lambda math: (lambda p, g, lr, decay: ({expression},))"), id=expression)
            for expression in (
                "p - 0.5 * g", "p - (lr * decay) * g", "p - g if g > 0 else p", "p - lr * g[0]", "p - lr * g.sum()",
                "p - lr * math.exp(g)", "math.where(g, p, g)", "math.where(g > 0, lr, decay)",
                "math.where(g > 0, 0.5, p)", "p - lr * g.astype('float64')", "p - lr if lr else p", "[x for x in g][0]",
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
