"""gradcheck finds what is wrong: a check that cannot fail is no check."""

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import gradcheck, no_grad


def _cube(a):
    return a**3


def cube(rule):
    """The op a**3 with this gradient rule."""
    op = lucidlite.op(_cube)
    lucidlite.defgrad(op, a=rule)
    return op


X = np.array([[0.5, -1.5], [2.0, 1.0]])
FAULTS = {  # rule, the order that finds it, and what the message says
    "a factor": (lambda g, a: g * 2 * a**2, 1, "gradient of input 0"),
    "a sign in one element": (lambda g, a: g * 3 * a * abs(a), 1, r"gradient of input 0 at \(0, 1\)"),
    "a sign": (lambda g, a: g * -3 * a**2, 1, "gradient of input 0"),
    "one percent": (lambda g, a: g * 3.03 * a**2, 1, "gradient"),
    "one element of four": (lambda g, a: g * (3 * a**2 + (a == 1)), 1, r"gradient of input 0 at \(1, 1\)"),
    "nothing at all": (lambda g, a: g * 0, 1, "gradient"),
    "a constant in the first derivative": (
        lambda g, a: g * 3 * (a.detach() if isinstance(a, lucidlite.Tensor) else a) ** 2,
        2,
        "second derivative of input 0",
    ),
}


@pytest.mark.parametrize(("rule", "order", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_rule_is_found_and_placed(rule, order, message):
    if order == 2:
        assert gradcheck(cube(rule), make(X))
    with pytest.raises(ValueError, match=message):
        gradcheck(cube(rule), make(X), order=order)


def _product(a, b):
    return a * b


def product(**rules):
    op = lucidlite.op(_product)
    lucidlite.defgrad(op, **{"a": lambda g, b: g * b, "b": lambda g, a: g * a} | rules)
    return op


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ({"b": lambda g, a: g * a * 2}, r"gradient of input 2 at \(0, 0\): the rules give 0.77015\d*, .* 0.385075\d*"),
        ({"b": lambda g, a, b: g * (a + (b > 5))}, r"gradient of input 2 at \(1, 1\): the rules give"),
        (
            {"a": lambda g: g},
            r"gradient of input 0 at \(0, 0\): the rules give 1.54030\d*, central differences 4.6209\d*",
        ),
    ],
    ids=["twice as much", "one element", "a factor is missing"],
)
def test_a_fault_is_named_by_input_element_and_both_numbers(rules, where):
    a, b = make([[0.25, 1.0], [2.0, 3.0]]), make([[3.0, 4.0], [5.0, 6.0]])
    assert gradcheck(lambda a, i, b: product()(a, b), a, make([1]), b, order=2)
    with pytest.raises(ValueError, match="gradcheck: " + where):
        gradcheck(lambda a, i, b: product(**rules)(a, b), a, make([1]), b)


def test_a_fault_in_the_last_result_is_found():
    with pytest.raises(ValueError, match="gradient of input 0"):
        gradcheck(lambda a: (a * 2, a.sum(), cube(lambda g, a: g * a)(a)), make(X))


def test_a_term_that_is_missing_from_a_rule_that_uses_its_input_twice_is_found():
    half = lambda a: a * a.detach()
    with pytest.raises(ValueError, match=r"at \(0, 0\): the rules give 0.77015\d*, central differences 1.5403\d*"):
        gradcheck(half, make(X))


def test_a_right_rule_passes_in_both_orders():
    assert gradcheck(cube(lambda g, a: g * 3 * a**2), make(X), order=2) is True


@pytest.mark.parametrize("order", [1, 2])
def test_functions_of_several_inputs_and_results_are_checked(order):
    def function(a, i, b):
        return a[i] @ b, (a * a).sum(), a.argmax()

    assert gradcheck(function, make(X), make([1, 0, 1]), make(X.tolist()), order=order)
    assert gradcheck(lambda a: a * 2 + 1, make(X), order=order)  # linear: there is no second derivative to walk


