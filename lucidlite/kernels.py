"""Update rules in place: an optimizer's rule is a pure function, and `kernel` runs it on the memory of the parameters.

As it stands, a rule makes a new array at every operator. `program` runs it once on `Value`s, which take its calls down;
carried out on the arrays, with results where they belong, they give the same bits in two thirds of the time."""

import functools
import importlib.util
from contextvars import copy_context

from . import backend, checks
from .autograd import parameters
from .backend import numpy, state_dtype, xp

CHUNK = 65_536  # elements: 256 KiB of float32 stay in the cache, and no temporary leaves malloc's pools
THREADS_FROM, THREAD_CHUNK = 1_000_000, 131_072  # elements: with fewer, handing out work costs more than it saves
PROGRAM_FROM = 4_000  # elements: below, a list of calls costs more than the copies that it saves
NUMBA_FROM = 10_000  # elements: below, a training hardly saves the second that importing Numba and compiling take
_choice, _threads, _pool = None, 1, None

# Freeing it teaches glibc to keep 32 MiB (mallopt(3), M_MMAP_THRESHOLD): 19 ms, not 94, for a step on 1e7 elements.
numpy.empty(16 << 20, "int8")


def use_kernel(way: str | None = None) -> None:
    """Run the optimizers' rules on the CPU by "numpy" or "numba"; None: by Numba, if there, from 10,000 elements on."""
    global _choice
    if checks.choice("way", way, ("numpy", "numba", None)) == "numba" and compiler() is None:
        raise RuntimeError("Numba is not installed; install it with `pip install numba`")
    _choice = way


