r"""Schedules: rates that change while a model trains, each a pure function of t, the number of `step()` calls so far.

A class is its method `schedule`: a function of t, of η_0, the group's own rate, and of the constructor's arguments,
PyTorch's without `last_epoch`. Rates, momenta and `lr_lambda` can be lists, with a value for each parameter group."""

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from inspect import Signature, signature
from itertools import pairwise
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from ..checks import _require, number, whole
from .optimizer import CHECKS, Optimizer, Positive, Share, at_least_0, below_1, check_of, count

Count = Annotated[int, count]
Start = Annotated[float, partial(number, high=1, ends="(]")]
GROUPWISE = ("lr_lambda", "base_lr", "max_lr", "min_lr", "base_momentum", "max_momentum")


def _increasing(what, value):
    rising = isinstance(value, (list, tuple)) and value and sorted(value) == list(value)
    return tuple(count(what, n) for n in _require(True, rising, what, value, "a list of whole numbers that increase"))


def _each(what, value, check, n):
    fits = isinstance(value, (list, tuple)) and len(value) == n
    _require(True, fits, what, value, f"a list of {n}, one for each parameter group")
    return [check(what, v) for v in value]


CHECKS |= {list: _increasing, Callable: lambda what, f: _require(callable(f), True, what, f, "a function of t")}


class Scheduler:
    """What all schedules share. Making one sets the rates for t = 0; of two on one optimizer the last to step wins."""

    schedule: Any  # (t, eta_0, ...): the rate, or a pair of rate and momentum
    base_key = "initial_lr"  # where a group keeps η_0
    memory: dict = {"t": count}  # what changes, with the checks for loading it

    def __init_subclass__(cls):
        if "schedule" in vars(cls):
            _, t, _, *own = signature(cls.schedule).parameters.values()
            cls.__signature__ = Signature([t.replace(name="optimizer"), *own])

    def __init__(self, optimizer: Optimizer, *args: Any, **options: Any):
        _require(isinstance(optimizer, Optimizer), True, "optimizer", optimizer, "an Optimizer")
        bound, groups = signature(type(self)).bind(optimizer, *args, **options), optimizer.param_groups
        bound.apply_defaults()
        for name, argument in bound.signature.parameters.items():
            value, check = bound.arguments[name], check_of(argument, lambda what, value: value)
            if name in GROUPWISE and isinstance(value, (list, tuple)):
                bound.arguments[name] = _each(name, value, check, len(groups))
            elif value is not argument.default:
                bound.arguments[name] = check(name, value)
        if bound.arguments.get("cycle_momentum") and not all({"momentum", "betas"} & group.keys() for group in groups):
            raise ValueError(f"{type(optimizer).__name__} has neither momentum nor betas; say cycle_momentum=False")
        self._begin(**bound.arguments)

    def _begin(self, optimizer, **arguments):
        self.optimizer, self.own = optimizer, SimpleNamespace(**arguments)  # a list has a value for each group
        self._set(0, self.base_lrs)

    @property
    def base_lrs(self):
        return [group.get(self.base_key, group["lr"]) for group in self.optimizer.param_groups]

    def get_last_lr(self):
        return self.last_lr

    def lr(self, t, base, group=0):
        """The rate at t where the group's own rate is `base`. Nothing is changed."""
        return self.at(t, base, group)[0]

    def at(self, t, base, group):
        """The rate and the momentum at t; the momentum is None where the schedule leaves it alone."""
        arguments = {name: v[group] if isinstance(v, list) else v for name, v in vars(self.own).items()}
        made = self.schedule(t, base, **arguments)
        return made if isinstance(made, tuple) else (made, None)

    def step(self):
        """Count one more step and set the rates for it: after `optimizer.step()`, or the first rate is not used."""
        if self.t == 0 and not any(self.optimizer.state.values()):
            warnings.warn("step the optimizer before the schedule", stacklevel=2 + isinstance(self, ReduceLROnPlateau))
        self._set(self.t + 1, self.base_lrs)

    def _set(self, t, bases):
        """Go to t. All rates are computed and checked before any is set."""
        rates, momenta = zip(*[self.at(t, base, i) for i, base in enumerate(bases)])
        self.last_lr = [at_least_0(f"{type(self).__name__}: the rate at t = {t}", rate) for rate in rates]
        self.t = t
        for group, base, rate, momentum in zip(self.optimizer.param_groups, bases, self.last_lr, momenta):
            group |= {self.base_key: base, "lr": rate}
            if momentum is not None:
                group |= {"betas": (momentum, *group["betas"][1:])} if "betas" in group else {"momentum": momentum}

    def __repr__(self):
        shown = (f"{k}={v!r}" for k, v in vars(self.own).items() if not callable(v[0] if isinstance(v, list) else v))
        return f"{type(self).__name__}({', '.join(shown)})"

    def state_dict(self):
        """What changes, and the arguments as text, without functions."""
        return {"scheduler": repr(self), "base_lrs": self.base_lrs} | {k: getattr(self, k) for k in self.memory}

    def load_state_dict(self, state_dict):
        """Go on from a `state_dict()` of a schedule with the same arguments. What is refused changes nothing."""
        given, own = state_dict if isinstance(state_dict, dict) else {}, self.state_dict()
        fits = given.keys() == own.keys() and given["scheduler"] == own["scheduler"]
        _require(True, fits, "the state_dict", state_dict, f"one of {self}, made with the same arguments")
        found = {name: check(name, given[name]) for name, check in self.memory.items()}
        self._set(found["t"], _each("base_lrs", given["base_lrs"], at_least_0, len(own["base_lrs"])))
        vars(self).update(found)


