"""RMSprop, the centrepiece: Rprop's idea, made to work with mini-batches."""

from collections.abc import Iterable

from .optimizer import Optimizer, flag, number


class RMSprop(Optimizer):
    r"""RMSprop: divide each step by the recent size of the gradient.

        (1)  g_t = ∇f_t + λ θ_{t-1}
        (2)  v_t = α v_{t-1} + (1 - α) g_t^2
        (3)  ḡ_t = α ḡ_{t-1} + (1 - α) g_t                       if centered
        (4)  ṽ_t = \max(v_t - ḡ_t^2, 0)                          if centered, else v_t
        (5)  s_t = \frac{g_t}{\sqrt{ṽ_t} + ε}
        (6)  b_t = μ b_{t-1} + s_t                               if momentum, else s_t
        (7)  θ_t = θ_{t-1} - γ b_t

    where θ is `p`, ∇f is `g`, γ is `lr`, ε is `eps`, λ is `weight_decay`, μ is `momentum`, ḡ is `m` and ṽ is `r`. The
    state is kept as `square_avg` (v), `grad_avg` (ḡ) and `momentum_buffer` (b), which all start at 0.

    Args:
        params: Parameters, or dicts of groups.
        lr: the learning rate γ >= 0; while v is young the step is up to lr / sqrt(1 - alpha), 10 lr.
        alpha: how much of the running means is kept in each step, in [0, 1].
        eps: added to the root, >= 0; it bounds the step where gradients vanish.
        weight_decay: L2 penalty λ >= 0, added to the gradient.
        momentum: μ in [0, 1]; the buffer b collects the divided gradients, lr stays outside it.
        centered: divide by the standard deviation of the gradient, not by its root mean square. The variance (4) can
            fall below 0 by rounding and is then taken as 0; where gradients hardly change, steps become as large as
            lr / eps times the gradient.

    The first seven arguments are lucid's, in lucid's order; the rule is PyTorch's, and that of lucid 3.

    >>> w = lucidlite.Parameter([1.0, -2.0])
    >>> optimizer = optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(4)  # each element moved by lr / sqrt(1 - alpha) = 0.1, whatever its gradient
    array([ 0.9, -1.9], dtype=float32)

    Source: Hinton, Neural Networks for Machine Learning, lecture 6e, 2012, for (2) and (5); Graves, arXiv:1308.0850,
    2013, equations 38-45, for centered and momentum.
    """

    checks = {
        "lr": number(),
        "alpha": number(0, 1),
        "eps": number(),
        "weight_decay": number(),
        "momentum": number(0, 1),
        "centered": flag,
    }
    required_state = ("square_avg",)

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ):
        super().__init__(params, locals())

    def flags(self, group):
        return group["weight_decay"] != 0, group["centered"], group["momentum"] != 0

    def buffers(self, group):
        _, centered, momentum = self.flags(group)
        return {"square_avg": 0.0, "grad_avg": 0.0 if centered else None, "momentum_buffer": 0.0 if momentum else None}

    def scalars(self, group, state, created):
        return {
            "lr": group["lr"],
            "alpha": group["alpha"],
            "rest": 1 - group["alpha"],
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "momentum": group["momentum"],
        }

    @staticmethod
    def rule(math, decay, centered, heavy_ball):
        """One step for one array: new p, v, m, b from the old ones and the gradient g; `rest` is 1 - alpha."""
        sqrt, maximum = math.sqrt, math.maximum

        def rmsprop(p, g, v, m, b, lr, alpha, rest, eps, weight_decay, momentum):
            if decay:
                g = g + weight_decay * p  # (1)
            v = alpha * v + rest * (g * g)  # (2)
            if centered:
                m = alpha * m + rest * g  # (3)
            r = maximum(v - m * m, 0) if centered else v  # (4)
            s = g / (sqrt(r) + eps)  # (5)
            b = momentum * b + s if heavy_ball else s  # (6)
            p = p - lr * b  # (7)
            return p, v, m, b

        return rmsprop
