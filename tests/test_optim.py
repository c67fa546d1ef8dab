"""Optimizers: PyTorch's own numbers, every formula in plain NumPy, what is kept and loaded, and what is refused."""

import copy
import functools
import inspect
import itertools
import json
import math
import operator
import re
from pathlib import Path

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import Parameter, kernels, nn, optim
from lucidlite.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
)  # fmt: skip

EXACT = 1e-12  # two orders of the same float64 operations differ by about 1e-15 a step
BASE = {  # what every row of an optimizer has
    SGD: {"lr": 0.05},
    Rprop: {"lr": 0.05},
    ASGD: {"lr": 0.05, "lambd": 0.01, "alpha": 0.6, "t0": 3.0},
    Adagrad: {"lr": 0.5, "lr_decay": 0.001, "initial_accumulator_value": 0.1, "eps": 1e-6},
    Adadelta: {"lr": 1.0, "rho": 0.9, "eps": 1e-3},
    RMSprop: {"lr": 0.05, "alpha": 0.9, "eps": 1e-6},
    Adam: {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-6},
    AdamW: {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-6},
    Adamax: {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-6},
    NAdam: {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-6, "momentum_decay": 0.01},
    RAdam: {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-6},
    Lion: {"lr": 0.05, "betas": (0.8, 0.9)},
}
CHOICES = {"weight_decay": [0.0, 0.1], "amsgrad": [False, True], "decoupled_weight_decay": [False, True]}
SHAPES = [(3,), (2, 2), ()]  # of the parameters that most tests train


def _product(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


SWITCHED = [  # what RMSprop has beyond lucid's seven arguments, alone and together
    {"maximize": True, "weight_decay": 0.1},
    {"initial_scale": 1.0, "momentum": 0.9},
    {"eps_in_sqrt": True, "centered": True},
    {"lr_in_momentum": True, "momentum": 0.9, "nesterov": True},
    {"bias_correction": True, "momentum": 0.9},
    {"decoupled_weight_decay": True, "weight_decay": 0.1},
    {"contiguous_params": True, "momentum": 0.9, "centered": True},
    {
        "weight_decay": 0.1, "momentum": 0.9, "centered": True, "nesterov": True, "eps_in_sqrt": True, "maximize": True,
        "lr_in_momentum": True, "initial_scale": 0.5, "bias_correction": True, "decoupled_weight_decay": True,
    },
]  # fmt: skip


def _rows():
    """Every optimizer with every combination of its branches."""
    for flags in _product(weight_decay=[0.0, 0.1], momentum=[0.0, 0.9], centered=[False, True]):
        yield RMSprop, flags
    yield from ((RMSprop, {"weight_decay": 0.0, "momentum": 0.0, "centered": False} | flags) for flags in SWITCHED)
    ways = [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.9, 0.0, True)]
    for way, flags in itertools.product(ways, _product(weight_decay=[0.0, 0.1], maximize=[False, True])):
        yield SGD, dict(zip(("momentum", "dampening", "nesterov"), way)) | flags
    for cls in [cls for cls in BASE if cls not in (RMSprop, SGD)]:
        known = inspect.signature(cls).parameters
        choices = {name: values for name, values in CHOICES.items() if name in known}
        yield from ((cls, flags) for flags in _product(**choices))
        last = {name: values[-1] for name, values in choices.items()}
        yield from ((cls, last | {switch: True}) for switch in ("maximize", "contiguous_params"))


ROWS = [
    pytest.param(cls, BASE[cls] | flags, id="-".join([cls.__name__, *(f"{k}={v}" for k, v in flags.items() if v)]))
    for cls, flags in _rows()
]


def rows_without(*flags):
    rows = [row for row in ROWS if not any(row.values[1].get(flag) for flag in flags)]
    return pytest.mark.parametrize(("cls", "settings"), rows)


every_row = rows_without()


def parameter(values, dtype="float32"):
    return Parameter(np.asarray(values, dtype), device=DEVICE)


def parameters(dtype="float32"):
    draw = np.random.default_rng(1)
    return [parameter(draw.normal(size=shape), dtype) for shape in SHAPES]


def gradients(steps, shapes=SHAPES):
    draw = np.random.default_rng(2)
    return [[draw.normal(size=shape) for shape in shapes] for _ in range(steps)]


def train(optimizer, grads):
    """One step for each row of gradients, one for each parameter, None where there is none."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for row in grads:
        for p, g in zip(params, row):
            p.grad = None if g is None else make(np.asarray(g), dtype=p.dtype)
        optimizer.step()
    return params


def bits(x):
    """An object in which only equal types, dtypes, shapes and bits are equal."""
    if isinstance(x, dict):
        return {k: bits(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [bits(v) for v in x]
    if isinstance(x, lucidlite.Tensor) or hasattr(x, "dtype"):
        a = host(x)
        return str(a.dtype), a.shape, a.tobytes()
    return type(x), x


def arrays_of(state):
    return [value for value in state.values() if hasattr(value, "dtype")]


def everything(optimizer):
    """All that a refused call must leave as it was: state, hyperparameters and the parameters themselves."""
    return bits([optimizer.state_dict(), *(group["params"] for group in optimizer.param_groups)])


def test_every_optimizer_has_rows_here():
    exported = {x for x in vars(optim).values() if isinstance(x, type) and issubclass(x, Optimizer)}
    assert exported - {Optimizer} == {row.values[0] for row in ROWS} == set(SIGNATURES) == {*STEPS}
    assert exported - {Optimizer, Lion} == {row.values[0] for row in RECORDED}, "nobody has recorded a Lion"


# ---- The numbers of other systems ------------------------------------------------------------------------------------


def _recorded(name):
    """(case, its problem) of a file that tells what real systems computed."""
    found = json.loads((Path(__file__).parent / "reference" / name).read_text())
    return [(case, found["problems"][case["problem"]]) for case in found["cases"]]


RECORDED = [
    pytest.param(getattr(optim, case["optimizer"]), case["kwargs"], case, problem, id=case["id"])
    for case, problem in _recorded("optimizers.json")
] + [
    pytest.param(RMSprop, case["args"], case, problem, id=case["id"]) for case, problem in _recorded("rmsprop.json")
]  # fmt: skip


@pytest.mark.parametrize(("cls", "settings", "case", "problem"), RECORDED)
def test_parameters_and_state_are_what_the_real_system_computed(cls, settings, case, problem):
    params = [parameter(theta, case["dtype"]) for theta in problem["theta0"]]
    optimizer = cls(params, **settings)

    def check(ours, theirs):
        assert np.abs(host(ours) - theirs).max() <= case["tol"] * max(1, np.abs(theirs).max())

    for t, grads in enumerate(problem["grads"]):
        optimizer.param_groups[0]["lr"] = case["lr"][t] if isinstance(case["lr"], list) else case["lr"]
        train(optimizer, [grads])
        for p, theirs in zip(params, case["theta"][t]):
            check(p, theirs)
    for i, theirs in enumerate(case.get("state", ())):
        ours = optimizer.state_dict()["state"][i]
        assert ours.keys() == theirs.keys() | {"step"}  # which others than PyTorch keep once, or not at all
        for name in theirs:
            check(ours[name], np.asarray(theirs[name]))


class Model(nn.Module):
    """The model of lucid's optimizer pages."""

    def __init__(self):
        super().__init__()
        self.param = nn.Parameter([1.0, 2.0, 3.0])

    def forward(self, x):
        return x * self.param


LUCID = {"lr": 0.05, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.1, "momentum": 0.9, "centered": True}
PYTORCH = {  # torch 2.13.0, float32: the losses of the three steps and what they leave behind
    "losses": [8.75, 7.604167461395264, 5.933821201324463],
    "param": [0.2496941089630127, 1.2133262157440186, 2.330979585647583],
    "square_avg": [0.10327626764774323, 10.704087257385254, 0.0021998733282089233],
    "momentum_buffer": [6.3562164306640625, 6.936971187591553, 5.0362725257873535],
    "grad_avg": [0.16310878098011017, 1.6976819038391113, 0.021007919684052467],
}
CLOSE = 1e-5  # float32, and a centered variance is a difference in which two digits cancel


