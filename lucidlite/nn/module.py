"""Module: layers and whole models as objects that know their parameters; containers, hooks, and a summary of them.

An attribute is registered by what it is: a Parameter, a Module, or a Tensor that came by `register_buffer`."""

from collections.abc import Mapping, MutableMapping, MutableSequence
from functools import partial
from typing import Any

from .. import backend, checks, creation, random
from ..autograd import defgrad, no_grad, op, version_of, wrap
from ..tensor import Parameter, Tensor


class Module:
    """The base of all layers and models: assign Parameters and Modules in `__init__`, compute in `forward`.

    >>> class Line(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> Line()(lucidlite.tensor([1.0, 3.0])).tolist()
    [2.0, 6.0]"""

    training = True  # these are defaults of the class, so that a forgotten super().__init__() does no harm
    _buffers: frozenset = frozenset()  # of their names
    _hooks: Mapping = {}
    __getattr__: Any  # not there; it tells type checkers that attributes may come by computed names

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass says it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; define `def forward(self, x)` in it")

    def __call__(self, *args, **kwargs):
        return _call_with_hooks(self, args, kwargs) if self._hooks else self.forward(*args, **kwargs)

    def __setattr__(self, name, value):
        old, kinds = vars(self).get(name), (Parameter, Module)
        held = Tensor if name in self._buffers else next((kind for kind in kinds if isinstance(old, kind)), None)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(item, kinds) for item in inside):
            self._check(name, value, *kinds)
            self._buffers -= {name}
        elif held and value is not None:
            self._check(name, value, held)
        super().__setattr__(name, value)

    def _check(self, name, value, *kinds):
        what = f"{type(self).__name__}.{name} = a {type(value).__name__}:"
        if not isinstance(value, kinds):
            hint = "layers need their parentheses, lists of them nn.ModuleList or a *, and new numbers go into .data"
            raise TypeError(f"{what} it must be a {' or '.join(kind.__name__ for kind in kinds)}; {hint}")
        if name in ("", "training", "_buffers", "_hooks") or "." in name or callable(getattr(type(self), name, None)):
            raise ValueError(f"{what} the name {name!r} is empty, has a dot in it or is a method's; choose another")
        inside = isinstance(value, Module) and self in value.modules()
        checks.refuse(inside, f"{what} it contains this very module, which cannot be inside itself")

    def _register(self, name, value, *kinds):
        self._check(name, value, *kinds)
        setattr(self, name, value)

    def register_parameter(self, name, value):
        """`self.name = value`, a Parameter or a Module, for a name that is computed; None where there is none."""
        self._register(name, value, Parameter, Module, type(None))

    add_module = register_parameter

    def register_buffer(self, name, buffer):
        """A Tensor that is saved and moved with the module, but not trained; None where a layer goes without it."""
        buffer = buffer.detach() if isinstance(buffer, Tensor) and buffer.requires_grad else buffer
        self._register(name, buffer, Tensor, type(None))
        self._buffers |= {name}

    # ---- Walking over what it holds; whatever is held twice comes once ----

    def _own(self, kind):
        """(name, value) of the attributes of one kind: Parameter, Module, or Tensor for the buffers."""
        named, held = vars(self).items(), self._buffers if kind is Tensor else vars(self)
        return [(name, value) for name, value in named if isinstance(value, kind) and name in held]

    def _walk(self, prefix=""):
        yield prefix, self
        for name, child in self._own(Module):
            yield from child._walk(f"{prefix}.{name}" if prefix else name)

    def _named(self, *kinds, prefix="", recurse=True):
        for path, module in self._walk(prefix) if recurse else [(prefix, self)]:
            for name, value in (pair for kind in kinds for pair in module._own(kind)):
                yield f"{path}.{name}" if path else name, value

    def named_modules(self, prefix=""):
        """(name, module) for this module, whose name is the prefix, and all inside it, such as "encoder.0"."""
        return _unique(self._walk(prefix))

    def named_parameters(self, prefix="", recurse=True):
        """(name, Parameter) for this module and, with `recurse`, all inside it."""
        return _unique(self._named(Parameter, prefix=prefix, recurse=recurse))

    def named_buffers(self, prefix="", recurse=True):
        """(name, Tensor) for the buffers of this module and, with `recurse`, of all inside it."""
        return _unique(self._named(Tensor, prefix=prefix, recurse=recurse))

    def modules(self):
        """This module and all inside it."""
        return (module for _, module in self.named_modules())

    def children(self):
        """The modules that are attributes of this one."""
        return (module for _, module in _unique(self._own(Module)))

    def parameters(self, recurse=True):
        """What an optimizer needs: all Parameters."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse=True):
        """All buffers."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def count_parameters(self):
        """How many numbers the Parameters hold."""
        return sum(p.size for p in self.parameters())

    def train(self, mode=True):
        """Switch this module and all inside it to training, or to evaluation with False. Returns the module."""
        for module in self.modules():
            module.training = checks.flag("train: mode", mode)
        return self

    def eval(self):
        """Switch to evaluation, where Dropout lets everything through. Returns the module."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Train the parameters, or freeze them with False. Returns the module."""
        for p in self.parameters():
            p.requires_grad = checks.flag("requires_grad_: requires_grad", requires_grad)
        return self

    def zero_grad(self):
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    def apply(self, function):
        """Call function(module) for every module inside this one, then for this one. Returns the module."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def to(self, target):
        """Move to a device or change the floating dtype, in place, so that an optimizer goes on working."""
        device = isinstance(target, str) and target not in backend.DTYPES
        convert = lambda array: wrap(array).to(target)._data if device or array.dtype.kind == "f" else array
        if convert(backend.array(0.0)).dtype.kind != "f":  # what is no device or dtype is refused here too
            raise TypeError(f"to: {target} parameters could have no gradients; take a floating dtype")
        for tensor in (*self.parameters(), *self.buffers()):
            data = convert(tensor._data)
            if data is not tensor._data:
                version_of(tensor).bump()
                tensor._data, tensor._version = data, None
                tensor._grad = None if tensor._grad is None else convert(tensor._grad)
                if tensor.requires_grad:
                    tensor._node.dtype = data.dtype
        return self

    def cpu(self):
        """Move to the CPU, in place. Returns the module."""
        return self.to("cpu")

    def gpu(self):
        """Move to the first GPU, in place. Returns the module."""
        return self.to("gpu")

    def state_dict(self):
        """Copies of the raw arrays of Parameters and buffers: {"0.weight": ..., "0.bias": ...}."""
        return {name: tensor.data.copy() for name, tensor in self._named(Parameter, Tensor)}

    def load_state_dict(self, state_dict, strict=True):
        """Copy a `state_dict()` into this module; returns (missing, unexpected) names, which only `strict` refuses."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict takes what state_dict() gives, not a {type(state_dict).__name__}")
        own, fitting = dict(self._named(Parameter, Tensor)), {}
        missing, unexpected = [n for n in own if n not in state_dict], [n for n in state_dict if n not in own]
        problems = [f"missing: {n}" for n in missing] + [f"unexpected: {n}" for n in unexpected] if strict else []
        for name, tensor in own.items():
            try:
                value = backend.raw(state_dict.get(name, tensor))
                value = backend.move(value, tensor.device) if hasattr(value, "dtype") else value
                fitting[name] = tensor._fitting(name, value, tensor.shape)
            except (TypeError, ValueError) as error:
                problems.append(str(error))
        checks.refuse(problems, "\n  ".join(["load_state_dict changed nothing, because this does not fit:", *problems]))
        for name, value in fitting.items():
            own[name].data = value
        return missing, unexpected

    def register_forward_pre_hook(self, hook, *, with_kwargs=False):
        """Before every forward call hook(module, args[, kwargs]), which may return other args or (args, kwargs)."""
        return Handle(self, "before", hook, with_kwargs)

    def register_forward_hook(self, hook, *, with_kwargs=False):
        """After every forward call hook(module, args[, kwargs], output), which may return another output."""
        return Handle(self, "after", hook, with_kwargs)

    def register_full_backward_hook(self, hook):
        """After every backward call hook(module, grad_input, grad_output): tuples that it may read, but not change."""
        return Handle(self, "backward", hook)

    def summary(self, input_shape, dtype=None):
        """A table of the layers, made by a forward of zeros, in the dtype of the Parameters unless another is given."""
        return Summary(self, input_shape, dtype)

    def extra_repr(self):
        """What stands in the parentheses: the attributes that are numbers, strings or tuples."""
        own = [(name, value) for name, value in self._own((int, float, str, tuple)) if name[0] != "_"]
        return ", ".join(f"{name}={value!r}" for name, value in own if name != "training")

    def __repr__(self):
        count = self.count_parameters()
        note = f"  # {count:,} parameter{'s' * (count != 1)}" if count else ""
        children = "".join(f"\n({name}): {child!r}" for name, child in self._own(Module)).replace("\n", "\n  ")
        head = f"{type(self).__name__}({self.extra_repr()}"
        return f"{head}{note}{children}\n)" if children else f"{head}){note}"


