"""One RMSprop, every dialect: what the systems that have an RMSprop really compute, as settings of ours.

The lesson: a name is not a rule. Two programs that both say RMSprop(lr=0.01) go different ways where eps stands inside
the root in one and outside in the other, or the mean starts at 1. `RMSprop.compare` shows how far apart they end.
"""

import re
import sys
from difflib import get_close_matches
from typing import NamedTuple

from .. import backend
from ..errors import brief
from ..tensor import Parameter

DEFAULTS = {  # of RMSprop, in the order of its arguments; lucid's and PyTorch's
    "lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False, "nesterov": False,
    "eps_in_sqrt": False, "lr_in_momentum": False, "initial_scale": 0.0, "bias_correction": False,
    "decoupled_weight_decay": False, "maximize": False,
}  # fmt: skip
WITH_MOMENTUM = "momentum > 0"  # the value of eps_in_sqrt where a system decides it so


class Dialect(NamedTuple):
    """One system's RMSprop: in what it differs from our defaults, and what it calls our arguments."""

    name: str
    system: str
    verified: str | None
    changed: dict
    native: dict
    note: str

    @property
    def settings(self):
        """All hyperparameters; lr is None where the system has no default."""
        return DEFAULTS | self.changed

    def __repr__(self):
        changes = ", ".join(_change(*item) for item in self.changed.items()) or "our own defaults"
        checked = f"checked against {self.verified}" if self.verified else "never run, only a formula"
        return f"{self.name}: {self.system}; {changes}; {checked}" + (f"; {self.note}" if self.note else "")


ROOT = {"eps_in_sqrt": True}
BUFFER = {"lr_in_momentum": True}
KERAS = {"learning_rate": "lr", "rho": "alpha", "epsilon": "eps"}  # its names for our arguments
ROWS = (
    ("torch", "torch.optim.RMSprop", "torch 2.13.0", {}, {}, ""),
    ("lucid", "lucid.optim.RMSprop 3.x", "the engine of lucid 3.8", {}, {}, "lucid takes centered and ignores it"),
    ("lucid-docs", "lucid 3.x, docstring", None, BUFFER, {}, "its code leaves lr outside the buffer"),
    ("lucid2", "lucid.optim.RMSprop 2.x", "lucid 2.14.14", ROOT, {}, "lucid 2 refuses 0-d parameters"),
    ("lucid2-docs", "lucid 2.x, documentation", None, ROOT | BUFFER, {}, "its code leaves lr outside the buffer"),
    ("netcl", "netcl.optim.RMSProp", "netcl 0.4.4", {"lr": 0.001} | BUFFER, {}, "netcl has no centered"),
    ("oneflow", "oneflow.optim.RMSprop", "oneflow 0.9.0, without momentum", {"lr": 0.001} | ROOT | BUFFER, {},
     "oneflow refuses momentum > 0, here it follows the documented formula; rounds hyperparameters to float32"),
    ("optax", "optax.rmsprop", "optax 0.2.8", {"lr": None, "alpha": 0.9} | ROOT | BUFFER,
     {"learning_rate": "lr", "decay": "alpha"}, ""),
    ("tf1", "tf.compat.v1.train.RMSPropOptimizer", "tensorflow 1.15.5",
     {"lr": None, "alpha": 0.9, "eps": 1e-10} | ROOT | BUFFER | {"initial_scale": 1.0},
     {"learning_rate": "lr", "decay": "alpha", "epsilon": "eps"}, "rounds its own defaults to float32"),
    ("tf2", "tf.keras.optimizers.RMSprop 2.0 to 2.10", "tf_keras 2.21.0, legacy",
     {"lr": 0.001, "alpha": 0.9, "eps": 1e-7, "eps_in_sqrt": WITH_MOMENTUM} | BUFFER, KERAS,
     "decided for each group when it is made"),
    ("keras", "keras.optimizers.RMSprop 3.x, tf.keras from 2.11 on", "keras 3.15.1, tf_keras 2.21.0",
     {"lr": 0.001, "alpha": 0.9, "eps": 1e-7} | ROOT | BUFFER | {"decoupled_weight_decay": True}, KERAS, ""),
    ("timm", "timm.optim.RMSpropTF", "timm 1.0.31",
     {"alpha": 0.9, "eps": 1e-10} | ROOT | BUFFER | {"initial_scale": 1.0},
     {"decoupled_decay": "decoupled_weight_decay"}, "caution and corrected_weight_decay are not covered"),
    ("sb3", "RMSpropTFLike of stable_baselines3", "stable-baselines3 2.9.2", ROOT | {"initial_scale": 1.0}, {}, ""),
    ("mlx", "mlx.optimizers.RMSprop", "mlx 0.32.4", {"lr": None}, {"learning_rate": "lr"},
     "mlx has no momentum, centered or weight_decay, and refuses eps = 0"),
    ("chainer", "chainer.optimizers.RMSprop", "chainer 7.8.1", {}, {"eps_inside_sqrt": "eps_in_sqrt"},
     "in chainer a missing gradient counts as zero, here the parameter is skipped"),
    ("graves", "Graves 2013, arXiv:1308.0850; chainer.optimizers.RMSpropGraves", "chainer 7.8.1",
     {"lr": 1e-4, "alpha": 0.95, "eps": 1e-4, "momentum": 0.9, "centered": True} | ROOT | BUFFER, {}, ""),
    ("hinton", "Hinton 2012, lecture 6e, slide 29", None, {"lr": None, "alpha": 0.9, "eps": 0.0}, {},
     "the slide has no eps: 0/0 where a gradient has always been zero"),
    ("jax-example", "jax.example_libraries.optimizers.rmsprop", "jax 0.10.2",
     {"lr": None, "alpha": 0.9} | ROOT | BUFFER, {"step_size": "lr", "gamma": "alpha"},
     "rmsprop_momentum is this with momentum=0.9"),
    ("paddle", "paddle.optimizer.RMSProp", "paddlepaddle 3.3.1",
     {"lr": None, "alpha": 0.95, "eps": 1e-6} | ROOT | BUFFER, KERAS, "rounds hyperparameters to float32"),
)  # fmt: skip
ALIASES = {  # written without separators
    "pytorch": "torch", "torchoptim": "torch", "lucid3": "lucid", "lucid3docs": "lucid-docs", "flax": "optax",
    "jax": "optax", "tensorflow1": "tf1", "tfcompatv1": "tf1", "tensorflow2": "tf2", "tfkeraslegacy": "tf2",
    "keras3": "keras", "tfkeras": "keras", "rmsproptf": "timm", "pytorchimagemodels": "timm", "rmsproptflike": "sb3",
    "stablebaselines3": "sb3", "chainergraves": "graves", "rmspropgraves": "graves",
    "jaxexamplelibraries": "jax-example", "paddlepaddle": "paddle",
}  # fmt: skip


