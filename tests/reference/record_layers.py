"""Record what PyTorch's layers compute, for the tests of ours: `python tests/reference/record_layers.py`, with torch.

Writes torch_layers.json (the cases) and torch_layers.safetensors (their arrays), beside this file. A case has a layer's
class and arguments, its parameters, its inputs, its outputs, and the gradients of sum(output * cotangent) by inputs and
parameters; a layer with running statistics has these after the call too. Sizes are odd on purpose.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent
ARRAYS, CASES = {}, []


def store(key, x):
    ARRAYS[key] = x.detach().clone().contiguous()


class Attention(nn.Module):
    """scaled_dot_product_attention as a layer of three inputs."""

    def __init__(self, is_causal=False, scale=None, mask=None):
        super().__init__()
        self.options = {
            "is_causal": is_causal,
            "scale": scale,
            "attn_mask": None if mask is None else torch.tensor(mask),
        }

    def forward(self, q, k, v):
        return functional.scaled_dot_product_attention(q, k, v, **self.options)


def flat(x):
    """The tensors of nested tuples, in order; what is None is left out."""
    if x is None:
        return []
    return [x] if isinstance(x, torch.Tensor) else [t for part in x for t in flat(part)]


def record(name, layer, shapes, *args, dtype=torch.float64, training=True, own=None, high=None, call=None, **kwargs):
    """One case. `shapes` are the inputs'; with `high` the first input holds whole numbers below it."""
    torch.manual_seed(len(CASES))
    cls = own or getattr(nn, layer)
    module = cls(*args, **kwargs).to(dtype).train(training)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, dtype=dtype) * 0.5)
    for key, b in module.named_buffers():
        if b.is_floating_point():
            b.copy_(torch.rand(b.shape, dtype=dtype) + 0.5)
        store(f"{name}/buffer/{key}", b)
    inputs = [torch.randn(s, dtype=dtype, requires_grad=True) for s in shapes]
    if high:
        inputs[0] = torch.randint(high, shapes[0])
    given = [inputs[0], tuple(inputs[1:])] if call == "states" else inputs
    extra = {"need_weights": True} if layer == "MultiheadAttention" else {}
    outputs = flat(module(*given, **extra))
    weights = [torch.randn(o.shape, dtype=dtype) for o in outputs]
    sum((o * w).sum() for o, w in zip(outputs, weights)).backward()
    for i, x in enumerate(inputs):
        store(f"{name}/input/{i}", x)
        if x.grad is not None:
            store(f"{name}/input_grad/{i}", x.grad)
    for i, (o, w) in enumerate(zip(outputs, weights)):
        store(f"{name}/output/{i}", o)
        store(f"{name}/cotangent/{i}", w)
    for key, p in module.named_parameters():
        store(f"{name}/parameter/{key}", p)
        store(f"{name}/parameter_grad/{key}", p.grad)
    for key, b in module.named_buffers():
        store(f"{name}/buffer_after/{key}", b)
    case = {
        "name": name,
        "layer": layer,
        "args": args,
        "kwargs": kwargs,
        "inputs": len(inputs),
        "outputs": len(outputs),
    }
    case |= {"dtype": str(dtype).removeprefix("torch."), "training": training, "states": call == "states"}
    CASES.append(case)


def both(name, *args, **kwargs):
    """The case in float64, and in float32."""
    record(name, *args, **kwargs)
    record(f"{name}-float32", *args, dtype=torch.float32, **kwargs)


