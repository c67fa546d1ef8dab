"""Basic layers, activations and losses: value, two derivatives, dtype, extreme inputs, and each refusal; one row each.

A function or a layer that is exported without a row here or in test_nn_layers.py fails there.
"""

import copy
import inspect
import math
import pickle

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import nn
from lucidlite.nn import functional as F

random = np.random.default_rng(3)


def draw(*shape, low=-2.0, high=2.0):
    """Numbers away from 0, where some derivatives jump."""
    values = random.uniform(low, high, shape)
    return np.where(np.abs(values) < 0.05, 0.5, values)


# ---- References: the textbook formula, one number at a time ----------------------------------------------------------


def each(formula):
    return lambda *arrays: np.vectorize(formula, otypes=["float64"])(*arrays)


def softmax_reference(x, axis=-1):
    moved = np.moveaxis(x, axis, -1)
    rows = [[math.exp(v) / sum(math.exp(u) for u in row) for v in row] for row in moved.reshape(-1, moved.shape[-1])]
    return np.moveaxis(np.array(rows).reshape(moved.shape), -1, axis)


def linear_reference(x, weight, bias=None):
    rows = [[sum(a * b for a, b in zip(row, w)) for w in weight] for row in x.reshape(-1, x.shape[-1])]
    return np.array(rows).reshape(*x.shape[:-1], len(weight)) + (0 if bias is None else bias)


def class_losses(log_p, labels, weight=None, ignore_index=None):
    """The loss of each label and its weight; log_p is (batch, classes, ...)."""
    losses, weights = np.zeros(labels.shape), np.zeros(labels.shape)
    for place in np.ndindex(labels.shape):
        label = labels[place]
        if label != ignore_index:
            weights[place] = 1.0 if weight is None else weight[label]
            losses[place] = -weights[place] * log_p[(place[0], label, *place[1:])]
    return losses, weights


SELU = 1.0507009873554805, 1.6732632423543772
BCE = each(lambda p, t: -(t * math.log(p) + (1 - t) * math.log(1 - p)))
LABELS = np.array([1, 0, 2])
LABELS_2D = np.array([[1, 0], [2, 2], [0, 1]])
x34, y34, p34, t34 = draw(3, 4), draw(3, 4), draw(3, 4, low=0.1, high=0.9), draw(3, 4, low=0.0, high=1.0)
logits = draw(3, 3)

