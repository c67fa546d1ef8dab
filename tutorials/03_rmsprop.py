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
# # RMSprop line by line
#
# RMSprop is two formulas long and was never published as a paper: it stands on one slide of a lecture of 2012. Adam
# came from it two years later. In this lesson you meet the method before it, Rprop, watch it fail, find the cure, and
# write RMSprop yourself, while lucidlite holds each line of your code against the formula beside it.
#
# **You will**
#
# - see what is wrong with one learning rate for all weights, and how Rprop avoids it with the sign of the gradient;
# - see why Rprop breaks with mini-batches, with ten gradients that you can add up in your head;
# - write RMSprop from its formulas, and have every line checked;
# - read a single step in numbers;
# - know what alpha, eps and centered do, and what happens when they are wrong.
#
# Time in class: 60 minutes. Before it: lesson 2, Descending. It needs `pip install lucidlite[tutorials]`, nothing else.

# %%
import sys
from pathlib import Path

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

import lucidlite
from lucidlite import data, formulas, nn, optim


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/03_rmsprop").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/03_rmsprop/{name}.png", dpi=150)


# %% [markdown]
# ## One rate does not fit all
#
# A ravine: the loss $\frac{1}{2}(x^2 + 100\,y^2)$ is a hundred times as steep across as it is along. Its gradient is
# $(x, 100\,y)$, so gradient descent must keep its rate below $2/100$, or it jumps higher up the other wall at every
# step. With such a rate it creeps along the floor.
#
# Riedmiller and Braun had a radical idea in 1993. **The size of a gradient says little about how far to go; its sign
# says where to.** Their Rprop gives each weight a step length of its own. As long as the sign stays, the step grows by
# a fifth. When the sign changes, the weight has jumped over a minimum, and the step is halved.


# %%
def ravine(w):
    return 0.5 * (w[0] ** 2 + 100 * w[1] ** 2)


start = np.array([-4.0, 0.9])
descent, rprop = [start], [start]
length, sign_before = np.full(2, 0.1), np.zeros(2)
for _ in range(40):
    w = descent[-1]
    descent.append(w - 0.0185 * np.array([w[0], 100 * w[1]]))

    w = rprop[-1]
    sign = np.sign([w[0], 100 * w[1]])
    same, changed = sign * sign_before > 0, sign * sign_before < 0
    length = np.where(same, 1.2 * length, np.where(changed, 0.5 * length, length))
    rprop.append(w - length * sign)
    sign_before = sign
print(f"after 40 steps: gradient descent at a loss of {ravine(descent[-1]):.3f}, Rprop at {ravine(rprop[-1]):.5f}")
assert ravine(rprop[-1]) < 0.01 < 1 < ravine(descent[-1])

# %%
# Picture: Contour lines of a narrow valley; gradient descent zigzags between its walls, Rprop walks to the minimum.
figure, grid = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
x, y = np.meshgrid(np.linspace(-4.5, 1.5, 200), np.linspace(-1.2, 1.2, 100))
for axes, path, name in zip(grid, (descent, rprop), ("gradient descent", "Rprop")):
    axes.contour(x, y, ravine((x, y)), levels=[0.5, 2, 5, 10, 20, 40, 60], linewidths=0.7, alpha=0.6)
    axes.plot(*np.transpose(path), "o-", markersize=3, linewidth=1)
    axes.set(title=f"{name}, 40 steps", xlabel="x", ylim=(-1.2, 1.2))
grid[0].set_ylabel("y")
show(figure, "ravine")

# %% [markdown]
# Rprop does not notice that the ravine is a ravine: with 10,000 in place of 100 the signs, and so the path, are the
# same, step for step.
#
# ## Ten gradients that break it
#
# The gradients above came from the whole loss. Real training takes a mini-batch at a time. Here are ten of them, with
# Hinton's numbers from lecture 6e: for one weight, nine mini-batches have the gradient **+0.1** and one has **-0.9**.
#
# Add them up: the sum is 0. The weight is where it should be and ought to stay there. What will happen to it?
#
# - Gradient descent: nine small steps down, one large step up. It comes back.
# - A method that looks at signs: nine steps down, one step of the same length up. It ends eight steps away.
#
# This will go wrong, and we let it. Ten mini-batches are one epoch; we run a hundred, each in another order.

