"""Recurrent layers: a cell that reads a sequence step by step and carries a state along; RNN, LSTM and GRU. A step
takes x, what the input adds to each gate, r, what the last state adds, and the state."""

from functools import partial

from .. import autograd, checks, creation, ops
from ..autograd import defgrad, op
from ..backend import raw, xp, zeros
from .basic import drawn, dropout, linear, sizes
from .module import Module


def rnn_step(mode, x, r, h):
    r"""Elman's cell: the new state, (batch, hidden).

        (1)  h_t = \tanh(x + r)                          if mode is "tanh", else \max(x + r, 0)

    Source: Elman, Finding Structure in Time, 1990."""
    h = ops.tanh(x + r) if mode == "tanh" else ops.relu(x + r)  # (1)
    return (h,), h


def rnn_gradient(mode, d_x, d_r, h, old, d_h):
    r"""The gradient of x goes into d_x, which is d_r too; the old state gets nothing but by way of r.

    (1)  ∂x = ∂h (1 - h^2)                            if mode is "tanh", else ∂h \operatorname{sign}(h)"""
    d_x[...] = d_h * (1 - h * h) if mode == "tanh" else d_h * ops.sign(h)  # (1)
    return (0,)


def gate(z):
    r"""The logistic function, from 0 to 1, by way of tanh, which takes half the time of an exponential.

    (1)  y = \frac{1 + \tanh(\frac{z}{2})}{2}"""
    return (ops.tanh(z * 0.5) + 1) * 0.5  # (1)


def _gates(z, n):
    k = z.shape[-1] // n
    return [z[..., i * k : (i + 1) * k] for i in range(n)]


def lstm_step(x, r, h, c):
    r"""Long short-term memory: the new state h and the new memory c, each (batch, hidden), from four gates.

        (1)  i = \operatorname{sigmoid}(z_1)
        (2)  f = \operatorname{sigmoid}(z_2)
        (3)  g = \tanh(z_3)
        (4)  o = \operatorname{sigmoid}(z_4)
        (5)  c_t = f c_{t-1} + i g
        (6)  s = \tanh(c_t)
        (7)  h_t = o s

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; the gate f: Gers and others, 2000."""
    z_1, z_2, z_3, z_4 = _gates(x + r, 4)
    i = gate(z_1)  # (1)
    f = gate(z_2)  # (2)
    g = ops.tanh(z_3)  # (3)
    o = gate(z_4)  # (4)
    c = f * c + i * g  # (5)
    s = ops.tanh(c)  # (6)
    h = o * s  # (7)
    return (h, c), (i, f, g, o, s)


def lstm_gradient(d_x, d_r, saved, old, d_h, d_c):
    r"""The gradient of x + r goes into d_x, which is d_r too; that of the old memory is a result.

        (1)  k = ∂c + ∂h o (1 - s^2)
        (2)  ∂i = k g i (1 - i)
        (3)  ∂f = k c f (1 - f)
        (4)  ∂g = k i (1 - g^2)
        (5)  ∂o = ∂h s o (1 - o)

    where c is `old[1]`."""
    (i, f, g, o, s), (d_i, d_f, d_g, d_o) = saved, _gates(d_x, 4)
    k = d_c + d_h * o * (1 - s * s)  # (1)
    d_i[...] = k * g * i * (1 - i)  # (2)
    d_f[...] = k * old[1] * f * (1 - f)  # (3)
    d_g[...] = k * i * (1 - g * g)  # (4)
    d_o[...] = d_h * s * o * (1 - o)  # (5)
    return 0, k * f


def gru_step(x, r, h):
    r"""Gated recurrent unit: the new state, (batch, hidden), from three gates.

        (1)  a = \operatorname{sigmoid}(x_1 + r_1)
        (2)  z = \operatorname{sigmoid}(x_2 + r_2)
        (3)  n = \tanh(x_3 + a r_3)
        (4)  h_t = n + z (h_{t-1} - n)

    Source: Cho and others, arXiv:1406.1078, 2014; a after the matrix product, as in PyTorch and cuDNN."""
    (x_1, x_2, x_3), (r_1, r_2, r_3) = _gates(x, 3), _gates(r, 3)
    a = gate(x_1 + r_1)  # (1)
    z = gate(x_2 + r_2)  # (2)
    n = ops.tanh(x_3 + a * r_3)  # (3)
    h = n + z * (h - n)  # (4)
    return (h,), (a, z, n, r_3)


