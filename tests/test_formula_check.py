"""The watcher, and what `check` and `explain` make of it."""

# ruff: noqa: E501 (a case, or a class given as text, stands in one line)

import contextlib
import io
import subprocess
import sys

import numpy as np
import pytest
from test_formula_faults import ADAM, GRADIENT_DESCENT, LOSSES, NAMES, RMSPROP
from test_formula_read import made

import lucidlite
from lucidlite import optim
from tools.formulas import FormulaError, check, explain


def message(obj, *args, **options):
    with pytest.raises(FormulaError) as caught:
        check(obj, *args, **options)
    return str(caught.value)


def line_of(text, part):
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


# ---- Wrong Adams, as students write them ----


def test_an_adam_without_bias_correction_is_told_its_line():
    text = ADAM.replace("m_hat = m / (1 - beta1**step)", "m_hat = m")
    found = message(made(text, "Copy", **NAMES))
    assert found.startswith(f"Copy line {line_of(text, '# (3)')} does not compute (3)  m / (1 - beta1**step): off by ")


def test_an_adam_with_eps_inside_the_root_is_told_its_line():
    text = ADAM.replace('np.sqrt(state["max"]) + self.eps', 'np.sqrt(state["max"] + self.eps)')
    found = message(made(text, "Copy", **NAMES))
    python = "p.data - lr * (m_hat / (sqrt(state['max']) + self.eps))"
    assert found.startswith(f"Copy line {line_of(text, '# (6)')} does not compute (6)  {python}: off by ")


def test_an_adam_that_updates_v_after_use_is_told_its_line():
    line = "                v = beta2 * v + (1 - beta2) * g**2  # (2)\n"
    text = ADAM.replace(line, "").replace("  # (6)\n", "  # (6)\n" + line)
    found = message(made(text, "Copy", **NAMES))
    assert found == f"Copy line {line_of(text, '# (4)')} does not compute (4): it uses v_t before (2) has computed it"


def test_the_failure_tells_the_settings_and_is_a_value_error():
    with pytest.raises(ValueError) as caught:
        check(made(GRADIENT_DESCENT.replace("p - lr * s", "p + lr * s"), "Copy", **NAMES))
    assert caught.value.__notes__[0].startswith("found with Copy(lr=0.31, momentum=")


# ---- Optimizers ----


def test_every_line_of_rmsprop_is_reached_by_the_combinations_of_its_switches():
    report = check(made(RMSPROP, "Copy", **NAMES))
    assert [row.number for row in report.rows] == list(range(1, 17))
    assert all(row.count >= 100 and row.difference < 1e-14 for row in report.rows)


def test_a_report_prints_formulas_lines_counts_and_differences():
    report = check(made(GRADIENT_DESCENT, "Copy", **NAMES))
    text = str(report)
    assert text == repr(report)
    assert "(5)  θ_t = θ_{t-1} - γ s_t " in text
    assert f"line {line_of(GRADIENT_DESCENT, '# (5)')}: checked " in text
    assert report.rows[4].python == "p - lr * s"


def test_sgd_of_the_package_holds():
    assert check(optim.SGD).rows


STYLES = {
    "in place, in two statements": "m *= 0.9\n                m += 0.1 * g  # (1)\n                p.data -= self.lr * m  # (2)",
    "through an index": "m[...] = 0.9 * m + 0.1 * g  # (1)\n                p.data[...] = p.data - self.lr * m  # (2)",
    "over several lines": "m[:] = (\n                    0.9 * m\n                    + 0.1 * g\n                )  # (1)\n"
    "                p.data = (\n                    p.data - self.lr * m)  # (2)",
    "with out=": "np.add(0.9 * m, 0.1 * g, out=m)  # (1)\n                np.subtract(p.data, self.lr * m, out=p.data)  # (2)",
    "in a with block": "m[:] = 0.9 * m + 0.1 * g  # (1)\n                with lucidlite.no_grad():\n"
    "                    p[...] = p - self.lr * m  # (2)",
}  # fmt: skip
MOMENTUM = '''
class Momentum({base}):
    """Momentum.

        (1)  m_t = 0.9 m_{{t-1}} + 0.1 ∇f_t
        (2)  θ_t = θ_{{t-1}} - γ m_t

    where θ is `p.data`, ∇f is `g`, γ is `self.lr`
    """

    def __init__(self, params, lr=0.01):
        self.params, self.lr = list(params), lr
        self.param_groups = [{{"params": self.params}}]
        self.m = [np.zeros(p.shape) for p in self.params]

    @lucidlite.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p, m in zip(group["params"], self.m):
                g = p.grad
                {body}
'''


