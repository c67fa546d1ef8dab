"""Adam and its family: RMSprop's division by the recent size of the gradient, with a mean of the gradients above it."""

from collections.abc import Iterable
from math import sqrt

from .optimizer import Optimizer, Positive


class Adam(Optimizer):
    r"""Adam: divide the recent mean of the gradient by the recent size of the gradient.

        (1)  d_t = g_t + λ θ_{t-1}                               if coupled, else g_t
        (2)  m_t = β_1 m_{t-1} + (1 - β_1) d_t
        (3)  v_t = β_2 v_{t-1} + (1 - β_2) d_t^2
        (4)  u_t = \max(u_{t-1}, v_t)                            if amsgrad, else v_t
        (5)  m̂_t = \frac{m_t}{c_t}
        (6)  v̂_t = \frac{u_t}{q_t}
        (7)  θ_t = θ̄_t - γ \frac{m̂_t}{\sqrt{v̂_t} + ε}
        (8)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (9)  θ̄_t = θ_{t-1} (1 - γ λ)                             if decoupled, else θ_{t-1}
        (10)  c_t = 1 - β_1^t
        (11)  q_t = 1 - β_2^t

    where θ is `p`, θ̄ is `p`, ∇f is `g`, d is `g`, γ is `lr`, λ is `weight_decay`, ε is `eps` > 0 and t is `step`; β_1
    and β_2 in [0, 1) are the `betas`. The state is `exp_avg` (m), `exp_avg_sq` (v) and `max_exp_avg_sq` (u). The usual
    first choice. Source: Kingma and Ba, arXiv:1412.6980; Reddi et al., arXiv:1904.09237, for (4)."""

    def __init__(self, params: Iterable, lr: float = 1e-3, betas: tuple = (0.9, 0.999), eps: Positive = 1e-8,
                 weight_decay: float = 0.0, amsgrad: bool = False, *, decoupled_weight_decay: bool = False,
                 maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def buffers(self, group):
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0, "max_exp_avg_sq": 0.0 if group["amsgrad"] else None}

    def scalars(self, group, step, state):
        beta1, beta2 = group["betas"]
        c = 1 - beta1**step  # (10)
        q = 1 - beta2**step  # (11)
        return {"c": c, "q": q}

    @staticmethod
    def rule(math, maximize, coupled, decoupled, amsgrad):
        def adam(p, g, m, v, u, lr, beta1, rest_beta1, beta2, rest_beta2, eps, weight_decay, shrink, c, q):
            g = -g if maximize else g  # (8)
            g = g + weight_decay * p if coupled else g  # (1)
            p = p * shrink if decoupled else p  # (9)
            m = beta1 * m + rest_beta1 * g  # (2)
            v = beta2 * v + rest_beta2 * (g * g)  # (3)
            u = math.maximum(u, v) if amsgrad else v  # (4)
            m_hat = m / c  # (5)
            v_hat = u / q  # (6)
            p = p - lr * (m_hat / (math.sqrt(v_hat) + eps))  # (7)
            return p, m, v, u

        return adam