@pytest.mark.parametrize("positional", [False, True])
def test_lucids_own_example_gives_pytorchs_numbers(positional):
    def build():
        model = Model().to(DEVICE)
        params = model.parameters()
        return model, optim.RMSprop(params, *LUCID.values()) if positional else optim.RMSprop(params=params, **LUCID)

    def follow(model, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            output = model(make([1.0, -2.0, 0.5]))
            loss = nn.MSELoss()(output, make([0.0, 1.0, 2.0]))
            loss.backward()
            optimizer.step()
            yield loss.item()

    model, optimizer = build()
    losses = list(follow(model, optimizer, 2))
    optimizer_state = optimizer.state_dict()
    again, resumed = build()
    again.load_state_dict(model.state_dict())
    resumed.load_state_dict(optimizer_state)
    losses += follow(model, optimizer, 1)
    assert losses[2:] == list(follow(again, resumed, 1))
    ours = {"losses": losses, "param": host(model.param)} | resumed.state_dict()["state"][0]
    assert ours.pop("step") == 3
    for name, value in ours.items():
        assert host(value) == pytest.approx(np.array(PYTORCH[name]), rel=CLOSE), name


def test_the_first_seven_arguments_of_rmsprop_are_lucids():
    expected = {
        "params": inspect.Parameter.empty, "lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0,
        "momentum": 0.0, "centered": False,
    }  # fmt: skip
    found = list(inspect.signature(RMSprop).parameters.values())[:7]
    assert {p.name: p.default for p in found} == expected
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in found)


BETAS, MAXIMIZE = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}, {"maximize": False}
SIGNATURES = {  # torch 2.13.0: what follows params there, without how it computes (foreach, fused, capturable, ...)
    SGD: {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False},
    ASGD: {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0.0} | MAXIMIZE,
    Rprop: {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)} | MAXIMIZE,
    Adagrad: {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10} | MAXIMIZE,
    Adadelta: {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0} | MAXIMIZE,
    RMSprop: {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False},
    Adam: {"lr": 1e-3} | BETAS | {"amsgrad": False, "decoupled_weight_decay": False} | MAXIMIZE,
    AdamW: {"lr": 1e-3} | BETAS | {"weight_decay": 0.01, "amsgrad": False, "decoupled_weight_decay": True} | MAXIMIZE,
    Adamax: {"lr": 2e-3} | BETAS | MAXIMIZE,
    NAdam: {"lr": 2e-3} | BETAS | {"momentum_decay": 4e-3, "decoupled_weight_decay": False} | MAXIMIZE,
    RAdam: {"lr": 1e-3} | BETAS | {"decoupled_weight_decay": False} | MAXIMIZE,
    Lion: {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0} | MAXIMIZE,  # the paper's
}


@pytest.mark.parametrize("cls", BASE)
def test_arguments_order_and_defaults_are_pytorchs(cls):
    found = list(inspect.signature(cls).parameters.values())
    expected = list(SIGNATURES[cls].items())
    assert [(p.name, p.default) for p in found[1 : len(expected) + 1]] == expected
    switches = [p.name for p in found if p.kind is p.KEYWORD_ONLY]
    assert "contiguous_params" in switches and "maximize" in switches


@pytest.mark.parametrize("cls", BASE)
def test_every_argument_of_the_constructor_is_a_key_of_the_group(cls):
    names = list(inspect.signature(cls).parameters)
    optimizer = cls([parameter([1.0])])
    for group in (optimizer.param_groups[0], optimizer.state_dict()["param_groups"][0]):
        assert list(group)[: len(names)] == names


# ---- The formulas ----------------------------------------------------------------------------------------------------


def rmsprop(
    p, grads, *, lr, alpha, eps, weight_decay, momentum, centered, nesterov=False, eps_in_sqrt=False,
    lr_in_momentum=False, initial_scale=0.0, bias_correction=False, decoupled_weight_decay=False, maximize=False,
    contiguous_params=False, floor=True,
):  # fmt: skip
    """The formulas of RMSprop's docstring once more, in plain NumPy."""
    m = b = np.zeros_like(p)
    v = m + initial_scale
    for t, g in enumerate(grads, 1):
        g = -g if maximize else g  # (15)
        if decoupled_weight_decay:
            p = p * (1 - lr * weight_decay)  # (14)
        else:
            g = g + weight_decay * p  # (1)
        v = alpha * v + (1 - alpha) * (g * g)  # (2)
        m = alpha * m + (1 - alpha) * g  # (3)
        bias = 1 - alpha**t if bias_correction else 1.0  # (12), (13)
        r = v / bias - (m / bias) * (m / bias) if centered else v / bias
        r = np.maximum(r, 0) if floor else r  # (4)
        s = g / np.sqrt(r + eps) if eps_in_sqrt else g / (np.sqrt(r) + eps)  # (5), (9)
        s = lr * s if lr_in_momentum else s  # (10)
        b = momentum * b + s if momentum else s  # (6)
        u = s + momentum * b if nesterov else b  # (8)
        p = p - u if lr_in_momentum else p - lr * u  # (7), (11)
        yield {"p": p, "square_avg": v, "grad_avg": m, "momentum_buffer": b}


def sgd(p, grads, *, lr, momentum, dampening, weight_decay, nesterov, maximize):
    """The formulas of SGD's docstring once more, in plain NumPy."""
    b = np.zeros_like(p)
    for t, g in enumerate(grads):
        g = -g if maximize else g  # (1)
        d = g + weight_decay * p  # (2)
        b = momentum * b + (1 if t == 0 else 1 - dampening) * d if momentum else d  # (3)
        s = d + momentum * b if nesterov else b  # (4)
        p = p - lr * s  # (5)
        yield {"p": p, "momentum_buffer": b}


def lion(p, grads, *, lr, betas, weight_decay, maximize=False, contiguous_params=False):
    """Algorithm 2 of the Lion paper; nobody has recorded one."""
    m = np.zeros_like(p)
    for g in grads:
        g = -g if maximize else g
        update = betas[0] * m + (1 - betas[0]) * g
        m = betas[1] * m + (1 - betas[1]) * g
        p = p - lr * (np.sign(update) + weight_decay * p)
        yield {"p": p, "exp_avg": m}


FORMULAS = {RMSprop: rmsprop, SGD: sgd, Lion: lion}


@pytest.mark.parametrize(("cls", "settings"), [row for row in ROWS if row.values[0] in FORMULAS])
def test_the_code_computes_the_formulas_of_the_docstring(cls, settings):
    grads = gradients(20)
    params = parameters("float64")
    optimizer, starts = cls(params, **settings), [host(p) for p in params]
    formulas = [FORMULAS[cls](start, column, **settings) for start, column in zip(starts, zip(*grads))]
    for row in grads:
        train(optimizer, [row])
        for p, formula in zip(params, formulas):
            expected = next(formula)
            kept = {name: value for name, value in optimizer.state[p].items() if name != "step"}
            for name, value in {"p": p, **kept}.items():
                assert host(value) == pytest.approx(expected[name], rel=EXACT, abs=EXACT), name


def test_formula_of_centered_stays_finite_where_pytorchs_becomes_nan():
    """Rounding made the variance of a constant gradient negative: NaN at step 133 in PyTorch, for these gradients."""
    grads = [np.linspace(0.1, 3, 300, dtype="float32")] * 300
    settings = BASE[RMSprop] | {"weight_decay": 0.0, "momentum": 0.0, "centered": True, "lr": 0.01}
    p = parameter(np.zeros(300))
    optimizer, lost = RMSprop([p], **settings), 0
    with np.errstate(invalid="ignore"):
        for row, unfloored in zip(grads, rmsprop(host(p), grads, **settings, floor=False)):
            train(optimizer, [[row]])
            finite = np.isfinite(unfloored["p"])
            lost = 300 - finite.sum()
            assert np.isfinite(host(p)).all()
            assert np.array_equal(host(p)[finite], unfloored["p"][finite])  # the same operations in the same order
    assert lost > 20, "the formula without the floor has to fail here, or this test shows nothing"


STEPS = {  # learning rates for a parabola and for Rosenbrock's valley
    SGD: (0.1, 0.02), ASGD: (0.1, 0.02), Rprop: (0.1, 0.02), Adagrad: (1.0, 0.5), Adadelta: (1.0, 1.0),
    RMSprop: (0.05, 0.02), Adam: (0.05, 0.02), AdamW: (0.05, 0.02), Adamax: (0.05, 0.02), NAdam: (0.05, 0.02),
    RAdam: (0.05, 0.02), Lion: (0.02, 0.01),
}  # fmt: skip


