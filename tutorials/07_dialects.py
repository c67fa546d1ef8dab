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
# # One name, many algorithms
#
# You read a paper. It says: "We trained with RMSprop, learning rate 0.045, decay 0.9, momentum 0.9, epsilon 1.0." You
# type that into your framework, and get another result. Nobody made a mistake: the two programs that say RMSprop do
# not compute the same thing. In this lesson you find out what they compute, from numbers that one of them left behind.
#
# **You will**
#
# - try to reproduce a run of TensorFlow 1 with another system's rule, and see it fail;
# - find the three places where RMSprops differ: eps, the learning rate, and where the mean starts;
# - see a network that learns under one rule and stands still under the other;
# - reproduce the run exactly, and recognise a rule by its footprints.
#
# Time in class: 45 minutes. Before it: lesson 3, RMSprop line by line. It needs `pip install lucidlite[tutorials]`,
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
from sklearn.datasets import load_digits

import lucidlite
from lucidlite import data, nn
from lucidlite.optim import RMSprop


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/07_dialects").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/07_dialects/{name}.png", dpi=150)


# %% [markdown]
# ## Numbers that TensorFlow left behind
#
# Two weights, six gradients, and where the weights were after each step. TensorFlow 1.15.5 computed this on a real
# machine, with `RMSPropOptimizer(0.045, decay=0.9, momentum=0.9, epsilon=1.0)`: the settings that people copy for
# Inception (the paper, Szegedy and others, 2015, has them without the momentum). The rate is written as TensorFlow
# rounds it, to float32.

# %%
LR = 0.04500000178813934
START = [-0.8475155145647386, 0.06854253280286053]
GRADIENTS = np.array([
    [0.37472156691094216, -2.141918401849568],
    [-1.5266507581422224, -1.2814838301773412],
    [-1.3913786210268402, 2.2880827576614515],
    [-0.21642000060929523, 0.8194756922830457],
    [0.06067046202245689, 0.5485719488975198],
    [-0.9938349613568105, -1.0681539514065332],
])  # fmt: skip
RECORDED = np.array([
    [-0.8597038818076406, 0.13130089506203274],
    [-0.822758359836997, 0.2251074251918697],
    [-0.7467439002870392, 0.24769008328050213],
    [-0.671502306604346, 0.24541218299427145],
    [-0.605749582271448, 0.22782940165008558],
    [-0.5144356226451753, 0.2424824801461931],
])  # fmt: skip


def run(optimizer, w, gradients=GRADIENTS):
    """Where the weights are after each step."""
    path = []
    for g in gradients:
        w.grad = g
        optimizer.step()
        path.append(w.numpy().copy())
    return np.array(path)


def weights(start=START):
    return lucidlite.Parameter(start, dtype="float64")


# %% [markdown]
# ## The failure
#
# The same four numbers go into the rule of PyTorch, which is also lucidlite's default. This will not reproduce the run.

# %%
w = weights()
ours = run(RMSprop([w], lr=LR, alpha=0.9, eps=1.0, momentum=0.9), w)
print("largest difference:", abs(ours - RECORDED).max().round(3))
assert abs(ours - RECORDED).max() > 0.03

# %%
# Picture: Two weights over six steps. PyTorch's rule and the recorded run of TensorFlow part at the first step.
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
steps = range(7)
for i in range(2):
    axes.plot(steps, [START[i], *RECORDED[:, i]], "o-", color="C0", label="TensorFlow 1, recorded" if i == 0 else None)
    axes.plot(steps, [START[i], *ours[:, i]], "x--", color="C1", label="PyTorch's rule" if i == 0 else None)
axes.set(xlabel="step", ylabel="weight")
axes.legend()
show(figure, "failure")

# %% [markdown]
# Look at the first step of the first weight. Its gradient is g = 0.3747, the momentum's buffer is still empty, and it
# moved by 0.0122. Can you get that number?

# %%
g, moved = GRADIENTS[0, 0], START[0] - RECORDED[0, 0]
v = 0.1 * g**2
print("moved:                          ", round(moved, 5))
print("lr g / (sqrt(v) + eps), v = 0.1 g²:", round(LR * g / (v**0.5 + 1), 5))
print("lr g / sqrt(v + eps),   v = 0.1 g²:", round(LR * g / (v + 1) ** 0.5, 5))
v = 0.9 + 0.1 * g**2
print("lr g / sqrt(v + eps),   v from 1:  ", round(LR * g / (v + 1) ** 0.5, 5))

