"""Layers for images, sequences and sets: derivatives, dtypes, odd inputs, and each refusal; one row each.

That they compute what PyTorch computes is in test_torch_layers.py. A function or layer without a row fails.
"""

import copy
import functools
import math
from pathlib import Path

import numpy as np
import pytest
import test_nn_functional
from support import DEVICE, host, make

import lucidlite
from lucidlite import nn
from lucidlite.nn import convolution

REFERENCE = Path(__file__).parent / "reference"
F = nn.functional
HELD_ELSEWHERE = {"Module", "Parameter", "Sequential", "ModuleList", "ModuleDict"}  # tests/test_nn_module.py
random = np.random.default_rng(11)
inf, nan = math.inf, math.nan


def draw(*shape):
    return random.normal(size=shape)


MASK = np.array([[True, False, True, True], [True, True, False, True], [False, True, True, True]])
IDS = np.array([[0, 3, 2], [2, 2, 0]])
images, kernel, signal, taps = draw(2, 4, 5, 6), draw(6, 2, 3, 2), draw(2, 4, 7), draw(6, 2, 3)

# name -> (function of Tensors, float64 inputs); what stands behind a comma is an option
FUNCTIONS = {
    "conv1d": (F.conv1d, (signal, draw(3, 4, 3), draw(3))),
    "conv1d, options": (lambda x, w: F.conv1d(x, w, None, 2, 2, 2, 2), (signal, taps)),
    "conv1d, same": (lambda x, w: F.conv1d(x, w, None, padding="same"), (signal, draw(3, 4, 4))),
    "conv2d": (F.conv2d, (images, draw(3, 4, 3, 2), draw(3))),
    "conv2d, groups": (lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), (1, 2), 2), (images, kernel, draw(6))),
    "conv2d, same": (lambda x, w: F.conv2d(x, w, padding="same", dilation=(2, 1)), (images[:, :2], kernel[:3])),
    "conv2d, padding beyond the kernel": (lambda x, w: F.conv2d(x, w, padding=(1, 2)), (images, draw(2, 4, 1, 2))),
    "conv2d, 1x1": (F.conv2d, (images, draw(3, 4, 1, 1), draw(3))),
    "conv2d, patches": (lambda x, w: F.conv2d(x, w, None, 2), (images, draw(3, 4, 2, 2))),
    "conv_transpose2d": (F.conv_transpose2d, (images[:1], draw(4, 2, 2, 3), draw(2))),
    "conv_transpose2d, options": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 3), (1, 0), (1, 2), (1, 2), 2),
        (draw(2, 4, 3, 2), draw(4, 3, 2, 3), draw(6)),
    ),
    "unfold": (lambda x: F.unfold(x, (3, 2), (2, 1), (1, 0), (1, 2)), (images,)),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2, 1), (signal,)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (images,)),
    "max_pool2d, overlap": (lambda x: F.max_pool2d(x, (3, 2), 1, (1, 0)), (images,)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1), (signal,)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 3), 1, (1, 0)), (images,)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (3, None)), (images,)),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=(2, 1.5)), (images,)),
    "interpolate, 1-D": (lambda x: F.interpolate(x, 4), (signal,)),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, eps=0.1), (images, draw(4), draw(4))),
    "batch_norm, eval": (
        lambda x, w, b: F.batch_norm(x, make([1.0, 2.0]), make([0.5, 4.0]), w, b, False),
        (draw(5, 2), draw(2), draw(2)),
    ),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (3, 4), w, b, 0.1), (draw(2, 3, 4), draw(3, 4), draw(3, 4))),
    "layer_norm, plain": (lambda x: F.layer_norm(x, 4), (draw(3, 4),)),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b, 0.1), (signal, draw(4), draw(4))),
    "dropout2d": (lambda x: F.dropout2d(x, 0.0), (images,)),
    "embedding": (lambda w: F.embedding(make(IDS), w), (draw(4, 3),)),
    "bilinear": (F.bilinear, (draw(2, 3), draw(2, 2), draw(4, 3, 2), draw(4))),
    "scaled_dot_product_attention": (F.scaled_dot_product_attention, (draw(2, 3, 2), draw(2, 4, 2), draw(2, 4, 5))),
    "scaled_dot_product_attention, causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.7),
        (draw(3, 2), draw(4, 2), draw(4, 2)),
    ),
    "scaled_dot_product_attention, mask": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, make(MASK), output_weight=True),
        (draw(3, 2), draw(4, 2), draw(4, 2)),
    ),
    "scaled_dot_product_attention, added": (F.scaled_dot_product_attention, (*[draw(3, 2)] * 3, draw(3, 3))),
    "positional_encoding": (lambda x: x + nn.positional_encoding(3, 5).to(x.dtype).to(DEVICE), (draw(3, 5),)),
}

