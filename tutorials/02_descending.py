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
# # Descending
#
# A gradient tells which way is up. Learning is to go the other way, one small step after the other. In this lesson a
# line learns to fit what was measured on 442 patients. It has only two weights, so you can see the ground that it walks
# on, and see why a step can be too short, too long, and much too long.
#
# **You will**
#
# - write a training loop, and know what each of its four lines is for;
# - see what a learning rate does that is too small, good, large, and too large;
# - work out beforehand which rate is too large;
# - train on mini-batches, and see what that costs and what it saves;
# - add momentum, and cross a ravine in a fraction of the steps.
#
# Time in class: 50 minutes. Before it: lesson 1, Numbers that remember. It needs `pip install lucidlite[tutorials]`,
# nothing else.

# %%
import sys
from pathlib import Path

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

import lucidlite
from lucidlite import data, optim


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/02_descending").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/02_descending/{name}.png", dpi=150)


# %% [markdown]
# ## A line through 442 patients
#
# For each patient there is the body mass index, and a number that says how far diabetes had progressed a year later. We
# look for the line $y = w\,x + b$ that fits best: the weights are w and b, and the loss is the mean of the squared
# errors. So that the numbers are of a handy size, x counts standard deviations from the mean, and y hundreds. (Data: B.
# Efron, T. Hastie, I. Johnstone, R. Tibshirani, *Least Angle Regression*, 2004, in the copy that scikit-learn carries.)

# %%
measured, progress = load_diabetes(return_X_y=True, scaled=False)
bmi = measured[:, 2]
x = lucidlite.tensor((bmi - bmi.mean()) / bmi.std())
y = lucidlite.tensor(progress / 100)


def loss_of(weights, x=x, y=y):
    """The mean squared error of the line with the weights (w, b)."""
    return ((weights[0] * x + weights[1] - y) ** 2).mean()


print(f"{x.size} patients; the loss of w = 0, b = 0 is {loss_of(lucidlite.zeros(2)).item():.3f}")

# %% [markdown]
# ## The loop
#
# Every training in the world is this loop. **Forward**: compute the loss. **Backward**: compute its gradient. **Step**:
# move the weights a little against the gradient. **Forget**: remove the gradient, or the next one will be added to it.
# How little is "a little"? That is the learning rate, lr.

# %%
weights = lucidlite.Parameter([0.0, 0.0], dtype="float64")
for step in range(40):
    loss = loss_of(weights)  # forward
    loss.backward()  # backward
    weights.data = weights.data - 0.1 * weights.grad  # step
    weights.grad = None  # forget
    if step in (0, 1, 2, 5, 39):
        print(f"step {step:2}: loss {loss.item():.4f}")

best = np.polyfit(x.numpy(), y.numpy(), 1)
lowest = loss_of(lucidlite.tensor(best)).item()
print(f"w and b: {weights.numpy().round(3)}, by the formula for straight lines: {best.round(3)}")
assert np.allclose(weights.numpy(), best, atol=1e-3)

# %%
# Picture: A cloud of 442 points, body mass index against progress of the disease, and the rising line through them.
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
axes.plot(x.numpy(), y.numpy(), ".", markersize=4, alpha=0.6, label="a patient")
axes.plot(x.numpy(), weights.numpy()[0] * x.numpy() + weights.numpy()[1], label="the line that was learned")
axes.set(xlabel="body mass index, in standard deviations from the mean", ylabel="progress / 100")
axes.legend()
show(figure, "line")

# %% [markdown]
# ## Exercise 1: your own loop
#
# Write `train(loss_of, start, lr, steps)`: a loop as above, for any loss of a Parameter. It begins with a Parameter at
# `start`, a list of numbers, and returns the list of the losses, as plain numbers, each computed before its step. It
# counts as right when the losses are right for two functions.


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
        return np.shape(value) == np.shape(expected) and np.allclose(value, expected, rtol=1e-4, atol=1e-9)
    except (TypeError, ValueError):
        return False


def shown(value):
    try:
        return np.round(value, 4).tolist()
    except (TypeError, ValueError):
        return repr(value)


def hint_for(value, hints, otherwise):
    return next((hint for wrong, hint in hints if close(value, wrong)), otherwise)


def losses(slopes, start, lr, keep=0.0, steps=4):
    """The losses of sum(slopes * w²), where each step keeps a share of the gradients before."""
    w, total, found = np.array(start), 0.0, []
    for _ in range(steps):
        total = keep * total + 2 * slopes * w
        found.append((slopes * w * w).sum())
        w = w - lr * total
    return found


