"""The one file that knows NumPy and CuPy: devices, dtypes, moving data, and what the two libraries do differently.

Everything else works on "raw arrays" of either library, and asks `xp(array)` for the module to call."""

import functools
import importlib
import math
import operator
from typing import Any

import numpy
from numpy import ndarray

cupy: Any = None  # the CuPy module, once load_cupy() has found it

FLOAT32, FLOAT64 = numpy.dtype("float32"), numpy.dtype("float64")
DTYPES = ("bool", "float16", "float32", "float64", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)))
recording = False  # whether a CUDA graph is being recorded, into which nothing from the host can go
watchers = []  # each is called with every optimizer that has taken a step


def xp(*arrays) -> Any:
    """The module that these arrays belong to: numpy or cupy."""
    return numpy if cupy is None else cupy.get_array_module(*arrays)


# ---- Devices ---------------------------------------------------------------------------------------------------------


def load_cupy():
    """CuPy, imported now if need be; a RuntimeError says what to install where there is none, or no GPU."""
    global cupy
    if cupy is None:
        try:
            found = importlib.import_module("cupy")
            found.cuda.runtime.getDeviceCount()  # raises where there is none
        except Exception as error:
            what = f"the device 'gpu' cannot be used here ({type(error).__name__}: {error}); it takes an NVIDIA GPU"
            raise RuntimeError(f"{what} and CuPy: `pip install cupy-cuda12x`, or cupy-cuda13x for CUDA 13") from None
        cupy = found
    return cupy


def gpu_index(device):
    """None for "cpu", 0 for "gpu", n for "gpu:n"; a ValueError for any other name."""
    if device == "cpu":
        return None
    name, colon, number = str(device).partition(":")
    if name != "gpu" or not (number if colon else "0").isdecimal():
        raise ValueError(f"unknown device {device!r}; the devices are 'cpu', 'gpu' and 'gpu:0', 'gpu:1', ...")
    index, count = int(number or 0), load_cupy().cuda.runtime.getDeviceCount()
    if index >= count:
        raise ValueError(f"there is no device {device!r}; this machine has {count} GPU(s)")
    return index


def on_gpu(array):
    return cupy is not None and isinstance(array, cupy.ndarray)


def device_of(array):
    if not on_gpu(array):
        return "cpu"
    return f"gpu:{array.device.id}" if array.device.id else "gpu"


def create(function, device, *args, **options):
    """Call numpy's or cupy's `function`, by name, so that its result is made on the device."""
    index = gpu_index(device)
    if index is not None:
        cupy.cuda.Device(index).use()
    return getattr(numpy if index is None else cupy, function)(*args, **options)


def move(array, device):
    """The array on that device: itself if it is there, else a copy."""
    index, here = gpu_index(device), array.device.id if on_gpu(array) else None
    if index == here:
        return array
    if index is None:
        return cupy.asnumpy(array)
    if recording and here is None:
        raise RuntimeError("an array or random numbers of the CPU came in, which a recording cannot repeat")
    return create("asarray", device, array)


def same_device(what, *arrays):
    """Refuse (name, array) pairs that lie on different devices; numbers and None belong to any."""
    found = [(name, a.shape, device_of(a)) for name, a in arrays if isinstance(a, ndarray) or on_gpu(a)]
    for name, shape, device in found[1:]:
        if device != found[0][2]:
            text = "{}: {} {} is on {}, {} {} is on {}. Move one with .to(...)"
            raise RuntimeError(text.format(what, *found[0], name, shape, device))


def whole_numbers(given):
    """(2, 3) from the arguments `2, 3`, from `(2, 3)` or from `[2, 3]`."""
    given = given[0] if len(given) == 1 and hasattr(given[0], "__iter__") else given
    if not all(hasattr(n, "__index__") for n in given):
        raise TypeError(f"{given!r} is no shape or list of axes; it takes whole numbers, as in 2, 3 or (2, 3)")
    return tuple(map(operator.index, given))


stream: Any = lambda seed: numpy.random.default_rng(seed)  # as a lambda: numpy.random is not imported before its use


# ---- Dtypes and arrays -----------------------------------------------------------------------------------------------


def dtype(name):
    """The NumPy dtype for a dtype or its name; complex numbers, strings and objects are refused."""
    try:
        found = "" if name is None else numpy.dtype(name).name
    except TypeError:
        found = ""
    if found not in DTYPES:
        raise TypeError(f"{name!r} is no dtype of a tensor; take one of {', '.join(DTYPES)}")
    return numpy.dtype(found)  # the one object of that dtype, in this machine's byte order: the engine needs `is`


def array(data, wanted=None, device="cpu"):
    """A new array from numbers, nested lists or arrays. Python floats become float32; arrays keep theirs."""
    if on_gpu(data):
        return move(data.astype(wanted or data.dtype), device)
    try:
        made = numpy.array(data)
    except ValueError as error:
        raise ValueError(f"cannot make a tensor of this: {error}; all rows must have the same length") from None
    if made.dtype.name not in DTYPES:
        what = f"{type(data).__name__} {repr(data)[:60]}"
        raise TypeError(f"no tensor can be made of the {what}: it holds no real numbers, or one beyond int64")
    floats = made.dtype == FLOAT64 and not hasattr(data, "dtype")  # Python's
    wanted = dtype(wanted or (FLOAT32 if floats else made.dtype))
    if wanted.kind in "iu" and made.size:
        least, most, low, high = made.min(), made.max(), numpy.iinfo(wanted).min, numpy.iinfo(wanted).max
        if not low <= least <= most <= high:
            raise ValueError(f"numbers from {least} to {most} do not fit {wanted}, which goes from {low} to {high}")
    return move(made.astype(wanted, copy=False), device)