class LambdaLR(Scheduler):
    r"""Multiply the group's rate by a function of t, where λ is `lr_lambda(t)`.

    (1)  η_t = η_0 λ"""

    def schedule(self, t, eta_0, lr_lambda: Callable):
        return eta_0 * lr_lambda(t)  # (1)


class MultiplicativeLR(Scheduler):
    r"""Multiply the rate by a function of t, again at each step, where λ is `list(map(lr_lambda, range(1, t + 1)))`.

    (1)  η_t = η_0 \prod_i λ_i"""

    def schedule(self, t, eta_0, lr_lambda: Callable):
        made = vars(self).setdefault("products", {}).setdefault(lr_lambda, [1.0])
        while len(made) <= t:
            made.append(made[-1] * lr_lambda(len(made)))
        return eta_0 * made[t]  # (1)


class StepLR(Scheduler):
    r"""Multiply the rate by γ every so many steps, where s is `step_size`.

    (1)  η_t = η_0 γ^{\operatorname{floor}(\frac{t}{s})}"""

    def schedule(self, t, eta_0, step_size: int, gamma: float = 0.1):
        return eta_0 * gamma ** (t // step_size)  # (1)


class MultiStepLR(Scheduler):
    r"""Multiply the rate by γ at each milestone that was reached, where n is `bisect_right(milestones, t)`.

    (1)  η_t = η_0 γ^n"""

    def schedule(self, t, eta_0, milestones: list, gamma: float = 0.1):
        return eta_0 * gamma ** bisect_right(milestones, t)  # (1)


class ConstantLR(Scheduler):
    r"""A smaller rate for the first n steps, where f is `factor` and n is `total_iters`.

    (1)  η_t = η_0 f                                         if t < n, else η_0"""

    def schedule(self, t, eta_0, factor: Share = 1 / 3, total_iters: int = 5):
        return eta_0 * factor if t < total_iters else eta_0  # (1)


class LinearLR(Scheduler):
    r"""A warm-up along a line in n steps, where a is `start_factor`, b is `end_factor` and n is `total_iters`.

    (1)  η_t = η_0 (a + (b - a) \frac{\min(t, n)}{n})"""

    def schedule(self, t, eta_0, start_factor: Start = 1 / 3, end_factor: Share = 1.0, total_iters: int = 5):
        return eta_0 * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)  # (1)


