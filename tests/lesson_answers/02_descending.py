"""Wrong answers to the exercises of lesson 2, and what their checks must say."""

TRAIN = """
def train(loss_of, start, lr, steps):
    weights, found = lucidlite.Parameter(start), []
    for _ in range(steps):
        loss = loss_of(weights)
        loss.backward()
        found.append(loss.item())
        weights.data = weights.data - lr * weights.grad
        weights.grad = None
    return found
"""


def train(old, new):
    assert old in TRAIN
    return TRAIN.replace(old, new)


def limit(expression):
    return f"def limit(x):\n    return {expression}\n"


def step(*lines):
    return "\n    ".join(["def momentum_step(w, b, g, lr, mu):", *lines]) + "\n"


WRONG = [
    ("check_train", train("        weights.grad = None\n", ""), "The gradients add up: remove .grad"),
    ("check_train", train("data - lr", "data + lr"), "It climbs"),
    ("check_train", train("lr * weights", "weights"), r"Where is lr\?"),
    ("check_train", train("weights.data = weights.data - lr", "lr"), r"from \[3.0\] .*The loss stays"),
    (
        "check_train",
        train("        found.append(loss.item())\n", "").replace(
            "grad = None", "grad = None\n        found.append(loss_of(weights).item())"
        ),
        "the losses after each step",
    ),
    ("check_train", train("return found", "return found[-1]"), "That is the last loss alone"),
    ("check_train", train("    return found\n", ""), "it returns None. Collect loss.item"),
    (
        "check_train",
        train("lucidlite.Parameter(start)", "lucidlite.tensor(start)"),
        "RuntimeError.*Begin with a Parameter",
    ),
    ("check_train", train("        loss.backward()\n", ""), "TypeError.*backward\\(\\) first"),
    (
        "check_limit",
        limit("2 / np.mean(x**2)"),
        r"limit\(\[1.0, 2.0, 3.0, 4.0\]\) is 0.2667, not 0.1333. The square",
    ),
    ("check_limit", limit("0.5 / np.mean(x**2)"), "is 0.0667, not 0.1333. That is 1 / curvature"),
    ("check_limit", limit("np.mean(x**2)"), "Turn it around"),
    ("check_limit", limit("2 * np.mean(x**2)"), "That is the curvature"),
    ("check_limit", limit("1 / np.sum(x**2)"), "The loss is a mean, and this is the sum"),
    ("check_limit", limit("1 / np.mean(x) ** 2"), "Square first"),
    ("check_limit", limit("1 / np.var(x)"), "np.var takes the mean off"),
    ("check_limit", limit("1 / x**2"), "0.0625], not 0.1333. Differentiate twice"),
    ("check_limit", limit("None"), "It should return a number"),
    ("check_momentum_step", step("return w - lr * b, mu * b + g"), "w moves by the old speed"),
    ("check_momentum_step", step("b = mu * b + g", "return w + lr * b, b"), "It climbs"),
    ("check_momentum_step", step("b = mu * b + (1 - mu) * g", "return w - lr * b, b"), "Here g counts in full"),
    ("check_momentum_step", step("b = mu * b + g", "return w - b, b"), "The rate is missing"),
    ("check_momentum_step", step("b = mu * b + g", "return w - lr * g, b"), "w moves by g alone"),
    ("check_momentum_step", step("b = b + mu * g", "return w - lr * b, b"), "mu belongs to the old b"),
    ("check_momentum_step", step("b = b + g", "return w - lr * b, b"), "Nothing slows the ball down"),
    ("check_momentum_step", step("b = mu * b + g", "return b, w - lr * b"), "The order is w, b"),
    ("check_momentum_step", step("b = mu * b + g", "return w - lr * b"), "TypeError.*return w, b"),
    ("check_momentum_step", step("return w, b"), r"is \[1.0, 0.0\], not \[0.575, -0.25\]. First the new b"),
]
