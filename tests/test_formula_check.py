"""The watcher, and what `check` and `explain` make of it."""

# ruff: noqa: E501 (a case, or a class given as text, stands in one line)

import contextlib
import io
import linecache
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_formula_faults import ADAM, GRADIENT_DESCENT, LOSSES, NAMES, RMSPROP
from test_formula_read import made

import lucidlite
from lucidlite import optim
from lucidlite.formulas import FormulaError, check, explain
from lucidlite.formulas.check import difference


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
    what = "(4)  v / (1 - beta2**step): it uses v_t before (2) has computed it"
    assert found == f"Copy line {line_of(text, '# (4)')} does not compute {what}"


def test_the_failure_tells_the_settings_and_is_a_value_error():
    with pytest.raises(ValueError) as caught:
        check(made(GRADIENT_DESCENT.replace("p - lr * s", "p + lr * s"), "Copy", **NAMES))
    assert caught.value.__notes__[0].startswith("found with Copy(lr=0.31, momentum=")


# ---- Optimizers ----


def test_every_line_of_rmsprop_is_reached_by_the_combinations_of_its_switches():
    report = check(made(RMSPROP, "Copy", **NAMES))
    assert [row.number for row in report.rows] == list(range(1, 17))
    assert all(row.count >= 50 and row.difference < 1e-14 for row in report.rows)


def test_a_report_prints_formulas_lines_counts_and_differences():
    report = check(made(GRADIENT_DESCENT, "Copy", **NAMES))
    text = str(report)
    assert text == repr(report)
    assert "(5)  θ_t = θ_{t-1} - γ s_t\n" in text
    assert f"     line {line_of(GRADIENT_DESCENT, '# (5)')}:  p = p - lr * s\n     checked " in text
    assert ">p = p - lr * s\nchecked " in report._repr_html_()


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
    assert [row.count for row in check(made(text, "Momentum", lucidlite=lucidlite, **NAMES)).rows] == [6, 6]
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
    checks = {"lr": number, "beta1": number, "eps": number}

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
    cls = made(text, "Mine", **NAMES)
    assert len(check(cls).rows) == 2
    w = lucidlite.Parameter([2.0])
    (w * w).sum().backward()
    assert explain(cls([w], lr=0.5), w).rows[1].text == "0.41886 = 2 - 0.5 * (4 / (sqrt(1.6) + 1e-08))"
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
    assert message(made(text, "f"), 1.0, False) == "f line 6 does not compute (1)  2 * x: it holds only if flag"


def test_an_else_is_held_against_the_line_that_uses_it():
    text = "def f(x, flag):\n    '''F.\n\n        (1)  z = 2 x    if flag, else x\n        (2)  y = 3 z\n    '''\n    z = x{}\n    if flag:\n        z = 2 * x  # (1)\n    return 3 * z  # (2)\n"
    f = made(text.format(""), "f")
    assert check(f, runs=[lambda: f(2.0, True), lambda: f(2.0, False)])
    f = made(text.format(" + 1"), "f")
    assert "line 10 does not compute (2)  3 * z: it uses z before (1)" in message(
        f, runs=[lambda: f(2.0, True), lambda: f(2.0, False)]
    )


def test_a_wrong_shape_is_no_broadcast():
    text = "def f(x):\n    '''F.\n\n        (1)  y = 2 x\n    '''\n    y = 2 * x[:1]  # (1)\n    return y\n"
    assert message(made(text, "f"), np.ones(3)).endswith("2 * x: the code's shape is (1,), the formula's (3,)")


def test_a_symbol_that_is_bound_to_nothing_is_named():
    text = "def f(x):\n    '''F.\n\n        (1)  y = β_1 x\n    '''\n    y = 2 * x  # (1)\n    return y\n"
    found = message(made(text, "f"), 1.0)
    assert "(1)  beta_1 * x: β_1 is bound to nothing, there is no beta_1 or beta1 here" in found
    found = message(made(text.replace("y = 2", "z = 2").replace("return y", "return z").replace("β_1", "2"), "f"), 1.0)
    assert "(1)  2 * x: y is bound to nothing" in found


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

