"""Tensor: an array that remembers how it was made. Its arithmetic is in `ops`, its memory in `autograd`."""

from typing import TYPE_CHECKING, Any, cast

from . import autograd, backend, errors, ops
from .autograd import version_of, wrap
from .grad_mode import grad_enabled


class Tensor:
    """An array of numbers that takes part in automatic differentiation.

    Args:
        data: numbers, nested lists, or an array, which is copied. Python floats become float32; arrays keep theirs.
        requires_grad: collect this tensor's gradient in `.grad`; for floating dtypes only.
        dtype: a NumPy dtype or its name.
        device: "cpu", "gpu" or "gpu:1".

    Ops with Python and NumPy numbers never change a tensor's dtype; float64 comes only from float64. The functions of
    `lucidlite` that take a tensor first are methods too: `x.sum(axis=0)` is `lucidlite.sum(x, axis=0)`.

    >>> w = lucidlite.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (w * w).sum()
    >>> loss.backward()
    >>> w.grad
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("_data", "_node", "_version", "_grad", "__weakref__")
    __array_ufunc__ = None  # `array * tensor` asks the tensor, and so gives a Tensor
    __hash__ = object.__hash__

    if TYPE_CHECKING:  # what ops.attach adds
        _data: Any
        _node: Any
        _version: Any
        __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __matmul__ = __getitem__ = cast(Any, None)
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __lt__ = __le__ = __gt__ = __ge__ = __and__ = cast(Any, None)

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None, device: str = "cpu"):
        if isinstance(data, Tensor):
            data = data._data
        self._data = backend.array(data, dtype, device)
        self._node = self._version = self._grad = None
        self.requires_grad = requires_grad

    # ---- What it holds ----

    @property
    def data(self):
        """The raw array. Assigning copies into it: shape, kind (float, integer, bool) and device must fit.

        Write with `t.data = array` or `t[...] = value`: gradients do not notice what is written into the raw array.
        """
        return self._data

    @data.setter
    def data(self, value):
        value = backend.raw(value)
        if value is not self._data:
            checked = self._checked("data", value)
            self._check_writable()
            self._data[...] = checked
        version_of(self).bump()

    @property
    def grad(self):
        """The raw array of the gradient, of this tensor's shape, dtype and device, or None."""
        return self._grad

    @grad.setter
    def grad(self, value):
        self._grad = value if value is None or value is self._grad else self._checked("grad", backend.raw(value))

    def _checked(self, name, value):
        """`value` as a new array of this tensor's dtype, refused where shape, kind or device do not fit."""
        if not hasattr(value, "dtype"):
            try:
                value = backend.array(value, device=self.device)
            except (TypeError, ValueError) as error:
                raise type(error)(f".{name} = {errors.brief(value)}: {error}") from None
        backend.same_device(f".{name} =", ("the tensor", self._data), ("the value", value))
        if value.shape != self.shape:
            raise ValueError(
                f".{name} = an array of shape {value.shape}, but the tensor has {self.shape}; they must be equal"
            )
        self._check_kind(f".{name} =", value)
        return backend.array(value, self.dtype, self.device)

    def _check_kind(self, what, value):
        if value.dtype.kind not in {"f": "fiub", "i": "iub", "u": "iub", "b": "b"}[self.dtype.kind]:
            raise TypeError(
                f"{what} {value.dtype} values, but the tensor is {self.dtype}; convert with .astype() first"
            )

    def _check_writable(self):
        if not self._data.flags.writeable:
            raise ValueError("this tensor was broadcast: one number of it stands for many; write to its .clone()")

    @property
    def requires_grad(self):
        """Whether gradients are computed for this tensor; can be set on leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted):
        if not self.is_leaf:
            if not wanted:
                raise RuntimeError(
                    "requires_grad of a computed tensor follows from its inputs; .detach() gives one without a graph"
                )
            return
        if wanted and self.dtype.kind != "f":
            raise TypeError(f"only floating tensors can require gradients, this one is {self.dtype}; see .astype()")
        if wanted and self._node is None:
            self._node = autograd.leaf(self)
        elif not wanted:
            version_of(self)  # whoever has saved this tensor looks for its version counter at the node that goes now
            self._node = None

    @property
    def is_leaf(self):
        """Whether it was made by the user and not by an op that was recorded."""
        return self._node is None or self._node.tensor is not None

    shape = property(lambda self: self._data.shape, doc="The lengths of the axes.")
    ndim = property(lambda self: self._data.ndim, doc="The number of axes.")
    size = property(lambda self: self._data.size, doc="The number of elements.")
    dtype = property(lambda self: self._data.dtype, doc="The NumPy dtype.")
    device = property(lambda self: backend.device_of(self._data), doc='"cpu", "gpu", "gpu:1", ...')

    # ---- Gradients ----

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add this tensor's gradient to the `.grad` of every leaf that it depends on.

        Args:
            gradient: what arrives from further on, of this tensor's shape; 1 for a single element unless given.
            retain_graph: keep what was saved, so that the same graph can be walked again.
        """
        autograd.backward(self, gradient, retain_graph)

    def detach(self):
        """The same memory without the graph; changes in place are seen by both."""
        return wrap(self._data, None, version_of(self))

    def clone(self):
        """A copy that stays in the graph."""
        return ops.clone(self)

    # ---- Leaving and moving ----

    def numpy(self):
        """A read-only NumPy view of the memory; write through `t[...] = value` or `.data`."""
        if self.device != "cpu":
            raise TypeError(f"this tensor is on {self.device}; call .cpu() first")
        return backend.read_only(self._data)

    def __array__(self, dtype=None, copy=None):
        view = self.numpy()
        return view.astype(dtype or view.dtype) if copy or dtype not in (None, view.dtype) else view

    def item(self):
        """The only element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item() needs a tensor of one element, this one has shape {self.shape}; try .tolist()")
        return self._data.item()

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return self._data.tolist()

    def to(self, target):
        """This tensor on a device ("cpu", "gpu", "gpu:1") or in a dtype; itself where nothing changes."""
        if isinstance(target, str) and target not in backend.DTYPES:
            backend.gpu_index(target)
            return self if target == self.device else ops.move(self, target)
        return self if backend.dtype(target) == self.dtype else ops.astype(self, target)

    def cpu(self):
        """This tensor on the CPU."""
        return self.to("cpu")

    def gpu(self):
        """This tensor on the first GPU."""
        return self.to("gpu")

    # ---- Elements ----

    def __setitem__(self, index, value):
        if grad_enabled() and (self.requires_grad or getattr(value, "requires_grad", False)):
            raise RuntimeError(
                "a change in place has no gradient: write under no_grad(), or build a new tensor with where"
            )
        index, value = backend.raw(index), backend.raw(value)
        value = value if hasattr(value, "dtype") else backend.array(value, device=self.device)
        backend.same_device("t[...] =", ("the tensor", self._data), ("the value", value))
        self._check_kind("t[...] =", value)
        value = value if value.dtype == self.dtype else backend.array(value, self.dtype, self.device)
        self._check_writable()
        try:
            self._data[index] = value
        except (IndexError, ValueError, TypeError) as error:
            kind = IndexError if isinstance(error, IndexError) else type(error)
            raise kind(
                f"t[{errors.brief(index)}] = a value of shape {value.shape}, with t of shape {self.shape}: {error}"
            ) from None
        version_of(self).bump()

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor, which has no axes")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __contains__(self, value):
        return bool((self == value).any())

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"the truth of {self.size} elements is ambiguous; use .any() or .all()")
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.dtype.kind not in "iu":
            raise TypeError(f"only integer tensors can be an index, this one is {self.dtype}")
        return self.item()

    def __format__(self, spec):
        if spec and self.size != 1:
            raise TypeError(f"the format {spec!r} needs a tensor of one element, this one has shape {self.shape}")
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self):
        values = backend.text(self._data, prefix=f"{type(self).__name__}(")
        notes = [f"dtype={self.dtype}"] if self.dtype not in (backend.FLOAT32, "int64", "bool") else []
        notes += [f"device={self.device!r}"] if self.device != "cpu" else []
        notes += [f"op={self._node.plan.op.name}" if self._node.plan else "freed"] if not self.is_leaf else []
        notes += (
            ["requires_grad=True"] if self.requires_grad and self.is_leaf and not isinstance(self, Parameter) else []
        )
        return f"{type(self).__name__}({', '.join([values, *notes])})"

    def __copy__(self):
        return self.__deepcopy__({})

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError(
                "only leaves can be copied with their gradient state; use .detach() or .clone() for a computed tensor"
            )
        copy = object.__new__(type(self))
        copy._data, copy._node, copy._version = self._data.copy(), None, None
        copy._grad = None if self._grad is None else self._grad.copy()
        copy.requires_grad = self.requires_grad
        memo[id(self)] = copy
        return copy


class Parameter(Tensor):
    """A tensor that a Module trains: it requires gradients, and `Module.parameters()` finds it.

    >>> lucidlite.Parameter([1.0, 2.0])
    Parameter([1., 2.])
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: Any = None, device: str = "cpu"):
        super().__init__(data, requires_grad=True, dtype=dtype, device=device)


def tensor(data: Any, requires_grad: bool = False, dtype: Any = None, device: str = "cpu") -> Tensor:
    """A Tensor with a copy of the data; see `Tensor`."""
    return Tensor(data, requires_grad, dtype, device)


autograd.Tensor = Tensor
ops.attach(Tensor)