# name -> (layer, float64 inputs); several rows of one class end in a number
LAYERS = {
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, 2, 1, 2, 2), (signal,)),
    "Conv2d": (lambda: nn.Conv2d(4, 2, (2, 3), padding="same"), (images,)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (draw(2, 4, 2, 3),)),
    "Unfold": (lambda: nn.Unfold(2, 2), (images,)),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), (signal,)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (images,)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), (signal,)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (images,)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(2), (images,)),
    "Dropout2d": (lambda: nn.Dropout2d(0.5).eval(), (images,)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), (images,)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (draw(5, 3),)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), (images,)),
    "LayerNorm": (lambda: nn.LayerNorm((2, 3)), (draw(4, 2, 3),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (signal,)),
    "Embedding": (lambda: nn.Embedding(4, 3), (IDS,)),
    "Bilinear": (lambda: nn.Bilinear(3, 2, 4), (draw(5, 3), draw(5, 2))),
    "RNN": (lambda: nn.RNN(3, 2), (draw(4, 2, 3),)),
    "LSTM": (lambda: nn.LSTM(3, 2, bidirectional=True), (draw(3, 2, 3),)),
    "GRU": (lambda: nn.GRU(3, 2, 2, batch_first=True), (draw(2, 3, 3),)),
    "RNNCell": (lambda: nn.RNNCell(3, 2), (draw(2, 3),)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 2), (draw(2, 3),)),
    "GRUCell": (lambda: nn.GRUCell(3, 2), (draw(2, 3),)),
    "ScaledDotProductAttention": (nn.ScaledDotProductAttention, (draw(3, 2),) * 3),
    "MultiHeadAttention": (lambda: nn.MultiHeadAttention(4, 2), (draw(2, 3, 4),) * 3),
    "MultiHeadAttention 2": (lambda: nn.MultiHeadAttention(4, 2, bias=False), [draw(2, n, 4) for n in (2, 3, 3)]),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 3, 0.0), (draw(1, 3, 4),)),
    "TransformerEncoderLayer 2": (
        lambda: nn.TransformerEncoderLayer(4, 2, 3, 0.0, "gelu", norm_first=True),
        (draw(1, 3, 4),),
    ),
}


def test_every_exported_function_and_layer_has_a_row():
    rows = {name.partition(",")[0] for name in FUNCTIONS | test_nn_functional.FUNCTIONS}
    assert rows - {"positional_encoding"} == {name for name in vars(F) if name[0] != "_"}
    rows = {name.partition(" ")[0] for name in LAYERS | test_nn_functional.LAYERS}
    assert rows | HELD_ELSEWHERE == {name for name, value in vars(nn).items() if isinstance(value, type)}


def _double(name):
    """The layer of a row in float64 with parameters that are all different, and its inputs."""
    make_layer, arrays = LAYERS[name]
    layer = make_layer().to("float64").to(DEVICE)
    for i, p in enumerate(layer.parameters()):
        p.data = make(np.random.default_rng(i).normal(size=p.shape) * 0.5).data
    return layer, [make(a) for a in arrays]


def _flat(y):
    return [y] if isinstance(y, lucidlite.Tensor) else [t for part in y for t in _flat(part)]


