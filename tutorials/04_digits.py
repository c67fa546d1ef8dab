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
# # Handwritten digits
#
# 1,797 real digits, written by 43 people and scanned to 8 x 8 pixels: few enough to learn in seconds, real enough to
# be wrong about. A network with two hidden layers reads them, RMSprop trains it, and at the end we look at what it
# gets wrong.
#
# **You will**
#
# - train a network on mini-batches, and measure it on images that it has never seen,
# - save what is needed to go on exactly where a run ended,
# - read two learning curves, and see where a network begins to learn by heart,
# - make it learn by heart on purpose, and cure it,
# - count which digit is taken for which.
#
# Time in class: 50 minutes. Before it: lesson 3, RMSprop line by line. It needs `pip install lucidlite[tutorials]`,
# nothing else.

# %% [markdown]
# ## A script, too
#
# `python tutorials/04_digits.py --epochs 60 --lr 0.001` runs the first part of this lesson; `--help` lists the options.
# It writes two pictures and two checkpoints to `out/digits/`, and `--resume` goes on from there.

# %%
import argparse
import sys
from pathlib import Path

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from tqdm import tqdm

import lucidlite
from lucidlite import data, nn, optim

parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits.")
parser.add_argument("--optimizer", choices=["rmsprop", "sgd"], default="rmsprop")
parser.add_argument("--lr", type=float, help="learning rate; 0.001 for rmsprop, 0.1 for sgd unless given")
parser.add_argument(
    "--epochs", type=int, default=60, help="passes over the training images, those before --resume included"
)
parser.add_argument("--device", default="cpu", help="cpu, gpu, gpu:1, ...")
parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same numbers")
parser.add_argument("--resume", action="store_true", help="go on from the files of the last run")
parser.add_argument("--out", type=Path, default=Path("out/digits"), help="folder for pictures and checkpoints")
args = parser.parse_args([] if NOTEBOOK else None)
if args.epochs < 1:
    parser.error(f"--epochs is {args.epochs}; it must be at least 1")

# %% [markdown]
# ## The data
#
# Each image is 64 numbers from 0 (paper) to 16 (ink), each label the digit that the writer meant. One image in five
# is kept back: what the network has never seen tells what it has understood.
#
# They are from E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository,
# 1998, in the copy that scikit-learn carries.

# %%
try:
    lucidlite.random.seed(args.seed)
    lucidlite.zeros(1, device=args.device)
except (RuntimeError, ValueError) as error:
    sys.exit(f"{error}")

images, labels = load_digits(return_X_y=True)
digits = data.TensorDataset(lucidlite.tensor(images / 16, dtype="float32"), lucidlite.tensor(labels))
train, test = data.random_split(digits, [0.8, 0.2])
loader = data.DataLoader(train, batch_size=64, shuffle=True)

# %% [markdown]
# ## The network
#
# 64 pixels go in, 10 numbers come out: the greatest one is the answer. Dropout switches off a fifth of the hidden
# units at random while training, so that none of them can rely on another one.

# %%
model = nn.Sequential(
    nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2),
    nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.2),
    nn.Linear(64, 10),
).to(args.device)  # fmt: skip
loss_of = nn.CrossEntropyLoss()

try:
    if args.optimizer == "rmsprop":
        optimizer = optim.RMSprop(model.parameters(), lr=1e-3 if args.lr is None else args.lr)
    else:
        optimizer = optim.SGD(model.parameters(), lr=0.1 if args.lr is None else args.lr, momentum=0.9)
except ValueError as error:
    parser.error(f"--lr: {error}")

# %% [markdown]
# ## Checkpoints
#
# To go on exactly where a run ended, the weights are not enough: the optimizer's running means, the state of the
# random numbers and the curves so far belong to it too.

# %%
curves = {"train loss": [], "test loss": [], "train accuracy": [], "test accuracy": []}