# %%
slopes = np.array([0.1] * 9 + [-0.9])
shuffled = np.concatenate([np.random.default_rng(epoch).permutation(slopes) for epoch in range(100)])


def walk(make, gradients):
    """The path of one weight from 0 under the given gradients."""
    w = lucidlite.Parameter([0.0], dtype="float64")
    optimizer, path = make([w]), [0.0]
    for gradient in gradients:
        w.grad = np.array([gradient])
        optimizer.step()
        path.append(w.item())
    return np.array(path)


sgd = walk(lambda params: optim.SGD(params, lr=0.01), shuffled)
ran_away = walk(lambda params: optim.Rprop(params, lr=0.01), shuffled)
print(f"after 100 epochs: SGD at {abs(sgd[-1]):.3f}, Rprop at {ran_away[-1]:,.0f}")
assert abs(sgd[-1]) < 1e-9 and ran_away[-1] < -1000

# %%
# Picture: The weight over 100 epochs: with SGD it stays at zero, with Rprop it falls to minus tens of thousands.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
epochs = np.arange(len(sgd)) / 10
left.plot(epochs, sgd)
left.set(title="SGD", xlabel="epoch", ylabel="the weight")
right.plot(epochs, ran_away)
right.set(title="Rprop", xlabel="epoch")
show(figure, "hinton")

# %% [markdown]
# Rprop goes further wrong than eight steps in an epoch: most of its steps have the sign of the one before, so that they
# grow by a fifth again and again, up to 50, the greatest length that lucidlite's Rprop allows by default.
#
# ## Why
#
# Write the sign as a division: $\operatorname{sign}(g) = g / |g|$. So Rprop uses the gradient after all, but **divides
# it by a different number in every mini-batch**: the +0.1 by 0.1, the -0.9 by 0.9. That is why their sum is no longer
# 0.
#
# And so the cure is plain: divide neighbouring mini-batches by nearly the same number. It should still be of the
# gradient's size, so that a ravine does no harm, and it should change slowly. Hinton takes a running mean of the
# squares, and its root:
#
# $$v_t = α\,v_{t-1} + (1 - α)\,g_t^2 \qquad\qquad θ_t = θ_{t-1} - γ\,\frac{g_t}{\sqrt{v_t} + ε}$$
#
# Mean, square, root: **r**oot **m**ean **s**quare, RMS, and the *prop* is Rprop's. Here $γ$ is the learning rate, $α$
# the share of the old mean that is kept, and $ε$ a small number, so that nothing is divided by 0.

# %% [markdown]
# ## Exercise 1: the running mean
#
# Write `running_mean(gradients, alpha)`: it returns the list of $v_1, v_2, \ldots$ for a list of gradients, with
# $v_0 = 0$. It counts as right when it agrees for three different lists of numbers.


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
        return np.shape(value) == np.shape(expected) and np.allclose(value, expected, rtol=1e-9, atol=1e-12)
    except (TypeError, ValueError):
        return False


def shown(value):
    try:
        return np.round(value, 4).tolist()
    except (TypeError, ValueError):
        return repr(value)


def hint_for(value, hints, otherwise):
    return next((hint for wrong, hint in hints if close(value, wrong)), otherwise)


def means(numbers, keep, take, v=0.0):
    return [v := keep * v + take * x for x in numbers]


def check_running_mean(answer):
    for gradients, alpha in (([2.0, 3.0], 0.9), ([1.0, -2.0, 0.5], 0.5), ([-4.0], 0.99)):
        value, problem = attempt(answer, list(gradients), alpha)
        squares, rest, case = [g * g for g in gradients], 1 - alpha, f"running_mean({gradients}, {alpha})"
        if problem:
            cure = "Append each new v to a list, and return it" if "returns" in problem else "A square is g * g or g**2"
            return said(f"{case}: {problem}. {cure}")
        expected = means(squares, alpha, rest)
        hints = [
            (
                means(squares, rest, alpha),
                "The shares are mixed up: alpha of the old mean, 1 - alpha of the new square",
            ),
            (
                means(gradients, alpha, rest),
                "That is the mean of the gradients; +1 and -1 would cancel out. Square them",
            ),
            (means(squares, alpha, 1), "The squares are added up whole. A new square gets the share 1 - alpha"),
            (means(squares, alpha, rest, squares[0]), "Here v starts at the first square. It is to start at 0"),
            (means(squares, 0, rest), "The old mean is lost: v stands on both sides of the formula"),
            (expected[-1], "That is the last v alone. Return the list of all"),
        ]
        if not close(value, expected):
            wanted = f"it should be {shown(expected)}"
            hint = hint_for(value, hints, "Compute the first v on paper: it is 1 - alpha times the first square")
            return said(f"{case} gives {shown(value)}, {wanted}. {hint}")
    return said("", "each v keeps alpha of the one before and takes 1 - alpha of the new square")


