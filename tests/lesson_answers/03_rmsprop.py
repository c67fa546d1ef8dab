"""Wrong answers to the exercises of lesson 3, and what their checks must say."""

RMSPROP = '''
class MyRMSprop(optim.Optimizer):
    r"""RMSprop.

        (1)  v_t = α v_{t-1} + (1 - α) g_t^2
        (2)  s_t = \\frac{g_t}{\\sqrt{v_t} + ε}
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
'''
LINES = {
    1: "v = alpha * v + rest_alpha * g * g  # (1)",
    2: "s = g / (math.sqrt(v) + eps)  # (2)",
    3: "p = p - lr * s  # (3)",
    4: "return p, v",
    5: r"(2)  s_t = \frac{g_t}{\sqrt{v_t} + ε}",
}


def rmsprop(**changed):
    """The source of the class with some lines written otherwise: line_2="..."."""
    made = {LINES[int(name[-1])]: line for name, line in changed.items()}
    rows = RMSPROP.split("\n")
    assert made.keys() <= {row.strip() for row in rows}
    return "\n".join(row.replace(row.strip(), made.get(row.strip(), row.strip())) for row in rows)


def mean(body):
    return f"def running_mean(gradients, alpha):\n    v, found = 0.0, []\n    for g in gradients:\n        {body}\n"


def first(expression):
    return f"def first_step(lr, alpha):\n    return {expression}\n"


APPEND = "\n        found.append(v)\n    return found"
BROKEN = r"MyRMSprop line \d+ does not compute \({}\) .*: off by "
WRONG = [
    ("check_running_mean", mean("v = (1 - alpha) * v + alpha * g**2" + APPEND), "The shares are mixed up"),
    ("check_running_mean", mean("v = alpha * v + (1 - alpha) * g" + APPEND), "That is the mean of the gradients"),
    ("check_running_mean", mean("v = alpha * v + g**2" + APPEND), "The squares are added up whole"),
    ("check_running_mean", mean("v = (1 - alpha) * g**2" + APPEND), "The old mean is lost"),
    ("check_running_mean", mean("v = alpha * v + (1 - alpha) * g**2\n    return v"), "That is the last v alone"),
    (
        "check_running_mean",
        "def running_mean(gradients, alpha):\n    found = [gradients[0] ** 2]\n    for g in gradients[1:]:\n"
        "        found.append(alpha * found[-1] + (1 - alpha) * g**2)\n    return found\n",
        r"running_mean\(\[2.0, 3.0\], 0.9\) gives .*Here v starts at the first square",
    ),
    (
        "check_running_mean",
        mean("v = alpha * v + (1 - alpha) * g**2" + APPEND[:-13]),
        "returns None. Append each new v to a list",
    ),
    ("check_running_mean", mean("v += g^2" + APPEND), "TypeError: unsupported operand.*A square is g"),
    ("check_running_mean", mean("v = alpha * v + (1 - alpha) * g**3" + APPEND), "it should be .*Compute the first v"),
    ("check_MyRMSprop", rmsprop(line_1="v = v + g * g  # (1)"), BROKEN.format(1) + ".*AdaGrad's"),
    ("check_MyRMSprop", rmsprop(line_1="v = rest_alpha * v + alpha * g * g  # (1)"), "The shares are mixed up"),
    ("check_MyRMSprop", rmsprop(line_1="v = alpha * v + rest_alpha * g  # (1)"), "the mean of g, not of its square"),
    ("check_MyRMSprop", rmsprop(line_1="v = alpha * v + g * g  # (1)"), "The new square is taken whole"),
    ("check_MyRMSprop", rmsprop(line_1="v = rest_alpha * g * g  # (1)"), "The old v is forgotten"),
    ("check_MyRMSprop", rmsprop(line_2="s = g / math.sqrt(v + eps)  # (2)"), BROKEN.format(2) + ".*inside the root"),
    ("check_MyRMSprop", rmsprop(line_2="s = lr * g / (math.sqrt(v) + eps)  # (2)"), "The rate has come in twice"),
    ("check_MyRMSprop", rmsprop(line_2="s = g / (v + eps)  # (2)"), "divides by the mean square itself"),
    ("check_MyRMSprop", rmsprop(line_2="s = g / math.sqrt(v)  # (2)"), "There is no eps"),
    ("check_MyRMSprop", rmsprop(line_2="s = g / math.sqrt(v) + eps  # (2)"), "added to the quotient"),
    (
        "check_MyRMSprop",
        rmsprop(line_1="s = g / (math.sqrt(v) + eps)  # (2)", line_2="v = alpha * v + rest_alpha * g * g  # (1)"),
        r"it uses v_t before \(1\) has computed it",
    ),
    ("check_MyRMSprop", rmsprop(line_3="p = p + lr * s  # (3)"), BROKEN.format(3) + ".*the minus leads downhill"),
    ("check_MyRMSprop", rmsprop(line_3="p = p - s  # (3)"), BROKEN.format(3) + ".*lr says how far"),
    (
        "check_MyRMSprop",
        rmsprop(line_2="s = g / (math.sqrt(v) + eps)"),
        r"formula \(2\) has no tag.*Put the number back",
    ),
    ("check_MyRMSprop", rmsprop(line_4="return (p,)"), "Return both, the new weight and the new memory"),
    ("check_MyRMSprop", rmsprop(line_4="return p"), "Return both, the new weight and the new memory"),
    (
        "check_MyRMSprop",
        rmsprop(line_4="return p, g"),
        r"does not return as v what \(1\) has computed; a rule must return p, v, .*Return both",
    ),
    (
        "check_MyRMSprop",
        rmsprop(line_2="s = g / math.sqrt(v + eps)  # (2)", line_5=r"(2)  s_t = \frac{g_t}{\sqrt{v_t + ε}}"),
        "but after 20 steps p is .*leave the formulas as they were",
    ),
    ("check_MyRMSprop", rmsprop(line_2="s = g / (sqrt(v) + eps)  # (2)"), "NameError: name 'sqrt'.*Write math.sqrt"),
    ("check_MyRMSprop", "MyRMSprop = None", "Mend that first"),
    ("check_first_step", first("lr"), r"first_step\(0.1, 0.9\) gives 0.1, .*That would be so if v were g² at once"),
    ("check_first_step", first("(1 - alpha) ** -0.5"), "That is s. The step is lr times"),
    ("check_first_step", first("lr / (1 - alpha)"), "But the step divides by its root"),
    ("check_first_step", first("lr * (1 - alpha) ** 0.5"), "but RMSprop divides by it"),
    ("check_first_step", first("lr / alpha**0.5"), "the share of the old v, which is 0"),
    ("check_first_step", first("lr * alpha"), r"Put v = \(1 - alpha\) g² into formula \(2\)"),
    ("check_first_step", first("None"), "It should return a number"),
    ("check_first_step", first("lr / (1 - beta)"), "NameError"),
]
