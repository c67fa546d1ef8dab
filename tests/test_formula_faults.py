"""Deliberate faults in formulas, tags and code: the check must find every one of them."""

# ruff: noqa: E501 (a case, or a class given as text, stands in one line)

import numpy as np
import pytest
from test_formula_read import made

import lucidlite
from lucidlite.formulas import FormulaError, check
from lucidlite.optim import SGD, Optimizer, RMSprop
from lucidlite.optim.optimizer import number

RMSPROP = r'''
class Copy(RMSprop):
    r"""RMSprop with all its switches.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}                               if decay is "coupled", else g_t
        (3)  θ̄_t = θ_{t-1} (1 - γ λ)                             if decay is "decoupled", else θ_{t-1}
        (4)  v_t = α v_{t-1} + (1 - α) d_t^2
        (5)  v̂_t = \frac{v_t}{c_t}                               if bias_correction, else v_t
        (6)  ḡ_t = α ḡ_{t-1} + (1 - α) d_t                       if centered
        (7)  m̂_t = \frac{ḡ_t}{c_t}                               if bias_correction, else ḡ_t
        (8)  ṽ_t = \max(v̂_t - m̂_t^2, 0)                          if centered, else v̂_t
        (9)  s_t = \frac{d_t}{\sqrt{ṽ_t + ε}}                    if eps_in_sqrt
        (10)  s_t = \frac{d_t}{\sqrt{ṽ_t} + ε}                   if not eps_in_sqrt
        (11)  ŝ_t = γ s_t                                        if lr_in_momentum, else s_t
        (12)  b_t = μ b_{t-1} + ŝ_t                              if momentum, else ŝ_t
        (13)  u_t = ŝ_t + μ b_t                                  if nesterov, else b_t
        (14)  θ_t = θ̄_t - u_t                                    if lr_in_momentum
        (15)  θ_t = θ̄_t - γ u_t                                  if not lr_in_momentum
        (16)  c_t = 1 - α^t                                      if bias_correction, else 1

    where θ is `p`, θ̄ is `p`, ∇f is `g`, d is `g`, ḡ is `m`, v̂ is `r`, ṽ is `r`, m̂ is `n`, ŝ is `s`, c is `bias`, t is
    `step`, γ is `lr`, ε is `eps`, λ is `weight_decay` and μ is `momentum`.
    """

    def flags(self, group):
        decay = "decoupled" if group["decoupled_weight_decay"] else "coupled"
        names = ("centered", "nesterov", "eps_in_sqrt", "lr_in_momentum", "bias_correction", "maximize")
        return decay if group["weight_decay"] else None, group["momentum"] != 0, *(group[n] for n in names)

    def scalars(self, group, step, created):
        lr, alpha, bias_correction = (group[n] for n in ("lr", "alpha", "bias_correction"))
        bias = 1 - alpha**step if bias_correction else 1.0  # (16)
        kept = {name: group[name] for name in ("lr", "alpha", "eps", "weight_decay", "momentum")}
        return kept | {"rest": 1 - alpha, "shrink": 1 - lr * group["weight_decay"], "bias": bias}

    @staticmethod
    def rule(math, decay, heavy_ball, centered, nesterov, eps_in_sqrt, lr_in_momentum, bias_correction, maximize):
        sqrt, maximum = math.sqrt, math.maximum

        def rmsprop(p, g, v, m, b, lr, alpha, eps, weight_decay, momentum, rest, shrink, bias):
            if maximize:
                g = -g  # (1)
            if decay == "coupled":
                g = g + weight_decay * p  # (2)
            if decay == "decoupled":
                p = p * shrink  # (3)
            v = alpha * v + rest * (g * g)  # (4)
            r = v / bias if bias_correction else v  # (5)
            if centered:
                m = alpha * m + rest * g  # (6)
                n = m / bias if bias_correction else m  # (7)
                r = maximum(r - n * n, 0)  # (8)
            if eps_in_sqrt:
                s = g / sqrt(r + eps)  # (9)
            else:
                s = g / (sqrt(r) + eps)  # (10)
            if lr_in_momentum:
                s = lr * s  # (11)
            b = momentum * b + s if heavy_ball else s  # (12)
            u = s + momentum * b if nesterov else b  # (13)
            if lr_in_momentum:
                p = p - u  # (14)
            else:
                p = p - lr * u  # (15)
            return p, v, m, b

        return rmsprop
'''

