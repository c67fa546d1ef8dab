"""Attention: every position of a sequence looks at the others and takes a mixture of what it finds there."""

import math

from .. import autograd, backend, checks, creation, ops
from ..tensor import Parameter
from . import activations, basic, init
from .module import Module
from .normalization import LayerNorm


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, output_weight=False, training=True
):
    r"""For each query a mean of the values, weighed by how well their keys fit it.

        (1)  S = s Q K^⊤
        (2)  P = \operatorname{softmax}(S)
        (3)  Y = P V

    where S is `scores`, Q is `query`, (..., length, width), K is `key`, (..., source, width), V is `value`, (...,
    source, out), P is `weights`, Y is `output` and s is `scale`, the root of 1 / width unless given. `attn_mask`,
    (length, source), or each of a list, is added to S, or, if bool, says what may be looked at; `is_causal` leaves out
    what comes later. `dropout_p` is the probability to drop a weight in training; `output_weight` returns (Y, P).

    Source: Vaswani and others, arXiv:1706.03762, 2017, equation 1."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * query @ key.swapaxes(-1, -2)  # (1)
    masks = list(attn_mask) if isinstance(attn_mask, (tuple, list)) else [attn_mask]
    if is_causal:
        masks.append(autograd.wrap(backend.create("tri", scores.device, *scores.shape[-2:], dtype=bool)))
    for mask in masks:
        if mask is not None:
            added = mask.dtype.kind == "f"
            scores = scores + mask.astype(scores.dtype) if added else ops.where(mask, scores, -math.inf)
    weights = activations.softmax(scores)  # (2)
    weights = basic.dropout(weights, dropout_p, training)
    output = weights @ value  # (3)
    return (output, weights) if output_weight else output


class ScaledDotProductAttention(basic.FunctionLayer, function=scaled_dot_product_attention): ...


class MultiHeadAttention(Module):
    """Several attentions side by side, each of width embed_dim / num_heads, with its own projections.

    Parameters have PyTorch's names and layouts, inputs the axes of its `batch_first=True`; `dropout` drops weights."""

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        basic.sizes(self, embed_dim=embed_dim, num_heads=num_heads)
        checks.refuse(embed_dim % num_heads, f"embed_dim is {embed_dim}, no multiple of num_heads, {num_heads}")
        self.dropout = checks.option("p", dropout, "dropout ")
        self.in_proj_weight = init.xavier_uniform(Parameter(creation.zeros(3 * embed_dim, embed_dim)))
        self.out_proj = basic.Linear(embed_dim, embed_dim, bias)
        biases = (Parameter(creation.zeros(n * embed_dim)) if bias else None for n in (3, 1))
        self.in_proj_bias, self.out_proj.bias = biases

    def _projected(self, *inputs):
        """Query, key and value, (batch, length, width), as (batch, heads, length, width / heads)."""
        weight, bias = self.in_proj_weight, self.in_proj_bias
        if inputs[0] is inputs[1] is inputs[2]:  # one product in place of three
            parts = ops.chunk(basic.linear(inputs[0], weight, bias), 3, -1)
        else:
            biases = [None] * 3 if bias is None else ops.chunk(bias, 3)
            parts = map(basic.linear, inputs, ops.chunk(weight, 3), biases)
        return [x.reshape(*x.shape[:2], self.num_heads, self.embed_dim // self.num_heads).swapaxes(1, 2) for x in parts]

    def forward(self, query, key, value, key_padding_mask=None, need_weights=False, attn_mask=None, is_causal=False):
        """(batch, length, embed_dim); with `need_weights` also the weights, (batch, length, source), a mean over heads.

        As in PyTorch's layer, True in a bool `key_padding_mask`, (batch, source), or `attn_mask` leaves a place out."""
        given = [x.shape for x in (query, key, value)]
        checks.refuse({*map(len, given)} != {3}, f"query, key and value are {given}; they must have 3 axes each")
        if key_padding_mask is not None and key_padding_mask.shape != key.shape[:2]:
            raise ValueError(f"key_padding_mask is {key_padding_mask.shape}; it is (batch, source), {key.shape[:2]}")
        masks = [attn_mask, None if key_padding_mask is None else key_padding_mask[:, None, None, :]]
        masks = [m if m is None or m.dtype.kind == "f" else m == 0 for m in masks]
        p, (q, k, v) = self.dropout if self.training else 0.0, self._projected(query, key, value)
        output, weights = scaled_dot_product_attention(q, k, v, masks, p, is_causal, output_weight=True)
        output = self.out_proj(output.swapaxes(1, 2).reshape(query.shape))
        return (output, weights.mean(axis=1)) if need_weights else output


class TransformerEncoderLayer(Module):
    """Attention, then two fully connected layers, each with a way around it and a normalisation.

    (batch, length, d_model) -> the same, `dim_feedforward` wide between the layers; `activation` is "relu" or "gelu".
    With `norm_first` deep stacks train more easily. Source: Vaswani and others, arXiv:1706.03762, 2017, section 3.1."""

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu", *, norm_first=False):
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout)
        self.linear1, self.linear2 = basic.Linear(d_model, dim_feedforward), basic.Linear(dim_feedforward, d_model)
        self.norm1, self.norm2, self.drop = LayerNorm(d_model), LayerNorm(d_model), basic.Dropout(dropout)
        kinds = {"relu": ops.relu, "gelu": activations.gelu}
        self.activation = kinds[checks.choice("activation", activation, (*kinds,))]
        self.norm_first = checks.flag("norm_first", norm_first)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        attend = lambda x: self.drop(self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal))
        feed = lambda x: self.drop(self.linear2(self.drop(self.activation(self.linear1(x)))))
        if self.norm_first:
            x = src + attend(self.norm1(src))
            return x + feed(self.norm2(x))
        x = self.norm1(src + attend(src))
        return self.norm2(x + feed(x))


def positional_encoding(length, width):
    r"""Waves that tell positions apart, to be added to a sequence: (length, width).

        (1)  A = \frac{p}{10000^{\frac{2 i}{d}}}
        (2)  e = \sin(A)
        (3)  o = \cos(A)

    where A is `angles` and d is `width`; e fills columns 0, 2, ..., o the rest. Source: arXiv:1706.03762, part 3.5."""
    p, i = creation.arange(length, dtype="float64")[:, None], creation.arange((width + 1) // 2, dtype="float64")
    angles = p / 10000 ** (2 * i / width)  # (1)
    e = ops.sin(angles)  # (2)
    o = ops.cos(angles)  # (3)
    return ops.stack([e, o], -1).reshape(length, -1)[:, :width].astype("float32")
