"""One RMSprop, every dialect: what the systems that have an RMSprop really compute, as settings of ours.

The lesson: a name is not a rule. Two programs that both say RMSprop(lr=0.01) can go different ways, because eps stands
inside the root in one and outside in the other, or the mean starts at 1. `compare` shows how far apart they end.
"""

from difflib import get_close_matches
from typing import NamedTuple

from .. import backend
from ..tensor import Parameter

DEFAULTS = {  # of RMSprop, in the order of its arguments; lucid's and PyTorch's
    "lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False, "nesterov": False,
    "eps_in_sqrt": False, "lr_in_momentum": False, "initial_scale": 0.0, "bias_correction": False,
    "decoupled_weight_decay": False, "maximize": False,
}  # fmt: skip
WITH_MOMENTUM = "momentum > 0"  # eps_in_sqrt where a system decides it so
IDLE_WITHOUT = {"nesterov": "momentum", "lr_in_momentum": "momentum", "decoupled_weight_decay": "weight_decay"}


class Dialect(NamedTuple):
    """One system's RMSprop: what of it differs from our defaults, and what the system calls our arguments."""

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
        changes = ", ".join(_change(*item) for item in self.changed.items()) or "RMSprop's own defaults"
        checked = f"checked against {self.verified}" if self.verified else "only a formula, never run by its system"
        return f"{self.name}: {self.system}; {changes}; {checked}" + (f"; {self.note}" if self.note else "")


ROOT = {"eps_in_sqrt": True}
BUFFER = {"lr_in_momentum": True}
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
     {"lr": 0.001, "alpha": 0.9, "eps": 1e-7, "eps_in_sqrt": WITH_MOMENTUM} | BUFFER,
     {"learning_rate": "lr", "rho": "alpha", "epsilon": "eps"}, "decided for each group when it is made"),
    ("keras", "keras.optimizers.RMSprop 3.x, tf.keras from 2.11 on", "keras 3.15.1, tf_keras 2.21.0",
     {"lr": 0.001, "alpha": 0.9, "eps": 1e-7} | ROOT | BUFFER | {"decoupled_weight_decay": True},
     {"learning_rate": "lr", "rho": "alpha", "epsilon": "eps"}, ""),
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
    ("paddle", "paddle.optimizer.RMSProp", "paddlepaddle 3.3.1", {"lr": None, "alpha": 0.95, "eps": 1e-6} | ROOT | BUFFER,
     {"learning_rate": "lr", "rho": "alpha", "epsilon": "eps"}, "rounds hyperparameters to float32"),
)  # fmt: skip
ALIASES = {
    "pytorch": "torch", "torch.optim": "torch", "lucid3": "lucid", "lucid3-docs": "lucid-docs", "flax": "optax",
    "jax": "optax", "tensorflow1": "tf1", "tensorflow-1": "tf1", "tf.compat.v1": "tf1", "tensorflow2": "tf2",
    "tensorflow-2": "tf2", "tf.keras.legacy": "tf2", "tf-keras-legacy": "tf2", "keras3": "keras", "tf.keras": "keras",
    "tf-keras": "keras", "rmsproptf": "timm", "pytorch-image-models": "timm", "stable-baselines3": "sb3",
    "stable-baselines-3": "sb3", "rmsproptflike": "sb3", "rmspropgraves": "graves", "chainer-graves": "graves",
    "jax.example-libraries": "jax-example", "jax-example-libraries": "jax-example", "paddlepaddle": "paddle",
}  # fmt: skip


