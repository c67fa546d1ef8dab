"""A rule taken down as a list of NumPy calls gives the bits of the rule as it stands, in every branch."""

import numpy as np
import pytest
from test_tracer import settings_of

from lucidlite import optim
from lucidlite.autograd import parameters
from lucidlite.kernels import Value, _schedule, program


def inputs(optimizer, dtype):
    group, rng = optimizer.param_groups[0], np.random.default_rng(5)
    flags, buffers, fixed = optimizer._worked_out(group)
    numbers = optimizer._scalars(group, {"step": 2}, fixed)
    starts = [0.0, 0.0, *buffers.values()]
    arrays = [None if s is None else rng.uniform(0.1, 2, 50).astype(dtype) for s in starts]
    names = parameters(type(optimizer).rule(np, *flags))[len(arrays) :]
    return flags, arrays, {name: np.asarray(numbers[name], dtype) for name in names}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", [optim.RMSprop, optim.SGD, optim.Rprop])
def test_every_branch_gives_the_bits_of_the_rule_and_leaves_the_gradient_alone(cls, dtype):
    for optimizer in settings_of(cls):
        flags, arrays, scalars = inputs(optimizer, dtype)
        run = program(cls.rule, flags, tuple(a is not None for a in arrays), len(scalars))
        wanted, g = cls.rule(np, *flags)(*arrays, **scalars), arrays[1].copy()
        run(arrays, [*scalars.values()])
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
    program(rule, (), (True, True, True), 1)([p, g, v], [np.asarray(2.0)])
    assert p.tolist() == [9, 9, 9] and v.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "expression",
    [
        "math.where(g > 0, p, g)",
        "p - g if lr > 0 else p * 1",
        "p - math.sum(g)",
        "p - math.add.reduce(g)",
        "g",
        "math.modf(p)[0]",
    ],
)
def test_a_rule_that_cannot_be_taken_down_is_left_to_the_plain_way(expression):
    def rule(math):
        return lambda p, g, lr: (eval(expression, {"math": math}, {"p": p, "g": g, "lr": lr}),)

    assert program(rule, (), (True, True), 1) is None


def test_no_sign_is_taken_in_place():
    """NumPy's loop then has a branch for each element: Rprop took three times, Lion four times as long."""
    calls = []
    p, g = Value(calls), Value(calls)
    new = p + np.sign(p * g)
    steps, _ = _schedule(calls, [p, g], {new: 0})
    found = [(first, out) for function, first, _, out in steps if function is np.sign]
    assert len(found) == 1 and found[0][0] != found[0][1]