def gru_gradient(d_x, d_r, saved, old, d_h):
    r"""The gradients of x and r differ in the last gate, where a stands before r, which is m here.

        (1)  ∂n = ∂h (1 - z) (1 - n^2)
        (2)  ∂a = ∂n m a (1 - a)
        (3)  ∂z = ∂h (h - n) z (1 - z)
        (4)  ∂m = ∂n a

    where h is `old[0]`."""
    (a, z, n, m), (d_a, d_z, d_n), d_m = saved, _gates(d_x, 3), _gates(d_r, 3)[2]
    d_n[...] = d_h * (1 - z) * (1 - n * n)  # (1)
    d_a[...] = d_n * m * a * (1 - a)  # (2)
    d_z[...] = d_h * (old[0] - n) * z * (1 - z)  # (3)
    d_r[...] = d_x
    d_m[...] = d_n * a  # (4)
    return (d_h * z,)


@op
def _sequence(x, weight, start, bias, mode, tape):
    """A whole sequence as one op: x (time, batch, gates hidden), weight (gates hidden, hidden), start (states, batch,
    hidden) -> all states, (states, time + 1, batch, hidden). What else the gradient needs goes onto the tape."""
    step, w, states = MODES[mode][0], xp(x).ascontiguousarray(weight.T), list(start)
    y, tape["saved"] = xp(x).empty((len(start), len(x) + 1, *start.shape[1:]), x.dtype), []
    y[:, 0] = start
    for t in range(len(x)):
        r = states[0].dot(w)  # BLAS takes twice as long for weight.T itself
        states, saved = step(x[t], r if bias is None else r + bias, *states)
        tape["saved"].append(saved)
        for k, state in enumerate(states):
            y[k, t + 1] = state
    return y


def _through_time(g, x, weight, start, bias, y, mode, tape):
    """The gradients of x, weight, start and bias."""
    dx, through = xp(x).empty_like(x), [0] * len(start)  # what arrives from later steps
    dr = xp(x).empty_like(x) if mode == "gru" else dx
    for t in reversed(range(len(x))):
        arriving = [later + now[t + 1] for later, now in zip(through, g)]
        through = list(MODES[mode][1](dx[t], dr[t], tape["saved"][t], y[:, t], *arriving))
        through[0] = through[0] + dr[t].dot(weight)
    rows, states = dr.reshape(-1, dr.shape[-1]), y[0, :-1].reshape(-1, y.shape[-1])
    return dx, rows.T.dot(states), g[:, 0] + xp(x).stack(through), rows.sum(axis=0)


def _on_tensors(mode, *given):
    """The inputs and the result once more, from steps on Tensors, so that gradients can be differentiated again."""
    inputs = [t if isinstance(t, autograd.Tensor) else creation.wrapped(t, True) for t in given if t is not None]
    x, weight, start, *rest = inputs
    states = [start]
    for part in x:
        states.append(ops.stack(MODES[mode][0](part, linear(states[-1][0], weight, *rest), *states[-1])[0]))
    return inputs, ops.stack(states, 1)


def _rule(place):
    def rule(g, x, weight, start, bias, y, mode, tape):
        if isinstance(g, autograd.Tensor):  # gradients on the tape would be a cycle: g's graph leads back to the node
            tape["again"] = inputs, again = tape.get("again") or _on_tensors(mode, x, weight, start, bias)
            return autograd.grad(again, inputs[place], g, create_graph=True)
        if tape.get("of") is not g:  # the four rules share one way back
            tape["of"], tape["gradients"] = g, _through_time(g, x, weight, start, bias, y, mode, tape)
        return tape["gradients"][place]

    return rule


defgrad(_sequence, **{name: _rule(i) for i, name in enumerate(("x", "weight", "start", "bias"))})


# Of each mode: the step, its gradient, how many gates it has, and how many states.
MODES = {mode: (partial(rnn_step, mode), partial(rnn_gradient, mode), 1, 1) for mode in ("tanh", "relu")}
MODES |= {"lstm": (lstm_step, lstm_gradient, 4, 2), "gru": (gru_step, gru_gradient, 3, 1)}
KINDS = "weight_ih", "weight_hh", "bias_ih", "bias_hh"


class Recurrent(Module):
    """What cells and layers share: PyTorch's names and layouts of weights, and the states at the start.

    Weights and biases are drawn from -k to k, see `basic.drawn`, where n is `hidden_size`."""

    mode, _suffixes = "", [""]

    def __init_subclass__(cls, mode=""):
        cls.mode = mode or cls.mode

    def __init__(self, input_size, hidden_size, bias=True):
        sizes(self, input_size=input_size, hidden_size=hidden_size)
        self.bias, rows = checks.flag("bias", bias), MODES[self.mode][2] * hidden_size
        for suffix in self._suffixes:  # a layer behind the first one reads the outputs of both directions
            width = input_size if suffix[:3] in ("", "_l0") else hidden_size * (1 + self.bidirectional)
            made = drawn(hidden_size, (rows, width), (rows, hidden_size), *[bias and rows] * 2)
            for kind, parameter in zip(KINDS, made):
                self.register_parameter(kind + suffix, parameter)

    def _start(self, input_, ndims, hx, *shape):
        """The states to begin with, (states, *shape): zeros, unless given."""
        count, shape = MODES[self.mode][3], (*shape, self.hidden_size)
        states = [] if hx is None else hx if isinstance(hx, (tuple, list)) else [hx]
        fits = input_.ndim in ndims and input_.shape[-1] == self.input_size and 0 not in input_.shape
        if not fits or [getattr(s, "shape", None) for s in states] not in ([], [shape] * count):
            given = f"{type(self).__name__}: input_ is {input_.shape}, hx is {checks.brief(hx)}"
            axes = f"{ndims[0]} or {ndims[1]} axes, none empty, the last {self.input_size} long"
            raise ValueError(f"{given}; input_ has {axes}; hx is {'(h, c), each' if count == 2 else 'h,'} {shape}")
        return ops.stack(states) if states else autograd.wrap(zeros((count, *shape), like=raw(input_)))


