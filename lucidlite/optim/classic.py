"""On the way to RMSprop: steps along the gradient (SGD), along its sign (Rprop), divided by its size (Adagrad)."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated

from ..checks import number
from .optimizer import Optimizer, Positive, Share, above_0, pair

inside, above_1 = partial(number, high=1, ends="()"), partial(number, low=1, ends="()")
Etas = Annotated[tuple, partial(pair, first=inside, second=above_1)]


def sizes(what, value):
    low, high = pair(what, value, above_0, above_0)
    return low, number(f"{what}[1]", high, low, ends="[)")


Sizes = Annotated[tuple, sizes]


class SGD(Optimizer):
    r"""Stochastic gradient descent: step along the gradient, or along a decaying sum of the gradients so far.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  b_t = μ b_{t-1} + κ d_t                             if momentum, else d_t
        (4)  s_t = d_t + μ b_t                                   if nesterov, else b_t
        (5)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, ∇f is `g`, γ is `lr`, λ is `weight_decay`, μ is `momentum` and κ is `gain`: 1 in the first step
    with momentum, so that b starts as the gradient, then 1 - dampening. The state is `momentum_buffer` (b). Lucid 2
    has weight_decay in dampening's place. Source: Polyak, 1964; Sutskever et al., ICML 2013, eq. 3 and 4."""

    def __init__(self, params: Iterable, lr: float = 1e-3, momentum: Share = 0.0, dampening: Share = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False, *, maximize: bool = False,
                 contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def check_group(self, group):
        super().check_group(group)
        momentum, dampening, nesterov = group["momentum"], group["dampening"], group["nesterov"]
        if (not momentum and (dampening or nesterov)) or (dampening and nesterov):
            what = f"dampening is {dampening}, momentum is {momentum} and nesterov {nesterov}"
            raise ValueError(f"{what}; nesterov and dampening need momentum > 0, and nesterov needs dampening 0")

    def buffers(self, group):
        return {"momentum_buffer": 0.0 if group["momentum"] != 0 else None}

    def scalars(self, group, step, state):
        return {"gain": 1 - group["dampening"] if "momentum_buffer" in state else 1.0}

    @staticmethod
    def rule(math, maximize, coupled, has_momentum, has_dampening, nesterov):
        def sgd(p, g, b, lr, momentum, weight_decay, gain):
            g = -g if maximize else g  # (1)
            d = g + weight_decay * p if coupled else g  # (2)
            b = momentum * b + (gain * d if has_dampening else d) if has_momentum else d  # (3)
            s = d + momentum * b if nesterov else b  # (4)
            p = p - lr * s  # (5)
            return p, b

        return sgd


class Rprop(Optimizer):
    r"""Rprop: a step for each element, longer while the gradient keeps its sign, shorter when it changes.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  s_t = \operatorname{sign}(g_t h_{t-1})
        (3)  σ_t = \begin{cases} η_+ δ_{t-1} & \text{if} s_t > 0 \\ η_- δ_{t-1} & \text{if} s_t < 0 \\
                                 δ_{t-1} & \text{else} \end{cases}
        (4)  δ_t = \min(\max(σ_t, δ_-), δ_+)
        (5)  h_t = \begin{cases} 0 & \text{if} s_t < 0 \\ g_t & \text{else} \end{cases}
        (6)  θ_t = θ_{t-1} - δ_t \operatorname{sign}(h_t)

    where θ is `p`, ∇f is `g`, σ is `size`, δ is `size`, η_- is `eta1`, η_+ is `eta2`, δ_- is `step_size1` and δ_+ is
    `step_size2`: `etas` is (η_-, η_+), the first in (0, 1), the second above 1; `step_sizes` is (δ_-, δ_+). The state
    is `prev` (h) and `step_size` (δ), which starts at `lr`. For steps on the whole data set: between batches signs
    change by chance. Source: Riedmiller and Braun, ICNN 1993; (5) is from Igel and Hüsken, 2000."""

    def __init__(self, params: Iterable, lr: float = 1e-2, etas: Etas = (0.5, 1.2), step_sizes: Sizes = (1e-6, 50.0),
                 *, maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def buffers(self, group):
        return {"prev": 0.0, "step_size": group["lr"]}

    @staticmethod
    def rule(math, maximize):
        def rprop(p, g, h, size, eta1, rest_eta1, eta2, rest_eta2, step_size1, step_size2):
            g = -g if maximize else g  # (1)
            # No where(s > 0, ...): a CPU guesses how that comes out, and with random signs an element costs 7 ns.
            s = math.sign(g * h)  # (2)
            size = size + size * (rest_eta1 * math.minimum(s, 0) - rest_eta2 * math.maximum(s, 0))  # (3)
            size = math.minimum(math.maximum(size, step_size1), step_size2)  # (4)
            h = g + g * math.minimum(s, 0)  # (5)
            p = p - size * math.sign(h)  # (6)
            return p, h, size

        return rprop


class ASGD(Optimizer):
    r"""Averaged SGD: small steps, and beside them the mean of all places that they came to.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  θ_t = κ_t θ_{t-1} - η_{t-1} d_t
        (4)  a_t = (1 - μ_{t-1}) a_{t-1} + μ_{t-1} θ_t
        (5)  η_t = \frac{γ}{(1 + ω γ t)^α}
        (6)  μ_t = \frac{1}{\max(1, t - t_0)}
        (7)  κ_t = 1 - ω η_{t-1}

    where θ is `p`, ∇f is `g`, d is `g`, κ is `shrink`, γ is `lr`, ω is `lambd`, α is `alpha` in [0, 1], t_0 is `t0`, λ
    is `weight_decay` and t is `step`. The state is `ax` (a) and the numbers `eta` (η, γ at first) and `mu` (μ, 1).
    Train with θ and use a, the mean of what came after step t_0 + 1. Arguments are PyTorch's; lucid 2's begin with a
    momentum. Source: Polyak and Juditsky, SIAM J. Control, 1992; Bottou, COMPSTAT 2010, section 4, for (5)."""

    state_names, state_numbers = ("ax",), ("eta", "mu")

    def __init__(self, params: Iterable, lr: float = 1e-2, lambd: float = 1e-4, alpha: Share = 0.75, t0: float = 1e6,
                 weight_decay: float = 0.0, *, maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def scalars(self, group, step, state):
        lr, lambd, alpha, t0 = (group[name] for name in ("lr", "lambd", "alpha", "t0"))
        eta, mu = state.get("eta", lr), state.get("mu", 1.0)
        shrink = 1 - lambd * eta  # (7)
        now = {"eta": eta, "mu": mu, "rest": 1 - mu, "shrink": shrink}
        eta = lr / (1 + lambd * lr * step) ** alpha  # (5)
        mu = 1 / max(1, step - t0)  # (6)
        state |= {"eta": eta, "mu": mu}
        return now

    @staticmethod
    def rule(math, maximize, coupled):
        def asgd(p, g, a, weight_decay, eta, mu, rest, shrink):
            g = -g if maximize else g  # (1)
            g = g + weight_decay * p if coupled else g  # (2)
            p = p * shrink - eta * g  # (3)
            a = rest * a + mu * p  # (4)
            return p, a

        return asgd


class Adagrad(Optimizer):
    r"""Adagrad: divide each step by the size of all gradients so far.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  s_t = s_{t-1} + d_t^2
        (4)  θ_t = θ_{t-1} - η_t \frac{d_t}{\sqrt{s_t} + ε}
        (5)  η_t = \frac{γ}{1 + (t - 1) ζ}

    where θ is `p`, ∇f is `g`, d is `g`, η is `rate`, γ is `lr`, ζ is `lr_decay`, λ is `weight_decay`, ε is `eps` > 0
    and t is `step`. The state is `sum` (s), which starts at `initial_accumulator_value`. For sparse, convex problems.
    Arguments are PyTorch's, not lucid's. Source: Duchi, Hazan and Singer, JMLR 12, 2011, figure 1."""

    def __init__(self, params: Iterable, lr: float = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0,
                 initial_accumulator_value: float = 0.0, eps: Positive = 1e-10, *, maximize: bool = False,
                 contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def buffers(self, group):
        return {"sum": group["initial_accumulator_value"]}

    def scalars(self, group, step, state):
        lr, lr_decay = group["lr"], group["lr_decay"]
        rate = lr / (1 + (step - 1) * lr_decay)  # (5)
        return {"rate": rate}

    @staticmethod
    def rule(math, maximize, coupled):
        def adagrad(p, g, s, eps, weight_decay, rate):
            g = -g if maximize else g  # (1)
            g = g + weight_decay * p if coupled else g  # (2)
            s = s + g * g  # (3)
            p = p - rate * (g / (math.sqrt(s) + eps))  # (4)
            return p, s

        return adagrad


class Adadelta(Optimizer):
    r"""Adadelta: RMSprop whose rate is the recent size of its own steps.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  v_t = ρ v_{t-1} + (1 - ρ) d_t^2
        (4)  δ_t = \frac{\sqrt{a_{t-1} + ε}}{\sqrt{v_t + ε}} d_t
        (5)  a_t = ρ a_{t-1} + (1 - ρ) δ_t^2
        (6)  θ_t = θ_{t-1} - γ δ_t

    where θ is `p`, ∇f is `g`, d is `g`, γ is `lr`, ρ is `rho` in [0, 1], λ is `weight_decay` and ε is `eps` > 0. The
    state is `square_avg` (v) and `acc_delta` (a). Steps have the parameter's unit. Source: Zeiler, arXiv:1212.5701."""

    state_names = ("square_avg", "acc_delta")

    def __init__(self, params: Iterable, lr: float = 1.0, rho: Share = 0.9, eps: Positive = 1e-6,
                 weight_decay: float = 0.0, *, maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    @staticmethod
    def rule(math, maximize, coupled):
        def adadelta(p, g, v, a, lr, rho, rest_rho, eps, weight_decay):
            g = -g if maximize else g  # (1)
            g = g + weight_decay * p if coupled else g  # (2)
            v = rho * v + rest_rho * (g * g)  # (3)
            delta = math.sqrt(a + eps) / math.sqrt(v + eps) * g  # (4)
            a = rho * a + rest_rho * (delta * delta)  # (5)
            p = p - lr * delta  # (6)
            return p, v, a

        return adadelta
