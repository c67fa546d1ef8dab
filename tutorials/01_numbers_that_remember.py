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
# # Numbers that remember
#
# A network learns by asking, for each of its weights: if I turn this one a little, how does the result change? There
# may be millions of weights. All these questions together cost no more than a few runs of the network, if every number
# remembers where it came from. In this lesson you build such numbers in twenty lines, get them wrong once, and then
# find the same idea in lucidlite.
#
# **You will**
#
# - work out a slope with the chain rule, on paper, and have it checked;
# - build a number that remembers how it was made, and that can be asked for slopes;
# - see why slopes must be added up wherever two ways meet;
# - use lucidlite's tensors, draw their graph, and get gradients of whole arrays.
#
# Time in class: 50 minutes. Before it: nothing but school mathematics, what a derivative is, and a little NumPy. It
# needs `pip install lucidlite[tutorials]`, nothing else.

# %%
import math
import sys
from pathlib import Path

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt
import numpy as np

import lucidlite


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/01_numbers_that_remember").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/01_numbers_that_remember/{name}.png", dpi=150)


# %% [markdown]
# ## What a slope tells
#
# Our example for the whole lesson is $f(x) = x\,e^{-x^2}$. Turn x a little, by h in both directions, and see how much
# the result changes for each unit of x. That quotient is the slope, almost:
#
# $$f'(x) \approx \frac{f(x + h) - f(x - h)}{2h}$$


# %%
def f(x):
    return x * math.exp(-x * x)


def nudged(function, x, h=1e-5):
    """The slope of a function at x, by trying it out."""
    return (function(x + h) - function(x - h)) / (2 * h)


for x in (-1.2, 0.0, 0.3, 1.5):
    print(f"x = {x:4}: f = {f(x):7.4f}, slope {nudged(f, x):7.4f}")

# %%
# Picture: The curve of f with one wave down and one up, and its tangents at four places.
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
xs = np.linspace(-3, 3, 200)
axes.plot(xs, [f(x) for x in xs])
for x in (-1.2, 0.0, 0.3, 1.5):
    near = np.array([x - 0.5, x + 0.5])
    axes.plot(near, f(x) + nudged(f, x) * (near - x), "--")
    axes.plot(x, f(x), "o", color=axes.lines[-1].get_color())
axes.set(xlabel="x", ylabel="f(x)")
show(figure, "tangents")

# %% [markdown]
# The slope says which way to turn x, and how much that will change. But nudging has a price: two evaluations for each
# number that can be turned. A network with a million weights would have to run two million times for a single step. We
# want all slopes from one run.
#
# ## The chain rule, by hand
#
# Take the computation apart until each step is so small that its slope is in every book:
#
# | step | its slope |
# | --- | --- |
# | $a = x \cdot x$ | $da/dx = 2x$ |
# | $b = -a$ | $db/da = -1$ |
# | $c = e^b$ | $dc/db = e^b$ |
# | $f = x \cdot c$ | $df/dx = c$ while c stands still, $df/dc = x$ |
#
# Two rules put them together. **Along a way, slopes are multiplied**: b changes by -1 for each unit of a, a by 2x for
# each unit of x, so b changes by -2x for each unit of x. **Where ways meet, slopes are added**: x goes into f directly,
# and once more through a, b and c.

# %% [markdown]
# ## Exercise 1: on paper
#
# Write `slope(x)`, the derivative of $f(x) = x\,e^{-x^2}$ as a formula. Use `math.exp`. It counts as right when it
# agrees with the nudged slope at five places.


# %% tags=["check"]
def attempt(answer, *inputs):
    """(value, "") of a call, or (None, what went wrong)."""
    try:
        value = answer(*inputs)
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    return value, f"it returns {value}" if value is None or value is ... else ""


def said(problem, praise=""):
    text = f"Not yet: {problem}" if problem else f"Right: {praise}"
    print(text if text.endswith(("?", ".")) else f"{text}.")
    return not problem


def close(value, expected):
    try:
        return np.shape(value) == np.shape(expected) and np.allclose(value, expected, rtol=1e-6, atol=1e-8)
    except (TypeError, ValueError):
        return False


def shown(value):
    try:
        return np.round(value, 4).tolist()
    except (TypeError, ValueError):
        return repr(value)


def hint_for(value, hints, otherwise):
    return next((hint for wrong, hint in hints if close(value, wrong)), otherwise)


