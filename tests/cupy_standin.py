"""A strict stand-in for CuPy, so that what runs on a GPU can be tested without one: CuPy's arrays, over NumPy's memory.

Where CuPy and NumPy differ, it does what CuPy does; where CuPy does something in silence that must not happen (a list
or a NumPy array that it uploads), it raises. `fuse` runs its function through the strict tracer before it computes.
What crosses between host and device is in `transfers`, ("to host" or "to device", elements), and `launches` counts
kernels. A captured graph computes nothing until it is launched, as in CUDA.

LUCIDLITE_TEST_DEVICE=standin puts this module in CuPy's place; `test_standin.py` holds it to what CuPy documents.
"""

import collections
import contextlib
import functools
import itertools
import sys
import types

import numpy as np
import tracer

__version__ = "0.0 (stand-in)"
DEVICES = 2
SCALARS = (bool, int, float, np.generic)
ATOMIC = ("int32", "uint32", "uint64", "float16", "float32", "float64")  # what CuPy can add atomically

transfers, launches, recording, current = collections.deque(maxlen=100), 0, None, 0


class CUDARuntimeError(RuntimeError):
    """What the driver has to say."""


def crosses(direction, size):
    """Note that so many elements go to the host or to the device; a stream that is being captured allows neither."""
    if recording is not None:
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
    transfers.append((direction, size))


class Flags:
    """What CuPy's flags know; there is no `writeable` among it."""

    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata


class ndarray:
    """CuPy's array."""

    __array_priority__ = 100
    __hash__ = None  # pyright: ignore
    __slots__ = ("_a", "__weakref__", "base", "device")

    def __init__(self, array, base=None, device=None):
        self._a, self.base, self.device = array, base, Device(current) if device is None else device

    dtype, shape, ndim, size = (
        property(lambda self, n=n: getattr(self._a, n)) for n in ("dtype", "shape", "ndim", "size")
    )
    itemsize, nbytes, strides = (
        property(lambda self, n=n: getattr(self._a, n)) for n in ("itemsize", "nbytes", "strides")
    )
    flags = property(lambda self: Flags(self._a.flags))
    T = property(lambda self: self.transpose())

    # ---- Leaving the device ----

    def get(self):
        crosses("to host", self.size)
        return self._a.copy()

    def item(self):
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        if self.size != 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return self.get().__index__()

    def __repr__(self):
        return repr(self.get())

    def __format__(self, spec):
        return format(self.get(), spec)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct one.")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or ufunc.__name__ not in FUNCTIONS:
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        return call(ufunc.__name__, *inputs, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        known = *FUNCTIONS, "ones_like", "zeros_like", "may_share_memory"
        if function.__name__ not in known or not all(issubclass(t, ndarray) for t in types):
            return NotImplemented
        return globals()[function.__name__](*args, **kwargs)

    def __dlpack_device__(self):
        return 2, self.device.id

    def __dlpack__(self, **options):
        return self  # in place of a capsule

    # ---- Elements ----

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        places = indices(self, index)
        return run(lambda a: a[places()], (self._a,), {}, self)

    def __setitem__(self, index, value):
        places, value = indices(self, index), operand(value)
        if not any(isinstance(i, np.ndarray) and i.dtype.kind != "b" for i in places()):
            return write(self._a, lambda: self._a.__setitem__(places(), value))

        def first_wins():  # CuPy leaves open which of several values stays; in NumPy it is the last one
            numbers = np.arange(self.size).reshape(self.shape)[places()]
            values, flat = np.broadcast_to(value, numbers.shape), self._a.copy().reshape(-1)
            flat[numbers.reshape(-1)[::-1]] = values.reshape(-1)[::-1]
            self._a[...] = flat.reshape(self.shape)

        write(self._a, first_wins)

    def fill(self, value):
        self[...] = value

    def view(self, dtype=None):
        return run(lambda a: a.view(dtype) if dtype is not None else a.view(), (self._a,), {}, self)

    def astype(self, dtype, order="K", copy=True):
        if not copy and self.dtype == dtype:
            return self
        return run(lambda a: a.astype(dtype), (self._a,), {}, self)

    def copy(self, order="C"):
        return run(lambda a: a.copy(), (self._a,), {}, self)


def indices(a, index):
    """A function that gives the index in NumPy's terms, where integer arrays wrap around.

    The true ones of a mask are counted, which the host has to wait for.
    """
    parts, axis, found = index if isinstance(index, tuple) else (index,), 0, []
    taken = sum(
        i.ndim if isinstance(i, ndarray) and i.dtype.kind == "b" else i is not None and i is not ... for i in parts
    )
    for i in parts:
        if isinstance(i, ndarray):
            check_device(i)
            if i.dtype.kind == "b":
                crosses("to host", 1)
                found.append((i._a, 0))
                axis += i.ndim
            elif i.dtype.kind in "iu":
                if axis >= a.ndim:
                    raise IndexError("too many indices for array")
                found.append((i._a, a.shape[axis]))
                axis += 1
            else:
                raise IndexError("arrays used as indices must be of integer or boolean type.")
            continue
        if not (i is None or i is ... or isinstance(i, (slice, int, np.generic))):
            raise TypeError(f"strict stand-in: an index that is a {type(i).__name__} would be uploaded")
        found.append(i)
        axis += a.ndim - taken if i is ... else i is not None
    return lambda: tuple((i[0] % i[1] if i[1] else i[0]) if isinstance(i, tuple) else i for i in found)


# ---- Kernels ---------------------------------------------------------------------------------------------------------


def check_device(a):
    if a.device.id != current:
        raise ValueError(
            f"Array device must be same as the current device: array device = {a.device.id} while current = {current}"
        )


def operand(x):
    """What a kernel computes with: the memory of an array of this device, or a number."""
    if isinstance(x, ndarray):
        check_device(x)
        return x._a
    if x is None or isinstance(x, SCALARS):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def run(function, args, kwargs, *owners):
    """One kernel: compute with NumPy on the memory, count, and make an array of CuPy's of the result."""
    global launches
    for owner in owners:
        check_device(owner)
    with np.errstate(all="ignore"):
        y = np.asarray(function(*args, **kwargs))
    source = next((o for o in owners if np.may_share_memory(y, o._a)), None)
    if source is not None and y.size:
        return ndarray(y, source if source.base is None else source.base)
    launches += 1
    if recording is not None:
        recording.calls.append(lambda: np.copyto(y, function(*args, **kwargs)))
        recording.made.append(y)
    return ndarray(y)


def write(memory, function):
    """One kernel that changes memory. While a graph is captured it changes nothing for good."""
    global launches
    launches += 1
    if recording is not None:
        recording.calls.append(function)
        recording.old.append((memory, memory.copy()))
    with np.errstate(all="ignore"):
        function()


def call(name, *args, **kwargs):
    """CuPy's function of this name."""
    if any(isinstance(x, tracer.Traced) for x in args):
        return tracer.call(name, *args)
    out, args = kwargs.pop("out", None), list(args)
    owners = [x for x in args if isinstance(x, ndarray)]
    if name in ("concatenate", "stack"):
        owners = list(args[0])
        args[0] = [operand(x) for x in owners]
        if not all(isinstance(x, ndarray) for x in owners):
            raise TypeError("Only cupy arrays can be concatenated")
    elif isinstance(getattr(np, name), np.ufunc) or name in ("where", "clip"):
        if not owners:
            raise TypeError(f"{name}: no CuPy array among the arguments")
        if name == "where" and not isinstance(args[0], ndarray):
            raise AttributeError(f"'{type(args[0]).__name__}' object has no attribute 'astype'")
        args = [operand(x) for x in args]
    elif name == "einsum":
        args = [args[0], *map(operand, args[1:])]
    else:
        args = [operand(args[0]), *args[1:]]
        if any(isinstance(x, (np.ndarray, ndarray)) for x in args[1:]):
            args[1:] = [operand(x) for x in args[1:]]
    function = getattr(np, name) if name != "broadcast_to" else _broadcast
    if name == "argsort" and kwargs.get("kind") not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    if out is None:
        return run(function, args, kwargs, *owners)
    write(operand(out), lambda: function(*args, out=out._a, **kwargs))
    return out


def _broadcast(a, shape):
    """What NumPy would make read-only."""
    return np.lib.stride_tricks.as_strided(a, shape, np.broadcast_to(a, shape).strides)


FUNCTIONS = (
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "argmax", "argmin",
    "argsort", "ascontiguousarray", "bitwise_and", "bitwise_or", "bitwise_xor", "broadcast_to", "ceil", "clip",
    "concatenate", "copysign", "cos", "cosh", "dot", "divide", "einsum", "equal",
    "exp", "expm1", "flip", "floor", "floor_divide", "greater", "greater_equal", "invert",
    "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log1p", "log2", "matmul", "maximum", "minimum",
    "multiply", "negative", "not_equal", "positive", "power", "reciprocal", "remainder", "roll", "round", "sign", "sin",
    "sinh", "sqrt", "square", "stack", "subtract", "tan", "tanh", "tile", "tril", "triu", "true_divide", "where",
)  # fmt: skip
for _name in FUNCTIONS:
    globals()[_name] = functools.partial(call, _name)

METHODS = "all any argmax argmin argsort clip cumsum dot max mean min prod ravel reshape round squeeze std sum swapaxes"
for _name in [*METHODS.split(), "diagonal", "transpose", "var", "repeat"]:

    def _method(self, *args, _name=_name, **kwargs):
        owners = [self, *(x for x in args if isinstance(x, ndarray))]
        args = [operand(x) if isinstance(x, (ndarray, np.ndarray)) else x for x in args]
        method = lambda a, *rest, **options: getattr(a, _name)(*rest, **options)
        return run(method, (self._a, *args), kwargs, *owners)

    setattr(ndarray, _name, _method)


def _operator(symbol, name):
    def forward(self, other):
        if getattr(other, "__array_ufunc__", self) is None:
            return NotImplemented
        return call(name, self, other)

    def reflected(self, other):
        return call(name, other, self)

    def in_place(self, other):
        return call(name, self, other, out=self)

    setattr(ndarray, f"__{symbol}__", forward)
    if symbol not in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(ndarray, f"__r{symbol}__", reflected)
        setattr(ndarray, f"__i{symbol}__", in_place)


for _symbol, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "matmul": "matmul",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}.items():  # fmt: skip
    _operator(_symbol, _name)
