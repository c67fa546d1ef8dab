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
# # Attention
#
# A recurrent network reads one symbol after another, and what is far back has a long way to go. With attention every
# position looks at all others at once and takes what it needs. In this lesson a transformer with two layers learns to
# reverse a sequence, fails at first for a reason worth knowing, and then shows us where it looks.
#
# **You will**
#
# - compute attention by hand: queries, keys, values, a softmax;
# - see why a transformer without positions cannot even reverse a sequence, and cure it;
# - train a small transformer until it reverses any 8 symbols;
# - look at its attention weights, and read from them how it does it.
#
# Time in class: 50 minutes. Before it: lessons 1 to 4; lesson 6 is a good contrast. It needs
# `pip install lucidlite[tutorials]`, nothing else.

# %%
import sys
from pathlib import Path

import matplotlib

NOTEBOOK = "ipykernel" in sys.modules
if not NOTEBOOK:
    matplotlib.use("Agg")  # a script draws into files, with or without a screen

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import lucidlite
from lucidlite import nn, optim


def show(figure, name):
    """In a notebook the picture stands below the cell; a script writes it to a file."""
    if not NOTEBOOK:
        Path("out/11_attention").mkdir(parents=True, exist_ok=True)
        figure.savefig(f"out/11_attention/{name}.png", dpi=150)


# %% [markdown]
# ## The task
#
# Eight symbols, drawn from eight; the answer is the same sequence backwards. We make the data as we go. There are
# $8^8$ sequences, nearly 17 million, so whoever gets new ones right has not learned them by heart.

# %%
SYMBOLS, LENGTH, WIDTH = 8, 8, 32


def batch(size):
    """Sequences (size, length) and their answers."""
    sequences = lucidlite.randint(SYMBOLS, size=(size, LENGTH))
    return sequences, sequences[:, ::-1]


lucidlite.random.seed(0)
for sequence, answer in zip(*batch(2)):
    print(sequence.tolist(), "->", answer.tolist())

# %% [markdown]
# ## Looking something up, softly
#
# A dictionary finds the one key that equals the query and hands out its value. Attention does that softly, so that it
# has a gradient. Each position makes three vectors: a **query** q, what it looks for; a **key** k, what it can be found
# by; and a **value** v, what it has to give. The fit of a query and a key is their product. A softmax makes weights of
# it, which add up to 1, and the result is the mean of all values with these weights:
#
# $$P = \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right), \qquad Y = P V$$
#
# Row i of P says how much position i takes from each of the others. The products of vectors with d numbers grow like
# $\sqrt{d}$; dividing by it keeps the softmax from being all or nothing at the start.

# %% [markdown]
# ## Exercise 1: attention by hand
#
# Write `attend(query, key, value)` with NumPy, for arrays (length, d), (source, d) and (source, width): the result is
# (length, width).


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
        return np.shape(value) == np.shape(expected) and np.allclose(value, expected, atol=1e-5)
    except (TypeError, ValueError):
        return False


def hint_for(value, hints, otherwise):
    return next((hint for wrong, hint in hints if close(value, wrong)), otherwise)


