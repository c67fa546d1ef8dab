"""Wrong answers to the exercises of lesson 7, and what their checks must say."""

FIRST_STEP = """
def first_step(g, lr, alpha, eps, inside, start):
    v = alpha * start + (1 - alpha) * g**2
    divisor = (v + eps) ** 0.5 if inside else v**0.5 + eps
    return lr * abs(g) / divisor
"""


def first_step(old, new):
    assert old in FIRST_STEP
    return FIRST_STEP.replace(old, new)


WRONG = [
    ("check_first_step", first_step("if inside", "if not inside"), "wrong side of the root"),
    ("check_first_step", first_step("abs(g)", "g"), "How far it moves is a length"),
    ("check_first_step", first_step("g**2", "g"), "Square the gradient|complex"),
    ("check_first_step", first_step("alpha * start + ", ""), "The start of v is lost"),
    ("check_first_step", first_step("alpha * start + (1 - alpha) * g**2", "start + g**2"), "v is a mean"),
    ("check_first_step", first_step("lr * abs(g)", "abs(g)"), "Multiply by lr"),
    ("check_first_step", "first_step = lambda *inputs: ...", "It should return a number"),
    ("check_first_step", "def first_step(g): return g", "TypeError"),
    ("check_tensorflow", "tensorflow = lambda: ...", "Return a dict"),
    ("check_tensorflow", "tensorflow = lambda: {'eps_inside': True}", "The switches are eps_in_sqrt"),
    ("check_tensorflow", "tensorflow = lambda: {'lr_in_momentum': True}", "where does eps stand"),
    ("check_tensorflow", "tensorflow = lambda: {'eps_in_sqrt': True}", "does not start at 0"),
    ("check_tensorflow", "tensorflow = lambda: {'eps_in_sqrt': True, 'initial_scale': 1.0}", "keeps rolling"),
    (
        "check_tensorflow",
        "tensorflow = lambda: {'eps_in_sqrt': True, 'initial_scale': 1.0, 'lr_in_momentum': True, 'nesterov': True}",
        "one setting too many",
    ),
    ("check_detect", "detect = lambda gradients, path: ...", "Return a list"),
    (
        "check_detect",
        "def detect(gradients, path):\n"
        "    return [n for n in SUSPECTS if abs(footprints(n, gradients) - path)[:, 0].max() < 0.05]",
        "is named, but off by",
    ),
    (
        "check_detect",
        "def detect(gradients, path):\n"
        "    return [next(n for n in SUSPECTS if abs(footprints(n, gradients) - path).max() < 1e-12)]",
        "not named",
    ),
    (
        "check_detect",
        "def detect(gradients, path):\n"
        "    return [n for n in SUSPECTS if abs(footprints(n, gradients) - path).min() < 1e-2]",
        "is named, but off by",
    ),
]