ndarray.__neg__ = lambda self: call("negative", self)
ndarray.__abs__ = lambda self: call("absolute", self)
ndarray.__invert__ = lambda self: call("invert", self)
ndarray.__pos__ = lambda self: call("positive", self)


class _Add(functools.partial):
    """`cupy.add`, with its `at`."""

    def at(self, a, index, values):
        if a.dtype.name not in ATOMIC:
            raise TypeError(f"cupy.add.at only supports {', '.join(ATOMIC)} as data type")
        places, values = indices(a, index), operand(values)
        write(a._a, lambda: np.add.at(a._a, places(), values))


add = _Add(call, "add")


# ---- New arrays ------------------------------------------------------------------------------------------------------


def _created(name, *args, **kwargs):
    if any(isinstance(x, (np.ndarray, ndarray)) for x in args):
        raise TypeError(f"strict stand-in: {name} of an array")
    return run(getattr(np, name), args, kwargs)


for _name in ("arange", "empty", "eye", "full", "linspace", "ones", "tri", "zeros"):
    globals()[_name] = functools.partial(_created, _name)


def _like(name, a, dtype=None):
    return run(getattr(np, name), (operand(a),), {"dtype": dtype}, a)


empty_like, ones_like, zeros_like = (functools.partial(_like, f"{name}_like") for name in ("empty", "ones", "zeros"))


def split(a, sections, axis=0):
    """Views of equal parts."""
    ends = [i * a.shape[axis] // sections for i in range(sections + 1)]
    before = (slice(None),) * (axis % a.ndim)
    return [a[(*before, slice(i, j))] for i, j in itertools.pairwise(ends)]


def asarray(a, dtype=None):
    """The one door from the host: it takes NumPy arrays and numbers; an array of another device is copied here."""
    if isinstance(a, ndarray):
        return a if a.device.id == current else ndarray(a._a.copy())
    if isinstance(a, (list, tuple)):
        raise TypeError("strict stand-in: a list would be uploaded")
    a = np.array(a, dtype)
    crosses("to device", a.size)
    return ndarray(a)


array = asarray


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*arrays):
    return sys.modules[__name__] if any(isinstance(a, (ndarray, tracer.Traced)) for a in arrays) else np


def may_share_memory(a, b):
    return np.may_share_memory(a._a, b._a)


def from_dlpack(x):
    capsule = x.__dlpack__()
    return ndarray(capsule._a, capsule, capsule.device)


def _as_strided(a, shape, strides):
    return run(lambda m: np.lib.stride_tricks.as_strided(m, shape, strides, writeable=True), (operand(a),), {}, a)


lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=_as_strided))


# ---- fuse ------------------------------------------------------------------------------------------------------------


