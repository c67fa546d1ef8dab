"""Initial values and gradient clipping: distributions, formulas, and refusals."""

import math

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import nn
from lucidlite.nn import init, utils

SHAPE = (200, 50, 3)  # (out, in, kernel): fan_in 150, fan_out 600
LIMIT = 5  # standard deviations of what is measured: a false alarm once in two million

# name -> (call, the range, the standard deviation)
ROWS = {
    "uniform": (init.uniform, (0, 1), math.sqrt(1 / 12)),
    "uniform, a b": (lambda t: init.uniform(t, -3.0, 1.0), (-3, 1), 4 * math.sqrt(1 / 12)),
    "normal": (init.normal, None, 1.0),
    "normal, mean std": (lambda t: init.normal(t, 5.0, 0.1), None, 0.1),
    "constant": (lambda t: init.constant(t, 0.5), (0.5, 0.5), 0.0),
    "xavier_uniform": (init.xavier_uniform, (-math.sqrt(6 / 750), math.sqrt(6 / 750)), math.sqrt(2 / 750)),
    "xavier_uniform, gain": (
        lambda t: init.xavier_uniform(t, 2.0),
        (-2 * math.sqrt(6 / 750), 2 * math.sqrt(6 / 750)),
        2 * math.sqrt(2 / 750),
    ),
    "xavier_normal": (init.xavier_normal, None, math.sqrt(2 / 750)),
    "xavier_normal, gain": (lambda t: init.xavier_normal(t, 0.5), None, 0.5 * math.sqrt(2 / 750)),
    "kaiming_uniform": (init.kaiming_uniform, (-math.sqrt(6 / 150), math.sqrt(6 / 150)), math.sqrt(2 / 150)),
    "kaiming_uniform, fan_out a": (
        lambda t: init.kaiming_uniform(t, "fan_out", math.sqrt(5)),
        (-1 / math.sqrt(600), 1 / math.sqrt(600)),
        math.sqrt(1 / 1800),
    ),
    "kaiming_normal": (init.kaiming_normal, None, math.sqrt(2 / 150)),
    "kaiming_normal, fan_out a": (lambda t: init.kaiming_normal(t, "fan_out", 1.0), None, math.sqrt(1 / 600)),
}  # fmt: skip