def convolutions():
    both("conv1d", "Conv1d", [(3, 3, 11)], 3, 4, 3)
    record("conv1d-stride-pad-dilation", "Conv1d", [(2, 4, 13)], 4, 6, 3, stride=2, padding=1, dilation=2, groups=2)
    record("conv1d-same", "Conv1d", [(2, 3, 8)], 3, 2, 4, padding="same", bias=False)
    record("conv1d-unbatched", "Conv1d", [(3, 9)], 3, 2, 3, padding="valid")
    both("conv2d", "Conv2d", [(3, 3, 7, 9)], 3, 5, 3)
    record("conv2d-stride", "Conv2d", [(2, 3, 8, 7)], 3, 4, 3, stride=2, padding=1)
    record("conv2d-uneven", "Conv2d", [(2, 2, 9, 10)], 2, 3, (2, 3), stride=(3, 2), padding=(2, 1), dilation=(2, 1))
    record("conv2d-groups", "Conv2d", [(2, 6, 6, 5)], 6, 9, 3, padding=1, groups=3)
    record("conv2d-depthwise", "Conv2d", [(2, 4, 6, 6)], 4, 4, 3, padding=1, groups=4)
    record("conv2d-same", "Conv2d", [(2, 2, 6, 5)], 2, 3, (4, 3), padding="same", dilation=(1, 2))
    record("conv2d-1x1", "Conv2d", [(2, 5, 4, 3)], 5, 3, 1)
    record("conv2d-1x1-stride", "Conv2d", [(2, 3, 5, 7)], 3, 4, 1, stride=2)
    record("conv2d-patches", "Conv2d", [(2, 3, 8, 6)], 3, 4, 2, stride=2, bias=False)
    record("conv2d-patches-rest", "Conv2d", [(2, 3, 9, 7)], 3, 4, 2, stride=2)
    record("conv2d-gaps", "Conv2d", [(2, 2, 9, 9)], 2, 2, 2, stride=4)
    both("conv-transpose2d", "ConvTranspose2d", [(2, 4, 5, 3)], 4, 3, 3)
    record("conv-transpose2d-stride", "ConvTranspose2d", [(2, 3, 4, 5)], 3, 2, 3, stride=2, padding=1, output_padding=1)
    record(
        "conv-transpose2d-uneven",
        "ConvTranspose2d",
        [(2, 4, 3, 4)],
        4,
        6,
        (2, 3),
        stride=(3, 2),
        padding=(1, 0),
        output_padding=(2, 1),
        groups=2,
        dilation=(2, 1),
        bias=False,
    )
    both("unfold", "Unfold", [(2, 3, 7, 6)], (3, 2), dilation=2, padding=(1, 2), stride=(2, 1))


def pools():
    both("max-pool1d", "MaxPool1d", [(2, 3, 11)], 3)
    record("max-pool1d-pad", "MaxPool1d", [(2, 3, 11)], 3, stride=2, padding=1)
    both("max-pool2d", "MaxPool2d", [(2, 3, 8, 9)], 2)
    record("max-pool2d-overlap", "MaxPool2d", [(2, 3, 8, 9)], 3, stride=2, padding=1)
    record("max-pool2d-uneven", "MaxPool2d", [(2, 2, 9, 7)], (3, 2), stride=(1, 3), padding=(1, 0))
    both("avg-pool1d", "AvgPool1d", [(2, 3, 10)], 4, stride=3, padding=1)
    both("avg-pool2d", "AvgPool2d", [(2, 3, 9, 8)], 2)
    record("avg-pool2d-pad", "AvgPool2d", [(2, 3, 8, 9)], (3, 2), stride=2, padding=1)
    both("adaptive-avg-pool2d", "AdaptiveAvgPool2d", [(2, 3, 7, 10)], (3, 4))
    record("adaptive-avg-pool2d-one", "AdaptiveAvgPool2d", [(2, 3, 5, 6)], 1)
    record("adaptive-avg-pool2d-keep", "AdaptiveAvgPool2d", [(2, 3, 5, 6)], (None, 3))
    both("upsample", "Upsample", [(2, 3, 4, 5)], scale_factor=2)
    record("upsample-size", "Upsample", [(2, 3, 4, 5)], size=(7, 11))
    record("upsample-1d", "Upsample", [(2, 3, 5)], scale_factor=3)


