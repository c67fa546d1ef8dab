"""One RMSprop, every dialect: what the systems that have an RMSprop really compute, as settings of ours.

The lesson: a name is not a rule. Two programs that both say RMSprop(lr=0.01) go different ways where eps stands inside
the root in one and outside in the other. The systems, and what is known of each, stand in `dialects.toml`.
"""

import re
import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import NamedTuple

from .. import backend
from ..errors import brief
from ..tensor import Parameter
from .optimizer import Optimizer

EMPTY = {"verified": "", "changed": {}, "native": {}, "aliases": [], "note": ""}  # what a row need not say
WITH_MOMENTUM = "momentum > 0"  # the value of eps_in_sqrt where a system decides it so
TORCH_ONLY = {"capturable": False, "foreach": None, "differentiable": False}  # how torch computes, not what
NOT_IN_TORCH = {  # switch -> the setting without which it has no effect
    "nesterov": "momentum", "lr_in_momentum": "momentum", "decoupled_weight_decay": "weight_decay",
    "eps_in_sqrt": "eps", "initial_scale": "initial_scale", "bias_correction": "bias_correction",
}  # fmt: skip


class Dialects(dict):
    """Name -> dialect, shown as a table. It knows aliases, and neither capitals nor any of `-_. ` matter."""

    def __missing__(self, name):
        known = {re.sub(r"\W", "", alias): d for d in self.values() for alias in (d.name, *d.aliases)}
        wanted = re.sub(r"[\W_]", "", str(name).lower())
        if wanted in known:
            return known[wanted]
        raise ValueError(f"there is no dialect {brief(name)}; it can be {', '.join(self)}")

    def __repr__(self):
        numbers, rows = ("lr", "alpha", "eps"), []
        for d in self.values():
            others = ", ".join(f"{name}={x}" for name, x in d.changed.items() if name not in numbers) or "-"
            rows.append((d.name, *[str(d.changed.get(name, d.settings[name])) for name in numbers], others, d.system))
        return _aligned([("dialect", *numbers, "what else differs from our defaults", "system"), *rows])


def _aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


class Comparison(NamedTuple):
    """How far apart two dialects go. A drift is the largest distance between two paths, over all steps."""

    names: tuple
    rates: str
    differences: dict  # setting -> its values in the first and in the second
    drift: float
    drift_by_setting: dict  # setting -> the drift when the first has only this one of the second; largest first
    travelled: float  # how long the first one's path is
    first_steps: tuple  # how long the first step of each is

    def __repr__(self):
        rows = [("setting", *self.names, "drift when only this differs")]
        for name, drift in self.drift_by_setting.items():
            rows.append((name, *map(str, self.differences[name]), self._of_way(drift)))
        rows.append(("all of them" if self.differences else "none differs", "", "", self._of_way(self.drift)))
        steps = "{:.3g} and {:.3g}".format(*self.first_steps)
        return f"{self.rates}\n{_aligned(rows)}\nfirst step: {steps}; the whole way: {self.travelled:.3g}"

    def _of_way(self, drift):
        share = drift / (self.travelled or 1)
        return "0" if share < 1e-13 else f"{drift:.2g}, {100 * share:.2g} % of the way"  # below that it is rounding