class ExponentialLR(Scheduler):
    r"""Multiply the rate by γ at each step.

    (1)  η_t = η_0 γ^t"""

    def schedule(self, t, eta_0, gamma: float):
        return eta_0 * gamma**t  # (1)


class PolynomialLR(Scheduler):
    r"""Down to 0 in n steps along a power of the time that is left, where n is `total_iters` and p is `power`.

    (1)  η_t = η_0 (1 - \frac{\min(t, n)}{n})^p"""

    def schedule(self, t, eta_0, total_iters: int = 5, power: float = 1.0):
        return eta_0 * (1 - min(t, total_iters) / total_iters) ** power  # (1)


class CosineAnnealingLR(Scheduler):
    r"""Down to eta_min in T_max steps along half a cosine, then up again; CosineAnnealingWarmRestarts names the source.

    (1)  η_t = η_{min} + (η_0 - η_{min}) \frac{1 + \cos(\frac{π t}{T_{max}})}{2}"""

    def schedule(self, t, eta_0, T_max: int, eta_min: float = 0.0):
        return eta_min + (eta_0 - eta_min) * (1 + math.cos(math.pi * t / T_max)) / 2  # (1)


class CosineAnnealingWarmRestarts(Scheduler):
    r"""Down along half a cosine again and again; each run is T_mult times as long as the one before, T_0 steps.

        (1)  η_t = η_{min} + (η_0 - η_{min}) \frac{1 + \cos(\frac{π (t - s)}{T})}{2}

    where s is `start`, at which this run began, and T is `length`. Source: Loshchilov and Hutter, SGDR, 2017, eq. 5."""

    def schedule(self, t, eta_0, T_0: int, T_mult: int = 1, eta_min: float = 0.0):
        start, length = (t - t % T_0 if T_mult == 1 else 0), T_0
        while start + length <= t:
            start, length = start + length, length * T_mult
        return eta_min + (eta_0 - eta_min) * (1 + math.cos(math.pi * (t - start) / length)) / 2  # (1)


class CyclicLR(Scheduler):
    r"""Up from base_lr to max_lr and down again, cycle after cycle; the momentum goes the other way.

        (1)  c = 1 + \operatorname{floor}(\frac{t}{u + d})
        (2)  x = t - (c - 1) (u + d)
        (3)  h = \frac{x}{u}                                     if x < u, else \frac{u + d - x}{d}
        (4)  s = 2^{1 - c}                                       if mode is "triangular2", else γ^t
        (5)  a = f                                               if scale_fn, else s
        (6)  η = η_{min} + (η_{max} - η_{min}) h a
        (7)  μ = μ_{max} - (μ_{max} - μ_{min}) h a

    where c is `cycle`, u is `step_size_up`, d is `down`, h is `height`, s is `scale`, f is `scale_fn(cycle if
    scale_mode == "cycle" else t)`, η_{min} is `base_lr`, η_{max} is `max_lr`, μ_{min} is `base_momentum` and μ_{max} is
    `max_momentum`; γ is 1 for the mode "triangular". Source: Smith, Cyclical Learning Rates, WACV 2017."""

    def schedule(self, t, _, base_lr: float, max_lr: float, step_size_up: int = 2000, step_size_down: int | None = None,
                 mode: Literal["triangular", "triangular2", "exp_range"] = "triangular", gamma: float = 1.0,
                 scale_fn: Callable | None = None, scale_mode: Literal["cycle", "iterations"] = "cycle",
                 cycle_momentum: bool = True, base_momentum: Share = 0.8, max_momentum: Share = 0.9):  # fmt: skip
        down = step_size_down or step_size_up
        cycle = 1 + t // (step_size_up + down)  # (1)
        x = t - (cycle - 1) * (step_size_up + down)  # (2)
        height = x / step_size_up if x < step_size_up else (step_size_up + down - x) / down  # (3)
        gamma = gamma if mode == "exp_range" else 1.0
        scale = 2.0 ** (1 - cycle) if mode == "triangular2" else gamma**t  # (4)
        a = scale_fn(cycle if scale_mode == "cycle" else t) if scale_fn else scale  # (5)
        eta = base_lr + (max_lr - base_lr) * height * a  # (6)
        mu = max_momentum - (max_momentum - base_momentum) * height * a  # (7)
        return eta, mu if cycle_momentum else None