@pytest.mark.parametrize("base", ["Optimizer", "object"])
@pytest.mark.parametrize("style", STYLES)
def test_an_update_in_plain_numpy_is_checked_however_it_is_written(style, base):
    text = MOMENTUM.format(base=base, body=STYLES[style])
    assert [row.count for row in check(made(text, "Momentum", lucidlite=lucidlite, **NAMES)).rows] == [12, 12]
    wrong = text.replace("0.1 * g", "0.2 * g")
    assert "does not compute (1)  0.9 * m + 0.1 * g" in message(made(wrong, "Momentum", lucidlite=lucidlite, **NAMES))
    wrong = text.replace("- 0.1", "+ 0.1").replace("self.lr * m", "self.lr * g")
    assert "does not compute (2)  p.data - self.lr * m" in message(
        made(wrong, "Momentum", lucidlite=lucidlite, **NAMES)
    )


def test_a_rule_of_ones_own_needs_no_argument():
    text = '''
class Mine(Optimizer):
    r"""Mine.

        (1)  v_t = β_1 v_{t-1} + (1 - β_1) g_t^2
        (2)  θ_t = θ_{t-1} - γ \\frac{g_t}{\\sqrt{v_t} + ε}

    where θ is `p`, γ is `lr` and ε is `eps`.
    """
    checks = {"lr": number(), "beta1": number(), "eps": number()}

    def __init__(self, params, lr=0.01, beta1=0.9, eps=1e-8):
        super().__init__(params, locals())

    def buffers(self, group):
        return {"v": 0.0}

    def scalars(self, group, step, created):
        return {name: group[name] for name in ("lr", "beta1", "eps")}

    @staticmethod
    def rule(math):
        def update(p, g, v, lr, beta1, eps):
            v = beta1 * v + (1 - beta1) * g * g  # (1)
            p = p - lr * g / (math.sqrt(v) + eps)  # (2)
            return p, v
        return update
'''
    assert len(check(made(text, "Mine", **NAMES)).rows) == 2
    found = message(made(text.replace("math.sqrt(v) + eps", "math.sqrt(v + eps)"), "Mine", **NAMES))
    assert found.startswith("Mine line 25 does not compute (2)  p - lr * (g / (sqrt(v) + eps)): off by ")


@pytest.mark.parametrize("letter, holds", {"∇f": False, "g": True}.items())
def test_a_nabla_is_the_raw_gradient_and_any_other_letter_what_it_is_just_now(letter, holds):
    text = MOMENTUM.format(base="Optimizer", body="g = g + 0.1 * p.data\n                " + STYLES["through an index"])
    text = text.replace("∇f_t", f"{letter}_t").replace("∇f is `g`", f"{letter} is `g`")
    cls = made(text, "Momentum", lucidlite=lucidlite, **NAMES)
    if holds:
        assert check(cls).rows
    else:
        assert "does not compute (1)" in message(cls)


def test_choices_can_be_given_for_what_has_no_switch():
    text = MOMENTUM.replace("lr=0.01", "lr=0.01, clip=None").replace(
        "self.lr = list(params), lr", "self.lr, self.clip = list(params), lr, clip"
    )
    text = (
        text.replace("        (2)", "        (3)  m_t = \\min(m_t, c)    if clip\n        (2)")
        .replace('"""Mom', 'r"""Mom')
        .replace("`self.lr`", "`self.lr`, c is `clip`")
    )
    text = text.format(base="Optimizer", body=STYLES["through an index"]).replace(
        "g  # (1)\n", "g  # (1)\n                clip = self.clip\n                if clip is not None:\n                    m[...] = np.minimum(m, clip)  # (3)\n"
    )  # fmt: skip
    cls = made(text, "Momentum", lucidlite=lucidlite, **NAMES)
    assert "never checked, since no run came to it with finite numbers: (3) in line" in message(cls)
    assert check(cls, clip=[None, 0.1]).rows[2].count


def test_what_the_constructor_always_refuses_is_said():
    cls = made(
        GRADIENT_DESCENT + "\n    def check_group(self, group):\n        raise ValueError('no luck')\n", "Copy", **NAMES
    )
    with pytest.raises(ValueError, match="no luck"):
        check(cls)


def test_a_class_that_is_no_optimizer_needs_runs():
    text = "class Line:\n    '''A line.\n\n        (1)  y = a x\n\n    where a is `self.a`.\n    '''\n    def __init__(self, a):\n        self.a = a\n    def __call__(self, x):\n        return self.a * x  # (1)\n"
    cls = made(text, "Line")
    with pytest.raises(TypeError, match="Line is no optimizer; give functions that use it"):
        check(cls)
    assert check(cls, runs=[lambda: cls(2.0)(3.0)]).rows[0].count == 1
    assert check(cls(2.0), 3.0).rows[0].count == 1


