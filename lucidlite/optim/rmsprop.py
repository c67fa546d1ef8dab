"""RMSprop, the centrepiece: Rprop's idea, made to work with mini-batches.

After the rule, what the systems that have an RMSprop really compute: `dialects.toml` says it in settings of ours."""

import re
import sys
from collections import namedtuple
from collections.abc import Iterable
from types import SimpleNamespace

from .. import backend, checks
from .optimizer import Optimizer, Parameter, Share


class RMSprop(Optimizer):
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

    The first seven arguments are lucid's, the rule is PyTorch's. Others tell systems apart, see `RMSprop.like`:
    `nesterov` and `bias_correction` (optax), `eps_in_sqrt` and `lr_in_momentum` (TensorFlow), `decoupled_weight_decay`
    (Keras). With `contiguous_params` (OneFlow) the first step moves a group to one flat memory; old views stay behind.

    Source: Hinton, Neural Networks for Machine Learning, lecture 6e, 2012, for (2) and (5); Graves, arXiv:1308.0850,
    2013, equations 38-45, for centered and momentum."""

    def __init__(self, params: Iterable, lr: float = 1e-2, alpha: Share = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0.0, momentum: Share = 0.0, centered: bool = False, *, nesterov: bool = False,
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
        grad_avg, momentum_buffer = 0.0 if group["centered"] else None, 0.0 if group["momentum"] != 0 else None
        return {"square_avg": group["initial_scale"], "grad_avg": grad_avg, "momentum_buffer": momentum_buffer}

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

    # ---- Dialects: a name is not a rule ----

    @classmethod
    def like(cls, name: str, params: Iterable, **overrides):
        """What another system calls RMSprop: its defaults and switches, then overrides, under our names or its own."""
        dialect, settings = cls._resolved(name, overrides)
        checks.refuse(settings["lr"] is None, f"{dialect.system} has no default learning rate; give lr=...", TypeError)
        if settings["eps_in_sqrt"] == WITH_MOMENTUM:  # a group can have a momentum, and so an eps, of its own
            params = [_eps_placed(g) if isinstance(g, dict) and "momentum" in g else g for g in params]
        return cls(params, **_eps_placed(settings))

    @classmethod
    def dialects(cls):
        """The systems that `like` knows, by name: a dict that prints as a table. A lr of None must be given."""
        import tomllib  # these two take longer than the rest of this file, and not every program needs them
        from importlib.resources import files

        table, found = tomllib.loads(files("lucidlite.optim").joinpath("dialects.toml").read_text("utf-8")), Dialects()
        for name, row in table.items():
            settings = cls._arguments() | row.get("changed", {})
            settings["lr"] = None if settings["lr"] == "required" else settings["lr"]
            found[name] = SimpleNamespace(name=name, settings=settings, **EMPTY | row)
        return found

    @classmethod
    def _resolved(cls, name, overrides):
        """The dialect, and its settings after the overrides; lr may be None."""
        dialect, changes = cls.dialects()[name], {}
        for given, value in overrides.items():
            ours = dialect.native.get(given, given)
            what = f"has {given!r} already, as {ours}" if ours in changes else f"has no argument {given!r}"
            what = f"{dialect.name} {what}; its arguments are {', '.join([*dialect.settings, *dialect.native])}"
            checks.refuse(ours not in dialect.settings or ours in changes, what, TypeError)
            changes[ours] = value
        return dialect, dialect.settings | changes

    @classmethod
    def compare(cls, first: str, second: str, gradients=None, **overrides) -> "Comparison":
        """In what two dialects differ, setting -> its two values, and how far they drift apart, the largest distance.

        Both start from a parameter of ones and go along the same gradients. Without a lr, each has its own, or the
        other's, or 0.01, and a tenth of it in the second half: where lr stands shows only when it changes."""
        if gradients is None:
            gradients = backend.stream(0).normal(size=(100, 8)) * [10.0**-i for i in range(8)]
        gradients = [backend.array(backend.raw(g), "float64") for g in gradients]
        checks.refuse(not gradients, "gradients is empty; give a list of gradients, one for each step")
        one, two = (_eps_placed(cls._resolved(name, overrides)[1]) for name in (first, second))
        one["lr"], two["lr"] = one["lr"] or two["lr"] or 0.01, two["lr"] or one["lr"] or 0.01
        p, q = Parameter(backend.ones_like(gradients[0])), Parameter(backend.ones_like(gradients[0]))
        pair, drift, half = (cls([p], **one), cls([q], **two)), 0.0, len(gradients) - len(gradients) // 2
        for t, gradient in enumerate(gradients):
            p.grad = q.grad = gradient
            for optimizer in pair:
                optimizer.param_groups[0]["lr"] *= 0.1 if t == half and "lr" not in overrides else 1.0
                optimizer.step()
            drift = max(drift, float(((p.data - q.data) ** 2).sum() ** 0.5))
        return Comparison({name: (one[name], two[name]) for name in one if one[name] != two[name]}, drift)

    def to_torch(self):
        """A state_dict in the layout of torch.optim.RMSprop, to go on there; refused where torch lacks a switch."""
        saved, array = self.state_dict(), getattr(sys.modules.get("torch"), "tensor", lambda a: a)
        for i, group in enumerate(saved["param_groups"]):
            lost = [f"{name}={group[name]}" for name, needs in NOT_IN_TORCH.items() if group[name] and group[needs]]
            checks.refuse(lost, f"torch.optim.RMSprop has no {', '.join(lost)}, as in group {i}")
            buffers = [name for name, start in self.buffers(group).items() if start is not None]
            for state in [saved["state"][p] for p in group["params"] if p in saved["state"]]:
                # One that was switched on since the last step is not there, and torch would miss it.
                full = dict.fromkeys(buffers, backend.zeros_like(state["square_avg"])) | state
                state |= {k: array(backend.array(v, "float32" if k == "step" else None)) for k, v in full.items()}
        ours = {*NOT_IN_TORCH, "contiguous_params"}
        groups = [{k: v for k, v in g.items() if k not in ours} | TORCH_ONLY for g in saved["param_groups"]]
        return {"state": saved["state"], "param_groups": groups}

    def load_torch(self, state_dict: dict):
        """Go on from the state_dict of a torch.optim.RMSprop, bit for bit, with all switches as in torch."""
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= state_dict.keys():
            return self.load_state_dict(state_dict)  # which says what is wrong
        added = {name: self._arguments()[name] for name in (*NOT_IN_TORCH, "maximize")}  # which an older torch lacks
        added["contiguous_params"], gone = self.defaults["contiguous_params"], {*TORCH_ONLY, "param_names"}
        groups = [added | {k: v for k, v in g.items() if k not in gone} for g in state_dict["param_groups"]]
        take = lambda k, v: int(v) if k == "step" else v.detach().cpu().numpy() if hasattr(v, "detach") else v
        state = {p: {k: take(k, v) for k, v in values.items()} for p, values in state_dict["state"].items()}
        self.load_state_dict({"state": state, "param_groups": groups})


