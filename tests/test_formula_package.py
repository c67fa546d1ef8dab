"""Every formula of the package is checked against the very line that computes it; an object with formulas has a row."""

import importlib
import inspect
import math
import pkgutil
import re

import pytest
import test_nn_layers

import lucidlite
from lucidlite import nn, optim
from lucidlite.formulas import check
from lucidlite.nn import activations, basic, init, losses, utils
from lucidlite.optim import lr_scheduler

F = nn.functional


def made():
    """Inputs for the rows: nothing is 0, nothing is equal to anything else."""
    lucidlite.random.seed(3)
    x = lucidlite.randn(3, 4, dtype="float64")
    return x, lucidlite.randn(3, 4, dtype="float64"), lucidlite.rand(3, 4, dtype="float64") * 0.8 + 0.1


def with_gradients():
    p = lucidlite.Parameter([3.0, -4.0], dtype="float64")
    (p * p).sum().backward()
    return p


def runs_of():
    """By name, what to run so that every tagged line of an object is reached, in every branch."""
    x, y, p = made()
    weight = lucidlite.randn(5, 4, dtype="float64")
    labels = lucidlite.tensor([1, 0, 3])
    tensor = lambda: lucidlite.randn(6, 4, dtype="float64")
    cube = lambda a: a**3
    own = {
        "_compare": [lambda: lucidlite.gradcheck(cube, x, order=2)],
        "ReLU": [lambda: nn.ReLU()(x)],
        "Sigmoid": [lambda: nn.Sigmoid()(x)],
        "Tanh": [lambda: nn.Tanh()(x)],
        "leaky_relu": [lambda: F.leaky_relu(x, 0.1)],
        "elu": [lambda: F.elu(x, 0.7)],
        "selu": [lambda: F.selu(x)],
        "gelu": [lambda: F.gelu(x), lambda: F.gelu(x, approximate="tanh")],
        "silu": [lambda: F.silu(x)],
        "softplus": [lambda: F.softplus(x, 1.3)],
        "mish": [lambda: F.mish(x)],
        "softmax": [lambda: F.softmax(x, axis=1), lambda: F.softmax(x, axis=0)],
        "log_softmax": [lambda: F.log_softmax(x, axis=1)],
        "linear": [lambda: F.linear(x, weight, lucidlite.ones(5, dtype="float64"))],
        "drawn": [lambda: nn.Linear(4, 2), lambda: nn.Conv2d(4, 6, (3, 2), groups=2), lambda: nn.LSTM(3, 2)],
        "dropout": [lambda: F.dropout(x, 0.4)],
        "uniform": [lambda: init.uniform(tensor(), -1.0, 2.0)],
        "normal": [lambda: init.normal(tensor(), 1.0, 2.0)],
        "xavier_uniform": [lambda: init.xavier_uniform(tensor(), 1.3)],
        "xavier_normal": [lambda: init.xavier_normal(tensor(), 1.3)],
        "kaiming_uniform": [lambda: init.kaiming_uniform(tensor(), "fan_out", 0.3)],
        "kaiming_normal": [lambda: init.kaiming_normal(tensor(), "fan_in", 0.3)],
        "mse_loss": [lambda: F.mse_loss(x, y)],
        "l1_loss": [lambda: F.l1_loss(x, y)],
        "huber_loss": [lambda: F.huber_loss(x, y, delta=0.6)],
        "binary_cross_entropy": [lambda: F.binary_cross_entropy(p, 1 - p * p)],
        "binary_cross_entropy_with_logits": [
            lambda: F.binary_cross_entropy_with_logits(x, p),
            lambda: F.binary_cross_entropy_with_logits(x, p, pos_weight=p * 2),
        ],
        "_nll": [lambda: F.cross_entropy(x, labels), lambda: F.cross_entropy(x, labels, lucidlite.rand(4) + 0.5)],
        "clip_grad_norm": [lambda: utils.clip_grad_norm([with_gradients()], 1.5)],
        "clip_grad_value": [lambda: utils.clip_grad_value([with_gradients()], 7.0)],
        "get_total_norm": [lambda q=q: utils.grad_norm([with_gradients()], q) for q in (1, 2, 3, math.inf)],
        "bilinear": [lambda: F.bilinear(x, y, lucidlite.randn(2, 4, 4, dtype="float64"))],
    }
    return own | test_nn_layers.runs_by_name()