# ---- Functions ----


def test_functions_of_any_dtype_and_axis_are_checked():
    softmax = made(LOSSES, "softmax", np=np)
    x = np.array([[1.0, 2.0, 4.0], [0.5, -1.0, 0.0]])
    for value, axis in ((x, -1), (x, 0), (x.astype("float32"), 1), (lucidlite.tensor(x).data, 0)):
        assert check(softmax, value, axis=axis).rows[1].difference < 1e-15
    assert check(lucidlite.nn.functional.softmax, lucidlite.tensor(x), 0).rows[0].count == 1


def test_each_call_in_runs_counts():
    gelu = lucidlite.nn.functional.gelu
    x = lucidlite.tensor([0.5, -1.0], dtype="float64")
    assert [r.count for r in check(gelu, runs=[lambda: gelu(x), lambda: gelu(x, "tanh")]).rows] == [1, 1, 2]
    assert "never checked" in message(gelu, x) and "(2) in line" in message(gelu, x)


def test_a_formula_whose_condition_does_not_hold_is_noticed():
    text = "def f(x, flag):\n    '''F.\n\n        (1)  y = 2 x    if flag\n    '''\n    return 2 * x  # (1)\n"
    assert check(made(text, "f"), 1.0, True).rows[0].count == 1
    assert message(made(text, "f"), 1.0, False) == "f line 6 computes (1), which holds only if flag"


def test_an_else_is_held_against_the_line_that_uses_it():
    text = "def f(x, flag):\n    '''F.\n\n        (1)  z = 2 x    if flag, else x\n        (2)  y = 3 z\n    '''\n    z = x{}\n    if flag:\n        z = 2 * x  # (1)\n    return 3 * z  # (2)\n"
    f = made(text.format(""), "f")
    assert check(f, runs=[lambda: f(2.0, True), lambda: f(2.0, False)])
    f = made(text.format(" + 1"), "f")
    assert "line 10 does not compute (2): it uses z before (1)" in message(
        f, runs=[lambda: f(2.0, True), lambda: f(2.0, False)]
    )


def test_a_wrong_shape_is_no_broadcast():
    text = "def f(x):\n    '''F.\n\n        (1)  y = 2 x\n    '''\n    y = 2 * x[:1]  # (1)\n    return y\n"
    assert message(made(text, "f"), np.ones(3)).endswith(
        "2 * x: cannot be compared, the code's shape is (1,), the formula's (3,)"
    )


def test_a_symbol_that_is_bound_to_nothing_is_named():
    text = "def f(x):\n    '''F.\n\n        (1)  y = β_1 x\n    '''\n    y = 2 * x  # (1)\n    return y\n"
    found = message(made(text, "f"), 1.0)
    assert "(1): β_1 is bound to nothing, there is no beta_1 or beta1 here" in found
    found = message(made(text.replace("y = 2", "z = 2").replace("return y", "return z").replace("β_1", "2"), "f"), 1.0)
    assert "(1): y is bound to nothing" in found


def test_recurrences_in_a_loop_use_the_value_of_the_round_before():
    text = '''
def walk(xs, w):
    """A recurrent cell.

        (1)  h_t = w h_{t-1} + x_t
        (2)  y = 2 h_t
    """
    h = 0.0
    for x in xs:
        h = w * h + x  # (1)
    return 2 * h  # (2)
'''
    assert [row.count for row in check(made(text, "walk"), [1.0, 2.0, 3.0], 0.5).rows] == [3, 1]
    assert "(1)" in message(made(text.replace("w * h + x", "w * xs[0] + x"), "walk"), [1.0, 2.0, 3.0], 0.5)


def test_closures_recursion_generators_and_finally_are_no_trouble():
    text = '''
def f(n, a):
    """F.

        (1)  y = a n + s
    """
    def inner():
        try:
            s = sum(f(k, a) for k in range(n))
            return a * n + s  # (1)
        finally:
            n + 1
    return inner()
'''
    assert check(made(text, "f"), 3, 2.0).rows[0].count == 8


def test_an_error_in_a_tagged_line_is_the_users_error():
    text = "def f(x):\n    '''F.\n\n        (1)  y = 2 x\n    '''\n    try:\n        y = 2 * x.nothing  # (1)\n    except AttributeError:\n        y = 0\n    return y\n"
    assert "never checked" in message(made(text, "f"), 1.0)
    with pytest.raises(AttributeError):
        check(made(text.replace("except AttributeError", "except KeyError"), "f"), 1.0)


def test_a_failure_cannot_be_swallowed_by_the_code():
    text = "def f(x):\n    '''F.\n\n        (1)  y = 2 x\n    '''\n    try:\n        y = 3 * x  # (1)\n        return y\n    except ValueError:\n        return 0\n"
    assert "off by 1.0e+00" in message(made(text, "f"), 1.0)


