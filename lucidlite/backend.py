"""The one file that knows NumPy and CuPy: devices, dtypes, moving data, and what the two libraries do differently.

Everything else works on "raw arrays", whichever library they come from, and asks `xp(array)` for the module to call.
CuPy is imported when a GPU is first asked for, never before.
"""

import functools
import importlib
import importlib.util
import math
from contextvars import copy_context
from typing import Any

import numpy
from numpy import ndarray

cupy: Any = None  # the CuPy module, once load_cupy() has found it

FLOAT64 = numpy.dtype("float64")
FLOAT32 = numpy.dtype("float32")
DTYPES = (
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
recording = False  # whether a CUDA graph is being recorded, into which nothing from the host can go
watchers = []  # each is called with every optimizer that has taken a step


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
            found.cuda.runtime.getDeviceCount()  # raises where there is none
        except Exception as error:
            raise RuntimeError(
                f"the device 'gpu' cannot be used here ({type(error).__name__}: {error}); it takes an NVIDIA GPU and "
                "CuPy: `pip install cupy-cuda12x`, or cupy-cuda13x for CUDA 13"
            ) from None
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
    """Whether this is an array of CuPy."""
    return cupy is not None and isinstance(array, cupy.ndarray)


def device_of(array):
    """The name of the device that an array lies on."""
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


def from_dlpack(x):
    """An array that shares the memory of another library's array, on whichever device it lies."""
    found = (numpy if x.__dlpack_device__()[0] == 1 else load_cupy()).from_dlpack(x)
    dtype(found.dtype)  # refuses complex numbers
    return found


stream: Any = lambda seed: numpy.random.default_rng(seed)  # as a lambda: numpy.random is not imported before its use


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
    if wanted is None:
        wanted = FLOAT32 if made.dtype == FLOAT64 and not hasattr(data, "dtype") else made.dtype
    wanted = dtype(wanted)
    if wanted.kind in "iu" and made.size:
        least, most, low, high = made.min(), made.max(), numpy.iinfo(wanted).min, numpy.iinfo(wanted).max
        if not low <= least <= most <= high:
            raise ValueError(f"numbers from {least} to {most} do not fit {wanted}, which goes from {low} to {high}")
    return move(made.astype(wanted, copy=False), device)


def as_result(y, op=None, names=(), values=()):
    """What a forward returned, as an array: NumPy turns 0-d results into scalars, CuPy leaves the devices to us."""
    if on_gpu(y):
        same_device(op, *(() if op == "move" else zip(names, values)), ("the result", y))
        return y
    if not isinstance(y, (ndarray, numpy.generic, int, float)):
        raise TypeError(f"{op}: its forward returned a {type(y).__name__}; an op returns one array")
    return numpy.asarray(y)


def settle(y, op, values):
    """A result in the right dtype: that of the widest floating input, float32 where there are only integers."""
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
    if type(x) is float or type(x) is int:
        return x
    if isinstance(x, numpy.generic):
        return x.item()
    if isinstance(x, (ndarray, list, tuple)) or on_gpu(x):
        return array(x, device=device_of(x))  # a copy: what is saved must not change with the caller's array
    if isinstance(x, (float, int)):
        return x
    raise TypeError(f"{op}: {argument} is {x!r}, a {type(x).__name__}; it takes a Tensor, an array or a number")


def read_only(a):
    """A view through which nothing can be written."""
    view = a.view()
    view.flags.writeable = False
    return view


def writeable(a):
    """Whether every element has memory of its own: CuPy, unlike NumPy, would write to what was broadcast."""
    return a.flags.writeable if type(a) is ndarray else all(s or n < 2 for s, n in zip(a.strides, a.shape))


# CuPy's arrays take calls of NumPy's functions over (NEP 13 and NEP 18), so these serve both.
ufunc = functools.partial(getattr, numpy)  # by its name
ones_like, zeros_like, may_share_memory = numpy.ones_like, numpy.zeros_like, numpy.may_share_memory
indices = numpy.ndindex  # the index of every element of a shape


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


def moved(places, a):
    """An index whose lists and arrays lie on the device of `a`; NumPy takes them as they are."""
    if isinstance(places, tuple):
        return tuple(moved(part, a) for part in places)
    return index(places, a, "t[...] =") if on_gpu(a) and isinstance(places, (list, ndarray)) else places


def nan_outside(values, labels, classes):
    """nan where a label is no class, on a GPU, where an error would have to wait and CuPy wraps indices around."""
    return cupy.where(labels.view("uint64") < classes, values, math.nan) if on_gpu(values) else values


def add_at(total, index, values):
    """total[index] += values, where an index that occurs twice counts twice."""
    xp(total).add.at(total, index, values)


def text(a, prefix=""):
    """The array as NumPy prints it, lined up behind a prefix."""
    return numpy.array2string(move(a, "cpu"), separator=", ", prefix=prefix)


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


_ZEROS = {numpy.dtype(name): numpy.zeros((), name) for name in DTYPES}


def zero(a):
    """0 in the dtype of `a`; for NumPy's arrays a 0-d array, which costs a call 0.3 us less than the number."""
    return _ZEROS[a.dtype] if type(a) is ndarray else 0


# ---- Windows: what convolution and pooling stand on ------------------------------------------------------------------


def windows(a, size, stride, dilation):
    """All windows over the last axes of `a`, as a view: (..., positions..., size...)."""
    n = a.ndim - len(size)
    positions = [(length - d * (k - 1) - 1) // s + 1 for length, k, s, d in zip(a.shape[n:], size, stride, dilation)]
    steps = [st * s for st, s in zip(a.strides[n:] * 2, (*stride, *dilation))]
    return xp(a).lib.stride_tricks.as_strided(a, (*a.shape[:n], *positions, *size), (*a.strides[:n], *steps))


def overlap_add(w, shape, stride, dilation):
    """Put windows back where they came from and add where they overlap: the transpose of `windows`."""
    n, total = len(stride), zeros(shape, like=w)
    size = w.shape[w.ndim - n :]
    places = windows(total, size, stride, dilation)[(..., *map(slice, w.shape[w.ndim - 2 * n :]))]
    for offset in indices(size):  # those of one offset lie apart
        places[(..., *offset)] += w[(..., *offset)]
    return total


# ---- Update rules ----------------------------------------------------------------------------------------------------


def state_dtype(p):
    """The dtype of an optimizer's state and arithmetic: the parameter's, but no less than float32."""
    return FLOAT32 if p.dtype.itemsize < 4 else p.dtype


def limits(dtype):
    """The smallest number above 0 and the greatest one of a dtype."""
    return float(numpy.finfo(dtype).smallest_subnormal), float(numpy.finfo(dtype).max)


def filled_like(p, value, dtype):
    """One value in the shape and on the device of `p`."""
    return xp(p).full(p.shape, value, dtype)


CHUNK = 65_536  # elements: 256 KiB of float32 stay in the cache, and no temporary leaves malloc's pools
THREADS_FROM, THREAD_CHUNK = 1_000_000, 131_072  # elements: with fewer, handing out work costs more than it saves
PROGRAM_FROM = 4_000  # elements: below, a list of calls costs more than the copies that it saves
NUMBA_FROM = 10_000  # elements: below, a training hardly saves the second that importing Numba and compiling take
_choice, _threads, _pool = None, 1, None

# A freed block of 16 MiB teaches glibc's malloc to keep up to 32 MiB of freed memory (mallopt(3), M_MMAP_THRESHOLD).
# Without it a step on 1e7 elements may take 94 ms in place of 19: temporaries go back to the system in every chunk.
numpy.empty(16 << 20, "int8")


def use_kernel(way: str | None = None) -> None:
    """Run the optimizers' rules on the CPU by "numpy" or "numba"; None: by Numba, if there, from 10,000 elements on."""
    from .checks import choice  # here, because it imports this file

    global _choice
    if choice("way", way, ("numpy", "numba", None)) == "numba" and compiler() is None:
        raise RuntimeError("Numba is not installed; install it with `pip install numba`")
    _choice = way


def set_num_threads(n: int) -> None:
    """Let n threads share the update of a parameter of a million elements or more; the bits stay the same."""
    from concurrent.futures import ThreadPoolExecutor  # here, because most programs need no pool

    from .checks import whole

    global _threads, _pool
    _threads, old = whole("the number of threads", n), _pool
    _pool = ThreadPoolExecutor(_threads, "lucidlite") if _threads > 1 else None
    if old is not None:
        old.shutdown()


def get_num_threads() -> int:
    """How many threads share the update of a large parameter: 1, unless `set_num_threads` changed it."""
    return _threads


@functools.cache
def compiler():
    """What finds a rule's compiled loop, where Numba is installed; else None."""
    return importlib.import_module(".compiled", __package__).find if importlib.util.find_spec("numba") else None


@functools.cache
def kernel(rule, flags):
    """Run an update rule in place: `run([p, g, *buffers], scalars)`, where a buffer that the rule does not use is None.

    `rule(math, *flags)` gives a pure function `(p, g, *buffers, *scalars) -> (p, *buffers)`. Numba makes one loop of
    it; NumPy takes large arrays in chunks that fit the cache: the same bits, because it works element by element, in a
    third of the time. `run` returns the way that it took, as "cupy" or "numpy, 2 threads"; why, if Numba could not.
    """
    from .autograd import parameters  # here, because it imports this file

    in_place: Any = functools.cache(lambda module: _in_place(rule, flags, module))
    names, last = parameters(rule(numpy, *flags)), {}  # (way, dtype) -> the last scalars, and the numbers made of them

    def run(arrays, scalars):
        size, dtype, module = arrays[0].size, state_dtype(arrays[0]), xp(arrays[0])
        way, work, why, pieces, threads = "numpy" if module is numpy else "cupy", in_place(module), "", [arrays], None
        find = compiler() if module is numpy and _choice != "numpy" and (_choice or size >= NUMBA_FROM) else None
        large = find or (module is numpy and size > CHUNK)
        if large and all(a is None or a.flags.c_contiguous for a in arrays):
            flat, chunk = [a if a is None or a.ndim == 1 else a.reshape(-1) for a in arrays], CHUNK
            kinds = tuple([a if a is None else a.dtype.char for a in flat])
            loop, why = find(rule, flags, kinds) if find else (None, "")
            if loop:
                way, work, chunk = "numba", loop, size
            if _pool and size >= THREADS_FROM:
                threads, chunk = _pool, -(-size // _threads) if loop else THREAD_CHUNK
            pieces = [flat]
            if size > chunk:
                pieces = [[a if a is None else a[i : i + chunk] for a in flat] for i in range(0, size, chunk)]
        given, numbers = last.get((way, dtype), (None, ()))
        if given != scalars:  # mostly they are the same again; a Python float costs NumPy 0.3 us more in each call
            cast = functools.partial(numpy.asarray, dtype=dtype) if way == "numpy" else dtype.type
            numbers = [cast(scalars[name]) for name in names[len(arrays) :]]
            last[way, dtype] = dict(scalars), numbers
        if threads:  # each piece runs in a copy of the context, which is where numpy.errstate lives
            for job in [threads.submit(copy_context().run, work, piece, numbers) for piece in pieces]:
                job.result()
            way += f", {_threads} threads"
        else:
            for piece in pieces:
                work(piece, numbers)
        return f"{way} (numba: {why})" if why else way

    return run


def _in_place(rule, flags, module):
    """The function that lets a rule work on arrays and puts the result back into them."""
    from .gpu import fused  # here, because they import this file
    from .inplace import program

    update = rule(module, *flags)
    programs = {}  # which arrays there are -> the rule as a list of NumPy calls, or as one kernel of CuPy

    def work(arrays, numbers):
        dtype, whole = state_dtype(arrays[0]), None
        wide = [a if a is None or a.dtype is dtype else a.astype(dtype) for a in arrays]
        if module is not numpy or arrays[0].size >= PROGRAM_FROM:
            present = tuple([a is not None for a in arrays])
            if present not in programs:
                programs[present] = (program if module is numpy else fused)(rule, flags, present, len(numbers))
            whole = programs[present]
        if whole:
            whole(wide, numbers)
            new = wide[0], *wide[2:]
        else:
            new = update(*wide, *numbers)
        for old, value in zip((arrays[0], *arrays[2:]), new, strict=True):
            if old is not None and old is not value:
                old[...] = value

    return work