# %% tags=["exercise"]
def running_mean(gradients, alpha):
    """The running means v_1, v_2, ... of the squares of the gradients."""
    return ...


# %%
check_running_mean(running_mean)


# %% tags=["solution"]
def running_mean(gradients, alpha):
    """The running means v_1, v_2, ... of the squares of the gradients."""
    v, found = 0.0, []
    for g in gradients:
        v = alpha * v + (1 - alpha) * g**2
        found.append(v)
    return found


assert check_running_mean(running_mean)

# %% [markdown]
# Look at what it does to a noisy gradient whose size drops to a tenth half way. The root of v follows the size and not
# the sign. It follows quickly or smoothly, but not both: that is what alpha decides. About $1/(1 - α)$ gradients count:
# 2, 10 or 100.

# %%
# Picture: A noisy gradient that becomes ten times smaller, and three roots of running means, quick to slow.
noise = np.random.default_rng(0).normal(size=400) * np.repeat([1.0, 0.1], 200)
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
axes.plot(noise, linewidth=0.6, alpha=0.5, label="gradient")
for alpha in (0.5, 0.9, 0.99):
    axes.plot(np.sqrt(running_mean(noise, alpha)), label=rf"$\sqrt{{v}}$, alpha {alpha}")
axes.set(xlabel="step")
axes.legend(ncols=4)
show(figure, "mean")

# %% [markdown]
# ## An optimizer whose formulas are checked
#
# An optimizer in lucidlite is a class with three parts: its numbered formulas in the docstring, its constructor, and a
# rule. The rule is given a weight `p`, its gradient `g`, whatever the optimizer remembers, and numbers such as `lr`; it
# returns the new weight and what is to be remembered. **The line that computes formula (1) ends in `# (1)`.** Here is
# the least of all optimizers, Rprop without its memory:


# %%
class SignDescent(optim.Optimizer):
    r"""Each weight moves by γ, whatever the size of its gradient.

        (1)  s_t = \operatorname{sign}(g_t)
        (2)  θ_t = θ_{t-1} - γ s_t

    where θ is `p` and γ is `lr`.
    """

    def __init__(self, params, lr=0.01):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def sign_descent(p, g, lr):
            s = math.sign(g)  # (1)
            p = p - lr * s  # (2)
            return (p,)

        return sign_descent


report = formulas.check(SignDescent)
report

# %% [markdown]
# `formulas.check` takes some steps with it, stops at each line with a number, and computes the formula once more from
# the same values. The table says what it found. $θ_t$ is the weight after the step, $θ_{t-1}$ before it; which name in
# the code a letter has stands in the sentence that begins with "where". If a line is wrong, `check` raises an error
# that names the line and the formula. You will see one in a moment.
#
# ## Exercise 2: RMSprop
#
# Now yours. The formulas are given, and the code below is still plain gradient descent. Change the three lines with
# numbers until each computes its formula; leave the numbers at their ends. `v` is what the optimizer remembers, under
# the name `square_avg`. For $1 - α$ there is `rest_alpha`, and `math.sqrt` takes roots of arrays.
#
# It counts as right when `formulas.check` accepts each line and 20 steps agree with lucidlite's own RMSprop to 9
# digits.