def test_inputs_stay_as_they_are():
    x = make(X, True, "float32")
    x.grad = make(np.ones((2, 2)), dtype="float32").data
    assert gradcheck(lambda a: (a * a).sum(), x)
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda a: a.sum() / (1 // 0), x)
    assert host(x).tolist() == X.tolist() and x.dtype == "float32" and host(x.grad).tolist() == np.ones((2, 2)).tolist()


def test_random_numbers_grad_mode_and_other_gradients_stay_as_they_are():
    w, x = lucidlite.Parameter([2.0, 3.0], device=DEVICE), make([1.0, 2.0], True)
    before = lucidlite.random.get_state()
    wrong = cube(lambda g, a: g)
    for enabled in (True, False):
        with lucidlite.enable_grad() if enabled else no_grad():
            assert gradcheck(lambda a: (a * w).sum(), x, order=2)
            with pytest.raises(ValueError):
                gradcheck(wrong, x)
            assert lucidlite.grad_enabled() is enabled
    assert lucidlite.random.get_state() == before and w.grad is None and x.grad is None
    (x * w).sum().backward()
    assert host(x.grad).tolist() == [2.0, 3.0], "the input is still a leaf of its own"


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda a: make(3.0), [1.0]),
        (lambda a: a.argmax(), [1.0, 2.0]),
        (lambda a: (a * 2, make([1, 2])), [1.0]),
        (lambda a: a * a, 2.0),
        (lambda a: a * a, np.zeros((0, 3))),
        (lambda a: a, [1.0, 2.0]),
        (lambda a: a.exp(), np.float32([0.1, 0.2])),
        (lambda a: a * a, np.float16([1, 2])),
        (lambda a: a.reshape(2, 1) @ a.reshape(1, 2), [1.0, 2.0]),
    ],
    ids=["constant", "integer", "beside a constant", "0-d", "empty", "itself", "float32", "float16", "matrix"],
)
def test_what_can_be_differentiated_passes(function, x, order):
    assert gradcheck(function, make(x), order=order)


def test_arrays_and_numbers_are_inputs_too():
    if DEVICE == "cpu":
        assert gradcheck(lambda a, b, c: a * b + c, np.ones((2, 2)), [1.0, 2.0], 3.0, order=2)
    assert gradcheck(lambda a, b: a * b, make(X), make(X, True, "float32"), order=2)


def test_the_tolerances_and_the_step_are_the_callers():
    slightly_wrong = cube(lambda g, a: g * 3.0003 * a**2)
    assert gradcheck(slightly_wrong, make(X), rtol=1e-3)
    with pytest.raises(ValueError, match="gradient of input 0"):
        gradcheck(slightly_wrong, make(X))
    coarse = cube(lambda g, a: g * (3 * a**2 + 0.01))  # (f(x + h) - f(x - h)) / 2h = 3 x^2 + h^2
    assert gradcheck(coarse, make(X), h=0.1)


def test_it_works_where_gradients_are_switched_off():
    with no_grad():
        assert gradcheck(lambda a: a**3, make(X), order=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradcheck(lambda a: a, make([1, 2])), "at least one floating input"),
        (lambda: gradcheck(lambda: make([1.0])), "at least one floating input"),
        (lambda: gradcheck(lambda a: a, make(X), order=3), "order is 3"),
        (lambda: gradcheck(lambda a: a, make(X), order="2"), "order is '2'"),
        (lambda: gradcheck(lambda a: 3.0, make(X)), "function.* float"),
        (lambda: gradcheck(lambda a: (a, None), make(X)), "function.* NoneType"),
        (lambda: gradcheck(3, make(X)), "function, not 3"),
    ],
)
def test_what_cannot_be_checked_is_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=f"gradcheck: .*{message}"):
        call()


def test_a_gradient_that_is_nan_is_found():
    with pytest.raises(ValueError, match="nan"):
        gradcheck(cube(lambda g, a: g * float("nan")), make(X))