def softmax(scores, axis=-1):
    """Positive numbers that add up to 1 along an axis."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def check_attend(answer):
    noise = np.random.default_rng(0)
    for length, source, d, width in ((4, 4, 4, 4), (3, 5, 2, 4)):
        q, k, v = (noise.normal(size=shape) for shape in ((length, d), (source, d), (source, width)))
        value, problem = attempt(answer, q.copy(), k.copy(), v.copy())
        value = value.numpy() if isinstance(value, lucidlite.Tensor) else value
        if not problem:
            value, problem = attempt(np.asarray, value)
        case, scores = f"query {q.shape}, key {k.shape}, value {v.shape}", q @ k.T / np.sqrt(d)
        expected = softmax(scores) @ v
        hints = [
            (softmax(q @ k.T) @ v, "The scores are not divided by the root of d"),
            (softmax(q @ k.T / d) @ v, "The scores are divided by d, not by its root"),
            (softmax(scores, 0) @ v, "The softmax goes along the wrong axis: each row of P adds up to 1"),
            (scores @ v, "The softmax is missing"),
            (softmax(scores), "These are the weights P. Take the mean of the values with them"),
            (np.exp(scores) @ v, "The weights do not add up to 1: divide by their sum"),
        ]
        if problem:
            return said(f"{case}: {problem}. It should return an array of {expected.shape}")
        if not close(value, expected):
            otherwise = (
                "Products of queries and keys, divided by the root of d; softmax along each row; times the values"
            )
            if np.shape(value) != expected.shape:
                otherwise = f"It should be {expected.shape}, it is {np.shape(value)}. {otherwise}"
            return said(f"{case}: the numbers are not right. {hint_for(value, hints, otherwise)}")
    return said("", "each row is a mean of the values, weighed by how well their keys fit the query")


# %% tags=["exercise"]
def attend(query, key, value):
    """For each query a mean of the values; `softmax(scores)` works along the last axis."""
    return ...


# %%
check_attend(attend)


# %% tags=["solution"]
def attend(query, key, value):
    scores = query @ key.T / np.sqrt(query.shape[-1])
    return softmax(scores) @ value


assert check_attend(attend)

# %% [markdown]
# ## Exercise 2: queries that reverse
#
# Could attention reverse a sequence at all? Let the keys be one-hot, `np.eye(length)`: position j is found by the
# number 1 in place j. Write `queries(length)`, an array (length, length), so that position i looks at position length -
# 1 - i, with a weight of at least 0.99.


# %% tags=["check"]
def check_queries(answer):
    for length in (4, 8):
        value, problem = attempt(answer, length)
        if not problem:
            value, problem = attempt(lambda value=value: np.asarray(value, "float64"))
        if problem:
            return said(f"queries({length}): {problem}. It should return an array of {(length, length)}")
        if value.shape != (length, length):
            return said(f"queries({length}) has the shape {value.shape}, not {(length, length)}")
        if not np.isfinite(value).all():
            return said(f"queries({length}) holds nan or inf. Large numbers will do")
        weights = softmax(value @ np.eye(length) / np.sqrt(length))
        places, wanted = weights.argmax(axis=1), np.arange(length)[::-1]
        if np.ptp(value, axis=1).max() == 0:
            return said(f"queries({length}): every position looks everywhere, with the weight {weights[0, 0]:.2f}")
        if (places == np.arange(length)).all():
            return said(f"queries({length}): every position looks at itself. Turn the order of the rows around")
        if (places != wanted).any():
            i = int((places != wanted).argmax())
            return said(f"queries({length}): position {i} looks at {places[i]}, not at {wanted[i]}")
        if (least := weights.max(axis=1).min()) < 0.99:
            return said(f"queries({length}): the places are right, a weight is {least:.2f}. Use longer queries")
    return said("", "long queries make the softmax sure, and row i points at length - 1 - i")


# %% tags=["exercise"]
def queries(length):
    """(length, length): one query for each position."""
    return ...


# %%
check_queries(queries)


# %% tags=["solution"]
def queries(length):
    return 30.0 * np.eye(length)[::-1]


assert check_queries(queries)
turned = attend(queries(LENGTH), np.eye(LENGTH), np.arange(8.0)[:, None])
print(turned.ravel().round(2))

# %% [markdown]
# It can. Now a network has to find such queries and keys by itself.
#
# ## A transformer
#
# A transformer layer is attention, then two linear layers at each position, each of the two with a way around it and a
# normalisation. **Heads** are several small attentions side by side, which can look at different places: 4 heads here,
# each with vectors of 8 numbers. Two layers on top of an embedding, and a linear layer for the answer:


# %%
class Transformer(nn.Module):
    def __init__(self, positions):
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, WIDTH)
        self.positions = positions  # (length, width), to be added to the symbols' vectors
        self.first = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0)
        self.second = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0)
        self.answer = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, sequences):
        x = self.embedding(sequences) + self.positions
        return self.answer(self.second(self.first(x)))


def fit(model, steps=400):
    """Train with RMSprop on fresh sequences; returns the loss at each step."""
    optimizer, losses = optim.RMSprop(model.parameters(), lr=1e-3), []
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for _ in tqdm(range(steps), leave=False, disable=None):
        sequences, answers = batch(64)
        loss = nn.functional.cross_entropy(model(sequences).reshape(-1, SYMBOLS), answers.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@lucidlite.no_grad()
def accuracy(model):
    """The share of symbols, and of whole sequences, that are right, for 4,000 new sequences."""
    sequences, answers = batch(4000)
    right = model(sequences).argmax(axis=-1) == answers
    return right.mean().item(), right.all(axis=1).mean().item()


# %% [markdown]
# ## The failure
#
# First without positions: zeros are added to the symbols' vectors. **It is going to fail**, however long we train.

# %%
lucidlite.random.seed(0)
lost = Transformer(lucidlite.zeros(LENGTH, WIDTH))
curves = {"without positions": fit(lost)}
symbols, whole = accuracy(lost)
print(f"without positions: {symbols:.3f} of the symbols right, {whole:.3f} of the sequences")
assert symbols < 0.5 and whole < 0.05

# %% [markdown]
# Why? Look at the formula of attention again: nothing in it depends on i or j, only on what the vectors contain.
# Exchange two positions, and the results are exchanged, otherwise nothing happens. To this network the input is a bag
# of symbols, and equal symbols get equal answers, wherever they stand:

# %%
with lucidlite.no_grad():
    sequences, _ = batch(1)
    order = [3, 1, 0, 2, 7, 6, 5, 4]
    before, after = lost(sequences)[:, order], lost(sequences[:, order])
print(f"shuffled after and before: at most {abs(before - after).max().item():.0e} apart")
assert close(before.numpy(), after.numpy())

# %% [markdown]
# Still a third of its symbols is right, where a blind guess would be one in eight. That is as good as a bag allows: the
# answer is one of the other seven symbols, so say the one that occurs most often among them.

# %%
sequences = batch(1000)[0].numpy()
others = [np.bincount(np.delete(row, i)) for row in sequences for i in range(LENGTH)]
best = np.mean([counts.max() / (LENGTH - 1) for counts in others])
print(f"the best answer from a bag is right {best:.3f} of the time, the network {symbols:.3f}")
assert symbols < best + 0.03

# %% [markdown]
# ## The cure: waves that tell the place
#
# Add to each symbol's vector another vector that depends on its position alone. The usual choice is sine and cosine
# waves of many lengths, so that every position has its own pattern, and positions side by side have similar ones:
#
# $$e_{p,2i} = \sin \frac{p}{10000^{2i/d}}, \qquad e_{p,2i+1} = \cos \frac{p}{10000^{2i/d}}$$

# %%
# Picture: Left: eight rows of waves, fast on the left, slow on the right. Right: neighbouring rows are most alike.
positions = nn.positional_encoding(LENGTH, WIDTH)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", width_ratios=(2, 1))
left.imshow(positions.numpy(), cmap="RdBu", aspect="auto")
left.set(xlabel="column of the vector", ylabel="position", title="positional encoding")
drawn = right.imshow((positions @ positions.T).numpy(), cmap="viridis")
right.set(xlabel="position", ylabel="position", title="product of two positions")
figure.colorbar(drawn, ax=right)
show(figure, "positions")

# %%
lucidlite.random.seed(0)
model = Transformer(positions)
curves["with positions"] = fit(model)
symbols, whole = accuracy(model)
print(f"with positions: {symbols:.4f} of the symbols right, {whole:.4f} of the sequences")
assert symbols >= 0.99 and whole >= 0.97

# %%
# Picture: The loss without positions stays near 1.5; with positions it falls to nearly nothing within 200 steps.
figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
for name, losses in curves.items():
    axes.semilogy(losses, label=name)
axes.set(xlabel="step", ylabel="loss")
axes.legend()
show(figure, "losses")

# %% [markdown]
# ## Where it looks
#
# Attention weights can be read. `need_weights=True` hands out P, the mean over the heads. Row i is the position that
# looks, column j where it looks. For a reversal we expect the other diagonal: position 0 at 7, position 1 at 6.

# %%
with lucidlite.no_grad():
    sequences, _ = batch(500)
    x = model.embedding(sequences) + model.positions
    y = model.first(x)
    weights = [
        layer.self_attn(x, x, x, need_weights=True)[1].mean(axis=0).numpy()
        for layer, x in ((model.first, x), (model.second, y))
    ]
mirror = [np.fliplr(w).trace() / LENGTH for w in weights]
assert max(mirror) > 0.5
print(f"weight on the mirrored place: {mirror[0]:.2f} in the first layer, {mirror[1]:.2f} in the second, evenly 0.12")

# %%
# Picture: Attention weights of both layers; in one, the diagonal from lower left to upper right is bright.
figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for axes, w, title in zip(panels, weights, ("first layer", "second layer")):
    drawn = axes.imshow(w, cmap="viridis", vmin=0)
    axes.set(xlabel="looks at position", ylabel="position", title=title)
    figure.colorbar(drawn, ax=axes)
show(figure, "weights")

# %% [markdown]
# One of the layers does the work: most of its weight lies on the mirrored place. In the other one each position looks
# about almost evenly. Nobody told the network this; it found queries and keys for it, as you did by hand.

# %% [markdown]
# ## Exercise 3: no looking ahead
#
# A transformer that writes text, letter by letter as in lesson 6, must not see what comes later while it learns.
# Write `seen(length)`, a bool array (length, length): True where position i may look at position j, that is at itself
# and at what came before.


# %% tags=["check"]
def check_seen(answer):
    for length in (4, 7):
        value, problem = attempt(answer, length)
        value = value.numpy() if isinstance(value, lucidlite.Tensor) else value
        if not problem:
            value, problem = attempt(lambda value=value: np.asarray(value))
        if problem:
            return said(f"seen({length}): {problem}. It should return a bool array of {(length, length)}")
        if value.shape != (length, length):
            return said(f"seen({length}) has the shape {value.shape}, not {(length, length)}")
        if value.dtype != bool:
            return said(f"seen({length}) holds {value.dtype}, not bool: compare, or ask for dtype=bool")
        expected = np.tri(length, dtype=bool)
        if not value.diagonal().all():
            i = int(value.diagonal().argmin())
            hint = "That is turned around: True means that it may look" if (value == ~expected).all() else "It may"
            return said(f"seen({length}): position {i} may not look at itself. {hint}")
        if (value & ~expected).any():
            i, j = np.argwhere(value & ~expected)[0]
            hint = "Rows and columns are exchanged" if (value == expected.T).all() else "That comes later"
            return said(f"seen({length}): position {i} looks at position {j}. {hint}")
        if (value != expected).any():
            i, j = np.argwhere(value != expected)[0]
            return said(f"seen({length}): position {i} may not look at position {j}, which came before")
    noise = lucidlite.randn(1, 7, 8)
    ours = nn.functional.scaled_dot_product_attention(noise, noise, noise, attn_mask=lucidlite.tensor(value))
    same = nn.functional.scaled_dot_product_attention(noise, noise, noise, is_causal=True)
    assert close(ours.numpy(), same.numpy())
    return said("", "a lower triangle with its diagonal, which is what is_causal=True does")


# %% tags=["exercise"]
def seen(length):
    """A bool array (length, length): may position i (row) look at position j (column)?"""
    return ...


# %%
check_seen(seen)


# %% tags=["solution"]
def seen(length):
    i, j = np.arange(length)[:, None], np.arange(length)
    return j <= i


assert check_seen(seen)

# %% [markdown]
# ## Summary
#
# Attention compares a query with all keys and takes a mean of the values, weighed by the fit. It does not know where
# anything stands: without positions a transformer sees a bag of symbols, and reversing is beyond it. With waves added
# for the positions, two small layers reverse any eight symbols after a few seconds of training, and their weights show
# how: position i looks at its mirrored place. All positions are computed at once, and none is further away than
# another.
#
# ## Read on
#
# - A. Vaswani and others, *Attention Is All You Need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762), 2017,
#   sections 3.2 and 3.5.
# - D. Bahdanau, K. Cho and Y. Bengio, [arXiv:1409.0473](https://arxiv.org/abs/1409.0473), 2014: attention before
#   transformers, with weights as pictures.
# - J. Ba, J. Kiros and G. Hinton, *Layer Normalization*, [arXiv:1607.06450](https://arxiv.org/abs/1607.06450), 2016.
# - On this site: [RMSprop](../rmsprop.md), which trained both networks.
