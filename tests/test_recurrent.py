"""Recurrent layers: what the recorded values of test_torch_layers do not show."""

import copy
import gc

import numpy as np
import pytest
from support import CLOSE, DEVICE, differences, host, make

import lucidlite
from lucidlite import nn

LAYERS = {
    "rnn": lambda **options: nn.RNN(3, 2, **options),
    "relu": lambda **options: nn.RNN(3, 2, nonlinearity="relu", **options),
    "lstm": lambda **options: nn.LSTM(3, 2, **options),
    "gru": lambda **options: nn.GRU(3, 2, **options),
}
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def _double(layer):
    layer.to("float64").to(DEVICE)
    for p in layer.parameters():
        p.data = np.random.default_rng(p.size).normal(size=p.shape) if DEVICE == "cpu" else p.data
    return layer


def _draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("kind", CELLS)
def test_layer_is_its_cell_along_the_sequence_in_both_directions(kind, steps):
    layer = _double(LAYERS[kind](bidirectional=True))
    x = make(_draw(steps, 4, 3))
    output, _ = layer(x)
    for side, times in (("", range(steps)), ("_reverse", range(steps)[::-1])):
        cell = CELLS[kind](3, 2).to("float64").to(DEVICE)
        cell.load_state_dict({n: getattr(layer, f"{n}_l0{side}") for n, _ in cell.named_parameters()})
        state = None
        for t in times:
            state = cell(x[t], state)
            h = state[0] if kind == "lstm" else state
            half = output[t, :, 2:] if side else output[t, :, :2]
            np.testing.assert_allclose(host(half), host(h), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_and_second_derivatives_agree_with_differences(kind, steps, bias):
    layer = _double(LAYERS[kind](bidirectional=True, bias=bias))
    names = [name for name, _ in layer.named_parameters()]
    x, h = _draw(steps, 2, 3, seed=1), _draw(2, 2, 2, seed=2)
    cotangent, second = make(_draw(steps, 2, 4, seed=3)), [make(_draw(steps, 2, 3, seed=4))]
    second += [make(_draw(*p.shape, seed=5 + i)) for i, p in enumerate(layer.parameters())]

    def first(*arrays, create_graph=False):
        tensors = [make(a, True) for a in arrays]
        twin = copy.deepcopy(layer)
        for name, t in zip(names, tensors[1:]):
            delattr(twin, name)
            object.__setattr__(twin, name, t)
        state = make(h)
        output, _ = twin(tensors[0], (state, state * 0.5) if kind == "lstm" else state)
        return tensors, (output * cotangent).sum() + (output * output).sum()

    def value(*arrays):
        return first(*arrays)[1].item()

    def slope(*arrays):
        tensors, total = first(*arrays)
        return sum((g * v).sum().item() for g, v in zip(lucidlite.grad(total, tensors), second))

    arrays = [x, *(host(p) for p in layer.parameters())]
    tensors, total = first(*arrays)
    for found, wanted in zip(lucidlite.grad(total, tensors, retain_graph=True), differences(value, arrays)):
        np.testing.assert_allclose(host(found), wanted, **CLOSE)
    gradients = lucidlite.grad(total, tensors, create_graph=True)
    along = sum((g * v).sum() for g, v in zip(gradients, second))
    for found, wanted in zip(lucidlite.grad(along, tensors, allow_unused=True), differences(slope, arrays)):
        np.testing.assert_allclose(0 if found is None else host(found), wanted, rtol=1e-5, atol=1e-6)


def test_dropout_stands_between_the_layers_and_only_in_training():
    layer, x = nn.LSTM(3, 8, num_layers=2, dropout=0.5).to(DEVICE), make(_draw(4, 2, 3), dtype="float32")
    lucidlite.random.seed(0)
    one, two = host(layer(x)[0]), host(layer(x)[0])
    assert not np.array_equal(one, two)
    layer.eval()
    assert np.array_equal(host(layer(x)[0]), host(layer(x)[0]))
    single = nn.LSTM(3, 8, dropout=0.5).to(DEVICE)
    assert np.array_equal(host(single(x)[0]), host(single(x)[0]))  # nothing stands between


def test_graph_is_freed_and_a_second_backward_refused():
    layer = nn.GRU(3, 2).to(DEVICE)
    loss = layer(make(_draw(4, 2, 3), dtype="float32"))[0].sum()
    loss.backward(retain_graph=True)
    first = host(layer.weight_hh_l0.grad).copy()
    loss.backward()
    np.testing.assert_allclose(host(layer.weight_hh_l0.grad), 2 * first, rtol=1e-6)
    with pytest.raises(RuntimeError, match="earlier backward"):
        loss.backward()


def test_second_derivative_leaves_no_cycle_for_the_garbage_collector():
    """The tape kept the gradient, whose graph leads back to the node that keeps the tape."""
    layer, x = nn.LSTM(3, 2).to(DEVICE), make(_draw(4, 2, 3).astype("float32"), True)
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):  # the first call makes what is kept for good
            before = len(gc.get_objects())
            y = layer(x)[0]
            g = lucidlite.grad((y * y).sum(), x, create_graph=True)
            del y, g
        assert len(gc.get_objects()) - before < 50
    finally:
        gc.enable()


def test_weight_changed_in_place_before_backward_is_reported():
    layer = nn.RNN(3, 2).to(DEVICE)
    loss = layer(make(_draw(4, 2, 3), dtype="float32"))[0].sum()
    with lucidlite.no_grad():
        layer.weight_hh_l0[...] = 0.0
    with pytest.raises(RuntimeError, match="weight"):
        loss.backward()


MISUSES = {
    "size": (lambda: nn.LSTM(0, 2), "input_size is 0"),
    "hidden": (lambda: nn.GRUCell(2, 1.5), "hidden_size is 1.5"),
    "layers": (lambda: nn.RNN(2, 2, num_layers=0), "num_layers is 0"),
    "nonlinearity": (lambda: nn.RNN(2, 2, nonlinearity="sin"), "'sin'"),
    "dropout": (lambda: nn.GRU(2, 2, dropout=1.5), "1.5"),
    "width": (lambda: nn.RNN(3, 2)(lucidlite.zeros(5, 4, 2)), r"\(5, 4, 2\)"),
    "axes": (lambda: nn.RNN(3, 2)(lucidlite.zeros(3)), r"\(3,\)"),
    "empty": (lambda: nn.RNN(3, 2)(lucidlite.zeros(0, 4, 3)), r"\(0, 4, 3\)"),
    "state": (lambda: nn.RNN(3, 2)(lucidlite.zeros(5, 4, 3), lucidlite.zeros(4, 2)), r"\(4, 2\) float32.*\(1, 4, 2\)"),
    "one state": (lambda: nn.LSTM(3, 2)(lucidlite.zeros(5, 4, 3), lucidlite.zeros(1, 4, 2)), r"\(h, c\)"),
    "no tensor": (lambda: nn.LSTMCell(3, 2)(lucidlite.zeros(3), 5), "hx is 5"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_explained(name):
    act, message = MISUSES[name]
    with pytest.raises((ValueError, TypeError), match=message):
        act()
