"""What all optimizers share: groups of parameters, checked hyperparameters, state that can be saved, and the step.

A subclass says four things: its hyperparameters with their checks, which state it keeps, which numbers the host
prepares, and its rule, one pure function whose lines are the formulas. `backend.kernel` runs the rule in place.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from .. import backend
from ..autograd import version_of
from ..grad_mode import enable_grad, no_grad
from ..tensor import Parameter

SCHEDULER_KEYS = {"initial_lr"}  # what a scheduler leaves in a group


def number(low=0.0, high=math.inf, strict=False):
    """A check for a hyperparameter: a number in [low, high], or in (low, high] if strict; never nan or infinite."""
    bounds = f"{'greater than' if strict else 'at least'} {low:g}" + (
        f" and at most {high:g}" if high < math.inf else ""
    )

    def check(name, value):
        try:
            found = float(value) if not isinstance(value, (str, bytes, bool)) else None
        except (TypeError, ValueError):
            found = None
        if found is None:
            raise TypeError(f"{name} is {value!r}; it must be a number {bounds}")
        if not (low < found if strict else low <= found) or not found <= high or math.isinf(found):
            raise ValueError(f"{name} is {value!r}; it must be a finite number {bounds}")
        return found

    return check


def flag(name, value):
    """A check for a switch: True or False."""
    if value is not True and value is not False:
        raise TypeError(f"{name} is {value!r}; it must be True or False")
    return value


class Optimizer:
    """The base of all optimizers; `RMSprop` shows how little a subclass has to say.

    Args:
        params: Parameters, or dicts `{"params": [...], "lr": ...}`: groups with hyperparameters of their own.
        defaults: the hyperparameters of a group that does not say otherwise.

    Attributes:
        param_groups: a list of dicts, read at every step: `optimizer.param_groups[0]["lr"] = 0.001` works at once.
        state: what is kept for each Parameter, by Parameter: `step` and arrays of its shape.
    """

    checks: dict[str, Callable] = {}  # hyperparameter -> check, in the order of the constructor
    required_state: tuple[str, ...] = ()  # buffers without which a loaded state would silently start anew

    def __init__(self, params: Iterable, defaults: dict):
        if type(self) is Optimizer:
            raise TypeError("Optimizer is the base of all optimizers; take one of them, such as RMSprop")
        self.defaults = {name: check(name, defaults[name]) for name, check in self.checks.items()}
        self.param_groups, self.state = [], defaultdict(dict)
        if isinstance(params, (Parameter, str, dict, set)) or not hasattr(params, "__iter__"):
            raise TypeError(f"params is a {type(params).__name__}; give a list of Parameters or of group dicts")
        params = list(params)
        if not params:
            raise ValueError("the optimizer got no parameters; is the model empty, or was a generator used up before?")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, group):
        """Train more parameters, with hyperparameters of their own: `{"params": [...], "lr": ...}`."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"a parameter group is a dict with a list 'params', not {group!r}")
        params = [group["params"]] if isinstance(group["params"], Parameter) else list(group["params"])
        if not params:
            raise ValueError("a parameter group is empty; give it at least one Parameter")
        for i, p in enumerate(params):
            if not isinstance(p, Parameter):
                hint = (
                    "use .parameters() instead of .named_parameters()"
                    if isinstance(p, tuple)
                    else "wrap it in lucidlite.Parameter"
                )
                raise TypeError(f"params[{i}] is a {type(p).__name__}, not a Parameter; {hint}")
        known = [p for other in self.param_groups for p in other["params"]]
        if len(set(params)) < len(params) or not set(known).isdisjoint(params):
            raise ValueError("a parameter is given twice, and would be stepped twice; name each one once")
        unknown = group.keys() - self.checks.keys() - {"params"}
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no hyperparameter {sorted(unknown)}; it has {list(self.checks)}"
            )
        made = {"params": params} | {
            name: check(name, group.get(name, self.defaults[name])) for name, check in self.checks.items()
        }
        self.check_group(made)
        self.param_groups.append(made)

    def check_group(self, group):
        """Refuse hyperparameters that do not go together; here, an eps that vanishes in a parameter's dtype."""
        for p in group["params"] if "eps" in group else ():
            smallest = backend.tiny(backend.state_dtype(p.data))
            if 0 < group["eps"] < smallest:
                raise ValueError(
                    f"eps is {group['eps']!r}, which is 0 in {p.dtype}; it must be at least {smallest:.2g}"
                )

    # ---- What a subclass says ----

    @staticmethod
    def rule(math: Any, *flags: bool) -> Any:
        """The update rule for these flags; `math` has sqrt, maximum, ... for the arrays at hand."""
        raise NotImplementedError("an optimizer needs a rule(math, *flags) that returns its update function")

    def flags(self, group):
        """Which branches of the rule this group takes: what `rule` is called with."""
        return ()

    def buffers(self, group):
        """State name -> what it starts from, in the order of the rule's arguments; None where this group keeps none."""
        return {}

    def scalars(self, group, state, created):
        """The numbers of the rule, computed on the host; `created` names the buffers that are new in this step."""
        return {}

    # ---- The step ----

    @no_grad()
    def step(self, closure=None):
        """Update every parameter that has a gradient. A closure, called first with gradients on, returns the loss."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            run, buffers = backend.kernel(type(self).rule, self.flags(group)), self.buffers(group)
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, group, run, buffers)
        return loss

    def _update(self, p, group, run, buffers):
        state, created, arrays = self.state[p], [], [p._data, p._grad]
        for name, start in buffers.items():
            if start is not None and name not in state:
                state[name] = backend.filled_like(p._data, start, backend.state_dtype(p._data))
                created.append(name)
            arrays.append(None if start is None else state[name])
        state["step"] = state.get("step", 0) + 1
        run(arrays, self.scalars(group, state, created))
        version_of(p).bump()

    def zero_grad(self, set_to_none=True):
        """Forget the gradients; with `set_to_none=False` fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad[...] = 0

    # ---- Saving ----

    def state_dict(self):
        """A copy of state and hyperparameters that `lucidlite.save` can store: Parameters are named by their number."""
        params = [p for group in self.param_groups for p in group["params"]]
        numbers = {p: i for i, p in enumerate(params)}
        state = {
            i: {k: v.copy() if hasattr(v, "copy") else v for k, v in self.state[p].items()}
            for p, i in numbers.items()
            if self.state.get(p)
        }
        return {
            "state": state,
            "param_groups": [group | {"params": [numbers[p] for p in group["params"]]} for group in self.param_groups],
        }

    def load_state_dict(self, state_dict):
        """Go on from a `state_dict()`, bit for bit. If it does not fit, one error lists why, and nothing changes."""
        groups, state = self._checked(state_dict)
        params = [p for group in self.param_groups for p in group["params"]]
        for group, saved in zip(self.param_groups, groups):
            group.update(saved)
        self.state.clear()
        for i, saved in state.items():
            p = params[i]
            self.state[p] = {
                k: backend.array(v, backend.state_dtype(p.data), p.device) if k != "step" else v
                for k, v in saved.items()
            }

    def _checked(self, state_dict):
        """The groups' hyperparameters and the state, once all of it is known to fit."""
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= state_dict.keys():
            raise TypeError("this is no optimizer's state_dict: it must be a dict with 'state' and 'param_groups'")
        wrong, groups, params = [], [], [p for group in self.param_groups for p in group["params"]]
        sizes, saved_sizes = ([len(g["params"]) for g in gs] for gs in (self.param_groups, state_dict["param_groups"]))
        if sizes != saved_sizes:
            wrong.append(f"groups of {saved_sizes} parameters, here {sizes}")
        for i, saved in enumerate(state_dict["param_groups"]):
            names = saved.keys() - {"params"}
            if names - SCHEDULER_KEYS != self.checks.keys():
                missing, unknown = (
                    sorted(self.checks.keys() - names),
                    sorted(names - SCHEDULER_KEYS - self.checks.keys()),
                )
                wrong.append(f"group {i}: missing hyperparameters {missing}, unknown {unknown}")
                continue
            try:
                groups.append(
                    {
                        name: self.checks[name](name, saved[name]) if name in self.checks else saved[name]
                        for name in names
                    }
                )
            except (TypeError, ValueError) as error:
                wrong.append(f"group {i}: {error}")
        for i, saved in state_dict["state"].items():
            if i not in range(len(params)):
                wrong.append(f"state of parameter {i!r}, of {len(params)}")
            else:
                wrong += [f"parameter {i}: {what}" for what in self._misfits(params[i], saved)]
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: this state_dict does not fit, nothing was changed: {'; '.join(wrong)}"
            )
        return groups, state_dict["state"]

    def _misfits(self, p, saved):
        """What is wrong with the saved state of one parameter."""
        known = {name for group in self.param_groups for name in self.buffers(group)}
        for name, value in saved.items():
            if name == "step":
                if not isinstance(value, int) or value < 0:
                    yield f"step is {value!r}, not a whole number >= 0"
            elif name not in known:
                yield f"unknown state {name!r}"
            elif getattr(value, "shape", None) != p.shape or value.dtype.kind != "f":
                yield f"{name} has shape {getattr(value, 'shape', type(value).__name__)}, the parameter {p.shape}"
        for name in (*self.required_state, "step"):
            if name not in saved:
                yield f"state {name!r} is missing"

    def __repr__(self):
        lines = []
        for group in self.param_groups:
            settings = ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "params")
            lines.append(
                f"{len(group['params'])} parameters of {sum(p.size for p in group['params'])} elements: {settings}"
            )
        return f"{type(self).__name__}(\n" + "".join(f"  {line}\n" for line in lines) + ")"
