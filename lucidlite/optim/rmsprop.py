"""RMSprop, the centrepiece: Rprop's idea, made to work with mini-batches."""

from collections.abc import Iterable

from .dialects import Polyglot
from .optimizer import at_least_0


class RMSprop(Polyglot):
    r"""RMSprop: divide each step by the recent size of the gradient.

        (1)  d_t = g_t + λ θ_{t-1}                               if coupled, else g_t
        (2)  v_t = α v_{t-1} + (1 - α) d_t^2
        (3)  ḡ_t = α ḡ_{t-1} + (1 - α) d_t                       if centered
        (4)  ṽ_t = \max(v̂_t - m̂_t^2, 0)                          if centered, else v̂_t
        (5)  s_t = \frac{d_t}{\sqrt{ṽ_t} + ε}                    if not eps_in_sqrt
        (6)  b_t = μ b_{t-1} + ŝ_t                               if momentum, else ŝ_t
        (7)  θ_t = θ̄_t - γ u_t                                   if not lr_in_momentum

    Without the switches below, g is the gradient ∇f, v̂ is v, m̂ is ḡ, ŝ is s, u is b and θ̄ is the old θ. With them:

        (8)  g_t = -∇f_t                                         if maximize, else ∇f_t
        (9)  θ̄_t = θ_{t-1} (1 - γ λ)                             if decoupled, else θ_{t-1}
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

    `alpha` in [0, 1] is the share of the means that is kept. `centered` divides by the gradient's standard deviation;
    where gradients hardly change, its steps become as large as lr / eps times the gradient, and rounding can bring the
    variance (4) below 0, hence the maximum. eps may be 0, but not with centered; a step that divides by 0 is refused.

    The first seven arguments are lucid's, in lucid's order; the rule is PyTorch's, and that of lucid 3. The others tell
    systems apart: `nesterov` and `bias_correction` are optax's, `eps_in_sqrt` and `lr_in_momentum` TensorFlow's (a
    change of lr does not reach what the buffer holds), `decoupled_weight_decay` Keras's. `RMSprop.like` sets them. With
    `contiguous_params`, OneFlow's, the first step moves a group into one flat memory; views taken before do not follow.

    >>> w = lucidlite.Parameter([1.0, -2.0])
    >>> optimizer = optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(4)  # each element moved by lr / sqrt(1 - alpha) = 0.1, whatever its gradient
    array([ 0.9, -1.9], dtype=float32)

    Source: Hinton, Neural Networks for Machine Learning, lecture 6e, 2012, for (2) and (5); Graves, arXiv:1308.0850,
    2013, equations 38-45, for centered and momentum.
    """

    checks = {"eps": at_least_0}

    def __init__(self, params: Iterable, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, *, nesterov: bool = False,
                 eps_in_sqrt: bool = False, lr_in_momentum: bool = False, initial_scale: float = 0.0,
                 bias_correction: bool = False, decoupled_weight_decay: bool = False, maximize: bool = False,
                 contiguous_params: bool = False):  # fmt: skip
        super().__init__(params, locals())

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

    def buffers(self, group):
        return {
            "square_avg": group["initial_scale"],
            "grad_avg": 0.0 if group["centered"] else None,
            "momentum_buffer": 0.0 if group["momentum"] != 0 else None,
        }

    def scalars(self, group, step, state):
        alpha, bias_correction = group["alpha"], group["bias_correction"]
        bias = 1 - alpha**step if bias_correction else 1.0  # (10)
        return {"bias": bias}

    @staticmethod
    def rule(math, coupled, decoupled, has_momentum, centered, nesterov, eps_in_sqrt, lr_in_momentum, bias_correction,
             maximize):  # fmt: skip
        sqrt, maximum = math.sqrt, math.maximum

        def rmsprop(p, g, v, m, b, lr, alpha, rest_alpha, eps, weight_decay, shrink, momentum, bias):
            if maximize:
                g = -g  # (8)
            if coupled:
                g = g + weight_decay * p  # (1)
            if decoupled:
                p = p * shrink  # (9)
            v = alpha * v + rest_alpha * (g * g)  # (2)
            r = v / bias if bias_correction else v  # (11)
            if centered:
                m = alpha * m + rest_alpha * g  # (3)
                n = m / bias if bias_correction else m  # (12)
                r = maximum(r - n * n, 0)  # (4)
            if eps_in_sqrt:
                s = g / sqrt(r + eps)  # (13)
            else:
                s = g / (sqrt(r) + eps)  # (5)
            if lr_in_momentum:
                s = lr * s  # (14)
            b = momentum * b + s if has_momentum else s  # (6)
            u = s + momentum * b if nesterov else b  # (15)
            if lr_in_momentum:
                p = p - u  # (16)
            else:
                p = p - lr * u  # (7)
            return p, v, m, b

        return rmsprop
