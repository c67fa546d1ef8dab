"""The one file that knows NumPy and CuPy: devices, dtypes, moving data, and what the two libraries do differently.

Everything else works on "raw arrays", whichever library they come from, and asks `xp(array)` for the module to call.
CuPy is imported when a GPU is first asked for, never before.
"""

import functools
import importlib
import importlib.util
import itertools
import math
from contextvars import copy_context
from typing import Any

import numpy
from numpy import ndarray

cupy: Any = None  # the CuPy module, once load_cupy() has found it

Array = Any  # an array of either library: neither states types that the other one shares
Axis = int | tuple[int, ...] | None

FLOAT64 = numpy.dtype("float64")
FLOAT32 = numpy.dtype("float32")
DTYPES = (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
INSTALL = "it takes an NVIDIA GPU and CuPy: `pip install lucidlite[cuda12]`, or lucidlite[cuda13] for CUDA 13"


def xp(*arrays):
    """The module that these arrays belong to: numpy or cupy."""
    return numpy if cupy is None else cupy.get_array_module(*arrays)


# ---- Devices ---------------------------------------------------------------------------------------------------------


def load_cupy():
    """CuPy, imported now if need be; a RuntimeError says what to install where there is none, or no GPU."""
    global cupy
    if cupy is None:
        try:
            found = importlib.import_module("cupy")
            count = found.cuda.runtime.getDeviceCount()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"the device 'gpu' cannot be used here ({reason}); {INSTALL}") from None
        if not count:
            raise RuntimeError(f"the device 'gpu' cannot be used here (CuPy sees no GPU); {INSTALL}")
        cupy = found
    return cupy


def gpu_index(device):
    """None for "cpu", 0 for "gpu", n for "gpu:n"; a ValueError for any other name."""
    if device == "cpu":
        return None
    name, _, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if name != "gpu" or (index and not index.isdecimal()) or device == "gpu:":
        raise ValueError(f"unknown device {device!r}; the devices are 'cpu', 'gpu' and 'gpu:0', 'gpu:1', ...")
    count = load_cupy().cuda.runtime.getDeviceCount()
    if int(index or 0) >= count:
        raise ValueError(f"there is no device {device!r}; this machine has {count} GPU(s)")
    return int(index or 0)


def device_of(array):
    """The name of the device that an array lies on."""
    if cupy is None or not isinstance(array, cupy.ndarray):
        return "cpu"
    return f"gpu:{array.device.id}" if array.device.id else "gpu"


def move(array, device):
    """The array on that device: itself if it is there, else a copy."""
    index, here = gpu_index(device), device_of(array)
    if index is None:
        return array if here == "cpu" else cupy.asnumpy(array)
    if here != "cpu" and array.device.id == index:
        return array
    with cupy.cuda.Device(index):
        return cupy.asarray(array)


def same_device(what, *arrays):
    """Refuse (name, array) pairs that lie on different devices; numbers and None belong to any."""
    found = [(name, a, device_of(a)) for name, a in arrays if hasattr(a, "shape") and not isinstance(a, numpy.generic)]
    for name, a, device in found[1:]:
        first, b, other = found[0]
        if device != other:
            raise RuntimeError(
                f"{what}: {first} {b.shape} is on {other}, {name} {a.shape} is on {device}. Move one with .to(...)"
            )


def create(function, device, *args, **options):
    """Call numpy's or cupy's `function`, by name, so that its result is made on the device."""
    index = gpu_index(device)
    if index is None:
        return getattr(numpy, function)(*args, **options)
    with cupy.cuda.Device(index):
        return getattr(cupy, function)(*args, **options)


def stream(seed) -> Any:
    """A new stream of random numbers; None seeds it from the operating system."""
    return numpy.random.default_rng(seed)


def shape(sizes):
    """A shape from `2, 3`, from `(2, 3)` or from `[2, 3]`; lengths are whole numbers >= 0."""
    if len(sizes) == 1 and not hasattr(sizes[0], "__index__"):
        sizes = sizes[0]
    if not hasattr(sizes, "__iter__") or not all(hasattr(n, "__index__") and n.__index__() >= 0 for n in sizes):
        raise ValueError(f"{sizes!r} is no shape; it takes whole numbers >= 0, as in 2, 3 or (2, 3)")
    return tuple(n.__index__() for n in sizes)


