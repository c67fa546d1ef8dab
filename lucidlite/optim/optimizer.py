"""What all optimizers share: groups of parameters, checked hyperparameters, state that can be saved, and the step.

A subclass says four things: its hyperparameters with their checks, which state it keeps, which numbers the host
prepares, and its rule, one pure function whose lines are the formulas. `backend.kernel` runs the rule in place.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from .. import backend, ops
from ..autograd import parameters, version_of
from ..errors import brief
from ..grad_mode import enable_grad, no_grad
from ..tensor import Parameter, Tensor
from .flat import blocks

SCHEDULER_KEYS = {"initial_lr"}  # what a scheduler leaves in a group


def number(low=0.0, high=math.inf) -> Callable:
    """A check for a hyperparameter: a finite number from low to high."""
    bounds = f"a finite number, at least {low:g}" + (f" and at most {high:g}" if high < math.inf else "")

    def check(name, value):
        if isinstance(value, (str, bytes, bool)) or getattr(getattr(value, "dtype", None), "kind", "f") == "b":
            raise TypeError(f"{name} is {brief(value)}; it must be {bounds}")
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        except (TypeError, ValueError):
            raise TypeError(f"{name} is {brief(value)}; it must be {bounds}") from None
        if not low <= found <= high or math.isinf(found):
            raise ValueError(f"{name} is {brief(value)}; it must be {bounds}")
        return found

    return check


def flag(name, value):
    """A check for a switch: True or False."""
    if value is not True and value is not False:
        raise TypeError(f"{name} is {brief(value)}; it must be True or False")
    return value


class Optimizer:
    """The base of all optimizers; `RMSprop` shows how little a subclass has to say.

    Args:
        params: Parameters, or dicts `{"params": [...], "lr": ...}`: groups with hyperparameters of their own.
        defaults: the hyperparameters of a group that does not say otherwise.

    Attributes:
        param_groups: a list of dicts, read at every step: `optimizer.param_groups[0]["lr"] = 0.001` works at once.
        state: what is kept for each Parameter, by Parameter: `step` and arrays of its shape.
        way: how the last update was computed: "numpy", "numba" or "cupy", threads, and why if Numba could not.
        track_updates: if True, `last_update[p]` holds after each step the "mean" and "max" of |change of p|.
    """

    checks: dict[str, Callable] = {}  # hyperparameter -> check, in the order of the constructor
    required_state: tuple[str, ...] = ()  # buffers without which a loaded state would silently start anew

    def __init__(self, params: Iterable, defaults: dict):
        if type(self) is Optimizer:
            raise TypeError("Optimizer is the base of all optimizers; take one of them, such as RMSprop")
        self.checks = self.checks | {"contiguous_params": flag}
        self.defaults = {name: check(name, defaults.get(name, False)) for name, check in self.checks.items()}
        self.param_groups, self.state = [], defaultdict(dict)
        self.track_updates, self.last_update, self.way = False, {}, ""
        self._plans = {}  # group number -> what was worked out from its hyperparameters, and what these were then
        params = _listed(params)
        if not params:
            raise ValueError("the optimizer got no parameters; is the model empty, or was a generator used up before?")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, group):
        """Train more parameters, with hyperparameters of their own: `{"params": [...], "lr": ...}`."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(
                f"a parameter group is a dict with a list 'params', not {type(group).__name__}; do not mix both"
            )
        params = [group["params"]] if isinstance(group["params"], Parameter) else _listed(group["params"])
        if not params:
            raise ValueError("a parameter group is empty; give it at least one Parameter")
        for i, p in enumerate(params):
            if not isinstance(p, Parameter):
                raise TypeError(f"params[{i}] is a {type(p).__name__}, not a Parameter; {_remedy(p)}")
        known = [p for other in self.param_groups for p in other["params"]]
        if len(set(params)) < len(params) or not set(known).isdisjoint(params):
            raise ValueError("a parameter is given twice, and would be stepped twice; name each one once")
        unknown = group.keys() - self.checks.keys() - {"params"}
        if unknown:
            what = f"no hyperparameter {sorted(map(str, unknown))}"
            raise ValueError(f"{type(self).__name__} has {what}; it has {list(self.checks)}")
        made = {"params": params} | {n: check(n, group.get(n, self.defaults[n])) for n, check in self.checks.items()}
        self.check_group(made)
        self.param_groups.append(made)

    # ---- What a subclass says ----

    @staticmethod
    def rule(math: Any, *flags: bool) -> Any:
        """The update rule for these flags; `math` has sqrt, maximum, ... for the arrays at hand."""
        raise NotImplementedError("an optimizer needs a rule(math, *flags) that returns its update function")

    def flags(self, group) -> tuple:
        """Which branches of the rule this group takes: what `rule` is called with."""
        return ()

    def buffers(self, group) -> dict:
        """State name -> what it starts from, in the order of the rule's arguments; None where this group keeps none."""
        return {}

    def scalars(self, group, step, created) -> dict:
        """The numbers of the rule, computed on the host; `step` counts from 1, `created` names buffers new in it."""
        return {}

    def check_group(self, group):
        """Refuse hyperparameters that do not go together, or that a parameter's dtype cannot hold."""
        for p in group["params"]:
            smallest, greatest = backend.limits(backend.state_dtype(p._data))
            for name, value in group.items():
                if isinstance(value, float) and value > greatest:
                    raise ValueError(f"{name} is {value!r}, beyond {greatest:.2g}, the greatest number of {p.dtype}")
            if 0 < group.get("eps", 0) < smallest:
                raise ValueError(
                    f"eps is {group['eps']!r}, which is 0 in {p.dtype}; it must be at least {smallest:.2g}"
                )

    def check_step(self, group):
        """Refuse a step that would divide by zero, before anything is changed."""

    # ---- The step ----

    @no_grad()
    def step(self, closure=None):
        """Update every parameter that has a gradient. A closure, called first with gradients on, returns the loss."""
        loss = None
        if closure is not None:
            if not callable(closure):
                raise TypeError(
                    f"closure is {brief(closure)}; it must be a function that computes and returns the loss"
                )
            with enable_grad():
                loss = closure()
        plans = [self._plan(i, group) for i, group in enumerate(self.param_groups)]
        before = {}
        if self.track_updates:
            before = {p: p._data.copy() for group in self.param_groups for p in group["params"] if p.size}
        for group, (run, buffers, flat) in zip(self.param_groups, plans):
            alone = group["params"]
            if group["contiguous_params"]:
                flat[:] = blocks(group["params"], flat)
                whole = [block for block in flat if block.gather(self.state)]
                for block in whole:
                    self._update(block, block.state, group, run, buffers)
                    block.share(self.state)
                alone = [p for block in flat if block not in whole for p in block.params]
            for p in alone:
                if p._grad is not None:
                    self._update(p, self.state[p], group, run, buffers)
        for p, old in before.items():
            moved = abs(p._data - old)
            self.last_update[p] = {"mean": float(moved.mean()), "max": float(moved.max())}
        return loss

    def _plan(self, i, group):
        """The kernel, the buffers and the flat memory of a group, worked out anew when its settings have changed."""
        known, plan = self._plans.get(i, (None, None))
        settings = {**group, "params": None}
        if plan is None or settings != known:
            self.check_group({name: self.checks.get(name, _same)(name, value) for name, value in group.items()})
            run = backend.kernel(type(self).rule, self.flags(group))
            plan = run, self.buffers(group), plan[2] if plan else []
            self._plans[i] = settings, plan
        self.check_step(group)
        return plan

    def _update(self, p, state, group, run, buffers):
        created, arrays, data = [], [p._data, p._grad], p._data
        for name, start in buffers.items():
            if start is not None:
                buffer = state.get(name)
                if buffer is None:
                    buffer = state[name] = backend.filled_like(data, start, backend.state_dtype(data))
                    created.append(name)
                elif buffer.dtype is not data.dtype or type(buffer) is not type(data):  # the model was moved
                    buffer = state[name] = backend.array(buffer, backend.state_dtype(data), backend.device_of(data))
                arrays.append(buffer)
            else:
                arrays.append(None)
        state["step"] = state.get("step", 0) + 1
        self.way = run(arrays, self.scalars(group, state["step"], created))
        version_of(p).bump()

    @classmethod
    def functional(cls, p: Any, g: Any, state: dict, **settings: Any) -> Any:
        """One step as a function of Tensors, which changes nothing and can be differentiated.

        Args:
            p: the parameter's value.
            g: its gradient, of the same shape.
            state: what the last call returned; {} at first.
            settings: hyperparameters; a Tensor of one element, such as an lr to be learned, is taken as it is.

        Returns:
            The new value, and the new state.
        """
        self = object.__new__(cls)
        names, values = parameters(cls.__init__)[2:], cls.__init__.__defaults__ or ()
        group = dict(zip(names, values)) | (cls.__init__.__kwdefaults__ or {})
        unknown = settings.keys() - group.keys()
        if unknown:
            raise ValueError(f"{cls.__name__} has no {sorted(unknown)}; it has {list(group)}")
        group |= {n: v if isinstance(v, Tensor) else cls.checks.get(n, flag)(n, v) for n, v in settings.items()}
        buffers, step = self.buffers(group), state.get("step", 0) + 1
        created = [name for name, start in buffers.items() if start is not None and name not in state]
        old = [None if start is None else state.get(n, ops.zeros_like(p) + start) for n, start in buffers.items()]
        new = cls.rule(ops, *self.flags(group))(p, g, *old, **self.scalars(group, step, created))
        kept = {name: value for name, value in zip(buffers, new[1:]) if buffers[name] is not None}
        return new[0], {"step": step} | kept

    def zero_grad(self, set_to_none=True):
        """Forget the gradients; with `set_to_none=False` fill them with zeros, and backward adds to that memory."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad[...] = 0

    # ---- Saving ----

    def state_dict(self):
        """A copy of state and hyperparameters that `lucidlite.save` can store: Parameters are named by their number."""
        numbers = {p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
        state = {
            i: {k: v.copy() if hasattr(v, "copy") else v for k, v in self.state[p].items()}
            for p, i in numbers.items()
            if self.state.get(p)
        }
        groups = [group | {"params": [numbers[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Go on from a `state_dict()`, bit for bit. If it does not fit, one error lists why, and nothing changes."""
        groups, state = self._checked(state_dict)
        params = [p for group in self.param_groups for p in group["params"]]
        for group, saved in zip(self.param_groups, groups):
            group.update(saved)
        self._plans.clear()
        self.state.clear()
        for i, saved in state.items():
            p = params[i]
            for name, value in saved.items():
                copy = int(value) if name == "step" else backend.array(value, backend.state_dtype(p._data), p.device)
                self.state[p][name] = copy

    def _checked(self, state_dict):
        """The groups' hyperparameters and the state, once all of it is known to fit."""
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= state_dict.keys():
            raise TypeError("this is no optimizer's state_dict: it must be a dict with 'state' and 'param_groups'")
        saved_groups, state = state_dict["param_groups"], state_dict["state"]
        if not isinstance(saved_groups, (list, tuple)) or not isinstance(state, dict):
            raise TypeError(
                f"param_groups is {brief(saved_groups)}, state is {brief(state)}; they must be a list and a dict"
            )
        for i, saved in enumerate(saved_groups):
            if not isinstance(saved, dict) or not hasattr(saved.get("params"), "__len__"):
                raise TypeError(f"group {i} is {brief(saved)}; it must be a dict with a list 'params'")
        sizes, here = ([len(g["params"]) for g in groups] for groups in (saved_groups, self.param_groups))
        wrong = [] if sizes == here else [f"groups of {sizes} parameters, here {here}"]
        groups, params = [], [p for group in self.param_groups for p in group["params"]]
        for i, (saved, group) in enumerate(zip(saved_groups, self.param_groups)):
            groups.append({})
            try:
                groups[i] = self._checked_group(saved)
                self.check_group(group | groups[i])
            except (TypeError, ValueError) as error:
                wrong.append(f"group {i}: {error}")
        for i, saved in state.items():
            if type(i) is not int or not 0 <= i < len(params):
                wrong.append(f"state of parameter {i!r}, of {len(params)}")
            elif not isinstance(saved, dict):
                wrong.append(f"parameter {i}: its state is a {type(saved).__name__}, not a dict")
            else:
                known = {name for group in (*self.param_groups, *groups) if group for name in self.buffers(group)}
                wrong += [f"parameter {i}: {what}" for what in self._misfits(params[i], saved, known)]
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: this state_dict does not fit, nothing was changed: {'; '.join(wrong)}"
            )
        return groups, state

    def _checked_group(self, saved):
        """The hyperparameters of a saved group; ValueError with all that is wrong with them."""
        missing = [name for name in self.checks if name not in saved]
        unknown = [name for name in saved if name not in self.checks and name not in SCHEDULER_KEYS | {"params"}]
        wrong = [f"missing {sorted(missing)}"] * bool(missing) + [f"unknown {unknown}"] * bool(unknown)
        found = {}
        for name in [name for name in (*self.checks, *SCHEDULER_KEYS) if name in saved]:
            try:
                found[name] = self.checks.get(name, number())(name, saved[name])
            except (TypeError, ValueError) as error:
                wrong.append(str(error))
        if wrong:
            raise ValueError(", ".join(wrong))
        return found

    def _misfits(self, p, saved, known):
        """What is wrong with the saved state of one parameter."""
        for name, value in saved.items():
            kind = getattr(getattr(value, "dtype", None), "kind", None)
            if name == "step":
                if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
                    yield f"step is {brief(value)}, not a whole number >= 0"
            elif name not in known:
                yield f"unknown state {name!r}"
            elif kind != "f":
                yield f"{name} is {brief(value)}, a {type(value).__name__}; it must be a floating array"
            elif tuple(value.shape) != p.shape:
                yield f"{name} has shape {tuple(value.shape)}, the parameter {p.shape}"
        for name in (*self.required_state, "step"):
            if name not in saved:
                yield f"state {name!r} is missing"

    def __repr__(self):
        lines = []
        for group in self.param_groups:
            settings = ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "params")
            n, size = len(group["params"]), sum(p.size for p in group["params"])
            lines.append(f"  {n} parameter{'s' * (n != 1)} of {size} element{'s' * (size != 1)}: {settings}")
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def _same(name, value):
    return value


def _listed(params):
    """The members of what was given as params, in an order that the next run has too."""
    if isinstance(params, (Tensor, str, dict, set, frozenset)) or not hasattr(params, "__iter__") or _is_module(params):
        raise TypeError(f"params is a {type(params).__name__}; {_remedy(params)}")
    return list(params)


def _is_module(x):
    return hasattr(x, "parameters") and hasattr(x, "forward")


def _remedy(x):
    if _is_module(x):
        return "give model.parameters()"
    if isinstance(x, tuple):
        return "use .parameters() instead of .named_parameters()"
    if isinstance(x, dict):
        return "give a list of Parameters or a list of group dicts, and do not mix the two"
    return "wrap it in lucidlite.Parameter, and give a list of Parameters or of group dicts"