# %% tags=["check"]
V = [  # v after the gradients 2 and 3, with alpha 0.9
    (0.0, "Here v never changes, so nothing is remembered. Mix the old v with the square of g"),
    (0.1 * 0.9 * 4 + 0.9 * 9, "The shares are mixed up: the old v keeps alpha, the new square gets rest_alpha"),
    (0.9 * 0.1 * 2 + 0.1 * 3, "That is the mean of g, not of its square. Write g * g"),
    (4.0 + 9.0, "That is the sum of all squares, AdaGrad's, and its steps only get shorter. Fade the old v with alpha"),
    (0.9 * 4 + 9, "The new square is taken whole. It gets the share rest_alpha"),
    (0.1 * 9, "The old v is forgotten. Add alpha * v"),
]
S = [  # the second step, divided by lr, with eps 0.5 and v = 1.26
    (3.0, "The gradient is not divided by anything. That is gradient descent"),
    (3 / (1.26 + 0.5) ** 0.5, "Your eps stands inside the root. The formula has it outside: math.sqrt(v) + eps"),
    (3 / (1.26 + 0.5), "It divides by the mean square itself. Take the root"),
    (3 / 1.26**0.5, "There is no eps. A weight whose gradient is 0 would become 0/0"),
    (3 / 1.26**0.5 + 0.5, "Your eps is added to the quotient. Put parentheses around math.sqrt(v) + eps"),
    (0.1 * 3 / (1.26**0.5 + 0.5), "The rate has come in twice. It belongs to line (3) alone"),
    (3 / (0.4**0.5 + 0.5), "It divides by the v of the step before. Compute (1) first"),
]


def steps(cls, gradients):
    """(p, step / lr, v) after these gradients."""
    p, state = np.ones(2), {}
    with np.errstate(all="ignore"):  # a wrong answer may take the root of a negative number
        for g in gradients:
            old, (p, state) = p, cls.functional(p, np.full(2, g), state, lr=0.1, alpha=0.9, eps=0.5)
    return [float(np.mean(x)) for x in (p, (old - p) / 0.1, state["square_avg"])]


def check_MyRMSprop(answer):
    report, problem = attempt(formulas.check, answer)
    found, _ = attempt(steps, answer, [2.0, 3.0])
    _, quotient, v = found or [None] * 3
    hints = {
        "compute (1)": hint_for(v, V, "Compare it with your running_mean"),
        "compute (2)": hint_for(quotient, S, "Divide g by the root of v, plus eps"),
        "compute (3)": "Take lr times s from p: the minus leads downhill, and lr says how far",
        "must return": "Return both, the new weight and the new memory: return p, v",
        "no tag": "Put the number back, as a comment",
        "'sqrt' is not": "Write math.sqrt: math is what the rule was given",
    }
    if problem:
        hint = next((hint for part, hint in hints.items() if part in problem), "Mend that first")
        return said(f"{problem.removeprefix('FormulaError: ')}. {hint}")
    many = np.random.default_rng(0).normal(size=20)
    for name, mine, its in zip(("p", "the step", "v"), steps(answer, many), steps(optim.RMSprop, many)):
        if not close(mine, its):
            text = f"each line computes its formula, but after 20 steps {name} is {mine:.4g} and should be {its:.4g}"
            return said(f"{text}. Return p, v in this order, and leave the formulas as they were")
    return said("", f"{len(report.rows)} lines compute their formulas, and 20 steps end where optim.RMSprop's end")


# %% tags=["exercise"]
class MyRMSprop(optim.Optimizer):
    r"""RMSprop: divide each step by the recent size of the gradient.

        (1)  v_t = α v_{t-1} + (1 - α) g_t^2
        (2)  s_t = \frac{g_t}{\sqrt{v_t} + ε}
        (3)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, γ is `lr` and ε is `eps`.
    """

    state_names = ("square_avg",)

    def __init__(self, params, lr=0.01, alpha=0.9, eps=1e-8):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def rmsprop(p, g, v, lr, alpha, rest_alpha, eps):
            v = v * 1  # (1)
            s = g * 1  # (2)
            p = p - lr * s  # (3)
            return p, v

        return rmsprop


# %%
check_MyRMSprop(MyRMSprop)


# %% tags=["solution"]
class MyRMSprop(optim.Optimizer):
    r"""RMSprop: divide each step by the recent size of the gradient.

        (1)  v_t = α v_{t-1} + (1 - α) g_t^2
        (2)  s_t = \frac{g_t}{\sqrt{v_t} + ε}
        (3)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, γ is `lr` and ε is `eps`.
    """

    state_names = ("square_avg",)

    def __init__(self, params, lr=0.01, alpha=0.9, eps=1e-8):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def rmsprop(p, g, v, lr, alpha, rest_alpha, eps):
            v = alpha * v + rest_alpha * g * g  # (1)
            s = g / (math.sqrt(v) + eps)  # (2)
            p = p - lr * s  # (3)
            return p, v

        return rmsprop


assert check_MyRMSprop(MyRMSprop)
report = formulas.check(MyRMSprop)
report

