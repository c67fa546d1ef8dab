"""On an NVIDIA GPU, against torch on the same one: RMSprop's step; a classifier's training step, plain and recorded.

A step on 1e8 float32 parameters reads p, g and v and writes p and v, 20 bytes an element; a copy from the device to
itself moves 8. Both libraries only queue their work, so a side waits for the GPU before it reads the clock.
"""

import functools
import itertools
from time import perf_counter

import numpy
import torch

import lucidlite
from lucidlite import backend, nn, optim

from .measure import TURN, race, row

CUDA = "cuda"  # torch's name for the GPU
SIZES, BATCH = [784, 512, 512, 10], 128
LEARNING_RATE = 1e-5  # so small that the last step computes with about the same numbers as the first


def wait():
    """Until both libraries' work is done."""
    lucidlite.synchronize()
    if CUDA != "cpu":
        torch.cuda.synchronize()


def timed(run):
    """A side that times `run()`, so often in each turn that launching, not waiting, is what counts."""

    def seconds(calls):
        wait()
        start = perf_counter()
        for _ in range(calls):
            run()
        wait()
        return (perf_counter() - start) / calls

    for _ in range(4):  # kernels are compiled, the memory pool is filled, a step is recorded
        seconds(1)
    calls = max(3, round(TURN / seconds(3)))
    return lambda: seconds(calls)


# ---- RMSprop's step --------------------------------------------------------------------------------------------------


def _steps(count, size):
    """Both libraries' steps on the same `count` parameters of this size, once both have come to the same values."""
    rng = numpy.random.default_rng(0)
    ours, theirs = [], []
    for _ in range(count):
        p, g = (rng.standard_normal(size, "float32") for _ in range(2))
        ours.append(lucidlite.Parameter(p, device="gpu"))
        ours[-1].grad = lucidlite.tensor(g, device="gpu").data
        theirs.append(torch.nn.Parameter(torch.tensor(p, device=CUDA)))
        theirs[-1].grad = torch.tensor(g, device=CUDA)
    optimizer = optim.RMSprop(ours, lr=LEARNING_RATE, contiguous_params=True)
    other = torch.optim.RMSprop(theirs, lr=LEARNING_RATE, foreach=True)
    for _ in range(3):
        optimizer.step()
        other.step()
    numpy.testing.assert_allclose(ours[0].cpu().numpy(), theirs[0].detach().cpu().numpy(), rtol=1e-5, atol=1e-6)
    return timed(optimizer.step), timed(other.step)


def _against_foreach(count, size, seconds):
    ours, theirs = _steps(count, size)
    return race(2 * seconds, ours, torch_foreach=theirs)


def _against_copy(size, seconds):
    ours, _ = _steps(1, size)
    a, b = (torch.zeros(size, device=CUDA) for _ in range(2))
    copy = timed(functools.partial(a.copy_, b))
    return race(2 * seconds, ours, memory=lambda: copy() * 20 / 8)


LARGE = 100_000_000
row("rmsprop, 1e8, contiguous / device copy", 1.18)(functools.partial(_against_copy, LARGE))  # 85 % of its bandwidth
row("rmsprop, 1e8, contiguous / torch foreach", 0.6)(functools.partial(_against_foreach, 1, LARGE))
row("rmsprop, 500 x 256, contiguous / torch foreach", 0.5)(functools.partial(_against_foreach, 500, 256))

# ---- A training step -------------------------------------------------------------------------------------------------


def _data():
    rng = numpy.random.default_rng(0)
    return rng.standard_normal((BATCH, SIZES[0]), "float32"), rng.integers(0, SIZES[-1], BATCH)


def _ours():
    lucidlite.random.seed(0)
    layers = [layer for n, m in itertools.pairwise(SIZES) for layer in (nn.Linear(n, m), nn.ReLU())]
    model = nn.Sequential(*layers[:-1]).to("gpu")
    optimizer = optim.RMSprop(model.parameters(), lr=LEARNING_RATE, contiguous_params=True)

    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step, [lucidlite.tensor(a, device="gpu") for a in _data()]


def _theirs(model):
    layers = [layer for n, m in itertools.pairwise(SIZES) for layer in (torch.nn.Linear(n, m), torch.nn.ReLU())]
    twin = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            q.copy_(torch.tensor(p.cpu().numpy()))
    twin.to(CUDA)
    optimizer = torch.optim.RMSprop(twin.parameters(), lr=LEARNING_RATE)

    def step(x, y):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, [torch.tensor(a, device=CUDA) for a in _data()]


def _training(recorded, seconds):
    model, step, data = _ours()
    other, inputs = _theirs(model)
    run = lucidlite.capture(step) if recorded else step
    for _ in range(5):
        numpy.testing.assert_allclose(run(*data).item(), other(*inputs).item(), rtol=1e-4)
    return race(4 * seconds, timed(functools.partial(run, *data)), torch=timed(functools.partial(other, *inputs)))


row("training step, MLP 784-512-512-10", 1.5)(functools.partial(_training, False))
row("training step, MLP 784-512-512-10, recorded", 0.5)(functools.partial(_training, True))


def about():
    """The machine's GPU and what drives it."""
    cupy = backend.load_cupy()
    runtime = cupy.cuda.runtime
    found = {"GPU": runtime.getDeviceProperties(0)["name"].decode(), "CuPy": cupy.__version__}
    return found | {"driver for CUDA": runtime.driverGetVersion(), "CUDA runtime": runtime.runtimeGetVersion()}
