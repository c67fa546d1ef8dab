"""Optimizers: PyTorch's own numbers, every formula in plain NumPy, what is kept and loaded, and what is refused."""

import copy
import inspect
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import Parameter, backend, nn, optim
from lucidlite.optim import SGD, Optimizer, RMSprop

EXACT = 1e-12  # two orders of the same float64 operations differ by about 1e-15 a step
BASE = {RMSprop: {"lr": 0.05, "alpha": 0.9, "eps": 1e-6}, SGD: {"lr": 0.05}}
SHAPES = [(3,), (2, 2), ()]  # of the parameters that most tests train


def _product(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def _rows():
    """Every optimizer with every combination of its branches."""
    for flags in _product(weight_decay=[0.0, 0.1], momentum=[0.0, 0.9], centered=[False, True]):
        yield RMSprop, flags
    ways = [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.9, 0.0, True)]
    for way, flags in itertools.product(ways, _product(weight_decay=[0.0, 0.1], maximize=[False, True])):
        yield SGD, dict(zip(("momentum", "dampening", "nesterov"), way)) | flags


ROWS = [
    pytest.param(cls, BASE[cls] | flags, id="-".join([cls.__name__, *(f"{k}={v}" for k, v in flags.items() if v)]))
    for cls, flags in _rows()
]
every_row = pytest.mark.parametrize(("cls", "settings"), ROWS)


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


def everything(optimizer):
    """All that a refused call must leave as it was: state, hyperparameters and the parameters themselves."""
    return bits([optimizer.state_dict(), *(group["params"] for group in optimizer.param_groups)])


def test_every_optimizer_has_rows_here():
    exported = {x for x in vars(optim).values() if isinstance(x, type) and issubclass(x, Optimizer)}
    assert exported - {Optimizer} == {row.values[0] for row in ROWS}


# ---- The numbers of other systems ------------------------------------------------------------------------------------

SWITCHES = (
    "eps_in_sqrt", "lr_in_momentum", "nesterov", "initial_scale", "bias_correction", "decoupled_weight_decay",
    "maximize",
)  # fmt: skip


def _recorded(name):
    """(case, its problem) of a file that tells what real systems computed."""
    found = json.loads((Path(__file__).parent / "reference" / name).read_text())
    return [(case, found["problems"][case["problem"]]) for case in found["cases"]]


RECORDED = [
    pytest.param(SGD, case["kwargs"], case, problem, id=case["id"])
    for case, problem in _recorded("optimizers.json")
    if case["optimizer"] == "SGD"
] + [
    pytest.param(
        RMSprop, {k: v for k, v in case["args"].items() if k not in SWITCHES}, case, problem, id=case["id"]
    )
    for case, problem in _recorded("rmsprop.json")
    if not any(case["args"][switch] for switch in SWITCHES)
]  # fmt: skip


def test_the_recorded_cases_are_there():
    ids = [row.id for row in RECORDED]
    assert len(ids) == 17 and {"torch/08-scales", "lucid3/01-scales", "mlx/01-scales", "SGD/05-zeros"} <= {*ids}


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
        assert ours.keys() == theirs.keys() | {"step"}  # PyTorch's SGD counts no steps
        for name in theirs:
            check(np.asarray(ours[name]), np.asarray(theirs[name]))


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


def test_the_arguments_of_sgd_are_pytorchs_and_every_argument_is_a_key_of_the_group():
    found = inspect.signature(SGD).parameters.values()
    assert [p.name for p in found] == [
        "params", "lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"
    ]  # fmt: skip
    for cls in BASE:
        names = list(inspect.signature(cls).parameters)
        assert list(cls([parameter([1.0])]).param_groups[0]) == names
        assert list(cls([parameter([1.0])]).state_dict()["param_groups"][0]) == names


# ---- The formulas ----------------------------------------------------------------------------------------------------


def rmsprop(p, grads, *, lr, alpha, eps, weight_decay, momentum, centered, floor=0.0):
    """The formulas of RMSprop's docstring once more; `floor=None` leaves (4) without its max."""
    v = m = b = np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p  # (1)
        v = alpha * v + (1 - alpha) * (g * g)  # (2)
        m = alpha * m + (1 - alpha) * g  # (3)
        r = v if not centered else v - m * m if floor is None else np.maximum(v - m * m, floor)  # (4)
        s = g / (np.sqrt(r) + eps)  # (5)
        b = momentum * b + s if momentum else s  # (6)
        p = p - lr * b  # (7)
        yield p, {"square_avg": v} | {"grad_avg": m} * centered_once(centered) | {"momentum_buffer": b}


def sgd(p, grads, *, lr, momentum, dampening, weight_decay, nesterov, maximize):
    """The formulas of SGD's docstring once more."""
    b = np.zeros_like(p)
    for t, g in enumerate(grads):
        g = -g if maximize else g  # (1)
        d = g + weight_decay * p  # (2)
        b = momentum * b + (1 if t == 0 else 1 - dampening) * d if momentum else d  # (3)
        s = d + momentum * b if nesterov else b  # (4)
        p = p - lr * s  # (5)
        yield p, {"momentum_buffer": b}