# ---- Dtypes and arrays -----------------------------------------------------------------------------------------------


def dtype(name):
    """The NumPy dtype for a dtype or its name; complex numbers, strings and objects are refused."""
    try:
        found = None if name is None else numpy.dtype(name)
    except TypeError:
        found = None
    if found is None or found.name not in DTYPES:
        raise TypeError(f"{name!r} is no dtype of a tensor; take one of {', '.join(DTYPES)}")
    return numpy.dtype(
        found.name
    )  # the one object of that dtype, in this machine's byte order: the engine compares by `is`


def array(data, wanted=None, device="cpu"):
    """A new array from numbers, nested lists or arrays. Python floats become float32; arrays keep theirs."""
    if cupy is not None and isinstance(data, cupy.ndarray):
        return move(data.astype(wanted or data.dtype), device)
    try:
        made = numpy.array(data)
    except ValueError as error:
        raise ValueError(f"cannot make a tensor of this: {error}; all rows must have the same length") from None
    if wanted is None:
        python_floats = made.dtype == FLOAT64 and not hasattr(data, "dtype")
        wanted = FLOAT32 if python_floats or (not made.size and made.dtype == object) else made.dtype
    if made.dtype.name not in DTYPES:
        what = f"{type(data).__name__} {repr(data)[:60]}"
        raise TypeError(f"no tensor can be made of the {what}: it holds no real numbers, or one beyond int64")
    wanted = dtype(wanted)
    if wanted.kind in "iu" and made.dtype.kind in "iuf" and made.size:
        low, high = numpy.iinfo(wanted).min, numpy.iinfo(wanted).max
        if not (low <= made.min() and made.max() <= high):
            raise ValueError(
                f"numbers from {made.min()} to {made.max()} do not fit {wanted}, which goes from {low} to {high}"
            )
    return move(made.astype(wanted, copy=False), device)


def as_result(y, op=None, names=(), values=()):
    """What a forward returned, as an array: NumPy turns 0-d results into scalars, CuPy leaves the devices to us."""
    if cupy is not None and isinstance(y, cupy.ndarray):
        same_device(op, *zip(names, values))
        return y
    if not isinstance(y, (ndarray, numpy.generic, int, float)):
        raise TypeError(f"{op}: its forward returned a {type(y).__name__}; an op returns one array")
    return numpy.asarray(y)


def settle(y, op, values):
    """A result in the right dtype: that of the widest floating input, float32 where there are only integers."""
    if y.dtype.kind in "biu":
        return y
    if y.dtype.kind != "f":
        raise TypeError(f"{op.name}: its forward returned {y.dtype}; it must give real numbers")
    if any(isinstance(v, numpy.dtype) for v in values):
        return y  # the caller has named the dtype
    floats = [v.dtype for v in values if hasattr(v, "dtype") and v.dtype.kind == "f"]
    if not floats and y.dtype.itemsize < 4:  # NumPy takes float16 for small integers, where exp(12) is infinite
        return op.forward(*(v.astype(FLOAT32) if hasattr(v, "astype") else v for v in values))
    return y.astype(max(floats, key=lambda d: d.itemsize) if floats else FLOAT32, copy=False)


def operand(x, op, argument):
    """The raw operand for what stands beside a Tensor: numbers stay weak (they change no dtype), arrays are copied."""
    kind = type(x)
    if kind is float or kind is int or kind is bool:
        return x
    if isinstance(x, numpy.generic):
        return x.item()
    if isinstance(x, (ndarray, list, tuple)):
        return array(x)  # a copy: what is saved for a gradient must not change with the caller's array
    if cupy is not None and isinstance(x, cupy.ndarray):
        return x.copy()
    if isinstance(x, (float, int)):
        return x
    raise TypeError(f"{op}: {argument} is {x!r}, a {kind.__name__}; it takes a Tensor, an array or a number")


