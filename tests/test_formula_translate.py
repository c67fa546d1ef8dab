"""The LaTeX that formulas are written in, as Python: what is read, and what is refused and where."""

# ruff: noqa: E501 (a case, or a class given as text, stands in one line)

import math

import numpy as np
import pytest

from lucidlite.formulas import FormulaError
from lucidlite.formulas.check import evaluate
from lucidlite.formulas.read import Translation

READ = {
    r"g_t = ∇f_t + λ θ_{t-1}": "grad_f + lambda_ * theta",
    r"v_t = α v_{t-1} + (1 - α) g_t^2": "alpha * v + (1 - alpha) * g**2",
    r"ṽ_t = \max(v_t - ḡ_t^2, 0)": "max(v - g_bar**2, 0)",
    r"\tilde{v}_t = v_t - \bar g_t^{2}": "v - g_bar**2",
    r"b_t = μ b_{t-1} + \frac{g_t}{\sqrt{ṽ_t} + ε}": "momentum * b + g / (sqrt(v_tilde) + epsilon)",
    r"b_t = μ b_{t-1} + \frac{g_t}{\sqrt{ṽ_t + ε}}": "momentum * b + g / sqrt(v_tilde + epsilon)",
    r"m̂_t = \frac{m_t}{1 - \beta_1^t}": "m / (1 - beta_1**t)",
    r"x = a / b": "a / b",
    r"x = a b / c - d": "a * b / c - d",
    r"x = c \frac{a}{b}": "c * (a / b)",
    r"x = a - (b + c)": "a - (b + c)",
    r"x = -a b": "-a * b",
    r"x = b - (-a)": "b - -a",
    r"y_i = x_{1,i}": "x[1, i]",
    r"y_i = x_{z_{2 i} + i} k": "x[z[2 * i] + i] * k",
    r"y_t = π_t + e_t^2": "pi + e**2",
    r"y_ t = x_ t ^ 2 + e^⊤": "x**2 + transpose(e)",
    r"y = \max(a, b, |c|) |d|": "max(a, b, abs(c)) * abs(d)",
    r"y = \begin{cases} a & b \ne c \\ d & e ≥ f \\ g & \text{else} \end{cases}": "where(b != c, a, where(e >= f, d, g))",
    r"y = x_{1,2} + w_{h1}": "x_1_2 + w_h1",
    r"y = \hat{\bar{g}} + \alpha_\infty": "g_bar_hat + alpha_inf",
    r"x = (-a)^2": "(-a)**2",
    r"x = a^{-b}": "a**(-b)",
    r"x = (a + b)(a - b)": "(a + b) * (a - b)",
    r"x = 2 (a + b)": "2 * (a + b)",
    r"x = a · b × c ⊙ d": "a * b * c * d",
    r"x = 0.5 |a - b| |c|": "0.5 * abs(a - b) * abs(c)",
    r"x = \left(a + b\right) c": "(a + b) * c",
    r"z_i = e^{x_i - \max_j x_j}": "exp(x - max_j(x))",
    r"y_i = \frac{z_i}{\sum_j z_j}": "z / sum_j(z)",
    r"y_i = z_i - \log \sum_j e^{z_j}": "z - log(sum_j(exp(z)))",
    r"p = 1 - \prod_i (1 - q_i)": "1 - prod_i(1 - q)",
    r"N = (\sum_i |g_i|^p)^{\frac{1}{p}}": "sum_i(abs(g)**p)**(1 / p)",
    r"y_i = \sum_j W_{i,j} x_j": "sum_j(W[i, j] * x[j])",
    r"Y_{o,i} = \sum_{c,k} X_{c,s i + k} W_{o,c,k}": "sum_ck(X[c, stride * i + k] * W[o, c, k])",
    r"ℓ_i = -x_{i,y_i}": "-x[i, y[i]]",
    r"Y = X W^⊤ + b": "X @ transpose(W) + b",
    r"Y = X W^{\top} + b": "X @ transpose(W) + b",
    r"A = \operatorname{softmax}(\frac{Q K^⊤}{\sqrt{d}}) V": "softmax(Q @ transpose(K) / sqrt(d)) @ V",
    r"A = X ⊙ Y": "X * Y",
    r"Q = X W_Q + b_{ih}": "X @ W_Q + b_ih",
    r"y = 2 e^x - e": "2 * exp(x) - e",
    r"y = \sqrt{\frac{2}{π}} \tanh x": "sqrt(2 / pi) * tanh(x)",
    r"y = \operatorname{sign}(x) \exp(-x)": "sign(x) * exp(-x)",
    r"η_t = η_{min} + η_+ (1 + \cos(\frac{t}{T} π))": "eta_min + eta_plus * (1 + cos(t / T * pi))",
    r"μ = \operatorname{mean}_i x_i": "mean_i(x)",
    r"y = \begin{cases} x & |x| < δ \\ δ & \text{otherwise} \end{cases}": "where(abs(x) < delta, x, delta)",
}
REFUSED = {  # formula -> position, and what the message says
    r"a = b / c d": (10, "\\frac"),
    r"a = b / c / d": (10, "\\frac"),
    r"ab = c": (1, "expected ="),
    r"a = bc": (5, "a space between factors"),
    r"a = 2x": (5, "a space between factors"),
    r"a = x2": (5, "a space between factors"),
    r"a = 1e-3": (5, "a space between factors"),
    r"a = f(x)": (5, "a space before ("),
    r"a = \foo x": (4, "no such command"),
    r"a = \log x y": (11, "parentheses"),
    r"a = \tanh^2 x": (9, "expected"),
    r"a = x^": (6, "its end"),
    r"a = x^10": (6, "expected {"),
    r"a = (b + c": (10, "expected )"),
    r"a = b + c)": (9, "expected an operator"),
    r"a = |b": (6, "expected |"),
    r"a = [b]": (4, "expected"),
    r"a = b²": (5, "expected"),
    r"a = b'": (5, "expected"),
    r"a = b^2^3": (7, "an operator or the end"),
    r"a = g_t^2_t": (9, "expected"),
    r"a = \sum_j b": (12, "index j"),
    r"a = \sum b_j": (9, "_ and the letter of an index"),
    r"a = \sum_{i=1}^n b_i": (11, "expected , or }"),
    r"a = b_i": (7, "index i"),
    r"a = b_{2 i}": (11, "index i"),
    r"a_i = \sum_j b_{i,j} c_k": (24, "index k"),
    r"a = \max x": (9, "two arguments"),
    r"a = \max(x)": (10, "expected ,"),
    r"a = \log(x, y)": (10, "expected )"),
    r"a = \operatorname{foo}(x)": (4, "\\operatorname{sign}"),
    r"v_{t+1} = v_t": (4, "t or t-1"),
    r"a = v_{t-2}": (8, "t or t-1"),
    r"a = ": (4, "its end"),
    r"= b": (0, "a letter"),
    r"a == b": (3, "expected"),
    r"a": (1, "expected ="),
    r"a = \frac{b}c": (12, "expected {"),
    r"a = \sqrt[3]{b}": (9, "expected {"),
    r"a = b, c": (5, "expected"),
    r"a = b * / c": (8, "expected"),
    r"a = b + * c": (8, "expected"),
    r"a = b * -c": (8, "expected"),
    r"a = \begin{cases} b & c < d \end{cases}": (28, "expected \\\\"),
    r"ḡ_t = ṽ_t x'": (11, "expected"),
    r"a = 007": (5, "a space between factors"),
    r"a = x^-1": (6, "expected {"),
    r"a = \sum_{hh} b": (14, "the letter of an index"),
    r"a = \log_2 x": (8, "expected a number"),
    r"a = |b| c|": (10, "its end"),
}