class Cell(Recurrent):
    """One step: input_ (batch, input_size) or (input_size), and the states, (batch, hidden_size) or (hidden_size)."""

    def forward(self, input_, hx=None):
        """The new state h; of an LSTMCell (h, c). Without hx the old ones are zeros."""
        states = self._start(input_, (1, 2), hx, *input_.shape[:-1])
        x, r = linear(input_, self.weight_ih, self.bias_ih), linear(states[0], self.weight_hh, self.bias_hh)
        states, _ = MODES[self.mode][0](x, r, *states)
        return states if len(states) > 1 else states[0]


class RNNCell(Cell):
    """Elman's cell, `rnn_step`; `nonlinearity` is "tanh" or "relu"."""

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh"):
        self.mode = checks.choice("RNNCell: nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(input_size, hidden_size, bias)


class LSTMCell(Cell, mode="lstm"):
    """Long short-term memory, `lstm_step`: `h, c = cell(x, (h, c))`."""


class GRUCell(Cell, mode="gru"):
    """Gated recurrent unit, `gru_step`."""


class Layers(Recurrent):
    """Cells along a sequence: (time, batch, input_size), or (batch, time, input_size) with `batch_first`, or without a
    batch (time, input_size) -> output (..., directions hidden_size), and the last states of all layers and directions.

    Each layer reads the one before, thinned out by `dropout`; `bidirectional` adds one that reads from the end."""

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False
    ):
        sizes(self, num_layers=num_layers)
        self.bidirectional = checks.flag("bidirectional", bidirectional)
        self.batch_first = checks.flag("batch_first", batch_first)
        self.dropout = checks.option("p", dropout, "dropout ")
        self._suffixes = [f"_l{i}{side}" for i in range(num_layers) for side in ("", "_reverse")[: 1 + bidirectional]]
        super().__init__(input_size, hidden_size, bias)

    def forward(self, input_, hx=None):
        """(output, h_n), or of an LSTM (output, (h_n, c_n)); h_n and hx are (layers directions, batch, hidden_size)."""
        alone, sides, last = input_.ndim == 2, 1 + self.bidirectional, []
        x = input_.swapaxes(0, 1) if self.batch_first and not alone else input_
        start = self._start(x, (2, 3), hx, self.num_layers * sides, *x.shape[1:-1])
        x, start = (x.unsqueeze(1), start.unsqueeze(2)) if alone else (x, start)
        for layer in range(self.num_layers):
            x, outputs = dropout(x, self.dropout, self.training) if layer else x, []
            for back in range(sides):
                states = self._run(x[::-1] if back else x, start[:, len(last)], self._suffixes[len(last)])
                outputs.append(states[0, :0:-1] if back else states[0, 1:])
                last.append(states[:, -1])
            x = ops.concatenate(outputs, -1) if self.bidirectional else outputs[0]
        ends = [end.squeeze(1) if alone else end for end in ops.stack(last, 1)]
        x = x.squeeze(1) if alone else x.swapaxes(0, 1) if self.batch_first else x
        return x, tuple(ends) if len(ends) > 1 else ends[0]

    def _run(self, x, start, suffix):
        w_x, w_h, b_x, b_h = (getattr(self, kind + suffix) for kind in KINDS)
        if self.bias and self.mode != "gru":  # one addition for all steps
            b_x, b_h = b_x + b_h, None
        return _sequence(linear(x, w_x, b_x), w_h, start, b_h, self.mode, {})


class RNN(Layers):
    """Layers of `RNNCell`: `output, h = rnn(x)`."""

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", *args, **options):
        self.mode = checks.choice("RNN: nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(input_size, hidden_size, num_layers, *args, **options)


class LSTM(Layers, mode="lstm"):
    """Layers of `LSTMCell`, for which what is far back stays within reach: `output, (h, c) = lstm(x)`."""


class GRU(Layers, mode="gru"):
    """Layers of `GRUCell`."""
