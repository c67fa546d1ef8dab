"""The models of `layers.py`, the same code for both libraries; and, as a program, how much memory one of them needs.

`python -m benchmarks.models torch "RNN 128" 1` prints how many bytes a process with one thread grows by, at its peak,
between a step of the smallest such model, which loads what the library needs, and the end of three steps of this one.
Linux says how much that is, nobody else.
"""

import importlib
import re
import sys
from pathlib import Path

import numpy

LEARNING_RATE = 1e-5  # so small that the last step computes with about the same numbers as the first


def _images(side):
    def build(nn, small):
        n = 4 if small else side
        layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * (n // 2) ** 2, 10)]
        return nn.Sequential(*layers), (64, 1, n, n)

    return build


def _sequence(kind):
    def build(nn, small):
        n = 4 if small else 128
        model = getattr(nn, kind)(n // 2, n)
        return (model, lambda x: model(x)[0]), (50, 32, n // 2)

    return build


def _attention(nn, small):
    n = 4 if small else 128
    theirs = hasattr(nn, "MultiheadAttention")
    model = nn.MultiheadAttention(n, 4, batch_first=True) if theirs else nn.MultiHeadAttention(n, 4)
    run = (lambda x: model(x, x, x, need_weights=False)[0]) if theirs else lambda x: model(x, x, x)
    return (model, run), (16, 64, n)


MODELS = {
    "CNN 8x8": _images(8),
    "CNN 28x28": _images(28),
    "RNN 128": _sequence("RNN"),
    "LSTM 128": _sequence("LSTM"),
    "GRU 128": _sequence("GRU"),
    "attention 128": _attention,
}


def trainer(library, name, small=False):
    """The model, and a function that takes one training step and returns the loss."""
    nn, rng = library.nn, numpy.random.default_rng(0)
    built, shape = MODELS[name](nn, small)
    model, run = built if isinstance(built, tuple) else (built, built)
    x = library.tensor(rng.standard_normal(shape).astype("float32"))
    labels = library.tensor(rng.integers(0, 10, shape[0]))
    optimizer = library.optim.RMSprop(model.parameters(), lr=LEARNING_RATE)

    def step():
        optimizer.zero_grad()
        y = run(x)
        loss = nn.functional.cross_entropy(y, labels) if y.ndim == 2 else (y * y).mean()
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def _growth(library, name):
    """Bytes of memory in use, at the peak, beyond what a step of the smallest model leaves behind."""
    trainer(library, name, small=True)[1]()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _kilobytes("VmRSS")
    _, step = trainer(library, name)
    for _ in range(3):
        step()
    return 1024 * (_kilobytes("VmHWM") - before)


def _kilobytes(key):
    return int(re.search(rf"{key}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])  # pyright: ignore


def main(library, name, threads):
    module = importlib.import_module(library)
    if library == "torch":
        module.set_num_threads(int(threads))
    else:
        module.optim.use_kernel("numpy")
    print(_growth(module, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