# %% [markdown]
# These three lines are all there is to RMSprop. The same code runs on a CPU and, as one kernel, on a GPU.
#
# ## One step in numbers
#
# `formulas.explain` shows the coming step of one weight, with the numbers in place of the letters. Two weights of the
# ravine, at the very first step: one has the gradient -4, the other 90.

# %%
w = lucidlite.Parameter(start, dtype="float64")
optimizer = MyRMSprop([w], lr=0.1)
ravine(w).backward()
formulas.explain(optimizer, w, 0)

# %%
formulas.explain(optimizer, w, 1)

# %% [markdown]
# Compare the lines (2): one gradient is 22 times the other, and the quotients have the same size, 3.16. And compare
# with the rate: the first step is 0.316 long, although lr is 0.1.
#
# ## Exercise 3: the first step
#
# Why 3.16? Write `first_step(lr, alpha)`: the length of RMSprop's very first step for a gradient that is not 0, with an
# eps so small that it does not count. Paper first: put $v_0 = 0$ into formula (1), the result into (2).


# %% tags=["check"]
def check_first_step(answer):
    for lr, alpha in ((0.1, 0.9), (0.01, 0.99), (1.0, 0.36)):
        value, problem = attempt(answer, lr, alpha)
        case, expected = f"first_step({lr}, {alpha})", lr / (1 - alpha) ** 0.5
        hints = [
            (lr, "That would be so if v were g² at once. After one step it is a share of g²"),
            (lr / (1 - alpha), "After one step v is (1 - alpha) g². But the step divides by its root"),
            (1 / (1 - alpha) ** 0.5, "That is s. The step is lr times as long"),
            (lr * (1 - alpha) ** 0.5, "The root of 1 - alpha is right, but RMSprop divides by it"),
            (lr / alpha**0.5, "That is the share of the old v, which is 0. The new square has the share 1 - alpha"),
        ]
        if problem:
            return said(f"{case}: {problem}. It should return a number")
        if not close(value, expected):
            hint = hint_for(value, hints, "Put v = (1 - alpha) g² into formula (2); then g cancels out")
            return said(f"{case} gives {shown(value)}, RMSprop moves by {expected:.4g}. {hint}")
    return said("", "after one step v is (1 - alpha) g², so g cancels out and lr / √(1 - alpha) is left")


# %% tags=["exercise"]
def first_step(lr, alpha):
    """The length of the first step."""
    return ...


# %%
check_first_step(first_step)


# %% tags=["solution"]
def first_step(lr, alpha):
    """The length of the first step."""
    return lr / (1 - alpha) ** 0.5


assert check_first_step(first_step)

# %% [markdown]
# With PyTorch's alpha of 0.99 the first step is ten times the rate, whatever the gradient is. If a network jumps in its
# first steps with RMSprop, this is why. Some systems start v at 1, others divide by $1 - α^t$, as Adam does.
#
# ## What alpha does
#
# Back to Hinton's ten gradients. With alpha = 0 there is no memory: $\sqrt{v} = |g|$, and RMSprop **is** the method of
# signs that walked away. With alpha near 1 all ten are divided by nearly the same number, and it stays. In between it
# drifts, because the -0.9 makes v large just when it comes, and is divided by more than its neighbours are.

# %%
paths = {alpha: walk(lambda params, a=alpha: MyRMSprop(params, lr=0.01, alpha=a), shuffled)
         for alpha in (0.0, 0.5, 0.9, 0.99)}  # fmt: skip
drift = {alpha: -(path[-1] - path[500]) / 50 for alpha, path in paths.items()}  # of the last 50 epochs
for alpha, length in drift.items():
    print(f"alpha {alpha}: away by {length:.4f} in each epoch")
assert abs(drift[0.0] - 8 * 0.01) < 1e-4  # nine steps down, one up, of 0.01
assert drift[0.0] > drift[0.5] > 5 * drift[0.9] > 25 * drift[0.99] > 0

# %%
# Picture: The weight over 100 epochs for four values of alpha: with 0 it walks far away, with 0.99 it hardly moves.
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
for alpha, path in paths.items():
    axes.plot(epochs, path, label=f"alpha {alpha}")
axes.set(xlabel="epoch", ylabel="the weight")
axes.legend()
show(figure, "alpha")

