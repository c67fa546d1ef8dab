"""Embedding and Bilinear: layers whose input is not one array of features."""

import math

from lucidlite import checks
from lucidlite.backend import raw
from lucidlite.creation import zeros
from lucidlite.errors import composed
from lucidlite.nn import init
from lucidlite.nn.module import Module
from lucidlite.ops import einsum, where
from lucidlite.tensor import Parameter

from .basic import sizes


@composed
def embedding(input_, weight, padding_idx=None):
    """Rows of a table: whole numbers (...), weight (rows, width) -> (..., width). The row padding_idx stays."""
    ids = raw(input_)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"input_ is {ids.dtype}, but it numbers rows of weight: convert it with .astype('int64')")
    if ids.size and not 0 <= ids.min() <= ids.max() < len(weight):  # CuPy would take another row and say nothing
        raise IndexError(f"input_ goes from {ids.min()} to {ids.max()}; weight has the rows 0 to {len(weight) - 1}")
    rows = weight[input_]
    return rows if padding_idx is None else where((ids == padding_idx)[..., None], rows.detach(), rows)


class Embedding(Module):
    """`functional.embedding`: a trained vector for each of `num_embeddings` words: (...) -> (..., embedding_dim).

    The vectors start as standard normal numbers, as in PyTorch (in lucid uniform from -0.1 to 0.1), that of
    `padding_idx` as zeros, which stay.
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        super().__init__()
        sizes(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.weight, self.padding_idx = init.normal(Parameter(zeros(num_embeddings, embedding_dim))), padding_idx
        if padding_idx is not None:
            self.weight.data[checks.whole("Embedding: padding_idx", padding_idx, 0)] = 0

    def forward(self, input_):
        return embedding(input_, self.weight, self.padding_idx)


@composed
def bilinear(input_1, input_2, weight, bias=None):
    r"""A product of two inputs, (..., in1) and (..., in2), weight (out, in1, in2) and bias (out) -> (..., out).

        (1)  y_{n,o} = \sum_{i,j} x_{n,i} w_{o,i,j} z_{n,j}

    where x is `input_1`, z is `input_2` and w is `weight`; the bias is added.
    """
    y = einsum("...i,oij,...j->...o", input_1, weight, input_2)  # (1)
    return y if bias is None else y + bias


class Bilinear(Module):
    """`functional.bilinear`, (..., in1_features), (..., in2_features) -> (..., out_features).

    Weight and bias start as in `Linear`, where n is in1_features.
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True):
        super().__init__()
        sizes(self, in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        k = 1 / math.sqrt(in1_features)
        self.weight = init.uniform(Parameter(zeros(out_features, in1_features, in2_features)), -k, k)
        self.bias = init.uniform(Parameter(zeros(out_features)), -k, k) if checks.flag("Bilinear: bias", bias) else None

    def forward(self, input_1, input_2):
        return bilinear(input_1, input_2, self.weight, self.bias)