class Dialects(dict):
    """Name -> Dialect, shown as a table. It knows aliases, and neither capitals nor any of `-_. ` matter."""

    def __missing__(self, name):
        known = ALIASES | {re.sub(r"\W", "", key): key for key in self}
        wanted = re.sub(r"[\W_]", "", str(name).lower())
        if wanted in known:
            return self[known[wanted]]
        close = dict.fromkeys(known[key] for key in get_close_matches(wanted, known))
        hint = f"did you mean {' or '.join(close)}? It" if close else "it"
        raise ValueError(f"there is no dialect {brief(name)}; {hint} can be {', '.join(self)}")

    def __repr__(self):
        rows = [("dialect", "lr", "alpha", "eps", "what else differs from our defaults", "system")]
        for d in self.values():
            lr, alpha, eps = (d.settings[name] for name in ("lr", "alpha", "eps"))
            others = ", ".join(_change(*item) for item in d.changed.items() if item[0] not in ("lr", "alpha", "eps"))
            rows.append((d.name, f"{lr or 'required'}", f"{alpha:g}", f"{eps:g}", others or "-", d.system))
        return _aligned(rows)


def _change(name, value):
    if value is None or value is True:
        return name if value else f"no default {name}"
    return f"{name} if {value}" if value == WITH_MOMENTUM else f"{name}={value:g}"


def _aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


def dialects():
    """All dialects, by name: a dict that prints as a table."""
    return Dialects({row[0]: Dialect(*row) for row in ROWS})