class OneCycleLR(Scheduler):
    r"""One cycle for the whole training: up to max_lr, down to almost nothing; the momentum goes the other way.

        (1)  p = \frac{η_{max}}{q}
        (2)  z = \frac{p}{Q}
        (3)  x = \frac{t - s}{e - s}
        (4)  w = \frac{1 - \cos(π x)}{2}                         if anneal_strategy is "cos", else x
        (5)  η = a + (b - a) w
        (6)  μ = A + (B - A) w

    where η_{max} is `max_lr`, q is `div_factor` and Q is `final_div_factor`. A phase leads from the time s, the rate a
    and the momentum A to e, b and B; the second of three leads back. Source: Smith and Topin, 2017 (three phases)."""

    def schedule(self, t, _, max_lr: float, total_steps: int | None = None, epochs: int | None = None,
                 steps_per_epoch: int | None = None, pct_start: Share = 0.3,
                 anneal_strategy: Literal["cos", "linear"] = "cos", cycle_momentum: bool = True,
                 base_momentum: Share = 0.85, max_momentum: Share = 0.95, div_factor: Positive = 25.0,
                 final_div_factor: Positive = 1e4, three_phase: bool = False):  # fmt: skip
        n = total_steps or (epochs or 0) * (steps_per_epoch or 0)
        _require(True, n >= max(t, 2), "total_steps, or epochs * steps_per_epoch,", n, f"above 1 and not below t = {t}")
        t = min(t, n - 1)  # the usual loop ends with a step at t = n
        p = max_lr / div_factor  # (1)
        z = p / final_div_factor  # (2)
        turns = [(0, p, max_momentum), (pct_start * n - 1, max_lr, base_momentum), (n - 1, z, max_momentum)]
        turns[2:2] = [(2 * pct_start * n - 2, p, max_momentum)] * three_phase
        (s, a, A), (e, b, B) = next((u, v) for u, v in pairwise(turns) if u[0] < v[0] and t <= v[0])
        x = (t - s) / (e - s)  # (3)
        w = (1 - math.cos(math.pi * x)) / 2 if anneal_strategy == "cos" else x  # (4)
        eta = a + (b - a) * w  # (5)
        mu = A + (B - A) * w  # (6)
        return eta, mu if cycle_momentum else None


class NoamScheduler(Scheduler):
    r"""The Transformer's: a linear warm-up, then down with the root of the time. The group's own rate plays no part.

        (1)  η_t = \frac{f}{\sqrt{d}} \min(\frac{1}{\sqrt{t + 1}}, \frac{t + 1}{w^{1.5}})

    where d is `model_size`, w is `warmup_steps` and f is `factor`. The paper counts steps from 1, hence t + 1.
    Source: Vaswani et al., Attention Is All You Need, 2017, eq. 3."""

    def schedule(self, t, _, model_size: int, warmup_steps: int, factor: Positive = 1.0):
        return factor * model_size**-0.5 * min((t + 1) ** -0.5, (t + 1) * warmup_steps**-1.5)  # (1)


