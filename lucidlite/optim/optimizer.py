"""What all optimizers share: groups of parameters, checked hyperparameters, state that can be saved, and the step.

A subclass is its constructor, its state and its rule, as in `Lion`. Hyperparameters whose default is True or False are
switches; the others are numbers not below 0, where their annotation says nothing else.

`rule(math, *flags)` makes the update `(p, g, *buffers, *numbers) -> (p, *buffers)`. The flags are named by the rule's
arguments: a switch; `has_momentum` for a number that is not 0; `coupled` and `decoupled` for where a weight decay
belongs. The numbers are named by the arguments of the update: a hyperparameter; of a pair `betas`, beta1 and beta2;
`rest_beta1` is 1 - beta1; `shrink` is 1 - lr weight_decay; the others come from `scalars`. The update may do what one
fused kernel can: operators, sqrt, abs, sign, maximum, minimum and where, on arrays, never between scalars."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from inspect import signature
from typing import Annotated, Any, Literal, get_args, get_origin

from .. import autograd, backend, checks, kernels, ops
from ..checks import brief, number, refuse
from ..tensor import Parameter, Tensor

count = partial(checks.whole, low=0)
at_least_0, above_0 = partial(number, ends="[)"), partial(number, ends="()")
below_1 = partial(number, high=1, ends="[)")
Share = Annotated[float, partial(number, high=1)]
Positive = Annotated[float, above_0]
# What else a group may have: from a scheduler, and what `clip_grad` reads.
OPTIONAL = {"initial_lr": at_least_0, "clip_grad_max_norm": number, "clip_grad_norm_type": partial(number, ends="(]")}


def pair(what, value, first=below_1, second=below_1):
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{what} is {brief(value)}; it must be a pair of numbers")
    return first(f"{what}[0]", value[0]), second(f"{what}[1]", value[1])


CHECKS = {float: at_least_0, int: checks.whole, bool: checks.flag, tuple: pair}


def check_of(argument, otherwise: Any = at_least_0):
    """The check(what, value) for a constructor's argument, by its annotation, or else by its default."""
    kind, (first, *others) = get_origin(argument.annotation), get_args(argument.annotation) or [argument.annotation]
    if kind is Literal:
        return partial(checks.choice, choices=[first, *others])
    default = {bool: checks.flag, tuple: pair}.get(type(argument.default), otherwise)
    return others[0] if kind is Annotated else CHECKS.get(first, default)