@rows_without("weight_decay", "maximize")
def test_a_parabola_and_rosenbrocks_valley_are_walked_to_the_end(cls, settings):
    for start, loss_of, lr in [
        ([3.0, -2.0], lambda x, y: (x - 1) ** 2 + (y - 1) ** 2, STEPS[cls][0]),
        ([-0.5, 1.0], lambda x, y: (1 - x) ** 2 + 5 * (y - x * x) ** 2, STEPS[cls][1]),  # 130 times less steep
    ]:
        w = parameter(start, "float64")
        lr *= 5 if settings.get("amsgrad") else 1  # its divisor never forgets the first gradients
        optimizer = cls([w], **settings)
        for t in range(900):
            optimizer.param_groups[0]["lr"] = lr * (1 - t / 900)  # RMSprop's steps are about as long as the rate
            optimizer.zero_grad()
            loss_of(w[0], w[1]).backward()
            optimizer.step()
        assert np.abs(host(w) - 1).max() < 0.05


# ---- What one has from another ---------------------------------------------------------------------------------------


def both(first, second, steps=12, before=None, check=None):
    """Two optimizers, each (class, settings), on the same gradients; `before(t, group)` edits the second's."""
    ours, theirs = (cls(parameters("float64"), **settings) for cls, settings in (first, second))
    for t, row in enumerate(gradients(steps), 1):
        if before:
            before(t, theirs.param_groups[0])
        for p, q in zip(train(ours, [row]), train(theirs, [row])):
            if check:
                check(ours, p, theirs, q)
            else:
                assert host(p) == pytest.approx(host(q), rel=EXACT, abs=EXACT)
    return ours, theirs


def test_adam_without_a_mean_is_rmsprop_with_bias_correction():
    both((Adam, {"betas": (0.0, 0.9)}), (RMSprop, {"lr": 1e-3, "alpha": 0.9, "bias_correction": True}))


def test_adam_is_rmsprop_with_bias_correction_and_the_mean_in_place_of_the_gradient():
    settings = {"lr": 0.1, "alpha": 0.9, "bias_correction": True}
    adam, rmsprop = Adam(parameters("float64"), 0.1, (0.8, 0.9)), RMSprop(parameters("float64"), **settings)
    for t, row in enumerate(gradients(12), 1):
        before = [[host(p) for p in o.param_groups[0]["params"]] for o in (adam, rmsprop)]
        after = [[host(p) for p in train(o, [row])] for o in (adam, rmsprop)]
        for i, (p, g) in enumerate(zip(adam.param_groups[0]["params"], row)):
            mean = host(adam.state[p]["exp_avg"]) / (1 - 0.8**t)
            steps = [after[k][i] - before[k][i] for k in (0, 1)]
            assert steps[0] * g == pytest.approx(steps[1] * mean, rel=1e-9, abs=EXACT)  # differences of places


def test_adagrad_is_rmsprop_with_a_window_that_grows():
    def grow(t, group):
        group.update(alpha=(t - 1) / t, lr=0.1 / math.sqrt(t), eps=1e-3 / math.sqrt(t))

    both((Adagrad, {"lr": 0.1, "eps": 1e-3}), (RMSprop, {}), before=grow)


def test_adadelta_is_rmsprop_with_its_last_steps_as_the_rate():
    ours, theirs = Adadelta([parameter(1.0, "float64")]), RMSprop([parameter(1.0, "float64")], 1, 0.9, 1e-6)
    theirs.param_groups[0]["eps_in_sqrt"] = True
    for g in np.random.default_rng(4).normal(size=12):
        (p,) = ours.param_groups[0]["params"]
        theirs.param_groups[0]["lr"] = math.sqrt(ours.state[p].get("acc_delta", 0.0) + 1e-6)
        assert host(train(ours, [[g]])[0]) == pytest.approx(host(train(theirs, [[g]])[0]), rel=EXACT)


def test_adamw_without_decay_is_adam_and_decays_alike_with_the_switch():
    equal = lambda a, p, b, q: bits([p, a.state[p]]) == bits([q, b.state[q]]) or pytest.fail("bits differ")
    both((AdamW, {"weight_decay": 0.0}), (Adam, {}), check=equal)
    both((AdamW, {}), (Adam, {"weight_decay": 0.01, "decoupled_weight_decay": True}), check=equal)


def test_nadam_without_a_mean_is_adam_without_a_mean():
    both((NAdam, {"lr": 0.1, "betas": (0.0, 0.9)}), (Adam, {"lr": 0.1, "betas": (0.0, 0.9)}))


def test_radam_follows_the_mean_at_first_and_is_adam_times_a_factor_later():
    ours, theirs = RAdam(parameters("float64"), 0.1, eps=1e-30), Adam(parameters("float64"), 0.1, eps=1e-30)
    for t, row in enumerate(gradients(9), 1):
        before = [[host(p) for p in o.param_groups[0]["params"]] for o in (ours, theirs)]
        after = [[host(p) for p in train(o, [row])] for o in (ours, theirs)]
        ratios = [(after[0][i] - before[0][i]) / (after[1][i] - before[1][i]) for i in range(3)]
        p = ours.param_groups[0]["params"][0]
        if t < 6:
            mean = host(ours.state[p]["exp_avg"]) / (1 - 0.9**t)
            assert after[0][0] - before[0][0] == pytest.approx(-0.1 * mean, rel=1e-9)
        else:
            assert np.ptp(np.concatenate([r.ravel() for r in ratios])) < 1e-9 and 0 < ratios[0][0] < 0.2


def test_adamax_and_lion_without_memory_follow_the_sign():
    both((Adamax, {"lr": 0.1, "betas": (0.0, 0.0), "eps": 1e-30}), (Lion, {"lr": 0.1, "betas": (0.0, 0.0)}))


def test_asgd_without_decay_is_sgd_and_keeps_the_mean_of_its_places():
    ours, theirs = ASGD(parameters("float64"), 0.1, lambd=0.0, t0=2), SGD(parameters("float64"), 0.1)
    places = []
    for row in gradients(12):
        places.append([host(p) for p in train(ours, [row])])
        assert bits([host(p) for p in train(theirs, [row])]) == bits(places[-1])
    for i, p in enumerate(ours.param_groups[0]["params"]):
        wanted = np.mean([place[i] for place in places[3:]], axis=0)  # what came after step t0 + 1
        assert host(ours.state[p]["ax"]) == pytest.approx(wanted, rel=EXACT)


def test_rprop_takes_steps_that_know_only_signs():
    big, small = Rprop(parameters("float64")), Rprop(parameters("float64"))
    for row in gradients(12):
        ends = train(big, [row]), train(small, [[1e-6 * g for g in row]])
        assert bits([host(p) for p in ends[0]]) == bits([host(p) for p in ends[1]])


# ---- Going on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["state_dict", "file"])
@every_row
def test_a_run_resumed_after_step_7_is_equal_bit_for_bit(cls, settings, way, tmp_path):
    grads = gradients(12)
    grads[3][0] = grads[8][1] = None  # the parameters count steps of their own
    straight = cls(parameters(), **settings)
    train(straight, grads)
    first = cls(parameters(), **settings)
    params = train(first, grads[:7])
    saved = {"params": [host(p) for p in params], "optimizer": first.state_dict()}
    if way == "file":
        pytest.importorskip("safetensors")
        saved = lucidlite.load(lucidlite.save(saved | {"optimizer": first}, tmp_path / "run"))
    resumed = cls([parameter(p) for p in saved["params"]], lr=0.5)  # all hyperparameters come from the checkpoint
    resumed.load_state_dict(saved["optimizer"])
    assert everything(resumed) == everything(first)
    train(resumed, grads[7:])
    assert everything(resumed) == everything(straight)


