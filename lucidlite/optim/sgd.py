"""SGD: follow the gradient, with or without momentum. What RMSprop is to be compared with."""

from collections.abc import Iterable

from .optimizer import Optimizer


class SGD(Optimizer):
    r"""Stochastic gradient descent: step along the gradient, or along a decaying sum of the gradients so far.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  b_t = μ b_{t-1} + κ d_t                             if momentum, else d_t
        (4)  s_t = d_t + μ b_t                                   if nesterov, else b_t
        (5)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, ∇f is `g`, γ is `lr`, λ is `weight_decay`, μ is `momentum` and κ is `gain`: 1 in the first step with
    momentum, so that b starts as the gradient, then 1 - dampening. The state is `momentum_buffer` (b).

    With momentum 0.9 a step is up to ten gradients long; dampening holds back a part of each new one. For when there is
    time to tune the rate. Arguments stand in PyTorch's order; lucid 2 has weight_decay where dampening stands. Source:
    Polyak, 1964; Sutskever et al., ICML 2013, equations 3 and 4, for `nesterov`.
    """

    def __init__(self, params: Iterable, lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
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


class Lion(Optimizer):
    r"""Lion: follow the sign of a mean of the gradients.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  c_t = β_1 m_{t-1} + (1 - β_1) g_t
        (3)  s_t = \operatorname{sign}(c_t) + λ θ_{t-1}
        (4)  θ_t = θ_{t-1} - γ s_t
        (5)  m_t = β_2 m_{t-1} + (1 - β_2) g_t

    where θ is `p`, ∇f is `g`, γ is `lr` and λ is `weight_decay`; β_1 and β_2 are `betas`. The state is `exp_avg` (m).

    Found by a search through programs: Rprop's sign, SGD's one buffer, AdamW's decay (3). Every element moves by γ:
    take a third of AdamW's rate or less, and large batches. Source: Chen et al., arXiv:2302.06675, algorithm 2.
    """

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
