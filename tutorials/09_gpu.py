# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # From NumPy to the GPU
#
# A GPU can multiply large matrices a hundred times as fast as a laptop's processor, and train a small network more
# slowly. Both is true, and which one holds for you is a matter of size. This lesson shows what has to change in a
# program (one word), what is faster and from which size on, and how to measure without fooling yourself.
#
# It runs with or without a GPU: what there is, is measured.
#
# **You will**
#
# - move a model and its data to a device, and see what a device that is not there says;
# - measure wrongly, find out why, and then measure well;
# - separate what a step costs in any case from what it costs per number;
# - work out from which size on another device pays;
# - count the memory that training takes.
#
# Time in class: 45 minutes. Before it: lesson 4, Handwritten digits. It needs `pip install lucidlite[tutorials]`; with
# an NVIDIA GPU also `pip install cupy-cuda12x` (or `cupy-cuda13x`).

# %%
import sys
import time
from pathlib import Path
from statistics import median

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt

import lucidlite
from lucidlite import nn, optim


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/09_gpu").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/09_gpu/{name}.png", dpi=150)


DEVICES = ["cpu", *["gpu"] * lucidlite.gpu_available()]
print("devices:", ", ".join(DEVICES))

# %% [markdown]
# ## What changes
#
# Nothing but the device. Here is a training step; where the model and the batch are, there it runs.

# %%
lucidlite.random.seed(0)
x, y = lucidlite.randn(64, 20), lucidlite.randint(10, size=64)


def make(width=32, device="cpu"):
    lucidlite.random.seed(0)
    model = nn.Sequential(nn.Linear(20, width), nn.ReLU(), nn.Linear(width, 10)).to(device)
    return model, optim.RMSprop(model.parameters(), lr=1e-3)