@pytest.mark.parametrize(
    ("cls", "before", "switched"),
    [
        (RMSprop, {}, {"momentum": 0.9}),
        (RMSprop, {}, {"centered": True}),
        (RMSprop, {"momentum": 0.5}, {"centered": True, "weight_decay": 0.1}),
        (SGD, {}, {"momentum": 0.9}),
        (SGD, {}, {"momentum": 0.9, "dampening": 0.3}),
        (Adam, {}, {"amsgrad": True}),
    ],
)
def test_what_is_switched_on_in_mid_run_finds_its_state(cls, before, switched):
    """PyTorch raises KeyError here. The new buffer starts as at the beginning, everything else goes on."""
    grads = [row[:1] for row in gradients(6)]
    optimizer = cls([parameter([1.0, -2.0, 3.0])], **BASE[cls], **before)
    (p,) = train(optimizer, grads[:3])
    optimizer.param_groups[0].update(switched)
    saved = optimizer.state_dict()  # between the switch and the next step
    resumed, other = (cls([parameter(host(p))], **BASE[cls], **before | switched) for _ in range(2))
    resumed.load_state_dict(saved)
    if cls is not SGD:
        zeros = {"momentum": "momentum_buffer", "centered": "grad_avg", "amsgrad": "max_exp_avg_sq"}
        zeros = {state: np.zeros(3, "float32") for flag, state in zeros.items() if flag in before | switched}
        other.load_state_dict(saved | {"state": {0: zeros | saved["state"][0]}})
    for each in (optimizer, resumed, other):
        train(each, grads[3:])
    assert everything(resumed) == everything(optimizer)
    if cls is SGD:  # which has no other state: the gradient after the switch enters whole, as the first one does
        other.state[other.param_groups[0]["params"][0]]["step"] += 3
    assert everything(other) == everything(optimizer)


@rows_without("lr_in_momentum")  # where what the buffer holds was made with the old rate
def test_a_learning_rate_edited_in_a_group_works_at_once(cls, settings):
    if cls in (Rprop, ASGD):
        pytest.skip("lr is the first step size of Rprop; ASGD takes the rate of a step from the step before")
    optimizer = cls(parameters(), **settings)
    params = train(optimizer, gradients(1))
    before = bits(params)
    optimizer.param_groups[0]["lr"] = 0.0
    assert bits(train(optimizer, gradients(1))) == before
    optimizer.param_groups[0]["lr"] = 0.5
    assert bits(train(optimizer, gradients(1))) != before
    assert [optimizer.state[p]["step"] for p in params] == [3, 3, 3]


def test_a_parameter_without_gradient_is_left_alone():
    """No decay, no momentum, no step count: as if it were not there."""
    extra = {RMSprop: {"centered": True, "momentum": 0.9}, SGD: {"momentum": 0.9}}
    for cls in BASE:
        decay = {} if cls is Rprop else {"weight_decay": 0.1}
        optimizer = cls(parameters(), **BASE[cls] | decay | extra.get(cls, {}))
        params = train(optimizer, gradients(2))
        before = bits([optimizer.state_dict(), params])
        train(optimizer, [[None] * 3])
        assert bits([optimizer.state_dict(), params]) == before
        train(optimizer, [[gradients(1)[0][0], None, None]])
        assert [optimizer.state[p]["step"] for p in params] == [3, 2, 2]
        assert bits(params[1:]) == before[1][1:] and bits(params[0]) != before[1][0]
        late = cls(parameters(), lr=0.1)
        train(late, [[None] * 3])
        assert late.state_dict()["state"] == {}


# ---- Difficult gradients and parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_row
def test_zero_tiny_and_mixed_gradients_give_finite_steps(cls, settings, dtype):
    values = np.array([0.0, 1e-44, 1e-30, -1e-8, 1.0, -1e8, 1e15])
    p = parameter(np.zeros(7), dtype)
    optimizer = cls([p], **settings)
    train(optimizer, [[values * scale] for scale in (1, 0, 1, -1, 1e-9, 0, 0) for _ in range(10)])
    assert np.isfinite(host(p)).all()
    assert all(np.isfinite(host(v)).all() for v in arrays_of(optimizer.state[p]))
    assert host(p)[0] == 0, "no gradient and nothing to decay: it must not move"


@every_row
def test_0d_empty_and_non_contiguous_parameters_are_trained(cls, settings):
    draw = np.random.default_rng(3)
    a, g = draw.normal(size=(3, 4)), draw.normal(size=(5, 3, 4))
    plain, turned = (cls([parameter(x)], **settings) for x in (a, a.T))
    train(plain, [[x] for x in g])
    train(turned, [[x.T] for x in g])
    mixed = cls([parameter(np.asfortranarray(a))], **settings)
    train(mixed, [[x] for x in g])
    whole = host(plain.param_groups[0]["params"][0])
    assert np.array_equal(host(turned.param_groups[0]["params"][0]), whole.T)
    assert np.array_equal(host(mixed.param_groups[0]["params"][0]), whole)
    scalar, empty = parameter(a[0, 0]), parameter(np.zeros((0, 3)))
    optimizer = cls([scalar, empty], **settings)
    train(optimizer, [[x[0, 0], np.zeros((0, 3))] for x in g])
    assert scalar.shape == () and host(scalar) == whole[0, 0] and empty.shape == (0, 3)
    assert all(v.shape == p.shape for p in (scalar, empty) for v in arrays_of(optimizer.state[p]))


@every_row
def test_float16_parameters_keep_float32_state(cls, settings):
    """In float16 the square of a gradient of 1e-4 is 0, and eps = 1e-8 is too."""
    grads = [[(1e-4 * row[0]).astype("float16")] for row in gradients(8)]
    half, single = (cls([parameter([1.0, -2.0, 3.0], dtype)], **settings) for dtype in ("float16", "float32"))
    (p,), (q,) = train(half, grads[:1]), train(single, grads[:1])
    assert np.array_equal(host(p), host(q).astype("float16")) and bits(half.state[p]) == bits(single.state[q])
    train(half, grads[1:])
    half.load_state_dict(half.state_dict())
    assert p.dtype == "float16" and np.isfinite(host(p)).all()
    assert {v.dtype for v in arrays_of(half.state[p])} <= {np.dtype("float32")}


@every_row
def test_chunked_and_whole_are_equal_bit_for_bit(cls, settings, monkeypatch):
    for size in (0, 1, 7, 8, 9, 19, (3, 9)):
        found = []
        for chunk in (8, 10**9):
            monkeypatch.setattr(kernels, "CHUNK", chunk)
            optimizer = cls([parameter(np.linspace(-1, 1, math.prod(np.atleast_1d(size))).reshape(size))], **settings)
            train(optimizer, [[np.random.default_rng(t).normal(size=size)] for t in range(3)])
            found.append(everything(optimizer))
        assert found[0] == found[1]


@pytest.mark.parametrize("size", [0, 1, kernels.CHUNK - 1, kernels.CHUNK, kernels.CHUNK + 1, 2 * kernels.CHUNK + 3])
def test_chunked_and_whole_are_equal_at_the_real_size(size, monkeypatch):
    g, found = np.random.default_rng(0).normal(size=size), []
    for chunk in (kernels.CHUNK, 10**9):
        monkeypatch.setattr(kernels, "CHUNK", chunk)
        optimizer = RMSprop([parameter(np.ones(size))], weight_decay=0.1, momentum=0.9, centered=True)
        train(optimizer, [[g], [g * g]])
        found.append(everything(optimizer))
    assert found[0] == found[1]


def test_large_arrays_go_through_the_rule_in_chunks(monkeypatch):
    if DEVICE != "cpu":
        pytest.skip("a GPU takes the whole array in one kernel")
    monkeypatch.setattr(kernels, "CHUNK", 8)
    sizes = []

    class Measure(Optimizer):
        checks = {}

        @staticmethod
        def rule(math):
            def measure(p, g):
                sizes.append(p.size)
                return (p - g,)

            return measure

    p, turned = parameter(np.ones(19)), parameter(np.ones((9, 3)).T)
    train(Measure([p, turned], {}), [[np.ones(19), np.ones((3, 9))]])
    assert sizes[:3] == [8, 8, 3] and sum(sizes) == 19 + 27
    assert not host(p).any() and not host(turned).any()


def test_optimizers_follow_a_model_that_changes_its_dtype():
    """The state stayed in the old dtype, and a run that was saved and resumed differed from one that went on."""
    for there, back in (("float64", "float32"), ("float16", "float64")):
        model = nn.Linear(3, 1, bias=False).to(DEVICE)
        optimizer = RMSprop(model.parameters(), momentum=0.9, centered=True)
        grads = [[row[0].reshape(1, 3)] for row in gradients(4)]
        for dtype in (there, back):
            train(optimizer, grads[:2])
            model.to(dtype)
            (p,) = train(optimizer, grads[2:3])
            wanted = "float32" if dtype == "float16" else dtype
            assert {v.dtype for k, v in optimizer.state[p].items() if k != "step"} == {np.dtype(wanted)}
            again = RMSprop([parameter(host(p), dtype)])
            again.load_state_dict(optimizer.state_dict())
            train(again, grads[3:])
            train(optimizer, grads[3:])
            assert everything(again) == everything(optimizer)


