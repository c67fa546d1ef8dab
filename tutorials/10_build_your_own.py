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
# # Build your own
#
# A framework is finished when you can add to it what its authors did not think of. In this lesson you add an
# operation and an optimizer, have both checked by a machine, and then do something that needs second derivatives
# through an optimizer: you let gradient descent find the learning rate.
#
# **You will**
#
# - write an op: a forward, and a rule for its gradient;
# - break the rule, and see the check notice;
# - use second derivatives to jump to a minimum;
# - write an optimizer whose every line is held against its formula;
# - differentiate through a training with RMSprop, and learn the learning rate.
#
# Time in class: 60 minutes. Before it: lessons 1 and 3. It needs `pip install lucidlite[tutorials]`, nothing else.

# %%
import sys
from pathlib import Path

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt
import numpy as np

import lucidlite
from lucidlite import formulas, optim


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/10_build_your_own").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/10_build_your_own/{name}.png", dpi=150)


# %% [markdown]
# ## An op
#
# An op is a function on arrays. *Softsign* squeezes every number into (-1, 1), as tanh does, but it approaches its ends
# slowly:
#
# $$y = \frac{x}{1 + |x|} \qquad \frac{dy}{dx} = \frac{1}{(1 + |x|)^2}$$
#
# The decorator makes it an op; `defgrad` gives it a rule. The rule gets `g`, the gradient of the loss with respect to
# the result, and whatever else it names: here the input `a`.


# %%
@lucidlite.op
def softsign(a):
    return a / (1 + abs(a))


lucidlite.defgrad(softsign, a=lambda g, a: g / (1 + abs(a)))

x = lucidlite.tensor([-2.0, 0.0, 3.0], requires_grad=True)
softsign(x).sum().backward()
print("values:   ", softsign(x).numpy().round(4))
print("gradients:", x.grad.round(4))

# %% [markdown]
# It runs, and nothing complains. But look at the rule again: **it is wrong**, the square is missing. Such a mistake
# does not crash. It trains, a little worse than it should, and you never learn why. This is what `gradcheck` is for: it
# moves each input a little to both sides, and compares.

# %%
try:
    lucidlite.gradcheck(softsign, x)
    raise AssertionError("the mistake was not noticed")
except ValueError as error:
    print(error)

# %% [markdown]
# Which ratio do the two numbers have? At x = -2 it is 3, which is 1 + |x|: the factor that is missing. The cure, and
# with `order=2` the gradient of the gradient is checked as well:

# %%
lucidlite.defgrad(softsign, a=lambda g, a: g / (1 + abs(a)) ** 2)
print(lucidlite.gradcheck(softsign, x, order=2))
assert lucidlite.gradcheck(softsign, x, order=2)

# %% [markdown]
# Why does the second derivative work, without another line? A backward pass calls the rule with arrays. With
# `create_graph=True` it calls it with Tensors, and then `/`, `abs` and `**` are ops themselves, which record what they
# do. That is also why rules are written with operators and functions of lucidlite, and not of NumPy.
#
# ## Second derivatives at work
#
# The first derivative says where downhill is, the second how the slope itself changes. Newton's method divides one by
# the other, and needs no learning rate:
#
# $$x_t = x_{t-1} - \frac{f'(x_{t-1})}{f''(x_{t-1})}$$


# %%
def f(x):
    return lucidlite.exp(x) - 2 * x  # its minimum is at log 2


def newton(x):
    slope = lucidlite.grad(f(x), x, create_graph=True)
    curvature = lucidlite.grad(slope, x)
    return x.item() - slope.item() / curvature.item()


def descend(x, lr=0.1):
    return x.item() - lr * lucidlite.grad(f(x), x).item()


errors = {"Newton": [], "gradient descent": []}
for name, move in (("Newton", newton), ("gradient descent", descend)):
    place = 2.0
    for _ in range(8):
        place = move(lucidlite.tensor(place, requires_grad=True, dtype="float64"))
        errors[name].append(abs(place - np.log(2)))
    print(f"{name}: {errors[name][4]:.1e} away after 5 steps, {errors[name][-1]:.1e} after 8")
