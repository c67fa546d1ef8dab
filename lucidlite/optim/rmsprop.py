"""RMSprop, the centrepiece: Rprop's idea, made to work with mini-batches."""

from collections.abc import Iterable

from . import dialects
from .optimizer import Optimizer, flag, number


class RMSprop(Optimizer):
    r"""RMSprop: divide each step by the recent size of the gradient.

        (1)  d_t = g_t + λ θ_{t-1}                               if decay is "coupled", else g_t
        (2)  v_t = α v_{t-1} + (1 - α) d_t^2
        (3)  ḡ_t = α ḡ_{t-1} + (1 - α) d_t                       if centered
        (4)  ṽ_t = \max(v̂_t - m̂_t^2, 0)                          if centered, else v̂_t
        (5)  s_t = \frac{d_t}{\sqrt{ṽ_t} + ε}                    if not eps_in_sqrt
        (6)  b_t = μ b_{t-1} + ŝ_t                               if momentum, else ŝ_t
        (7)  θ_t = θ̄_t - γ u_t                                   if not lr_in_momentum

    Without the switches below, g is the gradient ∇f, v̂ is v, m̂ is ḡ, ŝ is s, u is b and θ̄ is the old θ. With them:

        (8)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (9)  θ̄_t = θ_{t-1} (1 - γ λ)                             if decay is "decoupled", else θ_{t-1}
        (10)  c_t = 1 - α^t                                      if bias_correction, else 1
        (11)  v̂_t = \frac{v_t}{c_t}                              if bias_correction, else v_t
        (12)  m̂_t = \frac{ḡ_t}{c_t}                              if bias_correction, else ḡ_t
        (13)  s_t = \frac{d_t}{\sqrt{ṽ_t + ε}}                   if eps_in_sqrt
        (14)  ŝ_t = γ s_t                                        if lr_in_momentum, else s_t
        (15)  u_t = ŝ_t + μ b_t                                  if nesterov, else b_t
        (16)  θ_t = θ̄_t - u_t                                    if lr_in_momentum

    where θ is `p`, θ̄ is `p`, ∇f is `g`, d is `g`, ḡ is `m`, v̂ is `r`, ṽ is `r`, m̂ is `n`, ŝ is `s`, c is `bias`, t is
    `step`, γ is `lr`, ε is `eps`, λ is `weight_decay` and μ is `momentum`. The state is kept as `square_avg` (v),
    `grad_avg` (ḡ) and `momentum_buffer` (b), which start at 0 (v at `initial_scale`).

    Args:
        params: Parameters, or dicts of groups.
        lr: the learning rate γ >= 0; while v is young the step is up to lr / sqrt(1 - alpha), 10 lr.
        alpha: how much of the running means is kept in each step, in [0, 1].
        eps: added to the root, >= 0; it bounds the step where gradients vanish. With 0, a step that would divide by
            zero is refused, and so is centered.
        weight_decay: L2 penalty λ >= 0, added to the gradient.
        momentum: μ in [0, 1]; the buffer b collects the divided gradients, lr stays outside it.
        centered: divide by the standard deviation of the gradient, not by its root mean square. The variance (4) can
            fall below 0 by rounding and is then taken as 0; where gradients hardly change, steps become as large as
            lr / eps times the gradient (with bias_correction the very first one is).
        nesterov: look one step ahead, (15). An option of optax.
        eps_in_sqrt: (13) in place of (5). TensorFlow, Keras, OneFlow, lucid 2.
        lr_in_momentum: (14) and (16) in place of (7): a change of lr does not reach what the buffer holds. TensorFlow,
            Keras, optax, netcl.
        initial_scale: what v starts at, >= 0; 1 makes the first steps small. TensorFlow 1, timm.
        bias_correction: (10) to (12), as Adam does; t counts the steps of each parameter. An option of optax.
        decoupled_weight_decay: (9) in place of (1), as AdamW does. Keras, timm.
        maximize: climb, (8). PyTorch.
        contiguous_params: keep the group in one flat piece of memory, for one kernel call a step. The first step moves
            the parameters there: detached views and raw arrays taken before no longer follow them. OneFlow.

    The first seven arguments are lucid's, in lucid's order; the rule is PyTorch's, and that of lucid 3. `RMSprop.like`
    takes another system's defaults and switches.

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
        "nesterov": flag,
        "eps_in_sqrt": flag,
        "lr_in_momentum": flag,
        "initial_scale": number(),
        "bias_correction": flag,
        "decoupled_weight_decay": flag,
        "maximize": flag,
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
        *,
        nesterov: bool = False,
        eps_in_sqrt: bool = False,
        lr_in_momentum: bool = False,
        initial_scale: float = 0.0,
        bias_correction: bool = False,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        contiguous_params: bool = False,
    ):
        super().__init__(params, locals())

    @classmethod
    def like(cls, name: str, params: Iterable, **overrides):
        """What another system calls RMSprop: its defaults and switches, then `overrides`, under our names or its own.

        >>> w = lucidlite.Parameter([1.0])
        >>> optim.RMSprop.like("keras", [w], rho=0.95).param_groups[0]["alpha"]
        0.95
        """
        return dialects.like(cls, name, params, overrides)

    @classmethod
    def dialects(cls):
        """The systems that `like` knows, by name: prints as a table."""
        return dialects.dialects()

    @classmethod
    def compare(cls, first: str, second: str, gradients=None, lr=None, **overrides):
        """In what two dialects differ, and how far apart they end; prints as a report, `dialects.Comparison`."""
        return dialects.compare(cls, first, second, gradients, lr, overrides)

    def to_torch(self):
        """A state_dict in the layout of torch.optim.RMSprop, to go on there; refused where torch lacks a switch."""
        return dialects.to_torch(self)

    def load_torch(self, state_dict: dict):
        """Go on from the state_dict of a torch.optim.RMSprop, bit for bit."""
        dialects.load_torch(self, state_dict)

    def check_group(self, group):
        super().check_group(group)
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("nesterov has no effect without momentum; set momentum too")
        if group["centered"] and group["eps"] == 0:
            raise ValueError("eps is 0, and the variance of a steady gradient is 0 too: centered needs eps > 0")
        if group["bias_correction"] and group["alpha"] == 1:
            raise ValueError("bias_correction divides by 1 - alpha^t, which is 0 for alpha = 1; take a smaller alpha")

    def check_step(self, group):
        coupled = 0.0 if group["decoupled_weight_decay"] else group["weight_decay"]
        for p in group["params"] if group["eps"] == 0 else ():
            if p.grad is not None:
                g, v = p.grad + coupled * p.data, self.state[p].get("square_avg", group["initial_scale"])
                if (group["alpha"] * v + (1 - group["alpha"]) * (g * g) == 0).any():
                    raise ValueError("eps is 0, and so is the mean square of some gradient: 0/0; set eps > 0")

    def flags(self, group):
        decay = "decoupled" if group["decoupled_weight_decay"] else "coupled"
        names = ("centered", "nesterov", "eps_in_sqrt", "lr_in_momentum", "bias_correction", "maximize")
        return decay if group["weight_decay"] != 0 else None, bool(group["momentum"] != 0), *(group[n] for n in names)

    def buffers(self, group):
        return {
            "square_avg": group["initial_scale"],
            "grad_avg": 0.0 if group["centered"] else None,
            "momentum_buffer": 0.0 if group["momentum"] != 0 else None,
        }

    def scalars(self, group, step, created):
        lr, alpha, decay, bias_correction = (group[n] for n in ("lr", "alpha", "weight_decay", "bias_correction"))
        bias = 1 - alpha**step if bias_correction else 1.0  # (10)
        return {
            "lr": lr,
            "alpha": alpha,
            "rest": 1 - alpha,
            "eps": group["eps"],
            "weight_decay": decay,
            "shrink": 1 - lr * decay,
            "momentum": group["momentum"],
            "bias": bias,
        }

    @staticmethod
    def rule(math, decay, heavy_ball, centered, nesterov, eps_in_sqrt, lr_in_momentum, bias_correction, maximize):
        """One step for one array: new p, v, m, b from the old ones and the gradient g.

        `rest` is 1 - alpha, `shrink` is 1 - lr weight_decay, `bias` is 1 - alpha^t.
        """
        sqrt, maximum = math.sqrt, math.maximum

        def rmsprop(p, g, v, m, b, lr, alpha, rest, eps, weight_decay, shrink, momentum, bias):
            if maximize:
                g = -g  # (8)
            if decay == "coupled":
                g = g + weight_decay * p  # (1)
            if decay == "decoupled":
                p = p * shrink  # (9)
            v = alpha * v + rest * (g * g)  # (2)
            r = v / bias if bias_correction else v  # (11)
            if centered:
                m = alpha * m + rest * g  # (3)
                n = m / bias if bias_correction else m  # (12)
                r = maximum(r - n * n, 0)  # (4)
            if eps_in_sqrt:
                s = g / sqrt(r + eps)  # (13)
            else:
                s = g / (sqrt(r) + eps)  # (5)
            if lr_in_momentum:
                s = lr * s  # (14)
            b = momentum * b + s if heavy_ball else s  # (6)
            u = s + momentum * b if nesterov else b  # (15)
            if lr_in_momentum:
                p = p - u  # (16)
            else:
                p = p - lr * u  # (7)
            return p, v, m, b

        return rmsprop