def read_only(a):
    """A view through which nothing can be written."""
    view = a.view()
    view.flags.writeable = False
    return view


def may_share_memory(a, b):
    """Whether two arrays may be views of the same memory."""
    return xp(a, b).may_share_memory(a, b)


def ones_like(a):
    """Ones of the shape, dtype and device of `a`."""
    return xp(a).ones_like(a)


def zeros_like(a, dtype=None):
    """Zeros of the shape and device of `a`, and of its dtype unless another is given."""
    return xp(a).zeros(a.shape, dtype or a.dtype)


def empty_like(a):
    """Memory of the shape, dtype and device of `a`, with whatever it holds."""
    return xp(a).empty_like(a)


def zeros(shape, like):
    """Zeros of this shape, of the dtype and device of `like`."""
    return xp(like).zeros(shape, like.dtype)


def raw(x) -> Any:
    """The raw array of a Tensor; anything else as it is; inside tuples and lists too."""
    if isinstance(x, (tuple, list)):
        return type(x)(raw(item) for item in x)
    return getattr(x, "_data", x)


def index(x, a, op):
    """An index as an integer or bool array on the device of `a`: a copy, because the gradient needs it unchanged."""
    found = raw(x)
    empty = not hasattr(found, "dtype") and not len(found)
    found = array(found, "int64" if empty else None, device_of(raw(a)))
    if found.dtype.kind not in "iub":
        raise TypeError(f"{op}: an index must be of integers or bools, not {found.dtype}")
    return found


def indices(shape):
    """The index of every element of a shape."""
    return itertools.product(*map(range, shape))


def add_at(total, index, values):
    """total[index] += values, where an index that occurs twice counts twice."""
    if xp(total) is numpy:
        numpy.add.at(total, index, values)
    else:
        cupy.add.at(total, index, values)


def text(a, prefix=""):
    """The array as NumPy prints it, lined up behind a prefix."""
    return numpy.array2string(a if xp(a) is numpy else cupy.asnumpy(a), separator=", ", prefix=prefix)


@functools.cache
def _erf_coefficients(degree):
    """log(erfc(z) / t) + z^2 as a polynomial in 8/3 t - 5/3, t = 2 / (2 + z), z in [0, 6]; the highest power first."""
    from numpy.polynomial import Chebyshev, Polynomial  # here, because most programs need no erf

    def exact(ts) -> Any:
        return [math.log(math.erfc(2 / t - 2) / t) + (2 / t - 2) ** 2 for t in ts]

    series = Chebyshev.interpolate(exact, degree, domain=[0.25, 1])
    return [float(c) for c in reversed(series.convert(kind=Polynomial, domain=[0.25, 1], window=[-1, 1]).coef)]


def erf(a):
    """The error function, which NumPy has not: right to 1e-15. Near 0 its series, where 1 - erfc would lose digits."""
    a = a if a.dtype.kind == "f" else a.astype(FLOAT32)
    z = xp(a).minimum(xp(a).abs(a), 6)  # beyond 6 it is 1
    t = 2 / (2 + z)
    u, p = t * (8 / 3) - 5 / 3, 0.0
    for c in _erf_coefficients(20 if a.dtype == FLOAT64 else 9):
        p = p * u + c
    far = 1 - t * xp(a).exp(p - z * z)
    near = (
        z * (2 / math.sqrt(math.pi)) * (1 - z**2 / 3 * (1 - z**2 * 3 / 10 * (1 - z**2 * 5 / 21 * (1 - z**2 * 7 / 36))))
    )
    return xp(a).copysign(xp(a).where(z < 0.05, near, far), a)


def ufunc(name):
    """NumPy's universal function of this name. CuPy's arrays take such a call over (NEP 13), so it serves both."""
    return getattr(numpy, name)


_ZEROS = {numpy.dtype(name): numpy.zeros((), name) for name in DTYPES}


def zero(a):
    """0 in the dtype of `a`; for NumPy's arrays a 0-d array, which costs a call 0.3 us less than the number."""
    return _ZEROS[a.dtype] if type(a) is ndarray else 0


