"""Wrong answers to the exercises of lesson 1, and what their checks must say."""


def slope(expression):
    return f"def slope(x):\n    return {expression}\n"


def divide(parents, value="a.value / b.value"):
    return f"def divide(a, b):\n    u, v = a.value, b.value\n    return Number({value}, {parents})\n"


def gradient(*lines):
    return "\n    ".join(["def gradient(function, x):", *lines]) + "\n"


WRONG = [
    ("check_slope", slope("math.exp(-x * x)"), r"slope\(0.3\) gives 0.9139, .* 0.7494.*direct way from x to f alone"),
    ("check_slope", slope("-2 * x * x * math.exp(-x * x)"), "the way through a, b and c alone"),
    ("check_slope", slope("-2 * x * math.exp(-x * x)"), "That is the slope of c"),
    ("check_slope", slope("(1 + 2 * x * x) * math.exp(-x * x)"), "One sign is wrong"),
    ("check_slope", slope("(1 - x) * math.exp(-x * x)"), "da/dx is missing"),
    ("check_slope", slope("(1 - 2 * x) * math.exp(-x * x)"), "df/dc is x"),
    ("check_slope", slope("f(x)"), "That is f itself"),
    ("check_slope", slope("math.exp(x)"), "Multiply along each of the two ways"),
    ("check_slope", slope("exp(-x * x)"), "AttributeError"),
    ("check_slope", "def slope(x):\n    x * x\n", "it returns None"),
    ("check_divide", divide("[(a, 1 / v), (b, u / v**2)]"), "the slope of b is 0.375, not -0.3750. The sign is wrong"),
    ("check_divide", divide("[(a, 1 / v), (b, -u / v)]"), "one b too few below the fraction line"),
    ("check_divide", divide("[(a, 1 / v), (b, -1 / v**2)]"), "The factor a is missing"),
    ("check_divide", divide("[(a, 1 / v)]"), "the slope of b is 0.0, .*not among the parents"),
    ("check_divide", divide("[(a, v), (b, u)]"), r"the slope of a is 4.0, .*slope of a \* b"),
    ("check_divide", divide("[(b, 1 / v), (a, -u / v**2)]"), "the two are exchanged"),
    ("check_divide", divide("[(a, 1 / v), (b, -u / v**2)]", "u * v"), "has the value 24.0, not 1.5"),
    ("check_divide", divide("[a, b]"), "in backward, TypeError.*Parents are pairs"),
    ("check_divide", "def divide(a, b):\n    return a.value / b.value\n", "it returns 1.5. It should return a Number"),
    ("check_divide", "def divide(a, b):\n    return a / b\n", "TypeError: unsupported"),
    ("check_gradient", gradient("x = lucidlite.tensor(x)", "function(x).backward()", "return x.grad"), "requires_grad"),
    (
        "check_gradient",
        gradient("x = lucidlite.tensor(x, requires_grad=True)", "return function(x)"),
        "That is the function's value",
    ),
    (
        "check_gradient",
        gradient("x = lucidlite.tensor(x, requires_grad=True)", "function(x).backward()", "return x"),
        "That is x itself",
    ),
    (
        "check_gradient",
        gradient(
            "x = lucidlite.tensor(x, requires_grad=True)",
            "for _ in 'ab':",
            "    function(x).backward()",
            "return x.grad",
        ),
        "gradients of two runs were added up",
    ),
    (
        "check_gradient",
        gradient("x = lucidlite.tensor(x, requires_grad=True)", "return function(x).backward()"),
        "it returns None. Return x.grad",
    ),
    (
        "check_gradient",
        "KEPT = {}\n"
        + gradient(
            "t = KEPT.setdefault((function, tuple(x)), lucidlite.tensor(x, requires_grad=True))",
            "function(t).backward()",
            "return t.grad",
        ),
        "sum of squares, asked again: .*added up",
    ),
]