GRADIENT_DESCENT = r'''
class Copy(SGD):
    r"""SGD.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  b_t = μ b_{t-1} + κ d_t                             if momentum, else d_t
        (4)  s_t = d_t + μ b_t                                   if nesterov, else b_t
        (5)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, ∇f is `g`, γ is `lr`, λ is `weight_decay`, μ is `momentum` and κ is `gain`.
    """

    @staticmethod
    def rule(math, maximize, has_weight_decay, has_momentum, nesterov):
        def sgd(p, g, b, lr, momentum, weight_decay, gain):
            g = -g if maximize else g  # (1)
            d = g + weight_decay * p if has_weight_decay else g  # (2)
            b = momentum * b + gain * d if has_momentum else d  # (3)
            s = d + momentum * b if nesterov else b  # (4)
            p = p - lr * s  # (5)
            return p, b

        return sgd
'''

ADAM = r'''
class Copy(Optimizer):
    r"""Adam, as a student writes it: in plain NumPy, with a step of its own.

        (1)  m_t = β_1 m_{t-1} + (1 - β_1) ∇f_t
        (2)  v_t = β_2 v_{t-1} + (1 - β_2) ∇f_t^2
        (3)  m̂_t = \frac{m_t}{1 - β_1^t}
        (4)  v̂_t = \frac{v_t}{1 - β_2^t}
        (5)  w_t = \max(w_{t-1}, v̂_t)                            if amsgrad, else v̂_t
        (6)  θ_t = θ_{t-1} - γ \frac{m̂_t}{\sqrt{w_t} + ε}

    where θ is `p.data`, ∇f is `g`, γ is `lr`, ε is `self.eps`, w is `state["max"]`, t is `step`, β_1 is `beta1` and
    β_2 is `beta2`.
    """

    checks = {"lr": number}

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, amsgrad=False):
        super().__init__(params, {"lr": lr})
        self.betas, self.eps, self.amsgrad = betas, eps, amsgrad

    def step(self):
        beta1, beta2 = self.betas
        amsgrad = self.amsgrad
        for group in self.param_groups:
            lr = group["lr"]
            for p in group["params"]:
                g, state = p.grad, self.state[p]
                if not state:
                    state.update(step=0, m=np.zeros_like(g), v=np.zeros_like(g), max=np.zeros_like(g))
                m, v = state["m"], state["v"]
                step = state["step"] + 1
                m = beta1 * m + (1 - beta1) * g  # (1)
                v = beta2 * v + (1 - beta2) * g**2  # (2)
                m_hat = m / (1 - beta1**step)  # (3)
                v_hat = v / (1 - beta2**step)  # (4)
                state["max"] = np.maximum(state["max"], v_hat) if amsgrad else v_hat  # (5)
                p.data -= lr * m_hat / (np.sqrt(state["max"]) + self.eps)  # (6)
                state["m"], state["v"], state["step"] = m, v, step
'''

LOSSES = r'''
def softmax(x, axis=-1):
    r"""Softmax.

        (1)  z_i = e^{x_i - \max_j x_j}
        (2)  y_i = \frac{z_i}{\sum_j z_j}
    """
    z = np.exp(x - x.max(axis=axis, keepdims=True))  # (1)
    return z / z.sum(axis=axis, keepdims=True)  # (2)


def cross_entropy(x, labels, w):
    r"""Cross entropy.

        (1)  z_i = x_i - \max_j x_j
        (2)  p_i = z_i - \log \sum_j e^{z_j}
        (3)  ℓ_i = -w_{y_i} p_{i,y_i}
        (4)  L = \frac{\sum_i ℓ_i}{\sum_i w_{y_i}}

    where y is `labels` and ℓ is `losses`.
    """
    z = x - x.max(axis=1, keepdims=True)  # (1)
    p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))  # (2)
    losses = -w[labels] * p[np.arange(len(x)), labels]  # (3)
    return losses.sum() / w[labels].sum()  # (4)
'''