class Optimizer:
    """The base of all optimizers, made from Parameters, or from dicts `{"params": [...], "lr": ...}`: groups of them.

    `param_groups` is a list of dicts, read at every step: `optimizer.param_groups[0]["lr"] = 0.001` works at once.
    `state[p]` holds what is kept for a Parameter: `step` and arrays of its shape. `way` tells how the last update was
    computed: "numpy", "numba" or "cupy", threads, and why if Numba could not."""

    state_names: tuple[str, ...] = ()  # arrays like the parameter that start at 0, in the order of the rule's arguments
    state_numbers: tuple[str, ...] = ()  # what `scalars` writes into a parameter's state

    def __init__(self, params: Iterable, defaults: dict):
        known = list(signature(type(self)).parameters.values())[1:]
        self.checks = {p.name: check_of(p) for p in known if p.name in defaults} | {"contiguous_params": checks.flag}
        self.defaults = {name: check(name, defaults.get(name, False)) for name, check in self.checks.items()}
        self.param_groups, self.state = [], defaultdict(dict)
        self._before, self._after, self.way = [], [], ""  # hooks, and how the last update was computed
        self._plans = {}  # group number -> its settings, and what follows from them
        params = _listed(params)
        for group in params if params and isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    @classmethod
    def _arguments(cls):
        """Hyperparameter -> its default in the constructor, None where it has none."""
        known = list(signature(cls).parameters.values())[1:]
        return {p.name: None if p.default is p.empty else p.default for p in known}

    def add_param_group(self, group):
        """Train more parameters, with hyperparameters of their own: `{"params": [...], "lr": ...}`."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"a parameter group is a dict with a list 'params', not {type(group).__name__}; {REMEDY}")
        params = [group["params"]] if isinstance(group["params"], Parameter) else _listed(group["params"])
        refuse(not params, "there are no parameters; is the model or the group empty, or was a generator used up?")
        for i, p in enumerate(params):
            if not isinstance(p, Parameter):
                raise TypeError(f"params[{i}] is a {type(p).__name__}, not a Parameter; {REMEDY}")
        twice = len({*params, *self._params()}) < len(params) + len(self._params())
        refuse(twice, "a parameter is given twice, and would be stepped twice; name each one once")
        self.param_groups.append(self._checked(self.defaults | group | {"params": params}))

    def _params(self):
        return [p for group in self.param_groups for p in group["params"]]

    def _checked(self, group, others=False):
        """The group, its hyperparameters checked, each and together; with `others` it may hold more."""
        known = OPTIONAL | self.checks
        unknown = [] if others else sorted(map(str, group.keys() - known.keys() - {"params"}))
        refuse(unknown, f"{type(self).__name__} has no hyperparameter {unknown}; it has {list(self.checks)}")
        if missing := [name for name in self.checks if name not in group]:
            raise ValueError(f"the hyperparameters {missing} are missing")
        found = {"params": group["params"]} | {k: check(k, group[k]) for k, check in known.items() if k in group}
        self.check_group(found)
        return found

    @staticmethod
    def rule(math: Any, *flags: bool) -> Any:
        """The update rule for these flags; `math` has sqrt, maximum, ... for the arrays at hand."""
        raise NotImplementedError("an optimizer needs a rule(math, *flags) that returns its update, or its own step")

    def flags(self, group) -> tuple:
        """Which lines of the rule this group takes: what `rule` is called with."""
        decays, beside = group.get("weight_decay", 0) != 0, group.get("decoupled_weight_decay", False)
        known = group | {"coupled": decays and not beside, "decoupled": decays and beside}
        return tuple([bool(known[name.removeprefix("has_")]) for name in autograd.parameters(self.rule)[1:]])

    def buffers(self, group) -> dict:
        """State name -> what it starts from, in the order of the rule's arguments; None where this group keeps none."""
        return dict.fromkeys(self.state_names, 0.0)

    def scalars(self, group, step, state) -> dict:
        """Further numbers for the rule; `step` counts from 1, `state` is the parameter's from the step before."""
        return {}

    def check_group(self, group):
        """Refuse hyperparameters that do not go together, or that a parameter's dtype cannot hold."""
        for p in group["params"]:
            smallest = float(backend.numpy.finfo(backend.state_dtype(p._data)).smallest_subnormal)
            if 0 < group.get("eps", 0) < smallest:
                raise ValueError(f"eps is {group['eps']!r}; for {p.dtype} it must be at least {smallest:.2g}")

    def check_step(self, group):
        """Refuse a step that would divide by zero, before anything is changed."""

    @autograd.no_grad()
    def step(self, closure: Callable | None = None):
        """Update every parameter that has a gradient. A closure, called first with gradients on, returns the loss."""
        for hook in [*self._before]:
            hook(self, (closure,), {})
        loss = None
        if closure is not None:
            with autograd.enable_grad():
                loss = closure()
        plans = [self._plan(i, group) for i, group in enumerate(self.param_groups)]
        for group, (*plan, blocks) in zip(self.param_groups, plans):
            alone = [(p, self.state[p]) for p in group["params"]]
            for p, state in units(group["params"], self.state, blocks) if group["contiguous_params"] else alone:
                if p._grad is not None:
                    self._update(p, state, group, *plan)
        for watch in backend.watchers:
            watch(self)
        for hook in [*self._after]:
            hook(self, (closure,), {})
        return loss

    def _plan(self, i, group):
        """Kernel, buffers, fixed numbers and flat memory of a group, worked out anew when its settings have changed."""
        known, plan = self._plans.get(i, (None, None))
        settings = {**group, "params": None}
        if plan is None or settings != known:
            group = self._checked(group, others=True)  # with 1 as 1.0, and a list as a pair
            flags, buffers, fixed = self._worked_out(group)
            plan = kernels.kernel(type(self).rule, flags), buffers, fixed, plan[-1] if plan else []
            self._plans[i] = settings, plan
        self.check_step(group)
        return plan

    def _worked_out(self, group):
        """What follows from a group's settings: flags, buffers, and the numbers that are the same in each step."""
        flags, buffers = self.flags(group), self.buffers(group)
        numbers = {"shrink": 1 - group.get("lr", 0.0) * group.get("weight_decay", 0.0)} | group
        pairs = {name[:-1]: x for name, x in group.items() if isinstance(x, tuple)}
        numbers |= {f"{name}{i}": x for name, pair in pairs.items() for i, x in enumerate(pair, 1)}
        numbers |= {f"rest_{name}": 1 - x for name, x in numbers.items() if isinstance(x, (int, float, Tensor))}
        names = autograd.parameters(self.rule(backend.numpy, *flags))[2 + len(buffers) :]
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
                buffer = state[name] = backend.xp(data).full(data.shape, start, backend.state_dtype(data))
            elif buffer is not None and (buffer.dtype is not data.dtype or type(buffer) is not type(data)):  # it moved
                buffer = state[name] = backend.array(buffer, backend.state_dtype(data), backend.device_of(data))
            arrays.append(buffer)
        self.way = run(arrays, scalars)
        autograd.version_of(p).bump()

    def pure_step(self, math: Any, group: dict, p: Any, g: Any, state: dict) -> Any:
        """The new value of p, and the new state, by the rule as it stands; nothing is changed."""
        (flags, buffers, fixed), new = self._worked_out(group), dict(state)
        old = [None if x is None else state.get(n, math.zeros_like(p) + x) for n, x in buffers.items()]
        update, scalars = self.rule(math, *flags), self._scalars(group, new, fixed)
        p, *arrays = kernels.returned(update, update(p, g, *old, **scalars), 1 + len(old))
        return p, new | {name: a for name, a in zip(buffers, arrays) if buffers[name] is not None}

    @classmethod
    def functional(cls, p: Any, g: Any, state: dict, **settings: Any) -> Any:
        """One step as a function of Tensors: new value and new state. It changes nothing and can be differentiated.

        The state is what the last call returned, {} at first; hyperparameters may be Tensors too, to be learned."""
        this, known = object.__new__(cls), list(signature(cls).parameters.values())[1:]
        own = {name: tuple(x) if isinstance(x, list) else x for name, x in settings.items()}
        fixed = {n for n, x in own.items() if not any(isinstance(v, Tensor) for v in (x if type(x) is tuple else [x]))}
        this.checks = {p.name: check_of(p) if p.name in fixed else lambda _, x: x for p in known}
        return this.pure_step(ops, this._checked(cls._arguments() | own | {"params": []}), p, g, state)

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
        refuse(not groups, "no group has a 'clip_grad_max_norm'; give it with the group's params")
        for g in groups:
            norm, kind = g["clip_grad_max_norm"], g.get("clip_grad_norm_type", 2)
            clip_grad_norm(g["params"], norm, kind, error_if_nonfinite=error_if_nonfinite)

    def register_step_pre_hook(self, hook: Callable):
        """Call hook(optimizer, args, kwargs) before each step. Returns a function that removes the hook."""
        self._before.append(hook)
        return lambda: self._before.remove(hook)

    def register_step_post_hook(self, hook: Callable):
        """Call hook(optimizer, args, kwargs) after each step. Returns a function that removes the hook."""
        self._after.append(hook)
        return lambda: self._after.remove(hook)

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
        except (TypeError, KeyError, AttributeError) as e:
            raise TypeError(f"this is no optimizer's state_dict, a dict with 'state' and 'param_groups': {e!r}") from e
        wrong, found = [f"its groups have {there} parameters, here {here}"] * (there != here), []
        pairs = enumerate(zip(groups, self.param_groups))
        jobs = [(f"group {i}", self._checked, new | {"params": group["params"]}) for i, (new, group) in pairs]
        for place, check, *values in jobs + [(f"parameter {i!r}", self._loaded, i, state) for i, state in states]:
            try:
                found.append(check(*values))
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                wrong.append(f"{place}: {error}")
        refuse(wrong, "; ".join([f"{type(self).__name__}: this state_dict does not fit, nothing was changed", *wrong]))
        for group in self.param_groups:
            group.update(found.pop(0))
        self.state.clear()
        self.state.update(found)

    def _loaded(self, i, saved):
        """Parameter i, and a copy of its saved state, checked."""
        refuse(i not in range(len(self._params())), "there is no such parameter here")
        p, starts = self._params()[i], self.buffers(self._arguments())
        numbers = {"step": count} | dict.fromkeys(self.state_numbers, number)
        needed = {*numbers, *[name for name, start in starts.items() if start is not None]}
        if type(self).step is Optimizer.step and not needed <= saved.keys() <= needed | starts.keys():
            raise ValueError(f"it has the state {list(saved)}, and needs {sorted(needed)}")
        fits = lambda x: getattr(getattr(x, "dtype", x), "kind", "") == "f" and x.shape == p.shape
        if wrong := [f"{n} is {brief(x)}" for n, x in sorted(saved.items()) if n not in numbers and not fits(x)]:
            raise ValueError(f"{', '.join(wrong)}; it must be a floating array of shape {p.shape}")
        made = lambda _, x: backend.array(x, backend.state_dtype(p._data), p.device)
        return p, {name: numbers.get(name, made)(name, x) for name, x in saved.items()}

    def __repr__(self):
        groups = [group | {"params": len(group["params"])} for group in self.param_groups]
        lines = [", ".join(f"{name}={value!r}" for name, value in group.items()) for group in groups]
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"