def public(module):
    own = {name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    return {name for name in own if name[0] != "_"}


def test_every_initialiser_has_a_row():
    assert public(init) == {name.split(",")[0] for name in ROWS}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initialiser_fills_in_place_with_its_distribution(name, dtype):
    call, ends, deviation = ROWS[name]
    tensor = make(np.full(SHAPE, 7.0), True, dtype)
    memory = tensor.data
    assert call(tensor) is tensor and tensor.data is memory and tensor.dtype == dtype and tensor.requires_grad
    values = host(tensor).astype("float64")
    mean = {"normal, mean std": 5.0}.get(name, sum(ends) / 2 if ends else 0.0)
    assert abs(values.mean() - mean) <= LIMIT * deviation / math.sqrt(values.size)
    assert abs(values.std() - deviation) <= LIMIT * deviation / math.sqrt(values.size)
    if ends:
        slack = 1e-6 * max(map(abs, ends))
        assert ends[0] - slack <= values.min() and values.max() <= ends[1] + slack
        assert deviation == 0 or values.max() - values.min() > 0.99 * (ends[1] - ends[0])


def test_seed_and_nothing_else_decides_the_numbers():
    made = []
    for dtype in ("float32", "float64", "float64"):
        lucidlite.random.seed(4)
        made.append(host(init.normal(make(np.zeros(10), dtype=dtype))))
    assert (made[1] == made[2]).all() and (made[1].astype("float32") == made[0]).all()


def test_filling_a_saved_tensor_is_noticed_by_its_graph():
    w = make([1.0, 2.0], True)
    loss = (w * w).sum()
    init.constant(w, 0.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


# ---- Clipping --------------------------------------------------------------------------------------------------------


def with_gradients(*gradients, dtype="float64"):
    parameters = [nn.Parameter(np.zeros(np.shape(g)), dtype, DEVICE) for g in gradients]
    for p, g in zip(parameters, gradients):
        p.grad = make(np.asarray(g, dtype)).data
    return parameters


GRADIENTS = ([3.0, -4.0], [[12.0]], 0.0)


@pytest.mark.parametrize("p, norm", [(2, 13.0), (1, 19.0), (math.inf, 12.0), (3, 1819 ** (1 / 3)), (0.5, None)])
def test_norm_is_that_of_all_gradients_together(p, norm):
    norm = norm or (math.sqrt(3) + 2 + math.sqrt(12)) ** 2
    parameters = with_gradients(*GRADIENTS)
    assert utils.grad_norm(parameters, p) == pytest.approx(norm, rel=1e-14)
    assert utils.get_total_norm([q.grad for q in parameters], p) == pytest.approx(norm, rel=1e-14)
    assert utils.clip_grad_norm(parameters, 1e9, p) == pytest.approx(norm, rel=1e-14)
    assert isinstance(utils.grad_norm(parameters, p), float)


def test_clip_grad_norm_scales_all_gradients_by_one_factor_in_place():
    parameters = with_gradients(*GRADIENTS)
    memory = [p.grad for p in parameters]
    assert utils.clip_grad_norm(parameters, 6.5) == 13.0
    assert all(p.grad is array for p, array in zip(parameters, memory))
    np.testing.assert_allclose(host(parameters[0].grad), [1.5, -2.0], rtol=1e-7)
    assert utils.grad_norm(parameters) == pytest.approx(6.5 * 13 / (13 + 1e-7), rel=1e-14)


@pytest.mark.parametrize("max_norm", [13.0, 14, math.inf, np.float32(20)])
def test_clip_grad_norm_leaves_gradients_within_the_bound_as_they_are(max_norm):
    parameters = with_gradients(*GRADIENTS)
    utils.clip_grad_norm(parameters, max_norm)
    assert host(parameters[0].grad).tolist() == GRADIENTS[0]


def test_clipping_passes_over_parameters_without_gradient_and_takes_one_or_none():
    a, b = with_gradients([3.0], [4.0])
    b.grad = None
    assert utils.clip_grad_norm(iter([a, b]), 1.0) == 3.0 and utils.clip_grad_norm([b], 1.0) == 0.0
    assert utils.grad_norm([]) == 0.0 and utils.grad_norm(a) == pytest.approx(1.0)
    assert utils.get_total_norm([None]) == 0.0 and utils.grad_norm(with_gradients([0.0, 0.0])) == 0.0
    assert utils.get_total_norm(make([3.0, 4.0])) == 5.0 and utils.clip_grad_norm([a], 0) == pytest.approx(1.0)
    assert host(a.grad).tolist() == [0.0]


def test_a_parameter_given_twice_is_scaled_once():
    (a,) = with_gradients([10.0])
    assert utils.clip_grad_norm([a, a], 1.0) == 10.0
    np.testing.assert_allclose(host(a.grad), [1.0], rtol=1e-7)


def test_norm_of_huge_and_tiny_float32_gradients_neither_overflows_nor_vanishes():
    parameters = with_gradients([3e30, 4e30], dtype="float32")
    assert utils.clip_grad_norm(parameters, 1.0) == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(host(parameters[0].grad), [0.6, 0.8], rtol=1e-6)
    assert parameters[0].grad.dtype == "float32"
    assert utils.grad_norm(with_gradients([3e-30, 4e-30], dtype="float32")) == pytest.approx(5e-30, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_are_refused_or_left_alone(bad):
    parameters = with_gradients([30.0], [[bad]])
    with pytest.raises(RuntimeError, match=r"clip_grad_norm: the norm is (nan|inf); look for"):
        utils.clip_grad_norm(parameters, 1.0)
    assert not math.isfinite(utils.clip_grad_norm(parameters, 1.0, error_if_nonfinite=False))
    assert host(parameters[0].grad).tolist() == [30.0]


def test_clip_grad_value_cuts_every_element_in_place():
    parameters = with_gradients([3.0, -4.0, 0.5], [[math.inf]])
    memory = parameters[0].grad
    assert utils.clip_grad_value(parameters, 1.5) is None
    assert parameters[0].grad is memory and host(memory).tolist() == [1.5, -1.5, 0.5]
    assert host(parameters[1].grad).tolist() == [[1.5]]


def test_every_utility_is_tested():
    tested = {"clip_grad_norm", "clip_grad_value", "grad_norm", "get_total_norm"}
    assert public(utils) == tested | {"parameters_to_vector", "vector_to_parameters"}


def test_parameters_become_a_vector_and_a_vector_parameters():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)).to(DEVICE)
    vector = utils.parameters_to_vector(model.parameters())
    assert vector.shape == (11,) and host(vector)[:6].tolist() == host(model[0].weight).ravel().tolist()
    (vector * vector).sum().backward()
    np.testing.assert_allclose(host(model[1].bias.grad), 2 * host(model[1].bias))
    utils.vector_to_parameters(vector * 0 + 3, model.parameters())
    assert all((host(p) == 3).all() for p in model.parameters())
    with pytest.raises(ValueError, match="do not add up to 12"):
        utils.vector_to_parameters(make(np.zeros(12)), model.parameters())
    assert all((host(p) == 3).all() for p in model.parameters())


# ---- Refusals --------------------------------------------------------------------------------------------------------

vector, matrix = make([1.0, 2.0]), make([[1.0, 2.0]])
REFUSALS = {
    "no tensor": (
        lambda: init.constant(np.zeros(3), 0),
        TypeError, r"take nn.Parameter\(...\), not a ndarray",
    ),
    "integers": (
        lambda: init.normal(make([1, 2])),
        TypeError, "float64 values, but the tensor is int64",
    ),
    "one axis": (lambda: init.xavier_normal(vector), ValueError, r"shape \(2,\) has no fan_in"),
    "empty": (
        lambda: init.kaiming_normal(make(np.zeros((0, 3)))),
        ValueError, r"shape \(0, 3\) has no fan_in",
    ),
    "mode": (
        lambda: init.kaiming_uniform(matrix, "fan"),
        ValueError, "mode is 'fan'; .*'fan_in', 'fan_out'",
    ),
    "bounds": (lambda: init.uniform(vector, 2, 1), ValueError, r"uniform: .*b is 1; it must be a number in \[2, inf\)"),
    "infinite": (lambda: init.uniform(vector, 0, math.inf), ValueError, "uniform: .*b is inf"),
    "std": (lambda: init.normal(vector, 0, -1), ValueError, "normal: .*std is -1"),
    "mean": (lambda: init.normal(vector, "0"), TypeError, "normal: .*mean is '0'; it must be a number"),
    "constant": (lambda: init.constant(vector, [1]), TypeError, r"constant: val is \[1\]"),
    "max_norm": (lambda: utils.clip_grad_norm([vector], -1), ValueError, "clip_grad_norm: max_norm is -1"),
    "max_norm, nan": (lambda: utils.clip_grad_norm([vector], math.nan), ValueError, "max_norm is nan"),
    "norm_type": (
        lambda: utils.grad_norm([vector], 0), ValueError, r"norm_type is 0; it must be a number in \(0, inf\]",
    ),
    "norm_type, text": (lambda: utils.clip_grad_norm([vector], 1, "inf"), TypeError, "norm_type is 'inf'"),
    "clip_value": (lambda: utils.clip_grad_value([vector], math.nan), ValueError, "clip_grad_value: clip_value is nan"),
    "module": (
        lambda: utils.clip_grad_norm(nn.Linear(1, 1), 1),
        TypeError, r"parameters: there is a Linear; .*model.parameters\(\)",
    ),
    "names": (
        lambda: utils.clip_grad_value(nn.Linear(1, 1).named_parameters(), 1),
        TypeError, r"there is a tuple; .*model.parameters\(\)",
    ),
    "numbers": (lambda: utils.grad_norm([1.0]), TypeError, "grad_norm: parameters: there is a float"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_misuse_of_init_and_utils_is_refused(name):
    call, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        call()
    assert vector.tolist() == [1.0, 2.0]