# %% [markdown]
# The last one fits. So there were two differences in one step: **eps stands inside the root**, and **the mean of the
# squares starts at 1**, not at 0. Neither is in the paper, and neither is an argument of TensorFlow.
#
# ## First place: eps
#
# A gradient g that stays the same for long gives v = g², and a step of
#
# $$\gamma \frac{g}{\sqrt{v} + \varepsilon} \quad\text{(outside)} \qquad\text{or}\qquad
# \gamma \frac{g}{\sqrt{v + \varepsilon}} \quad\text{(inside).}$$
#
# RMSprop's promise is that the size of the gradient does not matter. eps is where the promise ends.

# %%
# Picture: The length of a step against the size of the gradient: with eps inside it falls from 1e-4, outside from 1e-8.
sizes = np.logspace(-11, 0, 200)
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, step in (("outside", sizes / (sizes + 1e-8)), ("inside", sizes / np.sqrt(sizes**2 + 1e-8))):
    axes.semilogx(sizes, step, label=f"eps = 1e-8 {name} the root")
axes.set(xlabel="size of the gradient", ylabel="length of the step / lr")
axes.legend()
show(figure, "eps")

# %% [markdown]
# The same 1e-8 ends the promise at 1e-8 in one system and at the root of it, 1e-4, in the other. Are gradients that
# small? Divide a loss by a thousand, as a mean over many outputs does, and they are. Here the digits
# of lesson 4 are learned twice with the loss divided by 10,000: RMSprop should not care.

# %%
images, labels = load_digits(return_X_y=True)
digits = data.TensorDataset(lucidlite.tensor(images / 16, dtype="float32"), lucidlite.tensor(labels))