# ---- Where it runs ----


def test_an_earlier_trace_function_is_there_again():
    def trace(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        check(optim.SGD)
        with contextlib.suppress(FormulaError):
            check(made(GRADIENT_DESCENT.replace("p - lr * s", "p + lr * s"), "Copy", **NAMES))
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is trace


def test_a_script_can_check_its_own_class(tmp_path):
    script = tmp_path / "mine.py"
    head = "import numpy as np\nfrom lucidlite.optim import SGD, Optimizer\nfrom lucidlite.optim.optimizer import number\nfrom tools.formulas import check\n"
    script.write_text(head + ADAM + "\nprint(check(Copy))\n", encoding="utf-8")
    root = str(__import__("pathlib").Path(lucidlite.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={"PYTHONPATH": root, "PYTHONUTF8": "1"}
    )
    assert "(6)  θ_t" in done.stdout, done.stderr


def test_a_class_without_source_says_so():
    names = dict(NAMES)
    exec(GRADIENT_DESCENT, names)
    assert "the source of Copy cannot be read" in message(names["Copy"])


# ---- explain ----


def trained(text=GRADIENT_DESCENT, **settings):
    w = lucidlite.Parameter([[1.0, -2.0, 0.5]])
    optimizer = made(text, "Copy", **NAMES)([w], **settings)
    for _ in range(3):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    optimizer.zero_grad()
    (w * w).sum().backward()
    return optimizer, w


@pytest.mark.parametrize(
    "text, settings",
    [
        (GRADIENT_DESCENT, {"lr": 0.1, "momentum": 0.9}),
        (RMSPROP, {"lr": 0.1, "momentum": 0.9, "centered": True, "bias_correction": True, "contiguous_params": True}),
        (ADAM, {"lr": 0.1}),
    ],
)
def test_explain_shows_the_coming_step_and_changes_nothing(text, settings):
    optimizer, w = trained(text, **settings)
    before = w.data.copy(), w.grad.copy(), str(optimizer.state_dict()), lucidlite.autograd.version_of(w).changed
    old = w.numpy()[0, 1]
    shown = explain(optimizer, w, (0, 1))
    assert (w.data == before[0]).all() and (w.grad == before[1]).all()
    assert (str(optimizer.state_dict()), lucidlite.autograd.version_of(w).changed) == before[2:]
    optimizer.step()
    new = w.numpy()[0, 1]
    result, right = shown.rows[-1][4].split(" = ")
    assert float(result) == pytest.approx(float(new), rel=1e-4)
    assert f"{old:.5g}" in right
    last = {GRADIENT_DESCENT: "  # (5)", RMSPROP: "# (15)", ADAM: "# (6)"}[text]
    assert f"line {line_of(text, last)}:" in str(shown) and str(shown) == repr(shown)


def test_explain_in_numbers():
    w = lucidlite.Parameter([1.0, -2.0])
    optimizer = made(GRADIENT_DESCENT, "Copy", **NAMES)([w], lr=0.5, weight_decay=0.1)
    (w * w).sum().backward()
    shown = explain(optimizer, w)
    assert shown.title == "Copy: the coming step of a parameter of shape (2,), element [1]"
    assert [row[4] for row in shown.rows] == [
        "-4 = (-4)",
        "-4.2 = (-4) + 0.1 * (-2)",
        "-4.2 = (-4.2)",
        "-4.2 = (-4.2)",
        "0.1 = (-2) - 0.5 * (-4.2)",
    ]


def test_explain_is_a_table_with_typeset_formulas_in_a_notebook():
    optimizer, w = trained(RMSPROP, centered=True)
    page = explain(optimizer, w)._repr_html_()
    assert page.startswith("<table>") and page.count("<tr>") == len(explain(optimizer, w).rows) + 1
    assert "$\\bar{g}_t = α \\bar{g}_{t-1} + (1 - α) d_t\\quad\\text{if centered}$" in page
    assert "\u0304" not in page


def test_explain_refuses_what_it_cannot_explain():
    optimizer, w = trained()
    with pytest.raises(ValueError, match="does not train that parameter"):
        explain(optimizer, lucidlite.Parameter([1.0]))
    with pytest.raises(IndexError, match="element of shape"):
        explain(optimizer, w, 3)
    with pytest.raises(IndexError):
        explain(optimizer, w, (0, 7))
    optimizer.zero_grad()
    with pytest.raises(ValueError, match="call backward"):
        explain(optimizer, w)


def test_nothing_is_printed():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        check(optim.SGD)
    assert out.getvalue() == ""
