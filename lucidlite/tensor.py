"""Tensor: an array that remembers how it was made. Its arithmetic is in `ops`, its memory in `autograd`."""

from typing import Any, cast

from . import autograd, backend, checks, ops
from .autograd import grad_enabled, version_of, wrap

Attached: Any = object  # tells type checkers that more is to come: `ops.attach` adds methods and operators


class Tensor(Attached):
    """An array of numbers that takes part in automatic differentiation.

    `data` is numbers, nested lists, or an array, which is copied. Python floats become float32, arrays keep their
    dtype; `dtype` names another, `device` is "cpu", "gpu" or "gpu:1". With `requires_grad`, which takes a floating
    dtype, gradients are collected in `.grad`. Ops with Python and NumPy numbers never change a tensor's dtype. The ops
    of `lucidlite` that take a tensor first are methods too: `x.sum(axis=0)` is `lucidlite.sum(x, axis=0)`.

    >>> w = lucidlite.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (w * w).sum()
    >>> loss.backward()
    >>> w.grad
    array([2., 4., 6.], dtype=float32)"""

    __slots__ = ("_data", "_node", "_version", "_grad", "__weakref__")
    __array_ufunc__ = None  # `array * tensor` asks the tensor, and so gives a Tensor
    __hash__ = object.__hash__

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None, device: str = "cpu"):
        self._data: Any = backend.array(data._data if isinstance(data, Tensor) else data, dtype, device)
        self._node: Any = None
        self._version = self._grad = cast(Any, None)
        self.requires_grad = requires_grad

    @property
    def data(self):
        """The raw array. Assigning copies into it, where shape, kind (float, integer, bool) and device fit.

        Gradients notice `t.data = array` and `t[...] = value`, but not what is written into the raw array itself."""
        return self._data

    @data.setter
    def data(self, value):
        value = backend.raw(value)  # the array itself after `t.data += x`
        self._write(..., value if value is self._data else self._fitting(".data", value, self.shape))

    @property
    def grad(self):
        """The raw array of the gradient, of this tensor's shape, dtype and device, or None."""
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None and value is not self._grad:
            value = self._fitting(".grad", backend.raw(value), self.shape)
        self._grad = value

    def _fitting(self, name, value, shape=None):
        """A copy of `value` in this tensor's dtype and on its device, refused where it does not fit."""
        if hasattr(value, "dtype"):
            backend.same_device(f"{name} =", ("the tensor", self._data), ("the value", value))
        else:
            value = backend.array(value)
        if shape not in (None, value.shape):
            raise ValueError(f"{name} = shape {value.shape}, but the tensor has {shape}; they must be equal")
        if value.dtype.kind not in {"f": "fiub", "i": "iub", "u": "iub", "b": "b"}[self.dtype.kind]:
            raise TypeError(f"{name} = {value.dtype} values, but the tensor is {self.dtype}; convert with .astype()")
        return backend.array(value, self.dtype, self.device)

    def _write(self, index, value):
        if any(n > 1 and not step for n, step in zip(self.shape, self._data.strides)):
            raise ValueError("this tensor was broadcast: one number of it stands for many; write to its .clone()")
        self._data[index] = value
        version_of(self).bump()

    @property
    def requires_grad(self):
        """Whether gradients are computed for this tensor; can be set on leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted):
        if checks.flag("requires_grad", wanted) and self.dtype.kind != "f":
            raise TypeError(f"only floating tensors can require gradients, this one is {self.dtype}; see .astype()")
        if not (wanted or self.is_leaf):
            raise RuntimeError("requires_grad of a computed tensor follows from its inputs; take its .detach()")
        if not wanted:
            version_of(self)  # whoever has saved this tensor looks for its version counter at the node that goes now
            self._node = None
        elif self._node is None:
            self._node = autograd.leaf(self)

    is_leaf = property(lambda t: t._node is None or t._node.tensor is not None, doc="Whether no recorded op made it.")
    shape = property(lambda self: self._data.shape, doc="The lengths of the axes.")
    ndim = property(lambda self: self._data.ndim, doc="The number of axes.")
    size = property(lambda self: self._data.size, doc="The number of elements.")
    dtype = property(lambda self: self._data.dtype, doc="The NumPy dtype.")
    device = property(lambda self: backend.device_of(self._data), doc='"cpu", "gpu", "gpu:1", ...')

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add this tensor's gradient to the `.grad` of every leaf that it depends on.

        `gradient` is what arrives from further on, of this tensor's shape; None is 1, for a single element.
        `retain_graph` keeps what was saved, so that the same graph can be walked again."""
        roots = [autograd.root("backward", self, gradient, False)]
        for node, g in autograd.propagate(roots, retain_graph=retain_graph).items():
            leaf = node.tensor()
            if leaf is not None and leaf._grad is None:
                leaf._grad = backend.xp(g).asarray(g)
            elif leaf is not None:
                leaf._grad += g

    def detach(self):
        """The same memory without the graph; changes in place are seen by both."""
        return wrap(self._data, None, version_of(self))

    def numpy(self):
        """A read-only NumPy view of the memory; write through `t[...] = value` or `.data`."""
        checks.refuse(self.device != "cpu", f"this tensor is on {self.device}; call .cpu() first", TypeError)
        view = self._data.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype=None, copy=None):
        return self.numpy().astype(dtype or self.dtype, copy=bool(copy))

    def __dlpack__(self, **options):
        checks.refuse(self.requires_grad, "other libraries do not know its graph; share its .detach()", BufferError)
        return self._data.__dlpack__(**options)

    def item(self):
        """The only element, as a Python number."""
        checks.refuse(self.size != 1, f"it must be of one element, not of {self.shape}; see .any(), .all(), .tolist()")
        return self._data.item()

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return self._data.tolist()

    def to(self, target):
        """This tensor on a device ("cpu", "gpu", "gpu:1") or in a dtype; itself where nothing changes."""
        if isinstance(target, str) and target not in backend.DTYPES:
            return self if target == self.device else ops.move(self, target)
        return self if backend.dtype(target) == self.dtype else ops.astype(self, target)

    def cpu(self):
        """This tensor on the CPU."""
        return self.to("cpu")

    def gpu(self):
        """This tensor on the first GPU."""
        return self.to("gpu")

    def __setitem__(self, index, value):
        if grad_enabled() and (self.requires_grad or getattr(value, "requires_grad", False)):
            raise RuntimeError("a change in place has no gradient: write under no_grad(), or make a new one with where")
        new = self._fitting("t[...]", backend.raw(value))
        try:
            self._write(backend.index(index, self, "t[...] ="), new)
        except Exception as error:
            raise checks.explain("t[...] =", ("t", "index", "value"), (self._data, index, new), error) from None

    __dlpack_device__ = lambda self: self._data.__dlpack_device__()
    __len__ = lambda self: len(self._data)
    __bool__ = lambda self: bool(self.item())
    __iter__ = lambda self: (self[i] for i in range(len(self)))
    __float__ = lambda self: float(self.item())
    __int__ = lambda self: int(self.item())
    __index__ = lambda self: self._data.__index__()
    __copy__ = lambda self: self.__deepcopy__({})

    def __format__(self, spec):
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self):
        name = type(self).__name__
        notes = [backend.numpy.array2string(backend.move(self._data, "cpu"), separator=", ", prefix=f"{name}(")]
        notes += [f"dtype={self.dtype}"] * (self.dtype not in (backend.FLOAT32, "int64", "bool"))
        notes += [f"device={self.device!r}"] * (self.device != "cpu")
        if not self.is_leaf:
            notes.append(f"op={self._node.plan.op.name}" if self._node.plan else "freed")
        elif self.requires_grad and not isinstance(self, Parameter):
            notes.append("requires_grad=True")
        return f"{name}({', '.join(notes)})"

    def __deepcopy__(self, memo):
        checks.refuse(not self.is_leaf, "only a leaf can be copied; take .detach() or .clone()", RuntimeError)
        memo[id(self)] = copy = object.__new__(type(self))
        copy._data, copy._node, copy._version, copy._grad = self._data.copy(), None, None, None
        copy.grad, copy.requires_grad = self.grad, self.requires_grad
        return copy


class Parameter(Tensor):
    """A tensor that a Module trains: it requires gradients, and `Module.parameters()` finds it."""

    __slots__ = ()

    def __init__(self, data: Any, dtype: Any = None, device: str = "cpu"):
        super().__init__(data, requires_grad=True, dtype=dtype, device=device)

    def _become(self, value):
        self[...] = value
        return self

    __iadd__, __isub__, __imul__ = (lambda p, x, f=f: p._become(f(p, x)) for f in (ops.add, ops.sub, ops.multiply))


def tensor(data: Any, requires_grad: bool = False, dtype: Any = None, device: str = "cpu") -> Tensor:
    """A Tensor with a copy of the data; see `Tensor`."""
    return Tensor(data, requires_grad, dtype, device)


autograd.Tensor = Tensor
ops.attach(Tensor)
