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
# This lesson is also a script: `python tutorials/04_digits.py --epochs 60 --lr 0.001`; `--help` lists the options. It
# writes two pictures and two checkpoints to `out/digits/`, and `--resume` goes on from there.
#
# Data: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998,
# in the copy that scikit-learn carries.

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

# %%
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