@pytest.mark.parametrize("formula", READ)
def test_a_formula_becomes_python(formula):
    assert (
        Translation(formula, {"s"}).python({"μ": "momentum", "s": "stride"} if "W_{o" in formula else {"μ": "momentum"})
        == READ[formula]
    )


@pytest.mark.parametrize("formula", REFUSED)
def test_what_cannot_be_read_is_refused_with_position_and_expectation(formula):
    position, what = REFUSED[formula]
    with pytest.raises(FormulaError) as caught:
        Translation(formula)
    assert str(caught.value).startswith(f"cannot read the formula '{formula}': at position {position}, ")
    assert what in str(caught.value)


@pytest.mark.parametrize(
    "text, name",
    {"ṽ": "v_tilde", "\\hat{m}": "m_hat", "β_1": "beta_1", "η_+": "eta_plus", "∇f": "grad_f", "λ": "lambda_", "ℓ": "ell",
     "v̂_{max}": "v_hat_max", "Δθ": "delta_theta", "\\varepsilon": "epsilon", "Φ": "Phi", "Δ": "Delta", "W_{hh}": "W_hh"}.items(),
)  # fmt: skip
def test_the_default_name_of_a_symbol_is_its_python_spelling(text, name):
    assert Translation(f"{text} = 0").left.name == name


def test_time_is_read_apart_from_the_name():
    found = Translation("v_t = α v_{t-1} + w_{1,t}")
    assert (str(found.left), found.left.time) == ("v_t", "t")
    assert [(s.key, s.time) for s in found.symbols] == [("α", ""), ("v", "t-1"), ("w_1", "t")]


def test_a_name_that_is_an_expression_gets_parentheses():
    found = Translation("y = a b^2")
    assert found.python({"a": "x + 1", "b": "state['b']"}) == "(x + 1) * state['b']**2"


def test_a_letter_bound_in_the_sentence_is_a_name_and_no_index():
    assert Translation("y = W_f x", {"W_f"}).python({"W_f": "self.w"}) == "self.w * x"


def values_of(formula, left, axis=None, **values):
    found = Translation(formula)
    return evaluate(found, [values[s.name] for s in found.symbols], left, axis)


def test_index_sums_pick_elements():
    """A convolution written as an index sum, against its loops."""
    x, w = np.arange(10.0).reshape(2, 5), np.arange(18.0).reshape(3, 2, 3)
    y = values_of(r"Y_{o,i} = \sum_{c,k} X_{c,2 i + k} W_{o,c,k}", np.zeros((3, 2)), X=x, W=w)
    assert y.tolist() == [
        [sum(x[c, 2 * i + k] * w[o, c, k] for c in (0, 1) for k in (0, 1, 2)) for i in (0, 1)] for o in range(3)
    ]


def test_single_indices_run_along_the_axis():
    x = np.arange(6.0).reshape(2, 3)
    assert values_of(r"y_i = x_i - \max_j x_j", x, 0, x=x).tolist() == (x - x.max(0)).tolist()
    assert values_of(r"y = \sum_i x_i", 0.0, None, x=x) == 15


def test_a_sum_over_one_of_two_indices_is_no_sum_of_products():
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert values_of(r"y_i = \sum_j a_i b_j", a, -1, a=a, b=b).tolist() == [7.0, 14.0]


def test_functions_have_their_usual_meaning():
    assert values_of(r"y = \operatorname{erf}(x) + \ln x", 1.0, x=0.5) == math.erf(0.5) + math.log(0.5)
    assert values_of(r"y = \min(\max(x, 1), 2) + \operatorname{floor}(x)", 1.0, x=0.5) == 1
