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
# # Schedules and checkpoints
#
# A training run is long, and three questions come up in every one. Is the rate still right? Is it going well? And if
# the computer stops in the middle: can it go on as if nothing had happened? This lesson is about these questions. The
# answer to the last one will be checked to the last bit.
#
# **You will**
#
# - lower the learning rate on the way, and see what that buys;
# - write a schedule of your own, with a warm-up;
# - tell four ailments of a training run from its learning curve, and stop a run at the right time;
# - resume a run from its weights alone, see it go another way, and find everything else that must be kept.
#
# Time in class: 50 minutes. Before it: lessons 2 to 4. It needs `pip install lucidlite[tutorials]`, nothing else.

# %%
import math
import sys
import tempfile
from pathlib import Path

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

import lucidlite
from lucidlite import data, nn, optim
from lucidlite.optim import lr_scheduler


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/08_schedules_checkpoints").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/08_schedules_checkpoints/{name}.png", dpi=150)


# %% [markdown]
# ## A rate that falls
#
# The patients of lesson 2 again, 442 of them, now with all ten measurements: age, sex, body mass index, blood pressure
# and six from the blood. A linear model predicts the progress of diabetes, in hundreds. Its lowest loss can be
# computed, so that we can see how close a training comes. RMSprop trains it, in mini-batches of 16, with three constant
# rates, and once with a rate that falls along half a cosine from the greatest of them to 0.

# %%
measured, progress = load_diabetes(return_X_y=True, scaled=False)
measured = (measured - measured.mean(axis=0)) / measured.std(axis=0)
x = lucidlite.tensor(measured, dtype="float32")
y = lucidlite.tensor(progress[:, None] / 100, dtype="float32")
everyone = data.TensorDataset(x, y)
loss_of = nn.MSELoss()


def train_epoch(model, optimizer, patients, batch_size=16):
    """One pass over the patients; returns the mean loss of its batches."""
    found = []
    for some_x, some_y in data.DataLoader(patients, batch_size=batch_size, shuffle=True):
        optimizer.zero_grad()
        loss = loss_of(model(some_x), some_y)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return float(np.mean(found))


columns = np.column_stack([measured, np.ones(len(measured))])
solution = np.linalg.lstsq(columns, progress / 100, rcond=None)[0]
lowest = float(np.mean((columns @ solution - progress / 100) ** 2))


def linear(lr, cosine=False, seed=0):
    """How far the loss is above the lowest, after each of 30 epochs."""
    lucidlite.random.seed(seed)
    model = nn.Linear(10, 1)
    optimizer, curve = optim.RMSprop(model.parameters(), lr=lr), []
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, T_max=30) if cosine else None
    for _ in range(30):
        train_epoch(model, optimizer, everyone)
        if schedule:
            schedule.step()  # once for each epoch, after the optimizer's steps
        curve.append(loss_of(model(x), y).item() - lowest)
    return curve


curves = {f"lr {lr}": linear(lr) for lr in (0.0005, 0.005, 0.05)} | {"lr 0.05, cosine": linear(0.05, cosine=True)}
ends = {name: float(np.mean(curve[-3:])) for name, curve in curves.items()}
for name, end in ends.items():
    print(f"{name}: {end:.4f} above the lowest loss")
assert ends["lr 0.05, cosine"] < ends["lr 0.05"] / 5 < ends["lr 0.0005"] / 5

# %%
# Picture: Loss by epoch for four rates: small is slow, large stays noisy, and the one that falls is fast and gets low.
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
for name, curve in curves.items():
    axes.semilogy(range(1, 31), curve, "-" if "cosine" in name else "--", label=name)
axes.set(xlabel="epoch", ylabel="loss above the lowest")
axes.legend()
show(figure, "falling")

# %% [markdown]
# A large rate is fast, and then it dances: mini-batches disagree, and RMSprop's steps do not get shorter by themselves.
# A small rate is quiet and slow. The schedule has both, first the one and then the other, and nobody had to know the
# best rate beforehand, only one that is not too large.
#
# ## Schedules as functions
#
# Every schedule in lucidlite is a function of t, the number of its steps so far, and of the rate that it starts from.
# `schedule.lr(t, base)` asks it for any t, without changing anything, so a schedule can be drawn before it is used:

