"""Every formula of the package is checked against the very line that computes it; an object with formulas has a row."""

import importlib
import inspect
import math
import pkgutil
import re

import pytest

import lucidlite
from lucidlite import nn, optim
from lucidlite.nn import activations, basic, init, losses, utils
from tools.formulas import check

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


def runs_of(name):
    """What to run so that every tagged line of an object is reached, in every branch."""
    x, y, p = made()
    weight = lucidlite.randn(5, 4, dtype="float64")
    labels = lucidlite.tensor([1, 0, 3])
    tensor = lambda: lucidlite.randn(6, 4, dtype="float64")
    cube = lambda a: a**3
    return {
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
        "Linear": [lambda: nn.Linear(4, 2)],
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
        "_norm": [lambda q=q: utils.grad_norm([with_gradients()], q) for q in (1, 2, 3, math.inf)],
    }[name]


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
    "RMSprop", "SGD", "cross_entropy", "mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "linear", "dropout",
    "binary_cross_entropy_with_logits", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "mish", "softmax",
    "log_softmax", "ReLU", "Sigmoid", "Tanh", "Linear", "uniform", "normal", "xavier_uniform", "xavier_normal",
    "kaiming_uniform", "kaiming_normal", "clip_grad_norm", "clip_grad_value", "gradcheck",
}  # fmt: skip
ELSEWHERE = {"cross_entropy": "_nll", "gradcheck": "_compare"}  # whose formulas stand where the line is


def test_formulas_are_where_they_should_be():
    assert {ELSEWHERE.get(name, name) for name in WANTED} <= OBJECTS.keys()


@pytest.mark.parametrize("name", OBJECTS)
def test_every_formula_is_what_its_line_computes(name):
    x = OBJECTS[name]
    if inspect.isclass(x) and issubclass(x, optim.Optimizer):
        report = check(x)
    else:
        report = check(getattr(x, "__wrapped__", x), runs=runs_of(name))
    assert report and all(row.count for row in report.rows)


def test_modules_with_formulas_are_the_ones_that_were_walked():
    assert {x.__module__ for x in OBJECTS.values()} >= {m.__name__ for m in (activations, basic, init, losses, utils)}