# %% [markdown]
# The drift falls like $1 - α$. The price of a large alpha was in the picture before: a v that takes 100 steps to notice
# that gradients have become smaller. And at the left edge, the first steps: longer, the nearer alpha is to 1.
#
# ## What eps does
#
# Let a gradient stay the same for long: then $\sqrt{v} = |g|$, and the step is $γ\,|g| / (|g| + ε)$. For a gradient
# much larger than eps that is $γ$. For one much smaller it is $γ\,|g| / ε$, gradient descent with the rate $γ / ε$. So
# **eps is the size of gradient below which RMSprop stops magnifying**. We give 61 weights a constant gradient each,
# from $10^{-12}$ to 1.

# %%
gradients = np.logspace(-12, 0, 61)


def last_step(**options):
    """The length of the step for each gradient, after 300 of them, with a rate of 1."""
    w = lucidlite.Parameter(np.zeros(61), dtype="float64")
    optimizer = optim.RMSprop([w], lr=1.0, alpha=0.9, **options)
    for _ in range(300):
        before, w.grad = w.numpy().copy(), gradients
        optimizer.step()
    return before - w.numpy()


lengths = {
    "eps 1e-8": last_step(eps=1e-8),
    "eps 1e-3": last_step(eps=1e-3),
    "eps 1e-8 inside the root": last_step(eps=1e-8, eps_in_sqrt=True),
}
half = {name: gradients[abs(length - 0.5).argmin()] for name, length in lengths.items()}
for name, g in half.items():
    print(f"{name}: half a step at a gradient of {g:.0e}")
assert np.allclose([half["eps 1e-8"], half["eps 1e-3"]], [1e-8, 1e-3])

# %%
# Picture: Step length by size of gradient: flat at 1 for large gradients, falling below eps for small ones.
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
for (name, length), style in zip(lengths.items(), ("-", "-", "--")):
    axes.loglog(gradients, length, style, label=name)
axes.set(xlabel="size of the gradient", ylabel="length of the step / lr", ylim=(1e-6, 3))
axes.legend()
show(figure, "eps")

# %% [markdown]
# The dashed line is a lesson in itself. PyTorch adds eps outside the root, Keras and TensorFlow inside, and both call
# it RMSprop. With the same 1e-8 one of them magnifies gradients down to 1e-8, the other only down to 1e-4. Lesson 7 is
# about such differences.
#
# ## What centered does
#
# The mean of squares holds two things: $\overline{g^2} = \bar{g}^2 + σ^2$. With `centered=True` RMSprop keeps a running
# mean of the gradients too, subtracts its square, and so divides by the **standard deviation**. Take two weights. The
# gradients of one agree: 1 with a noise of 0.1. Those of the other hardly do: 0.1 with a noise of 1. Both have
# $\sqrt{v} \approx 1$.

# %%
draws = np.random.default_rng(1).normal(size=(1000, 2)) * [0.1, 1.0] + [1.0, 0.1]
travelled = {}
for centered in (False, True):
    w = lucidlite.Parameter(np.zeros(2), dtype="float64")
    optimizer, places = optim.RMSprop([w], lr=0.01, centered=centered), [np.zeros(2)]
    for gradient in draws:
        w.grad = gradient
        optimizer.step()
        places.append(w.numpy().copy())
    travelled[centered] = -np.array(places)
sure, unsure = (travelled[True][-1] - travelled[True][-400]) / (travelled[False][-1] - travelled[False][-400])
print(f"centered goes {sure:.1f} times as far where gradients agree, {unsure:.1f} times where they do not")
assert 7 < sure < 13 and 0.8 < unsure < 1.2

# %%
# Picture: Way of two weights: centered is ten times as fast where gradients agree, as fast as plain where they do not.
figure, grid = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for axes, column, title in zip(grid, (0, 1), ("gradients agree: 1 ± 0.1", "they do not: 0.1 ± 1")):
    axes.plot(travelled[False][:, column], label="plain")
    axes.plot(travelled[True][:, column], "--", label="centered")
    axes.set(title=title, xlabel="step", ylabel="way travelled")
    axes.legend()
show(figure, "centered")

# %% [markdown]
# So centered walks boldly where gradients agree. And if they agree completely? Then the standard deviation is 0, only
# eps is left below the fraction line, and the step is $γ\,g / ε$: with eps = 1e-8 a hundred million times too long. See
# it happen to a gradient that is always 1, and see a larger eps cure it:

