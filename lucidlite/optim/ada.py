"""Around RMSprop: steps divided by all gradients so far (Adagrad), and a rate found from the steps (Adadelta)."""

from collections.abc import Iterable

from .optimizer import Optimizer


class Adagrad(Optimizer):
    r"""Adagrad: divide each step by the size of all gradients so far.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  s_t = s_{t-1} + d_t^2
        (4)  θ_t = θ_{t-1} - η_t \frac{d_t}{\sqrt{s_t} + ε}
        (5)  η_t = \frac{γ}{1 + (t - 1) ζ}

    where θ is `p`, ∇f is `g`, d is `g`, η is `rate`, γ is `lr`, ζ is `lr_decay`, λ is `weight_decay`, ε is `eps` > 0
    and t is `step`. The state is `sum` (s), which starts at `initial_accumulator_value`.

    The first of the family: every element has a rate of its own, so rare features learn in large steps. But s only
    grows and the steps fade, which RMSprop cures by forgetting. For sparse, convex problems. The arguments are in
    PyTorch's order, not lucid's. Source: Duchi, Hazan and Singer, JMLR 12, 2011, figure 1.
    """

    def __init__(self, params: Iterable, lr: float = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0,
                 initial_accumulator_value: float = 0.0, eps: float = 1e-10, *, maximize: bool = False,
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
    state is `square_avg` (v) and `acc_delta` (a).

    As old as RMSprop, with the same mean of squares. The step (4) has the unit of the parameter, so that γ = 1 will do
    where no rate can be tuned; it begins at about the root of ε and grows slowly. Source: Zeiler, arXiv:1212.5701.
    """

    state_names = ("square_avg", "acc_delta")

    def __init__(self, params: Iterable, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
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