assert errors["Newton"][-1] < 1e-12 < 1e-3 < errors["gradient descent"][-1]

# %%
# Picture: Distance from the minimum, on a logarithmic scale: gradient descent along a line, Newton ever faster down.
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, found in errors.items():
    axes.semilogy(range(1, 9), np.maximum(found, 1e-17), "o-", label=name)
axes.set(xlabel="step", ylabel="distance from the minimum")
axes.legend()
show(figure, "newton")

# %% [markdown]
# ## Exercise 1: a rule
#
# $y = \log \cosh x$ is a loss like the square near 0 and like the absolute value far away. Write its rule: from `g` and
# the input `a` to the gradient of the input. Right is what agrees with differences, in first and second order.


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
        return np.shape(value) == np.shape(expected) and np.allclose(value, expected, rtol=1e-6, atol=1e-9)
    except (TypeError, ValueError):
        return False


def check_log_cosh_rule(answer):
    g, a = np.array([2.0, -1.0, 0.5]), np.array([0.3, -1.2, 2.0])
    value, problem = attempt(answer, g, a)
    if problem:
        return said(f"log_cosh_rule({g}, {a}): {problem}. It should return an array like g")
    t, expected = np.tanh(a), g * np.tanh(a)
    hints = [
        (t, "g is lost: the chain rule multiplies the derivative by what arrives"),
        (g * (1 - t * t), "That is the derivative of tanh. That of log cosh is tanh itself"),
        (g / np.cosh(a), "The derivative of log u is u' / u, and that of cosh is sinh"),
        (g * np.sinh(a), "Divide by cosh: the derivative of log u is u' / u"),
        (g / t, "Upside down: sinh / cosh is tanh"),
        (-expected, "The sign is wrong: the derivative of cosh is +sinh"),
    ]
    if not close(value, expected):
        hint = next((hint for wrong, hint in hints if close(value, wrong)), "Differentiate log(cosh x) on paper")
        return said(f"for g = {g} and a = {a} yours gives {value}, it should be {expected.round(4)}. {hint}")
    log_cosh = lucidlite.op(lambda a: np.log(np.cosh(a)))
    _, problem = attempt(
        lambda: lucidlite.gradcheck(lucidlite.defgrad(log_cosh, a=answer), lucidlite.tensor(a), order=2)
    )
    if problem:
        return said(f"first derivatives are right, second ones are not: {problem}. Use lucidlite.tanh, not NumPy's")
    return said("", "tanh, the slope of log cosh, never exceeds 1: no outlier can shout")


# %% tags=["exercise"]
def log_cosh_rule(g, a):
    """The gradient of a, where g is that of log(cosh(a))."""
    return ...


# %%
check_log_cosh_rule(log_cosh_rule)


# %% tags=["solution"]
def log_cosh_rule(g, a):
    return g * lucidlite.tanh(a)


assert check_log_cosh_rule(log_cosh_rule)

# %% [markdown]
# ## An optimizer
#
# An optimizer is a *rule* too, a pure one: from the old values to the new ones. Write the formulas into the docstring,
# numbered; say in one sentence what the letters are in the code; and end the line that computes a formula with its
# number. Here is one that follows the sign of a mean of the gradients.


# %%
class SignedMomentum(optim.Optimizer):
    r"""Follow the sign of a mean of the gradients: every element moves by lr.

        (1)  m_t = β m_{t-1} + (1 - β) ∇f_t
        (2)  s_t = \operatorname{sign}(m_t)
        (3)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, ∇f is `g`, γ is `lr` and β is `beta`. The state is `exp_avg` (m).
    """

    state_names = ("exp_avg",)

    def __init__(self, params, lr: float = 0.01, beta: float = 0.9):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def signed_momentum(p, g, m, lr, beta, rest_beta):
            m = beta * m + rest_beta * g  # (1)
            s = math.sign(m)  # (2)
            p = p - lr * s  # (3)
            return p, m

        return signed_momentum


report = formulas.check(SignedMomentum)
print(report)
assert len(report.rows) == 3

