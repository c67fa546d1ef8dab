"""Wrong answers to the exercises of lesson 6, and what their checks must say."""


def bits(expression):
    return f"def bits(chances):\n    return {expression}\n"


def clipped(*lines):
    head = ["def clipped(gradients, max_norm):", "flat = np.concatenate([np.ravel(g) for g in gradients])"]
    return "\n    ".join([*head, "norm = np.sqrt((flat**2).sum())", *lines]) + "\n"


def chances(expression):
    return f"def chances(scores, temperature):\n    s = scores - scores.max()\n    return {expression}\n"


WRONG = [
    ("check_bits", bits("np.log2(chances).mean()"), "gives -2.0, not 2.0. .*a minus is missing"),
    ("check_bits", bits("-np.log(chances).mean()"), "natural logarithm"),
    ("check_bits", bits("-np.log2(chances).sum()"), "gives 4.0, not 2.0. That is the sum"),
    ("check_bits", bits("-np.log2(chances.mean())"), "not the other way round"),
    ("check_bits", bits("-np.log2(chances)"), "Take their mean"),
    ("check_bits", bits("-np.log10(chances).mean()"), "base 10"),
    ("check_bits", bits("chances.mean()"), r"Work out -log2\(p\)"),
    ("check_bits", bits("-log2(chances).mean()"), "NameError"),
    ("check_bits", bits("None"), "it returns None"),
    ("check_clipped", clipped("return gradients"), "is 3.0, greater than 1.0, but nothing was shortened"),
    (
        "check_clipped",
        clipped("return [g * min(1, max_norm / np.linalg.norm(g)) for g in gradients]"),
        "Each array was clipped by itself",
    ),
    (
        "check_clipped",
        clipped("return [np.clip(g, -max_norm, max_norm) for g in gradients]"),
        "Each number was cut off",
    ),
    ("check_clipped", clipped("return [g * max_norm / norm for g in gradients]"), "must stay as it is"),
    ("check_clipped", clipped("return [g * max_norm / norm**2 for g in gradients]"), "The root is missing"),
    ("check_clipped", clipped("return [g * max_norm / abs(flat).sum() for g in gradients]"), "sum of sizes"),
    ("check_clipped", clipped("return [g * 0 for g in gradients]"), "One factor for all"),
    ("check_clipped", clipped("return flat"), "no list of two arrays"),
    ("check_clipped", clipped("return ['a', 'b']"), "or no numbers in them"),
    ("check_clipped", clipped("for g in gradients: g *= max_norm / norm"), "it returns None"),
    ("check_clipped", clipped("return [g / 0 for g in gradient]"), "NameError"),
    ("check_chances", chances("np.exp(s * temperature) / np.exp(s * temperature).sum()"), "Divide by the temperature"),
    ("check_chances", chances("np.exp(s) / np.exp(s).sum()"), "Where is the temperature"),
    ("check_chances", chances("np.exp(s) / np.exp(s).sum() / temperature"), "belongs to the scores"),
    ("check_chances", chances("np.exp(s / temperature)"), "do not add up to 1"),
    ("check_chances", chances("np.exp(scores / temperature)"), "do not add up to 1"),
    ("check_chances", chances("scores / temperature"), "These are scores"),
    (
        "check_chances",
        chances("np.exp(scores / temperature) / np.exp(scores / temperature).sum()"),
        r"exp\(1000\) is too great",
    ),
    ("check_chances", chances("s"), "Divide by the temperature, take the exponential"),
    ("check_chances", chances("'likely'"), "gives 'likely'"),
    ("check_chances", chances("softmax(scores)"), "NameError"),
    ("check_chances", chances("..."), "it returns Ellipsis"),
]
