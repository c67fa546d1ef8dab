"""Layers against PyTorch: outputs, gradients and running statistics that tests/reference/record_layers.py recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import nn

REFERENCE = Path(__file__).parent / "reference"
CASES = json.loads((REFERENCE / "torch_layers.json").read_text())["cases"]
NAMES = {"MultiheadAttention": "MultiHeadAttention"}  # lucid's name for it
OPTIONS = {"MultiheadAttention": {"need_weights": True}}  # which we return only if asked to
# float64 differs by rounding in another order of summation alone; float32 adds up to some hundred terms.
CLOSE = {"float64": {"rtol": 1e-10, "atol": 1e-12}, "float32": {"rtol": 2e-4, "atol": 2e-5}}


@pytest.fixture(scope="module")
def recorded():
    arrays = lucidlite.load(REFERENCE / "torch_layers.safetensors")
    return lambda prefix: {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _listed(x):
    """The Tensors of nested tuples, in order."""
    return [x] if isinstance(x, lucidlite.Tensor) else [t for part in x if part is not None for t in _listed(part)]


def _tuples(x):
    return tuple(map(_tuples, x)) if isinstance(x, list) and not isinstance(x[0], list) else x


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_layer_computes_what_torch_computed(case, recorded):
    name, close = case["name"], CLOSE[case["dtype"]]
    layer = getattr(nn, NAMES.get(case["layer"], case["layer"]))
    options = {k: _tuples(v) for k, v in case["kwargs"].items()}
    if case["layer"] in ("MultiheadAttention", "TransformerEncoderLayer"):
        del options["batch_first"]  # True, and ours know nothing else
    if "mask" in options:
        options["attn_mask"] = make(np.array(options.pop("mask")))
    layer = layer(*map(_tuples, case["args"]), **options).to(case["dtype"]).to(DEVICE).train(case["training"])
    parameters, buffers = recorded(f"{name}/parameter/"), recorded(f"{name}/buffer/")
    layer.load_state_dict(parameters | buffers)
    arrays = recorded(f"{name}/input/")
    inputs = [make(arrays[str(i)], arrays[str(i)].dtype.kind == "f") for i in range(case["inputs"])]
    states = (inputs[1:] if len(inputs) == 2 else tuple(inputs[1:]),) if case["states"] else inputs[1:]
    outputs = _listed(layer(inputs[0], *states, **OPTIONS.get(case["layer"], {})))
    wanted, cotangents = recorded(f"{name}/output/"), recorded(f"{name}/cotangent/")
    assert len(outputs) == case["outputs"]
    total = 0
    for i, y in enumerate(outputs):
        assert y.dtype == case["dtype"]
        np.testing.assert_allclose(host(y), wanted[str(i)], **close, err_msg=f"output {i}")
        total = total + (y * make(cotangents[str(i)])).sum()
    total.backward()
    for i, gradient in recorded(f"{name}/input_grad/").items():
        np.testing.assert_allclose(host(inputs[int(i)].grad), gradient, **close, err_msg=f"gradient of input {i}")
    gradients = {key: host(p.grad) for key, p in layer.named_parameters()}
    assert gradients.keys() == recorded(f"{name}/parameter_grad/").keys()
    for key, gradient in recorded(f"{name}/parameter_grad/").items():
        np.testing.assert_allclose(gradients[key], gradient, **close, err_msg=f"gradient of {key}")
    after = dict(layer.named_buffers())
    for key, value in recorded(f"{name}/buffer_after/").items():
        np.testing.assert_allclose(host(after[key]), value, **close, err_msg=f"{key} after the call")