def _unique(pairs):
    """The (name, thing) pairs, without those whose thing has come before under another name."""
    names = {}
    for name, thing in pairs:
        names.setdefault(thing, name)
    return ((name, thing) for thing, name in names.items())


# ---- Containers: modules that hold others in a row, in a list or by name, so that their parameters are found ---------


class ModuleList(Module, MutableSequence):
    """A list of modules, attributes "0", "1", ..., for a forward that calls them itself; changes count them anew."""

    def __init__(self, modules=None):
        self._hold(modules or ())

    def _hold(self, modules):
        named = modules if isinstance(modules, Mapping) else {str(i): module for i, module in enumerate(modules)}
        for name, module in named.items():
            self._check(name, module, Module)
        for name, _ in self._own(Module):
            delattr(self, name)
        vars(self).update(named)

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter([module for _, module in self._own(Module)])

    def __getitem__(self, index):
        found: Any = self._own(Module)[index]
        kind = Sequential if isinstance(self, Sequential) else ModuleList
        return kind(dict(found)) if isinstance(index, slice) else found[1]

    def __setitem__(self, index, module):
        self._register(self._own(Module)[index][0], module, Module)

    def __delitem__(self, index):
        modules = [*self]
        del modules[index]
        self._hold(modules)

    def insert(self, index, value):
        """Add a module before the one at this index."""
        self._hold([*self[:index], value, *self[index:]])


