"""A whole training step of a classifier, from zero_grad to step: its time, and the memory that it needs at its peak."""

import functools
import itertools
import tracemalloc

import numpy
import torch

import lucidlite.nn
import lucidlite.optim

from .measure import Result, race, row, timed
from .models import LEARNING_RATE

SMALL, LARGE = ([64, 128, 64, 10], 64), ([784, 512, 512, 10], 128)  # features of each layer, size of the batch


def _trainer(library, sizes, batch, **options):
    """The model, and a function that takes one training step and returns the loss; the same code for both libraries."""
    nn, rng = library.nn, numpy.random.default_rng(0)
    library.random.manual_seed(0) if library is torch else library.random.seed(0)
    layers = [layer for n, m in itertools.pairwise(sizes) for layer in (nn.Linear(n, m), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    x = library.tensor(rng.standard_normal((batch, sizes[0])).astype("float32"))
    labels = library.tensor(rng.integers(0, sizes[-1], batch))
    optimizer = library.optim.RMSprop(model.parameters(), lr=LEARNING_RATE, **options)

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def check(ours, theirs):
    """From the same weights both take three steps: losses, gradients and changes of the weights must come out equal.

    On average: where a ReLU's argument is 0 but for rounding, one library may pass on a gradient and the other not.
    """
    (model, step), (torch_model, torch_step) = ours, theirs
    twins = dict(torch_model.named_parameters())
    pairs = [(p, twins.pop(name)) for name, p in model.named_parameters()]
    assert not twins, f"only torch has {[*twins]}"
    start = [q.detach().numpy().copy() for _, q in pairs]
    for (p, _), before in zip(pairs, start):
        p.data = before
    for _ in range(3):
        numpy.testing.assert_allclose(step().item(), torch_step().item(), rtol=1e-5)
    for (p, q), before in zip(pairs, start):
        for a, b in ((p.grad, q.grad.numpy()), (p.data - before, q.detach().numpy() - before)):
            distance = abs(a - b).mean() / abs(b).mean()
            assert distance < 0.01, f"gradients or steps differ by {distance:.1%}, shape {b.shape}"


def _compare(sizes, batch, way, contiguous, seconds):
    lucidlite.optim.use_kernel(way)
    ways = {"torch": {}, "torch foreach": {"foreach": True}, "torch loop": {"foreach": False}}
    others = {}
    for name, options in ways.items():
        ours = _trainer(lucidlite, sizes, batch, contiguous_params=contiguous)
        theirs = _trainer(torch, sizes, batch, **options)
        check(ours, theirs)
        others[name.replace(" ", "_")] = timed(theirs[1])
    return race(8 * seconds, timed(ours[1]), **others)


row("training step, MLP 64-128-64-10, NumPy only", 0.45)(functools.partial(_compare, *SMALL, "numpy", False))
row("training step, MLP 64-128-64-10, numba, contiguous")(functools.partial(_compare, *SMALL, "numba", True))
row("training step, MLP 784-512-512-10, NumPy only", 1.0)(functools.partial(_compare, *LARGE, "numpy", False))
row("training step, MLP 784-512-512-10, numba")(functools.partial(_compare, *LARGE, "numba", False))


@row("peak memory of a step, MLP 784-512-512-10", 1.25)
def peak_memory(seconds):
    """The peak over the fourth step, as tracemalloc sees it, NumPy's buffers included, against what a step has to keep.

    That is, in float32: the parameters, their gradients and RMSprop's square_avg; and as activations the batch itself,
    what each Linear returns and what each ReLU returns.
    """
    sizes, batch = LARGE
    lucidlite.optim.use_kernel("numpy")  # tracemalloc would count Numba's compiler
    tracemalloc.start()
    model, step = _trainer(lucidlite, sizes, batch)
    for _ in range(3):
        step()
    tracemalloc.reset_peak()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    parameters = sum(p.size for p in model.parameters())
    activations = batch * (sizes[0] + 2 * sum(sizes[1:-1]) + sizes[-1])
    return Result(peak, 4 * (3 * parameters + activations), "kept", unit="B")