def save():
    args.out.mkdir(parents=True, exist_ok=True)
    lucidlite.save(model, args.out / "model.safetensors")
    rest = {
        "name": args.optimizer,
        "optimizer": optimizer.state_dict(),
        "random": lucidlite.random.get_state(),
        "curves": curves,
    }
    lucidlite.save(rest, args.out / "optimizer.safetensors")


def resume():
    rest = lucidlite.load(args.out / "optimizer.safetensors")
    if not isinstance(rest, dict) or rest.keys() != {"name", "optimizer", "random", "curves"}:
        raise ValueError(f"{args.out / 'optimizer.safetensors'} is not from this lesson; start anew without --resume")
    if rest["name"] != args.optimizer:
        raise ValueError(
            f"the last run used {rest['name']}; say --optimizer {rest['name']}, or start anew without --resume"
        )
    model.load_state_dict(lucidlite.load(args.out / "model.safetensors"))
    optimizer.load_state_dict(rest["optimizer"])
    lucidlite.random.set_state(rest["random"])
    curves.update(rest["curves"])
    if args.lr is not None:
        optimizer.param_groups[0]["lr"] = args.lr


if args.resume:
    try:
        resume()
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"--resume: {error}")

# %% [markdown]
# ## Training
#
# For every mini-batch of 64 images: forget the old gradients, compute the loss, walk the graph backwards, take a
# step.


# %%
def whole(part):
    """All of its images and labels."""
    return next(iter(data.DataLoader(part, batch_size=len(part))))


@lucidlite.no_grad()
def measure(part):
    """Loss, accuracy and answers for a part of the data."""
    model.eval()
    pixels, truth = (x.to(args.device) for x in whole(part))
    scores = model(pixels)
    answers = scores.argmax(axis=1)
    model.train()
    return loss_of(scores, truth).item(), (answers == truth).mean().item(), answers.cpu().numpy()


epochs = range(len(curves["test loss"]), args.epochs)
if not epochs:
    print(f"nothing to train: {len(curves['test loss'])} epochs are done, --epochs asks for {args.epochs}")
for _ in (bar := tqdm(epochs, desc="training", unit="epoch", disable=None)):
    for pixels, truth in loader:
        optimizer.zero_grad()
        loss = loss_of(model(pixels.to(args.device)), truth.to(args.device))
        loss.backward()
        optimizer.step()
    for name, part in (("train", train), ("test", test)):
        part_loss, accuracy, _ = measure(part)
        curves[f"{name} loss"].append(part_loss)
        curves[f"{name} accuracy"].append(accuracy)
    bar.set_postfix_str(f"loss {curves['train loss'][-1]:.3f}, test accuracy {curves['test accuracy'][-1]:.3f}")
    save()

_, train_accuracy, _ = measure(train)
test_loss, test_accuracy, answers = measure(test)
print(f"train accuracy {train_accuracy:.4f}")
print(f"test accuracy {test_accuracy:.4f}")

# %% [markdown]
# ## What happened
#
# The loss on the training images keeps falling; on the images kept back it stops falling sooner. From there on the
# network learns its examples by heart.

# %%
# Picture: Two curves of loss and two of accuracy over the epochs. The loss on the training images falls all the way,
# that on the test images flattens after the first third; both accuracies end above 0.97.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for axes, what in ((left, "loss"), (right, "accuracy")):
    for name, style in (("train", "--"), ("test", "-")):
        axes.plot(range(1, len(curves[f"{name} {what}"]) + 1), curves[f"{name} {what}"], style, label=f"{name} images")
    axes.set(xlabel="epoch", ylabel=what)
    axes.grid(alpha=0.3)
    axes.legend()
left.set_yscale("log")
right.set_ylim(0.9, 1.002)
figure.savefig(args.out / "curves.png", dpi=150)

# %% [markdown]
# ## What it gets wrong
#
# Look at the mistakes before you believe a number: some of these digits a person would misread too.