class Sequential(ModuleList):
    """Modules one behind the other, or one dict of names and modules: each gets what the one before it returns."""

    def __init__(self, *modules: Any):
        super().__init__(modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else modules)

    def forward(self, input_):
        for module in self:
            input_ = module(input_)
        return input_


class ModuleDict(Module, MutableMapping):
    """A dict of modules; the keys are names of attributes, so they must be no method's name."""

    __eq__: Any = Module.__eq__  # as every Module, and not as other dicts
    __hash__: Any = Module.__hash__

    def __init__(self, modules=None):
        self.update(modules or ())

    def __getitem__(self, key):
        return dict(self._own(Module))[key]

    def __setitem__(self, key, module):
        self._register(key, module, Module)

    def __delitem__(self, key):
        del vars(self)[key]

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter(dict(self._own(Module)))


class Handle:
    """What the registration of a hook returns: `handle.remove()`, or `handle()` as in lucid, takes the hook away."""

    def __init__(self, module, when, hook, with_kwargs=False):
        self._hooks = module.__dict__.setdefault("_hooks", {})
        self._hooks[self] = when, hook, with_kwargs

    def remove(self):
        self._hooks.pop(self, None)

    __call__ = remove


def _call_with_hooks(module, args, kwargs):
    found = list(module._hooks.values())
    before, after, backward = ([pair for when, *pair in found if when == w] for w in ("before", "after", "backward"))
    for hook, with_kwargs in before:
        new = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if new is not None:
            args, kwargs = new if with_kwargs else (_several(new), kwargs)
    grad_input, grad_output, sizes = {}, {}, [len(args)]

    def report(i, g):  # a backward pass takes the newest op first: when this is first called, all gradients are there
        if grad_input or grad_output:
            ends = [tuple(end.pop(k, None) for k in range(n)) for end, n in zip((grad_input, grad_output), sizes)]
            for hook, _ in backward:
                hook(module, *ends)

    watched = _watched(_watched(args, report), grad_input.__setitem__) if backward else args
    output = module.forward(*watched, **kwargs)
    for hook, with_kwargs in after:
        new = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if new is None else new
    if not backward:
        return output
    outputs = _several(output)
    sizes.append(len(outputs))
    if all(new is old for new, old in zip(watched, args)):  # no gradient will arrive at the inputs
        outputs = _watched(outputs, report)
    outputs = _watched(outputs, grad_output.__setitem__)
    return outputs if isinstance(output, (tuple, list)) else outputs[0]