def train(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


losses = {}
for device in DEVICES:
    model, optimizer = make(device=device)
    losses[device] = [train(model, optimizer, x.to(device), y.to(device)).item() for _ in range(20)]
    print(device, [round(loss, 4) for loss in losses[device][:4]], "...", round(losses[device][-1], 4))
assert all(abs(a - b) < 1e-4 for found in losses.values() for a, b in zip(found, losses["cpu"]))

# %% [markdown]
# The initial values are the same on every device, since random numbers come from one stream. The losses agree to some
# digits, not to the last: a GPU adds in another order, and floating-point sums depend on the order.
#
# Nothing moves by itself. A model on one device and a batch on another is an error that names both, and so is a device
# that is not there:

# %%
try:
    lucidlite.zeros(3, device="gpu:7")
except (RuntimeError, ValueError) as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## Measuring wrongly
#
# How long does a step take? Take the time before, take it after, subtract. This will give a wrong number.


# %%
def once(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


model, optimizer = make(512)
step = lambda: train(model, optimizer, x, y)
times = [once(step) for _ in range(30)]
print("first step: ", f"{1e3 * times[0]:.2f} ms")
print("median:     ", f"{1e3 * median(times[1:]):.2f} ms")
print("slowest:    ", f"{1e3 * max(times[1:]):.2f} ms,", "fastest:", f"{1e3 * min(times[1:]):.2f} ms")

# %% [markdown]
# The first call is special: it plans the ops, makes the optimizer's state, fills caches, and with Numba or on a GPU it
# compiles. The others scatter, because the machine does other things too. What went wrong, and its cure:
#
# - **The first call was in it.** Call once before the clock starts.
# - **One call is no measurement.** Take several, and their *median*: one interruption does not move it. The mean it
#   would move, and the minimum hides what happens often.
# - **On a GPU, the clock stopped too early.** Python only hands work over; the GPU does it later. Wait for it with
#   `lucidlite.synchronize()` before reading the clock, or you measure how fast Python can say "please".
# - **A number alone says nothing.** Compare two things in one run, on one machine, and give the ratio.


# %%
def measure(work, rounds=15):
    """Seconds for one call: the median of several, after one that is not counted."""
    work()
    lucidlite.synchronize()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        lucidlite.synchronize()
        times.append(time.perf_counter() - start)
    return median(times)


# %% [markdown]
# ## Two kinds of cost
#
# A step has a fixed cost, of Python and of calls, and a cost per number. Let us add vectors of growing size.

# %%
# Picture: Time of one addition against the number of elements: flat at first, then rising in proportion.
sizes = [4**k for k in range(12)]
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
added = {}
for device in DEVICES:
    vectors = [lucidlite.ones(size, device=device) for size in sizes]
    added[device] = [measure(lambda v=v: v + v) for v in vectors]
    axes.loglog(sizes, added[device], "o-", label=device)
axes.set(xlabel="elements", ylabel="seconds")
axes.legend()
show(figure, "addition")
print(f"1 element: {1e6 * added['cpu'][0]:.1f} µs; {sizes[-1]:,} elements: {1e6 * added['cpu'][-1]:,.0f} µs")
assert added["cpu"][3] < added["cpu"][-1] / 10

# %% [markdown]
# On the left lies the fixed cost: 64 additions take as long as one. On the right lies the memory: every number has to
# come and go. A GPU's line begins *higher* (launching a kernel takes microseconds) and rises far *later*. Where the two
# cross, it begins to pay.
#
# For whole training steps the same holds, with the width of the network in place of the size:

# %%
# Picture: Time of a training step against the width of the hidden layer: nearly flat for narrow layers.
widths = [8, 16, 32, 64, 128, 256, 512, 1024, 2048]
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for device in DEVICES:
    taken = []
    for width in widths:
        model, optimizer = make(width, device)
        batch = x.to(device), y.to(device)
        taken.append(measure(lambda: train(model, optimizer, *batch), rounds=9))  # noqa: B023
    axes.loglog(widths, taken, "o-", label=device)
    print(f"{device}: width {widths[0]}: {1e3 * taken[0]:.2f} ms; width {widths[-1]}: {1e3 * taken[-1]:.2f} ms")
axes.set(xlabel="width of the hidden layer", ylabel="seconds for a step")
axes.legend()
show(figure, "steps")

# %% [markdown]
# From width 8 to width 64 the network does eight times the work and takes hardly longer. A small model is bound by its
# fixed costs, on a GPU even more so. What helps there is less of them: larger batches, one kernel for all parameters
# (`optim.RMSprop(..., contiguous_params=True)`), or a whole step recorded and repeated (`lucidlite.capture`).
#
# ## Exercise 1: a good clock
#
# Write `measure_well(work, clock, wait)`: call `work` once uncounted, then five times, and return the median time of
# one call. `clock()` gives the time, `wait()` waits for the GPU. The check brings a clock and a GPU of its own, so that
# it always comes to the same: the first call is slow, one of the others is interrupted, and work is only done when
# `wait` is called.


# %% tags=["check"]
def attempt(answer, *inputs):
    """(value, "") of a call, or (None, what went wrong)."""
    try:
        value = answer(*inputs)
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    return value, f"it returns {value}" if value is None or value is ... else ""


def said(problem, praise=""):
    print(f"Not yet: {problem}." if problem else f"Right: {praise}.")
    return not problem


def close(value, expected):
    try:
        return abs(value - expected) < 1e-9 * abs(expected)
    except TypeError:
        return False


class Bench:
    """A GPU: 4 s a call, 100 s at first, once 2 s, and 50 s in the call that is interrupted; asking takes 1 s."""

    def __init__(self):
        self.now, self.waiting, self.calls = 0.0, 0.0, 0

    def work(self):
        self.calls += 1
        self.now += 1.0
        self.waiting += {1: 100.0, 2: 2.0, 4: 50.0}.get(self.calls, 4.0)

    def clock(self):
        return self.now

    def wait(self):
        self.now, self.waiting = self.now + self.waiting, 0.0


def check_measure_well(answer):
    bench = Bench()
    value, problem = attempt(answer, bench.work, bench.clock, bench.wait)
    if problem:
        return said(f"{problem}. It should return seconds")
    if bench.calls < 6:
        return said(f"work was called {bench.calls} times; once uncounted and five times counted are 6")
    hints = [
        (1.0, "That is how long Python takes to ask. Call wait() before you read the clock"),
        ((3 + 3 * 5 + 51) / 5, "One interruption has moved it: take the median, not the mean"),
        ((101 + 3 + 51 + 3 * 5) / 6, "The slow first call is in it, and it is a mean"),
        (3.0 + 3 * 5 + 51, "That is the time of all five calls; it should be that of one"),
        (3.0, "That is the fastest, which hides what happens often"),
        (51.0, "That is the slowest"),
    ]
    if not close(value, 5.0):
        hint = next(
            (hint for wrong, hint in hints if close(value, wrong)), "Wait before the clock starts and before it stops"
        )
        return said(f"one call takes 5 s on this bench, you measured {value}. {hint}")
    return said("", "neither the first call nor the interruption nor the waiting has fooled you")


# %% tags=["exercise"]
def measure_well(work, clock, wait):
    """Seconds for one call."""
    start = clock()
    work()
    return clock() - start


# %%
check_measure_well(measure_well)


# %% tags=["solution"]
def measure_well(work, clock, wait):
    work()
    wait()
    times = []
    for _ in range(5):
        start = clock()
        work()
        wait()
        times.append(clock() - start)
    return median(times)


assert check_measure_well(measure_well)

# %% [markdown]
# ## Exercise 2: from which size on?
#
# A device needs `fixed` seconds for a call and then handles `speed` numbers a second, so n numbers take
# $\text{fixed} + n / \text{speed}$. Given both devices, from which n on is the second one faster? Return `INF` if it
# never is, and 0 if it always is.


# %% tags=["check"]
INF = float("inf")


def check_crossover(answer):
    cases = [
        ((2e-6, 1e9, 12e-6, 5e10), 1e-5 / (1e-9 - 2e-11)),
        ((1e-6, 2e9, 5e-6, 4e9), 4e-6 / (5e-10 - 2.5e-10)),
        ((1e-6, 1e9, 5e-6, 1e9), INF),
        ((1e-6, 1e9, 5e-6, 5e8), INF),
        ((5e-6, 1e9, 1e-6, 2e9), 0.0),
        ((5e-6, 1e9, 1e-6, 1e9), 0.0),
    ]
    for given, expected in cases:
        value, problem = attempt(answer, *given)
        fixed_1, speed_1, fixed_2, speed_2 = given
        case = f"crossover{given}"
        if problem:
            cure = "Equal speeds never meet: look at that first" if "ZeroDivision" in problem else "Return a number"
            return said(f"{case}: {problem}. {cure}")
        hints = [
            (
                (fixed_2 - fixed_1) * (speed_2 - speed_1),
                "A number takes 1 / speed seconds: subtract those",
            ),
            (
                (fixed_2 - fixed_1) / (1 / speed_2 - 1 / speed_1 or 1),
                "The sign is wrong: which takes longer per number",
            ),
            (fixed_2 / (1 / speed_1 - 1 / speed_2 or 1), "The first device has a fixed cost too"),
        ]
        if not (value == expected or close(value, expected)):
            hint = next((hint for wrong, hint in hints if close(value, wrong)), "")
            if not hint and expected == INF:
                hint = "The second one begins later and is no faster: it never wins"
            if not hint and expected == 0:
                hint = "The second one begins earlier and is faster: it always wins"
            return said(f"{case} should be {expected:g}, yours gives {value}. {hint or 'Set both times equal'}")
    return said("", "below that size the fixed cost decides, above it the speed")


# %% tags=["exercise"]
def crossover(fixed_1, speed_1, fixed_2, speed_2):
    """The number of elements from which on the second device is faster."""
    return ...


# %%
check_crossover(crossover)


# %% tags=["solution"]
def crossover(fixed_1, speed_1, fixed_2, speed_2):
    later, saved = fixed_2 - fixed_1, 1 / speed_1 - 1 / speed_2  # seconds once, and seconds for each number
    if saved <= 0:
        return 0.0 if saved == 0 and later < 0 else INF
    return max(0.0, later / saved)


assert check_crossover(crossover)

# %% [markdown]
# ## Exercise 3: will it fit?
#
# A GPU's memory is not large. How many bytes does a training with RMSprop keep for n float32 parameters: the
# parameters, their gradients, and the state, with and without momentum, and with centered? (Activations come on top.)


# %% tags=["check"]
def check_memory(answer):
    for momentum, centered in ((0.0, False), (0.9, False), (0.9, True), (0.0, True)):
        p = lucidlite.Parameter([0.0] * 1000)
        optimizer = optim.RMSprop([p], momentum=momentum, centered=centered)
        p.grad = p.data
        optimizer.step()
        state = [a for a in optimizer.state[p].values() if hasattr(a, "nbytes")]
        expected = p.data.nbytes + p.grad.nbytes + sum(a.nbytes for a in state)
        value, problem = attempt(answer, 1000, momentum > 0, centered)
        case = f"memory(1000, momentum={momentum > 0}, centered={centered})"
        if problem:
            return said(f"{case}: {problem}. Return a number of bytes")
        hints = [
            (expected / 4, "Those are numbers. A float32 has 4 bytes"),
            (expected * 2, "A float32 has 4 bytes, not 8"),
            (expected - 4000, "One array is missing: parameters, gradients, square_avg, and what the switches add"),
            (expected - 8000, "Two arrays are missing: there are gradients and square_avg too"),
            (expected + 4000, "One array too many: what a switch needs is kept only if it is on"),
        ]
        if not close(value, expected):
            hint = next((hint for wrong, hint in hints if close(value, wrong)), "Count the arrays: each has n numbers")
            return said(f"{case} is {expected:,}, yours gives {value}. {hint}")
    return said("", "three arrays at least, four with momentum or centered, five with both")


# %% tags=["exercise"]
def memory(n, momentum, centered):
    """Bytes for n float32 parameters in training; the switches are True or False."""
    return ...


# %%
check_memory(memory)


# %% tags=["solution"]
def memory(n, momentum, centered):
    return 4 * n * (3 + momentum + centered)


assert check_memory(memory)

# %% [markdown]
# ## Summary
#
# One argument moves a model; the code stays. Whether it pays is a question of size: every call has a fixed cost, and a
# GPU's is higher than the processor's, while its cost per number is far lower. Measure after a warm-up, several times,
# with the GPU waited for, and give a ratio. And count the memory before it runs out.
#
# ## Read on
#
# - [On a GPU](../gpu.md): what is different there, one kernel for a step, recording a step.
# - `python -m lucidlite` in a terminal: which devices work here, and how fast they are.
# - Hoefler and Belli, *Scientific Benchmarking of Parallel Computing Systems*, SC 2015: twelve rules.
