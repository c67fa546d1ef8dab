"""Wrong answers to the exercises of lesson 10, and what their checks must say."""

ADABELIEF = r'''
class AdaBelief(optim.Optimizer):
    r"""Divide by the distance from what was expected.

        (1)  m_t = β m_{t-1} + (1 - β) ∇f_t
        (2)  s_t = α s_{t-1} + (1 - α) (∇f_t - m_t)^2
        (3)  θ_t = θ_{t-1} - γ \frac{m_t}{\sqrt{s_t} + ε}

    where θ is `p`, ∇f is `g`, γ is `lr`, β is `beta`, α is `alpha` and ε is `eps`.
    """

    state_names = ("exp_avg", "exp_avg_var")

    def __init__(self, params, lr=0.01, beta=0.9, alpha=0.99, eps=1e-8):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def adabelief(p, g, m, s, lr, beta, rest_beta, alpha, rest_alpha, eps):
            m = beta * m + rest_beta * g  # (1)
            s = alpha * s + rest_alpha * (g - m) ** 2  # (2)
            p = p - lr * (m / (math.sqrt(s) + eps))  # (3)
            return p, m, s

        return adabelief
'''
SLOPE = """
def slope_of_rate(start, lr):
    w = lucidlite.tensor(start, requires_grad=True, dtype="float64")
    lr = lucidlite.tensor(lr, requires_grad=True, dtype="float64")
    g = lucidlite.grad(ravine(w), w)
    new, _ = optim.RMSprop.functional(w, g, {}, lr=lr)
    return lucidlite.grad(ravine(new), lr).item()
"""


def changed(source, old, new):
    assert old in source
    return source.replace(old, new)


RULE = "check_log_cosh_rule", "log_cosh_rule = lambda g, a: "
WRONG = [
    (RULE[0], RULE[1] + "lucidlite.tanh(a)", "g is lost"),
    (RULE[0], RULE[1] + "g * (1 - lucidlite.tanh(a) ** 2)", "That is the derivative of tanh"),
    (RULE[0], RULE[1] + "g * np.tanh(a)", "second ones are not|Use lucidlite.tanh"),
    (RULE[0], RULE[1] + "-g * lucidlite.tanh(a)", "The sign is wrong"),
    (RULE[0], RULE[1] + "...", "It should return an array"),
    (
        "check_AdaBelief",
        changed(ADABELIEF, "beta * m + rest_beta * g", "rest_beta * m + beta * g"),
        "The old mean keeps",
    ),
    ("check_AdaBelief", changed(ADABELIEF, "(g - m) ** 2", "g * g"), r"does not compute \(2\).*square of g - m"),
    (
        "check_AdaBelief",
        changed(ADABELIEF, "math.sqrt(s) + eps", "math.sqrt(s + eps)"),
        r"compute \(3\).*Outside the root",
    ),
    ("check_AdaBelief", changed(ADABELIEF, "m, s\n", "s, m\n"), "in the order in which it got them"),
    ("check_AdaBelief", changed(ADABELIEF, "  # (2)", ""), "Put the number back"),
    ("check_slope_of_rate", changed(SLOPE, "lucidlite.grad(ravine(new), lr)", "ravine(new)"), "loss after the step"),
    ("check_slope_of_rate", changed(SLOPE, "ravine(new), lr)", "ravine(w), lr)"), "the one that lr has moved"),
    ("check_slope_of_rate", changed(SLOPE, "tensor(lr, requires_grad=True", "tensor(lr"), "Make lr a Tensor"),
    (
        "check_slope_of_rate",
        changed(SLOPE, "optim.RMSprop.functional(w, g, {}, lr=lr)", "w - lr * g, None"),
        "plain gradient descent",
    ),
    ("check_slope_of_rate", changed(SLOPE, "new, _ = ", "new = "), "functional returns two things"),
    ("check_AdaBelief", changed(ADABELIEF, "math.sqrt", "sqrt"), "Write math.sqrt"),
    ("check_slope_of_rate", changed(SLOPE, ".item()", " * -1"), "The sign is wrong"),
]