class Polyglot(Optimizer):
    """The base of RMSprop: an optimizer that can compute what other systems call by its name."""

    @classmethod
    def like(cls, name: str, params: Iterable, **overrides):
        """What another system calls RMSprop: its defaults and switches, then overrides, under our names or its own."""
        dialect, settings = cls._resolved(name, overrides)
        if settings["lr"] is None:
            raise TypeError(f"{dialect.system} has no default learning rate; give lr=...")
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
        known = (*dialect.settings, *dialect.native)
        for given, value in overrides.items():
            ours = dialect.native.get(given, given)
            if ours not in known or ours in changes:
                what = f"has {given!r} already, as {ours}" if ours in changes else f"has no argument {given!r}"
                raise TypeError(f"{dialect.name} {what}; its arguments are {', '.join(known)}")
            changes[ours] = value
        return dialect, dialect.settings | changes

    @classmethod
    def compare(cls, first: str, second: str, gradients=None, **overrides):
        """In what two dialects differ, and how far apart they go from a parameter of ones along the same gradients."""
        if gradients is None:
            gradients = backend.stream(0).normal(size=(100, 8)) * [10.0**-i for i in range(8)]
        gradients = [backend.array(backend.raw(g), "float64") for g in gradients]
        (d1, one), (d2, two) = (cls._resolved(name, overrides) for name in (first, second))
        n, one, two = len(gradients), _eps_placed(one), _eps_placed(two)
        if not n:
            raise ValueError("there are no gradients to compare along; give one for each step")
        one["lr"], two["lr"] = one["lr"] or two["lr"] or 0.01, two["lr"] or one["lr"] or 0.01
        later, told = (1.0, "") if "lr" in overrides else (0.1, ", a tenth in the second half")
        factors = [1.0] * (n - n // 2) + [later] * (n // 2)
        differences = {name: (one[name], two[name]) for name in one if one[name] != two[name]}
        here, there = cls._path(one, factors, gradients), cls._path(two, factors, gradients)
        alone = {name: cls._path(one | {name: b}, factors, gradients) for name, (_, b) in differences.items()}
        drifts = {name: float(_distances(here, path).max()) for name, path in alone.items()}
        drifts = dict(sorted(drifts.items(), key=lambda item: -item[1]))
        drift, ways = float(_distances(here, there).max()), [_distances(path[1:], path[:-1]) for path in (here, there)]
        rates = f"{n} step{'s' * (n > 1)}, lr {one['lr']:g} and {two['lr']:g}{told}"
        first_steps = tuple(float(way[0]) for way in ways)
        return Comparison((d1.name, d2.name), rates, differences, drift, drifts, float(ways[0].sum()), first_steps)

    @classmethod
    def _path(cls, settings, factors, gradients):
        """Where the parameter is before and after each step, (steps + 1, size); factors say by what to multiply lr."""
        p = Parameter(backend.ones_like(gradients[0]))
        optimizer, places = cls([p], **settings), [p.data.flatten()]
        for factor, gradient in zip(factors, gradients):
            optimizer.param_groups[0]["lr"], p.grad = settings["lr"] * factor, gradient
            optimizer.step()
            places.append(p.data.flatten())
        return backend.array(places, "float64")

    def to_torch(self):
        """A state_dict in the layout of torch.optim.RMSprop, to go on there; refused where torch lacks a switch."""
        saved, array = self.state_dict(), getattr(sys.modules.get("torch"), "tensor", lambda a: a)
        for i, group in enumerate(saved["param_groups"]):
            lost = [f"{name}={group[name]}" for name, needs in NOT_IN_TORCH.items() if group[name] and group[needs]]
            if lost:
                raise ValueError(f"torch.optim.RMSprop has no {', '.join(lost)}, as in group {i}")
            buffers = [name for name, start in self.buffers(group).items() if start is not None]
            for state in [saved["state"][p] for p in group["params"] if p in saved["state"]]:
                for name in buffers:  # one that was switched on since the last step is not there; torch would miss it
                    state.setdefault(name, backend.zeros_like(state["square_avg"]))
                state |= {k: array(backend.array(v, "float32" if k == "step" else None)) for k, v in state.items()}
        ours = {*NOT_IN_TORCH, "contiguous_params"}
        groups = [{k: v for k, v in g.items() if k not in ours} | TORCH_ONLY for g in saved["param_groups"]]
        return {"state": saved["state"], "param_groups": groups}

    def load_torch(self, state_dict: dict):
        """Go on from the state_dict of a torch.optim.RMSprop, bit for bit, with all switches as in torch."""
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= state_dict.keys():
            return self.load_state_dict(state_dict)  # which says what is wrong
        added, state, gone = {"contiguous_params": self.defaults["contiguous_params"]}, {}, {*TORCH_ONLY, "param_names"}
        added |= {name: self._arguments()[name] for name in (*NOT_IN_TORCH, "maximize")}  # an older torch has none
        groups = [added | {k: v for k, v in g.items() if k not in gone} for g in state_dict["param_groups"]]
        for p, values in state_dict["state"].items():
            arrays = {k: v.detach().cpu().numpy() if hasattr(v, "detach") else v for k, v in values.items()}
            state[p] = {k: int(v) if k == "step" else v for k, v in arrays.items()}
        self.load_state_dict({"state": state, "param_groups": groups})


def _eps_placed(settings):
    """These settings with an eps_in_sqrt that hangs on the momentum resolved to True or False."""
    hangs = settings.get("eps_in_sqrt", WITH_MOMENTUM) == WITH_MOMENTUM
    return settings | {"eps_in_sqrt": settings["momentum"] > 0} if hangs else settings


def _distances(path, other):
    return ((path - other) ** 2).sum(axis=1) ** 0.5