def set_num_threads(n: int) -> None:
    """Let n threads share the update of a parameter of a million elements or more; the bits stay the same."""
    from concurrent.futures import ThreadPoolExecutor  # here, because most programs need no pool

    global _threads, _pool
    _threads = checks.whole("the number of threads", n)
    if _pool is not None:
        _pool.shutdown()
    _pool = ThreadPoolExecutor(_threads, "lucidlite") if _threads > 1 else None


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

    `rule(math, *flags)` gives a pure function `(p, g, *buffers, *scalars) -> (p, *buffers)`, of elements, so that large
    arrays can go in pieces. `run` returns the way it took, as "cupy" or "numpy, 2 threads"; why, if Numba could not."""
    names, last = parameters(rule(numpy, *flags)), {}  # (way, dtype) -> the last scalars, and the numbers made of them

    def run(arrays, scalars):
        size, dtype, module = arrays[0].size, state_dtype(arrays[0]), xp(arrays[0])
        way, work = "numpy" if module is numpy else "cupy", in_place(rule, flags, module)
        why, pieces, threads = "", [arrays], None
        find = compiler() if module is numpy and _choice != "numpy" and (_choice or size >= NUMBA_FROM) else None
        if (find or size > CHUNK) and module is numpy and all(a is None or a.flags.c_contiguous for a in arrays):
            flat, chunk = [a if a is None or a.ndim == 1 else a.reshape(-1) for a in arrays], CHUNK
            kinds = tuple([a if a is None else a.dtype.char for a in flat])
            loop, why = find(rule, flags, kinds) if find else (None, "")
            if loop:
                way, work, chunk = "numba", loop, size
            if _pool and size >= THREADS_FROM:
                threads, chunk = _pool, -(-size // _threads) if loop else THREAD_CHUNK
            pieces = [[a if a is None else a[i : i + chunk] for a in flat] for i in range(0, size, chunk or 1)]
        given, numbers = last.get((way, dtype), (None, ()))
        if given != scalars:  # they are mostly the same; a Python float costs NumPy 0.3 us more in each call
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


@functools.cache
def in_place(rule, flags, module):
    """The function that lets a rule work on arrays of this module and puts the result back into them."""
    update = rule(module, *flags)
    make = functools.cache(functools.partial(program if module is numpy else fused, rule, flags))

    def work(arrays, numbers):
        dtype, large = state_dtype(arrays[0]), module is not numpy or arrays[0].size >= PROGRAM_FROM
        wide = [a if a is None or a.dtype is dtype else a.astype(dtype) for a in arrays]
        whole = large and make(tuple([a is not None for a in arrays]), len(numbers))
        if whole:
            whole(wide, numbers)
        new = (wide[0], *wide[2:]) if whole else returned(update, update(*wide, *numbers), len(wide) - 1)
        for old, value in zip((arrays[0], *arrays[2:]), new):
            if old is not None and old is not value:
                old[...] = value

    return work


def returned(update, new, count):
    """What an update rule gave: p and its buffers, `count` in all."""
    if not isinstance(new, (tuple, list)) or len(new) != count:
        p, _, *buffers = parameters(update)[: count + 1]
        wanted = f"({', '.join([p, *buffers])}{',' * (count == 1)}), the new values in the order in which it got them"
        raise ValueError(f"{update.__name__} returned {checks.brief(new)}; it must return {wanted}")
    return new


def fused(rule, flags, present, count):
    """The rule as `run(arrays, numbers)`, one kernel; cupy.fuse gives back what is written into its arguments."""
    update = rule(backend.cupy, *flags)

    def kernel(*values):
        values = iter(values)
        old = [next(values) if there else None for there in present]
        for x, y in zip((old[0], *old[2:]), returned(update, update(*old, *values), len(old) - 1)):
            if x is not None and y is not x:
                x[...] = y

    one_kernel = backend.cupy.fuse(kernel_name=update.__name__.strip("<>"))(kernel)

    def run(arrays, numbers):
        with arrays[0].device:
            one_kernel(*[a for a in arrays if a is not None], *numbers)

    return run


class Value(numpy.lib.mixins.NDArrayOperatorsMixin):
    """A number or an array that is not known yet, or a number in the formula; what NumPy does with it is taken down."""

    __hash__, __bool__ = object.__hash__, None  # pyright: ignore[reportAssignmentType]

    def __init__(self, calls, constant=None):
        self.calls, self.constant = calls, constant

    def __array_ufunc__(self, function, method, *inputs):
        if method != "__call__" or function.nout > 1:
            return NotImplemented
        result = Value(self.calls)
        self.calls.append((function, [x if isinstance(x, Value) else Value(self.calls, x) for x in inputs], result))
        return result


def program(rule, flags, present, count):
    """The rule as `run(arrays, numbers)`, which changes the arrays in place; None where it cannot be taken down.

    `present` says which of p, g and the buffers there are; `count` is how many scalars, which come as 0-d arrays."""
    calls = []
    arrays, scalars = [Value(calls) if there else None for there in present], [Value(calls) for _ in range(count)]
    try:
        new = zip((0, *range(2, len(arrays))), rule(numpy, *flags)(*arrays, *scalars), strict=True)
        results = [(y, i) for i, y in new if arrays[i] is not None and y is not arrays[i]]
        targets = dict(results)
    except (TypeError, AttributeError, ValueError):
        return None  # it does more than call NumPy's functions of elements; the plain way serves any rule
    if len(targets) < len(results) or not targets.keys() <= {result for *_, result in calls}:
        return None  # one result for two arrays, or a result that is an input
    constants = [x for _, args, _ in calls for x in args if x.constant is not None]
    steps, scratch = _schedule(calls, [*arrays, *scalars, *constants], targets)
    in_dtype = functools.cache(lambda dtype: [numpy.asarray(x.constant, dtype) for x in constants])

    def run(arrays, numbers):
        p = arrays[0]
        values = [*arrays, *numbers, *in_dtype(p.dtype), *(numpy.empty_like(p) for _ in range(scratch))]
        for function, first, second, out in steps:
            if second is None:
                function(values[first], out=values[out])
            else:
                function(values[first], values[second], out=values[out])

    return run


def _schedule(calls, given, targets):
    """(function, places of its arguments, and of its result) for each call; and how much scratch memory it takes."""
    places, size, steps, free = {x: i for i, x in enumerate(given)}, len(given), [], []
    last = {x: k for k, (_, args, _) in enumerate(calls) for x in args} | dict.fromkeys(targets, len(calls))
    for k, (function, args, result) in enumerate(calls):
        freed = {places[x] for x in args if last[x] == k and places[x] >= len(given)}
        apart = function is numpy.sign  # which in place takes 14 ns for each element, else 1 to 3
        free += [] if apart else freed
        target = targets.get(result)
        if target is not None and last.get(given[target], -1) <= k:  # nobody needs the old values any more
            places[result] = target
        elif free:
            places[result] = free.pop()
        else:
            places[result], size = size, size + 1
        free += freed if apart else []
        first, second = [*(places[x] for x in args), None][:2]
        steps.append((function, first, second, places[result]))
    steps += [(numpy.positive, places[y], None, i) for y, i in targets.items() if places[y] != i]
    return steps, size - len(given)