CYCLE = {"base_lr": 0.013, "max_lr": 0.37, "step_size_up": 3, "step_size_down": 4, "gamma": 0.93}
ONE = {"max_lr": 0.37, "total_steps": 12, "pct_start": 0.4, "div_factor": 7, "final_div_factor": 31}
SCHEDULES = {  # the options with which every line of a schedule is reached
    "LambdaLR": [{"lr_lambda": lambda t: 1 / (t + 1.7)}],
    "MultiplicativeLR": [{"lr_lambda": lambda t: 1 - 1 / (t + 1.7)}],
    "StepLR": [{"step_size": 3, "gamma": 0.7}],
    "MultiStepLR": [{"milestones": [2, 5, 5], "gamma": 0.7}],
    "ConstantLR": [{"factor": 0.3, "total_iters": 4}],
    "LinearLR": [{"start_factor": 0.2, "end_factor": 0.7, "total_iters": 7}],
    "ExponentialLR": [{"gamma": 0.83}],
    "PolynomialLR": [{"total_iters": 7, "power": 1.7}],
    "CosineAnnealingLR": [{"T_max": 7, "eta_min": 0.013}],
    "CosineAnnealingWarmRestarts": [{"T_0": 3, "T_mult": n, "eta_min": 0.013} for n in (1, 2)],
    "CyclicLR": [CYCLE | {"mode": mode} for mode in ("triangular", "triangular2", "exp_range")]
    + [CYCLE | {"scale_fn": lambda n: 1 / (n + 0.7), "scale_mode": mode} for mode in ("cycle", "iterations")],
    "OneCycleLR": [ONE | {"anneal_strategy": s, "three_phase": b} for s in ("cos", "linear") for b in (False, True)],
    "NoamScheduler": [{"model_size": 512, "warmup_steps": 4, "factor": 0.7}],
    "ReduceLROnPlateau": [
        {"mode": m, "threshold_mode": way, "threshold": 0.11, "patience": 1, "factor": 0.3, "min_lr": 0.004}
        for m in ("min", "max")
        for way in ("rel", "abs")
    ],
}


def run_schedule(cls, options):
    optimizer = optim.SGD([with_gradients()], lr=0.3, momentum=0.5)
    optimizer.step()
    scheduler = cls(optimizer, **options)
    for t in range(11):
        scheduler.step(*[1 + (-0.6) ** t] * (cls is lr_scheduler.ReduceLROnPlateau))


def sequence(cls):
    optimizer = optim.SGD([with_gradients()], lr=0.3)
    sequential = cls(optimizer, [lr_scheduler.StepLR(optimizer, 2) for _ in range(3)], [3, 5])
    return [sequential.lr(t, 0.3) for t in range(9)]


def runs_of_schedule(cls):
    if cls is lr_scheduler.SequentialLR:
        return [lambda: sequence(cls)]
    return [lambda options=options: run_schedule(cls, options) for options in SCHEDULES[cls.__name__]]


def objects_with_formulas():
    found = {}
    for info in pkgutil.walk_packages(lucidlite.__path__, "lucidlite."):
        for name, x in vars(importlib.import_module(info.name)).items():
            own = (inspect.isfunction(x) or inspect.isclass(x)) and x.__module__ == info.name
            if own and re.search(r"^\s*\(\d+\)  ", x.__doc__ or "", re.MULTILINE):
                found[name] = x
    return found


OBJECTS = objects_with_formulas()
WANTED = {  # public objects that must keep their formulas
    "RMSprop", "SGD", "Rprop", "ASGD", "Adagrad", "Adadelta", "Adam", "Adamax", "NAdam", "RAdam", "Lion",
    "cross_entropy", "mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "linear", "dropout",
    "binary_cross_entropy_with_logits", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "mish", "softmax",
    "log_softmax", "ReLU", "Sigmoid", "Tanh", "Linear", "uniform", "normal", "xavier_uniform", "xavier_normal",
    "kaiming_uniform", "kaiming_normal", "clip_grad_norm", "clip_grad_value", "gradcheck",
}  # fmt: skip
ELSEWHERE = {
    "cross_entropy": "_nll",
    "gradcheck": "_compare",
    "Linear": "drawn",
}  # whose formulas stand where the line is


def test_formulas_are_where_they_should_be():
    assert {ELSEWHERE.get(name, name) for name in WANTED} <= OBJECTS.keys()
    assert SCHEDULES.keys() | {"SequentialLR"} <= OBJECTS.keys()


@pytest.mark.parametrize("name", OBJECTS)
def test_every_formula_is_what_its_line_computes(name):
    x = OBJECTS[name]
    if inspect.isclass(x) and issubclass(x, optim.Optimizer):
        report = check(x)
    elif inspect.isclass(x) and issubclass(x, lr_scheduler.Scheduler):
        report = check(x, runs=runs_of_schedule(x))
    else:
        report = check(getattr(x, "__wrapped__", x), runs=runs_of()[name])
    assert report and all(row.count for row in report.rows)


def test_modules_with_formulas_are_the_ones_that_were_walked():
    assert {x.__module__ for x in OBJECTS.values()} >= {m.__name__ for m in (activations, basic, init, losses, utils)}


def test_formulas_of_radam_hold_where_it_divides_too():
    """Three steps, which `check` takes by itself, are too few for (12)."""

    def run():
        p = lucidlite.Parameter([3.0, -4.0], dtype="float64")
        optimizer = optim.RAdam([p], betas=(0.8, 0.9), weight_decay=0.1, eps=0.1)
        for t in range(12):
            p.grad = p.data * (t % 3 - 0.5)
            optimizer.step()

    assert all(row.count >= 12 for row in check(optim.RAdam, runs=[run, lambda: run_all(optim.RAdam)]).rows[3:])


def run_all(cls):
    """One step with each switch on."""
    for switch in ("maximize", "decoupled_weight_decay"):
        p = lucidlite.Parameter([3.0, -4.0], dtype="float64")
        p.grad = p.data * 0.7
        cls([p], weight_decay=0.1, **{switch: True}).step()