EMPTY = {"verified": "", "changed": {}, "native": {}, "aliases": [], "note": ""}  # what a row need not say
WITH_MOMENTUM = "momentum > 0"  # the value of eps_in_sqrt where a system decides it so
TORCH_ONLY = {"capturable": False, "foreach": None, "differentiable": False}  # how torch computes, not what
NOT_IN_TORCH = {  # switch -> the setting without which it has no effect
    "nesterov": "momentum", "lr_in_momentum": "momentum", "decoupled_weight_decay": "weight_decay",
    "eps_in_sqrt": "eps", "initial_scale": "initial_scale", "bias_correction": "bias_correction",
}  # fmt: skip
Comparison = namedtuple("Comparison", "differences drift")


class Dialects(dict):
    """Name -> dialect, shown as a table. It knows aliases, and neither capitals nor any of `-_. ` matter."""

    def __missing__(self, name):
        known = {re.sub(r"\W", "", alias): d for d in self.values() for alias in (d.name, *d.aliases)}
        wanted = re.sub(r"[\W_]", "", str(name).lower())
        if wanted in known:
            return known[wanted]
        raise ValueError(f"there is no dialect {checks.brief(name)}; it can be {', '.join(self)}")

    def __repr__(self):
        numbers = ("lr", "alpha", "eps")
        rows: list = [("dialect", *numbers, "what else differs from our defaults", "system")]
        for d in self.values():
            others = ", ".join(f"{name}={x}" for name, x in d.changed.items() if name not in numbers) or "-"
            rows.append((d.name, *[str(d.changed.get(name, d.settings[name])) for name in numbers], others, d.system))
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _eps_placed(settings):
    """These settings with an eps_in_sqrt that hangs on the momentum resolved to True or False."""
    hangs = settings.get("eps_in_sqrt", WITH_MOMENTUM) == WITH_MOMENTUM
    return settings | {"eps_in_sqrt": settings["momentum"] > 0} if hangs else settings