def check_slope(answer):
    for x in (0.3, -0.7, 2.0, 1.2, -0.4):
        e, (value, problem) = math.exp(-x * x), attempt(answer, x)
        hints = [
            (e, "That is the direct way from x to f alone. A second way leads through a, b and c. Add it"),
            (-2 * x * x * e, "That is the way through a, b and c alone. x also goes into f directly. Add that way"),
            (-2 * x * e, "That is the slope of c. What is the slope of x times c?"),
            ((1 + 2 * x * x) * e, "One sign is wrong: b = -a turns the slope around"),
            ((1 - x) * e, "Somewhere da/dx is missing: the slope of x² is 2x"),
            ((1 - 2 * x) * e, "One factor x is missing in the second way: df/dc is x"),
            (x * e, "That is f itself"),
        ]
        if problem:
            return said(f"slope({x}): {problem}. It should return a number")
        if not close(value, nudged(f, x)):
            hint = hint_for(value, hints, "Multiply along each of the two ways, then add")
            return said(f"slope({x}) gives {shown(value)}, by nudging it is {nudged(f, x):.4f}. {hint}")
    return said("", "one way gives c, the other x · c · (-1) · 2x, and the sum is (1 - 2x²) times c")


# %% tags=["exercise"]
def slope(x):
    """The derivative of x * exp(-x * x)."""
    return ...


# %%
check_slope(slope)


# %% tags=["solution"]
def slope(x):
    """The derivative of x * exp(-x * x)."""
    return (1 - 2 * x * x) * math.exp(-x * x)


assert check_slope(slope)

# %% [markdown]
# ## A number that remembers
#
# Now the machine shall do it. A `Number` holds its value and, for each number that it was made from, the slope of that
# one small step. That is all that it remembers. Asked for the slopes, it passes on to each parent its own slope times
# the slope of the step: the chain rule.
#
# The class below has a mistake, and the next cell will show it. Try to find it first.