class ReduceLROnPlateau(Scheduler):
    r"""Reduce the rate when a measurement, given to each step, has not become better for more than `patience` steps.

        (1)  l = b + σ τ                                         if self.own.threshold_mode is "abs", else b (1 + σ τ)
        (2)  η_t = \max(f η_0, η_{min})

    where l is `limit`, which a better measurement passes, b is `best`, τ is the `threshold`, σ is `sign`, η is
    `reduced`, f is `factor`, η_{min} is `min_lr` and η_0 the rate so far. A nan is never better. For `cooldown` steps
    after a reduction none counts; a reduction by eps or less is left out."""

    base_key = "lr"
    memory = {"t": count, "bad_steps": partial(whole, low=-(10**9)), "best": partial(number, low=-math.inf)}
    bad_steps = best = 0  # how many came after the best; below 0 as long as none counts

    def schedule(self, t, eta_0, mode: Literal["min", "max"] = "min", factor: Annotated[float, below_1] = 0.1,
                 patience: Count = 10, threshold: float = 1e-4, threshold_mode: Literal["rel", "abs"] = "rel",
                 cooldown: Count = 0, min_lr: float = 0.0, eps: float = 1e-8):  # fmt: skip
        reduced = max(factor * eta_0, min_lr)  # (2)
        return reduced if self.bad_steps > patience and eta_0 - reduced > eps else eta_0

    def step(self, metrics):
        """Look at the measurement, such as an epoch's validation loss, and reduce the rates when it is time."""
        metric, sign, tau = float(metrics), 1 if self.own.mode == "max" else -1, self.own.threshold
        best = self.best if self.t else -sign * math.inf
        limit = best + sign * tau if self.own.threshold_mode == "abs" else best * (1 + sign * tau)  # (1)
        better = sign * metric > sign * limit
        self.best = metric if better else best
        self.bad_steps = 0 if better and self.bad_steps >= 0 else self.bad_steps + 1
        super().step()
        if self.bad_steps > self.own.patience:
            self.bad_steps = -self.own.cooldown


def _members(schedulers, optimizer=None):
    _require(isinstance(schedulers, (list, tuple)), schedulers, "schedulers", schedulers, "a list of schedules")
    for i, member in enumerate(schedulers):
        pure = isinstance(member, Scheduler) and not isinstance(member, ReduceLROnPlateau)
        fits = pure and member.optimizer is (optimizer or schedulers[0].optimizer)
        _require(pure, fits, f"schedulers[{i}]", member, "a schedule of this optimizer that needs nothing but t")
    return tuple(schedulers)


class SequentialLR(Scheduler):
    r"""One schedule after the other: each but the first begins at a milestone, with a t of its own.

        (1)  s = t - m

    where s is `since`, the schedule's own t, and m is `(0, *self.own.milestones)[i]`, the last milestone, or 0."""

    def __init__(self, optimizer: Optimizer, schedulers: list, milestones: list):
        n, starts = len(_members(schedulers, optimizer)), _increasing("milestones", milestones)
        _require(True, len(starts) == n - 1, "milestones", milestones, f"one less than the {n} schedules")
        self._begin(optimizer, schedulers=tuple(schedulers), milestones=starts)

    def at(self, t, base, group):
        i = bisect_right(self.own.milestones, t)
        since = t - (0, *self.own.milestones)[i]  # (1)
        return self.own.schedulers[i].at(since, base, group)


class ChainedScheduler(Scheduler):
    """All schedules at once: each takes what the one before it gives as the group's own rate.

    So factors are multiplied, as in PyTorch. CyclicLR, OneCycleLR and NoamScheduler, which ignore it, stand first."""

    def __init__(self, schedulers: list):
        self._begin(schedulers=_members(schedulers), optimizer=schedulers[0].optimizer)

    def at(self, t, base, group):
        momentum = None
        for member in self.own.schedulers:
            base, new = member.at(t, base, group)
            momentum = momentum if new is None else new
        return base, momentum


def plot(scheduler: Scheduler, steps: int):
    """Draw the rates for t = 0, ..., steps - 1, a line for each group; the result is matplotlib's axes."""
    _members([scheduler])  # what ReduceLROnPlateau does depends on measurements to come
    import matplotlib.pyplot as plt

    axes = plt.figure().add_subplot(xlabel="t", ylabel="learning rate", title=type(scheduler).__name__)
    for i, base in enumerate(scheduler.base_lrs):
        axes.plot([scheduler.lr(t, base, i) for t in range(whole("steps", steps))], label=f"group {i}")
    axes.legend()
    return axes
