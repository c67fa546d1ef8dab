"""A chain of 100,000 additions, differentiated: whether the walk back stays linear when the graph is deep."""

import functools
from time import perf_counter

import numpy
import torch

import lucidlite

from .measure import race, row

LENGTH = 100_000


def _build(library, trained):
    """The sum at the end of the chain, nothing of which is differentiated yet, and what went into it."""
    x = library.tensor(numpy.ones((4, 4), "float32"), requires_grad=True)
    w = library.tensor(numpy.full((4, 4), 1e-5, "float32"), requires_grad=trained)
    y = x
    for _ in range(LENGTH):
        y = y + w
    return y.sum(), x, w


def _backward(library, trained):
    """The seconds that the walk back takes, and not the way there."""
    total, x, w = _build(library, trained)
    start = perf_counter()
    total.backward()
    seconds = perf_counter() - start
    assert (x.grad == 1).all() and (not trained or (w.grad == LENGTH).all()), f"{library.__name__}: wrong gradients"
    return seconds


def _compare(trained, seconds):
    ours, theirs = (functools.partial(_backward, library, trained) for library in (lucidlite, torch))
    return race(8 * seconds, ours, torch=theirs)


row("1e5 x add, 4x4, backward alone", 0.8)(functools.partial(_compare, True))
row("1e5 x add, 4x4, backward alone, constant operand", 0.8)(functools.partial(_compare, False))