def _several(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _watched(values, see):
    """The values; those that need a gradient behind an identity that calls `see(i, gradient)` in a backward pass."""
    needing = [getattr(x, "requires_grad", False) for x in values]
    return tuple(_identity(x, partial(see, i)) if needing[i] else x for i, x in enumerate(values))


@op
def _identity(a, see):
    return a


defgrad(_identity, a=lambda g, see: see(g) or g)


class Summary:
    """A table when printed; `rows` has (layer, output shape, parameters, bytes) for every module, and at last the sums.

    Bytes are those of own parameters, buffers and outputs; what is shared counts once. The model stays as it was."""

    def __init__(self, model, input_shape, dtype=None):
        kept = [*model.named_parameters(), *model.named_buffers()]
        first = kept[0][1] if kept else creation.zeros(0)
        x = creation.zeros(input_shape, dtype=dtype or first.dtype, device=first.device)
        rows, seen, stream = {}, {id(x.data): x.data}, random.get_state()

        def measure(tensors):
            owners = [t.data if t.data.base is None else t.data.base for t in tensors]
            new = {id(a): a for a in owners if id(a) not in seen}
            seen.update(new)  # all stay alive: the id of an object that is gone may come again
            return sum(a.nbytes for a in new.values())

        def see(module, args, output):
            outputs = [t for t in _several(output) if isinstance(t, Tensor)]
            rows[module][1] = ", ".join(str(t.shape) for t in outputs)
            rows[module][3] += measure(outputs)

        for name, module in model.named_modules():
            own = [t for path, t in kept if path.rpartition(".")[0] == name]
            count = sum(t.size for t in own if isinstance(t, Parameter))
            rows[module] = [f"{name} {type(module).__name__}".strip(), "", count, measure(own)]
        before = {module: dict(vars(module)) for module in rows}
        try:
            for module in rows:
                copies = {name: b.clone() for name, b in module._own(Tensor)}
                vars(module).update(copies, training=False, _hooks={"": ("after", see, False)})
            with no_grad():
                model(x)
        finally:
            random.set_state(stream)
            for module, attributes in before.items():
                object.__setattr__(module, "__dict__", attributes)
        sums = [sum(row[i] for row in rows.values()) for i in (2, 3)]
        self.rows = [*map(tuple, rows.values()), ("sum", "", *sums)]

    def __repr__(self):
        rows = [(layer, shape, f"{count:,}", f"{size:,}") for layer, shape, count, size in self.rows]
        table = [("layer", "output shape", "parameters", "bytes"), *rows]
        a, b, c, d = (max(map(len, column)) for column in zip(*table))
        return "\n".join(f"{w:{a}}  {x:{b}}  {y:>{c}}  {z:>{d}}" for w, x, y, z in table)