def _resolved(name, overrides):
    """The dialect, and its settings after the overrides, which go by our names or by the system's; lr may be None."""
    dialect, changes = dialects()[name], {}
    for given, value in overrides.items():
        ours = dialect.native.get(given, given)
        if ours not in (*DEFAULTS, "contiguous_params"):
            known = ", ".join((*DEFAULTS, "contiguous_params", *dialect.native))
            raise TypeError(f"{dialect.name} has no argument {given!r}; it has {known}")
        if ours in changes:
            raise TypeError(f"{given} and {ours} are the same argument of {dialect.name}; give one of them")
        changes[ours] = value
    return dialect, dialect.settings | changes


def _eps_placed(settings):
    """These settings with an eps_in_sqrt that hangs on the momentum resolved to True or False."""
    hangs = settings.get("eps_in_sqrt", WITH_MOMENTUM) == WITH_MOMENTUM
    return settings | {"eps_in_sqrt": settings["momentum"] > 0} if hangs else settings


def like(cls, name, params, overrides):
    """The optimizer that computes what a system does; what `RMSprop.like` calls."""
    dialect, settings = _resolved(name, overrides)
    if settings["lr"] is None:
        raise TypeError(f"{dialect.system} has no default learning rate; give lr=...")
    if settings["eps_in_sqrt"] == WITH_MOMENTUM:
        params = list(params) if hasattr(params, "__next__") else params
        if isinstance(params, (list, tuple)):  # a group can have a momentum, and so an eps, of its own
            params = [_eps_placed(g) if isinstance(g, dict) and "momentum" in g else g for g in params]
    return cls(params, **_eps_placed(settings))


class Comparison(NamedTuple):
    """How far apart two dialects go. A drift is the largest distance, over all steps, between two paths."""

    names: tuple
    rates: str
    differences: dict  # setting -> its values in the first and in the second
    drift: float
    drift_by_setting: dict  # setting -> the drift when the first has only this one of the second; largest first
    travelled: float  # how long the first one's path is
    first_steps: tuple  # how long the first step of each is

    def __repr__(self):
        rows = [("setting", *self.names, "drift when only this differs")]
        rows += [
            (name, *map(str, self.differences[name]), self._of_way(x)) for name, x in self.drift_by_setting.items()
        ]
        rows += [("all of them" if self.differences else "none differs", "", "", self._of_way(self.drift))]
        steps = "{:.3g} and {:.3g}".format(*self.first_steps)
        return f"{self.rates}\n{_aligned(rows)}\nfirst step: {steps}; the whole way: {self.travelled:.3g}"

    def _of_way(self, drift):
        share = drift / (self.travelled or 1)
        return "0" if share < 1e-13 else f"{drift:.2g}, {100 * share:.2g} % of the way"  # below that it is rounding


