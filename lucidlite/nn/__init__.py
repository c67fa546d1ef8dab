"""Layers, losses and what holds them together. `functional` has the same as plain functions."""

from ..tensor import Parameter
from . import functional, init, utils
from .module import Module, ModuleDict, ModuleList, Sequential
from .basic import Bilinear, Dropout, Dropout2d, Embedding, Flatten, Identity, Linear
from .activations import ELU, GELU, SELU, LeakyReLU, LogSoftmax, Mish, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, L1Loss, MSELoss, NLLLoss
from .convolution import Conv1d, Conv2d, ConvTranspose2d, Unfold
from .convolution import AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d, Upsample
from .normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .attention import MultiHeadAttention, ScaledDotProductAttention, TransformerEncoderLayer, positional_encoding
