"""Schedules against PyTorch's recorded rates, resume, composition, misuse, and what is left as it was."""

import copy
import inspect
import json
import math
import pathlib
import warnings

import numpy as np
import pytest
from support import DEVICE

import lucidlite
from lucidlite import optim
from lucidlite.optim import lr_scheduler as schedules

CASES = json.loads((pathlib.Path(__file__).parent / "reference" / "schedulers.json").read_text())["cases"]
EXPORTED = [
    name
    for name, x in vars(schedules).items()
    if inspect.isclass(x) and issubclass(x, schedules.Scheduler) and x is not schedules.Scheduler
]
UNRECORDED = {"NoamScheduler"}  # PyTorch has none; it has a test of its own


def made_optimizer(kind="SGD", rates=(0.1,), **options):
    groups = [{"params": [lucidlite.Parameter([1.0])], "lr": lr} for lr in rates]
    return getattr(optim, kind)(groups, **options)


def stepped(optimizer):
    """The optimizer after a first step, so that a schedule may follow."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = np.ones_like(p.data)
    optimizer.step()
    return optimizer


def function(text):
    return eval(f"lambda t: {text}")


def built(name, optimizer, options, children=()):
    options = dict(options)
    for key in ("lr_lambda", "scale_fn"):
        if key in options:
            texts = options[key]
            options[key] = function(texts) if isinstance(texts, str) else [function(text) for text in texts]
    members = [built(c["scheduler"], optimizer, c["kwargs"], c.get("children", ())) for c in children]
    if name == "ChainedScheduler":
        return schedules.ChainedScheduler(members, **options)
    return getattr(schedules, name)(optimizer, *([members] if members else []), **options)


def of_case(case):
    optimizer = made_optimizer(case["optimizer"], case["base_lr"], **case["optimizer_kwargs"])
    return optimizer, built(case["scheduler"], optimizer, case["kwargs"], case.get("children", ()))


def advance(scheduler, case, t):
    scheduler.step(*[case["metrics"][t - 1]] if "metrics" in case else [])


def in_force(optimizer):
    """What a schedule writes: the rates and the momenta of the groups, to the last bit."""
    return [(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups]


# ---- Values ----


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_rates_are_those_that_pytorch_computed(case):
    optimizer, scheduler = of_case(case)
    stepped(optimizer)
    for t, wanted in enumerate(case["lr"]):
        if t:
            advance(scheduler, case, t)
        rates = [group["lr"] for group in optimizer.param_groups]
        np.testing.assert_allclose(rates, wanted, rtol=0, atol=case["tol"])
        assert scheduler.last_lr == scheduler.get_last_lr() == rates
        assert scheduler.t == t
        if "momentum" in case:
            momenta = [g["betas"][0] if "betas" in g else g["momentum"] for g in optimizer.param_groups]
            np.testing.assert_allclose(momenta, case["momentum"][t], rtol=0, atol=case["tol"])
    np.testing.assert_allclose(scheduler.last_lr, case["last_lr"], rtol=0, atol=case["tol"])


def test_every_schedule_has_recorded_rates_or_a_test_of_its_own():
    assert {case["scheduler"] for case in CASES} | UNRECORDED == set(EXPORTED)
    assert len(EXPORTED) == 16


@pytest.mark.parametrize("case", [c for c in CASES if "metrics" not in c], ids=lambda case: case["id"])
def test_a_rate_is_a_pure_function_of_t(case):
    optimizer, scheduler = of_case(case)
    before = in_force(optimizer), scheduler.state_dict()
    for t in (60, 0, 17, 17, 5):
        for i, base in enumerate(case["base_lr"]):
            assert scheduler.lr(t, base, i) == pytest.approx(case["lr"][t][i], abs=1e-12)
    assert (in_force(optimizer), scheduler.state_dict()) == before


def test_noam_warms_up_and_then_falls_with_the_root_of_the_time():
    """The rate for the first update is the paper's for step 1. lucid's code is a step behind."""
    scheduler = schedules.NoamScheduler(stepped(made_optimizer()), 512, 4, factor=2.0)
    wanted = [2 * 512**-0.5 * min(s**-0.5, s * 4**-1.5) for s in range(1, 12)]
    assert scheduler.last_lr == pytest.approx(wanted[:1], rel=1e-15)
    for rate in wanted[1:]:
        scheduler.step()
        assert scheduler.last_lr == pytest.approx([rate], rel=1e-15)


@pytest.mark.parametrize("way", ["cycle", "iterations"])
def test_scale_fn_takes_the_cycle_or_the_step(way):
    options = {"step_size_up": 2, "scale_fn": lambda n: 1 / n if n else 1.0, "scale_mode": way, "cycle_momentum": False}
    scheduler = schedules.CyclicLR(made_optimizer(), 0.0, 1.0, **options)
    wanted = {"cycle": [0, 0.5, 1, 0.5, 0, 0.25, 0.5], "iterations": [0, 0.5, 1 / 2, 0.5 / 3, 0, 0.5 / 5, 1 / 6]}[way]
    assert [scheduler.lr(t, 9.0) for t in range(7)] == pytest.approx(wanted)


def test_gamma_counts_in_no_mode_but_exp_range():
    options = {"step_size_up": 1, "gamma": 0.5, "cycle_momentum": False}
    for mode, wanted in {"triangular": 1.0, "triangular2": 0.5, "exp_range": 0.125}.items():
        assert schedules.CyclicLR(made_optimizer(), 0.0, 1.0, mode=mode, **options).lr(3, 0.0) == wanted


def test_scale_fn_replaces_the_mode():
    options = {"step_size_up": 1, "scale_fn": lambda c: 1.0, "mode": "triangular2", "cycle_momentum": False}
    assert schedules.CyclicLR(made_optimizer(), 0.0, 1.0, **options).lr(3, 0.0) == 1.0


@pytest.mark.parametrize("pct_start, total_steps", [(0.0, 5), (0.2, 5), (0.5, 2), (1.0, 5), (0.3, 2), (1.0, 2)])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_has_no_zero_over_zero_where_a_phase_is_empty(pct_start, total_steps, three_phase):
    """With total_steps * pct_start == 1 the first phase has no length; PyTorch divides by zero there."""
    scheduler = schedules.OneCycleLR(
        made_optimizer(), 1.0, total_steps, pct_start=pct_start, three_phase=three_phase, cycle_momentum=False
    )
    rates = [scheduler.lr(t, 0.1) for t in range(total_steps)]
    assert all(3.9999e-6 < rate <= 1 for rate in rates)
    assert rates[-1] == pytest.approx(1.0 if pct_start == 1 else 4e-6)


def test_one_cycle_takes_epochs_times_steps():
    scheduler = schedules.OneCycleLR(made_optimizer(), 1.0, epochs=3, steps_per_epoch=4, cycle_momentum=False)
    other = schedules.OneCycleLR(made_optimizer(), 1.0, 12, cycle_momentum=False)
    assert [scheduler.lr(t, 0.1) for t in range(12)] == [other.lr(t, 0.1) for t in range(12)]


def test_one_cycle_refuses_a_step_too_many_and_stays_where_it_is():
    scheduler = schedules.OneCycleLR(stepped(made_optimizer()), 1.0, 3, cycle_momentum=False)
    scheduler.step(), scheduler.step()
    last = scheduler.get_last_lr()
    scheduler.step()  # the usual loop, a step for each of 3 batches, used to end in an error here
    assert scheduler.get_last_lr() == last
    before = scheduler.state_dict(), in_force(scheduler.optimizer)
    with pytest.raises(ValueError, match="is 3; it must be above 1 and not below t = 4"):
        scheduler.step()
    assert (scheduler.state_dict(), in_force(scheduler.optimizer)) == before


def test_momentum_is_cycled_in_betas_where_there_are_betas():
    optimizer = made_optimizer()
    group = optimizer.param_groups[0]
    del group["momentum"]
    group["betas"] = (0.9, 0.999)
    schedules.OneCycleLR(optimizer, 1.0, 10, max_momentum=0.77)
    assert group["betas"] == (0.77, 0.999) and "momentum" not in group


def test_settings_can_differ_from_group_to_group():
    optimizer = stepped(made_optimizer(rates=(0.1, 0.2), momentum=0.9))
    options = {"base_momentum": [0.5, 0.6], "max_momentum": [0.7, 0.8]}
    scheduler = schedules.CyclicLR(optimizer, [0.1, 0.2], [1.0, 2.0], 2, **options)
    assert in_force(optimizer) == [(0.1, 0.7, None), (0.2, 0.8, None)]
    scheduler.step(), scheduler.step()
    assert in_force(optimizer) == [(1.0, 0.5, None), (2.0, 0.6, None)]


def test_warm_restarts_begin_exactly_where_a_run_ends():
    """By logarithms, as closed forms have it, a restart can be missed by rounding."""
    scheduler = schedules.CosineAnnealingWarmRestarts(made_optimizer(), 3, 3)
    starts = [(3**k - 1) // 2 * 3 for k in range(12)]
    assert [scheduler.lr(t, 1.0) for t in starts] == [1.0] * 12
    assert all(scheduler.lr(t - 1, 1.0) < 0.3 for t in starts[1:])


def test_a_long_run_takes_one_call_of_the_factor_at_each_step():
    """Every step multiplied all factors again: 100,000 steps took five billion calls."""
    optimizer, calls = stepped(made_optimizer(rates=(0.1, 0.2))), []
    scheduler = schedules.MultiplicativeLR(optimizer, lambda t: calls.append(t) or 0.5)
    for _ in range(5):
        scheduler.step()
    assert calls == [1, 2, 3, 4, 5] and scheduler.last_lr == [0.1 / 32, 0.2 / 32]
    assert scheduler.lr(2, 1.0) == 0.25 and len(calls) == 5


def test_plateau_never_takes_nan_for_better():
    scheduler = schedules.ReduceLROnPlateau(stepped(made_optimizer()), patience=1)
    for value in (1.0, math.nan, math.nan):
        scheduler.step(value)
    assert scheduler.best == 1.0 and scheduler.last_lr == pytest.approx([0.01])


def test_plateau_takes_tensors():
    scheduler = schedules.ReduceLROnPlateau(stepped(made_optimizer()))
    scheduler.step(lucidlite.tensor(0.5))
    assert scheduler.best == 0.5 and type(scheduler.best) is float


# ---- Groups, and the optimizer ----


def test_constructor_sets_the_rate_for_the_first_step_and_keeps_the_groups_own():
    optimizer = made_optimizer(rates=(0.1, 0.5))
    schedules.LinearLR(optimizer, 0.5)
    assert [(g["initial_lr"], g["lr"]) for g in optimizer.param_groups] == [(0.1, 0.05), (0.5, 0.25)]
    schedules.ConstantLR(optimizer, 0.1)  # a second schedule starts from the groups' own rates too
    assert [(g["initial_lr"], g["lr"]) for g in optimizer.param_groups] == [(0.1, 0.1 * 0.1), (0.5, 0.5 * 0.1)]


def test_plateau_leaves_no_initial_lr():
    optimizer = made_optimizer()
    schedules.ReduceLROnPlateau(optimizer)
    assert "initial_lr" not in optimizer.param_groups[0]


def test_none_may_be_said_where_it_is_the_default():
    scheduler = schedules.OneCycleLR(made_optimizer(), 1.0, None, 2, 5, cycle_momentum=False)
    assert scheduler.lr(9, 0.1) == pytest.approx(4e-6)
    assert schedules.CyclicLR(made_optimizer(), 0.0, 1.0, 2, None, cycle_momentum=False).lr(3, 0.1) == 0.5


def test_a_group_added_later_follows_the_schedule():
    optimizer = stepped(made_optimizer())
    scheduler = schedules.StepLR(optimizer, 2, gamma=0.5)
    scheduler.step()
    optimizer.add_param_group({"params": [lucidlite.Parameter([1.0])], "lr": 0.3})
    scheduler.step()
    assert scheduler.base_lrs == [0.1, 0.3] and scheduler.last_lr == [0.05, 0.15]
    assert [g["lr"] for g in optimizer.param_groups] == [0.05, 0.15]


@pytest.mark.parametrize("name", ["StepLR", "ReduceLROnPlateau", "SequentialLR"])
def test_stepping_before_the_optimizer_warns_once(name):
    optimizer = made_optimizer()
    case = next(c for c in CASES if c["scheduler"] == name)
    scheduler = built(name, optimizer, case["kwargs"], case.get("children", ()))
    with pytest.warns(UserWarning, match="step the optimizer before the schedule") as caught:
        advance(scheduler, case, 1)
        advance(scheduler, case, 2)
    assert [w.filename for w in caught] == [__file__]


def test_stepping_after_the_optimizer_warns_of_nothing():
    optimizer = made_optimizer()
    scheduler = schedules.StepLR(optimizer, 3)
    stepped(optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_the_rate_is_what_the_optimizer_uses():
    optimizer = made_optimizer(rates=(1.0,))
    (p,) = optimizer.param_groups[0]["params"]
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        stepped(optimizer)
        scheduler.step()
    assert p.item() == 1 - 1 - 0.5 - 0.25


# ---- Saving ----


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
@pytest.mark.parametrize("at", [0, 1, 7, 30, 59])
def test_resume_is_bit_exact_at_any_t(case, at, tmp_path):
    optimizer, scheduler = of_case(case)
    stepped(optimizer)
    for t in range(1, at + 1):
        advance(scheduler, case, t)
    lucidlite.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, tmp_path / "run")
    saved = lucidlite.load(tmp_path / "run")
    for first in ("optimizer", "scheduler"):
        other, resumed = of_case(case)
        stepped(other)
        parts = {"optimizer": other, "scheduler": resumed}
        parts[first].load_state_dict(saved[first])
        parts.pop(first)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        assert resumed.t == at and in_force(other) == in_force(optimizer)
        assert resumed.state_dict() == scheduler.state_dict() and resumed.last_lr == scheduler.last_lr
        going_on = copy.deepcopy(scheduler)
        for t in range(at + 1, 61):
            advance(going_on, case, t)
            advance(resumed, case, t)
            assert in_force(other) == in_force(going_on.optimizer)


def test_resume_restores_the_groups_own_rates():
    scheduler = schedules.StepLR(stepped(made_optimizer(rates=(0.3,))), 2)
    for _ in range(3):
        scheduler.step()
    other = schedules.StepLR(made_optimizer(rates=(0.7,)), 2)
    other.load_state_dict(scheduler.state_dict())
    assert other.base_lrs == [0.3] and other.last_lr == scheduler.last_lr
    assert other.optimizer.param_groups[0]["lr"] == scheduler.last_lr[0]


def nested(optimizer):
    warm = schedules.LinearLR(optimizer, 0.1, total_iters=4)
    cosine = schedules.CosineAnnealingLR(optimizer, 20)
    one = schedules.OneCycleLR(optimizer, 0.7, 12)
    inner = schedules.SequentialLR(optimizer, [warm, one, cosine], [4, 16])
    return schedules.ChainedScheduler([inner, schedules.StepLR(optimizer, 5, 0.5)])


def test_composite_schedules_can_be_nested():
    optimizer = stepped(made_optimizer(rates=(0.1, 0.2), momentum=0.5))
    scheduler, halves = nested(optimizer), 1.0
    one = schedules.OneCycleLR(made_optimizer(), 0.7, 12, cycle_momentum=True)
    states = []
    for t in range(30):
        halves = 0.5 ** (t // 5)
        for i, base in enumerate((0.1, 0.2)):
            if t < 4:
                wanted = base * (0.1 + 0.9 * t / 4)
            elif t < 16:
                wanted = one.lr(t - 4, base)
                assert optimizer.param_groups[i]["momentum"] == one.at(t - 4, base, 0)[1]
            else:
                wanted = base * (1 + math.cos(math.pi * (t - 16) / 20)) / 2
            assert optimizer.param_groups[i]["lr"] == pytest.approx(halves * wanted, rel=1e-12)
        states.append((scheduler.state_dict(), in_force(optimizer)))
        scheduler.step()
    for state, wanted in states:
        other = nested(made_optimizer(rates=(0.4, 0.5), momentum=0.5))
        other.load_state_dict(state)
        # The momentum stays where OneCycleLR left it; a scheduler's state alone does not tell.
        assert [lr for lr, *_ in in_force(other.optimizer)] == [lr for lr, *_ in wanted]


def test_functions_are_no_part_of_the_state():
    optimizer = made_optimizer(momentum=0.9)
    scheduler = schedules.LambdaLR(optimizer, lambda t: 0.5**t)
    assert scheduler.state_dict() == {"scheduler": "LambdaLR()", "base_lrs": [0.1], "t": 0}
    cyclic = schedules.CyclicLR(optimizer, 0.1, 0.2, scale_fn=lambda c: 1.0)
    assert "scale_fn" not in cyclic.state_dict()["scheduler"]


STATE = {"scheduler": "StepLR(step_size=3, gamma=0.1)", "t": 2, "base_lrs": [0.1]}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"t": -1}, "t is -1"),
        ({"t": 1.5}, "t is 1.5"),
        ({"t": None}, "t is None"),
        ({"base_lrs": [0.1, 0.2]}, r"base_lrs is \[0.1, 0.2\]"),
        ({"base_lrs": [-0.1]}, "base_lrs is -0.1"),
        ({"base_lrs": ["x"]}, "base_lrs is 'x'"),
        ({"base_lrs": [math.nan]}, "base_lrs is nan"),
        (
            {"scheduler": "StepLR(step_size=4, gamma=0.1)"},
            r"StepLR\(step_size=4, .*; it must be one of StepLR\(step_size=3, gamma=0.1\), made with the same",
        ),
        ({"scheduler": "ExponentialLR(gamma=0.1)"}, r"ExponentialLR.*one of StepLR\(step_size=3"),
        ({"more": 1}, "the state_dict is .*one of StepLR"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change, message):
    scheduler = schedules.StepLR(stepped(made_optimizer()), 3)
    scheduler.step()
    before = scheduler.state_dict(), in_force(scheduler.optimizer), scheduler.last_lr
    with pytest.raises((ValueError, TypeError), match=message):
        scheduler.load_state_dict(STATE | change)
    assert (scheduler.state_dict(), in_force(scheduler.optimizer), scheduler.last_lr) == before
    scheduler.load_state_dict(STATE)
    assert scheduler.t == 2


@pytest.mark.parametrize("state", [None, [], {}, {"t": 3}, "StepLR"])
def test_what_is_no_state_is_refused(state):
    scheduler = schedules.StepLR(made_optimizer(), 3)
    with pytest.raises(
        ValueError, match=r"the state_dict is .*; it must be one of StepLR\(step_size=3, gamma=0.1\), made"
    ):
        scheduler.load_state_dict(state)
    assert scheduler.t == 0


@pytest.mark.parametrize("change", [{"best": "low"}, {"best": math.nan}, {"bad_steps": 0.5}, {"t": -2}])
def test_plateau_refuses_a_state_that_does_not_fit_and_changes_nothing(change):
    scheduler = schedules.ReduceLROnPlateau(stepped(made_optimizer()), patience=0)
    for value in (1.0, 2.0, 0.5):
        scheduler.step(value)
    before = scheduler.state_dict(), in_force(scheduler.optimizer)
    (name, value), *_ = change.items()
    with pytest.raises((ValueError, TypeError), match=f"{name} is {value!r}"):
        scheduler.load_state_dict(scheduler.state_dict() | {"base_lrs": [0.9]} | change)
    assert (scheduler.state_dict(), in_force(scheduler.optimizer)) == before


def test_a_one_cycle_refuses_to_be_loaded_beyond_its_end():
    scheduler = schedules.OneCycleLR(made_optimizer(), 1.0, 5, cycle_momentum=False)
    before = scheduler.state_dict(), in_force(scheduler.optimizer)
    with pytest.raises(ValueError, match="is 5; it must be above 1 and not below t = 6"):
        scheduler.load_state_dict(scheduler.state_dict() | {"t": 6})
    assert (scheduler.state_dict(), in_force(scheduler.optimizer)) == before


def test_members_of_another_kind_are_noticed():
    def chained(cls):
        optimizer = made_optimizer()
        return schedules.ChainedScheduler([schedules.ConstantLR(optimizer), cls(optimizer, 7)])

    with pytest.raises(
        ValueError, match=r"one of ChainedScheduler\(schedulers=\(ConstantLR\(.*CosineAnnealingLR\(T_max=7"
    ):
        chained(schedules.CosineAnnealingLR).load_state_dict(chained(schedules.StepLR).state_dict())


# ---- Misuse ----

BAD = {  # arguments that are refused, and what the message says
    "LambdaLR": [
        ({"lr_lambda": 0.5}, "lr_lambda is 0.5"),
        ({"lr_lambda": [abs, abs]}, "list of 1"),
        ({"lr_lambda": lambda t: -1.0}, "rate at t = 0 is -0.1"),
        ({"lr_lambda": lambda t: math.nan}, "is nan"),
        ({"lr_lambda": lambda t: math.inf}, "is inf"),
        ({}, "lr_lambda"),
    ],
    "MultiplicativeLR": [({"lr_lambda": "0.5"}, "lr_lambda is '0.5'")],
    "StepLR": [
        ({"step_size": 0}, "step_size is 0"),
        ({"step_size": 1.5}, "step_size is 1.5"),
        ({"step_size": 2, "gamma": -0.1}, "gamma is -0.1"),
        ({"step_size": 2, "gamma": math.nan}, "gamma is nan"),
        ({"step_size": 2, "gama": 0.1}, "gama"),
        ({"step_size": 2, "last_epoch": 3}, "last_epoch"),
        ({"step_size": None}, "step_size is None"),
        ({"step_size": True}, "step_size is True"),
    ],
    "MultiStepLR": [
        ({"milestones": [5, 3]}, r"milestones is \[5, 3\]"),
        ({"milestones": []}, r"milestones is \[\]"),
        ({"milestones": 5}, "milestones is 5"),
        ({"milestones": [-1, 2]}, "milestones is -1"),
        ({"milestones": [1.5]}, "milestones is 1.5"),
        ({"milestones": [1], "gamma": "x"}, "gamma is 'x'"),
    ],
    "ConstantLR": [
        ({"factor": 1.5}, "factor is 1.5"),
        ({"factor": -0.5}, "factor is -0.5"),
        ({"total_iters": 0}, "total_iters is 0"),
    ],
    "LinearLR": [
        ({"start_factor": -1}, "start_factor is -1"),
        ({"start_factor": 0}, "start_factor is 0"),
        ({"start_factor": 1.1}, "start_factor is 1.1"),
        ({"end_factor": -0.1}, "end_factor is -0.1"),
        ({"total_iters": -3}, "total_iters is -3"),
    ],
    "ExponentialLR": [({"gamma": -1}, "gamma is -1"), ({"gamma": math.inf}, "gamma is inf"), ({}, "gamma")],
    "PolynomialLR": [({"power": -1}, "power is -1"), ({"total_iters": 2.5}, "total_iters is 2.5")],
    "CosineAnnealingLR": [({"T_max": 0}, "T_max is 0"), ({"T_max": 5, "eta_min": -1}, "eta_min is -1")],
    "CosineAnnealingWarmRestarts": [
        ({"T_0": 0}, "T_0 is 0"),
        ({"T_0": 5, "T_mult": 0}, "T_mult is 0"),
        ({"T_0": 5, "T_mult": 1.5}, "T_mult is 1.5"),
        ({"T_0": 2, "eta_min": "0"}, "eta_min is '0'"),
    ],
    "CyclicLR": [
        ({"base_lr": -1, "max_lr": 1}, "base_lr is -1"),
        ({"base_lr": 0.1, "max_lr": [1, 2]}, r"max_lr is \[1, 2\]"),
        ({"base_lr": 0.1, "max_lr": 1, "step_size_up": 0}, "step_size_up is 0"),
        ({"base_lr": 0.1, "max_lr": 1, "step_size_down": 0}, "step_size_down is 0"),
        ({"base_lr": 0.1, "max_lr": 1, "mode": "square"}, "mode is 'square'"),
        ({"base_lr": 0.1, "max_lr": 1, "gamma": -1}, "gamma is -1"),
        ({"base_lr": 0.1, "max_lr": 1, "scale_fn": 2}, "scale_fn is 2"),
        ({"base_lr": 0.1, "max_lr": 1, "scale_mode": "epoch"}, "scale_mode is 'epoch'"),
        ({"base_lr": 0.1, "max_lr": 1, "cycle_momentum": 1}, "cycle_momentum is 1"),
        ({"base_lr": 0.1, "max_lr": 1, "base_momentum": 1.5}, "base_momentum is 1.5"),
        ({"base_lr": 0.1, "max_lr": 1, "max_momentum": -0.5}, "max_momentum is -0.5"),
    ],
    "OneCycleLR": [
        ({"max_lr": 1}, r"total_steps, or epochs \* steps_per_epoch, is 0"),
        ({"max_lr": 1, "epochs": 3}, r"total_steps, or epochs \* steps_per_epoch, is 0"),
        ({"max_lr": 1, "total_steps": 0}, "total_steps is 0"),
        ({"max_lr": 1, "total_steps": 1}, "total_steps, or .* is 1"),
        ({"max_lr": 1, "epochs": 0, "steps_per_epoch": 5}, "epochs is 0"),
        ({"max_lr": 1, "epochs": 2, "steps_per_epoch": -5}, "steps_per_epoch is -5"),
        ({"max_lr": -1, "total_steps": 9}, "max_lr is -1"),
        ({"max_lr": 1, "total_steps": 9, "pct_start": 1.5}, "pct_start is 1.5"),
        ({"max_lr": 1, "total_steps": 9, "anneal_strategy": "cosine"}, "anneal_strategy is 'cosine'"),
        ({"max_lr": 1, "total_steps": 9, "div_factor": 0}, "div_factor is 0"),
        ({"max_lr": 1, "total_steps": 9, "final_div_factor": -2}, "final_div_factor is -2"),
        ({"max_lr": 1, "total_steps": 9, "three_phase": "yes"}, "three_phase is 'yes'"),
        ({"max_lr": 1, "total_steps": 9, "base_momentum": 2}, "base_momentum is 2"),
    ],
    "NoamScheduler": [
        ({"model_size": 0, "warmup_steps": 4}, "model_size is 0"),
        ({"model_size": 8, "warmup_steps": 0}, "warmup_steps is 0"),
        ({"model_size": 8, "warmup_steps": 4, "factor": 0}, "factor is 0"),
    ],
    "ReduceLROnPlateau": [
        ({"mode": "least"}, "mode is 'least'"),
        ({"factor": 1.0}, "factor is 1.0"),
        ({"patience": -1}, "patience is -1"),
        ({"threshold": -1}, "threshold is -1"),
        ({"threshold_mode": "x"}, "threshold_mode is 'x'"),
        ({"cooldown": -1}, "cooldown is -1"),
        ({"min_lr": -1}, "min_lr is -1"),
        ({"min_lr": [0, 0]}, r"min_lr is \[0, 0\]"),
        ({"eps": -1}, "eps is -1"),
        ({"last_epoch": 3}, "last_epoch"),
    ],
}


@pytest.mark.parametrize("name, options, message", [(n, *row) for n, rows in BAD.items() for row in rows])
def test_misuse_is_refused_with_the_value(name, options, message):
    optimizer = made_optimizer(momentum=0.9)
    before = copy.deepcopy(in_force(optimizer))
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(schedules, name)(optimizer, **options)
    assert in_force(optimizer) == before


def test_every_schedule_has_misuse_in_the_table():
    assert BAD.keys() | {"SequentialLR", "ChainedScheduler"} == set(EXPORTED)


@pytest.mark.parametrize("name", [name for name in EXPORTED if name not in ("ChainedScheduler", "SequentialLR")])
@pytest.mark.parametrize("wrong", [None, 3, [1.0]])
def test_what_is_no_optimizer_is_refused(name, wrong):
    options = next((c["kwargs"] for c in CASES if c["scheduler"] == name), {"model_size": 8, "warmup_steps": 4})
    with pytest.raises(TypeError, match=r"optimizer is .*; it must be an Optimizer"):
        getattr(schedules, name)(wrong, **options)


def test_cycling_a_momentum_that_does_not_exist_is_refused():
    optimizer = made_optimizer()
    del optimizer.param_groups[0]["momentum"]
    with pytest.raises(ValueError, match="SGD has neither momentum nor betas; say cycle_momentum=False"):
        schedules.OneCycleLR(optimizer, 1.0, 10)


def test_composites_refuse_what_does_not_go_together():
    optimizer, other = made_optimizer(), made_optimizer()
    step, plateau = schedules.StepLR(optimizer, 3), schedules.ReduceLROnPlateau(optimizer)
    foreign = schedules.StepLR(other, 3)
    for members, error, message in [
        (
            [step, plateau],
            TypeError,
            r"schedulers\[1\] is ReduceLROnPlateau.*; it must be a schedule of this optimizer",
        ),
        ([step, 3], TypeError, r"schedulers\[1\] is 3"),
        ([step, foreign], ValueError, r"schedulers\[1\] is StepLR\(.*of this optimizer"),
    ]:
        with pytest.raises(error, match=message):
            schedules.ChainedScheduler(members)
        with pytest.raises(error, match=message):
            schedules.SequentialLR(optimizer, members, [5])
    for wrong in (foreign, 3):
        with pytest.raises((ValueError, TypeError), match=r"schedulers\[0\] is"):
            schedules.SequentialLR(optimizer, [wrong, step], [5])
    for milestones, message in [
        ([], r"milestones is \[\]"),
        ([5, 6], r"milestones is \[5, 6\]; .* one less than the 2"),
        ([-1], "milestones is -1"),
        ([0.5], "milestones is 0.5"),
        (5, "milestones is 5"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            schedules.SequentialLR(optimizer, [step, step], milestones)


def test_plateau_needs_a_number():
    scheduler = schedules.ReduceLROnPlateau(stepped(made_optimizer()))
    for wrong in (None, [1.0]):
        with pytest.raises(TypeError, match="float"):
            scheduler.step(wrong)
    assert scheduler.t == 0


def test_a_rate_that_no_optimizer_can_use_changes_nothing():
    scheduler = schedules.LambdaLR(stepped(made_optimizer()), lambda t: 1.0 if t < 2 else None if t > 2 else math.nan)
    scheduler.step()
    with pytest.raises(ValueError, match="LambdaLR: the rate at t = 2 is nan"):
        scheduler.step()
    assert scheduler.t == 1 and in_force(scheduler.optimizer) == [(0.1, 0.0, None)]


# ---- Signatures, subclasses, pictures ----


def test_arguments_stand_in_pytorchs_order():
    def arguments(name):
        return list(inspect.signature(getattr(schedules, name)).parameters)

    assert arguments("StepLR") == ["optimizer", "step_size", "gamma"]
    assert arguments("MultiStepLR") == ["optimizer", "milestones", "gamma"]
    assert arguments("LambdaLR") == arguments("MultiplicativeLR") == ["optimizer", "lr_lambda"]
    assert arguments("ConstantLR") == ["optimizer", "factor", "total_iters"]
    assert arguments("LinearLR") == ["optimizer", "start_factor", "end_factor", "total_iters"]
    assert arguments("ExponentialLR") == ["optimizer", "gamma"]
    assert arguments("PolynomialLR") == ["optimizer", "total_iters", "power"]
    assert arguments("CosineAnnealingLR") == ["optimizer", "T_max", "eta_min"]
    assert arguments("CosineAnnealingWarmRestarts") == ["optimizer", "T_0", "T_mult", "eta_min"]
    assert arguments("CyclicLR") == [
        "optimizer", "base_lr", "max_lr", "step_size_up", "step_size_down", "mode", "gamma", "scale_fn", "scale_mode",
        "cycle_momentum", "base_momentum", "max_momentum",
    ]  # fmt: skip
    assert arguments("OneCycleLR") == [
        "optimizer", "max_lr", "total_steps", "epochs", "steps_per_epoch", "pct_start", "anneal_strategy",
        "cycle_momentum", "base_momentum", "max_momentum", "div_factor", "final_div_factor", "three_phase",
    ]  # fmt: skip
    assert arguments("NoamScheduler") == ["optimizer", "model_size", "warmup_steps", "factor"]
    assert arguments("ReduceLROnPlateau") == [
        "optimizer", "mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps",
    ]  # fmt: skip
    assert arguments("SequentialLR") == ["optimizer", "schedulers", "milestones"]
    assert arguments("ChainedScheduler") == ["schedulers"]


def test_a_schedule_of_ones_own_is_a_function():
    class Harmonic(schedules.Scheduler):
        def schedule(self, t, base, half_life, floor=0.0):
            return floor + (base - floor) / (1 + t / half_life)

    scheduler = Harmonic(stepped(made_optimizer()), 5, floor=0.02)
    for _ in range(5):
        scheduler.step()
    assert scheduler.last_lr == pytest.approx([0.06])
    assert repr(scheduler) == "Harmonic(half_life=5, floor=0.02)"


@pytest.mark.parametrize("case", [c for c in CASES if "metrics" not in c], ids=lambda case: case["id"])
def test_plot_draws_the_rates_and_leaves_everything_as_it_was(case):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    optimizer, scheduler = of_case(case)
    stepped(optimizer)
    for t in range(1, 4):
        advance(scheduler, case, t)
    state = copy.deepcopy((scheduler.state_dict(), in_force(optimizer), optimizer.state_dict()))
    axes = schedules.plot(scheduler, 61)
    drawn = [line.get_ydata() for line in axes.lines]
    np.testing.assert_allclose(np.transpose(drawn), case["lr"], rtol=0, atol=1e-12)
    assert list(axes.lines[0].get_xdata()) == list(range(61))
    import matplotlib.pyplot as plt

    plt.close(axes.figure)
    assert str((scheduler.state_dict(), in_force(optimizer), optimizer.state_dict())) == str(state)
    assert scheduler.t == 3


def test_plot_refuses_what_has_no_curve():
    plateau = schedules.ReduceLROnPlateau(made_optimizer())
    with pytest.raises(TypeError, match=r"ReduceLROnPlateau.*needs nothing but t"):
        schedules.plot(plateau, 10)
    with pytest.raises(ValueError, match="steps is 0"):
        schedules.plot(schedules.StepLR(made_optimizer(), 3), 0)


class Own(optim.Optimizer):
    """A student's optimizer with a step of its own, which counts nothing."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, locals())

    def step(self):
        for p in self.param_groups[0]["params"]:
            self.state[p]["mean"] = p.data * 0


def test_an_optimizer_with_a_step_of_its_own_is_not_warned_about_and_can_be_resumed():
    """A schedule used to look for "step" in its state, and loading its own state_dict was refused for want of it."""
    optimizer = Own([lucidlite.Parameter([1.0], device=DEVICE)])
    optimizer.step()
    schedules.StepLR(optimizer, 2).step()  # a warning is an error here
    again = Own([lucidlite.Parameter([1.0], device=DEVICE)])
    again.load_state_dict(optimizer.state_dict() | {})
    assert [list(state) for state in again.state.values()] == [["mean"]]


def test_schedules_that_are_no_list_are_refused():
    optimizer = optim.SGD([lucidlite.Parameter([1.0])])
    member = schedules.StepLR(optimizer, 1)
    calls = (schedules.ChainedScheduler, [[]]), (schedules.ChainedScheduler, [member])
    for make, arguments in (*calls, (schedules.SequentialLR, [optimizer, member, [2]])):
        with pytest.raises((ValueError, TypeError), match=r"schedulers is .*; it must be a list of schedules"):
            make(*arguments)