# ---- Derivatives, dtypes, layouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_correct_first_and_second_derivatives(name):
    function, arrays = FUNCTIONS[name]
    assert lucidlite.gradcheck(function, *map(make, arrays), order=2)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_has_correct_first_and_second_derivatives_by_input_and_parameters(name):
    layer, inputs = _double(name)
    names = [name for name, _ in layer.named_parameters()]

    def call(*tensors):
        twin = copy.deepcopy(layer)
        for path, t in zip(names, tensors[len(inputs) :]):
            *owners, last = path.split(".")
            owner = functools.reduce(getattr, owners, twin)
            delattr(owner, last)
            object.__setattr__(owner, last, t)
        return tuple(_flat(twin(*tensors[: len(inputs)])))

    assert lucidlite.gradcheck(call, *inputs, *(p.detach() for p in layer.parameters()), order=2)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_keeps_the_dtype_and_loses_only_its_digits(name, dtype):
    function, arrays = FUNCTIONS[name]
    if name == "batch_norm, eval":  # its statistics are float64 in the row
        function = lambda x, w, b: F.batch_norm(
            x, make([1.0, 2.0], dtype=dtype), make([0.5, 4.0], dtype=dtype), w, b, False
        )
    tensors = [make(a, True, dtype) for a in arrays]
    results = _flat(function(*tensors))
    sum(y.sum() for y in results).backward()
    assert {str(y.dtype) for y in results} | {str(t.grad.dtype) for t in tensors} == {dtype}
    close = {"float16": 2e-2, "float32": 1e-5}[dtype]
    for y, wanted in zip(results, _flat(FUNCTIONS[name][0](*map(make, arrays)))):
        np.testing.assert_allclose(host(y), host(wanted), rtol=close, atol=close)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_stays_in_float32(name):
    make_layer, arrays = LAYERS[name]
    layer = make_layer().to(DEVICE)
    inputs = [make(a, a.dtype.kind == "f", "float32" if a.dtype.kind == "f" else None) for a in arrays]
    outputs = _flat(layer(*inputs))
    sum(y.sum() for y in outputs).backward()
    tensors = [*layer.parameters(), *(x for x in inputs if x.requires_grad)]
    assert {str(y.dtype) for y in outputs} | {str(t.grad.dtype) for t in tensors} == {"float32"}
    assert {str(b.dtype) for b in layer.buffers()} <= {"float32", "int64"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_strided_inputs_give_the_same_results_and_gradients(name):
    function, arrays = FUNCTIONS[name]
    found = []
    for strided in (False, True):
        tensors = [make(a, True) for a in arrays]
        views = [make(np.repeat(a.T, 2, 0), True) for a in arrays] if strided else tensors
        results = _flat(function(*([v[::2].T for v in views] if strided else views)))
        sum((y * y).sum() for y in results).backward()
        found.append([*map(host, results), *(host(v.grad[::2].T if strided else v.grad) for v in views)])
    for one, two in zip(*found):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.startswith(("conv", "max_pool"))])
def test_windows_laid_out_in_pieces_give_the_same(name, monkeypatch):
    """As on the CPU for all but small batches; with BLOCK 1 each image is a piece."""
    function, arrays = FUNCTIONS[name]
    found = []
    for block in (convolution.BLOCK, 1):
        monkeypatch.setattr(convolution, "BLOCK", block)
        tensors = [make(a, True) for a in arrays]
        y = function(*tensors)
        (y * y).sum().backward()
        found.append([host(y), *(host(t.grad) for t in tensors)])
    for one, two in zip(*found):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "name", [n for n in LAYERS if n[-2:] in ("1d", "2d", "se") and "Norm" not in n and n != "Unfold"]
)
def test_input_without_a_batch_is_a_batch_of_one(name):
    layer, (x,) = _double(name)
    np.testing.assert_allclose(host(layer(x[0])), host(layer(x[:1]))[0], rtol=1e-12)


EMPTY = [n for n in LAYERS if n[-2:] in ("1d", "2d", "ld", "se", "le") or n in ("LayerNorm", "GroupNorm")]


@pytest.mark.parametrize("name", [*EMPTY, "Embedding", "Bilinear", "MultiHeadAttention", "TransformerEncoderLayer"])
def test_batch_without_samples_gives_none_and_gradients_of_zero(name):
    """Convolution's backward, unfold, GroupNorm and attention failed here."""
    layer, inputs = _double(name)
    layer.eval()
    inputs = [make(host(x)[:0], x.dtype.kind == "f") for x in inputs]
    y = layer(*inputs)
    assert y.shape == (0, *layer(*_double(name)[1]).shape[1:])
    y.sum().backward()
    assert all(x.grad.shape == x.shape for x in inputs if x.requires_grad)
    for p in layer.parameters():
        assert p.grad.shape == p.shape and not host(p.grad).any()


# ---- As modules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_copies_and_saved_states_compute_the_same_and_share_nothing(name, tmp_path):
    layer, inputs = _double(name)
    state = layer.state_dict()
    twin, other = copy.deepcopy(layer), LAYERS[name][0]().to("float64").to(DEVICE)
    lucidlite.save(state, tmp_path / "state.safetensors")
    assert other.load_state_dict(lucidlite.load(tmp_path / "state.safetensors")) == ([], [])
    wanted = [host(y) for y in _flat(layer(*inputs))]
    for p in layer.parameters():
        p.data = p.data * 0
    for copied in (twin, other):
        assert repr(copied) == repr(layer) and copied.state_dict().keys() == state.keys()
        for y, w in zip(_flat(copied(*inputs)), wanted):
            np.testing.assert_array_equal(host(y), w)