def check_train(answer):
    for slopes, start, lr in ((np.array([0.5]), [3.0], 0.1), (np.array([1.0, 2.0]), [1.0, -2.0], 0.05)):
        tensor = lucidlite.tensor(slopes, dtype="float32")
        value, problem = attempt(answer, lambda w, tensor=tensor: (tensor * w * w).sum(), list(start), lr, 4)
        if problem:
            cures = {
                "returns": "Collect loss.item() in a list and return it",
                "'NoneType'": "Call loss.backward() first",
            }
            cure = next((cure for part, cure in cures.items() if part in problem), "Begin with a Parameter")
            return said(f"train: {problem}. {cure}")
        value = [x.item() if isinstance(x, lucidlite.Tensor) else x for x in value] if type(value) is list else value
        right = losses(slopes, start, lr)
        hints = [
            (losses(slopes, start, lr, keep=1.0), "The gradients add up: remove .grad after each step"),
            (losses(slopes, start, -lr), "It climbs: take lr times the gradient away, do not add it"),
            (losses(slopes, start, 1.0), "The steps are one whole gradient long. Where is lr?"),
            (losses(slopes, start, 0.0), "The loss stays: move the weights in each round"),
            (losses(slopes, start, lr, steps=5)[1:], "These are the losses after each step. Keep those from before"),
            (right[-1], "That is the last loss alone. Return the list of all"),
        ]
        if not close(value, right):
            hint = hint_for(value, hints, "Compare it with the loop above, line by line")
            return said(f"from {start} with lr {lr} the losses are {shown(value)}, not {shown(right)}. {hint}")
    return said("", "forward, backward, step, forget, and nothing else")


# %% tags=["exercise"]
def train(loss_of, start, lr, steps):
    """The losses of a training by gradient descent."""
    weights, found = lucidlite.Parameter(start), []
    for _ in range(steps):
        found.append(loss_of(weights).item())
    return found


# %%
check_train(train)


# %% tags=["solution"]
def train(loss_of, start, lr, steps):
    """The losses of a training by gradient descent."""
    weights, found = lucidlite.Parameter(start), []
    for _ in range(steps):
        loss = loss_of(weights)
        loss.backward()
        weights.data = weights.data - lr * weights.grad
        weights.grad = None
        found.append(loss.item())
    return found


assert check_train(train)

# %% [markdown]
# ## Too small, good, too large
#
# The loss of our line is a round bowl. Here are 15 steps down into it with four rates. The last one, 1.05, will not
# work. What do you expect it to do?

# %%
rates = (0.02, 0.3, 0.95, 1.05)
paths = {}
for lr in rates:
    weights = lucidlite.Parameter([0.0, 0.0], dtype="float64")
    optimizer, paths[lr] = optim.SGD([weights], lr=lr), [[0.0, 0.0]]
    for _ in range(15):
        optimizer.zero_grad()
        loss_of(weights).backward()
        optimizer.step()
        paths[lr].append(weights.numpy().tolist())
ends = {lr: loss_of(lucidlite.tensor(path[-1])).item() - lowest for lr, path in paths.items()}
for lr, end in ends.items():
    print(f"lr {lr}: {end:.4f} above the lowest loss")
assert ends[0.3] < 1e-4 < ends[0.95] < ends[1.05] and ends[1.05] > 3

# %%
# Picture: Four bowls from above: a short path, one to the middle, one jumping across and closer, one jumping away.
figure, grid = plt.subplots(1, 4, figsize=(11, 3.2), sharex=True, sharey=True, layout="constrained")
across, up = np.meshgrid(np.linspace(-4.5, 5.5, 80), np.linspace(-4, 7, 80))
heights = (across - best[0]) ** 2 + (up - best[1]) ** 2
for axes, lr in zip(grid, rates):
    axes.contour(across, up, heights, levels=[0.1, 0.5, 1.5, 3, 6, 10, 15, 22], linewidths=0.7, alpha=0.6)
    axes.plot(*np.transpose(paths[lr]), "o-", markersize=3, linewidth=1)
    axes.set(title=f"lr = {lr}", xlabel="w", aspect="equal")
grid[0].set_ylabel("b")
show(figure, "bowl")

