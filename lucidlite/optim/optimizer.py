"""What all optimizers share: groups of parameters, checked hyperparameters, state that can be saved, and the step.

A subclass is its constructor, its state and its rule, as in `Lion`. Hyperparameters whose default is True or False are
switches; the others are numbers not below 0, where `checks` says nothing else.

`rule(math, *flags)` makes the update `(p, g, *buffers, *numbers) -> (p, *buffers)`. The flags are named by the rule's
arguments: a switch; `has_momentum` for a number that is not 0; `coupled` and `decoupled` for where a weight decay
belongs. The numbers are named by the arguments of the update: a hyperparameter; of a pair `betas`, beta1 and beta2;
`rest_beta1` is 1 - beta1; `shrink` is 1 - lr weight_decay; the others come from `scalars`. The update may do what one
fused kernel can: operators, sqrt, abs, sign, maximum, minimum and where, on arrays, never between scalars.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from .. import backend, ops
from ..autograd import parameters, version_of
from ..checks import flag, number, whole
from ..errors import brief
from ..grad_mode import enable_grad, no_grad
from ..tensor import Parameter, Tensor
from .flat import blocks

at_least_0, above_0 = partial(number, ends="[)"), partial(number, ends="()")
fraction, below_1 = partial(number, high=1), partial(number, high=1, ends="[)")
USUAL = {"eps": above_0, "alpha": fraction, "rho": fraction, "momentum": fraction, "dampening": fraction}
# What else a group may have: from a scheduler, and what `clip_grad` reads.
OPTIONAL = {"initial_lr": at_least_0, "clip_grad_max_norm": number, "clip_grad_norm_type": partial(number, ends="(]")}


def pair(what, value, first=below_1, second=below_1):
    """A check for a hyperparameter of two numbers."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{what} is {brief(value)}; it must be a pair of numbers")
    return first(f"{what}[0]", value[0]), second(f"{what}[1]", value[1])