def test_one_optimizer_trains_parameters_on_two_devices():
    here, there = Parameter([1.0, 2.0]), parameter([1.0, 2.0])
    optimizer = RMSprop([here, there], momentum=0.9, centered=True)
    for _ in range(3):
        here.grad, there.grad = np.float32([1, 2]), make([1.0, 2.0])
        optimizer.step()
    assert host(there) == pytest.approx(host(here), rel=1e-5)  # a GPU may contract two operations into one


@every_row
def test_the_functional_step_is_the_step(cls, settings):
    (p, *_), state = parameters("float64"), {}
    value, optimizer = lucidlite.tensor(host(p), dtype="float64"), cls([p], **settings)
    for row in gradients(8):
        value, state = cls.functional(value, lucidlite.tensor(row[0]), state, **BASE[cls] | settings)
        train(optimizer, [row[:1]])
        assert host(value).tobytes() == host(p).tobytes()
    kept = optimizer.state_dict()["state"][0]
    assert kept.keys() == state.keys() and all(bits(kept[name]) == bits(state[name]) for name in kept)


@pytest.mark.parametrize("cls", [cls for cls in BASE if cls not in (Rprop, Lion, ASGD)])
def test_the_functional_step_can_be_differentiated(cls):
    start = lucidlite.tensor([0.3, 0.4], dtype="float64")

    def loss(lr):
        p, state = start, {}
        for _ in range(3):
            p, state = cls.functional(p, 2 * (p - 1), state, **BASE[cls] | {"lr": lr})
        return ((p - 1) ** 2).sum()

    assert lucidlite.gradcheck(loss, np.array(0.02))


def test_a_beta_can_be_learned():
    start = lucidlite.tensor([0.3, 0.4], dtype="float64")

    def loss(beta):
        p, state = start, {}
        for _ in range(3):
            p, state = Adam.functional(p, 2 * (p - 1), state, lr=0.05, betas=(beta, 0.9))
        return ((p - 1) ** 2).sum()

    assert lucidlite.gradcheck(loss, np.array(0.5))


@pytest.mark.parametrize("cls", BASE)
def test_numba_gives_the_bits_of_numpy(cls):
    pytest.importorskip("numba")
    if DEVICE != "cpu":
        pytest.skip("Numba runs on the CPU")
    last = [row.values[1] for row in ROWS if row.values[0] is cls and not row.values[1].get("contiguous_params")][-1]
    draw, found = np.random.default_rng(6), []
    start, grads = draw.normal(size=99), draw.normal(size=(5, 99))
    try:
        for way in ("numpy", "numba"):
            optim.use_kernel(way)
            optimizer = cls([parameter(start)], **last)
            train(optimizer, [[g] for g in grads])
            assert optimizer.way == way
            found.append(everything(optimizer))
    finally:
        optim.use_kernel(None)
    assert found[0] == found[1]


# ---- Groups, closures, gradients -------------------------------------------------------------------------------------


def test_groups_have_settings_of_their_own():
    grads, settings = gradients(5), ({"lr": 0.1, "centered": True}, {"momentum": 0.9, "weight_decay": 0.1}, {})
    together = parameters()
    groups = [{"params": [p], **own} for p, own in zip(together, settings)]
    optimizer = RMSprop(groups, lr=0.02, alpha=0.8)
    train(optimizer, grads)
    for i, (p, own) in enumerate(zip(parameters(), settings)):
        alone = RMSprop([p], **{"lr": 0.02, "alpha": 0.8, **own})
        train(alone, [[row[i]] for row in grads])
        assert bits(p) == bits(together[i]) and bits(alone.state[p]) == bits(optimizer.state[together[i]])
    assert groups == [{"params": [p], **own} for p, own in zip(together, settings)], "they are the caller's dicts"


def test_a_group_can_be_added_in_mid_run():
    a, b, c = parameters()
    optimizer = RMSprop([a], lr=0.1, momentum=0.9)
    grads = gradients(4)
    train(optimizer, [row[:1] for row in grads[:2]])
    optimizer.add_param_group({"params": (x for x in [b, c]), "lr": 0.5})
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.5]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.9, 0.9]
    train(optimizer, grads[2:])
    assert [optimizer.state[p]["step"] for p in (a, b, c)] == [4, 2, 2]
    assert [g["params"] for g in optimizer.state_dict()["param_groups"]] == [[0], [1, 2]]


def test_groups_may_be_dropped_and_their_parameters_exchanged():
    """Comparing the groups with those of the step before compared their Parameters element by element."""
    a, b, c, d = (parameter(np.arange(3.0)) for _ in range(4))
    optimizer = RMSprop([{"params": [a]}, {"params": [b], "lr": 0.5}, {"params": [c]}], momentum=0.9)
    train(optimizer, [[np.ones(3)] * 3])
    del optimizer.param_groups[0]
    optimizer.param_groups[1]["params"] = [d]
    before = bits(a)
    train(optimizer, [[np.ones(3)] * 2])
    assert [optimizer.state[p]["step"] for p in (a, b, c, d)] == [1, 2, 1, 1] and bits(a) == before
    alone = RMSprop([parameter(np.arange(3.0))], lr=0.5, momentum=0.9)
    assert bits(train(alone, [[np.ones(3)]] * 2)) == bits([b])


def test_a_key_of_ones_own_in_a_group_does_not_stop_a_step():
    optimizer = RMSprop([parameter([1.0])])
    optimizer.param_groups[0]["layer"] = "first"
    train(optimizer, [[[1.0]], [[1.0]]])
    assert optimizer.state_dict()["param_groups"][0]["layer"] == "first"


def test_whole_numbers_and_lists_may_be_written_into_a_group():
    found = []
    for lr, betas in ((1, [0.5, 0]), (1.0, (0.5, 0.0)), (np.float32(1), np.array([0.5, 0]).tolist())):
        optimizer = Adam([parameter([1.0, 2.0])])
        optimizer.param_groups[0].update(lr=lr, betas=betas)
        found.append(bits(train(optimizer, [[[1.0, -3.0]], [[0.5, 2.0]]])))
    assert found[0] == found[1] == found[2]


def test_a_single_parameter_can_be_a_group():
    a, b, _ = parameters()
    optimizer = RMSprop([{"params": a}, {"params": [b]}])
    assert [g["params"] for g in optimizer.param_groups] == [[a], [b]]


def test_hyperparameters_may_be_numpys_numbers_and_become_floats():
    group = RMSprop(parameters(), lr=np.float32(0.5), alpha=np.array(0.5), momentum=1, weight_decay=0).param_groups[0]
    assert [group[k] for k in ("lr", "alpha", "momentum", "weight_decay")] == [0.5, 0.5, 1, 0]
    assert {type(group[k]) for k in ("lr", "alpha", "momentum", "weight_decay", "eps")} == {float}


def test_a_closure_runs_once_with_gradients_on_and_its_value_is_returned():
    w, seen = parameter([3.0]), []
    optimizer = SGD([w], lr=0.25)

    def closure():
        seen.append(lucidlite.grad_enabled())
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        seen.append(loss)
        return loss

    with lucidlite.no_grad():
        loss = optimizer.step(closure)
        assert not lucidlite.grad_enabled()
    assert seen == [True, loss] and loss.item() == 9 and w.tolist() == [1.5]
    assert optimizer.step() is None and w.tolist() == [0.0]


def test_a_closure_that_fails_changes_nothing():
    optimizer = RMSprop(parameters(), momentum=0.9)
    train(optimizer, gradients(2))
    before = everything(optimizer)
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    assert everything(optimizer) == before and lucidlite.grad_enabled()