# name -> (function of Tensors, NumPy reference, float64 inputs)
FUNCTIONS = {
    "linear": (F.linear, linear_reference, (draw(5, 3), draw(2, 3), draw(2))),
    "dropout": (
        lambda x: F.dropout(x, 0.5, training=False),
        lambda x: x,
        (x34,),
    ),  # its randomness has tests of its own
    "relu": (F.relu, each(lambda x: max(x, 0.0)), (x34,)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), each(lambda x: x if x > 0 else 0.1 * x), (x34,)),
    "elu": (lambda x: F.elu(x, 1.7), each(lambda x: x if x > 0 else 1.7 * (math.exp(x) - 1)), (x34,)),
    "selu": (F.selu, each(lambda x: SELU[0] * (x if x > 0 else SELU[1] * (math.exp(x) - 1))), (x34,)),
    "gelu": (F.gelu, each(lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2), (x34,)),
    "silu": (F.silu, each(lambda x: x / (1 + math.exp(-x))), (x34,)),
    "sigmoid": (F.sigmoid, each(lambda x: 1 / (1 + math.exp(-x))), (x34,)),
    "tanh": (F.tanh, each(math.tanh), (x34,)),
    "softplus": (lambda x: F.softplus(x, 2.0), each(lambda x: math.log(1 + math.exp(2 * x)) / 2), (x34,)),
    "mish": (F.mish, each(lambda x: x * math.tanh(math.log(1 + math.exp(x)))), (x34,)),
    "softmax": (F.softmax, softmax_reference, (x34,)),
    "log_softmax": (F.log_softmax, lambda x: np.log(softmax_reference(x)), (x34,)),
    "mse_loss": (F.mse_loss, lambda x, y: each(lambda a, b: (a - b) ** 2)(x, y).mean(), (x34, y34)),
    "l1_loss": (F.l1_loss, lambda x, y: each(lambda a, b: abs(a - b))(x, y).mean(), (x34, y34)),
    "huber_loss": (
        lambda x, y: F.huber_loss(x, y, 0.7),
        lambda x, y: each(lambda a, b: (a - b) ** 2 / 2 if abs(a - b) < 0.7 else 0.7 * (abs(a - b) - 0.35))(
            x, y
        ).mean(),
        (x34, y34),
    ),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, make(LABELS)),
        lambda x: class_losses(np.log(softmax_reference(x)), LABELS)[0].mean(),
        (logits,),
    ),
    "nll_loss": (lambda x: F.nll_loss(x, make(LABELS)), lambda x: class_losses(x, LABELS)[0].mean(), (logits,)),
    "binary_cross_entropy": (F.binary_cross_entropy, lambda p, t: BCE(p, t).mean(), (p34, t34)),
    "binary_cross_entropy_with_logits": (
        F.binary_cross_entropy_with_logits,
        lambda x, t: BCE(1 / (1 + np.exp(-x)), t).mean(),
        (x34, t34),
    ),
    "one_hot": (lambda x: F.one_hot(make(LABELS), 4), lambda x: np.eye(4)[LABELS], (x34,)),
    # options
    "linear, no bias": (F.linear, linear_reference, (draw(5, 3), draw(2, 3))),
    "linear, one row": (F.linear, linear_reference, (draw(3), draw(2, 3), draw(2))),
    "linear, batches": (F.linear, linear_reference, (draw(2, 4, 3), draw(2, 3), draw(2))),
    "gelu, tanh": (
        lambda x: F.gelu(x, "tanh"),
        each(lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        (x34,),
    ),
    "leaky_relu, default": (F.leaky_relu, each(lambda x: x if x > 0 else 0.01 * x), (x34,)),
    "elu, default": (F.elu, each(lambda x: x if x > 0 else math.exp(x) - 1), (x34,)),
    "softplus, default": (F.softplus, each(lambda x: math.log(1 + math.exp(x))), (x34,)),
    "softmax, axis 0": (lambda x: F.softmax(x, axis=0), lambda x: softmax_reference(x, 0), (x34,)),
    "log_softmax, middle axis": (
        lambda x: F.log_softmax(x, axis=1),
        lambda x: np.log(softmax_reference(x, 1)),
        (draw(2, 3, 2),),
    ),
    "huber_loss, default": (
        F.huber_loss,
        lambda x, y: each(lambda a, b: (a - b) ** 2 / 2 if abs(a - b) < 1 else abs(a - b) - 0.5)(x, y).mean(),
        (x34, y34),
    ),
    "binary_cross_entropy, weight": (
        lambda p, t: F.binary_cross_entropy(p, t, [1.0, 2.0, 0.5, 0.0], "sum"),
        lambda p, t: (BCE(p, t) * [1.0, 2.0, 0.5, 0.0]).sum(),
        (p34, t34),
    ),
    "binary_cross_entropy_with_logits, weights": (
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, [[2.0], [1.0], [0.5]], [3.0, 1.0, 2.0, 0.5]),
        lambda x, t: (
            np.array([[2.0], [1.0], [0.5]])
            * each(lambda a, b, w: w * b * math.log(1 + math.exp(-a)) + (1 - b) * math.log(1 + math.exp(a)))(
                x, t, [3.0, 1.0, 2.0, 0.5]
            )
        ).mean(),
        (x34, t34),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_computes_its_formula(name):
    function, reference, arrays = FUNCTIONS[name]
    np.testing.assert_allclose(host(function(*map(make, arrays))), reference(*arrays), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "one_hot"])
def test_function_has_correct_first_and_second_derivatives(name):
    function, _, arrays = FUNCTIONS[name]
    assert lucidlite.gradcheck(function, *map(make, arrays), order=2)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "one_hot"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_function_keeps_the_dtype_in_result_and_gradients(name, dtype):
    function, reference, arrays = FUNCTIONS[name]
    tensors = [make(a, True, dtype) for a in arrays]
    y = function(*tensors)
    y.sum().backward()
    assert {str(y.dtype), *(str(t.grad.dtype) for t in tensors)} == {dtype}
    tolerance = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(host(y), reference(*arrays), rtol=tolerance, atol=tolerance)