X = np.array([[0.3, -1.2, 0.8], [2.0, 0.1, -0.4], [-0.7, 0.6, 0.2], [1.1, 1.3, -2.0]])
FAULTS = {
    (RMSPROP, "formula"): [
        (r"ṽ_t} + ε}", r"ṽ_t + ε}}"),  # eps into the root
        (r"(1 - α) d_t^2", r"(1 - α) d_t"),  # a missing square
        (r"(1 - α) d_t^2", r"(1 - α) d_t^3"),
        (r"(1 - α) d_t^2", r"(1 - α) ∇f_t^2"),
        ("α v_{t-1} + (1 - α)", "α v_{t-1} + α"),
        ("α v_{t-1}", "α v_t"),  # t for t-1
        ("(4)  v_t = α v_{t-1} +", "(4)  v_t = α v_{t-1} -"),
        ("λ θ_{t-1}    ", "λ θ_t    "),
        (r"\max(v̂_t - m̂_t^2, 0)", r"\min(v̂_t - m̂_t^2, 0)"),  # min for max
        (r"\max(v̂_t - m̂_t^2, 0)", r"\max(m̂_t^2 - v̂_t, 0)"),  # swapped operands
        (r"\max(v̂_t - m̂_t^2, 0)", r"(v̂_t - m̂_t^2)"),
        (r"v̂_t - m̂_t^2", r"v̂_t - ḡ_t^2"),
        (r"\frac{d_t}{\sqrt{ṽ_t} + ε}", r"\frac{\sqrt{ṽ_t} + ε}{d_t}"),
        (r"\frac{d_t}{\sqrt{ṽ_t} + ε}", r"\frac{d_t}{\sqrt{v̂_t} + ε}"),  # not centered
        (r"\frac{d_t}{\sqrt{ṽ_t} + ε}", r"\frac{g_t}{\sqrt{ṽ_t} + ε}"),
        ("θ_{t-1} (1 - γ λ)", "θ_{t-1} (1 - λ)"),
        ("(15)  θ_t = θ̄_t - γ u_t", "(15)  θ_t = θ̄_t + γ u_t"),
        ("(15)  θ_t = θ̄_t - γ u_t", "(15)  θ_t = θ_{t-1} - γ u_t"),  # without the decay
        ("(15)  θ_t = θ̄_t - γ u_t", "(15)  θ_t = θ̄_t - u_t"),
        ("(15)  θ_t = θ̄_t - γ u_t", "(15)  θ_t = θ̄_t - γ b_t"),
        ("ŝ_t + μ b_t", "ŝ_t + μ b_{t-1}"),
        ("1 - α^t", "1 - α^2"),
        ("if bias_correction, else 1\n", "if bias_correction, else 0\n"),
        ("if momentum, else ŝ_t", "if momentum, else 0"),
        ("if centered, else v̂_t", "if centered"),
        ("if eps_in_sqrt", "if not eps_in_sqrt"),
        ("if maximize, else ∇f_t", "if not maximize, else ∇f_t"),
        ("(11)  ŝ_t = γ s_t ", "(11)  ŝ_t = γ b_t "),  # b of the next line
        ("(6)  ḡ_t", "(6)  v_t"),
        (r"\frac{v_t}{c_t}", "v_t / c_t 2"),
    ],
    (RMSPROP, "tag or binding"): [
        ("  # (4)", ""),
        ("  # (8)", "  # (7)"),
        ("  # (14)", "  # (15)"),
        ("  # (9)", "  # (10)"),
        ("        return rmsprop\n", "        # (3)\n        return rmsprop\n"),
        ("ε is `eps`", "ε is `lr`"),
        ("μ is `momentum`", "μ is `alpha`"),
        ("ḡ is `m`, ", ""),
        ("t is\n    `step`", "t is\n    `created`"),
        ("v̂ is `r`, ṽ is `r`", "v̂ is `v`, ṽ is `r`"),
        ("ε is `eps`", "ε is `epsilon`"),
        ("ε is `eps`", "ε is `eps`, q is `p`"),
        ("        (8)", "        (7)"),
    ],
    (RMSPROP, "code"): [
        ("sqrt(r) + eps)  # (10)", "sqrt(r + eps))  # (10)"),
        ("sqrt(r + eps)  # (9)", "(sqrt(r) + eps)  # (9)"),
        ("rest * (g * g)", "rest * g"),
        ("maximum(r - n * n, 0)", "(r - n * n)"),
        ("maximum(r - n * n, 0)", "maximum(r - n, 0)"),
        ("if heavy_ball else s", "if nesterov else s"),
        ("if nesterov else b", "if nesterov else s"),
        ("p = p * shrink", "p = p - shrink"),
        ("1 - alpha**step if", "1 - alpha ** (step + 1) if"),
        ("1 - alpha**step if bias_correction else 1.0", "1 - alpha**step"),
        ("(16)\n", "(16)\n        bias = bias * 2\n"),
        ('"shrink": 1 - lr * ', '"shrink": 1 - '),
        ("                r = maximum", "                n = n * 2\n                r = maximum"),  # changed between two lines
        ("            if eps_in_sqrt:", "            r = r + 1\n            if eps_in_sqrt:"),
        ("            v = alpha * v", "            v = v + 1\n            v = alpha * v"),
        ('            if decay == "decoupled"', '            p = p + 1\n            if decay == "decoupled"'),
        ('if decay == "coupled":', 'if decay == "coupled" and not centered:'),  # one branch forgets the decay
        ("            if lr_in_momentum:\n                s =", "            if lr_in_momentum and nesterov:\n                s ="),
        ("            if maximize:", "            if maximize and False:"),  # a line that nothing reaches
    ],
    (GRADIENT_DESCENT, "formula, tag or code"): [
        ("μ b_{t-1} + κ d_t", "μ b_{t-1} + d_t"),
        ("μ b_{t-1} + κ d_t", "μ b_{t-1} - κ d_t"),
        ("(4)  s_t = d_t + μ b_t", "(4)  s_t = b_t + μ d_t"),
        ("(4)  s_t = d_t + μ b_t", "(4)  s_t = g_t + μ b_t"),
        ("θ_{t-1} - γ s_t", "θ_{t-1} - γ b_t"),
        ("if nesterov, else b_t", "if nesterov, else d_t"),
        ("(2)  d_t = g_t + λ θ_{t-1}", "(2)  d_t = g_t + λ"),
        ("p - lr * s", "p + lr * s"),
        ("gain * d", "gain * g"),
        ("  # (5)", ""),
        ("κ is `gain`", "κ is `lr`"),
    ],
    (ADAM, "formula, tag or code"): [
        ("m_hat = m / (1 - beta1**step)", "m_hat = m"),  # bias correction forgotten
        ("np.sqrt(state[\"max\"]) + self.eps", "np.sqrt(state[\"max\"] + self.eps)"),
        ("(1 - beta2) * g**2", "(1 - beta2) * g"),
        ("(1 - beta2) * g**2", "beta2 * g**2"),
        ("v / (1 - beta2**step)", "v / (1 - beta1**step)"),
        ("v / (1 - beta2**step)", "v / 1 - beta2**step"),
        ('step = state["step"] + 1', 'step = state["step"]'),  # 0 / 0
        ("np.maximum", "np.minimum"),
        ("p.data -= lr", "p.data += lr"),
        ("lr * m_hat /", "lr * m /"),
        ("                m = beta1", "                g = g * 2\n                m = beta1"),  # not the raw gradient
        ('= m, v, step', '= g, v, step\n                v *= 1'),
        ("g, state = p.grad, self", "g, state = p.grad.copy(), self"),
        ("∇f_t^2", "∇f_t"),
        ("- γ \\frac", "- \\frac"),
        ("1 - β_2^t", "1 - β_2"),
        ("β_1 is `beta1`", "β_1 is `beta2`"),
        ("  # (5)", ""),
        ("if amsgrad, else v̂_t", "if amsgrad"),
        ("if amsgrad, else v̂_t", "if amsgrad, else v_t"),
    ],
    (LOSSES, "softmax"): [
        (r"e^{x_i - \max_j x_j}", r"e^{x_i - \min_j x_j}"),
        (r"e^{x_i - \max_j x_j}", r"e^{x_i} - \max_j x_j"),
        (r"\frac{z_i}{\sum_j z_j}", r"\frac{z_i}{\prod_j z_j}"),
        (r"\frac{z_i}{\sum_j z_j}", r"\frac{z_i}{\sum_j x_j}"),
        (r"\frac{z_i}{\sum_j z_j}", r"\frac{z_i}{z_j}"),
        ("z.sum(axis=axis, keepdims=True)", "z.sum()"),
        ("z.sum(axis=axis, keepdims=True)", "z.sum(axis=0, keepdims=True)"),
        ("np.exp(x - x.max(axis=axis, keepdims=True))", "np.exp(x)"),
    ],
    (LOSSES, "cross_entropy"): [
        ("p_{i,y_i}", "p_{y_i,i}"),
        ("-w_{y_i} p_{i,y_i}", "-w_i p_{i,y_i}"),
        ("-w_{y_i} p_{i,y_i}", "w_{y_i} p_{i,y_i}"),
        ("-w_{y_i} p_{i,y_i}", "-w_{y_i} z_{i,y_i}"),
        (r"{\sum_i w_{y_i}}", "{n}"),
        (r"\log \sum_j e^{z_j}", r"\sum_j z_j"),
        ("w[labels].sum()", "len(labels)"),
        ("np.log(np.exp(z)", "np.log(np.exp(x)"),
        ("losses.sum() /", "losses.mean() /"),
        ("where y is `labels`", "where y is `w`"),
    ],
}  # fmt: skip
HARMLESS = {
    ("g, state = p.grad, self", "g, state = p.grad.copy(), self"),
    ("= m, v, step", "= g, v, step\n                v *= 1"),
}
NAMES = {"np": np, "Optimizer": Optimizer, "SGD": SGD, "RMSprop": RMSprop, "number": number}


def run(text, what):
    if text is not LOSSES and "def softmax" not in text:
        return check(made(text, "Copy", **NAMES))
    if what == "softmax":
        return check(made(text, "softmax", **NAMES), X)
    return check(made(text, "cross_entropy", **NAMES), X, np.array([0, 2, 1, 1]), np.array([0.5, 1.0, 2.0]))


@pytest.mark.parametrize("text, what", FAULTS, ids=lambda x: x if len(x) < 50 else "")
def test_without_a_fault_all_formulas_hold(text, what):
    assert all(row.count for row in run(text, what).rows)


def test_each_fault_is_found(capsys):
    """None of these may pass; the two that change no value must."""
    missed, found = [], 0
    for (text, what), faults in FAULTS.items():
        for old, new in faults:
            assert old in text, old
            lucidlite.random.seed(0)
            try:
                run(text.replace(old, new, 1), what)
            except FormulaError:
                found += 1
                assert (old, new) not in HARMLESS, old
            else:
                missed += [] if (old, new) in HARMLESS else [(what, old, new)]
    with capsys.disabled():
        print(f" {found} of {found + len(missed)} deliberate faults found ", end="")
    assert not missed
    assert found >= 60