def test_network_saved_by_torch_loads_and_computes_the_same():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    )
    model.to(DEVICE).load_state_dict(lucidlite.load(REFERENCE / "torch_cnn.safetensors"))
    recorded = lucidlite.load(REFERENCE / "torch_layers.safetensors")
    y = model.eval()(make(recorded["cnn/input"]))
    np.testing.assert_allclose(host(y), recorded["cnn/output"], rtol=1e-5, atol=1e-6)


def test_batch_norm_keeps_running_statistics_in_training_and_uses_them_afterwards():
    layer, x = nn.BatchNorm1d(2, momentum=0.25).to(DEVICE), draw(6, 2)
    y = layer(make(x, dtype="float32"))
    np.testing.assert_allclose(host(y), (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), rtol=1e-4, atol=1e-5)
    mean, var = 0.25 * x.mean(0), 0.75 + 0.25 * x.var(0, ddof=1)
    np.testing.assert_allclose(host(layer.running_mean), mean, rtol=1e-5)
    np.testing.assert_allclose(host(layer.running_var), var, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    y = layer(make(x[:1], dtype="float32"))  # one sample is enough now
    np.testing.assert_allclose(host(y), (x[:1] - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)
    assert layer.num_batches_tracked.item() == 1
    np.testing.assert_allclose(host(layer.running_mean), mean, rtol=1e-5)


def test_running_statistics_hang_in_no_graph_and_stay_float32():
    layer = nn.BatchNorm1d(2).to(DEVICE)
    for _ in range(3):
        layer(make(draw(4, 2), True, "float32")).sum().backward()
    buffers = dict(layer.named_buffers())
    assert not any(b.requires_grad for b in buffers.values())
    assert [str(b.dtype) for b in buffers.values()] == ["float32", "float32", "int64"]
    assert layer.num_batches_tracked.item() == 3


def test_batch_norm_without_statistics_uses_the_batch_after_eval_too():
    layer, x = nn.BatchNorm1d(2, track_running_stats=False).to("float64").to(DEVICE), make(draw(4, 2))
    assert [*layer.state_dict()] == ["weight", "bias"]
    np.testing.assert_array_equal(host(layer(x)), host(layer.eval()(x)))


@pytest.mark.parametrize("name", ["BatchNorm2d", "LayerNorm", "GroupNorm"])
def test_float16_is_normalised_without_overflow(name):
    """Squares above 65504 were infinite, and the results 0."""
    layer, (x,) = LAYERS[name][0]().to("float16").to(DEVICE), LAYERS[name][1]
    y = layer(make(x * 200, True, "float16"))
    wanted = host(LAYERS[name][0]().to("float64").to(DEVICE)(make(x * 200)))
    np.testing.assert_allclose(host(y), wanted, rtol=1e-2, atol=1e-2)
    (y * y * make(x, dtype="float16")).sum().backward()
    assert np.isfinite(host(layer.weight.grad)).all()


# ---- Attention -------------------------------------------------------------------------------------------------------


def test_true_in_a_mask_takes_part_in_the_function_and_is_left_out_by_the_layer():
    """As in PyTorch, confusing as it is."""
    q, k = make(draw(1, 3, 4)), make(draw(1, 4, 4))
    _, weights = F.scaled_dot_product_attention(q, k, k, make(MASK), output_weight=True)
    assert ((host(weights)[0] > 0) == MASK).all()
    layer = nn.MultiHeadAttention(4, 2).to("float64").to(DEVICE)
    _, weights = layer(q, k, k, need_weights=True, attn_mask=make(MASK))
    assert ((host(weights)[0] == 0) == MASK).all()
    _, weights = layer(q, k, k, make(MASK[:1]).data, True)  # a raw array
    assert ((host(weights)[0] == 0) == MASK[0]).all()


def test_masks_add_up_and_a_causal_one_looks_only_back():
    layer, x = nn.MultiHeadAttention(4, 2).to("float64").to(DEVICE), make(draw(2, 3, 4))
    padding = np.array([[False, False, True], [False, False, False]])
    _, weights = layer(x, x, x, make(padding), True, make(np.triu(np.full((3, 3), -inf), 1)))
    _, causal = layer(x, x, x, make(padding), True, is_causal=True)
    np.testing.assert_allclose(host(weights), host(causal), rtol=1e-12)
    half = layer.to("float16")(*[x.astype("float16")] * 3, make(padding), attn_mask=make(np.zeros((3, 3))))
    assert half.dtype == "float16"  # and not that of the masks, as it was
    seen = np.tril(np.ones((3, 3), bool)) & ~padding[:, None]
    assert ((host(weights) > 0) == seen).all()
    np.testing.assert_allclose(host(weights).sum(-1), 1.0, rtol=1e-12)


def test_mask_that_is_added_may_be_learnt():
    """The layer cut it off the graph."""
    x, mask = make(draw(1, 3, 4)), make(np.zeros((3, 3)), True)
    layer = nn.MultiHeadAttention(4, 2).to("float64").to(DEVICE)
    (layer(x, x, x, attn_mask=mask) ** 2).sum().backward()
    assert mask.grad is not None and host(mask.grad).any()


def test_attention_drops_weights_in_training_only():
    layer, x = nn.MultiHeadAttention(4, 2, dropout=0.5).to(DEVICE), make(draw(2, 3, 4), dtype="float32")
    assert not np.array_equal(host(layer(x, x, x)), host(layer(x, x, x)))
    layer.eval()
    np.testing.assert_array_equal(host(layer(x, x, x)), host(layer(x, x, x)))


# ---- Pools, embeddings, dropout --------------------------------------------------------------------------------------


def test_first_of_equals_gets_the_gradient_of_a_maximum():
    x = make(np.ones((1, 1, 2, 4)), True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0]]]]