class Optimizer:
    """The base of all optimizers, made from Parameters, or from dicts `{"params": [...], "lr": ...}`: groups of them.

    `param_groups` is a list of dicts, read at every step: `optimizer.param_groups[0]["lr"] = 0.001` works at once.
    `state[p]` holds what is kept for a Parameter: `step` and arrays of its shape. `way` tells how the last update was
    computed: "numpy", "numba" or "cupy", threads, and why if Numba could not. If `track_updates` is set to True,
    `last_update[p]` holds after each step the "mean" and "max" of |change of p|.
    """

    checks: dict[str, Callable] = {}  # hyperparameter -> check(name, value), which returns the value
    state_names: tuple[str, ...] = ()  # arrays like the parameter that start at 0, in the order of the rule's arguments
    state_numbers: tuple[str, ...] = ()  # what `scalars` writes into a parameter's state

    def __init__(self, params: Iterable, defaults: dict):
        usual = {n: x for n, x in self._arguments().items() if n in defaults} | {"contiguous_params": False}
        self.checks = {name: self._check(name, default) for name, default in usual.items()}
        self.defaults = {name: check(name, defaults.get(name, False)) for name, check in self.checks.items()}
        self.param_groups, self.state = [], defaultdict(dict)
        self.track_updates, self.last_update, self.way = False, {}, ""
        self._before, self._after, self._plans = {}, {}, {}  # hooks; group number -> settings, what follows from them
        params = _listed(params)
        for group in params if params and isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    @classmethod
    def _arguments(cls):
        """Hyperparameter -> its default in the constructor, None where it has none."""
        init, names = cls.__init__, parameters(cls.__init__)[2:]
        last = dict(zip(reversed(names), reversed(init.__defaults__ or ())))
        return {name: last.get(name) for name in names} | (init.__kwdefaults__ or {})

    @classmethod
    def _check(cls, name, default):
        usual = pair if isinstance(default, tuple) else flag if isinstance(default, bool) else at_least_0
        return (USUAL | cls.checks).get(name, usual)

    def add_param_group(self, group):
        """Train more parameters, with hyperparameters of their own: `{"params": [...], "lr": ...}`."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"a parameter group is a dict with a list 'params', not {type(group).__name__}; {REMEDY}")
        params = [group["params"]] if isinstance(group["params"], Parameter) else _listed(group["params"])
        if not params:
            raise ValueError("there are no parameters; is the model or the group empty, or was a generator used up?")
        for i, p in enumerate(params):
            if not isinstance(p, Parameter):
                raise TypeError(f"params[{i}] is a {type(p).__name__}, not a Parameter; {REMEDY}")
        if len({*params, *self._params()}) < len(params) + len(self._params()):
            raise ValueError("a parameter is given twice, and would be stepped twice; name each one once")
        self.param_groups.append(self._checked(self.defaults | group | {"params": params}))

    def _params(self):
        return [p for group in self.param_groups for p in group["params"]]

    def _checked(self, group, others=False):
        """The group, its hyperparameters checked, each and together; with `others` it may hold more."""
        known = OPTIONAL | self.checks
        unknown = [] if others else sorted(map(str, group.keys() - known.keys() - {"params"}))
        if unknown:
            raise ValueError(f"{type(self).__name__} has no hyperparameter {unknown}; it has {list(self.checks)}")
        if missing := [name for name in self.checks if name not in group]:
            raise ValueError(f"the hyperparameters {missing} are missing")
        made = {"params": group["params"]}
        made |= {name: check(name, group[name]) for name, check in known.items() if name in group}
        self.check_group(made)
        return made

    # ---- What a subclass says ----

    @staticmethod
    def rule(math: Any, *flags: bool) -> Any:
        """The update rule for these flags; `math` has sqrt, maximum, ... for the arrays at hand."""
        raise NotImplementedError("an optimizer needs a rule(math, *flags) that returns its update, or its own step")

    def flags(self, group) -> tuple:
        """Which lines of the rule this group takes: what `rule` is called with."""
        decays, beside = group.get("weight_decay", 0) != 0, group.get("decoupled_weight_decay", False)
        known = group | {"coupled": decays and not beside, "decoupled": decays and beside}
        return tuple([bool(known[name.removeprefix("has_")]) for name in parameters(self.rule)[1:]])

    def buffers(self, group) -> dict:
        """State name -> what it starts from, in the order of the rule's arguments; None where this group keeps none."""
        return dict.fromkeys(self.state_names, 0.0)

    def scalars(self, group, step, state) -> dict:
        """Further numbers for the rule; `step` counts from 1, `state` is the parameter's from the step before."""
        return {}

    def check_group(self, group):
        """Refuse hyperparameters that do not go together, or that a parameter's dtype cannot hold."""
        for p in group["params"]:
            smallest, _ = backend.limits(backend.state_dtype(p._data))
            if 0 < group.get("eps", 0) < smallest:
                raise ValueError(f"eps is {group['eps']!r}; for {p.dtype} it must be at least {smallest:.2g}")

    def check_step(self, group):
        """Refuse a step that would divide by zero, before anything is changed."""

    # ---- The step ----

    @no_grad()
    def step(self, closure: Callable | None = None):
        """Update every parameter that has a gradient. A closure, called first with gradients on, returns the loss."""
        for hook in list(self._before.values()):
            args, options = hook(self, (closure,), {}) or ((closure,), {})
            closure = options.get("closure", *args)
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        plans = [self._plan(i, group) for i, group in enumerate(self.param_groups)]
        before = {p: p._data.copy() for p in self._params() if p.size} if self.track_updates else {}
        for group, (*plan, flat) in zip(self.param_groups, plans):
            alone = group["params"]
            if group["contiguous_params"]:
                flat[:] = blocks(alone, flat)
                whole = [block for block in flat if block.gather(self.state)]
                for block in whole:
                    self._update(block, block.state, group, *plan)
                    block.share(self.state)
                alone = [p for block in flat if block not in whole for p in block.params]
            for p in alone:
                if p._grad is not None:
                    self._update(p, self.state[p], group, *plan)
        for p, old in before.items():
            moved = abs(p._data - old)
            self.last_update[p] = {"mean": float(moved.mean()), "max": float(moved.max())}
        for watch in backend.watchers:
            watch(self)
        for hook in list(self._after.values()):
            hook(self, (closure,), {})
        return loss

    def _plan(self, i, group):
        """Kernel, buffers, fixed numbers and flat memory of a group, worked out anew when its settings have changed."""
        known, plan = self._plans.get(i, (None, None))
        settings = {**group, "params": None}
        if plan is None or settings != known:
            group = self._checked(group, others=True)  # with 1 as 1.0, and a list as a pair
            flags, buffers, fixed = self._worked_out(group)
            plan = backend.kernel(type(self).rule, flags), buffers, fixed, plan[-1] if plan else []
            self._plans[i] = settings, plan
        self.check_step(group)
        return plan

    def _worked_out(self, group):
        """What follows from a group's settings: flags, buffers, and the numbers that are the same in each step."""
        flags, buffers = self.flags(group), self.buffers(group)
        numbers = {name: x for name, x in group.items() if isinstance(x, (float, Tensor))}
        for name, pair in group.items():
            if isinstance(pair, tuple):
                numbers |= {f"{name[:-1]}1": pair[0], f"{name[:-1]}2": pair[1]}
        numbers |= {f"rest_{name}": 1 - x for name, x in numbers.items()}
        numbers["shrink"] = 1 - group.get("lr", 0.0) * group.get("weight_decay", 0.0)
        names = parameters(self.rule(backend.numpy, *flags))[2 + len(buffers) :]
        return flags, buffers, {name: numbers[name] for name in names if name in numbers}

    def _scalars(self, group, state, fixed):
        """The rule's numbers for the step that begins; those kept in `state` are brought up to date."""
        state["step"] = step = state.get("step", 0) + 1
        return {**fixed, **self.scalars(group, step, state)}

    def _update(self, p, state, group, run, buffers, fixed):
        arrays, data, scalars = [p._data, p._grad], p._data, self._scalars(group, state, fixed)
        for name, start in buffers.items():
            buffer = None if start is None else state.get(name)
            if buffer is None and start is not None:
                buffer = state[name] = backend.filled_like(data, start, backend.state_dtype(data))
            elif buffer is not None and (buffer.dtype is not data.dtype or type(buffer) is not type(data)):  # it moved
                buffer = state[name] = backend.array(buffer, backend.state_dtype(data), backend.device_of(data))
            arrays.append(buffer)
        self.way = run(arrays, scalars)
        version_of(p).bump()

    def pure_step(self, math: Any, group: dict, p: Any, g: Any, state: dict) -> Any:
        """The new value of p, and the new state, by the rule as it stands; nothing is changed."""
        (flags, buffers, fixed), new = self._worked_out(group), dict(state)
        old = [None if x is None else state.get(n, math.zeros_like(p) + x) for n, x in buffers.items()]
        p, *arrays = self.rule(math, *flags)(p, g, *old, **self._scalars(group, new, fixed))
        return p, new | {name: a for name, a in zip(buffers, arrays, strict=True) if buffers[name] is not None}

    @classmethod
    def functional(cls, p: Any, g: Any, state: dict, **settings: Any) -> Any:
        """One step as a function of Tensors: new value and new state. It changes nothing and can be differentiated.

        The state is what the last call returned, {} at first; hyperparameters may be Tensors too, to be learned.
        """
        group = cls._arguments()
        if unknown := settings.keys() - group.keys():
            raise ValueError(f"{cls.__name__} has no {sorted(unknown)}; it has {list(group)}")
        for name, value in settings.items():
            learned = any(isinstance(x, Tensor) for x in (value if isinstance(value, tuple) else (value,)))
            settings[name] = value if learned else cls._check(name, group[name])(name, value)
        return object.__new__(cls).pure_step(ops, group | settings, p, g, state)

    def zero_grad(self, set_to_none=True):
        """Forget the gradients; with `set_to_none=False` fill them with zeros, and backward adds to that memory."""
        for p in self._params():
            if set_to_none:
                p._grad = None
            elif p._grad is not None:
                p._grad[...] = 0

    def clip_grad(self, error_if_nonfinite=True):
        """Clip the gradients of each group with a `clip_grad_max_norm`, by its `clip_grad_norm_type` (2). OneFlow's."""
        from ..nn.utils import clip_grad_norm  # here, because not every program needs nn

        groups = [group for group in self.param_groups if "clip_grad_max_norm" in group]
        if not groups:
            raise ValueError("no group has a 'clip_grad_max_norm'; give it with the group's params")
        for g in groups:
            kind = g.get("clip_grad_norm_type", 2)
            clip_grad_norm(g["params"], g["clip_grad_max_norm"], kind, error_if_nonfinite=error_if_nonfinite)

    def register_step_pre_hook(self, hook: Callable):
        """Call hook(optimizer, args, kwargs) before each step; it may return others. Returns what removes the hook."""
        return _add_hook(self._before, hook)

    def register_step_post_hook(self, hook: Callable):
        """Call hook(optimizer, args, kwargs) after each step. Returns a function that removes the hook."""
        return _add_hook(self._after, hook)

    # ---- Saving ----

    def state_dict(self):
        """A copy of state and hyperparameters that `lucidlite.save` can store: Parameters are named by their number."""
        numbers = {p: i for i, p in enumerate(self._params())}
        states = {i: self.state[p] for p, i in numbers.items() if self.state.get(p)}
        state = {i: {k: v.copy() if hasattr(v, "copy") else v for k, v in s.items()} for i, s in states.items()}
        groups = [group | {"params": [numbers[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Go on from a `state_dict()`, bit for bit. If it does not fit, the error says all reasons; nothing changes."""
        try:
            states, groups = state_dict["state"].items(), state_dict["param_groups"]
            there, here = ([len(group["params"]) for group in each] for each in (groups, self.param_groups))
        except (TypeError, KeyError, AttributeError) as error:
            what = "this is no optimizer's state_dict, a dict with 'state' and 'param_groups'"
            raise TypeError(f"{what}: {error!r}") from error
        wrong, found = [f"its groups have {there} parameters, here {here}"] * (there != here), []
        pairs = enumerate(zip(groups, self.param_groups))
        jobs = [(f"group {i}", self._checked, new | {"params": group["params"]}) for i, (new, group) in pairs]
        for place, check, *values in jobs + [(f"parameter {i!r}", self._loaded, i, state) for i, state in states]:
            try:
                found.append(check(*values))
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                wrong.append(f"{place}: {error}")
        if wrong:
            what = f"{type(self).__name__}: this state_dict does not fit, nothing was changed"
            raise ValueError("; ".join([what, *wrong]))
        for group in self.param_groups:
            group.update(found.pop(0))
        self.state.clear()
        self.state.update(found)

    def _loaded(self, i, saved):
        """Parameter i, and a copy of its saved state, checked."""
        if i not in range(len(self._params())):
            raise ValueError("there is no such parameter here")
        p, starts = self._params()[i], self.buffers(self._arguments())
        numbers = {"step": partial(whole, low=0)} | dict.fromkeys(self.state_numbers, number)
        needed = {*numbers, *[name for name, start in starts.items() if start is not None]}
        if type(self).step is Optimizer.step and not needed <= saved.keys() <= needed | starts.keys():
            raise ValueError(f"it has the state {list(saved)}, and needs {sorted(needed)}")
        arrays = [name for name, x in saved.items() if getattr(getattr(x, "dtype", x), "kind", "") == "f"]
        odd = [n for n in saved.keys() - numbers if n not in arrays or saved[n].shape != p.shape]
        if odd:
            wrong = ", ".join(f"{name} is {brief(saved[name])}" for name in sorted(odd))
            raise ValueError(f"{wrong}; it must be a floating array of shape {p.shape}")
        checks = dict.fromkeys(saved, lambda _, x: backend.array(x, backend.state_dtype(p._data), p.device)) | numbers
        return p, {name: checks[name](name, x) for name, x in saved.items()}

    def __repr__(self):
        groups = [group | {"params": len(group["params"])} for group in self.param_groups]
        lines = [", ".join(f"{name}={value!r}" for name, value in group.items()) for group in groups]
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"


def _add_hook(hooks, hook):
    key = object()
    hooks[key] = hook
    return lambda: hooks.pop(key, None) and None


REMEDY = "give a list of Parameters, such as model.parameters(), or of group dicts, not both"


def _listed(params):
    """The members of what was given as params, in an order that the next run has too."""
    if isinstance(params, (Tensor, dict, set)) or not hasattr(params, "__iter__"):
        raise TypeError(f"params is a {type(params).__name__}; {REMEDY}")
    return list(params)