@pytest.mark.parametrize("contiguous", [False, True])
def test_a_step_between_forward_and_backward_is_reported_where_the_graph_saved_the_parameter(contiguous):
    w, skipped = parameter([1.0, 2.0]), parameter([3.0])
    optimizer = SGD([{"params": [w], "contiguous_params": contiguous}, {"params": [skipped]}])
    product, total, other = (w * w).sum(), (w + 1).sum(), (skipped * skipped).sum()
    w.grad = make([1.0, 1.0])
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"multiply: .*changed in place .*clone\(\)"):
        product.backward()
    total.backward()  # has saved no value
    other.backward()  # its parameter had no gradient, and was not touched
    assert w.grad.tolist() == [2.0, 2.0] and skipped.grad.tolist() == [6.0]


def test_steps_change_the_parameters_memory_in_place_and_no_gradient():
    for cls, settings in (row.values for row in ROWS):
        p, g = parameter([1.0, 2.0]), np.array([0.5, -0.5], "float32")
        memory = p.data
        optimizer = cls([p], **settings)
        train(optimizer, [[g]])
        assert p.data is memory or settings.get("contiguous_params")
        assert np.array_equal(host(p.grad), g) and p.requires_grad and p.is_leaf
        assert lucidlite.grad_enabled()


def test_zero_grad_forgets_gradients_or_fills_them_with_zeros():
    params = parameters()
    optimizer = RMSprop(params)
    train(optimizer, [[*gradients(1)[0][:2], None]])
    memory = params[0].grad
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad is memory and not host(memory).any() and not host(params[1].grad).any()
    assert params[2].grad is None
    optimizer.zero_grad()
    assert [p.grad for p in params] == [None] * 3


def test_the_representation_tells_parameters_and_settings():
    a, b, c = parameters()
    text = repr(RMSprop([{"params": [a, b]}, {"params": [c], "lr": 0.5, "centered": True}], momentum=0.9))
    first, second = text.splitlines()[1:-1]
    assert text.startswith("RMSprop(") and "params=2, " in first and "params=1, " in second
    assert "lr=0.01" in first and "lr=0.5" in second and "centered=True" in second
    assert first.count("momentum=0.9") == second.count("momentum=0.9") == 1


def test_a_deep_copy_trains_on_its_own():
    model = Model().to(DEVICE)
    optimizer = RMSprop(model.parameters(), momentum=0.9)
    train(optimizer, [[np.ones(3)]])
    twin_model, twin = copy.deepcopy((model, optimizer))
    before = everything(optimizer)
    assert everything(twin) == before and twin.param_groups[0]["params"] == [twin_model.param]
    train(twin, [[np.ones(3)]])
    assert everything(optimizer) == before and everything(twin) != before


def test_hooks_are_called_before_and_after_a_step():
    p, seen = parameter([1.0, 2.0]), []
    optimizer = SGD([p], lr=1.0)
    note = lambda name: lambda o, args, kwargs: seen.append((name, o is optimizer, args, kwargs, host(p).tolist()))
    removes = [optimizer.register_step_pre_hook(note("before")), optimizer.register_step_post_hook(note("after"))]
    train(optimizer, [[np.ones(2)]])
    before, after = [("before", True, (None,), {}, [1.0, 2.0])], [("after", True, (None,), {}, [0.0, 1.0])]
    assert seen == before + after
    for remove in removes:
        assert remove() is None
    train(optimizer, [[np.ones(2)]])
    assert len(seen) == 2


def test_a_hook_may_clip_the_gradients():
    p = parameter([3.0, 4.0])
    optimizer = SGD([{"params": [p], "clip_grad_max_norm": 1.0}], lr=1.0)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: o.clip_grad())
    train(optimizer, [[np.array([30.0, 40.0])]])
    assert host(p) == pytest.approx([2.4, 3.2], rel=1e-6)


def test_clip_grad_shortens_the_gradients_of_the_groups_that_say_so():
    a, b, c = (parameter([3.0, 4.0]) for _ in range(3))
    largest = {"params": [b], "clip_grad_max_norm": 2.0, "clip_grad_norm_type": math.inf}
    optimizer = RMSprop([{"params": [a], "clip_grad_max_norm": 1.0}, largest, {"params": [c]}])
    for p in (a, b, c):
        p.grad = make([3.0, 4.0])
    optimizer.clip_grad()
    assert host(a.grad) == pytest.approx([0.6, 0.8], rel=1e-6)
    assert host(b.grad) == pytest.approx([1.5, 2.0], rel=1e-6) and c.grad.tolist() == [3.0, 4.0]
    again = RMSprop([{"params": [parameter([3.0, 4.0])]} for _ in range(3)])
    again.load_state_dict(optimizer.state_dict())
    assert [g.get("clip_grad_max_norm") for g in again.param_groups] == [1.0, 2.0, None]
    with pytest.raises(ValueError, match="no group has a 'clip_grad_max_norm'"):
        RMSprop([a]).clip_grad()
    with pytest.raises(ValueError, match="clip_grad_norm_type is 0; it must be"):
        RMSprop([{"params": [a], "clip_grad_norm_type": 0}])
    a.grad = make([math.nan, 1.0])
    with pytest.raises(RuntimeError, match="the norm is nan"):
        optimizer.clip_grad()
    optimizer.clip_grad(error_if_nonfinite=False)


# ---- What state_dict gives and takes ---------------------------------------------------------------------------------


def test_a_state_dict_numbers_the_parameters_and_holds_copies():
    a, b, c = parameters()
    optimizer = RMSprop([{"params": [c]}, {"params": [a, b], "momentum": 0.9, "centered": True}])
    train(optimizer, [[1.0, np.ones(3), None]])
    found = optimizer.state_dict()
    assert list(found) == ["state", "param_groups"] and list(found["state"]) == [0, 1]
    assert [group["params"] for group in found["param_groups"]] == [[0], [1, 2]]
    assert found["state"][0].keys() == {"step", "square_avg"}
    assert found["state"][1].keys() == {"step", "square_avg", "grad_avg", "momentum_buffer"}
    before = everything(optimizer)
    other = RMSprop([{"params": [parameter(1.0)]}, {"params": [parameter(np.ones(3)), parameter(np.ones((2, 2)))]}])
    other.load_state_dict(found)
    loaded = bits(other.state_dict())
    assert loaded == bits(found) == before[0]
    for array in (found["state"][0]["square_avg"], found["state"][1]["momentum_buffer"]):
        array[...] = 7
    found["param_groups"][0]["lr"] = 7
    assert everything(optimizer) == before and bits(other.state_dict()) == loaded
    other.load_state_dict(RMSprop([{"params": [c]}, {"params": [a, b]}]).state_dict())
    assert other.state_dict()["state"] == {}, "what the loaded run did not have is gone"


def test_a_loaded_state_takes_the_dtype_of_the_parameters():
    double, single = (RMSprop(parameters(dtype), momentum=0.9) for dtype in ("float64", "float32"))
    train(double, gradients(2))
    single.load_state_dict(double.state_dict())
    found = [v for state in single.state.values() for k, v in state.items() if k != "step"]
    assert len(found) == 6 and {v.dtype for v in found} == {np.dtype("float32")}


def _trained():
    """An RMSprop of two groups after two steps."""
    a, b, c = parameters()
    optimizer = RMSprop([{"params": [a, b]}, {"params": [c], "lr": 0.5}], momentum=0.9)
    train(optimizer, gradients(2))
    return optimizer


def _refuses(optimizer, bad, kinds=ValueError):
    """The message with which the state_dict is refused; nothing has changed, and the run goes on as before."""
    before = everything(optimizer)
    with pytest.raises(kinds) as caught:
        optimizer.load_state_dict(bad)
    assert everything(optimizer) == before
    return str(caught.value)


