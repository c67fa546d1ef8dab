"""How a row is measured: both sides take turns, so that the noise of a shared machine hits both; medians are compared.

A row is a function, `@row("its name", goal)`, that takes the seconds it may use and returns a Result. A side is a
function that takes its turn and returns the seconds that the work took, once. The garbage collector runs as it does in
a user's program, on both sides.
"""

import gc
from statistics import median, quantiles
from time import perf_counter
from typing import NamedTuple

TURN = 0.01  # seconds
ROWS = []  # (name, goal, function) in the order of the table


class Result(NamedTuple):
    """What a row found: lucidlite's number and the one it is compared with, in seconds or bytes."""

    ours: float
    reference: float
    against: str  # whose number the reference is
    spread: tuple = ()  # the quartiles of the ratio, round by round
    rounds: int = 1
    unit: str = "s"


def row(name, goal=None):
    """Put a function into the table: the ratio ours / reference should not exceed the goal, if there is one.

    Two goals are for one thread and for two.
    """

    def register(function):
        ROWS.append((name, goal, function))
        return function

    return register


def timed(run):
    """A side that times `run()`, so often in each turn that the processor's caches and predictions are its own."""
    run()
    start = perf_counter()
    run()
    calls = max(1, round(TURN / (perf_counter() - start)))

    def side():
        start = perf_counter()
        for _ in range(calls):
            run()
        return (perf_counter() - start) / calls

    return side


def race(seconds, ours, **others):
    """Let the sides take turns, and compare our median with the lowest of the others'.

    The first tenth of the rounds is warm-up. A name's underscores become spaces in the table.
    """
    sides, times = [ours, *others.values()], []
    gc.collect()
    stop = perf_counter() + seconds
    while perf_counter() < stop or len(times) < 6:
        times.append([side() for side in sides])
    times = times[len(times) // 10 + 1 :]
    medians = [median(column) for column in zip(*times)]
    best = min(range(1, len(sides)), key=medians.__getitem__)
    low, _, high = quantiles([turn[0] / turn[best] for turn in times], n=4)
    return Result(medians[0], medians[best], list(others)[best - 1].replace("_", " "), (low, high), len(times))
