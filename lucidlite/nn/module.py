"""Module: layers and whole models as objects that know their parameters.

An attribute is registered by what it is: a Parameter is trained, a Module is a child, and a Tensor given to
`register_buffer` is saved and moved, but not trained. There is no second list of them: all below walks over attributes.
"""

from collections.abc import Mapping

from .. import backend, checks
from ..autograd import version_of
from ..tensor import Parameter, Tensor

OWN = ("training", "_buffers", "_pre_hooks", "_hooks")  # what Module.__init__ makes


class Module:
    """The base of all layers and models: assign Parameters and Modules in `__init__`, compute in `forward`.

    Attributes:
        training: True after `train()`, False after `eval()`; Dropout looks at it.

    >>> class Line(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> line = Line()
    >>> line(lucidlite.tensor([1.0, 3.0])).tolist()
    [2.0, 6.0]
    >>> line
    Line()  # 1 parameter
    """

    def __init__(self):
        self.training = True
        self._buffers, self._pre_hooks, self._hooks = set(), {}, {}  # names of buffers; (hook, with_kwargs) by key

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass says it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; define `def forward(self, x)` in it")

    def __call__(self, *args, **kwargs):
        if self._hooks or self._pre_hooks:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    # ---- Attributes ----

    def __setattr__(self, name, value):
        old, buffers = vars(self).get(name), vars(self).get("_buffers", ())
        kind = next((k for k in (Parameter, Module) if isinstance(old, k)), Tensor if name in buffers else None)
        if isinstance(value, (Parameter, Module)):
            self._check_name(name, value)
            self._buffers.discard(name)
        elif kind and value is not None and not (kind is Tensor and isinstance(value, Tensor)):
            remedy = "delete it first" if kind is Module else "write into its .data"
            hint = f"there is a {kind.__name__} already; give it a {kind.__name__} or None, or {remedy}"
            raise self._refusal(TypeError, name, value, hint)
        elif _holds_modules(value):
            hint = "what is inside would not be trained; use nn.ModuleList, nn.ModuleDict or register_parameter"
            raise self._refusal(TypeError, name, value, hint)
        super().__setattr__(name, value)

    def __delattr__(self, name):
        super().__delattr__(name)
        self._buffers.discard(name)

    def __getattr__(self, name):  # only for what is missing
        if name in OWN:
            raise RuntimeError(f"{type(self).__name__}: call super().__init__() first in its __init__")
        return object.__getattribute__(self, name)

    def _refusal(self, kind, name, value, hint):
        return kind(f"{type(self).__name__}.{name} = a {type(value).__name__}: {hint}")

    def _check_name(self, name, value):
        """Refuse names that would hide something, and modules that would contain themselves."""
        if callable(getattr(type(self), name, None)) or name in ("", *OWN) or "." in name:
            hint = f"the name {name!r} is empty, has a dot in it or is a method's; choose another"
            raise self._refusal(ValueError, name, value, hint)
        if isinstance(value, Module) and any(module is self for module in value.modules()):
            raise self._refusal(ValueError, name, value, "it contains this very module, which cannot be inside itself")

    def _register(self, name, value, kind):
        self._check_name(name, value)
        if not (value is None or isinstance(value, kind)) or (kind is Tensor and isinstance(value, Parameter)):
            hint = f"it must be a {kind.__name__} or None; Parameters go to register_parameter, Tensors to"
            raise self._refusal(TypeError, name, value, f"{hint} register_buffer, Modules to add_module")
        setattr(self, name, value)

    def register_parameter(self, name, param):
        """`self.name = param`, for a name that is computed; None where a layer goes without it."""
        self._register(name, param, Parameter)

    def register_buffer(self, name, buffer):
        """A Tensor that is saved and moved with the module, but not trained; None where a layer goes without it."""
        self._register(name, buffer, Tensor)
        self._buffers.add(name)

    def add_module(self, name, module):
        """`self.name = module`, for a name that is computed."""
        self._register(name, module, Module)

    # ---- Walking over what it holds; whatever is held twice comes once ----

    def _own(self, kind):
        """(name, value) of the attributes of one kind: Parameter, Module, or Tensor for the buffers."""
        found = [(name, value) for name, value in vars(self).items() if isinstance(value, kind)]
        return [(name, b) for name, b in found if name in self._buffers] if kind is Tensor else found

    def _walk(self, prefix=""):
        """(path, module) for this module and all inside it, under every path that they have."""
        yield prefix, self
        for name, child in self._own(Module):
            yield from child._walk(_join(prefix, name))

    def _named(self, kinds, prefix="", recurse=True):
        """(name, value) of these kinds for this module and, with `recurse`, all inside it, under every name."""
        for path, module in self._walk(prefix) if recurse else [(prefix, self)]:
            yield from ((_join(path, name), value) for kind in kinds for name, value in module._own(kind))

    def named_modules(self, prefix=""):
        """(name, module) for this module, whose name is the prefix, and all inside it, such as "encoder.0"."""
        return _unique(self._walk(prefix))

    def named_children(self):
        """(name, module) for the modules that are attributes of this one."""
        return _unique(self._own(Module))

    def named_parameters(self, prefix="", recurse=True):
        """(name, Parameter) for this module and, with `recurse`, all inside it."""
        return _unique(self._named([Parameter], prefix, recurse))

    def named_buffers(self, prefix="", recurse=True):
        """(name, Tensor) for the buffers of this module and, with `recurse`, of all inside it."""
        return _unique(self._named([Tensor], prefix, recurse))

    def modules(self):
        """This module and all inside it."""
        return (module for _, module in self.named_modules())

    def children(self):
        """The modules that are attributes of this one."""
        return (module for _, module in self.named_children())

    def parameters(self, recurse=True):
        """What an optimizer needs: all Parameters."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse=True):
        """All buffers."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def count_parameters(self, recurse=True):
        """How many numbers the Parameters hold."""
        return sum(p.size for p in self.parameters(recurse))

    # ---- Changing all of it ----

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
        """Move to a device ("cpu", "gpu", "gpu:1") or change the floating dtype, in place. Returns the module.

        Parameters stay the same objects and keep their gradients, so an optimizer that holds them goes on working.
        """
        if isinstance(target, str) and target not in backend.DTYPES:
            backend.gpu_index(target)  # refuses what is no device before anything is moved
            convert = lambda array: backend.move(array, target)
        else:
            dtype = backend.dtype(target)
            if dtype.kind != "f":
                raise TypeError(f"to: {dtype} parameters could have no gradients; take a floating dtype")
            convert = lambda array: array.astype(dtype, copy=False) if array.dtype.kind == "f" else array
        for tensor in (*self.parameters(), *self.buffers()):
            _convert(tensor, convert)
        return self

    # ---- Saving ----

    def state_dict(self):
        """A dict of name -> copy of the raw array, for Parameters and buffers: {"0.weight": ..., "0.bias": ...}."""
        return {name: tensor.data.copy() for name, tensor in self._named([Parameter, Tensor])}

    def load_state_dict(self, state_dict, strict=True):
        """Copy the arrays or Tensors of a `state_dict()` into this module; returns (missing names, unexpected names).

        Names (unless `strict` is False), shapes and kinds of dtype must fit. Otherwise one ValueError lists all that
        does not, and nothing is changed.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict takes what state_dict() gives, not a {type(state_dict).__name__}")
        own = dict(self._named([Parameter, Tensor]))
        found = {name: backend.raw(state_dict[name]) for name in own if name in state_dict}
        missing, unexpected = [name for name in own if name not in found], [n for n in state_dict if n not in own]
        problems = [f"missing: {name}" for name in missing] + [f"unexpected: {name}" for name in unexpected]
        misfits = [f"{name}: {misfit}" for name, value in found.items() if (misfit := _misfit(own[name], value))]
        if problems := (problems if strict else []) + misfits:
            head = f"load_state_dict: this does not fit, and the {type(self).__name__} stays as it was:"
            raise ValueError("\n  ".join([head, *problems]))
        for name, value in found.items():
            own[name].data = backend.move(value, own[name].device)
        return missing, unexpected

    # ---- Hooks ----

    def register_forward_pre_hook(self, hook, *, with_kwargs=False):
        """Call hook(module, args), or hook(module, args, kwargs), before every forward.

        What it returns, unless None, replaces args, or (args, kwargs). Returns a function that removes the hook.
        """
        return _add_hook(self._pre_hooks, hook, with_kwargs)

    def register_forward_hook(self, hook, *, with_kwargs=False):
        """Call hook(module, args, output), or hook(module, args, kwargs, output), after every forward.

        What it returns, unless None, replaces output. Returns a function that removes the hook.
        """
        return _add_hook(self._hooks, hook, with_kwargs)

    def _call_with_hooks(self, args, kwargs):
        for hook, with_kwargs in list(self._pre_hooks.values()):
            found = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if with_kwargs and found is not None:
                args, kwargs = found
            elif found is not None:
                args = found if isinstance(found, tuple) else (found,)
        output = self.forward(*args, **kwargs)
        for hook, with_kwargs in list(self._hooks.values()):
            found = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            output = output if found is None else found
        return output

    # ---- Printing ----

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


def _join(path, name):
    return f"{path}.{name}" if path else name


def _unique(pairs):
    """The (name, thing) pairs without those whose thing has come before under another name."""
    seen = set()
    for name, thing in pairs:
        if id(thing) not in seen:
            seen.add(id(thing))
            yield name, thing


def _holds_modules(value):
    if isinstance(value, (list, tuple, set, dict)):
        items = value.values() if isinstance(value, dict) else value
        return any(isinstance(item, (Parameter, Module)) or _holds_modules(item) for item in items)
    return False


def _add_hook(hooks, hook, with_kwargs):
    if not callable(hook):
        raise TypeError(f"a hook must be callable, as hook(module, args) is; this one is {hook!r}")
    key = object()

    def remove():
        hooks.pop(key, None)

    hooks[key] = hook, with_kwargs
    return remove


def _misfit(tensor, value):
    """Why the value cannot be copied into the tensor, or None."""
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        return f"a {type(value).__name__} in the state, which must be an array or a Tensor"
    if tuple(value.shape) != tensor.shape:
        return f"shape {tuple(value.shape)} in the state, {tensor.shape} in the module"
    kinds = {"i" if dtype.kind == "u" else dtype.kind for dtype in (value.dtype, tensor.dtype)}
    return f"{value.dtype} values in the state, {tensor.dtype} in the module" if len(kinds) > 1 else None


def _convert(tensor, convert):
    """Give the tensor converted memory; a graph that had saved the old one says at its backward that it was changed."""
    data = convert(tensor._data)
    if data is not tensor._data:
        version_of(tensor).bump()
        tensor._data, tensor._version = data, None
        tensor._grad = None if tensor._grad is None else convert(tensor._grad)
        if tensor.requires_grad and tensor.is_leaf:
            tensor._node.dtype = data.dtype