# %% [markdown]
# `rest_beta` is 1 - beta, computed once outside the rule. Groups, checked hyperparameters, saved state, a kernel on a
# GPU: all that comes from the base class. This one trains at once:

# %%
w = lucidlite.Parameter([3.0, -2.0])
optimizer = SignedMomentum([w], lr=0.05)
for _ in range(80):
    optimizer.zero_grad()
    (w * w).sum().backward()
    optimizer.step()
print("after 80 steps:", w.numpy().round(3))
assert abs(w.numpy()).max() < 0.6

# %% [markdown]
# ## Exercise 2: AdaBelief
#
# RMSprop divides by the size of the gradients. AdaBelief (Zhuang and others, 2020) divides by how far they were from
# what was expected: where the gradient is as the mean predicted, it believes it and takes long steps. Here it is
# without corrections for the start:
#
# $$m_t = \beta m_{t-1} + (1 - \beta) g_t \qquad s_t = \alpha s_{t-1} + (1 - \alpha) (g_t - m_t)^2 \qquad
# \theta_t = \theta_{t-1} - \gamma \frac{m_t}{\sqrt{s_t} + \varepsilon}$$
#
# The formulas stand in the docstring. Complete the three lines; `formulas.check` looks at each.


# %% tags=["check"]
def check_AdaBelief(answer):
    report, problem = attempt(formulas.check, answer)
    if problem:
        hint = "Mend that first"
        for part, said_of_it in {
            "compute (1)": "The old mean keeps beta, the new gradient gets rest_beta, and the result goes back into m",
            "compute (2)": "It is the square of g - m, with the m that (1) has just computed",
            "compute (3)": "Outside the root stands eps, above the line stands m, and the sign is minus",
            "'sqrt' is not": "Write math.sqrt: math is what the rule was given",
            "no tag": "Put the number back, as a comment at the end of the line",
            "never checked": "Some tagged line did not run",
            "before (1)": "(2) needs the new mean: compute (1) first",
        }.items():
            hint = said_of_it if part in problem else hint
        return said(f"{problem.removeprefix('FormulaError: ')}. {hint}")
    w, expected, m, v = lucidlite.Parameter([1.0], dtype="float64"), 1.0, 0.0, 0.0
    optimizer = answer([w], lr=0.1)
    for _ in range(3):
        w.grad = [1.0]
        _, problem = attempt(lambda: optimizer.step() or True)
        m = 0.9 * m + 0.1
        v = 0.99 * v + 0.01 * (1 - m) ** 2
        expected -= 0.1 * m / (v**0.5 + 1e-8)
    if problem or not abs(w.item() - expected) < 1e-9:
        what = problem or f"after three gradients of 1 the weight is {w.item():.4g}, not {expected:.4g}"
        return said(f"{what}. The rule has to return the new values in the order in which it got them: p, m, s")
    return said("", f"all {len(report.rows)} lines compute their formulas, and the rule returns what it should")


# %% tags=["exercise"]
class AdaBelief(optim.Optimizer):
    r"""Divide by the distance from what was expected.

        (1)  m_t = β m_{t-1} + (1 - β) ∇f_t
        (2)  s_t = α s_{t-1} + (1 - α) (∇f_t - m_t)^2
        (3)  θ_t = θ_{t-1} - γ \frac{m_t}{\sqrt{s_t} + ε}

    where θ is `p`, ∇f is `g`, γ is `lr`, β is `beta`, α is `alpha` and ε is `eps`.
    """

    state_names = ("exp_avg", "exp_avg_var")

    def __init__(self, params, lr: float = 0.01, beta: float = 0.9, alpha: float = 0.99, eps: float = 1e-8):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def adabelief(p, g, m, s, lr, beta, rest_beta, alpha, rest_alpha, eps):
            m = m  # (1)
            s = s  # (2)
            p = p  # (3)
            return p, m, s

        return adabelief


# %%
check_AdaBelief(AdaBelief)