# ---- Windows: what convolution and pooling stand on ------------------------------------------------------------------


def windows(a, size, stride, dilation):
    """All windows over the last axes of `a`, as a view: (..., positions..., size...)."""
    n = len(size)
    lengths, steps = a.shape[a.ndim - n :], a.strides[a.ndim - n :]
    positions = tuple((length - d * (k - 1) - 1) // s + 1 for length, k, s, d in zip(lengths, size, stride, dilation))
    strides = (*(st * s for st, s in zip(steps, stride)), *(st * d for st, d in zip(steps, dilation)))
    shape = (*a.shape[: a.ndim - n], *positions, *size)
    return xp(a).lib.stride_tricks.as_strided(a, shape, (*a.strides[: a.ndim - n], *strides))


def overlap_add(w, shape, stride, dilation):
    """Put windows back where they came from and add where they overlap: the transpose of `windows`."""
    n, total = len(stride), zeros(shape, like=w)
    positions, size = w.shape[w.ndim - 2 * n : w.ndim - n], w.shape[w.ndim - n :]
    for offset in itertools.product(*map(range, size)):
        place = tuple(
            slice(o * d, o * d + s * (p - 1) + 1, s) for o, d, s, p in zip(offset, dilation, stride, positions)
        )
        total[(..., *place)] += w[(..., *offset)]
    return total


# ---- Update rules ----------------------------------------------------------------------------------------------------


def state_dtype(p):
    """The dtype of an optimizer's state and arithmetic: the parameter's, but no less than float32."""
    return FLOAT32 if p.dtype.itemsize < 4 else p.dtype


def limits(dtype):
    """The smallest number above 0 and the greatest one of a dtype."""
    info = numpy.finfo(dtype)
    return float(info.smallest_subnormal), float(info.max)


def filled_like(p, value, dtype):
    """One value in the shape and on the device of `p`."""
    return xp(p).full(p.shape, value, dtype)


CHUNK = 65_536  # elements: 256 KiB of float32 stay in the cache, and no temporary leaves malloc's pools
THREADS_FROM, THREAD_CHUNK = 1_000_000, 131_072  # elements: with fewer, handing out work costs more than it saves
PROGRAM_FROM = 4_000  # elements: below, a list of calls costs more than the copies that it saves
NUMBA_FROM = 10_000  # elements: below, a training hardly saves the second that importing Numba and compiling take
_choice, _threads, _pool = None, 1, None

# A freed block of 16 MiB teaches glibc's malloc to keep up to 32 MiB of freed memory (mallopt(3), M_MMAP_THRESHOLD).
# Without it temporaries may go back to the system in every chunk: 34,000 page faults in a step on 1e7 elements, 94 ms
# in place of 19.
numpy.empty(16 << 20, "int8")


def use_kernel(way: str | None = None) -> None:
    """Choose how the optimizers' rules run on the CPU.

    Args:
        way: "numpy"; "numba", for parameters of every size; or None, which takes Numba where it is installed and the
            parameter has 10,000 elements or more. `optimizer.way` says which way the last step took.

    Raises:
        RuntimeError: way is "numba", and it is not installed.
    """
    global _choice
    if way not in (None, "numpy", "numba"):
        raise ValueError(f"unknown way {way!r}; it is 'numpy', 'numba' or None")
    if way == "numba" and not _numba():
        raise RuntimeError("Numba is not installed; install it with `pip install lucidlite[fast]`")
    _choice = way


def set_num_threads(n: int) -> None:
    """Let n threads share the update of a parameter of a million elements or more; the bits stay the same."""
    global _threads, _pool
    if not hasattr(n, "__index__") or n.__index__() < 1:
        raise ValueError(f"the number of threads is {n!r}; it must be a whole number of at least 1")
    from concurrent.futures import ThreadPoolExecutor  # here, because most programs need no pool

    if _pool is not None:
        _pool.shutdown()
    _threads, _pool = n.__index__(), ThreadPoolExecutor(n.__index__(), "lucidlite") if n > 1 else None


def get_num_threads() -> int:
    """How many threads share the update of a large parameter: 1, unless `set_num_threads` changed it."""
    return _threads


@functools.cache
def _numba():
    """What finds a rule's compiled loop, where Numba is installed; else None."""
    if importlib.util.find_spec("numba") is None:
        return None
    from .compiled import find  # here, because it imports this file

    return find


@functools.cache
def kernel(rule, flags):
    """Run an update rule in place: `run([p, g, *buffers], scalars)`, where a buffer that the rule does not use is None.

    `rule(math, *flags)` gives a pure function `(p, g, *buffers, **scalars) -> (p, *buffers)`. Numba makes one loop of
    it; NumPy takes large arrays in chunks that fit the cache: the same bits, because it works element by element, in a
    third of the time. `run` returns the way that it took: "numpy", "numba" or "cupy", with the number of threads if
    they are several, and with the reason if Numba was wanted and could not.
    """
    for_module: Any = functools.cache(lambda module: _in_place(rule, flags, module))

    def run(arrays, scalars):
        size, module = arrays[0].size, xp(arrays[0])
        way, work, why, chunk = module.__name__, for_module(module), "", CHUNK
        find = _numba() if module is numpy and _choice != "numpy" and (_choice or size >= NUMBA_FROM) else None
        flat = _flat(arrays) if find or (module is numpy and size > CHUNK) else None
        if find and flat:
            loop, why = find(rule, flags, tuple([a if a is None else a.dtype.char for a in flat]))
            if loop:
                way, work, chunk = "numba", loop, size
        if flat is None:
            work(arrays, scalars)
        elif _pool is None or size < THREADS_FROM:
            for pieces in _chunks(flat, chunk):
                work(pieces, scalars)
        else:
            way, chunk = f"{way}, {_threads} threads", -(-size // _threads) if way == "numba" else THREAD_CHUNK
            # Each piece runs in a copy of the context, which is where numpy.errstate lives.
            jobs = [_pool.submit(copy_context().run, work, pieces, scalars) for pieces in _chunks(flat, chunk)]
            for job in jobs:
                job.result()
        return f"{way} (numba: {why})" if why else way

    return run


def _in_place(rule, flags, module):
    """The function that lets a rule work on arrays and puts the result back into them."""
    from .inplace import program  # here, because it imports this file

    update = rule(module, *flags)
    last = {}  # dtype -> the scalars of the last call and what they were turned into: mostly they are the same again
    programs = {}  # which arrays there are -> the rule as a list of NumPy calls

    def work(arrays, scalars):
        dtype = state_dtype(arrays[0])
        given, numbers = last.get(dtype, (None, {}))
        if given != scalars:
            # A Python float costs 0.3 us more in each ufunc call than a 0-d array of the dtype.
            numbers = {k: numpy.asarray(v, dtype) if module is numpy else dtype.type(v) for k, v in scalars.items()}
            last[dtype] = dict(scalars), numbers
        wide = [a if a is None or a.dtype is dtype else a.astype(dtype) for a in arrays]
        present = tuple([a is not None for a in arrays]) if arrays[0].size >= PROGRAM_FROM and module is numpy else None
        if present and present not in programs:
            programs[present] = program(rule, flags, present, scalars)
        if present and programs[present]:
            programs[present](wide, numbers.values())
            new = wide[0], *wide[2:]
        else:
            new = update(*wide, **numbers)
        for old, value in zip((arrays[0], *arrays[2:]), new):
            if old is not None and old is not value:
                old[...] = value

    return work


def _flat(arrays):
    """The arrays as one long row each, in the same memory; None where one of them has gaps."""
    for a in arrays:
        if a is not None and not a.flags.c_contiguous:
            return None
    return [a if a is None or a.ndim == 1 else a.reshape(-1) for a in arrays]


def _chunks(flat, size):
    """Pieces of flat arrays, of this many elements, that belong together."""
    if flat[0].size <= size:
        return [flat]
    return [[a if a is None else a[i : i + size] for a in flat] for i in range(0, flat[0].size, size)]