def settle(y, op, values) -> Any:
    """What an op's forward returned, as an array in the dtype of the widest floating input; float32 without one."""
    if on_gpu(y):
        same_device(op.name, *(() if op.name == "move" else zip(op.names, values)), ("the result", y))
    elif not isinstance(y, (ndarray, numpy.generic, int, float)):
        raise TypeError(f"{op.name}: its forward returned a {type(y).__name__}; an op returns one array")
    y = xp(y).asarray(y)
    if y.dtype.kind in "biu" or any(isinstance(v, numpy.dtype) for v in values):  # the caller has named the dtype
        return y
    if y.dtype.kind != "f":
        raise TypeError(f"{op.name}: its forward returned {y.dtype}; it must give real numbers")
    floats = [v.dtype for v in values if hasattr(v, "dtype") and v.dtype.kind == "f"]
    if not floats and y.dtype.itemsize < 4:  # NumPy takes float16 for small integers, where exp(12) is infinite
        return op.forward(*(v.astype(FLOAT32) if hasattr(v, "astype") else v for v in values))
    return y.astype(max(floats, key=lambda d: d.itemsize) if floats else FLOAT32, copy=False)


def operand(x, op, argument):
    """The raw operand for what stands beside a Tensor: numbers stay weak (they change no dtype), arrays are copied."""
    if isinstance(x, (float, int, numpy.generic)):
        return x.item() if isinstance(x, numpy.generic) else x
    if isinstance(x, (ndarray, list, tuple)) or on_gpu(x):
        return array(x, device=device_of(x))  # a copy: what is saved must not change with the caller's array
    raise TypeError(f"{op}: {argument} is {x!r}, a {type(x).__name__}; it takes a Tensor, an array or a number")


# CuPy's arrays take calls of NumPy's functions over (NEP 13 and NEP 18), so these serve both.
ufunc = functools.partial(getattr, numpy)  # by its name
ones_like, zeros_like, may_share_memory = numpy.ones_like, numpy.zeros_like, numpy.may_share_memory


def zeros(shape, like):
    """Zeros of this shape, of the dtype and device of `like`."""
    return xp(like).zeros(shape, like.dtype)


def raw(x) -> Any:
    """The raw array of a Tensor; anything else as it is; inside tuples and lists too."""
    if isinstance(x, (tuple, list)):
        return type(x)(raw(item) for item in x)
    return getattr(x, "_data", x)


def index(places, a, op) -> Any:
    """An index whose lists and arrays lie on the device of `a`: copies, because the gradient needs them unchanged."""
    if isinstance(places, tuple):
        return tuple(index([*i] if isinstance(i, tuple) else i, a, op) for i in places)
    found = raw(places)
    if not hasattr(found, "__len__") and not hasattr(found, "shape"):
        return places
    found = array(found, None if hasattr(found, "dtype") or len(found) else "int64", device_of(raw(a)))
    if found.dtype.kind not in "iub":
        raise TypeError(f"{op}: an index must be of integers or bools, not {found.dtype}")
    return found


def nan_outside(values, labels, classes, dtype):
    """The values, with nan where a label is no class, on a GPU; an error would have to wait for it."""
    return cupy.where(labels.view("uint64") < classes, values, math.nan).astype(dtype) if on_gpu(labels) else values


@functools.cache
def _erf_coefficients(degree):
    """log(erfc(z)) / z + z as a polynomial in u = (16 / 3) / (2 + z) - 5 / 3, z in [0, 6]; the highest power first."""
    from numpy.polynomial import Chebyshev, Polynomial  # here, because most programs need no erf

    def exact(u):
        z = 16 / (3 * u + 5) - 2
        return (math.log(math.erfc(z)) if z > 0.5 else math.log1p(-math.erf(z))) / z + z

    return Chebyshev.interpolate(numpy.vectorize(exact), degree).convert(kind=Polynomial).coef[::-1].tolist()


def erf(a):
    """The error function, which NumPy has not: right to 1e-14 of its value, or 3e-7 in float32."""
    a = a if a.dtype.kind == "f" else a.astype(FLOAT32)
    z = xp(a).minimum(xp(a).abs(a), 6)  # beyond 6 it is 1
    u, p = (16 / 3) / (2 + z) - 5 / 3, 0.0
    for c in _erf_coefficients(24 if a.dtype == FLOAT64 else 9):
        p = p * u + c
    return xp(a).copysign(xp(a).expm1(z * (p - z)), a)  # -expm1(log(erfc(z))) is 1 - erfc(z), without loss near 0


def windows(a, size, stride, dilation):
    """All windows over the last axes of `a`, as a view: (..., positions..., size...)."""
    n = a.ndim - len(size)
    positions = [(length - d * (k - 1) - 1) // s + 1 for length, k, s, d in zip(a.shape[n:], size, stride, dilation)]
    steps = [st * s for st, s in zip(a.strides[n:] * 2, (*stride, *dilation))]
    return xp(a).lib.stride_tricks.as_strided(a, (*a.shape[:n], *positions, *size), (*a.strides[:n], *steps))


def state_dtype(p):
    """The dtype of an optimizer's state and arithmetic: the parameter's, but no less than float32."""
    return FLOAT32 if p.dtype.itemsize < 4 else p.dtype
