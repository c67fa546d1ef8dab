"""SGD: follow the gradient, with or without momentum. What RMSprop is to be compared with."""

from collections.abc import Iterable

from .optimizer import Optimizer, flag, number


class SGD(Optimizer):
    r"""Stochastic gradient descent: step along the gradient, or along a decaying sum of the gradients so far.

        (1)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (2)  d_t = g_t + λ θ_{t-1}
        (3)  b_t = μ b_{t-1} + κ d_t                             if momentum, else d_t
        (4)  s_t = d_t + μ b_t                                   if nesterov, else b_t
        (5)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, ∇f is `g`, γ is `lr`, λ is `weight_decay`, μ is `momentum` and κ is `gain`: 1 in a parameter's first
    step with momentum, so that b starts as the gradient, and 1 - dampening from then on. The state is b, kept as
    `momentum_buffer`.

    Args:
        params: Parameters, or dicts of groups.
        lr: the learning rate γ >= 0.
        momentum: μ in [0, 1]; 0.9 lets a step be up to ten gradients long.
        dampening: how much of the new gradient is held back, in [0, 1]; needs momentum to have an effect.
        weight_decay: L2 penalty λ >= 0, added to the gradient.
        nesterov: look one momentum step ahead; needs momentum, and no dampening.
        maximize: climb instead of descending.
        contiguous_params: keep the group in one flat piece of memory, for one kernel call a step (OneFlow).

    Arguments and order are PyTorch's; lucid 2 has lr, momentum, weight_decay.

    >>> w = lucidlite.Parameter([1.0, -2.0])
    >>> optimizer = optim.SGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter([ 0.5, -1. ])

    Source: Polyak, 1964 (momentum); Sutskever et al., ICML 2013, eqs. 3-4 (Nesterov's form).
    """

    checks = {
        "lr": number(),
        "momentum": number(0, 1),
        "dampening": number(0, 1),
        "weight_decay": number(),
        "nesterov": flag,
        "maximize": flag,
    }

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        contiguous_params: bool = False,
    ):
        super().__init__(params, locals())

    def check_group(self, group):
        super().check_group(group)
        momentum, dampening = group["momentum"], group["dampening"]
        if group["nesterov"] and (not momentum or dampening):
            raise ValueError(f"nesterov needs momentum > 0 and dampening 0, not {momentum} and {dampening}")
        if dampening and not momentum:
            raise ValueError(f"dampening is {dampening}, which has no effect without momentum; set momentum too")

    def flags(self, group):
        return group["maximize"], bool(group["weight_decay"] != 0), bool(group["momentum"] != 0), group["nesterov"]

    def buffers(self, group):
        return {"momentum_buffer": 0.0 if group["momentum"] != 0 else None}

    def scalars(self, group, step, created):
        gain = 1.0 if created else 1 - group["dampening"]
        return {name: group[name] for name in ("lr", "momentum", "weight_decay")} | {"gain": gain}

    @staticmethod
    def rule(math, maximize, decay, heavy_ball, nesterov):
        """One step for one array: new p and b from the old ones and the gradient g."""

        def sgd(p, g, b, lr, momentum, weight_decay, gain):
            g = -g if maximize else g  # (1)
            d = g + weight_decay * p if decay else g  # (2)
            b = momentum * b + gain * d if heavy_ball else d  # (3)
            s = d + momentum * b if nesterov else b  # (4)
            p = p - lr * s  # (5)
            return p, b

        return sgd