GONE = object()
MISFITS = {  # where in the state_dict of `_trained`, what stands there instead, what the message says
    "None": ((), None, "state"),
    "a list": ((), [], "'state' and 'param_groups'"),
    "empty": ((), {}, "'state' and 'param_groups'"),
    "a model's": ((), {"weight": np.ones(3)}, "'state' and 'param_groups'"),
    "state is a list": (("state",), [], "'state' and 'param_groups'.*list"),
    "param_groups is None": (("param_groups",), None, "'param_groups'.*None"),
    "param_groups is a dict": (("param_groups",), {}, r"its groups have \[\] parameters, here \[2, 1\]"),
    "a group is a number": (("param_groups", 1), 3, "'param_groups'.*int"),
    "a group without params": (("param_groups", 0, "params"), GONE, "'param_groups'.*params"),
    "params is a number": (("param_groups", 0, "params"), 2, "'param_groups'.*int"),
    "a parameter more": (
        ("param_groups", 0, "params"),
        [0, 1, 2],
        r"its groups have \[3, 1\] parameters, here \[2, 1\]",
    ),
    "a group less": (("param_groups", 1), GONE, r"its groups have \[2\] parameters, here \[2, 1\]"),
    "nan": (("param_groups", 0, "lr"), math.nan, "group 0.*lr is nan"),
    "an eps that is 0 in float32": (("param_groups", 1, "eps"), 1e-60, "group 1.*eps is 1e-60"),
    "a bad initial_lr": (("param_groups", 0, "initial_lr"), "x", "group 0.*initial_lr is 'x'"),
    "a parameter too many": (("state", 7), {}, "parameter 7: there is no such parameter"),
    "a number from the end": (("state", -1), {}, "parameter -1: there is no such parameter"),
    "a text as key": (("state", "0"), {}, "parameter '0'"),
    "a float as key": (("state", 0.5), {}, "parameter 0.5"),
    "state that is no dict": (("state", 0), [1], "parameter 0.*list"),
    "a fraction of a step": (("state", 0, "step"), 0.5, "parameter 0.*step is 0.5"),
    "a negative step": (("state", 0, "step"), -1, "parameter 0.*step is -1"),
    "a truth as a step": (("state", 0, "step"), True, "parameter 0.*step is True"),
    "integers": (("state", 0, "square_avg"), np.ones(3, int), "parameter 0.*square_avg.*int64"),
    "a number": (("state", 2, "square_avg"), 1.0, "parameter 2.*square_avg.*float"),
    "another shape": (("state", 1, "momentum_buffer"), np.ones(4), r"momentum_buffer.*\(4,\).*\(2, 2\)"),
    "no square_avg": (("state", 1, "square_avg"), GONE, r"parameter 1.*needs \['square_avg', 'step'\]"),
    "unknown state": (("state", 1, "ax"), np.ones((2, 2)), r"parameter 1: it has the state \[.*'ax'\]"),
}


@pytest.mark.parametrize(("path", "value", "message"), MISFITS.values(), ids=MISFITS)
def test_a_state_dict_that_does_not_fit_changes_nothing(path, value, message):
    optimizer = _trained()
    root = {"all": optimizer.state_dict()}
    *way, last = ("all", *path)
    place = functools.reduce(operator.getitem, way, root)
    place[last] = value
    if value is GONE:
        del place[last]
    found = _refuses(optimizer, root["all"], (TypeError, ValueError))
    assert re.search(message, found), found


def test_all_that_does_not_fit_is_named_at_once():
    """Only the first mismatch was named, so that a wrong checkpoint took as many attempts as it had faults."""
    optimizer = _trained()
    saved = optimizer.state_dict()
    saved["state"][0] |= {"square_avg": np.ones(7), "momentum_buffer": 3.0}
    saved["state"][1]["step"] = -1
    saved["state"][5] = {}
    del saved["param_groups"][0]["alpha"], saved["param_groups"][0]["eps"]
    saved["param_groups"][1] |= {"lr": math.nan, "params": [2, 3]}
    found = _refuses(optimizer, saved).split("; ")
    wanted = [
        "RMSprop: this state_dict does not fit", r"groups have \[2, 2\] parameters, here \[2, 1\]",
        r"group 0: the hyperparameters \['alpha', 'eps'\] are missing", "group 1: lr is nan", "it must be a number",
        r"parameter 0: momentum_buffer is 3.0, square_avg is \(7,\) float64", r"of shape \(3,\)",
        "parameter 1: step is -1", "it must be", "parameter 5: there is no such",
    ]  # fmt: skip
    assert len(found) == len(wanted) and all(map(re.search, wanted, found)), found


def test_an_optimizer_without_a_rule_says_so_and_one_with_a_step_needs_none():
    class Own(Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, locals())

        def step(self):
            return "stepped"

    assert Own(parameters()).step() == "stepped"
    optimizer = Optimizer(parameters(), {})
    optimizer.param_groups[0]["params"][0].grad = make(np.ones(3)).data
    with pytest.raises(NotImplementedError, match="needs a rule"):
        optimizer.step()


def test_the_state_of_another_optimizer_is_refused():
    sgd_state = SGD(parameters(), momentum=0.9, dampening=0.5).state_dict()
    message = _refuses(RMSprop(parameters()), sgd_state)
    assert re.search(r"no hyperparameter \['dampening'\]", message)
    contradiction = sgd_state | {"param_groups": [sgd_state["param_groups"][0] | {"nesterov": True}]}
    assert "nesterov" in _refuses(SGD(parameters()), contradiction)


def test_a_schedulers_key_in_a_group_is_loaded():
    optimizer = _trained()
    saved = optimizer.state_dict()
    saved["param_groups"][0]["initial_lr"] = 0.25
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["initial_lr"] == 0.25
    assert bits(optimizer.state_dict()) == bits(saved)


# ---- What is refused -------------------------------------------------------------------------------------------------


def _wrong_values():
    for cls in BASE:
        for name, p in list(inspect.signature(cls).parameters.items())[1:]:
            if isinstance(p.default, bool):
                values = [(1, TypeError), (None, TypeError), ("yes", TypeError), (np.True_, TypeError)]
            elif isinstance(p.default, tuple):
                values = [(v, TypeError) for v in (0.9, None, "ab", (0.5,), (0.5, 0.5, 0.5), {0: 1, 1: 2})]
            else:
                wrong_kinds = ["0.1", b"1", None, True, np.True_, 1j, [0.1]]
                values = [(v, TypeError) for v in wrong_kinds]
                values += [(v, ValueError) for v in (-1, -1e-9, math.nan, math.inf, -math.inf, 10**400)]
                values += [(1.5, ValueError)] if name in ("alpha", "momentum", "dampening", "rho") else []
                values += [(0.0, ValueError)] if name == "eps" and cls is not RMSprop else []
            for value, kind in values:
                yield pytest.param(cls, name, value, kind, id=f"{cls.__name__}-{name}-{value!r:.9}")


@pytest.mark.parametrize(("cls", "name", "value", "kind"), list(_wrong_values()))
def test_a_wrong_hyperparameter_is_refused_by_name(cls, name, value, kind):
    message = re.escape(f"{name} is {value!r}"[:40])
    with pytest.raises(kind, match=message + "(?s:.)*must be"):
        cls([parameter([1.0])], **{name: value})
    with pytest.raises(kind, match=message):
        cls([{"params": [parameter([1.0])], name: value}])
    optimizer = cls([parameter([1.0])])
    with pytest.raises(kind, match=message):
        optimizer.add_param_group({"params": [parameter([1.0])], name: value})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("cls", [cls for cls in BASE if "betas" in inspect.signature(cls).parameters])
@pytest.mark.parametrize("place", [0, 1])
def test_a_wrong_beta_is_refused_by_its_place(cls, place):
    for value, kind in ((1.0, ValueError), (-0.1, ValueError), (math.nan, ValueError), ("x", TypeError)):
        betas = [0.9, 0.9]
        betas[place] = value
        with pytest.raises(kind, match=re.escape(f"betas[{place}] is {value!r}; it must be a number in [0, 1)")):
            cls([parameter([1.0])], betas=tuple(betas))
    assert cls([parameter([1.0])], betas=[0.5, 0.6]).param_groups[0]["betas"] == (0.5, 0.6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"etas": (1.0, 1.2)}, r"etas\[0\] is 1.0; it must be a number in \(0, 1\)"),
        ({"etas": (0.5, 1.0)}, r"etas\[1\] is 1.0; it must be a number in \(1, inf\)"),
        ({"step_sizes": (0.0, 1.0)}, r"step_sizes\[0\] is 0.0"),
        ({"step_sizes": (50.0, 1e-6)}, r"step_sizes\[1\] is 1e-06; it must be a number in \[50, inf\)"),
    ],
)
def test_wrong_sizes_of_rprop_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Rprop([parameter([1.0])], **settings)