ELEMENTWISE = ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "softplus", "mish", "gelu, tanh"]


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("array", [np.array(0.5), np.zeros((0, 3)), draw(4, 3).T, draw(4, 6)[::-2, ::3]], ids=str)
def test_activation_takes_0d_empty_and_strided_inputs(name, array):
    function, reference, _ = FUNCTIONS[name]
    x = lucidlite.tensor(array, True, device=DEVICE)
    y = function(x)
    assert y.shape == array.shape
    np.testing.assert_allclose(host(y), reference(array) if array.size else array, rtol=1e-12)
    y.sum().backward()
    assert x.grad.shape == array.shape


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_inputs_give_finite_results_and_gradients_without_warnings(name, dtype):
    x = make([[1e4, -1e4, 0.0], [1e6, 1e6, -1e6], [-1e4, -1e4, -1e4], [100.0, -100.0, 1e-30]], True, dtype)
    y = FUNCTIONS[name][0](x)
    y.sum().backward()
    assert np.isfinite(host(y)).all()
    assert np.isfinite(host(x.grad)).all()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish"])
def test_derivative_at_zero_is_the_documented_one(name):
    """PyTorch's values."""
    expected = {
        "relu": 0,
        "leaky_relu": 0.01,
        "elu": 1,
        "selu": SELU[0] * SELU[1],
        "gelu": 0.5,
        "silu": 0.5,
        "mish": 0.6,
    }
    x = make([0.0, -0.0], True)
    getattr(F, name)(x).sum().backward()
    np.testing.assert_allclose(host(x.grad), expected[name], rtol=1e-6)


def test_activations_equal_numbers_that_torch_computed():
    """torch 2.13.0, float64, at -1.5, -0.1, 0.3, 2."""
    numbers = {
        "selu": [-1.3658143533672527, -0.16730527262431394, 0.31521029620664415, 2.101401974710961],
        "gelu": [-0.10021080190328704, -0.0460172162722971, 0.1853734266566858, 1.9544997361036416],
        "silu": [-0.2736382857095345, -0.047502081252106004, 0.1723327550434977, 1.7615941559557646],
        "mish": [-0.29809974216680674, -0.05678857521284473, 0.20800137234811503, 1.9439589595339946],
    }
    for name, expected in numbers.items():
        y = getattr(F, name)(make([-1.5, -0.1, 0.3, 2.0], dtype="float64"))
        np.testing.assert_allclose(host(y), expected, rtol=1e-10)


# ---- Losses ----------------------------------------------------------------------------------------------------------

CASES = {
    "(C)": ((3,), ()),
    "(N, C)": ((4, 3), (4,)),
    "(N, C, d1)": ((2, 3, 4), (2, 4)),
    "(N, C, d1, d2)": ((2, 3, 2, 2), (2, 2, 2)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.5]], ids=["plain", "weighted"])