def learn(dialect, scale, epochs=10):
    """The accuracy on all digits after a few epochs, with the loss multiplied by `scale`."""
    lucidlite.random.seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = RMSprop.like(dialect, model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for x, y in data.DataLoader(digits, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            (scale * nn.functional.cross_entropy(model(x), y)).backward()
            optimizer.step()
    x, y = digits[:]
    return (model(x).argmax(axis=1) == y).mean().item()


accuracy = {(name, scale): learn(name, scale) for name in ("torch", "keras") for scale in (1, 1e-4)}
for (name, scale), found in accuracy.items():
    print(f"{name:6} loss times {scale:<6g} accuracy {found:.3f}")
assert min(accuracy["torch", 1], accuracy["torch", 1e-4], accuracy["keras", 1]) > 0.8
assert accuracy["keras", 1e-4] < 0.5

# %% [markdown]
# Keras has eps = 1e-7 inside the root. With small gradients all that remains of RMSprop is gradient descent, with a
# tiny rate. The cure is an eps that fits the gradients, or a loss of usual size.
#
# ## Second place: the learning rate
#
# With momentum there is a buffer b. Is lr outside, `w = w - lr * b`, or inside, `b = momentum * b + lr * g / sqrt(v)`?
# While lr is constant that is the same. When a schedule lowers it, the first slows down at once; the second keeps
# rolling with the speed it had.

# %%
# Picture: A weight that is pushed steadily; after 20 steps lr falls to a hundredth. With lr outside it stops at once.
pushes = np.ones((60, 1))
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
rolled = {}
for name, inside in (("outside", False), ("inside", True)):
    w = weights([0.0])
    optimizer = RMSprop([w], lr=0.01, momentum=0.95, initial_scale=1.0, lr_in_momentum=inside)
    path = run(optimizer, w, pushes[:20])
    optimizer.param_groups[0]["lr"] = 0.0001
    path = np.concatenate([path, run(optimizer, w, pushes[20:])])
    rolled[name] = abs(path[-1, 0] - path[19, 0])
    axes.plot(path, label=f"lr {name} the buffer")
axes.axvline(20, linewidth=0.8, linestyle=":")
axes.set(xlabel="step", ylabel="weight")
axes.legend()
show(figure, "rate")
print({name: round(float(x), 3) for name, x in rolled.items()}, "after lr had fallen")
assert rolled["inside"] > 5 * rolled["outside"]

# %% [markdown]
# ## Third place: where the mean starts
#
# From 0, v knows one gradient only after the first step: v = (1 - alpha) g², so the step has the length
# lr / √(1 - alpha), whatever g is: ten times lr for alpha = 0.99. From 1, v is far too large for small gradients, and
# the first steps are careful: about lr times g. It takes hundreds of steps, here more than a
# thousand, until the two agree.

# %%
for name, start in (("torch", 0.0), ("tf1", 1.0)):
    assert RMSprop.dialects()[name].settings["initial_scale"] == start
    w = weights([0.0])
    path = run(RMSprop([w], lr=0.01, alpha=0.99, initial_scale=start), w, [[0.001]] * 3)
    print(f"v starts at {start:g}: the first steps are", np.diff([0, *path[:, 0]]).round(6).tolist())

# %% [markdown]
# ## All of them
#
# `RMSprop.dialects()` is the table of what is known: nineteen rules, sixteen of them from systems that were run.

# %%
print(RMSprop.dialects())

# %% [markdown]
# `compare` takes two of them along the same gradients. `differences` has the two values of each setting that differs;
# `drift` is how far the paths go apart.

# %%
print(RMSprop.compare("torch", "tf1", momentum=0.9))

# %% [markdown]
# ## The cure
#
# `RMSprop.like` takes a system's defaults and switches, and its own names for the arguments. Now the recorded run comes
# out, to the last digit or two.

# %%
w = weights()
again = run(RMSprop.like("tf1", [w], learning_rate=LR, decay=0.9, momentum=0.9, epsilon=1.0), w)
print("largest difference:", abs(again - RECORDED).max())
assert abs(again - RECORDED).max() < 1e-14

# %% [markdown]
# ## Exercise 1: the first step
#
# Write how far a weight moves in its first step, for a gradient g, without momentum: with eps inside or outside the
# root, and with v starting at `start`. Right is what agrees with lucidlite's RMSprop for all combinations.


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
        return np.shape(value) == np.shape(expected) and np.allclose(value, expected, rtol=1e-9, atol=1e-15)
    except (TypeError, ValueError):
        return False


def check_first_step(answer):
    lr, alpha, eps = 0.1, 0.9, 0.01
    for g in (0.5, -2.0):
        for inside in (False, True):
            for start in (0.0, 1.0):
                w = weights([0.0])
                settings = {"alpha": alpha, "eps": eps, "eps_in_sqrt": inside, "initial_scale": start}
                expected = abs(run(RMSprop([w], lr=lr, **settings), w, [[g]])[0, 0])
                value, problem = attempt(answer, g, lr, alpha, eps, inside, start)
                case = f"first_step({g}, {lr}, {alpha}, {eps}, inside={inside}, start={start})"
                if problem:
                    return said(f"{case}: {problem}. It should return a number")
                divided = lambda v, inside=inside, g=g: lr * abs(g) / ((v + eps) ** 0.5 if inside else v**0.5 + eps)
                v, new = alpha * start + (1 - alpha) * g * g, (1 - alpha) * g * g
                hints = [
                    (divided(v, not inside), "eps is on the wrong side of the root"),
                    (lr * abs(g) / (v + eps), "Take the root of v"),
                    (-expected, "How far it moves is a length: take abs(g), or of the result"),
                    (
                        divided(new),
                        "The start of v is lost: v is alpha times the start plus (1 - alpha) times the square",
                    ),
                    (divided(start + g * g), "v is a mean: the start counts alpha, the new square 1 - alpha"),
                    (divided(abs(alpha * start + (1 - alpha) * g)), "Square the gradient"),
                    (expected / lr, "Multiply by lr"),
                ]
                if not close(value, expected):
                    hint = next((hint for wrong, hint in hints if close(value, wrong)), "Compute v first, on paper")
                    return said(f"{case} is {expected:.6g}, yours gives {value!r}. {hint}")
    return said("", "two places for eps, two starts: PyTorch, Keras and TensorFlow 1 are three of the four")


# %% tags=["exercise"]
def first_step(g, lr, alpha, eps, inside, start):
    """The length of the first step; `inside` says where eps stands, `start` is v before it."""
    return ...


# %%
check_first_step(first_step)


# %% tags=["solution"]
def first_step(g, lr, alpha, eps, inside, start):
    v = alpha * start + (1 - alpha) * g**2
    divisor = (v + eps) ** 0.5 if inside else v**0.5 + eps
    return lr * abs(g) / divisor


assert check_first_step(first_step)

# %% [markdown]
# ## Exercise 2: TensorFlow's rule, by hand
#
# Without `like`: which settings of lucidlite's `RMSprop` are TensorFlow 1's rule? Return a dict for
# `RMSprop([w], lr=0.045, alpha=0.9, momentum=0.9, eps=1.0, **settings)`. Three switches are needed. In the recorded run
# lr never changes, so the check lets it fall in the middle, as the paper did, to 0.94 every two epochs.


# %% tags=["check"]
def check_tensorflow(answer):
    settings, problem = attempt(answer)
    if problem or not isinstance(settings, dict):
        return said(f"{problem or f'it returns {settings!r}'}. Return a dict of switches")

    def path(**settings):
        w = weights()
        optimizer = RMSprop([w], lr=0.045, **settings)
        first = run(optimizer, w, GRADIENTS[:3])
        optimizer.param_groups[0]["lr"] = 0.0045
        return np.concatenate([first, run(optimizer, w, GRADIENTS[3:])])

    common = {"alpha": 0.9, "momentum": 0.9, "eps": 1.0}
    wanted = {"eps_in_sqrt": True, "lr_in_momentum": True, "initial_scale": 1.0}
    found, problem = attempt(lambda: path(**common | settings))
    if problem:
        return said(f"{problem}. The switches are eps_in_sqrt, lr_in_momentum and initial_scale")
    why = {
        "eps_in_sqrt": "The very first step is wrong already: where does eps stand",
        "initial_scale": "The first step is too long: v does not start at 0 in TensorFlow 1",
        "lr_in_momentum": "All is well until lr falls; then TensorFlow keeps rolling: where is its lr",
    }
    for name in ("eps_in_sqrt", "initial_scale", "lr_in_momentum"):
        if settings.get(name, 0) != wanted[name]:
            apart = abs(found - path(**common | wanted)).max()
            return said(f"with {settings} the paths are up to {apart:.2g} apart. {why[name]}")
    if not close(found, path(**common | wanted)):
        return said(f"{settings} holds one setting too many; three are enough")
    return said("", "eps inside, lr inside, and a mean that starts at 1: that is what TensorFlow ran")


# %% tags=["exercise"]
def tensorflow():
    """The switches of RMSprop that make it TensorFlow 1's."""
    return {"nesterov": True}


# %%
check_tensorflow(tensorflow)


# %% tags=["solution"]
def tensorflow():
    return {"eps_in_sqrt": True, "lr_in_momentum": True, "initial_scale": 1.0}


assert check_tensorflow(tensorflow)

# %% [markdown]
# ## Exercise 3: whose footprints are these?
#
# Somebody trained with `RMSprop(lr=0.01)`, all else by default, and kept the gradients and the path. Which systems can
# it have been? Return the names of **all** dialects that leave this path, of those given. `footprints(name, gradients)`
# is the path that a dialect leaves.


# %% tags=["check"]
SUSPECTS = ["torch", "lucid", "lucid2", "keras", "tf1", "optax", "oneflow", "mlx", "chainer", "jax-example", "paddle"]
CLUES = np.random.default_rng(7).normal(size=(8, 3)) * [1.0, 1e-3, 1e-6]


def footprints(name, gradients):
    w = weights([0.0, 0.0, 0.0])
    return run(RMSprop.like(name, [w], lr=0.01), w, gradients)


def check_detect(answer):
    for guilty in ("mlx", "tf1", "optax"):
        path = footprints(guilty, CLUES)
        expected = [name for name in SUSPECTS if abs(footprints(name, CLUES) - path).max() < 1e-12]
        names, problem = attempt(answer, CLUES, path)
        if problem or not isinstance(names, (list, set, tuple)):
            return said(f"{problem or f'it returns {names!r}'}. Return a list of names")
        names = list(names)
        missing, innocent = [n for n in expected if n not in names], [n for n in names if n not in expected]
        if innocent:
            apart = abs(footprints(innocent[0], CLUES) - path)
            where = f"off by {apart[0].max():.1g} at the first step, by {apart.max():.1g} later"
            return said(f"{innocent[0]} is named, but {where}. Compare all steps and all weights, to 1e-12")
        if missing:
            return said(f"{missing} leave the same path and are not named. Do not stop at the first, and take abs()")
    return said("", "some systems cannot be told apart by default: mlx, chainer, lucid and PyTorch compute the same")


# %% tags=["exercise"]
def detect(gradients, path):
    """The names of all suspects that leave this path."""
    return [name for name in SUSPECTS if abs(footprints(name, gradients)[0, 0] - path[0, 0]) < 0.01]


# %%
check_detect(detect)


# %% tags=["solution"]
def detect(gradients, path):
    return [name for name in SUSPECTS if abs(footprints(name, gradients) - path).max() < 1e-12]


assert check_detect(detect)

# %% [markdown]
# ## Summary
#
# RMSprop is a slide, not a standard: it left open where eps stands, where lr stands, and where the mean starts, and
# every system filled the gaps in its own way. The name and four numbers do not describe a run. To reproduce one, say
# which system's rule it was, and check the first step by hand. `RMSprop.like(name, params)` takes the rule,
# `RMSprop.compare` measures what the difference is worth.
#
# ## Read on
#
# - [RMSprop and its dialects](../rmsprop.md): the table, what each system's page says against what its code does, and
#   recipes of well-known papers.
# - Szegedy and others, *Rethinking the Inception Architecture*, arXiv:1512.00567, section 8: the settings used here.
# - [optax#532](https://github.com/google-deepmind/optax/issues/532) and
#   [stable-baselines3#110](https://github.com/DLR-RM/stable-baselines3/pull/110): two teams that met the difference.