def test_padding_never_wins_a_maximum_and_counts_in_a_mean():
    x = make(-np.ones((1, 1, 2)), True)
    assert F.max_pool1d(x, 2, padding=1).tolist() == [[[-1, -1]]]
    assert F.avg_pool1d(x, 2, padding=1).tolist() == [[[-0.5, -0.5]]]


def test_nan_in_a_window_is_its_maximum():
    x = make([[[nan, 1.0, 2.0, 3.0]]], True)
    y = F.max_pool1d(x, 2)
    np.testing.assert_array_equal(host(y), [[[nan, 3.0]]])


def test_row_of_padding_idx_stays_zero_and_gets_no_gradient():
    layer = nn.Embedding(4, 2, padding_idx=2).to(DEVICE)
    assert host(layer.weight)[2].tolist() == [0, 0]
    layer(make(IDS)).sum().backward()
    np.testing.assert_array_equal(host(layer.weight.grad), [[2, 2], [0, 0], [0, 0], [1, 1]])


@pytest.mark.skipif(DEVICE == "cpu", reason="there it is an error")
def test_rows_that_are_not_there_are_nan_on_a_gpu():
    """CuPy takes another row."""
    rows = host(nn.Embedding(3, 2).to(DEVICE)(make([-1, 3, 2])))
    assert np.isnan(rows).all(1).tolist() == [True, True, False]


def test_weight_may_be_frozen_and_ids_be_a_list():
    layer = nn.Embedding(4, 2).to(DEVICE)
    layer.weight.requires_grad = False
    assert layer(make([1, 2])).shape == (2, 2) and not layer(make([1, 2])).requires_grad


def test_dropout2d_drops_whole_channels():
    x = make(np.ones((50, 8, 3, 2)), True, "float32")
    y = nn.Dropout2d(0.25)(x)
    values = host(y)
    assert (values == values[:, :, :1, :1]).all()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((values[:, :, 0, 0] == 0).mean() - 0.25) < 0.11  # five standard deviations of 400 channels
    y.sum().backward()
    np.testing.assert_array_equal(host(x.grad), values)
    assert nn.Dropout2d(0.25).eval()(x) is x


# ---- Misuse ----------------------------------------------------------------------------------------------------------

mha, zeros, ids = nn.MultiHeadAttention(4, 2), lucidlite.zeros, lucidlite.tensor