def norms():
    both("batch-norm1d", "BatchNorm1d", [(7, 3)], 3)
    record("batch-norm1d-sequence", "BatchNorm1d", [(4, 3, 5)], 3, momentum=0.3, eps=1e-3)
    record("batch-norm1d-eval", "BatchNorm1d", [(5, 3)], 3, training=False)
    both("batch-norm2d", "BatchNorm2d", [(3, 4, 5, 2)], 4)
    record("batch-norm2d-eval", "BatchNorm2d", [(3, 4, 5, 2)], 4, training=False)
    record("batch-norm2d-plain", "BatchNorm2d", [(3, 4, 5, 2)], 4, affine=False, track_running_stats=False)
    both("layer-norm", "LayerNorm", [(3, 4, 5)], 5)
    record("layer-norm-two-axes", "LayerNorm", [(3, 4, 5)], (4, 5), eps=1e-2)
    record("layer-norm-no-bias", "LayerNorm", [(3, 5)], 5, bias=False)
    record("layer-norm-plain", "LayerNorm", [(3, 5)], 5, elementwise_affine=False)
    both("group-norm", "GroupNorm", [(3, 6, 4, 5)], 3, 6)
    record("group-norm-plain", "GroupNorm", [(3, 4, 5)], 1, 4, affine=False)
    record("embedding", "Embedding", [(3, 4)], 6, 5, high=6)
    record("embedding-padding", "Embedding", [(3, 4)], 6, 5, padding_idx=2, high=6)
    both("bilinear", "Bilinear", [(3, 4), (3, 5)], 4, 5, 2)
    record("bilinear-batches", "Bilinear", [(2, 3, 4), (2, 3, 5)], 4, 5, 2, bias=False)


def recurrent():
    for cls, states in (("RNN", 1), ("LSTM", 2), ("GRU", 1)):
        name = cls.lower()
        both(name, cls, [(6, 3, 4)], 4, 5)
        record(f"{name}-batch-first", cls, [(3, 6, 4)], 4, 5, batch_first=True, bias=False)
        record(f"{name}-unbatched", cls, [(6, 4)], 4, 5)
        record(f"{name}-two-layers", cls, [(5, 2, 4)], 4, 3, num_layers=2)
        record(f"{name}-bidirectional", cls, [(5, 2, 4)], 4, 3, num_layers=2, bidirectional=True)
        call = "states" if states == 2 else None
        record(f"{name}-state", cls, [(5, 3, 4)] + [(2, 3, 3)] * states, 4, 3, bidirectional=True, call=call)
        record(f"{name}-cell", f"{cls}Cell", [(3, 4)] + [(3, 5)] * states, 4, 5, call=call)
        record(f"{name}-cell-unbatched", f"{cls}Cell", [(4,)], 4, 5, bias=False)
    record("rnn-relu", "RNN", [(5, 2, 4)], 4, 3, nonlinearity="relu")
    record("rnn-cell-relu", "RNNCell", [(3, 4), (3, 5)], 4, 5, nonlinearity="relu")


def attention():
    triple = [(2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)]
    both("attention", "ScaledDotProductAttention", triple, own=Attention)
    record("attention-causal", "ScaledDotProductAttention", [(2, 5, 4)] * 3, own=Attention, is_causal=True)
    record("attention-scale", "ScaledDotProductAttention", triple, own=Attention, scale=0.3)
    mask = [[True, False, True, True], [True, True, False, False], [True, True, True, True]]
    record("attention-mask", "ScaledDotProductAttention", [(2, 3, 5), (2, 4, 5), (2, 4, 5)], own=Attention, mask=mask)
    added = [[0.0, -1.0, 0.5, 2.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, -3.0]]
    record("attention-added", "ScaledDotProductAttention", [(2, 3, 5), (2, 4, 5), (2, 4, 5)], own=Attention, mask=added)
    both("multi-head", "MultiheadAttention", [(2, 5, 6), (2, 4, 6), (2, 4, 6)], 6, 3, batch_first=True)
    both("encoder-layer", "TransformerEncoderLayer", [(2, 5, 6)], 6, 2, 8, dropout=0.0, batch_first=True)
    record(
        "encoder-layer-first",
        "TransformerEncoderLayer",
        [(2, 5, 6)],
        6,
        3,
        8,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )


def model():
    """A convolutional network's state_dict, as PyTorch's users save it, with an input and its outputs."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    )
    x = torch.randn(5, 1, 8, 8)
    net(x)  # so that the running statistics are not the initial ones
    net.eval()
    save_file(net.state_dict(), HERE / "torch_cnn.safetensors")
    store("cnn/input", x)
    store("cnn/output", net(x))


def main():
    for part in (convolutions, pools, norms, recurrent, attention, model):
        part()
    save_file(ARRAYS, HERE / "torch_layers.safetensors")
    text = ",\n".join(json.dumps(case) for case in CASES)
    (HERE / "torch_layers.json").write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{text}\n]}}\n')
    print(f"{len(CASES)} cases, {len(ARRAYS)} arrays, {sum(a.nbytes for a in ARRAYS.values()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