P, Q = Parameter([1.0, 2.0]), Parameter([3.0])
USED_UP = nn.Linear(2, 2).parameters()
list(USED_UP)
REFUSED = {  # call, the kind of error, what the message says
    "no parameters": (lambda: RMSprop([]), ValueError, "no parameters.*model"),
    "a generator used up": (lambda: RMSprop(USED_UP), ValueError, "no parameters.*generator used up"),
    "None": (lambda: RMSprop(None), TypeError, "params is a NoneType.*list of Parameters"),
    "a number": (lambda: RMSprop(3), TypeError, "params is an? int.*list of Parameters"),
    "a text": (lambda: RMSprop("w"), TypeError, r"params\[0\] is a str.*list of Parameters"),
    "a bare Parameter": (lambda: RMSprop(P), TypeError, "params is a Parameter.*list of Parameters"),
    "a Tensor": (lambda: RMSprop(lucidlite.ones(2)), TypeError, "params is a Tensor.*list of Parameters"),
    "a 0-d Tensor": (lambda: RMSprop(lucidlite.tensor(1.0)), TypeError, "params is a Tensor.*list of Parameters"),
    "an array": (lambda: RMSprop(np.ones(2)), TypeError, "params.* is an? .*Parameter"),
    "a group alone": (lambda: RMSprop({"params": [P]}), TypeError, "params is a dict.*list of .*group"),
    "a set, which has no order": (lambda: RMSprop({P, Q}), TypeError, "params is a set.*list of Parameters"),
    "a module": (lambda: RMSprop(nn.Linear(1, 1)), TypeError, r"params is a Linear.*\.parameters\(\)"),
    "a Sequential": (lambda: RMSprop(nn.Sequential(nn.Linear(1, 1))), TypeError, r"is a Linear.*\.parameters\(\)"),
    "a method": (lambda: RMSprop(nn.Linear(1, 1).parameters), TypeError, "params is a method"),
    "named_parameters()": (
        lambda: RMSprop(nn.Linear(1, 1).named_parameters()),
        TypeError,
        r"params\[0\] is a tuple.*\.parameters\(\)",
    ),
    "a Tensor that requires gradients": (
        lambda: RMSprop([P, lucidlite.tensor([1.0], requires_grad=True)]),
        TypeError,
        r"params\[1\] is a Tensor, not a Parameter",
    ),
    "None in the list": (lambda: RMSprop([P, None]), TypeError, r"params\[1\] is a NoneType"),
    "a group after a Parameter": (lambda: RMSprop([P, {"params": [Q]}]), TypeError, r"params\[1\] is a dict.*group"),
    "a Parameter after a group": (lambda: RMSprop([{"params": [P]}, Q]), TypeError, "group.*'params'.*not Parameter"),
    "given twice": (lambda: RMSprop([P, Q, P]), ValueError, "twice.*once"),
    "in two groups": (lambda: RMSprop([{"params": [P]}, {"params": [Q, P]}]), ValueError, "twice.*once"),
    "added again": (lambda: RMSprop([P]).add_param_group({"params": [P]}), ValueError, "twice.*once"),
    "a group without params": (lambda: RMSprop([{"lr": 1.0}]), TypeError, "'params'"),
    "an empty group": (lambda: RMSprop([{"params": []}]), ValueError, "no parameters.*group empty"),
    "a group of a number": (lambda: RMSprop([{"params": 3}]), TypeError, "params is an? int"),
    "a group of a set": (lambda: RMSprop([{"params": {P, Q}}]), TypeError, "params is a set"),
    "a group of a Tensor": (lambda: RMSprop([{"params": lucidlite.ones(2)}]), TypeError, "Tensor.*Parameter"),
    "a list as a group": (lambda: RMSprop([P]).add_param_group([Q]), TypeError, "dict with a list 'params'"),
    "an unknown key": (
        lambda: RMSprop([{"params": [P], "learning_rate": 1.0}]),
        ValueError,
        r"RMSprop has no hyperparameter.*learning_rate.*'lr', 'alpha'",
    ),
    "keys of two kinds": (lambda: RMSprop([{"params": [P], "x": 1, 3: 1}]), ValueError, "no hyperparameter.*'x'"),
    "an unknown argument": (lambda: RMSprop([P], learning_rate=1.0), TypeError, "learning_rate"),
    "an eps that is 0 in float32": (lambda: RMSprop([P], eps=1e-50), ValueError, r"eps is 1e-50.*float32.*1\.4e-45"),
    "that eps in a group": (lambda: RMSprop([{"params": [P], "eps": 1e-50}]), ValueError, "eps is 1e-50.*float32"),
    "nesterov without momentum": (
        lambda: SGD([P], nesterov=True),
        ValueError,
        "momentum is 0.0 .* nesterov .* momentum > 0",
    ),
    "nesterov with dampening": (
        lambda: SGD([P], momentum=0.9, dampening=0.1, nesterov=True),
        ValueError,
        "dampening is 0.1, .* nesterov needs dampening 0",
    ),
    "dampening without momentum": (lambda: SGD([P], dampening=0.1), ValueError, "dampening is 0.1.*momentum"),
    "dampening without momentum in a group": (
        lambda: SGD([{"params": [P], "dampening": 0.1}]),
        ValueError,
        "dampening is 0.1.*momentum",
    ),
    "a closure that is none": (lambda: RMSprop([P]).step(3), TypeError, "'int' object is not callable"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_a_misuse_is_refused_with_what_to_do(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
    assert P.tolist() == [1.0, 2.0] and P.grad is None


def test_eps_need_not_be_representable_in_float16_because_the_state_is_float32():
    p = parameter([1.0], "float16")
    train(RMSprop([p], lr=0.5, eps=1e-10), [[np.zeros(1)], [np.ones(1)]])
    assert np.isfinite(host(p)).all()
    RMSprop([parameter([1.0], "float64")], eps=1e-50)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", -1, "lr is -1; it must be"),
        ("lr", "0.1", "lr is '0.1'; it must be"),
        ("alpha", math.nan, "alpha is nan; it must be"),
        ("eps", 1e-60, "eps is 1e-60.*float32"),
        ("eps", 0.0, "eps is 0.*eps > 0"),
        ("centered", 1, "centered is 1; it must be"),
    ],
)
def test_a_wrong_value_written_into_a_group_is_refused_by_the_next_step(name, value, message):
    optimizer = _trained()
    p = optimizer.param_groups[1]["params"][0]
    p.grad = make(0.0, dtype="float32")
    optimizer.state[p]["square_avg"][...] = 0
    before, right = everything(optimizer), optimizer.param_groups[1][name]
    optimizer.param_groups[1][name] = value
    with pytest.raises((TypeError, ValueError), match=message):
        optimizer.step()
    optimizer.param_groups[1][name] = right
    assert everything(optimizer) == before
    optimizer.step()


def test_a_group_that_is_refused_is_not_added():
    optimizer = RMSprop([parameter([1.0])])
    for wrong in ({"lr": -1}, {"eps": 1e-50}, {"x": 1}, {"params": [P, P]}):
        with pytest.raises(ValueError):
            optimizer.add_param_group({"params": [P]} | wrong)
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [P]})


@pytest.mark.parametrize("size", [3, 5_000, 20_000])
def test_a_rule_that_gives_too_little_back_is_refused_in_every_way(size):
    """What it left out used to stay as it was, without a word."""

    class Forgets(Optimizer):
        state_names = ("exp_avg", "exp_avg_sq")

        def __init__(self, params, lr=0.1):
            super().__init__(params, locals())

        @staticmethod
        def rule(math):
            def forgets(p, g, m, v, lr):
                m = m + g
                return p - lr * m, m

            return forgets

    p = lucidlite.Parameter(np.ones(size), device=DEVICE)
    p.grad = p.data
    with pytest.raises(ValueError, match=r"forgets returned .*; it must return \(p, m, v\), the new values"):
        Forgets([p]).step()


def test_functional_checks_what_is_no_tensor():
    """A list as betas was a raw TypeError, a negative rate climbed, and an unknown name did not say what is known."""
    p = lucidlite.tensor([1.0, 2.0])
    pair = Adam.functional(p, p, {}, betas=(0.9, 0.99))[0]
    assert (host(Adam.functional(p, p, {}, betas=[0.9, 0.99])[0]) == host(pair)).all()
    with pytest.raises(ValueError, match=r"lr is -1\.0; it must be a number"):
        SGD.functional(p, p, {}, lr=-1.0)
    with pytest.raises(ValueError, match=r"SGD has no hyperparameter \['rate'\]; it has \['lr', 'momentum'"):
        SGD.functional(p, p, {}, rate=1.0)