ROOT = str(Path(lucidlite.__file__).parent.parent)
HEAD = "import numpy as np\nfrom lucidlite.optim import SGD, Optimizer\nfrom lucidlite.optim.optimizer import number\nimport lucidlite\n"
WRONG = GRADIENT_DESCENT.replace("p - lr * s", "p + lr * s")


def in_python(*args, folder):
    """What a fresh interpreter prints."""
    names = {"PYTHONPATH": ROOT, "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, env=names, cwd=folder)
    return done.stdout + done.stderr


def test_the_package_does_not_import_it_until_it_is_asked_for(tmp_path):
    code = "import sys, lucidlite; print('lucidlite.formulas' in sys.modules, lucidlite.formulas.FormulaError)"
    assert in_python("-c", code, folder=tmp_path) == "False <class 'lucidlite.formulas.FormulaError'>\n"
    assert "formulas" in dir(lucidlite)


def test_a_script_can_check_its_own_class(tmp_path):
    (tmp_path / "mine.py").write_text(HEAD + ADAM + "\nprint(lucidlite.formulas.check(Copy))\n", encoding="utf-8")
    assert "(6)  θ_t" in in_python("mine.py", folder=tmp_path)


def test_a_class_of_an_imported_module_is_checked_and_its_file_read_anew_when_it_changes(tmp_path):
    (tmp_path / "mine.py").write_text(HEAD + GRADIENT_DESCENT, encoding="utf-8")
    code = f"""
import importlib, os, pathlib, lucidlite, mine
print(len(lucidlite.formulas.check(mine.Copy).rows))
pathlib.Path("mine.py").write_text({HEAD + "# a line more" + WRONG!r}, encoding="utf-8")
os.utime("mine.py", (1, 1))
importlib.reload(mine)
lucidlite.formulas.check(mine.Copy)
"""
    found = in_python("-c", code, folder=tmp_path)
    line = line_of(HEAD + "# a line more" + WRONG, "# (5)")
    assert found.startswith("5\n") and f"Copy line {line} does not compute (5)  p - lr * s: off by " in found


def test_a_cell_of_a_notebook_is_checked_like_a_file():
    """ipykernel gives each cell a file name, and only linecache has its text."""
    filename = "/tmp/ipykernel_1/1234.py"
    linecache.cache[filename] = len(WRONG), None, WRONG.splitlines(keepends=True), filename
    names = dict(NAMES, __name__="__main__")
    exec(compile(WRONG, filename, "exec"), names)
    assert message(names["Copy"]).startswith(f"Copy line {line_of(WRONG, '# (5)')} does not compute (5)")


def test_under_pytest_which_rewrites_what_it_imports(tmp_path):
    text = HEAD + GRADIENT_DESCENT + "\ndef test_copy():\n    assert len(lucidlite.formulas.check(Copy).rows) == 5\n"
    (tmp_path / "test_mine.py").write_text(text, encoding="utf-8")
    assert "1 passed" in in_python("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)


def fails_with_a_user_error():
    text = "def f(x):\n    '''F.\n\n        (1)  y = 2 x\n    '''\n    y = 2 * x.nothing  # (1)\n    return y\n"
    check(made(text, "f"), 1.0)


@pytest.mark.parametrize(
    "run",
    [
        lambda: check(optim.SGD),
        lambda: check(made(WRONG, "Copy", **NAMES)),
        lambda: check(optim.SGD, runs=[lambda: None]),
        lambda: explain(*trained()),
        fails_with_a_user_error,
    ],
    ids=["holds", "does not hold", "never checked", "explained", "an error"],
)
def test_the_trace_function_of_a_debugger_is_there_again(run):
    seen = []

    def trace(frame, event, arg):
        seen.append(frame.f_code.co_name)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with contextlib.suppress(FormulaError, AttributeError):
            run()
        after = sys.gettrace()
        line_of("a", "a")
    finally:
        sys.settrace(before)
    assert after is trace
    assert "line_of" in seen


def test_a_class_without_source_says_so():
    names = dict(NAMES)
    exec(GRADIENT_DESCENT, names)
    assert "Copy: its source cannot be read" in message(names["Copy"])


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
    result, right = shown.rows[-1].text.split(" = ")
    assert float(result) == pytest.approx(float(new), rel=1e-4)
    assert f"{old:.5g}" in right
    last = {GRADIENT_DESCENT: "  # (5)", RMSPROP: "# (15)", ADAM: "# (6)"}[text]
    assert f"line {line_of(text, last)}:" in str(shown) and str(shown) == repr(shown)


def test_explain_in_numbers():
    w = lucidlite.Parameter([1.0, -2.0])
    optimizer = made(GRADIENT_DESCENT, "Copy", **NAMES)([w], lr=0.5, weight_decay=0.1)
    (w * w).sum().backward()
    shown = explain(optimizer, w)
    assert shown.title == "Copy: the coming step of element [1] of a parameter of shape (2,)"
    assert [row.text for row in shown.rows] == [
        "-4 = (-4)",
        "-4.2 = (-4) + 0.1 * (-2)",
        "-4.2 = (-4.2)",
        "-4.2 = (-4.2)",
        "0.1 = (-2) - 0.5 * (-4.2)",
    ]


def test_explain_is_a_table_with_typeset_formulas_in_a_notebook():
    optimizer, w = trained(RMSPROP, centered=True)
    page = explain(optimizer, w)._repr_html_()
    assert page.startswith("<table>") and page.count("<tr>") == len(explain(optimizer, w).rows)
    assert ">$\\bar{g}_t = α \\bar{g}_{t-1} + (1 - α) d_t$ if centered<" in page
    assert ">$b_t = μ b_{t-1} + \\hat{s}_t$ if momentum, else $\\hat{s}_t$<" in page
    assert "\u0304" not in page


def test_explain_refuses_what_it_cannot_explain():
    optimizer, w = trained()
    with pytest.raises(ValueError, match="does not train that parameter"):
        explain(optimizer, lucidlite.Parameter([1.0]))
    with pytest.raises(IndexError, match="index 0 is no single element of a parameter of shape"):
        explain(optimizer, w, 0)
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


LOOPS = '''
def walk(xs, w):
    """Two recurrences.

        (1)  h_t = w h_{t-1} + x_t
        (2)  c_t = c_{t-1} + h_{t-1}
        (3)  y = h_t + c_t
    """
    h, c = 0.0, 0.0
    for x in xs:
        for half in (0.5, 0.5):
            x = half * x
        c = c + h  # (2)
        h = w * h + x  # (1)
    return h + c  # (3)
'''


def test_a_round_of_a_loop_begins_with_what_the_round_before_left():
    assert [row.count for row in check(made(LOOPS, "walk"), [1.0, 2.0, 3.0], 0.5).rows] == [3, 3, 1]
    wrong = LOOPS.replace(
        "        c = c + h  # (2)\n        h = w * h + x  # (1)\n",
        "        h = w * h + x  # (1)\n        c = c + h  # (2)\n",
    )
    assert "does not compute (2)  c + h: off by" in message(made(wrong, "walk"), [1.0, 2.0, 3.0], 0.5)
    skipped = LOOPS.replace("        h = w * h + x  # (1)\n", "        if x > 0.3:\n            h = w * h + x  # (1)\n")
    assert "does not compute (3)  h + c: it uses h_t before (1)" in message(made(skipped, "walk"), [4.0, 1.0], 0.5)
    assert "name 'flag' is not defined" in message(made(LOOPS.replace("+ x_t", "+ x_t    if flag"), "walk"), [4.0], 0.5)


def test_indices_must_run_over_the_whole_array():
    text = (
        "def f(x, y):\n    '''F.\n\n        (1)  z_{i,j} = x_{i,j} + y_i\n    '''\n    return x + y[:2, None]  # (1)\n"
    )
    assert "the index i does not run over the shape (3,)" in message(made(text, "f"), np.ones((2, 3)), np.ones(3))
    assert check(made(text, "f"), np.ones((2, 3)), np.ones(2)).rows


@np.errstate(all="ignore")
def test_what_counts_as_rounding():
    """12 digits of float64, 5 of float32, 2 of float16; an operand that cancels out may leave its own last digits."""
    for dtype, digits in (("float64", 12), ("float32", 5), ("float16", 2)):
        one = np.ones(2, dtype)
        assert difference(one + one.dtype.type(0.5 * 10.0**-digits), one)[1]
        assert not difference(one + one.dtype.type(4 * 10.0**-digits), one)[1]
    assert difference(1e-13, 0.0, [1e3])[1] and not difference(1e-13, 0.0, [1.0])[1]
    assert difference(np.array([np.nan, np.inf]), np.array([np.nan, np.inf])) == (0.0, True)
    assert not difference(np.inf, 1.0)[1] and not difference(np.nan, 1.0)[1]


def test_arguments_are_made_float64_so_that_small_errors_show():
    text = "def f(x):\n    '''F.\n\n        (1)  y = 2 x\n    '''\n    return 2 * x + 1e-8  # (1)\n"
    assert message(made(text, "f"), np.ones(3, "float32")).endswith("off by 1.0e-08")
    assert message(made(text, "f"), x=lucidlite.ones(3, dtype="float16")).endswith("off by 1.0e-08")


def test_an_old_value_is_remembered_from_where_there_is_one():
    text = "def f(x):\n    '''F.\n\n        (1)  m_t = m_{t-1} + x\n        (2)  y = m_{t-1}\n\n    where m is `state['m']`.\n    '''\n"
    text += "    state = {}\n    state['m'] = 1.0\n    state['m'] = state['m'] + x  # (1)\n    return state['m'] - x  # (2)\n"
    assert check(made(text, "f"), 2.0).rows


def test_endless_loops_and_comprehensions_are_no_trouble():
    text = "def f(h, w):\n    '''F.\n\n        (1)  h_t = w h_{t-1}\n    '''\n    try:\n        while True:\n"
    text += "            h = sum([w * h if h > 0.1 else 1 / 0 for _ in (1,)])  # (1)\n    except ZeroDivisionError:\n        return h\n"
    assert check(made(text, "f"), 1.0, 0.5).rows[0].count == 4
    assert "off by" in message(made(text.replace("w * h", "w * h * h"), "f"), 1.0, 0.5)


def test_what_is_not_finite_does_not_count_as_checked():
    text = "def f(x):\n    '''F.\n\n        (1)  y = 2 x\n    '''\n    return 3 * x  # (1)\n"
    assert "never checked, since no run came to it with finite numbers" in message(made(text, "f"), np.full(2, np.nan))


def test_explain_leaves_the_other_parameters_out():
    params = [lucidlite.Parameter([1.0, 2.0]), lucidlite.Parameter(3.0)]
    skip = "                if p.grad is None:\n                    continue\n"
    text = ADAM.replace("                g, state =", skip + "                g, state =")
    optimizer = made(text, "Copy", **NAMES)(params, lr=0.1)
    (params[0] * params[1]).sum().backward()
    assert [row.number for row in explain(optimizer, params[1]).rows] == [1, 2, 3, 4, 5, 6]
    assert explain(optimizer, params[1]).rows[-1].text.startswith("2.9 = 3 - 0.1 * (")


def test_a_rule_may_call_numpy_itself():
    """In check and explain a rule runs on plain arrays; on Tensors np.sqrt would be a TypeError that tells nobody why."""
    text = GRADIENT_DESCENT.replace("- lr * s", "- lr * np.sqrt(np.square(s)) * np.sign(s)")
    assert check(made(text, "Copy", **NAMES)).rows
    assert explain(*trained(text, lr=0.1)).rows


def test_a_sum_runs_along_the_argument_axis_and_no_variable_of_that_name():
    """A loss that keeps `axis = 1` for its labels sums over one axis: this was an axis out of bounds."""
    text = "def f(x):\n    r'''F.\n\n        (1)  y = \\sum_i x_i\n    '''\n    axis = 1\n    return x.sum()  # (1)\n"
    assert check(made(text, "f"), np.ones(3)).rows


MEANS = '''
class Means(Optimizer):
    r"""A mean of the gradients, and one of their squares.

        (1)  m_t = β m_{t-1} + (1 - β) g
        (2)  v_t = β v_{t-1} + (1 - β) g^2
        (3)  θ_t = θ_{t-1} - γ m_t

    where θ is `p`, β is `beta` and γ is `lr`.
    """

    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=0.1, beta=0.9):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def means(p, g, m, v, lr, beta, rest_beta):
            m = beta * m + rest_beta * g  # (1)
            v = beta * v + rest_beta * (g * g)  # (2)
            p = p - lr * m  # (3)
            return p, m, v

        return means
'''
ORDER = "; a rule must return p, m, v, in the order in which it got them"
WRONG_RETURNS = {
    "p, m, g": "does not return as v what (2) has computed",
    "p, v, m": "does not return as m what (1) has computed",
    "g, m, v": "does not return as p what (3) has computed",
    "p - 0.1, m, v": "does not return as p what (3) has computed",
    "None, m, v": "does not return as p what (3) has computed",
    "p, m, math.sqrt(v) * v**0.5 * 1.1": "does not return as v what (2) has computed",
    "p, m[:1], v": "does not return as m what (1) has computed",
}


@pytest.mark.parametrize("wrong", WRONG_RETURNS)
def test_a_rule_that_returns_something_else_than_its_lines_computed_is_told(wrong):
    """`check` goes on from a random state, and so it said of `return p, m, g` that every line was right."""
    text = MEANS.replace("return p, m, v", f"return {wrong}")
    line = line_of(text, "            return ")
    assert message(made(text, "Means", **NAMES)) == f"Means line {line} {WRONG_RETURNS[wrong]}{ORDER}"


def test_what_a_rule_returns_is_what_its_last_line_left():
    clobbered = MEANS.replace("return p, m, v", "v = v + 1\n            return p, m, v")
    assert "does not return as v what (2) has computed" in message(made(clobbered, "Means", **NAMES))
    twice = MEANS.replace("θ_t = θ_{t-1} - γ m_t", "θ_t = θ̄_t - γ m_t\n        (4)  θ̄_t = θ_{t-1} (1 - β)")
    twice = twice.replace("θ is `p`", "θ is `p`, θ̄ is `p`").replace(
        "p = p - lr", "p = p * (1 - beta)  # (4)\n            p = p - lr"
    )
    assert len(check(made(twice, "Means", **NAMES)).rows) == 4
    assert check(made(MEANS.replace("return p, m, v", "return [p + 0, m, v]"), "Means", **NAMES)).rows


COUNTS = {"p, m": "[SHAPE, SHAPE]", "p, m, v, g": "[SHAPE, SHAPE, SHAPE, SHAPE]", "p": "SHAPE", "None": "None"}


@pytest.mark.parametrize("wrong", COUNTS)
@pytest.mark.parametrize("size", [2, 5_000])
def test_a_rule_that_returns_too_few_values_or_too_many_is_told(wrong, size):
    """That was "zip() argument 2 is shorter than argument 1", in `check` and in a step."""
    cls = made(MEANS.replace("return p, m, v", f"return {wrong}"), "Means", **NAMES)
    w = lucidlite.Parameter(np.ones(size), dtype="float64")
    w.grad = np.ones(size)
    for n, run in ((16, lambda: check(cls)), (size, cls([w]).step)):
        with pytest.raises(ValueError) as caught:
            run()
        found = COUNTS[wrong].replace("SHAPE", f"({n},) float64")
        wanted = "it must return (p, m, v), the new values in the order in which it got them"
        assert str(caught.value) == f"means returned {found}; {wanted}"
    assert (w.data == 1).all()


def test_a_rule_without_state_returns_a_tuple_too():
    """`return p` in place of `return (p,)` was "zip() argument 2 is longer than argument 1"; one element passed."""
    text = MEANS.replace(', "exp_avg_sq"', "").replace('("exp_avg")', "()").replace("g, m, v, lr", "g, lr")
    text = text.replace("β m_{t-1} + (1 - β) g\n", "2 g\n").replace("beta * m + rest_beta * g ", "2 * g ")
    text = text.replace("        (2)  v_t = β v_{t-1} + (1 - β) g^2\n", "").replace(", β is `beta`", "")
    text = text.replace("            v = beta * v + rest_beta * (g * g)  # (2)\n", "")
    assert check(made(text.replace("return p, m, v", "return (p,)"), "Means", **NAMES)).rows
    cls = made(text.replace("return p, m, v", "return p"), "Means", **NAMES)
    w = lucidlite.Parameter([1.0])
    (w * w).sum().backward()
    for run in (lambda: check(cls), lambda: explain(cls([w]), w), cls([w]).step):
        with pytest.raises(ValueError, match=r"^means returned \(1?6?,?\) float..; it must return \(p,\), the new"):
            run()