# %% tags=["cover"]
# Picture: The digits that the network misread, each with the digit that the writer meant and the one it was read as.
pixels, truth = (x.numpy() for x in whole(test))
wrong = (answers != truth).nonzero()[0]
columns = min(max(len(wrong), 1), 10)
rows = -(-max(len(wrong), 1) // columns)
figure, grid = plt.subplots(rows, columns, figsize=(1.1 * columns, 1.35 * rows), squeeze=False, layout="constrained")
for axes in grid.flat:
    axes.set_axis_off()
for axes, i in zip(grid.flat, wrong):
    axes.imshow(pixels[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    axes.set_title(f"{truth[i]}, read as {answers[i]}", fontsize=7)
if not len(wrong):
    grid[0, 0].text(0.5, 0.5, "no mistakes", ha="center")
figure.savefig(args.out / "mistakes.png", dpi=150)
print(f"{len(wrong)} of {len(truth)} test digits misread; pictures and checkpoints are in {args.out}/")

# %% [markdown]
# ## By heart
#
# Now a failure, on purpose: 60 images instead of 1,438, no dropout, and time enough.

# %%
if not NOTEBOOK:
    sys.exit(0)  # the script ends here; what follows is for a class

few, _ = data.random_split(train, [60, len(train) - 60])


def fit(network, part, steps=600):
    """Train on one part of the data; returns the accuracy on it and on the test images."""
    rmsprop = optim.RMSprop(network.parameters(), lr=1e-3)
    batches = data.DataLoader(part, batch_size=min(64, len(part)), shuffle=True)
    for _ in range(steps // len(batches)):
        for pixels, truth in batches:
            rmsprop.zero_grad()
            loss_of(network(pixels), truth).backward()
            rmsprop.step()
    network.eval()
    with lucidlite.no_grad():
        return [(network(x).argmax(axis=1) == t).mean().item() for x, t in (whole(part), whole(test))]


def network(dropout):
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 10))


on_few, on_test = fit(network(0.0), few)
print(f"60 images: accuracy {on_few:.3f} on them, {on_test:.3f} on the test images")
assert on_few == 1 and on_test < 0.93

# %% [markdown]
# Not one mistake on what it has seen, and more than one in ten on what it has not: it knows the 60 images, not the
# digits. Which cure helps? Dropout, so that it cannot lean on single pixels; or more images, in as many steps.

# %%
for name, part, dropout in (("dropout", few, 0.5), ("all the images", train, 0.0), ("both", train, 0.5)):
    seen, unseen = fit(network(dropout), part)
    print(f"{name:14} {seen:.3f} on the images trained with, {unseen:.3f} on the test images")
assert unseen > on_test + 0.04

# %% [markdown]
# More data is the cure. Dropout changes next to nothing here: it cannot invent digits that nobody has written.

# %% [markdown]
# ## Exercise 1: which digit is taken for which?
#
# Write `confusion(truth, answers)`: a table of 10 x 10 whole numbers, in row i and column j how often the digit i was
# read as j. Both arguments are NumPy arrays of digits. It is right when every pair is counted, a repeated pair as often
# as it comes.

# %% tags=["check"]
import numpy as np


def attempt(answer, *inputs):
    """What an answer returns, and what is wrong if it returns nothing or raises an error."""
    try:
        value = answer(*inputs)
    except Exception as error:
        return None, f"it raises {type(error).__name__}: {error}"
    return value, "it returns nothing yet" if value is None or value is ... else ""


def verdict(hint, why):
    """Say what is wrong, or why it is right."""
    print(f"Not yet: {hint}." if hint else f"Right: {why}.")
    return not hint


def check_confusion(answer):
    truth, answers = np.array([3, 3, 3, 8, 1, 0]), np.array([3, 8, 8, 8, 1, 0])
    table, hint = attempt(answer, truth, answers)
    wanted = np.zeros((10, 10), int)
    np.add.at(wanted, (truth, answers), 1)
    shape = np.shape(table)
    if hint:
        hint += "; np.zeros((10, 10), int) is a table to begin with"
    elif shape != (10, 10):
        hint = f"the table's shape is {shape}; there are ten digits, whether or not all of them occur"
    elif np.array_equal(table, wanted.T):
        hint = "rows and columns are exchanged: the row is what was written, the column is what was read"
    elif np.array_equal(table, wanted > 0):
        hint = "3 was read as 8 twice, you count 1: table[truth, answers] += 1 adds once where a pair is repeated"
    elif not np.array_equal(table, wanted):
        i, j = np.argwhere(np.asarray(table) != wanted)[0]
        hint = f"{i} was read as {j} {wanted[i, j]} times, your table says {table[i][j]}"
    return verdict(hint, "every pair is counted, and the right answers stand on the diagonal")


# %% tags=["exercise"]
def confusion(truth, answers):
    """How often the digit of a row was read as the digit of a column, shape (10, 10)."""
    return ...


# %%
check_confusion(confusion)


# %% tags=["solution"]
def confusion(truth, answers):
    table = np.zeros((10, 10), int)
    for i, j in zip(truth, answers):
        table[i, j] += 1
    return table


assert check_confusion(confusion)

# %% [markdown]
# ## Exercise 2: a measure for many images
#
# `measure` above looks at all images at once. A million would not fit into memory, so write `accuracy(model, batches)`:
# `batches` is a list of pairs of images and labels, not all of the same length. Return the share of all images that the
# model reads right, as a float. It is right when dropout is off meanwhile, when no graph is remembered, and when
# training can go on afterwards as before.


# %% tags=["check"]
class Probe(nn.Module):
    """Reads four images right or wrong as planned, and takes down how it was asked."""

    def forward(self, x):
        self.asked = getattr(self, "asked", set()) | {(self.training, lucidlite.grad_enabled())}
        return -x if self.training else x


def check_accuracy(answer):
    probe, scores = Probe(), lucidlite.tensor(np.eye(4, dtype="float32"))
    batches = [(scores[:3], lucidlite.tensor([0, 1, 2])), (scores[3:], lucidlite.tensor([2]))]
    found, hint = attempt(answer, probe, batches)
    asked, number = getattr(probe, "asked", set()), isinstance(found, float)
    if hint:
        hint += "; count in a loop over the batches, as in `measure`"
    elif not asked:
        hint = "the model was never asked: call model(pixels) for every batch"
    elif any(training for training, _ in asked):
        hint = f"it returns {found}, but dropout was on: call model.eval() first"
    elif any(graph for _, graph in asked):
        hint = "every result remembers how it was made, which costs memory: add @lucidlite.no_grad()"
    elif not probe.training:
        hint = "afterwards the model does not train any more, dropout is off for ever: call model.train() at the end"
    elif not number:
        hint = f"it returns {found!r}; .item() makes a number of a Tensor, and / a share of a count"
    elif found == 0.5:
        hint = "it returns 0.5, the mean of 3 of 3 and 0 of 1; but 3 of 4 are right: add up first, then divide"
    elif found != 0.75:
        hint = f"it returns {found}; 3 of 4 images are read right, which is a share of 0.75"
    return verdict(hint, "every image counts the same, and the model is left as it was")


# %% tags=["exercise"]
def accuracy(model, batches):
    """The share of all images in the batches that the model reads right."""
    return ...


# %%
check_accuracy(accuracy)


# %% tags=["solution"]
@lucidlite.no_grad()
def accuracy(model, batches):
    """The share of all images in the batches that the model reads right."""
    model.eval()
    right = sum((model(pixels).argmax(axis=1) == truth).sum().item() for pixels, truth in batches)
    model.train()
    return right / sum(len(truth) for _, truth in batches)


assert check_accuracy(accuracy)

# %% [markdown]
# ## Summary
#
# A network learns from mini-batches and is judged by images that it has never seen. Its loss on the training images
# can fall for ever, while that on the others has long stopped: from there on it learns by heart. More data is the cure,
# and whether dropout helps has to be measured. A number such as 0.99 says little before you have looked at the
# mistakes behind it.
#
# ## Read on
#
# - N. Srivastava and others, *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15, 2014.
# - [RMSprop](../rmsprop.md), which trained this network, line by line.