# %% [markdown]
# You have met `optim.SGD` in passing: an optimizer holds the weights, `step()` moves them, `zero_grad()` forgets. It
# does what your loop does.
#
# ## Why 1.05 is too much
#
# Look along one direction of the bowl. The loss is a parabola, $\frac{λ}{2}(w - w^*)^2$, with the curvature $λ$ and the
# lowest point $w^*$. Its gradient is $λ(w - w^*)$, so a step with the rate $γ$ leads to
#
# $$w_{t+1} - w^* = (1 - γ λ)\,(w_t - w^*)$$
#
# **Every step multiplies the distance by $1 - γλ$.** Between 0 and 1 the weight comes closer; below 0 it jumps to the
# other side; below -1 it jumps further out each time. So the rate must be below $2/λ$. Our bowl has $λ = 2$, and the
# limit is 1.
#
# This is the most useful picture about learning rates: how many steps until the distance is a thousandth, for each
# rate.

# %%
# Picture: The number of steps by learning rate: it falls for a long way, has its least at one half, and ends at a wall.
tried = np.concatenate([np.logspace(-2, -0.35, 25), np.linspace(0.46, 0.99, 25)])
factors = abs(1 - 2 * tried)
needed = np.log(1e-3) / np.log(np.clip(factors, 1e-9, None))
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
axes.loglog(tried, np.maximum(needed, 1))
axes.axvline(1.0, linestyle="--", linewidth=1)
axes.set(xlabel="learning rate", ylabel="steps needed", xlim=(0.01, 2.2))
axes.annotate("no number\nof steps", (1.03, 20))
show(figure, "rates")

# %% [markdown]
# To the left it is merely slow: a tenth of the rate, ten times the steps. To the right there is a wall. So a usual way
# to find a rate is to raise it until the loss explodes, and to take a third of that.
#
# ## Exercise 2: where is the wall?
#
# For the line $y = w\,x$ without b, the loss is the mean of $(w\,x_i - y_i)^2$. Write `limit(x)`: the rate above which
# gradient descent flies apart, for a NumPy array of x. Differentiate the loss twice by w to get the curvature. It
# counts as right when a rate one percent smaller arrives, and a rate one percent greater does not.


# %% tags=["check"]
def check_limit(answer):
    for x in (np.array([1.0, 2.0, 3.0, 4.0]), np.array([-1.0, 0.5, 3.0])):
        value, problem = attempt(answer, x.copy())
        case, right = f"limit({x.tolist()})", 1 / np.mean(x**2)
        hints = [
            (2 * right, "The square brings a 2 with it: the curvature is 2 mean(x²)"),
            (right / 2, "That is 1 / curvature, where one step arrives. The wall is at twice that"),
            (1 / right, "Turn it around: the steeper, the smaller the rate"),
            (2 / right, "That is the curvature. The limit is 2 divided by it"),
            (1 / np.sum(x**2), "The loss is a mean, and this is the sum: it would depend on the number of points"),
            (1 / np.mean(x) ** 2, "Square first, then take the mean"),
            (1 / np.var(x), "np.var takes the mean off first. The loss does not"),
        ]
        if problem:
            return said(f"{case}: {problem}. It should return a number")
        if not close(value, right):
            hint = hint_for(value, hints, "Differentiate twice: the curvature is 2 mean(x²)")
            return said(f"{case} is {shown(value)}, not {right:.4f}. {hint}")
        for rate, arrives in ((0.99 * right, True), (1.01 * right, False)):
            w = 1.0
            for _ in range(1000):
                w -= rate * np.mean(2 * w * x * x)
            assert (abs(w) < 1e-6) == arrives
    return said("", "the curvature is 2 mean(x²), and 2 divided by it is 1 / mean(x²)")


# %% tags=["exercise"]
def limit(x):
    """The rate above which gradient descent flies apart."""
    return ...


# %%
check_limit(limit)


# %% tags=["solution"]
def limit(x):
    """The rate above which gradient descent flies apart."""
    return 1 / np.mean(x**2)


assert check_limit(limit)

# %% [markdown]
# ## Mini-batches: many rough steps
#
# So far each step looked at all patients. Ask only 16 of them, and the gradient is rough, but it costs a twenty-eighth.
# An **epoch**, one pass over all patients, then has 28 steps in place of one. That is stochastic gradient descent, SGD.

# %%
patients = data.TensorDataset(x, y)


def descend(batch_size, lr, epochs, seed=0):
    """The loss over all patients, and the weights, after each step."""
    lucidlite.random.seed(seed)
    weights = lucidlite.Parameter([0.0, 0.0], dtype="float64")
    optimizer, path = optim.SGD([weights], lr=lr), []
    for _ in range(epochs):
        for some_x, some_y in data.DataLoader(patients, batch_size=batch_size, shuffle=True):
            optimizer.zero_grad()
            loss_of(weights, some_x, some_y).backward()
            optimizer.step()
            path.append([loss_of(weights).item(), *weights.numpy()])
    return np.array(path)