# %%
for eps in (1e-8, 0.1):
    path = walk(lambda params, e=eps: optim.RMSprop(params, lr=0.01, eps=e, centered=True), np.ones(4000))
    print(f"eps {eps}: step 10 is {path[9] - path[10]:.3g} long, step 4000 {path[-2] - path[-1]:.3g}")
assert path[-2] - path[-1] < 0.11  # lr / eps

# %% [markdown]
# That is why recipes with `centered=True` come with a large eps. The network that learned to play Atari games (Mnih et
# al., Nature, 2015) had 0.01, inside the root.
#
# ## Real data
#
# 178 wines of one region of Italy, 13 measurements each, three sorts of grape. One measurement, proline, has a spread
# of 314, another, the hue, of 0.23: a ravine. We subtract the means, leave the sizes as they are, and let your class
# and SGD learn which sort a wine was made from, each with three rates, in mini-batches of 32. (Data: S. Aeberhard and
# M. Forina, *Wine*, UCI Machine Learning Repository, 1991, in the copy that scikit-learn carries.)

# %%
measured, sort = load_wine(return_X_y=True)
wines = lucidlite.tensor(measured - measured.mean(axis=0), dtype="float32")
sorts = lucidlite.tensor(sort)
loss_of = nn.CrossEntropyLoss()


def learn(make, seed=0):
    """The loss on all wines after each of 40 epochs."""
    lucidlite.random.seed(seed)
    model = nn.Linear(13, 3)
    optimizer, curve = make(model.parameters()), []
    loader = data.DataLoader(data.TensorDataset(wines, sorts), batch_size=32, shuffle=True)
    for _ in range(40):
        for some, truth in loader:
            optimizer.zero_grad()
            loss_of(model(some), truth).backward()
            optimizer.step()
        curve.append(loss_of(model(wines), sorts).item())
    return curve


curves = {f"SGD, lr {lr}": learn(lambda params, r=lr: optim.SGD(params, lr=r)) for lr in (1e-5, 1e-4, 1e-3)}
curves |= {f"MyRMSprop, lr {lr}": learn(lambda params, r=lr: MyRMSprop(params, lr=r)) for lr in (0.003, 0.01, 0.03)}
best = {name: min(np.mean(curve[-5:]) for key, curve in curves.items() if name in key) for name in ("SGD", "MyRMSprop")}
print(f"mean loss of the last 5 epochs, at the best rate: SGD {best['SGD']:.2f}, MyRMSprop {best['MyRMSprop']:.2f}")
assert best["MyRMSprop"] < 0.2 < 0.4 < best["SGD"]

# %%
# Picture: Loss by epoch: three curves of SGD stay above one half, three of RMSprop fall below a tenth, with spikes.
figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
for name, curve in curves.items():
    axes.semilogy(range(1, 41), curve, "--" if "SGD" in name else "-", label=name)
axes.set(xlabel="epoch", ylabel="loss", ylim=(0.02, 200))
axes.legend(ncols=3, loc="upper right")
show(figure, "wine")

# %% [markdown]
# The spikes are the price of a rate that stays the same to the end; lesson 8 is about that. And to be fair to SGD:
# divide each measurement by its spread, and with lr = 0.1 it gets below 0.1 as well. For inputs, do that. But for the
# inputs of the second layer, the third, the tenth, nobody can do it beforehand. RMSprop does it on the way.
#
# ## Summary
#
# Rprop follows signs, so that the sizes of gradients do not matter; but a sign is a gradient divided by a number that
# differs from one mini-batch to the next, and the quotients no longer add up to 0. RMSprop divides by the root of a
# running mean of squares, which changes slowly. alpha says how slowly, at the price of long first steps; eps says which
# gradients are too small to be magnified; centered divides by the standard deviation, is bold where gradients agree,
# and needs a larger eps. All of it is three lines, and you can prove that each computes its formula.
#
# ## Read on
#
# - G. Hinton, N. Srivastava, K. Swersky, *Neural Networks for Machine Learning*, lecture 6e, 2012: the ten gradients
#   and the formula.
# - M. Riedmiller, H. Braun, *A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm*, ICNN
#   1993.
# - A. Graves, *Generating Sequences With Recurrent Neural Networks*, arXiv:1308.0850, 2013, equations 38 to 45:
#   centered, with momentum.
# - [RMSprop](../rmsprop.md): lucidlite's own, with all its switches and nineteen dialects.
# - [Rprop](../algorithms/rprop.md) line by line.
