"""Before RMSprop: steps that know only the sign of the gradient (Rprop), and steps that are averaged (ASGD)."""

from collections.abc import Iterable
from functools import partial

from .optimizer import Optimizer, above_0, number, pair


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
    is `prev` (h) and `step_size` (δ), which starts at `lr`.

    The size of the gradient does not count: no rate to tune, and a plateau does not slow it down. It needs the whole
    data set in each step, for between batches signs change by chance; RMSprop is what became of it for batches. Source:
    Riedmiller and Braun, ICNN 1993; (5) is from Igel and Hüsken, 2000.
    """

    checks = {
        "etas": partial(pair, first=partial(number, high=1, ends="()"), second=partial(number, low=1, ends="()")),
        "step_sizes": partial(pair, first=above_0, second=above_0),
    }

    def __init__(self, params: Iterable, lr: float = 1e-2, etas: tuple = (0.5, 1.2), step_sizes: tuple = (1e-6, 50.0),
                 *, maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def check_group(self, group):
        super().check_group(group)
        if group["step_sizes"][0] > group["step_sizes"][1]:
            raise ValueError(f"step_sizes is {group['step_sizes']}; the first must not be above the second")

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

    SGD circles around a minimum; the mean of the circle is nearer to it. Train with θ and use a, the mean of what came
    after step t_0 + 1. Arguments are PyTorch's; lucid 2's begin with a momentum. Source: Polyak and Juditsky, SIAM J.
    Control, 1992; Bottou, COMPSTAT 2010, section 4, for (5).
    """

    state_names, state_numbers = ("ax",), ("eta", "mu")

    def __init__(self, params: Iterable, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
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