REMEDY = "give a list of Parameters, such as model.parameters(), or of group dicts, not both"


def _listed(params):
    """The members of what was given as params, in an order that the next run has too."""
    if isinstance(params, (Tensor, dict, set)) or not hasattr(params, "__iter__"):
        raise TypeError(f"params is a {type(params).__name__}; {REMEDY}")
    return list(params)


# ---- Contiguous parameters, OneFlow's idea: one kernel call for many, whose arrays are views of one flat memory ------


class Block:
    """The flat memory of parameters of one dtype and device; to the step it looks like one large Parameter."""

    def __init__(self, params):
        self.params, self.flat, self.views, self._node, self._version = params, {}, {}, None, None
        ends = itertools.accumulate((p.size for p in params), initial=0)
        self.spans = list(itertools.starmap(slice, itertools.pairwise(ends)))
        self._data = self.join("_data", params)

    def keep(self, name, flat):
        self.flat[name] = flat
        self.views[name] = [flat[span].reshape(p.shape) for p, span in zip(self.params, self.spans)]

    def join(self, name, owners, get=getattr, put=setattr):
        """The flat array of this name. What its owners hold under it is copied there, where it is no view yet."""
        if name not in self.flat:
            self.keep(name, backend.zeros((self.spans[-1].stop,), like=get(owners[0], name)))
        for owner, view in zip(owners, self.views[name]):
            if get(owner, name) is not view:
                view[...] = get(owner, name)
                put(owner, name, view)
        return self.flat[name]

    def gather(self, states):
        """Bring gradients and state into the flat memory; False where the parameters cannot take one step together."""
        own = [states[p] for p in self.params]
        self.state = {name: x for name, x in own[0].items() if not hasattr(x, "shape")}
        for p, state in zip(self.params, own):
            if p._grad is None or state.keys() != own[0].keys() or not self.state.items() <= state.items():
                return False
        self._grad, arrays = self.join("_grad", self.params), own[0].keys() - self.state.keys()
        self.state |= {name: self.join(name, own, dict.get, dict.__setitem__) for name in arrays}
        return True

    def share(self, states):
        """Give the parameters their pieces of the state after a step, and note that their memory has changed."""
        for name, x in self.state.items():
            if hasattr(x, "shape") and self.flat.get(name) is not x:
                self.keep(name, x)
            for p, piece in zip(self.params, self.views.get(name, itertools.repeat(x))):
                states[p][name] = piece
        for p in self.params:
            autograd.version_of(p).bump()


def units(params, states, blocks):
    """Yield what to update, (parameter or block, its state); `blocks`, a list, is kept from step to step.

    Blocks serve as long as the parameters' arrays are their views; one parts where its members differ in state."""
    held = {p: view for block in blocks for p, view in zip(block.params, block.views["_data"])}
    if held.keys() != set(params) or any(p._data is not view for p, view in held.items()):
        kinds = {}
        for p in params:
            kinds.setdefault((p.dtype, p.device), []).append(p)
        blocks[:] = map(Block, kinds.values())
    for block in blocks:
        if block.gather(states):
            yield block, block.state
            block.share(states)
        else:
            yield from ((p, states[p]) for p in block.params)
