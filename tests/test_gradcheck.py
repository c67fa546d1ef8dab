"""gradcheck finds what is wrong: a check that cannot fail is no check."""

import numpy as np
import pytest
from support import host, make

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
    "one percent": (lambda g, a: g * 3.03 * a**2, 1, "gradient"),
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


def test_it_works_where_gradients_are_switched_off():
    with no_grad():
        assert gradcheck(lambda a: a**3, make(X), order=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradcheck(lambda a: a, make([1, 2])), "no input is floating"),
        (lambda: gradcheck(lambda a: a, make(X), order=3), "order is 3"),
    ],
)
def test_what_cannot_be_checked_is_refused(call, message):
    with pytest.raises(ValueError, match=f"gradcheck: .*{message}"):
        call()


def test_a_gradient_that_is_nan_is_found():
    with pytest.raises(ValueError, match="nan"):
        gradcheck(cube(lambda g, a: g * float("nan")), make(X))
