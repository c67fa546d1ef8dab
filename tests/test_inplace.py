"""A rule taken down as a list of NumPy calls gives the bits of the rule as it stands, in every branch."""

import numpy as np
import pytest
from test_tracer import settings_of

from lucidlite import optim
from lucidlite.inplace import program


def inputs(optimizer, dtype):
    group, rng = optimizer.param_groups[0], np.random.default_rng(5)
    starts = [0.0, 0.0, *optimizer.buffers(group).values()]
    arrays = [None if s is None else rng.uniform(0.1, 2, 50).astype(dtype) for s in starts]
    scalars = {k: np.asarray(v, dtype) for k, v in optimizer.scalars(group, 3, []).items()}
    return optimizer.flags(group), arrays, scalars


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", [optim.RMSprop, optim.SGD])
def test_every_branch_gives_the_bits_of_the_rule_and_leaves_the_gradient_alone(cls, dtype):
    for optimizer in settings_of(cls):
        flags, arrays, scalars = inputs(optimizer, dtype)
        run = program(cls.rule, flags, tuple(a is not None for a in arrays), scalars)
        wanted, g = cls.rule(np, *flags)(*arrays, **scalars), arrays[1].copy()
        run(arrays, scalars.values())
        assert (arrays[1] == g).all()
        for found, new in zip((arrays[0], *arrays[2:]), wanted):
            assert found is None or found.tobytes() == new.tobytes()


def test_old_values_that_are_needed_late_are_not_overwritten_early():
    def rule(math):
        def update(p, g, v, lr):
            new_p, new_v = v + lr * g, p * 1  # each needs what the other one writes over
            return new_p, new_v

        return update

    p, g, v = np.arange(3.0), np.ones(3), np.full(3, 7.0)
    program(rule, (), (True, True, True), ["lr"])([p, g, v], [np.asarray(2.0)])
    assert p.tolist() == [9, 9, 9] and v.tolist() == [0, 1, 2]


@pytest.mark.parametrize("expression", ["math.where(g > 0, p, g)", "p if p.sum() else g", "g", "math.modf(p)[0]"])
def test_a_rule_that_cannot_be_taken_down_is_left_to_the_plain_way(expression):
    def rule(math):
        return lambda p, g, lr: (eval(expression, {"math": math}, {"p": p, "g": g}),)

    assert program(rule, (), (True, True), ["lr"]) is None