# %%
# Picture: Four schedules: stairs down, a straight line, half a cosine, and one that goes up before it comes down.
adjustable = optim.RMSprop([lucidlite.Parameter([0.0])], lr=0.01)
schedules = {
    "StepLR": lr_scheduler.StepLR(adjustable, step_size=10, gamma=0.3),
    "PolynomialLR": lr_scheduler.PolynomialLR(adjustable, total_iters=30),
    "CosineAnnealingLR": lr_scheduler.CosineAnnealingLR(adjustable, T_max=30),
    "OneCycleLR": lr_scheduler.OneCycleLR(adjustable, max_lr=0.01, total_steps=30, cycle_momentum=False),
}
figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
for name, schedule in schedules.items():
    axes.plot([schedule.lr(t, 0.01) for t in range(30)], ".-", label=name)
axes.set(xlabel="t", ylabel="rate")
axes.legend()
show(figure, "schedules")

# %% [markdown]
# ## Exercise 1: warm-up and cosine
#
# At the start weights are random and RMSprop's means hold few gradients: many runs begin with a **warm-up**, in which
# the rate rises to its full height. Write `factor(t, warmup, total)`, by which the rate is multiplied at step t:
#
# - for t = 0, 1, ..., warmup - 1 it rises in a line and is 1 at t = warmup - 1; it is never 0, not at t = 0 either;
# - from t = warmup, where it is 1, it falls along half a cosine, to 0 at t = total: $\frac{1 + \cos(π p)}{2}$, where p
#   is the share of the way from warmup to total.


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


def half_cosine(p):
    return (1 + math.cos(math.pi * p)) / 2


def check_factor(answer):
    for warmup, total in ((5, 25), (4, 12)):
        for t in (0, 1, warmup - 1, warmup, warmup + 2, total - 3, total):
            value, problem = attempt(answer, t, warmup, total)
            case = f"factor({t}, {warmup}, {total})"
            p = (t - warmup) / (total - warmup)
            right = (t + 1) / warmup if t < warmup else half_cosine(p)
            hints = [
                (1.0 if t < warmup else None, "The warm-up has only begun: until t = warmup - 1 the factor rises to 1"),
                (t / warmup if t < warmup else None, "That is 0 at t = 0: a step that does nothing. Count from t + 1"),
                (half_cosine(t / total), "The cosine begins at t = warmup, and its way is total - warmup long"),
                (half_cosine((t - warmup) / total), "The way from warmup to total is total - warmup long"),
                (1 + math.cos(math.pi * p), "Half of it: 1 + cos goes from 2 down to 0"),
                ((1 + math.cos(p)) / 2, "The cosine of p, or of π p? Half a wave is π long"),
                (math.cos(math.pi * p / 2), "That is a quarter of a cosine. Half of one, raised by 1, and halved"),
                (1 - p, "That is a straight line"),
                (half_cosine(p), "Until t = warmup the factor rises in a line: the cosine is not used yet"),
            ]
            if problem:
                return said(f"{case}: {problem}. It should return a number")
            if not close(value, right):
                hint = hint_for(value, hints, "Draw it for t from 0 to total, and look where it leaves the description")
                return said(f"{case} is {shown(value)}, not {right:.4f}. {hint}")
    return said("", "a line up to 1, and half a cosine down to 0")


# %% tags=["exercise"]
def factor(t, warmup, total):
    """By what the rate is multiplied at step t."""
    return 1.0


# %%
check_factor(factor)


# %% tags=["solution"]
def factor(t, warmup, total):
    """By what the rate is multiplied at step t."""
    if t < warmup:
        return (t + 1) / warmup
    return (1 + math.cos(math.pi * (t - warmup) / (total - warmup))) / 2


assert check_factor(factor)

# %% [markdown]
# `LambdaLR` makes a schedule of any such function. We shall use yours below.
#
# ## Reading a learning curve
#
# Now a network with a hidden layer, so that more can go wrong. It trains on some of the patients, and after each epoch
# its loss is measured on these and on patients that it has not seen. The two lines tell how it is doing. Four runs:


# %%
def network(train, unseen, lr, epochs, hidden, seed=0):
    """[loss on train, loss on unseen] after each epoch."""
    lucidlite.random.seed(seed)
    model = nn.Sequential(nn.Linear(10, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    optimizer, curve = optim.RMSprop(model.parameters(), lr=lr), []
    for _ in range(epochs):
        train_epoch(model, optimizer, train)
        with lucidlite.no_grad():
            curve.append([loss_of(model(x[part.indices]), y[part.indices]).item() for part in (train, unseen)])
    return np.array(curve)


most, rest = data.random_split(everyone, [300, 142], seed=0)
few, others = data.random_split(everyone, [80, 362], seed=0)
runs = {
    "A": network(most, rest, lr=0.0001, epochs=40, hidden=8),
    "B": network(most, rest, lr=0.3, epochs=40, hidden=8),
    "C": network(most, rest, lr=0.003, epochs=40, hidden=8),
    "D": network(few, others, lr=0.003, epochs=150, hidden=128),
}
for name, curve in runs.items():
    (train, unseen), lowest_at = curve[-1], int(curve[:, 1].argmin())
    print(
        f"{name}: train {train:.2f}, unseen {unseen:.2f}; at best {curve[lowest_at, 1]:.2f}, in epoch {lowest_at + 1}"
    )

# %%
# Picture: Four learning curves: one still falls, one jumps, one falls and levels out, in one the lines part.
figure, grid = plt.subplots(1, 4, figsize=(12, 3), sharey=True, layout="constrained")
for axes, (name, curve) in zip(grid, runs.items()):
    axes.semilogy(curve[:, 0], "--", label="train")
    axes.semilogy(curve[:, 1], label="unseen")
    axes.set(title=name, xlabel="epoch")
grid[0].set_ylabel("loss")
grid[0].legend()
show(figure, "curves")

# %% [markdown]
# Say what is wrong with each before you read on.
#
# | | what you see | what it means | what to do |
# | --- | --- | --- | --- |
# | A | both lines fall, slowly, to the end | the rate is too small | ten times the rate, or more epochs |
# | B | both lines jump up again and again | the rate is too large | a tenth of it, or a schedule |
# | C | both fall and level out, close together | all is well | perhaps a schedule at the end |
# | D | train falls to almost nothing, unseen rises | it learns by heart | stop early, more data, dropout |
#
# Two words of caution. The picture has a logarithmic axis; on a plain one, the first epochs would hide the rest. And
# one run is one throw of the dice: look at two more seeds before you believe a small difference.

# %%
jumps = {name: float(np.std(np.diff(curve[20:, 1]))) for name, curve in runs.items()}
assert runs["A"][-1, 1] > 2 * runs["C"][-1, 1] and jumps["B"] > 5 * jumps["C"]
assert np.median(runs["D"][-10:, 0]) < 0.1 and np.median(runs["D"][-10:, 1]) > 1.2 * runs["D"][:, 1].min()

# %% [markdown]
# ## Exercise 2: when to stop
#
# Early stopping cures D: keep the weights of the best epoch so far, and stop when `patience` epochs in a row were not
# better. Write `best_epoch(losses, patience)`: go through the list of losses from the front, stop as described, and
# return the number of the best epoch, counted from 0. What comes after the stop must not count: in a real run nobody
# knows it yet.


# %% tags=["check"]
def stopped(losses, patience, reset=True, equal=False):
    """(the best epoch, the epoch in which it stops)."""
    best, waited = 0, 0
    for t, loss in enumerate(losses):
        if t and (loss < losses[best] or (equal and loss == losses[best])):
            best, waited = t, waited * (not reset)
        elif t:
            waited += 1
        if waited == patience:
            break
    return best, t


def check_best_epoch(answer):
    for losses, patience in (
        ([5.0, 4.0, 4.5, 3.0, 3.5, 3.2, 3.1, 3.3, 1.0], 3),
        ([3.0, 2.0, 2.5, 2.4, 1.0, 1.5, 1.4, 0.9, 1.2], 3),
        ([4.0, 3.0, 3.5, 3.4, 2.0, 2.5, 2.4, 2.3, 1.0], 2),
        ([9.0, 8.0, 7.0], 2),
        ([2.0, 2.0, 2.0, 1.0], 2),
    ):
        value, problem = attempt(answer, list(losses), patience)
        right, at = stopped(losses, patience)
        rise = next((t for t in range(1, len(losses)) if losses[t] >= losses[t - 1]), len(losses))
        hints = [
            (stopped(losses, patience, equal=True)[0], "A loss that is only equal is not better"),
            (int(np.argmin(losses)), "That epoch was never reached: the run had stopped before"),
            (at, "That is the epoch in which it stops. The best one came before"),
            (rise - 1, "It stops at the first rise already. Wait for patience of them in a row"),
            (stopped(losses, patience, reset=False)[0], "Begin to count anew whenever an epoch is better"),
            (stopped(losses, patience + 1)[0], "It waits one epoch too long"),
            (losses[right], "That is the loss of the best epoch. Return its number"),
            (right + 1, "Count epochs from 0"),
        ]
        if problem:
            return said(f"best_epoch({losses}, {patience}): {problem}. It should return a whole number")
        if not close(value, right):
            hint = hint_for(value, hints, "Keep the best epoch so far, and how many have passed since")
            return said(f"best_epoch({losses}, {patience}) is {shown(value)}, not {right}. {hint}")
    return said("", "the best so far is kept, and nothing after the stop is looked at")


# %% tags=["exercise"]
def best_epoch(losses, patience):
    """The best epoch before patience epochs in a row were not better."""
    return int(np.argmin(losses))


# %%
check_best_epoch(best_epoch)


# %% tags=["solution"]
def best_epoch(losses, patience):
    """The best epoch before patience epochs in a row were not better."""
    best = 0
    for t, loss in enumerate(losses):
        if loss < losses[best]:
            best = t
        if t - best == patience:
            break
    return best


assert check_best_epoch(best_epoch)

# %%
unseen = runs["D"][:, 1].tolist()
best = best_epoch(unseen, patience=10)
late = np.median(unseen[-10:])
print(f"D: stop after epoch {best + 11}, keep epoch {best + 1}: {unseen[best]:.2f}, not {late:.2f} as in the last ten")
assert unseen[best] < 0.9 * late

# %% [markdown]
# ## A checkpoint that is not enough
#
# A run of 12 epochs, with dropout, RMSprop, your schedule. Then the same run, but after 6 epochs the power fails. All
# that was saved are the weights. We make everything anew, load them, and go on. It will not be the same run.


# %%
def begin(seed):
    """Model, optimizer and schedule, as a new process makes them."""
    lucidlite.random.seed(seed)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
    optimizer = optim.RMSprop(model.parameters(), lr=0.01)
    return model, optimizer, lr_scheduler.LambdaLR(optimizer, lambda t: factor(t, warmup=2, total=12))


def go_on(model, optimizer, schedule, epochs):
    """Train, and return the loss of each epoch."""
    found = []
    for _ in range(epochs):
        found.append(train_epoch(model, optimizer, most))
        schedule.step()
    return found


folder = tempfile.TemporaryDirectory()  # in a real run, a folder that stays
file = Path(folder.name) / "checkpoint.safetensors"

whole_run = begin(seed=0)
whole = go_on(*whole_run, epochs=12)

model, optimizer, schedule = begin(seed=0)
first_half = go_on(model, optimizer, schedule, epochs=6)
lucidlite.save(model, file)
# Here the power fails. What follows is a new process, and its random numbers begin elsewhere.
model, optimizer, schedule = begin(seed=1)
model.load_state_dict(lucidlite.load(file))
second_half = go_on(model, optimizer, schedule, epochs=6)
print(f"epoch 7: a loss of {whole[6]:.3f} in the whole run, {second_half[0]:.3f} in the one that was resumed")
assert first_half == whole[:6] and second_half[0] != whole[6]

# %%
# Picture: Training loss by epoch: the resumed run leaves the whole one at epoch 7 and stays apart from it.
figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
axes.plot(range(1, 13), whole, "o-", label="the whole run")
axes.plot(range(7, 13), second_half, "s--", label="resumed from the weights alone")
axes.set(xlabel="epoch", ylabel="training loss", ylim=(0.2, 0.8))
axes.legend()
show(figure, "resumed")

# %% [markdown]
# ## What else there is
#
# Four things change while a model trains, and only one of them is the model:
#
# - the **model**: its weights;
# - the **optimizer**: RMSprop's running means. Without them v starts at 0, and by lesson 3 the first steps are ten
#   times as long as they should be;
# - the **schedule**: its t. Without it the warm-up comes again;
# - the **random** numbers: the order of the patients, and what dropout switches off.
#
# Let us restore more and more of them, and compare the weights at the end with those of the whole run.


# %%
def keep(model, optimizer, schedule):
    """Save the four things to the file."""
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    states = {name: part.state_dict() for name, part in parts.items()}
    lucidlite.save(states | {"random": lucidlite.random.get_state()}, file)


def restore(names, model, optimizer, schedule):
    """Load those of the four that are named."""
    kept, parts = lucidlite.load(file), {"model": model, "optimizer": optimizer, "schedule": schedule}
    for name in names:
        if name == "random":
            lucidlite.random.set_state(kept[name])
        else:
            parts[name].load_state_dict(kept[name])


def difference(first, second):
    """The largest difference of two models' weights."""
    return max(float(abs(a.data - b.data).max()) for a, b in zip(first.parameters(), second.parameters()))


run = begin(seed=0)
go_on(*run, epochs=6)
keep(*run)
names, apart = [], []
for name in ("model", "optimizer", "schedule", "random"):
    names.append(name)
    run = begin(seed=1)
    restore(names, *run)
    go_on(*run, epochs=6)
    apart.append(difference(run[0], whole_run[0]))
    print(f"{' + '.join(names)}: the weights differ by {apart[-1]:.3g}")
assert apart[-1] == 0 < min(apart[:-1])

# %% [markdown]
# Zero: not small, but the same bits. A resumed run that is only nearly the same cannot be told from one with a mistake;
# one that is the same in every bit can be tested, as the line above does.
#
# One limit: this is exact between epochs. In the middle of one, the loader's place would have to be kept too.
#
# ## Exercise 3: a checkpoint
#
# Write `checkpoint(model, optimizer, schedule)`: it returns a dict with the names "model", "optimizer", "schedule" and
# "random", ready for `lucidlite.save`. It counts as right when a run that is resumed from it is the same in every bit.


# %% tags=["check"]
def check_checkpoint(answer):
    run = begin(seed=3)
    go_on(*run, epochs=1)
    kept, problem = attempt(answer, *run)
    if problem or not isinstance(kept, dict):
        return said(f"checkpoint: {problem or f'it returns {kept!r}'}. It should return a dict")
    lost = {
        "model": "Without the weights nothing is kept at all",
        "optimizer": "Without the running means the first steps are far too long",
        "schedule": "Without t the warm-up comes again",
        "random": "The next epoch would have another order. lucidlite.random.get_state() knows where the numbers are",
    }
    for name, why in lost.items():
        if name not in kept:
            return said(f'checkpoint: there is no "{name}". {why}')
    with tempfile.TemporaryDirectory() as other:
        path, problem = attempt(lucidlite.save, kept, Path(other) / "kept")
        if problem:
            return said(f"checkpoint: lucidlite.save says {problem}. Keep state_dict() of things, not the things")
        kept = lucidlite.load(path)
    go_on(*run, epochs=2)
    new = begin(seed=4)
    loads = [part.load_state_dict for part in new] + [lucidlite.random.set_state]
    for name, load in zip(lost, loads):
        _, problem = attempt(lambda load=load, name=name: load(kept[name]) or 0)
        if problem:
            cure = "lucidlite.random.get_state()" if name == "random" else f"{name}.state_dict()"
            return said(f'checkpoint: "{name}" cannot be restored: {problem[:90]} ... Keep {cure}')
    go_on(*new, epochs=2)
    apart = difference(run[0], new[0])
    if apart:
        return said(f"checkpoint: the weights differ by {apart:.3g} two epochs later. Is all of it from this moment?")
    return said("", "two epochs later the weights are the same in every bit")


# %% tags=["exercise"]
def checkpoint(model, optimizer, schedule):
    """All that is needed to go on."""
    return {"model": model.state_dict()}


# %%
check_checkpoint(checkpoint)


# %% tags=["solution"]
def checkpoint(model, optimizer, schedule):
    """All that is needed to go on."""
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "random": lucidlite.random.get_state(),
    }


assert check_checkpoint(checkpoint)

# %% [markdown]
# ## A file that can be trusted
#
# A checkpoint that was damaged on a disk is worse than none, if nobody notices. `lucidlite.load` does. We turn around a
# single bit, in the middle of the file:

# %%
blob = bytearray(file.read_bytes())
blob[len(blob) // 2] ^= 1
file.write_bytes(blob)
try:
    lucidlite.load(file)
    noticed = False
except ValueError as error:
    noticed = True
    print(str(error).replace(folder.name, "..."))
assert noticed
folder.cleanup()

# %% [markdown]
# ## Summary
#
# A schedule takes a large rate while the way is long and a small one when it is short; it is a function of t, and can
# be drawn before it is used. Two lines, one for the examples and one for what was not seen, tell a rate that is too
# small or too large, and learning by heart. A run goes on exactly where it stopped if the model, the optimizer, the
# schedule and the random numbers are kept, and exactly means in every bit.
#
# ## Read on
#
# - L. Smith, *A Disciplined Approach to Neural Network Hyper-Parameters: Part 1*, arXiv:1803.09820: reading curves.
# - I. Loshchilov, F. Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017, equation 5: the cosine.
# - L. Prechelt, *Early Stopping, But When?*, in *Neural Networks: Tricks of the Trade*, 1998.
# - [Schedules](../algorithms/schedules.md) line by line, `ReduceLROnPlateau` among them, which reads the curve itself.