def fuse(*, kernel_name):
    """cupy.fuse, which would fall back without a word: what the tracer refuses is an error here."""
    if not kernel_name.isidentifier():
        raise tracer.BadRule(f"{kernel_name!r} is no name for a kernel")

    def decorate(function):
        traced = set()

        @functools.wraps(function)
        def fused(*args):
            kinds = tuple((isinstance(x, ndarray), np.dtype(getattr(x, "dtype", type(x)))) for x in args)
            if len({x.shape for x in args if isinstance(x, ndarray)}) != 1 or len({dtype for _, dtype in kinds}) != 1:
                raise tracer.BadRule(
                    f"a kernel of {[(getattr(x, 'shape', ()), str(k)) for x, (_, k) in zip(args, kinds)]}"
                )
            key = kinds, next(x.ndim for x in args if isinstance(x, ndarray))
            if key not in traced:
                unknown = [tracer.Traced(dtype, scalar=not is_array) for is_array, dtype in kinds]
                if function(*unknown) is not None or all(x.written is None for x in unknown):
                    raise tracer.BadRule("a fused function writes x[...] = and returns nothing")
                fused.compiled += 1
                traced.add(key)
            global launches
            before = launches
            reads = [x.copy() if isinstance(x, ndarray) else x for x in args]  # a kernel reads before it writes
            function(*[_Target(x, r) if isinstance(x, ndarray) else x for x, r in zip(args, reads)])
            launches = before + 1

        fused.compiled = 0
        kernels[kernel_name] = fused
        return fused

    return decorate


kernels = {}  # the fused functions by name, each with the number of times that it was compiled


class _Target(ndarray):
    """An array inside a kernel: it is read as it was, and written at its place."""

    __slots__ = ("place",)

    def __init__(self, place, value):
        super().__init__(value._a, None, value.device)
        self.place = place

    def __setitem__(self, index, value):
        self.place[index] = value


# ---- Devices, streams, graphs ----------------------------------------------------------------------------------------


class Device:
    """A GPU; `use` and `with` make it the current one."""

    def __init__(self, id=None):
        self.id = current if id is None else id
        if not 0 <= self.id < DEVICES:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    mem_info = property(lambda self: (1 << 30, 2 << 30))

    def use(self):
        global current
        current = self.id

    def __enter__(self):
        self.outer = current
        self.use()
        return self

    def __exit__(self, *error):
        global current
        current = self.outer

    def synchronize(self):
        crosses("synchronize", 0)


class Graph:
    """What was captured. Nothing of it has been computed: new memory holds rubbish, and old memory what it held."""

    def __init__(self):
        self.calls, self.made, self.old = [], [], []

    def finish(self):
        for y in self.made:
            y.reshape(-1).view("uint8" if y.dtype == bool else y.dtype)[...] = 113
        for memory, copy in reversed(self.old):
            memory[...] = copy
        self.old.clear()
        return self

    def launch(self, stream=None):
        global launches
        launches += 1
        with np.errstate(all="ignore"):
            for compute in self.calls:
                compute()


class Event:
    """A place in a stream."""


class Stream:
    """Work in order; only one that is not the default one can be captured."""

    def __init__(self, null=False, non_blocking=False):
        self.null = null

    def __enter__(self):
        streams.append(self)
        return self

    def __exit__(self, *error):
        streams.pop()

    def record(self, event=None):
        return event or Event()

    def wait_event(self, event):
        assert isinstance(event, Event)

    def synchronize(self):
        crosses("synchronize", 0)

    def begin_capture(self, mode=None):
        global recording
        if self.null or streams[-1] is not self:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        recording = Graph()

    def is_capturing(self):
        return recording is not None

    def end_capture(self):
        global recording
        graph, recording = recording, None
        return graph.finish()


streams = [Stream(null=True)]


class MemoryPool:
    """It only counts here."""

    malloc = staticmethod(lambda size: None)
    used_bytes = staticmethod(lambda: 4096)


@contextlib.contextmanager
def _using_allocator(allocator=None):
    yield


_pool = MemoryPool()
get_default_memory_pool = lambda: _pool
cuda = types.SimpleNamespace(
    Device=Device,
    Stream=Stream,
    MemoryPool=MemoryPool,
    get_current_stream=lambda: streams[-1],
    using_allocator=_using_allocator,
    runtime=types.SimpleNamespace(
        getDeviceCount=lambda: DEVICES,
        getDeviceProperties=lambda i: {"name": b"Stand-in", "totalGlobalMem": 2 << 30},
        driverGetVersion=lambda: 12080,
        runtimeGetVersion=lambda: 12060,
    ),
)