# %% tags=["solution"]
class AdaBelief(optim.Optimizer):
    r"""Divide by the distance from what was expected.

        (1)  m_t = β m_{t-1} + (1 - β) ∇f_t
        (2)  s_t = α s_{t-1} + (1 - α) (∇f_t - m_t)^2
        (3)  θ_t = θ_{t-1} - γ \frac{m_t}{\sqrt{s_t} + ε}

    where θ is `p`, ∇f is `g`, γ is `lr`, β is `beta`, α is `alpha` and ε is `eps`.
    """

    state_names = ("exp_avg", "exp_avg_var")

    def __init__(self, params, lr: float = 0.01, beta: float = 0.9, alpha: float = 0.99, eps: float = 1e-8):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def adabelief(p, g, m, s, lr, beta, rest_beta, alpha, rest_alpha, eps):
            m = beta * m + rest_beta * g  # (1)
            s = alpha * s + rest_alpha * (g - m) ** 2  # (2)
            p = p - lr * (m / (math.sqrt(s) + eps))  # (3)
            return p, m, s

        return adabelief


assert check_AdaBelief(AdaBelief)

# %% [markdown]
# ## Learning the learning rate
#
# A step of RMSprop is made of ops. So the loss after a whole training is a differentiable function of the learning
# rate, and one can ask: had lr been a little larger, would it have ended lower? `RMSprop.functional` is one step on
# Tensors: from a value, its gradient and a state to the new value and the new state. Nothing is changed in place.


# %%
def ravine(w):
    return 0.5 * (w[0] * w[0] + 25 * w[1] * w[1])


def train(lr, steps=15):
    """The loss after a training with RMSprop, as a function of lr that can be differentiated; and the path."""
    w, state, path = lucidlite.tensor([-4.0, 1.0], requires_grad=True, dtype="float64"), {}, []
    for _ in range(steps):
        path.append(w.numpy().copy())
        g = lucidlite.grad(ravine(w), w, create_graph=True)
        w, state = optim.RMSprop.functional(w, g, state, lr=lr, alpha=0.9)
    return ravine(w), np.array([*path, w.numpy()])


lr = lucidlite.tensor(0.02, requires_grad=True, dtype="float64")
loss, _ = train(lr)
slope = lucidlite.grad(loss, lr)
h = 1e-6
difference = (train(0.02 + h)[0].item() - train(0.02 - h)[0].item()) / (2 * h)
print(f"loss {loss.item():.4f}; its slope along lr: {slope.item():.4f}, by differences {difference:.4f}")
assert abs(slope.item() - difference) < 1e-4 * abs(difference)

# %% [markdown]
# The slope is negative: a larger rate would have been better. So we go downhill, with lr as the weight. What is learned
# is its logarithm, because a rate must stay positive and because 0.01 to 0.02 is as far as 0.1 to 0.2. The outer
# optimizer is RMSprop too.

# %%
log_lr = lucidlite.Parameter(np.log(0.02))
outer = optim.RMSprop([log_lr], lr=0.05, alpha=0.9)
rates, losses = [], []
for _ in range(40):
    outer.zero_grad()
    loss, _ = train(lucidlite.exp(log_lr))
    loss.backward()
    rates.append(float(np.exp(log_lr.item())))
    losses.append(loss.item())
    outer.step()
print(f"lr {rates[0]:.3f}: loss {losses[0]:.4f};   learned lr {rates[-1]:.3f}: loss {losses[-1]:.4f}")
assert losses[-1] < 0.1 * losses[0]

# %%
# Picture: Left, the loss after training falls while the learning rate is learned; right, the paths before and after.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.semilogy(losses)
left.set(xlabel="outer step", ylabel="loss after 15 steps of training")
x, y = np.meshgrid(np.linspace(-4.5, 1.5, 100), np.linspace(-1.5, 1.5, 100))
right.contour(x, y, np.sqrt(ravine((x, y))), 10, linewidths=0.7, alpha=0.6)
for rate in (rates[0], rates[-1]):
    right.plot(*train(rate)[1].T, "o-", markersize=3, label=f"lr = {rate:.3f}")
right.legend()
show(figure, "rate")