class Dialects(dict):
    """Name -> Dialect, shown as a table; aliases, capitals and "_" are understood: `RMSprop.dialects()["PyTorch"]`."""

    def __missing__(self, name):
        known = str(name).lower().replace("_", "-").replace(" ", "-")
        if ALIASES.get(known, known) in self:
            return self[ALIASES.get(known, known)]
        close = get_close_matches(known, [*self, *ALIASES], n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        raise ValueError(f"there is no dialect {name!r}; {hint}Known: {', '.join(self)}")

    def __repr__(self):
        rows = [("dialect", "lr", "alpha", "eps", "what else differs from our defaults", "system")]
        for d in self.values():
            others = ", ".join(_change(*item) for item in d.changed.items() if item[0] not in ("lr", "alpha", "eps"))
            lr = "required" if d.settings["lr"] is None else f"{d.settings['lr']:g}"
            rows.append((d.name, lr, f"{d.settings['alpha']:g}", f"{d.settings['eps']:g}", others or "-", d.system))
        return _aligned(rows)


def _change(name, value):
    if value is True or value == WITH_MOMENTUM:
        return name if value is True else f"{name} if {value}"
    return f"no default {name}" if value is None else f"{name}={value:g}"


def _aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


def dialects():
    """All dialects, by name."""
    return Dialects({row[0]: Dialect(*row) for row in ROWS})


def resolve(name, overrides):
    """(dialect, settings) after the overrides, which may go by our names or by the system's own; lr can be None."""
    dialect = dialects()[name]
    known, settings, source = {*dialect.settings, "contiguous_params"}, dialect.settings, {}
    for given, value in overrides.items():
        ours = dialect.native.get(given, given)
        if ours not in known:
            native = [name for name in dialect.native if name not in known]
            raise TypeError(
                f"RMSprop has no argument {given!r}; it has {', '.join([*DEFAULTS, 'contiguous_params'])}"
                + (f", and in {dialect.name} also {', '.join(native)}" if native else "")
            )
        if ours in source:
            raise TypeError(f"{source[ours]} and {given} are the same in {dialect.name}; give one of them")
        settings, source = settings | {ours: value}, source | {ours: given}
    return dialect, settings


def like(cls, name, params, overrides):
    """The optimizer that computes what a system does: `RMSprop.like("keras", params, lr=0.01)`."""
    dialect, settings = resolve(name, overrides)
    if settings["lr"] is None:
        raise TypeError(f"{dialect.name} ({dialect.system}) has no default learning rate; give lr=...")
    if settings["eps_in_sqrt"] == WITH_MOMENTUM:
        params = list(params) if hasattr(params, "__next__") else params
        if isinstance(params, (list, tuple)):  # a group may have a momentum, and so an eps, of its own
            params = [_eps_by_momentum(g) if isinstance(g, dict) and "momentum" in g else g for g in params]
    return cls(params, **_eps_by_momentum(settings))


def _eps_by_momentum(settings):
    """These settings with `eps_in_sqrt` resolved to True or False."""
    if settings.get("eps_in_sqrt", WITH_MOMENTUM) != WITH_MOMENTUM:
        return settings
    return settings | {"eps_in_sqrt": settings["momentum"] > 0}


class Comparison(NamedTuple):
    """How two dialects differ. `drift` is the largest distance, over the steps, between where they are."""

    names: tuple[str, str]
    differences: dict  # setting -> (value in the first, value in the second)
    drift: float
    drift_by_setting: dict  # setting -> the drift if only this one is changed in the first, largest first
    travelled: float  # the length of the first one's path
    first_steps: tuple[float, float]  # their lengths
    rates: str  # which learning rates were used

    def __str__(self):
        first, second = self.names
        rows = [("setting", first, second, "alone it moves the path by")]
        rows += [(k, *map(str, self.differences[k]), self._share(v)) for k, v in self.drift_by_setting.items()]
        rows += [("all together", "", "", self._share(self.drift))] if self.differences else []
        return (
            f"{first} and {second}, {self.rates}; {first} travels {self.travelled:.3g}\n"
            + (_aligned(rows) if self.differences else "no setting differs")
            + f"\nfirst step: {self.first_steps[0]:.3g} and {self.first_steps[1]:.3g}"
        )

    __repr__ = __str__

    def _share(self, drift):
        share = drift / self.travelled if self.travelled else 0.0
        return "0" if share < 1e-13 else f"{drift:.2g} ({share:.2g} of the way)"


def compare(cls, first, second, gradients=None, lr=None, **overrides):
    """How far apart two dialects take one parameter, all ones at first, along the same gradients, in float64.

    Args:
        gradients: one array, or number, for each step; the default is 100 steps of 8 coordinates, each coordinate ten
            times smaller than the one before, 1 to 1e-7: the small ones show where eps stands.
        lr: one number, or one for each step. The default is each system's own, or the other's where it has none, or
            0.01, and a tenth of it in the second half: where lr stands in the buffer shows only when lr changes.
        overrides: settings for both, such as momentum=0.9.
    """
    if gradients is None:
        gradients = backend.stream(0).normal(size=(100, 8)) * [10.0**-i for i in range(8)]
    gradients = [backend.array(backend.raw(g), "float64") for g in gradients]
    n, sides = len(gradients), [resolve(name, overrides) for name in (first, second)]
    a, b = (_eps_by_momentum(settings) for _, settings in sides)
    if lr is None:
        used = a["lr"] or b["lr"] or 0.01
        a, b = ({**x, "lr": used if x["lr"] is None else x["lr"]} for x in (a, b))
        plan = [1.0] * (n - n // 2) + [0.1] * (n // 2)
        rates = f"lr {a['lr']:g} and {b['lr']:g}, in the second half of {n} steps a tenth"
    else:
        plan = [float(lr)] * n if not hasattr(lr, "__len__") else list(lr)
        a, b = a | {"lr": 1.0}, b | {"lr": 1.0}
        rates = f"lr {lr:g}, {n} steps" if not hasattr(lr, "__len__") else f"lr {plan[0]:g} to {plan[-1]:g}, {n} steps"
    if not n or len(plan) != n:
        raise ValueError(f"compare: {n} gradients and {len(plan)} learning rates; give one rate for each gradient")

    def apart(x, y):
        return max(_length(p - q) for p, q in zip(x, y))

    path = lambda settings: _path(cls, settings, plan, gradients)  # noqa: E731
    here, there = path(a), path(b)
    differences = {k: (a[k], b[k]) for k in a if a[k] != b[k]}
    alone = {k: apart(here, path(a | {k: b[k]})) for k in differences}
    return Comparison(
        (sides[0][0].name, sides[1][0].name),
        differences,
        apart(here, there),
        dict(sorted(alone.items(), key=lambda item: -item[1])),
        sum(_length(q - p) for p, q in zip(here, here[1:])),
        (_length(here[1] - here[0]), _length(there[1] - there[0])),
        rates,
    )


def _length(a):
    return float((a * a).sum()) ** 0.5


def _path(cls, settings, plan, gradients):
    """Where the parameter is at first and after each step; `plan` multiplies the settings' lr."""
    p = Parameter(backend.ones_like(gradients[0]))
    optimizer, places = cls([p], **settings), [p.data.copy()]
    for share, gradient in zip(plan, gradients):
        optimizer.param_groups[0]["lr"] = settings["lr"] * share
        p.grad = gradient
        optimizer.step()
        places.append(p.data.copy())
    return places


# ---- A run that moves from or to PyTorch -----------------------------------------------------------------------------

TORCH_HAS = ("lr", "momentum", "alpha", "eps", "centered", "weight_decay")
TORCH_ONLY = {"capturable": False, "foreach": None, "differentiable": False}  # how torch computes, not what


def to_torch(optimizer, tensor):
    """What torch.optim.RMSprop loads: `theirs.load_state_dict(optimizer.to_torch(torch.tensor))`.

    torch takes only its own tensors as state, so the function that makes them is an argument; lucidlite never imports
    torch. Settings that torch does not have are refused.
    """
    saved = optimizer.state_dict()
    groups, kept = [], {*TORCH_HAS, "maximize"}
    for i, group in enumerate(saved["param_groups"]):
        for name in DEFAULTS.keys() - kept:
            if group[name] and group[IDLE_WITHOUT.get(name, name)]:
                raise ValueError(f"torch.optim.RMSprop has no {name}, and group {i} has {name}={group[name]}")
        groups.append({k: v for k, v in group.items() if k in kept or k not in {*DEFAULTS, "contiguous_params"}})
        for p in group["params"]:
            state = saved["state"].get(p)
            for name, on in (("momentum_buffer", group["momentum"]), ("grad_avg", group["centered"])):
                if state and on and name not in state:  # switched on since the last step; torch would look for it
                    state[name] = backend.zeros_like(state["square_avg"])
    state = {
        p: {k: tensor(backend.array(v, "float32" if k == "step" else None)) for k, v in values.items()}
        for p, values in saved["state"].items()
    }
    return {"state": state, "param_groups": [group | TORCH_ONLY for group in groups]}


def from_torch(optimizer, state_dict):
    """Go on from the `state_dict()` of a torch.optim.RMSprop. All switches become torch's; nothing of torch is kept."""
    groups = []
    for i, theirs in enumerate(state_dict["param_groups"]):
        extra = {"maximize", "params", "initial_lr", "param_names", *TORCH_ONLY}
        missing, unknown = sorted({*TORCH_HAS} - theirs.keys()), sorted(theirs.keys() - {*TORCH_HAS, *extra})
        if missing or unknown:
            raise ValueError(
                f"this is no state_dict of torch.optim.RMSprop: group {i} lacks {missing} and has the unknown {unknown}"
            )
        if theirs.get("differentiable"):
            raise ValueError(f"group {i} has differentiable=True: gradients through the step cannot go on here")
        own = {"contiguous_params": g["contiguous_params"] for g in optimizer.param_groups[i : i + 1]}
        groups.append(DEFAULTS | {k: v for k, v in theirs.items() if k not in {*TORCH_ONLY, "param_names"}} | own)
    state = {
        p: {k: int(v) if k == "step" else v.detach().cpu().numpy() for k, v in values.items()}
        for p, values in state_dict["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})