class AdamW(Adam):
    """Adam with `decoupled_weight_decay` and a weight decay of 0.01: formula (9) of Adam in place of (1).

    Weights with large gradients decay like all others. Source: Loshchilov and Hutter, arXiv:1711.05101, algorithm 2."""

    def __init__(self, params: Iterable, lr: float = 1e-3, betas: tuple = (0.9, 0.999), eps: Positive = 1e-8,
                 weight_decay: float = 0.01, amsgrad: bool = False, *, decoupled_weight_decay: bool = True,
                 maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        Optimizer.__init__(self, params, locals())


class Adamax(Optimizer):
    r"""Adamax: Adam that divides by the largest recent gradient.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  m_t = β_1 m_{t-1} + (1 - β_1) d_t
        (4)  u_t = \max(β_2 u_{t-1}, |d_t| + ε)
        (5)  θ_t = θ_{t-1} - η_t \frac{m_t}{u_t}
        (6)  η_t = \frac{γ}{1 - β_1^t}

    where θ is `p`, ∇f is `g`, d is `g`, η is `rate`, γ is `lr`, λ is `weight_decay`, ε is `eps` > 0 and t is `step`;
    β_1 and β_2 in [0, 1) are the `betas`. The state is `exp_avg` (m) and `exp_inf` (u). For gradients that are sparse
    or have outliers. Source: Kingma and Ba, arXiv:1412.6980, algorithm 2."""

    state_names = ("exp_avg", "exp_inf")

    def __init__(self, params: Iterable, lr: float = 2e-3, betas: tuple = (0.9, 0.999), eps: Positive = 1e-8,
                 weight_decay: float = 0.0, *, maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def scalars(self, group, step, state):
        lr, (beta1, _) = group["lr"], group["betas"]
        rate = lr / (1 - beta1**step)  # (6)
        return {"rate": rate}

    @staticmethod
    def rule(math, maximize, coupled):
        def adamax(p, g, m, u, beta1, rest_beta1, beta2, eps, weight_decay, rate):
            g = -g if maximize else g  # (1)
            g = g + weight_decay * p if coupled else g  # (2)
            m = beta1 * m + rest_beta1 * g  # (3)
            u = math.maximum(beta2 * u, math.abs(g) + eps)  # (4)
            p = p - rate * (m / u)  # (5)
            return p, m, u

        return adamax


class NAdam(Optimizer):
    r"""NAdam: Adam with Nesterov's momentum.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}                               if coupled, else g_t
        (3)  θ̄_t = θ_{t-1} (1 - γ λ)                             if decoupled, else θ_{t-1}
        (4)  m_t = β_1 m_{t-1} + (1 - β_1) d_t
        (5)  v_t = β_2 v_{t-1} + (1 - β_2) d_t^2
        (6)  n_t = a_t d_t + b_t m_t
        (7)  θ_t = θ̄_t - \frac{n_t}{\sqrt{\frac{v_t}{q_t}} + ε}
        (8)  q_t = 1 - β_2^t
        (9)  μ_t = β_1 (1 - \frac{0.96^{t ψ}}{2})
        (10)  ν_t = β_1 (1 - \frac{0.96^{(t + 1) ψ}}{2})
        (11)  Π_t = Π_{t-1} μ_t
        (12)  a_t = γ \frac{1 - μ_t}{1 - Π_t}
        (13)  b_t = γ \frac{ν_t}{1 - Π_t ν_t}

    where θ is `p`, θ̄ is `p`, ∇f is `g`, d is `g`, γ is `lr`, λ is `weight_decay`, ε is `eps` > 0, ψ is
    `momentum_decay`, Π is `mu_product` and t is `step`; β_1 and β_2 in [0, 1) are the `betas`. The state is `exp_avg`
    (m), `exp_avg_sq` (v) and the number `mu_product`. Source: Dozat, ICLR workshop 2016, alg. 2; PyTorch for (9)."""

    state_names, state_numbers = ("exp_avg", "exp_avg_sq"), ("mu_product",)

    def __init__(self, params: Iterable, lr: float = 2e-3, betas: tuple = (0.9, 0.999), eps: Positive = 1e-8,
                 weight_decay: float = 0.0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
                 maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def scalars(self, group, step, state):
        lr, (beta1, beta2), momentum_decay = group["lr"], group["betas"], group["momentum_decay"]
        mu_product = state.get("mu_product", 1.0)
        q = 1 - beta2**step  # (8)
        mu = beta1 * (1 - 0.96 ** (step * momentum_decay) / 2)  # (9)
        nu = beta1 * (1 - 0.96 ** ((step + 1) * momentum_decay) / 2)  # (10)
        mu_product = mu_product * mu  # (11)
        a = lr * (1 - mu) / (1 - mu_product)  # (12)
        b = lr * nu / (1 - mu_product * nu)  # (13)
        state["mu_product"] = mu_product
        return {"q": q, "a": a, "b": b}

    @staticmethod
    def rule(math, maximize, coupled, decoupled):
        def nadam(p, g, m, v, lr, beta1, rest_beta1, beta2, rest_beta2, eps, weight_decay, shrink, q, a, b):
            g = -g if maximize else g  # (1)
            g = g + weight_decay * p if coupled else g  # (2)
            p = p * shrink if decoupled else p  # (3)
            m = beta1 * m + rest_beta1 * g  # (4)
            v = beta2 * v + rest_beta2 * (g * g)  # (5)
            n = a * g + b * m  # (6)
            p = p - n / (math.sqrt(v / q) + eps)  # (7)
            return p, m, v

        return nadam


class RAdam(Optimizer):
    r"""RAdam: Adam that divides only once the size of the gradient is known well enough.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}                               if coupled, else g_t
        (3)  θ̄_t = θ_{t-1} (1 - γ λ)                             if decoupled, else θ_{t-1}
        (4)  m_t = β_1 m_{t-1} + (1 - β_1) d_t
        (5)  v_t = β_2 v_{t-1} + (1 - β_2) d_t^2
        (6)  s_t = a_t + \frac{r_t}{\sqrt{v_t} + ε}
        (7)  θ_t = θ̄_t - η_t m_t s_t
        (8)  η_t = \frac{γ}{1 - β_1^t}
        (9)  q_t = 1 - β_2^t
        (10)  κ = \frac{2}{1 - β_2} - 1
        (11)  ρ_t = κ - \frac{2 t β_2^t}{q_t}
        (12)  r_t = \sqrt{\frac{(ρ_t - 4) (ρ_t - 2) κ q_t}{(κ - 4) (κ - 2) ρ_t}}  if rho > 5, else 0
        (13)  a_t = 0                                            if rho > 5, else 1

    where θ is `p`, θ̄ is `p`, ∇f is `g`, d is `g`, η is `rate`, γ is `lr`, λ is `weight_decay`, ε is `eps` > 0 and t is
    `step`; β_1 and β_2 in [0, 1) are the `betas`. The state is `exp_avg` (m) and `exp_avg_sq` (v). It needs no warm-up
    of the rate. Source: Liu et al., arXiv:1908.03265, algorithm 2; the 5 is PyTorch's."""

    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(self, params: Iterable, lr: float = 1e-3, betas: tuple = (0.9, 0.999), eps: Positive = 1e-8,
                 weight_decay: float = 0.0, decoupled_weight_decay: bool = False, *, maximize: bool = False,
                 contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    def scalars(self, group, step, state):
        lr, (beta1, beta2) = group["lr"], group["betas"]
        rate = lr / (1 - beta1**step)  # (8)
        q = 1 - beta2**step  # (9)
        kappa = 2 / (1 - beta2) - 1  # (10)
        rho = kappa - 2 * step * beta2**step / q  # (11)
        r = sqrt((rho - 4) * (rho - 2) * kappa * q / ((kappa - 4) * (kappa - 2) * rho)) if rho > 5 else 0.0  # (12)
        a = 0.0 if rho > 5 else 1.0  # (13)
        return {"rate": rate, "a": a, "r": r}

    @staticmethod
    def rule(math, maximize, coupled, decoupled):
        def radam(p, g, m, v, lr, beta1, rest_beta1, beta2, rest_beta2, eps, weight_decay, shrink, rate, a, r):
            g = -g if maximize else g  # (1)
            g = g + weight_decay * p if coupled else g  # (2)
            p = p * shrink if decoupled else p  # (3)
            m = beta1 * m + rest_beta1 * g  # (4)
            v = beta2 * v + rest_beta2 * (g * g)  # (5)
            s = a + r / (math.sqrt(v) + eps)  # (6)
            p = p - rate * (m * s)  # (7)
            return p, m, v

        return radam


class Lion(Optimizer):
    r"""Lion: follow the sign of a mean of the gradients.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  c_t = β_1 m_{t-1} + (1 - β_1) g_t
        (3)  s_t = \operatorname{sign}(c_t) + λ θ_{t-1}
        (4)  θ_t = θ_{t-1} - γ s_t
        (5)  m_t = β_2 m_{t-1} + (1 - β_2) g_t

    where θ is `p`, ∇f is `g`, γ is `lr` and λ is `weight_decay`; β_1 and β_2 are `betas`. The state is `exp_avg` (m).
    Take a third of AdamW's rate or less, and large batches. Source: Chen et al., arXiv:2302.06675, algorithm 2."""

    state_names = ("exp_avg",)

    def __init__(self, params: Iterable, lr: float = 1e-4, betas: tuple = (0.9, 0.99), weight_decay: float = 0.0, *,
                 maximize: bool = False, contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

    @staticmethod
    def rule(math, maximize, has_weight_decay):
        def lion(p, g, m, lr, beta1, rest_beta1, beta2, rest_beta2, weight_decay):
            g = -g if maximize else g  # (1)
            c = beta1 * m + rest_beta1 * g  # (2)
            s = math.sign(c) + weight_decay * p if has_weight_decay else math.sign(c)  # (3)
            p = p - lr * s  # (4)
            m = beta2 * m + rest_beta2 * g  # (5)
            return p, m

        return lion
