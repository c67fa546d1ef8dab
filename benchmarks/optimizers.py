"""RMSprop's step alone, in every way that it can run: against torch's ways, and against what the memory allows.

A parameter of 1e7 elements moves 20 bytes an element through memory (reads p, g and v, writes p and v), with all flags
36; the limit is the time for so many bytes at the speed of an in-place add of the same size, which moves 12.
"""

import functools

import numpy
import torch

import lucidlite
from lucidlite import kernels, optim

from .measure import race, row, timed

SIZES = {
    "1e3": [1_000],
    "1e5": [100_000],
    "1e6": [1_000_000],
    "1e7": [10_000_000],
    "3e7": [30_000_000],
    "50 x 22,000": [22_000] * 50,
}
FLAGS = {"plain": {}, "all flags": {"centered": True, "momentum": 0.9, "weight_decay": 1e-4}}
BYTES = {"plain": 20, "all flags": 36}
LEARNING_RATE = 1e-5  # so small that the last step computes with about the same numbers as the first
# What the ratio to torch's faster eager way should not exceed, size by size.
EAGER = {
    ("numpy", "plain"): (0.2, 1.0, 1.15, 0.45, 0.8),
    ("numpy", "all flags"): (0.25, 1.0, 0.9, 0.42, 0.85),
    ("numba", "plain"): (0.1, 0.25, 0.3, 0.16, 0.25),
    ("numba", "all flags"): (None,) * 5,
}
FAMILY = {  # optimizer -> its arguments; each is to be in NumPy, at 1e5 and 3e7, and in Numba, at 1e6, as RMSprop is
    "SGD": {"momentum": 0.9}, "Rprop": {}, "ASGD": {}, "Adagrad": {}, "Adadelta": {}, "Adam": {}, "AdamW": {},
    "Adamax": {}, "NAdam": {}, "RAdam": {},
}  # fmt: skip
FAMILY_GOALS = {("1e5", "numpy"): 1.1, ("3e7", "numpy"): 0.6, ("1e6", "numba"): 0.3}
COMPILE = {"1e5": 1.0, "1e6": 1.2, "1e7": 1.1, "50 x 22,000": 1.2}


def _ours(size, flags, way, name="RMSprop"):
    """A function that takes one step and returns the parameters, made sure to go the given way."""
    draw = numpy.random.default_rng(0)
    params = [lucidlite.Parameter(draw.standard_normal(n, "float32")) for n in SIZES[size]]
    for p in params:
        p.grad = draw.standard_normal(p.shape, "float32")
    optimizer = getattr(optim, name)(params, lr=LEARNING_RATE, **_arguments(flags, name))
    optim.use_kernel(way)
    optimizer.step()
    if optimizer.way.split(",")[0] != way:
        raise RuntimeError(f"{way} was asked for, the way is {optimizer.way}")
    return optimizer.step, params


def _theirs(size, flags, compiled=False, name="RMSprop", **options):
    """The same for torch."""
    draw = numpy.random.default_rng(0)
    params = [torch.nn.Parameter(torch.from_numpy(draw.standard_normal(n, "float32"))) for n in SIZES[size]]
    for p in params:
        p.grad = torch.from_numpy(draw.standard_normal(p.shape, "float32"))
    optimizer = getattr(torch.optim, name)(params, lr=LEARNING_RATE, **_arguments(flags, name), **options)
    optimizer.step()
    return torch.compile(optimizer.step) if compiled else optimizer.step, params


def _equal(ours, theirs):
    """After three more steps, the same parameters; both sides have taken one."""
    for step, _ in (ours, theirs):
        for _ in range(3):
            step()
    for p, q in zip(ours[1], theirs[1], strict=True):
        numpy.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-5, atol=1e-6)


def on_cpu(threads=None):
    """Let a row choose a way, and threads for both sides, and leave everything as it was."""

    def wrap(function):
        @functools.wraps(function.func)
        def measure(seconds):
            before = torch.get_num_threads()
            try:
                if threads:
                    kernels.set_num_threads(threads)
                    torch.set_num_threads(threads)
                return function(seconds)
            finally:
                optim.use_kernel(None)
                kernels.set_num_threads(1)
                torch.set_num_threads(before)

        return measure

    return wrap


def _arguments(flags, name):
    return FLAGS[flags] if name == "RMSprop" else FAMILY[name]


def _against_eager(size, flags, way, seconds, name="RMSprop"):
    ours = _ours(size, flags, way, name)
    others = {"torch_foreach": {"foreach": True}, "torch_loop": {"foreach": False}}
    sides = {}
    for other, options in others.items():
        theirs = _theirs(size, flags, name=name, **options)
        _equal(_ours(size, flags, way, name), theirs)
        sides[other] = timed(theirs[0])
    return race(1.5 * seconds, timed(ours[0]), **sides)


def _against_compile(size, flags, way, seconds):
    ours, theirs = _ours(size, flags, way), _theirs(size, flags, compiled=True)
    _equal(ours, theirs)
    return race(1.5 * seconds, timed(ours[0]), torch_compile=timed(theirs[0]))


def _against_memory(flags, way, seconds):
    step, params = _ours("1e7", flags, way)
    a, b = numpy.ones((2, params[0].size), "float32")  # zeros would share one page and be read from the cache
    add = timed(functools.partial(numpy.add, a, b, out=a))
    return race(1.5 * seconds, timed(step), memory=lambda: add() * BYTES[flags] / 12)


for (_way, _flags), _goals in EAGER.items():
    for _size, _goal in zip([size for size in SIZES if size != "3e7"], _goals):
        row(f"rmsprop {_flags}, {_size}, {_way}", _goal)(
            on_cpu()(functools.partial(_against_eager, _size, _flags, _way))
        )
row("rmsprop plain, 1e7, numpy, two threads", 0.45)(
    on_cpu(threads=2)(functools.partial(_against_eager, "1e7", "plain", "numpy"))
)
for _name in FAMILY:
    for (_size, _way), _goal in FAMILY_GOALS.items():
        row(f"{_name.lower()}, {_size}, {_way}", _goal)(
            on_cpu()(functools.partial(_against_eager, _size, "plain", _way, name=_name))
        )
for _size, _goal in COMPILE.items():
    row(f"rmsprop all flags, {_size}, numba / compile", _goal)(
        on_cpu()(functools.partial(_against_compile, _size, "all flags", "numba"))
    )
for _flags, _way, _goal in (("plain", "numba", 1.2), ("all flags", "numba", None), ("plain", "numpy", None)):
    row(f"rmsprop {_flags}, 1e7, {_way} / memory limit", _goal)(
        on_cpu()(functools.partial(_against_memory, _flags, _way))
    )