def compare(cls, first, second, gradients, lr, overrides):
    """What `RMSprop.compare` calls: both take one float64 parameter, at first all ones, along the same gradients."""
    if gradients is None:
        gradients = backend.stream(0).normal(size=(100, 8)) * [10.0**-i for i in range(8)]
    gradients = [backend.array(backend.raw(g), "float64") for g in gradients]
    (d1, one), (d2, two) = (_resolved(name, overrides) for name in (first, second))
    n, one, two = len(gradients), _eps_placed(one), _eps_placed(two)
    if lr is None:
        usual = [one["lr"] or two["lr"] or 0.01, two["lr"] or one["lr"] or 0.01]
        plan, rates = (
            [1.0] * (n - n // 2) + [0.1] * (n // 2),
            "lr {:g} and {:g}, a tenth in the second half".format(*usual),
        )
    else:
        usual, plan = [1.0, 1.0], list(lr) if hasattr(lr, "__len__") else [lr] * n
        rates = "lr " + " to ".join(dict.fromkeys(f"{x:g}" for x in (*plan[:1], *plan[-1:])))
    if not n or len(plan) != n:
        raise ValueError(f"there are {n} gradients and {len(plan)} learning rates; give one rate for each gradient")
    one, two = one | {"lr": usual[0]}, two | {"lr": usual[1]}
    differences = {name: (one[name], two[name]) for name in one if one[name] != two[name]}
    here, there = (_path(cls, settings, plan, gradients) for settings in (one, two))
    alone = {name: _apart(here, _path(cls, one | {name: b}, plan, gradients)) for name, (_, b) in differences.items()}
    return Comparison(
        names=(d1.name, d2.name),
        rates=f"{n} step{'s' * (n > 1)}, {rates}",
        differences=differences,
        drift=_apart(here, there),
        drift_by_setting=dict(sorted(alone.items(), key=lambda item: -item[1])),
        travelled=sum(map(_distance, here, here[1:])),
        first_steps=(_distance(*here[:2]), _distance(*there[:2])),
    )


def _path(cls, settings, plan, gradients):
    """Where the parameter is before and after each step; `plan` says by what to multiply lr."""
    p = Parameter(backend.ones_like(gradients[0]))
    optimizer, places = cls([p], **settings), [p.data.copy()]
    for factor, gradient in zip(plan, gradients):
        optimizer.param_groups[0]["lr"], p.grad = settings["lr"] * factor, gradient
        optimizer.step()
        places.append(p.data.copy())
    return places


def _distance(a, b):
    return float(((a - b) ** 2).sum()) ** 0.5


def _apart(path, other):
    return max(map(_distance, path, other))


# ---- A run that moves to or from PyTorch -----------------------------------------------------------------------------

TORCH_ONLY = {"capturable": False, "foreach": None, "differentiable": False}  # how torch computes, not what
NOT_IN_TORCH = {  # switch -> the setting without which it has no effect
    "nesterov": "momentum", "lr_in_momentum": "momentum", "decoupled_weight_decay": "weight_decay",
    "eps_in_sqrt": "eps", "initial_scale": "initial_scale", "bias_correction": "bias_correction",
}  # fmt: skip


def to_torch(optimizer):
    """What `optimizer.to_torch` gives: a state_dict in torch.optim.RMSprop's layout."""
    saved, new = optimizer.state_dict(), {"state": {}, "param_groups": []}
    array = getattr(sys.modules.get("torch"), "tensor", lambda a: a)
    for i, group in enumerate(saved["param_groups"]):
        lost = [f"{name}={group[name]}" for name, needs in NOT_IN_TORCH.items() if group[name] and group[needs]]
        if lost:
            raise ValueError(f"torch.optim.RMSprop has no {', '.join(lost)}, as in group {i}")
        new["param_groups"].append({k: v for k, v in group.items() if k not in NOT_IN_TORCH} | TORCH_ONLY)
        del new["param_groups"][i]["contiguous_params"]
        for p in group["params"]:
            state = saved["state"].get(p, {})
            for name in ("momentum_buffer",) * (group["momentum"] > 0) + ("grad_avg",) * group["centered"]:
                if state and name not in state:  # switched on since the last step: torch would miss it
                    state[name] = backend.zeros_like(state["square_avg"])
    for p, state in saved["state"].items():
        new["state"][p] = {k: array(backend.array(v, "float32" if k == "step" else None)) for k, v in state.items()}
    return new


def load_torch(optimizer, state_dict):
    """What `optimizer.load_torch` does: go on from a torch.optim.RMSprop's state_dict, all switches as in torch."""
    if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= state_dict.keys():
        return optimizer.load_state_dict(state_dict)  # which says what is wrong
    known = {*DEFAULTS, *TORCH_ONLY, "params", "initial_lr", "param_names"} - NOT_IN_TORCH.keys()
    needed, groups, state = known - {*TORCH_ONLY, "initial_lr", "param_names", "maximize"}, [], {}
    for i, group in enumerate(state_dict["param_groups"]):
        missing, unknown = sorted(needed - group.keys()), sorted(group.keys() - known)
        if missing or unknown or group.get("differentiable"):
            what = f"misses {missing}, has {unknown} too much" if missing or unknown else "has differentiable=True"
            raise ValueError(f"this cannot go on as a torch.optim.RMSprop: group {i} {what}")
        ours = [g["contiguous_params"] for g in optimizer.param_groups[i : i + 1]]
        kept = {k: v for k, v in group.items() if k not in {*TORCH_ONLY, "param_names"}}
        groups.append(DEFAULTS | kept | {"contiguous_params": ours == [True]})
    for p, values in state_dict["state"].items():
        arrays = {k: v.detach().cpu().numpy() if hasattr(v, "detach") else v for k, v in values.items()}
        state[p] = {k: int(v) if k == "step" else v for k, v in arrays.items()}
    optimizer.load_state_dict({"state": state, "param_groups": groups})