# %% [markdown]
# This needs the memory of the whole training, since every step is part of one graph, and it looks for the best rate
# for *these* 15 steps (about 0.39; after 40 outer steps it is still on its way). For 100 steps the best is 0.07: short
# trainings like large rates. That is why nobody trains large models so, and why it is a good exercise.
#
# ## Exercise 3: one step
#
# For a single step from `w`, the slope of the new loss along lr can be written down. Compute it with
# `RMSprop.functional` and `lucidlite.grad`: return the derivative, at `lr`, of `ravine` after one step from
# `start`, with the default alpha of 0.99.


# %% tags=["check"]
def check_slope_of_rate(answer):
    for start, lr in (([-4.0, 1.0], 0.02), ([2.0, 0.5], 0.1)):

        def after(lr, start=start):
            w = lucidlite.tensor(start, requires_grad=True, dtype="float64")
            g = lucidlite.grad(ravine(w), w, create_graph=True)
            return w, g, ravine(optim.RMSprop.functional(w, g, {}, lr=lr)[0])

        h = 1e-6
        expected = (after(lr + h)[2].item() - after(lr - h)[2].item()) / (2 * h)
        value, problem = attempt(answer, start, lr)
        value = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value
        if problem:
            cure = {
                "must be a Tensor": "Make lr a Tensor with requires_grad=True, and pass it on as lr=lr",
                "'dict'": "functional returns two things: new, state = ...",
                "requires no gradient": "Make lr a Tensor with requires_grad=True, and pass it on as lr=lr",
                "no output depends": "The loss must come from the new value, the one that lr has moved",
            }
            hint = next((hint for part, hint in cure.items() if part in problem), "It should return one number")
            return said(f"slope_of_rate({start}, {lr}): {problem}. {hint}")
        w, g, loss = after(lr)
        plain = w.numpy() - lr * g.numpy()
        hints = [
            (loss.item(), "That is the loss after the step. Return its derivative with respect to lr"),
            (ravine(w).item(), "That is the loss before the step"),
            (-expected, "The sign is wrong"),
            (-(g.numpy() * [1, 25] * plain).sum(), "That is plain gradient descent's slope: take RMSprop's step"),
        ]
        if not close(value, expected):
            hint = next(
                (hint for wrong, hint in hints if close(value, wrong)), "Take one step, then the loss, then grad"
            )
            return said(f"slope_of_rate({start}, {lr}) should be {expected:.5g}, yours gives {value}. {hint}")
    return said("", "the slope says how much this one step would have gained from a larger rate")


# %% tags=["exercise"]
def slope_of_rate(start, lr):
    """d(loss after one step of RMSprop from start) / d(lr)."""
    w = lucidlite.tensor(start, requires_grad=True, dtype="float64")
    return ravine(w)


# %%
check_slope_of_rate(slope_of_rate)


# %% tags=["solution"]
def slope_of_rate(start, lr):
    w = lucidlite.tensor(start, requires_grad=True, dtype="float64")
    lr = lucidlite.tensor(lr, requires_grad=True, dtype="float64")
    g = lucidlite.grad(ravine(w), w)
    new, _ = optim.RMSprop.functional(w, g, {}, lr=lr)
    return lucidlite.grad(ravine(new), lr).item()


assert check_slope_of_rate(slope_of_rate)

# %% [markdown]
# ## Summary
#
# An op is a forward and a rule, an optimizer is a rule, and both are a few lines. What makes them trustworthy is a
# check that can fail: differences for a gradient, the formula beside the line for an update. Because a rule is written
# in plain operators, the same text runs on arrays, on a GPU and on Tensors, and on Tensors it can be differentiated
# again.
#
# ## Read on
#
# - [Write an op](../howto/new_op.md) and [Write an optimizer](../howto/new_optimizer.md): what else a rule may name.
# - Zhuang and others, *AdaBelief Optimizer*, arXiv:2010.07468, 2020.
# - Maclaurin, Duvenaud and Adams, *Gradient-based Hyperparameter Optimization through Reversible Learning*, ICML 2015;
#   Baydin and others, *Online Learning Rate Adaptation with Hypergradient Descent*, arXiv:1703.04782.
