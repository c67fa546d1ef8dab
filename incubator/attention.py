"""Attention: every position of a sequence looks at the others and takes a mixture of what it finds there."""

import math
from typing import Any

from lucidlite import backend, checks
from lucidlite.autograd import wrap
from lucidlite.creation import zeros
from lucidlite.errors import composed
from lucidlite.nn import init
from lucidlite.nn.activations import gelu, softmax
from lucidlite.nn.basic import Dropout, FunctionLayer, Linear, dropout, linear
from lucidlite.nn.module import Module
from lucidlite.ops import chunk, relu, where
from lucidlite.tensor import Parameter, Tensor

from .basic import sizes
from .normalization import LayerNorm


@composed
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, output_weight=False
):
    r"""For each query a mean of the values, weighed by how well their keys fit it.

        (1)  S = s Q K^⊤
        (2)  P = \operatorname{softmax}(S)
        (3)  Y = P V

    where S is `scores`, Q is `query`, (..., length, width), K is `key`, (..., source, width), V is `value`, (...,
    source, out), P is `weights`, Y is `output` and s is `scale`, the root of 1 / width unless given. `attn_mask`,
    (length, source), is added to S, or, if bool, says what may be looked at; `is_causal` leaves out what comes later.
    `dropout_p` is the probability that a weight is dropped; `output_weight` returns (Y, P).

    Source: Vaswani and others, arXiv:1706.03762, 2017, equation 1.
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * query @ key.swapaxes(-1, -2)  # (1)
    if is_causal:
        seen = backend.create("tri", scores.device, *scores.shape[-2:], dtype=bool)
        scores = where(wrap(seen), scores, -math.inf)
    if attn_mask is not None:
        added = attn_mask.dtype.kind == "f"
        scores = scores + attn_mask if added else where(attn_mask, scores, -math.inf)
    weights = softmax(scores)  # (2)
    weights = dropout(weights, dropout_p)
    output = weights @ value  # (3)
    return (output, weights) if output_weight else output


class ScaledDotProductAttention(FunctionLayer, function=scaled_dot_product_attention): ...


class MultiHeadAttention(Module):
    """Several attentions side by side, each of width embed_dim / num_heads, with its own projections.

    `kdim` and `vdim` are the widths of keys and values, embed_dim unless given; `dropout` is the probability that a
    weight is dropped in training. Weights have PyTorch's names and layouts, inputs the axes of its `batch_first=True`.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, *, kdim=None, vdim=None):
        super().__init__()
        sizes(self, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim is {embed_dim}, no multiple of num_heads, {num_heads}")
        self.dropout = checks.option("p", dropout, "dropout ")
        widths = [embed_dim, kdim or embed_dim, vdim or embed_dim]
        shapes = {f"{x}_proj_weight": (embed_dim, n) for x, n in zip("qkv", widths)}
        for name, shape in shapes.items() if len(set(widths)) > 1 else [("in_proj_weight", (3 * embed_dim, embed_dim))]:
            self.register_parameter(name, init.xavier_uniform(Parameter(zeros(shape))))
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        self.in_proj_bias = Parameter(zeros(3 * embed_dim)) if bias else None
        if bias:
            init.constant(self.out_proj.bias, 0.0)

    def _projected(self, *inputs):
        """Query, key and value, (batch, length, width), as (batch, heads, length, width / heads)."""
        weight = getattr(self, "in_proj_weight", None)
        if weight is not None and inputs[0] is inputs[1] is inputs[2]:  # one product in place of three
            parts = chunk(linear(inputs[0], weight, self.in_proj_bias), 3, -1)
        else:
            bias = [None] * 3 if self.in_proj_bias is None else chunk(self.in_proj_bias, 3)
            apart = weight is None and (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            parts = map(linear, inputs, apart or chunk(weight, 3), bias)
        return [x.reshape(*x.shape[:2], self.num_heads, self.embed_dim // self.num_heads).swapaxes(1, 2) for x in parts]

    def forward(self, query, key, value, key_padding_mask=None, need_weights=False, attn_mask=None, is_causal=False):
        """(batch, length, embed_dim); with `need_weights` also the weights, (batch, length, source), a mean over heads.

        As in PyTorch's layer, True in a bool `key_padding_mask`, (batch, source), or `attn_mask` leaves a place out.
        """
        padding = getattr(key_padding_mask, "shape", key.shape[:2])
        if {query.ndim, key.ndim, value.ndim} != {3} or padding != key.shape[:2]:
            given = f"query {query.shape}, key {key.shape}, value {value.shape} must have 3 axes"
            raise ValueError(f"MultiHeadAttention: {given}, key_padding_mask {padding} must be (batch, source)")
        masks = [attn_mask, None if key_padding_mask is None else key_padding_mask[:, None, None, :]]
        masks = [m if m.dtype.kind == "f" else where(m, -math.inf, 0.0) for m in masks if m is not None]
        total: Any = sum(masks)
        mask, p = total.astype(query.dtype) if masks else None, self.dropout if self.training else 0.0
        query, key, value = self._projected(query, key, value)
        output, weights = scaled_dot_product_attention(query, key, value, mask, p, is_causal, None, True)
        output = self.out_proj(output.swapaxes(1, 2).reshape(*weights.shape[::2], self.embed_dim))
        return (output, weights.mean(axis=1)) if need_weights else output


class TransformerEncoderLayer(Module):
    """Attention, then two fully connected layers, each with a way around it and a normalisation.

    (batch, length, d_model) -> the same; `dim_feedforward` is the width between the two layers, `activation` "relu" or
    "gelu". `norm_first` normalises before attention and layers: deep stacks train more easily so. The masks are those
    of `MultiHeadAttention`.

    Source: Vaswani and others, arXiv:1706.03762, 2017, section 3.1.
    """

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu", *, norm_first=False):
        super().__init__()
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout)
        self.linear1, self.linear2 = Linear(d_model, dim_feedforward), Linear(dim_feedforward, d_model)
        self.norm1, self.norm2, self.drop = LayerNorm(d_model), LayerNorm(d_model), Dropout(dropout)
        self.activation = checks.choice("activation", activation, ("relu", "gelu"))
        self.norm_first = checks.flag("norm_first", norm_first)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        first = self.norm_first
        x = self.norm1(src) if first else src
        x = src + self.drop(self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal))
        x = x if first else self.norm1(x)
        y = self.linear1(self.norm2(x) if first else x)
        y = self.drop(gelu(y) if self.activation == "gelu" else relu(y))
        y = x + self.drop(self.linear2(y))
        return y if first else self.norm2(y)


def positional_encoding(length, width):
    r"""Waves that tell positions apart, to be added to a sequence: (length, width), width even.

        (1)  A = \frac{p}{10000^{\frac{2 i}{d}}}
        (2)  e = \sin(A)
        (3)  o = \cos(A)

    where A is `angles`, p is `positions`, d is `width`, e is `even`, what is in columns 0, 2, ..., and o is `odd`.

    Source: Vaswani and others, arXiv:1706.03762, 2017, section 3.5.
    """
    if checks.whole("positional_encoding: width", width) % 2:
        raise ValueError(f"positional_encoding: width is {width}; it must be even")
    positions, i = backend.numpy.arange(length)[:, None], backend.numpy.arange(width // 2)
    angles = positions / 10000 ** (2 * i / width)  # (1)
    even = backend.numpy.sin(angles)  # (2)
    odd = backend.numpy.cos(angles)  # (3)
    return Tensor(backend.numpy.stack([even, odd], axis=-1).reshape(length, width).astype("float32"))