# %%
class Number:
    """A number that remembers what it was made from: pairs of a parent and the slope of the step."""

    def __init__(self, value, parents=()):
        self.value, self.parents, self.slope = value, parents, 0.0

    def __add__(self, other):
        return Number(self.value + other.value, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Number(self.value * other.value, [(self, other.value), (other, self.value)])

    def __neg__(self):
        return Number(-self.value, [(self, -1.0)])

    def backward(self, slope=1.0):
        self.slope = slope
        for parent, step in self.parents:
            parent.backward(slope * step)


def exp(number):
    value = math.exp(number.value)
    return Number(value, [(number, value)])


x = Number(0.3)
result = x * exp(-(x * x))
result.backward()
print(f"value {result.value:.4f}, as it should be; slope {x.slope:.4f}, but by nudging {nudged(f, 0.3):.4f}")
assert not close(x.slope, nudged(f, 0.3))

# %% [markdown]
# The value is right and the slope is wrong. x is asked three times: once directly, and twice by x * x, whose two
# factors are both x. **Each time the new slope replaces the old one**, and the last one is left. But where ways meet,
# slopes are added. One sign cures it:


# %%
def backward(self, slope=1.0):
    self.slope += slope
    for parent, step in self.parents:
        parent.backward(slope * step)


Number.backward = backward

x = Number(0.3)
result = x * exp(-(x * x))
result.backward()
print(f"slope {x.slope:.4f}, by nudging {nudged(f, 0.3):.4f}")
assert close(x.slope, nudged(f, 0.3))

# %% [markdown]
# This is the whole of automatic differentiation. No formula of f was differentiated, nothing was approximated: each
# operation knows its own small slope, and the numbers remember the rest.
#
# ## Exercise 2: a new operation
#
# Numbers cannot be divided yet. Write `divide(a, b)`: it returns a `Number` with the value of a / b that remembers both
# parents. You need two slopes: that of a / b when only a is turned, and when only b is turned. It counts as right when
# value and slopes are right, also where a number is divided by itself.


# %% tags=["check"]
def check_divide(answer):
    for u, v in ((6.0, 4.0), (-1.0, 0.5), (2.0, -3.0)):
        a, b = Number(u), Number(v)
        made, problem = attempt(answer, a, b)
        case = f"divide({u}, {v})"
        if problem or not isinstance(made, Number):
            return said(f"{case}: {problem or f'it returns {made!r}'}. It should return a Number")
        if not close(made.value, u / v):
            return said(f"{case} has the value {shown(made.value)}, not {u / v:.4f}. The value comes first: a / b")
        _, problem = attempt(lambda made=made: made.backward() or 0)
        if problem:
            return said(f"{case}: in backward, {problem}. Parents are pairs: (number, slope of the step)")
        hints_a = [
            (0.0, "It is not among the parents"),
            (v, "That is the slope of a * b"),
            (1.0, "One unit of a changes a / b by 1 / b"),
            (-u / v**2, "That is b's: the two are exchanged"),
        ]
        hints_b = [
            (0.0, "It is not among the parents"),
            (u / v**2, "The sign is wrong: a greater b makes a / b smaller, if both are positive"),
            (1 / v, "That is a's slope"),
            (-u / v, "There is one b too few below the fraction line: 1 / b has the slope -1 / b²"),
            (-1 / v**2, "The factor a is missing"),
        ]
        for name, number, right, hints in (("a", a, 1 / v, hints_a), ("b", b, -u / v**2, hints_b)):
            if not close(number.slope, right):
                hint = hint_for(number.slope, hints, f"Nudge {name} alone on paper")
                return said(f"{case}: the slope of {name} is {shown(number.slope)}, not {right:.4f}. {hint}")
    same = Number(3.0)
    answer(same, same).backward()
    if not close(same.slope, 0.0):
        return said(f"divide(x, x) is 1 for every x, but its slope is {same.slope:.4f}, not 0")
    return said("", "a / b changes by 1/b with a and by -a/b² with b, and in x / x the two cancel out")


# %% tags=["exercise"]
def divide(a, b):
    """The Number a / b."""
    return Number(a.value / b.value, [])


# %%
check_divide(divide)


# %% tags=["solution"]
def divide(a, b):
    """The Number a / b."""
    return Number(a.value / b.value, [(a, 1 / b.value), (b, -a.value / b.value**2)])


assert check_divide(divide)

# %% [markdown]
# ## The same in lucidlite
#
# A `Tensor` is such a number, or a whole array of them. `requires_grad=True` says: remember what is made from this one,
# I shall ask for its slope. The slope is called the gradient and is found in `.grad`.

# %%
x = lucidlite.tensor(0.3, requires_grad=True)
result = x * (-(x * x)).exp()
drawing = lucidlite.graph(result, {"x": x})
print(drawing)
result.backward()
print(f"gradient {x.grad:.4f}")
assert close(x.grad, slope(0.3))

# %% [markdown]
# `lucidlite.graph` shows what the result remembers: every step with its parents, shape and value. In a notebook it is a
# picture. Follow the arrows from x: one goes to the last product directly, two go into the square.

# %%
drawing

# %% [markdown]
# ## Every way, or every number once?
#
# Our `Number` walks every way separately. How many ways are there? Double a number 18 times, as y + y each time: two
# ways for each doubling, and they multiply.

# %%
calls = 0


def counted(self, slope=1.0):
    global calls
    calls += 1
    backward(self, slope)


Number.backward = counted
start = y = Number(1.0)
for _ in range(18):
    y = y + y
y.backward()
Number.backward = backward
print(f"19 numbers, {calls:,} calls, slope {start.slope:,.0f}")
assert calls == 2**19 - 1

# %% [markdown]
# Half a million calls for 19 numbers; a hundred doublings would outlast the universe. lucidlite visits each number
# once: it waits until all slopes for it have come in and are added up, and only then passes the sum on. The order in
# which things were computed, read backwards, does it.

# %%
start = y = lucidlite.tensor(1.0, requires_grad=True)
for _ in range(100):
    y = y + y
y.backward()
print(f"101 numbers, 100 steps back, gradient {start.grad:.6g}")
assert start.grad == 2.0**100

# %% [markdown]
# ## Arrays
#
# All this would be slow number by number, so tensors hold arrays, with shapes as in NumPy. The gradient of a sum of
# many results is, element by element, the slope of each: 200 slopes from one run.

# %%
# Picture: The curve of f and below it the curve of its slope, which is zero where f has its peak and its trough.
x = lucidlite.tensor(xs, requires_grad=True)
y = x * (-(x * x)).exp()
y.sum().backward()
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
axes.plot(xs, y.numpy(), label="f")
axes.plot(xs, x.grad, "--", label="its slope, by backward()")
axes.axhline(0, linewidth=0.5, color="gray")
axes.set(xlabel="x")
axes.legend()
show(figure, "slopes")

# %%
assert close(x.grad, [slope(each) for each in xs])

# %% [markdown]
# And here is the one that networks are made of: five points, a weight matrix, an added vector that NumPy would call
# broadcast, and a mean of squares. A gradient always has the shape of what it belongs to.

# %%
lucidlite.random.seed(0)
points, targets = lucidlite.randn(5, 3), lucidlite.randn(5, 2)
weight = lucidlite.randn(3, 2, requires_grad=True)
bias = lucidlite.zeros(2, requires_grad=True)
error = points @ weight + bias - targets
loss = (error * error).mean()
loss.backward()
print(f"weight {weight.shape}, its gradient {weight.grad.shape}; bias {bias.shape}, its gradient {bias.grad.shape}")

by_hand = 2 / error.size * points.numpy().T @ error.numpy()
by_hand_too = 2 / error.size * error.numpy().sum(axis=0)  # it went into five rows: five ways, added up
assert np.allclose(weight.grad, by_hand, atol=1e-5) and np.allclose(bias.grad, by_hand_too, atol=1e-5)

# %% [markdown]
# ## Gradients stay until you remove them
#
# `backward` adds to `.grad`, as our cure does. So a second run on the same tensor adds to the slopes of the first:

# %%
x = lucidlite.tensor(3.0, requires_grad=True)
for run in (1, 2):
    (x * x).backward()
    print(f"after run {run}: {x.grad:.0f}")
x.grad = None
(x * x).backward()
print(f"after x.grad = None and one more run: {x.grad:.0f}")
assert x.grad == 6

# %% [markdown]
# The slope of x² at 3 is 6, and 12 is the sum of two runs. That is sometimes what you want, and a mistake every other
# time. In training, `optimizer.zero_grad()` removes the gradients before each run.
#
# ## Exercise 3: a gradient machine
#
# Write `gradient(function, x)`: for a function of Tensors, it returns the gradient at x, a NumPy array. x comes as a
# NumPy array, and the function's result is a single number. It counts as right for three functions, and when it is
# asked the same twice.


# %% tags=["check"]
def check_gradient(answer):
    cases = {
        "sum of squares": (lambda x: (x * x).sum(), lambda x: 2 * x),
        "mean of exp": (lambda x: x.exp().mean(), lambda x: np.exp(x) / x.size),
        "x[0] * x[1]": (lambda x: x[0] * x[1], lambda x: np.array([x[1], x[0], 0.0])),
    }
    x = np.array([1.0, -2.0, 0.5])
    for time in ("", ", asked again"):
        for name, (function, right) in cases.items():
            value, problem = attempt(answer, function, x.copy())
            value = value.numpy() if isinstance(value, lucidlite.Tensor) else value
            if problem:
                cure = "Return x.grad after backward()" if "returns" in problem else "Has x requires_grad=True?"
                return said(f"{name}{time}: {problem}. {cure}")
            hints = [
                (function(lucidlite.tensor(x)).numpy(), "That is the function's value. The gradient is in x.grad"),
                (2 * right(x), "That is twice too much: gradients of two runs were added up"),
                (x, "That is x itself. The gradient is in x.grad"),
            ]
            if not close(value, right(x)):
                hint = hint_for(value, hints, "Make a tensor, call the function, then backward(), then look at .grad")
                return said(f"{name}{time}: {shown(value)}, not {shown(right(x))}. {hint}")
    return said("", "a fresh tensor remembers, backward() asks, and .grad answers, with the shape of x")


# %% tags=["exercise"]
def gradient(function, x):
    """The gradient of the function at x."""
    x = lucidlite.tensor(x)
    return ...


# %%
check_gradient(gradient)


# %% tags=["solution"]
def gradient(function, x):
    """The gradient of the function at x."""
    x = lucidlite.tensor(x, requires_grad=True)
    function(x).backward()
    return x.grad


assert check_gradient(gradient)

# %% [markdown]
# ## Summary
#
# A slope tells how a result changes when one number is turned. Along a way slopes are multiplied, and where ways meet
# they are added: that is the chain rule. A number that remembers its parents and the slope of its own step can pass
# slopes back, and one run gives the slopes of everything that went in. lucidlite does it for arrays, visits each number
# once, and adds to `.grad` until you remove it.
#
# ## Read on
#
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2008, chapter 3: the reverse mode, and why all slopes together
#   cost no more than a few evaluations.
# - A. Baydin, B. Pearlmutter, A. Radul, J. Siskind, *Automatic Differentiation in Machine Learning: a Survey*,
#   arXiv:1502.05767.
# - `lucidlite/autograd.py`: the chain rule for arrays, in one file made to be read; [Architecture](../architecture.md)
#   says why it is as it is.