runs = {
    "all patients, lr 0.1": descend(442, 0.1, epochs=30),
    "16 patients, lr 0.1": descend(16, 0.1, epochs=30),
    "16 patients, lr 0.01": descend(16, 0.01, epochs=30),
}
for name, path in runs.items():
    after = (path[:, 0] - lowest).reshape(30, -1).mean(axis=1)  # a mean for each epoch
    print(f"{name}: {after[0]:.4f} above the lowest loss in epoch 1, {after[9]:.5f} in 10, {after[29]:.5f} in 30")

# %%
# Picture: Loss by epoch: all patients are slow and smooth, 16 at a time fast and noisy, or smooth with a small rate.
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
for name, path in runs.items():
    epochs = np.arange(1, len(path) + 1) * 30 / len(path)
    axes.semilogy(epochs, path[:, 0] - lowest, label=name)
axes.set(xlabel="epoch", ylabel="loss above the lowest")
axes.legend()
show(figure, "batches")

# %%
rough, fine = (runs[f"16 patients, lr {lr}"][-280:, 0].mean() - lowest for lr in (0.1, 0.01))
assert runs["16 patients, lr 0.1"][27, 0] < runs["all patients, lr 0.1"][0, 0]
assert rough > 3 * fine

# %% [markdown]
# The same number of patients looked at, and mini-batches are down almost at once. But they do not stay down: the
# gradient of 16 patients is not zero where that of all is, and the weights dance around the lowest point. A tenth of
# the rate makes the dance far smaller, and the way down ten times as long. Lesson 8 has both: a large rate first, then
# a small one.
#
# ## A ravine, and momentum
#
# Now measure x differently: the plain body mass index, divided by ten. Nothing has changed for the patients. But x is
# now between 1.8 and 4.2, never near 0, so a greater w can be made good by a smaller b. The bowl has become a ravine.

# %%
plain_x = lucidlite.tensor(bmi / 10)
best_plain = np.polyfit(bmi / 10, y.numpy(), 1)
curvatures = np.linalg.eigvalsh(2 * np.array([[np.mean((bmi / 10) ** 2), np.mean(bmi / 10)], [np.mean(bmi / 10), 1]]))
print(f"curvatures {curvatures.round(3)}: lr must be below {2 / curvatures[1]:.3f}")
print(f"along the floor each step then leaves {1 - 0.06 * curvatures[0]:.4f} of the way")

# %% [markdown]
# The steep walls forbid a greater rate, and along the floor the weight creeps. Think of a heavy ball: its speed across
# the ravine changes sign all the time and cancels out, its speed along the floor adds up. The speed b is a decaying sum
# of the gradients; $μ$ says how much of it is kept:
#
# $$b_t = μ\,b_{t-1} + g_t \qquad\qquad w_t = w_{t-1} - γ\,b_t$$
#
# ## Exercise 3: momentum
#
# Write `momentum_step(w, b, g, lr, mu)`: it returns the new w and the new b. It counts as right when three steps agree
# with `optim.SGD(..., momentum=mu)`.


# %% tags=["check"]
def check_momentum_step(answer):
    lr, mu, given = 0.1, 0.5, (1.0, 3.0, -2.0)

    def walk(step):
        w, b = 1.0, 0.0
        for g in given:
            w, b = step(w, b, g, lr, mu)
        return [w, b]

    value, problem = attempt(walk, answer)
    if problem:
        return said(f"momentum_step: {problem}. Return two numbers: return w, b")
    variants = [
        (lambda w, b, g, lr, mu: (w - lr * b, mu * b + g), "w moves by the old speed. Compute b first"),
        (lambda w, b, g, lr, mu: (w + lr * (b := mu * b + g), b), "It climbs. Take lr times b away from w"),
        (lambda w, b, g, lr, mu: (w - lr * (b := mu * b + (1 - mu) * g), b), "Here g counts in full, not as 1 - mu"),
        (lambda w, b, g, lr, mu: (w - (b := mu * b + g), b), "The rate is missing: take lr times b"),
        (lambda w, b, g, lr, mu: (w - lr * g, mu * b + g), "w moves by g alone. It should move by the new b"),
        (lambda w, b, g, lr, mu: (w - lr * (b := b + mu * g), b), "mu belongs to the old b, not to g"),
        (lambda w, b, g, lr, mu: (w - lr * (b := b + g), b), "Nothing slows the ball down: keep mu times the old b"),
        (lambda w, b, g, lr, mu: ((b := mu * b + g), w - lr * b), "The order is w, b"),
    ]
    w = lucidlite.Parameter([1.0], dtype="float64")
    optimizer = optim.SGD([w], lr=lr, momentum=mu)
    for g in given:
        w.grad = np.array([g])
        optimizer.step()
    right = [w.item(), optimizer.state[w]["momentum_buffer"].item()]
    if not close(value, right):
        hint = hint_for(value, [(walk(wrong), text) for wrong, text in variants], "First the new b, then w with it")
        return said(f"after three steps (w, b) is {shown(value)}, not {shown(right)}. {hint}")
    return said("", "the speed keeps mu of itself and takes the gradient in, and w moves by the new speed")


