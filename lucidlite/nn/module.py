"""Module: layers and whole models as objects that know their parameters.

An attribute is registered by what it is: a Parameter, a Module, or a Tensor that came by `register_buffer`.
"""

from collections.abc import Mapping

from .. import backend, checks
from ..autograd import version_of, wrap
from ..tensor import Parameter, Tensor
from . import hooks
from .summary import Summary


class Module:
    """The base of all layers and models: assign Parameters and Modules in `__init__`, compute in `forward`.

    >>> class Line(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> line = Line()
    >>> line(lucidlite.tensor([1.0, 3.0])).tolist()
    [2.0, 6.0]
    """

    training = True  # these are defaults of the class, so that a forgotten super().__init__() does no harm
    _buffers: frozenset = frozenset()  # of their names
    _hooks: Mapping = {}

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass says it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; define `def forward(self, x)` in it")

    def __call__(self, *args, **kwargs):
        return hooks.call(self, args, kwargs) if self._hooks else self.forward(*args, **kwargs)

    # ---- Attributes ----

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
        if isinstance(value, Module) and self in value.modules():
            raise ValueError(f"{what} it contains this very module, which cannot be inside itself")

    def _register(self, name, value, *kinds):
        self._check(name, value, *kinds)
        setattr(self, name, value)

    def register_parameter(self, name, param):
        """`self.name = param`, for a name that is computed; None where a layer goes without it."""
        self._register(name, param, Parameter, type(None))

    def register_buffer(self, name, buffer):
        """A Tensor that is saved and moved with the module, but not trained; None where a layer goes without it."""
        buffer = buffer.detach() if isinstance(buffer, Tensor) and buffer.requires_grad else buffer
        self._register(name, buffer, Tensor, type(None))
        self._buffers |= {name}

    def add_module(self, name, module):
        """`self.name = module`, for a name that is computed."""
        self._register(name, module, Module, type(None))

    # ---- Walking over what it holds; whatever is held twice comes once ----

    def _own(self, kind):
        """(name, value) of the attributes of one kind: Parameter, Module, or Tensor for the buffers."""
        found = [(name, value) for name, value in vars(self).items() if isinstance(value, kind)]
        return [(name, b) for name, b in found if name in self._buffers] if kind is Tensor else found

    def _walk(self, prefix=""):
        """(name, module) for this module and all inside it, under every name."""
        yield prefix, self
        for name, child in self._own(Module):
            yield from child._walk(f"{prefix}.{name}" if prefix else name)

    def _named(self, *kinds, prefix="", recurse=True):
        """(name, thing) for its Parameters, its buffers or both, under every name."""
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

    # ---- Saving, hooks, printing ----

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
        if problems:
            raise ValueError("\n  ".join(["load_state_dict changed nothing, because this does not fit:", *problems]))
        for name, value in fitting.items():
            own[name].data = value
        return missing, unexpected

    def register_forward_pre_hook(self, hook, *, with_kwargs=False):
        """Before every forward call hook(module, args[, kwargs]), which may return other args or (args, kwargs)."""
        return hooks.Handle(self, "before", hook, with_kwargs)

    def register_forward_hook(self, hook, *, with_kwargs=False):
        """After every forward call hook(module, args[, kwargs], output), which may return another output."""
        return hooks.Handle(self, "after", hook, with_kwargs)

    def register_full_backward_hook(self, hook):
        """After every backward call hook(module, grad_input, grad_output): tuples that it may read, but not change."""
        return hooks.Handle(self, "backward", hook)

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