# name -> (what to do, what the message must say)
MISUSES = {
    "channels": (lambda: nn.Conv2d(3, 4, 3)(zeros(2, 4, 9, 9)), r"\(2, 4, 9, 9\).*\(4, 3, 3, 3\)"),
    "axes": (lambda: nn.Conv1d(3, 4, 3)(zeros(2, 3, 9, 9)), r"\(2, 3, 9, 9\).*\(batch, channels, length\)"),
    "weight's axes": (lambda: F.conv2d(zeros(2, 3, 5, 5), zeros(3, 3)), r"weight \(3, 3\)"),
    "weight without axes": (lambda: F.conv2d(zeros(2, 3, 5, 5), zeros()), r"weight \(\)"),
    "kernel too large": (lambda: F.conv2d(zeros(1, 1, 2, 5), zeros(1, 1, 3, 3)), r"\(3, 3\).*\(1, 1, 2, 5\).*padding"),
    "dilated kernel too large": (
        lambda: nn.Conv1d(1, 1, 3, dilation=4)(zeros(1, 1, 8)),
        r"\(1, 1, 8\).*kernel of \(1, 3\)",
    ),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=4), "groups is 4.*4 and 6"),
    "groups 0": (lambda: nn.Conv2d(4, 6, 3, groups=0), "groups is 0"),
    "groups of the function": (lambda: F.conv2d(zeros(1, 4, 5, 5), zeros(3, 2, 3, 3), groups=2), "groups=2 must"),
    "same with a stride": (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), r"padding='same'.*\(2, 2\)"),
    "padding's name": (lambda: nn.Conv2d(1, 1, 3, padding="full"), "padding.*'full'"),
    "three strides": (lambda: nn.Conv2d(1, 1, 3, stride=(1, 2, 3)), r"stride is \(1, 2, 3\)"),
    "stride 0": (lambda: nn.Conv1d(1, 1, 3, stride=0), "stride is 0"),
    "negative padding": (lambda: nn.Conv1d(1, 1, 3, padding=-1), "padding is -1"),
    "dilation": (lambda: nn.Conv1d(1, 1, 3, dilation=1.5), "dilation.*1.5"),
    "no channels": (lambda: nn.Conv2d(0, 1, 3), "in_channels is 0"),
    "kernel size": (lambda: nn.Conv2d(1, 1, "3x3"), "kernel_size.*'3x3'"),
    "bias of the layer": (lambda: nn.Conv2d(1, 1, 3, bias=1), "bias is 1"),
    "bias of the function": (lambda: F.conv1d(zeros(1, 1, 5), zeros(2, 1, 3), zeros(3)), r"bias \(3,\).*2"),
    "output padding": (lambda: nn.ConvTranspose2d(1, 1, 3, 2, output_padding=2)(zeros(1, 1, 4, 4)), "2"),
    "transposed to nothing": (lambda: nn.ConvTranspose2d(1, 1, 1, padding=1)(zeros(1, 1, 2, 2)), r"\(0, 0\)"),
    "transposed channels": (lambda: nn.ConvTranspose2d(2, 1, 3)(zeros(1, 3, 4, 4)), r"\(1, 3, 4, 4\)"),
    "unfold": (lambda: F.unfold(zeros(1, 1, 2, 2), 3), r"\(3, 3\).*\(1, 1, 2, 2\)"),
    "unfold's axes": (lambda: F.unfold(zeros(2, 2), 1), r"\(2, 2\)"),
    "pool too large": (lambda: nn.MaxPool2d(3)(zeros(1, 1, 2, 5)), r"\(3, 3\).*\(1, 1, 2, 5\)"),
    "pool's axes": (lambda: nn.AvgPool1d(2)(zeros(5)), r"\(5,\).*in 1-D 2 or 3"),
    "pool's padding": (lambda: nn.MaxPool1d(2, padding=2)(zeros(1, 1, 5)), r"padding \(0, 2\).*half"),
    "pool's size": (lambda: nn.AvgPool2d(0)(zeros(1, 1, 5, 5)), "kernel_size is 0"),
    "output size": (lambda: nn.AdaptiveAvgPool2d(0)(zeros(1, 1, 5, 5)), "output_size is 0"),
    "three output sizes": (lambda: nn.AdaptiveAvgPool2d((1, 2, 3))(zeros(1, 1, 5, 5)), "output_size"),
    "size and factor": (lambda: F.interpolate(zeros(1, 1, 5, 5), 3, 2), "either size or scale_factor"),
    "neither": (lambda: F.interpolate(zeros(1, 1, 5, 5)), "either size or scale_factor"),
    "mode": (lambda: nn.Upsample(2, mode="cubic")(zeros(1, 1, 5)), "mode is 'cubic'"),
    "factor": (lambda: F.interpolate(zeros(1, 1, 5), scale_factor=-1), "scale_factor is -1"),
    "shrunk to nothing": (lambda: F.interpolate(zeros(1, 1, 5), scale_factor=0.1), "size is 0"),
    "one value": (lambda: nn.BatchNorm1d(3)(zeros(1, 3)), r"\(1, 3\) has one value.*larger batch"),
    "no value": (lambda: nn.BatchNorm1d(3)(zeros(0, 3)), r"\(0, 3\).*larger batch"),
    "features": (lambda: nn.BatchNorm2d(3)(zeros(2, 4, 5, 5)), r"\(2, 4, 5, 5\).*running_mean \(3,\)"),
    "num_features": (lambda: nn.BatchNorm1d(0), "num_features is 0"),
    "momentum": (lambda: nn.BatchNorm1d(3, momentum=2), "momentum is 2"),
    "eps": (lambda: nn.LayerNorm(3, eps=-1), "eps is -1"),
    "BatchNorm1d of images": (lambda: nn.BatchNorm1d(3)(zeros(2, 3, 5, 5)), r"\(2, 3, 5, 5\).*in \(2, 3\)"),
    "BatchNorm2d of rows": (lambda: nn.BatchNorm2d(3)(zeros(2, 3)), r"\(2, 3\).*must be in \(4,\)"),
    "BatchNorm2d of one image": (lambda: nn.BatchNorm2d(3).eval()(zeros(3, 5, 5)), r"\(3, 5, 5\).*in \(4,\)"),
    "weight of the norm": (lambda: F.batch_norm(zeros(2, 3), weight=zeros(2)), r"\(2, 3\)"),
    "normalized shape": (lambda: nn.LayerNorm(3)(zeros(2, 4)), r"\(2, 4\).*\(3,\)"),
    "weight of layer_norm": (lambda: F.layer_norm(zeros(2, 4), 4, zeros(3)), r"\(3,\)"),
    "groups of channels": (lambda: nn.GroupNorm(3, 4)(zeros(2, 4)), r"\(2, 4\).*multiple of 3"),
    "channels of group_norm": (lambda: nn.GroupNorm(2, 4)(zeros(2, 6)), r"\(4,\)|\(2, 6\)"),
    "id too large": (lambda: nn.Embedding(3, 2)(ids([0, 3])), "from 0 to 3, but there are only 0 to 2"),
    "negative id": (lambda: nn.Embedding(3, 2)(ids([-1])), "from -1 to -1"),  # it was the last row
    "float ids": (lambda: nn.Embedding(3, 2)(zeros(2)), "float32.*astype"),
    "padding_idx": (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx is 3 of 3 rows"),
    "padding_idx below 0": (lambda: nn.Embedding(3, 2, padding_idx=-4), "padding_idx is -4"),
    "bilinear": (lambda: nn.Bilinear(3, 2, 1)(zeros(5, 3), zeros(5, 3)), r"\(5, 3\).*\(1, 3, 2\)|lengths 2 and 3"),
    "head count": (lambda: nn.MultiHeadAttention(6, 4), "embed_dim is 6.*4"),
    "heads": (lambda: nn.TransformerEncoderLayer(6, 0), "num_heads is 0"),
    "attention's dropout": (lambda: nn.MultiHeadAttention(4, 2, dropout=1.0), "dropout"),
    "attention's widths": (lambda: F.scaled_dot_product_attention(zeros(3, 2), zeros(3, 4), zeros(3, 4)), r"\(3, 2\)"),
    "attention's lengths": (lambda: F.scaled_dot_product_attention(*[zeros(3, 2)] * 2, zeros(4, 2)), r"\(4, 2\)"),
    "attention's mask": (lambda: F.scaled_dot_product_attention(*[zeros(3, 2)] * 3, zeros(2, 2)), r"\(2, 2\)"),
    "width": (lambda: mha(*[zeros(2, 3, 6)] * 3), r"\(2, 3, 6\)"),
    "attention without a batch": (lambda: mha(*[zeros(3, 4)] * 3), r"\(3, 4\).*3 axes"),
    "mask of the layer": (lambda: mha(*[zeros(2, 3, 4)] * 3, attn_mask=zeros(4, 4)), r"\(4, 4\)"),
    "padding mask": (lambda: mha(*[zeros(2, 3, 4)] * 3, zeros(3, 2)), r"key_padding_mask is \(3, 2\)"),
    "activation": (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), "activation is 'tanh'"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_explained(name):
    act, message = MISUSES[name]
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        act()


# ---- Formulas, for test_formula_package.py ---------------------------------------------------------------------------


def trained(function, *shapes):
    """A run of a function of random tensors, forwards and backwards."""

    def run():
        tensors = [lucidlite.randn(*shape, dtype="float64", requires_grad=True) for shape in shapes]
        y = function(*tensors)
        y = y[0] if isinstance(y, tuple) else y
        (y * y).sum().backward()

    return run


def runs_by_name():
    """Object with formulas -> what to run so that every tagged line of it is reached, in every branch."""
    x = lucidlite.randn(3, 4, dtype="float64")
    images, layer = (2, 3, 6, 7), lambda made: trained(lambda x: made.to("float64")(x), (5, 2, 3))
    rnn = [layer(nn.RNN(3, 2, nonlinearity=mode)) for mode in ("tanh", "relu")]
    return {
        "_convolve": [trained(lambda x, w: F.conv2d(x, w, None, (2, 1), 0, (1, 2)), images, (4, 3, 2, 3))],
        "_greatest": [trained(lambda x: F.max_pool2d(x, (2, 3), (2, 1)), images)],
        "_means": [
            trained(lambda x: F.avg_pool2d(x, (2, 3), (2, 1), 1), images),
            trained(lambda x: F.adaptive_avg_pool2d(x, 4), images),
            trained(lambda x: F.interpolate(x, (4, 9)), images),
        ],
        "_resample": [trained(lambda x: F.avg_pool2d(x, (2, 3), (2, 1)), images)],
        "_standardize": [lambda: F.layer_norm(x, 4, eps=0.1)],
        "_standardize_x": [trained(lambda x: F.layer_norm(x, 4, eps=0.1), (3, 4))],
        "batch_norm": [
            lambda: nn.BatchNorm1d(4).to("float64")(x),
            lambda: nn.BatchNorm2d(3, momentum=0.3).to("float64")(lucidlite.randn(*images, dtype="float64")),
        ],
        "scaled_dot_product_attention": [trained(F.scaled_dot_product_attention, (2, 3, 4), (2, 5, 4), (2, 5, 6))],
        "positional_encoding": [lambda: nn.positional_encoding(7, 6)],
        "gate": [layer(nn.LSTM(3, 2))],
        "rnn_step": rnn,
        "rnn_gradient": rnn,
        "lstm_step": [layer(nn.LSTM(3, 2))],
        "lstm_gradient": [layer(nn.LSTM(3, 2))],
        "gru_step": [layer(nn.GRU(3, 2))],
        "gru_gradient": [layer(nn.GRU(3, 2))],
    }


def test_mask_of_zeros_and_ones_masks_as_a_bool_mask_does():
    layer, x = nn.MultiHeadAttention(4, 2).to(DEVICE), make(draw(2, 3, 4).astype("float32"))
    mask = np.array([[0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(host(layer(x, x, x, make(mask))), host(layer(x, x, x, make(mask == 1))))
    with pytest.raises(ValueError, match=r"\(2, 4\); it is \(batch, source\), \(2, 3\)"):
        layer(x, x, x, make(np.zeros((2, 4), bool)))


def test_attention_drops_no_weights_after_eval():
    layer, x = nn.ScaledDotProductAttention(dropout_p=0.9).eval(), make(draw(3, 4))
    np.testing.assert_array_equal(host(layer(x, x, x)), host(F.scaled_dot_product_attention(x, x, x)))


def test_batch_norm_needs_both_statistics_and_counts_no_refused_batch():
    layer, x = nn.BatchNorm2d(3).to(DEVICE), make(images)
    for options in ({"training": False}, {"running_mean": make(np.zeros(4))}):
        with pytest.raises(ValueError, match="go together"):
            F.batch_norm(x, **options)
    with pytest.raises(ValueError, match="channels"):
        layer(x)
    assert layer.num_batches_tracked.item() == 0


def test_integers_are_pooled_and_normalised_as_float32():
    x = make(np.arange(16, dtype="uint8").reshape(1, 1, 4, 4))
    for function in (lambda x: F.avg_pool2d(x, 2), lambda x: F.max_pool2d(x, 2, padding=1), F.batch_norm):
        np.testing.assert_array_equal(host(function(x)), host(function(x.astype("float32"))))
        assert function(x).dtype == "float32"


def test_interpolate_takes_the_elements_that_pytorch_takes_and_spreads_no_inf():
    x = make(np.array([[[[0, 1, 2, inf]]]], "float32"))
    np.testing.assert_array_equal(host(F.interpolate(x, scale_factor=(1, 2.3))), [[[[0, 0, 0, 1, 1, 2, 2, inf, inf]]]])


@pytest.mark.parametrize("row", [3, -4])
def test_padding_idx_that_is_no_row_is_refused(row):
    for call in (lambda: F.embedding(make(IDS), make(draw(3, 2)), row), lambda: nn.Embedding(3, 2, row)):
        with pytest.raises(ValueError, match=r"padding_idx is|there are only"):
            call()


def test_layer_called_with_too_few_inputs_names_the_missing_one():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'target'"):
        nn.MSELoss()(make(draw(2)))
    assert nn.MSELoss()(input_=make(draw(2)), target=make(draw(2))).shape == ()


def test_convolution_names_both_numbers_of_channels_and_both_dtypes():
    with pytest.raises(ValueError, match="4 channels of float64, the weight takes 3 of float32"):
        F.conv2d(make(images), make(np.ones((2, 3, 1, 1), "float32")))


def test_one_hot_takes_a_list():
    assert F.one_hot([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