@pytest.mark.parametrize("ignore_index", [None, -100, 1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_takes_every_shape_weight_and_ignored_label(case, weight, ignore_index, reduction):
    shape, label_shape = CASES[case]
    x, labels = draw(*shape), np.asarray(random.integers(0, 3, label_shape))
    if ignore_index is not None and labels.size > 1:
        labels.reshape(-1)[:2] = [ignore_index, 2]
    elif ignore_index == 1:
        labels = np.array(2)
    batch = (x, labels) if label_shape else (x[None], labels[None])
    log_p = np.log(softmax_reference(batch[0], 1))
    losses, weights = class_losses(log_p, batch[1], weight, ignore_index)
    expected = {"mean": losses.sum() / weights.sum(), "sum": losses.sum(), "none": losses.reshape(label_shape)}[
        reduction
    ]
    log_p = log_p.reshape(shape)
    for function, input_ in ((F.cross_entropy, x), (F.nll_loss, log_p)):
        loss = function(make(input_), make(labels), weight, reduction, ignore_index)
        assert loss.shape == np.shape(expected)
        np.testing.assert_allclose(host(loss), expected, rtol=1e-12, atol=1e-15)
        call = lambda z, f=function: f(z, make(labels), weight, reduction, ignore_index)
        assert lucidlite.gradcheck(call, make(input_), order=2)


def test_cross_entropy_equals_numbers_that_torch_computed():
    """torch 2.13.0: weight [1, 2, 4], labels 2, -100, 0, 1."""
    x = make([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [2.0, -1.0, 0.5], [-3.0, 4.0, 1.0]], True, "float64")
    loss = F.cross_entropy(x, make([2, -100, 0, 1]), [1.0, 2.0, 4.0], ignore_index=-100)
    loss.backward()
    assert loss.item() == pytest.approx(0.28152091054656714, rel=1e-12)
    expected = [
        [0.05144604181164596, 0.1398448406027415, -0.19129088241438755],
        [0.0, 0.0, 0.0],
        [-0.030628995058674873, 0.005587510467241064, 0.02504148459143381],
        [0.0002479660842541729, -0.013786455555494768, 0.013538489471240622],
    ]
    np.testing.assert_allclose(host(x.grad), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_labels_of_every_integer_dtype_and_plain_lists_give_the_same_loss(dtype):
    expected = F.cross_entropy(make(logits), make(LABELS)).item()
    assert F.cross_entropy(make(logits), make(LABELS.astype(dtype))).item() == expected
    assert F.cross_entropy(make(logits), LABELS.tolist()).item() == expected
    assert F.cross_entropy(make(logits)[0], 1).item() == pytest.approx(F.cross_entropy(make(logits)[:1], [1]).item())


def test_labels_may_be_overwritten_after_the_forward_pass():
    """A batch buffer that is filled again must not change the gradient."""
    gradients = []
    for overwrite in (False, True):
        x, labels = make(logits, True), make(LABELS)
        loss = F.cross_entropy(x, labels)
        labels[:] = 0 if overwrite else labels
        loss.backward()
        gradients.append(host(x.grad))
    assert (gradients[0] == gradients[1]).all()


def test_ignored_label_passes_over_an_infinite_loss():
    """0 times -inf would be nan."""
    x = make([[-math.inf, 0.0], [0.0, 1.0]])
    assert F.nll_loss(x, [0, 1], ignore_index=0).item() == -1.0
    assert F.nll_loss(x, [0, 1], ignore_index=0, reduction="none").tolist() == [0.0, -1.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_ten_thousand_give_finite_losses_and_gradients(dtype):
    x = make([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]], True, dtype)
    loss = F.cross_entropy(x, [1, 2])
    loss.backward()
    assert loss.item() == 1e4
    np.testing.assert_array_equal(host(x.grad), [[0.5, -0.5, 0], [0, 0, 0]])
    x = make([1e4, -1e4, 1e4, -1e4], True, dtype)
    loss = F.binary_cross_entropy_with_logits(x, [0.0, 1.0, 1.0, 0.0], reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [1e4, 1e4, 0, 0]
    np.testing.assert_array_equal(host(x.grad), [1, -1, 0, 0])


def test_small_losses_keep_their_digits_in_float32():
    """max(x, 0) - x t + log(1 + e^-|x|), the usual form, gives 0 for a sure and right answer."""
    loss = F.binary_cross_entropy_with_logits(make([20.0, -20.0]), [1.0, 0.0], reduction="none")
    np.testing.assert_allclose(host(loss), math.log1p(math.exp(-20)), rtol=1e-6)


def test_probabilities_of_exactly_0_and_1_count_as_100_and_have_a_gradient():
    p = make([0.0, 1.0, 0.0, 1.0], True)
    loss = F.binary_cross_entropy(p, [1.0, 0.0, 0.0, 1.0], reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [100, 100, 0, 0]
    np.testing.assert_allclose(host(p.grad), [-1e12, 1e12, 1, -1], rtol=1e-6)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy_with_logits"])
def test_reductions_agree_and_targets_may_be_arrays_and_lists(name):
    function = getattr(F, name)
    single = function(make(x34), make(t34), reduction="none")
    assert single.shape == x34.shape
    for target in (make(t34), t34.tolist(), make(t34).data):  # a raw array must be on the device of the input
        mean = function(make(x34), target)
        np.testing.assert_allclose(mean.item(), host(single).mean(), rtol=1e-12)
        total = function(make(x34), target, reduction="sum")
        np.testing.assert_allclose(total.item(), host(single).sum(), rtol=1e-12)


def test_one_hot_counts_classes_and_takes_a_dtype():
    assert F.one_hot(make([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert F.one_hot(make(LABELS_2D), 3).shape == (3, 2, 3)
    assert F.one_hot(make([1]), dtype="float32").dtype == "float32"
    assert F.one_hot(make(np.array(1))).tolist() == [0, 1]
    assert F.one_hot(make(np.zeros(0, int)), 3).shape == (0, 3)


# ---- Dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_zeroes_a_share_and_scales_the_rest():
    x = make(np.ones((100, 200)), True, "float32")
    y = F.dropout(x, 0.25)
    y.sum().backward()
    values = host(y)
    assert set(np.unique(values)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.015  # five standard deviations
    np.testing.assert_array_equal(host(x.grad), values)


def test_dropout_draws_from_the_packages_stream_whatever_the_dtype():
    masks = []
    for dtype in ("float32", "float64", "float32"):
        lucidlite.random.seed(5)
        masks.append(host(F.dropout(make(np.ones(50), dtype=dtype))) > 0)
    assert (masks[0] == masks[1]).all() and (masks[0] == masks[2]).all()
    assert (host(F.dropout(make(np.ones(50)))) > 0).tolist() != masks[0].tolist()


def test_dropout_leaves_the_input_and_the_stream_alone_in_evaluation_and_for_p_0():
    before = lucidlite.random.get_state()
    x = make([1.0, 2.0])
    assert nn.Dropout(0.9).eval()(x) is x and F.dropout(x, 0.9, training=False) is x and F.dropout(x, 0.0) is x
    assert lucidlite.random.get_state() == before


# ---- Layers ----------------------------------------------------------------------------------------------------------

layer = nn.Linear(4, 2).to("float64").to(DEVICE)
WEIGHT = make([1.0, 2.0, 0.5])

# name -> (layer, its inputs, what it must equal)
LAYERS = {
    "Identity": (nn.Identity(), (x34,), lambda x: x),
    "Flatten": (nn.Flatten(), (draw(2, 3, 2),), lambda x: x.reshape(2, 6)),
    "Linear": (layer, (x34,), lambda x: F.linear(x, layer.weight, layer.bias)),
    "Dropout": (nn.Dropout(0.3).eval(), (x34,), lambda x: x),
    "ReLU": (nn.ReLU(), (x34,), F.relu),
    "LeakyReLU": (nn.LeakyReLU(0.2), (x34,), lambda x: F.leaky_relu(x, 0.2)),
    "ELU": (nn.ELU(0.5), (x34,), lambda x: F.elu(x, 0.5)),
    "SELU": (nn.SELU(), (x34,), F.selu),
    "GELU": (nn.GELU("tanh"), (x34,), lambda x: F.gelu(x, "tanh")),
    "SiLU": (nn.SiLU(), (x34,), F.silu),
    "Sigmoid": (nn.Sigmoid(), (x34,), F.sigmoid),
    "Tanh": (nn.Tanh(), (x34,), F.tanh),
    "Softmax": (nn.Softmax(0), (x34,), lambda x: F.softmax(x, 0)),
    "LogSoftmax": (nn.LogSoftmax(0), (x34,), lambda x: F.log_softmax(x, 0)),
    "Softplus": (nn.Softplus(3.0), (x34,), lambda x: F.softplus(x, 3.0)),
    "Mish": (nn.Mish(), (x34,), F.mish),
    "MSELoss": (nn.MSELoss("sum"), (x34, t34), lambda x, t: F.mse_loss(x, t, "sum")),
    "L1Loss": (nn.L1Loss("sum"), (x34, t34), lambda x, t: F.l1_loss(x, t, "sum")),
    "HuberLoss": (nn.HuberLoss("sum", 0.5), (x34, t34), lambda x, t: F.huber_loss(x, t, 0.5, "sum")),
    "CrossEntropyLoss": (
        nn.CrossEntropyLoss(WEIGHT, "sum", 1),
        (logits, LABELS),
        lambda x, t: F.cross_entropy(x, t, WEIGHT, "sum", 1),
    ),
    "NLLLoss": (nn.NLLLoss(WEIGHT, "sum", 1), (logits, LABELS), lambda x, t: F.nll_loss(x, t, WEIGHT, "sum", 1)),
    "BCELoss": (
        nn.BCELoss(WEIGHT, "sum"),
        (p34[:, :3], t34[:, :3]),
        lambda x, t: F.binary_cross_entropy(x, t, WEIGHT, "sum"),
    ),
    "BCEWithLogitsLoss": (
        nn.BCEWithLogitsLoss(WEIGHT, "sum", make([3.0])),
        (logits, t34[:, :3]),
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, WEIGHT, [3.0], "sum"),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_does_what_its_function_does(name):
    module, arrays, function = LAYERS[name]
    tensors = [make(a) for a in arrays]
    np.testing.assert_array_equal(host(module(*tensors)), host(function(*tensors)))
    assert repr(module).startswith(name + "(")


def test_layers_defaults_are_those_of_lucid():
    defaults = {
        nn.LeakyReLU(): {"negative_slope": 0.01}, nn.ELU(): {"alpha": 1.0}, nn.GELU(): {"approximate": "none"},
        nn.Softmax(): {"axis": -1}, nn.LogSoftmax(): {"axis": -1}, nn.Softplus(): {"beta": 1.0},
        nn.Dropout(): {"p": 0.5}, nn.Flatten(): {"start_axis": 1, "end_axis": -1},
        nn.HuberLoss(): {"reduction": "mean", "delta": 1.0},
        nn.CrossEntropyLoss(): {"weight": None, "reduction": "mean", "ignore_index": None},
    }  # fmt: skip
    for module, expected in defaults.items():
        assert {name: getattr(module, name) for name in expected} == expected


def test_made_layers_have_signatures_that_python_knows():
    expected = {
        nn.ELU: "(alpha=1.0)", nn.SELU: "()", nn.Dropout: "(p=0.5)", nn.Flatten: "(start_axis=1, end_axis=-1)",
        nn.HuberLoss: "(reduction='mean', delta=1.0)",
        nn.CrossEntropyLoss: "(weight=None, reduction='mean', ignore_index=None)",
        nn.BCEWithLogitsLoss: "(weight=None, reduction='mean', pos_weight=None)",
    }  # fmt: skip
    assert {cls: str(inspect.signature(cls)) for cls in expected} == expected
    with pytest.raises(TypeError, match=r"ELU.__init__\(\) got an unexpected keyword argument 'beta'"):
        nn.ELU(beta=1)
    with pytest.raises(TypeError, match=r"SELU.__init__\(\) takes 1 positional argument"):
        nn.SELU(1.0)


def test_a_layer_is_made_of_any_function_and_may_be_inherited_from():
    def scaled(a, b, by=2.0, training=True):
        """Scale a sum."""
        return (a + b) * by if training else a

    class Scaled(nn.basic.FunctionLayer, function=scaled, by=3.0): ...

    class Fixed(Scaled):
        def __init__(self):
            super().__init__(5.0)

    assert repr(Scaled()) == "Scaled(by=3.0)" and Scaled.__doc__ == "`functional.scaled`: Scale a sum."
    assert (Scaled()(1, 2), Scaled(by=4)(1, 2), Scaled().eval()(1, 2), Fixed()(1, 2)) == (9, 12, 1, 15)


def test_made_layers_can_be_copied_and_pickled():
    for module in (nn.HuberLoss("sum", 2.0), nn.ELU(0.5), nn.Dropout(0.1).eval()):
        for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert vars(copied) == vars(module) and type(copied) is type(module)


def test_class_weights_are_buffers_that_move_and_are_saved():
    loss = nn.CrossEntropyLoss([1.0, 2.0, 3.0])
    assert [name for name, _ in loss.named_buffers()] == ["weight"] == list(loss.state_dict())
    assert list(loss.parameters()) == [] and loss.to("float64").weight.dtype == "float64"
    assert list(nn.CrossEntropyLoss().state_dict()) == []
    kept = nn.CrossEntropyLoss(nn.Parameter([1.0, 2.0]))  # the weights of a loss are not trained
    assert list(kept.parameters()) == [] and list(kept.state_dict()) == ["weight"]


def test_linear_starts_within_one_over_the_root_of_its_inputs():
    layer = nn.Linear(100, 400)
    for values in (host(layer.weight), host(layer.bias)):
        assert values.dtype == "float32" and np.abs(values).max() <= 0.1
        assert np.abs(values).max() > 0.099 * (values.size > 1000) and abs(values.std() - 0.1 / math.sqrt(3)) < 4e-3
    assert nn.Linear(3, 2, bias=False).bias is None


def test_same_seed_gives_the_same_layer():
    layers = []
    for _ in range(2):
        lucidlite.random.seed(9)
        layers.append(nn.Linear(3, 2))
    assert (host(layers[0].weight) == host(layers[1].weight)).all()


# ---- Refusals --------------------------------------------------------------------------------------------------------

x32 = make(np.ones((3, 2), "float32"))
REFUSALS = {
    "linear, features": (
        lambda: F.linear(x32, make(np.ones((4, 5)))),
        ValueError, r"linear: input_ \(3, 2\) float32, weight \(4, 5\) .* the shapes must be \(\.\.\., in\), ",
    ),
    "linear, weight of one axis": (lambda: F.linear(x32, make([1.0, 2.0])), ValueError, r"linear: .*weight \(2,\)"),
    "linear, 0-d": (lambda: F.linear(make(1.0), make(np.ones((4, 5)))), ValueError, r"linear: input_ \(\)"),
    "linear, bias": (
        lambda: F.linear(x32, make(np.ones((4, 2))), make([1.0])), ValueError, r"bias \(1,\) .*shapes must be",
    ),
    "Linear, in_features": (lambda: nn.Linear(0, 2), ValueError, "Linear: in_features is 0"),
    "Linear, out_features": (
        lambda: nn.Linear(2, 2.0),
        TypeError, "Linear: out_features is 2.0; it must be a whole number >= 1",
    ),
    "Linear, bias": (lambda: nn.Linear(2, 2, bias=3), TypeError, "Linear: bias is 3"),
    "dropout, 1": (lambda: F.dropout(x32, 1.0), ValueError, r"dropout: p is 1.0; it must be a number in \[0, 1\)"),
    "dropout, nan": (lambda: nn.Dropout(math.nan), ValueError, "Dropout: p is nan"),
    "dropout, text": (lambda: nn.Dropout("0.5"), TypeError, "Dropout: p is '0.5'; it must be a number"),
    "dropout, bool": (lambda: nn.Dropout(True), TypeError, "Dropout: p is True; it must be a number"),
    "leaky_relu": (lambda: F.leaky_relu(x32, 1.5), ValueError, r"leaky_relu: .*negative_slope is 1.5; .*\[0, 1\]"),
    "LeakyReLU, 2": (lambda: nn.LeakyReLU(2), ValueError, r"LeakyReLU: negative_slope is 2; .*\[0, 1\]"),
    "LeakyReLU": (lambda: nn.LeakyReLU(-0.1), ValueError, "LeakyReLU: negative_slope is -0.1"),
    "ELU": (lambda: nn.ELU(-1), ValueError, "ELU: alpha is -1"),
    "gelu": (lambda: F.gelu(x32, True), ValueError, "gelu: .*approximate is True; it must be one of 'none', 'tanh'"),
    "GELU": (lambda: nn.GELU("erf"), ValueError, "GELU: approximate is 'erf'"),
    "softplus": (lambda: F.softplus(x32, 0), ValueError, r"softplus: .*beta is 0; it must be a number in \(0, inf\)"),
    "Softplus": (lambda: nn.Softplus(0), ValueError, r"Softplus: beta is 0; it must be a number in \(0, inf\)"),
    "softmax, axis": (lambda: F.softmax(x32, 2), (ValueError, IndexError), r"softmax: input_ \(3, 2\) .*axis 2"),
    "loss, reduction": (
        lambda: F.mse_loss(x32, x32, "avg"), ValueError, "mse_loss: .*reduction is 'avg'; .* 'mean', 'sum', 'none'",
    ),
    "loss, reduction None": (
        lambda: F.cross_entropy(x32, [0, 1, 0], reduction=None),
        ValueError, "cross_entropy: .*reduction is None; it must be one of",
    ),
    "Loss, reduction": (lambda: nn.L1Loss("max"), ValueError, "L1Loss: reduction is 'max'"),
    "loss, input": (lambda: F.mse_loss([1.0], [1.0]), TypeError, r"mse_loss: input_=\[1.0\], .*takes Tensors"),
    "mse, shapes": (
        lambda: F.mse_loss(make(np.ones((8, 1))), make(np.ones(8))),
        ValueError, r"mse_loss: input_ \(8, 1\) .*target \(8,\) .*shapes .*differ; reshape",
    ),
    "l1, shapes": (
        lambda: F.l1_loss(x32, make(np.ones((1, 2)))), ValueError, r"l1_loss: .*shapes \(3, 2\) and \(1, 2\) differ",
    ),
    "huber, shapes": (
        lambda: F.huber_loss(x32, 1.0),
        ValueError, r"huber_loss: .*target=1.0: shapes \(3, 2\) and \(\) differ",
    ),
    "huber, delta": (lambda: F.huber_loss(x32, x32, 0.0), ValueError, r"huber_loss: .*delta is 0.0; .*\(0, inf\)"),
    "huber, delta named sum": (
        lambda: F.huber_loss(x32, x32, "sum"),
        TypeError, "huber_loss: .*delta is 'sum'; it must be a number",
    ),
    "HuberLoss": (lambda: nn.HuberLoss(delta=-1), ValueError, "HuberLoss: delta is -1"),
    "bce, shapes": (lambda: F.binary_cross_entropy(x32, make([1.0])), ValueError, r"shapes \(3, 2\) and \(1,\) differ"),
    "bce, no probability": (
        lambda: F.binary_cross_entropy(make([0.5, 1.5]), [1.0, 0.0]),
        ValueError, r"from 0.5 to 1.5, .*\[0, 1\]; take .*with_logits",
    ),
    "bce, nan": (lambda: F.binary_cross_entropy(make([math.nan]), [1.0]), ValueError, "from nan to nan"),
    "bce, weight": (
        lambda: F.binary_cross_entropy(x32, x32, [1.0] * 3),
        ValueError, r"broadcast_to: a \(3,\) .*\(3, 2\).*shapes broadcast when",
    ),
    "logits, pos_weight": (
        lambda: F.binary_cross_entropy_with_logits(x32, x32, pos_weight=make(np.ones((1, 3, 2)))),
        ValueError, r"pos_weight \(1, 3, 2\) .*broadcast_to: .*\(3, 2\)",
    ),
    "labels, too great": (
        lambda: F.cross_entropy(x32, [0, 1, 2]),
        ValueError, "cross_entropy: .*labels go from 0 to 2, but there are only 0 to 1; ignore_index",
    ),
    "labels, negative": (
        lambda: F.nll_loss(x32, [0, -100, 1]),
        ValueError, "nll_loss: .*labels go from -100 to 1, .*; ignore_index",
    ),
    "labels, 0-d": (lambda: F.cross_entropy(make([1.0, 2.0]), 5), ValueError, "labels go from 5 to 5"),
    "labels, floats": (
        lambda: F.cross_entropy(x32, [0.0, 1.0, 0.0]),
        TypeError, r"cross_entropy: .*the labels must be integers, not float32; .*astype\('int64'\) .*argmax",
    ),
    "labels, bools": (lambda: F.cross_entropy(x32, [True, False, True]), TypeError, "must be integers, not bool"),
    "labels, shape": (
        lambda: F.cross_entropy(x32, [0, 1]),
        ValueError, r"cross_entropy: .*predictions \(3, 2\) and labels \(2,\) must be",
    ),
    "labels, one-hot": (
        lambda: F.nll_loss(x32, make(np.ones((3, 2), int))),
        ValueError, r"predictions \(3, 2\) and labels \(3, 2\) must be",
    ),
    "labels, 0-d input": (lambda: F.cross_entropy(make(1.0), 0), ValueError, r"predictions \(\) and labels \(\)"),
    "labels, all ignored": (
        lambda: F.cross_entropy(x32, [7, 7, 7], ignore_index=7), ValueError, "weigh 0 together, .*reduction='sum'",
    ),
    "labels, none": (lambda: F.cross_entropy(x32[:0], make(np.zeros(0, int))), ValueError, "there is no mean"),
    "class weight": (
        lambda: F.cross_entropy(x32, [0, 1, 0], [1.0] * 3),
        ValueError, r"cross_entropy: .*broadcast_to: a \(3,\) .*shape=\(2,\)",
    ),
    "one_hot, floats": (lambda: F.one_hot(make([0.5])), TypeError, "one_hot: .*must be integers, not float32"),
    "one_hot, too great": (
        lambda: F.one_hot(make([3]), 3), ValueError, "one_hot: .*labels go from 3 to 3, but there are only 0 to 2",
    ),
    "one_hot, negative": (lambda: F.one_hot(make([-1, 2])), ValueError, "labels go from -1 to 2"),
    "one_hot, nothing": (lambda: F.one_hot(make(np.zeros(0, int))), ValueError, "one_hot: .*no elements; check"),
    "one_hot, classes": (lambda: F.one_hot(make([0]), 0), ValueError, "num_classes is 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_misuse_is_refused_with_what_and_the_remedy(name):
    unread = ("labels, too great", "labels, negative", "labels, all ignored", "labels, 0-d", "one_hot", "bce, n")
    if DEVICE != "cpu" and name.startswith(unread):
        pytest.skip("an error would wait for the GPU; the loss is nan there, as test_gpu.py shows")
    call, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        call()


def test_surplus_argument_keeps_no_local_variables_name():
    x = lucidlite.ones(3)
    with pytest.raises(TypeError) as error:
        lucidlite.nn.functional.mse_loss(x, x, "sum", 5)
    assert "losses" not in str(error.value)
