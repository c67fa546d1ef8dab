"""Layers that wait for room in `lucidlite.nn`: convolution, pooling, normalisation, recurrence, attention, embedding.

They are written and tested, but with them the package would have more lines than its budget allows. They move into
`lucidlite/nn/` as the rest becomes simpler, and are no part of what is installed. Until then, from the root of the
repository, `from incubator import nn` gives `lucidlite.nn` together with them.
"""

import types

from lucidlite import nn as _nn

from .attention import MultiHeadAttention, ScaledDotProductAttention, TransformerEncoderLayer, positional_encoding
from .attention import scaled_dot_product_attention
from .basic import Dropout2d, dropout2d
from .convolution import Conv1d, Conv2d, ConvTranspose2d, Unfold, conv1d, conv2d, conv_transpose2d, unfold
from .embedding import Bilinear, Embedding, bilinear, embedding
from .normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, batch_norm, group_norm, layer_norm
from .pooling import AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d, Upsample
from .pooling import adaptive_avg_pool2d, avg_pool1d, avg_pool2d, interpolate, max_pool1d, max_pool2d
from .recurrent import GRU, GRUCell, LSTM, LSTMCell, RNN, RNNCell

_own = {name: value for name, value in globals().items() if getattr(value, "__module__", "").startswith("incubator")}
_classes = {name: value for name, value in _own.items() if isinstance(value, type) or name == "positional_encoding"}
_functions = {name: value for name, value in _own.items() if not isinstance(value, type)}
nn = types.SimpleNamespace(**vars(_nn) | _classes)
nn.functional = types.SimpleNamespace(**vars(_nn.functional) | _functions)