# %% tags=["exercise"]
def momentum_step(w, b, g, lr, mu):
    """The new w and the new b."""
    return w - lr * g, b


# %%
check_momentum_step(momentum_step)


# %% tags=["solution"]
def momentum_step(w, b, g, lr, mu):
    """The new w and the new b."""
    b = mu * b + g
    return w - lr * b, b


assert check_momentum_step(momentum_step)

# %% [markdown]
# In the ravine, both with the rate 0.06: how many steps until the loss stays within a ten-thousandth of the lowest?


# %%
def cross(momentum, steps=1500):
    weights = lucidlite.Parameter([0.0, 0.0], dtype="float64")
    optimizer, path = optim.SGD([weights], lr=0.06, momentum=momentum), []
    for _ in range(steps):
        path.append([loss_of(weights, plain_x).item() - lowest, *weights.numpy()])
        optimizer.zero_grad()
        loss_of(weights, plain_x).backward()
        optimizer.step()
    path = np.array(path)
    return path[: np.flatnonzero(path[:, 0] > 1e-4)[-1] + 2]


crossed = {f"momentum {momentum}": cross(momentum) for momentum in (0.0, 0.9, 0.95)}
print({name: f"{len(path) - 1} steps" for name, path in crossed.items()})
assert 5 * len(crossed["momentum 0.9"]) < len(crossed["momentum 0.0"])

# %%
# Picture: Left, a narrow ravine from above with two paths along it; right, the loss by step, far faster with momentum.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
across, up = np.meshgrid(np.linspace(-0.5, 1.8, 150), np.linspace(-2.5, 2, 150))
moved = across - best_plain[0], up - best_plain[1]
heights = moved[0] ** 2 * np.mean((bmi / 10) ** 2) + 2 * moved[0] * moved[1] * np.mean(bmi / 10) + moved[1] ** 2
left.contour(across, up, heights, levels=[0.02, 0.2, 1, 3, 7, 12], linewidths=0.7, alpha=0.6)
for name, path in crossed.items():
    if name != "momentum 0.95":
        left.plot(path[:, 1], path[:, 2], ".-", markersize=3, linewidth=0.8, label=name)
    right.loglog(path[:, 0], label=name)
left.set(xlabel="w", ylabel="b")
left.legend()
right.set(xlabel="step", ylabel="loss above the lowest")
right.legend()
show(figure, "momentum")

# %% [markdown]
# Momentum swings across the ravine at first, but it arrives in a tenth of the steps, and costs one line and one more
# number for each weight. More of it is not always better: with 0.95 the ball rolls past the goal and back. And there is
# still one rate for both directions. In the next lesson each weight gets one of its own.
#
# ## Summary
#
# Training is a loop of four lines: forward, backward, step, forget. Each step multiplies the distance from the lowest
# point by $1 - γλ$, so a small rate is slow and a rate above $2/λ$ flies apart; the steepest direction sets the limit,
# the flattest one pays for it. Mini-batches take many rough steps for the price of a smooth one, and dance around the
# goal. Momentum lets opposite steps cancel and equal ones add up, and crosses a ravine many times as fast.
#
# ## Read on
#
# - G. Goh, *Why Momentum Really Works*, Distill, 2017: the same parabola, taken much further.
# - L. Bottou, F. Curtis, J. Nocedal, *Optimization Methods for Large-Scale Machine Learning*, arXiv:1606.04838,
#   sections 3 and 4: why rough steps win.
# - I. Sutskever and others, *On the Importance of Initialization and Momentum in Deep Learning*, ICML 2013.
# - [SGD](../algorithms/sgd.md) line by line, with momentum, dampening and Nesterov's variant.
