"""detect_anomaly: the first nan or inf is reported with the op, its inputs and the line that called it."""

import re
import sys
import warnings

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import detect_anomaly, nn


def here(offset=0):
    """The place of the caller's line, as messages name it."""
    return re.escape(f"{__file__}:{sys._getframe(1).f_lineno + offset}")


def test_an_op_that_gives_nan_is_reported_with_its_inputs_and_the_line():
    x = make([1.0, -4.0, 2.0])
    place = here(2)
    with pytest.raises(RuntimeError) as caught, detect_anomaly():
        (x * 1).log().sum()
    assert re.fullmatch(rf"log, called at {place}: gave nan from a \(3,\) float32 in \[-4, 2\]", str(caught.value))


def test_inf_and_the_numbers_beside_it_are_reported():
    with (
        pytest.raises(RuntimeError, match=r"true_divide, .*: gave inf from a \(2,\) float32 in \[1, 2\], b=0$"),
        detect_anomaly(),
    ):
        _ = make([1.0, 2.0]) / 0


def test_the_line_is_the_users_and_not_the_layers():
    layer = nn.Linear(2, 2)
    layer.to(DEVICE)
    layer.weight.data = layer.weight.data * 0 + 1e30
    with pytest.raises(RuntimeError, match=rf"^linear, called at {here(1)}: gave inf from"), detect_anomaly():
        layer(make([[1e30, 1e30]]))


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_that_gives_inf_is_reported_with_the_line_of_its_forward(create_graph):
    """The square root is 0 at 0, and its slope is infinite there."""
    x = make([0.0, 4.0], True)
    with detect_anomaly():
        place = here(1)
        y = x.sqrt()
        with pytest.raises(RuntimeError) as caught:
            lucidlite.grad((y * 3).sum(), x, create_graph=create_graph)
    text = "\n".join([str(caught.value), *caught.value.__notes__] if create_graph else [str(caught.value)])
    assert re.search(rf"sqrt, called at {place}: in the gradient rule of a", text)
    assert re.search(
        r"gave inf from (g \(2,\) float32 in \[3, 3\], y \(2,\)|a \(2,\) float32 in \[3, 3\], b \(2,\))", text
    )
    assert x.grad is None


def test_a_rule_is_reported_though_its_forward_ran_outside():
    x = make([0.0, 4.0], True)
    y = x.sqrt().sum()
    with detect_anomaly(), pytest.raises(RuntimeError, match=r"^sqrt: in the gradient rule of a: gave inf from g"):
        y.backward()


def test_a_nan_in_the_data_is_reported_where_it_comes_in():
    x = make([1.0, np.nan, 3.0])
    with (
        detect_anomaly(),
        pytest.raises(RuntimeError, match=r"^add, .*gave nan from a .* in \[1, 3\] with 1 nan or inf"),
    ):
        _ = x + 1


def test_a_mask_of_minus_infinity_is_no_anomaly():
    x, mask = make([[1.0, 2.0], [3.0, 4.0]], True), make([[True, False], [False, False]])
    with detect_anomaly():
        nn.functional.softmax(x.masked_fill(mask, -np.inf), axis=1)[0, 1].backward()
    assert host(x.grad).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_nothing_is_changed_where_there_is_no_anomaly_and_nothing_remains_afterwards():
    x = make([1.0, 2.0], True)
    with detect_anomaly(), detect_anomaly():
        y = (x * x).log().sum() + make([1, 2]).sum() + make(np.zeros((0, 3))).sum() + (x > 1).any()
        y.backward()
    np.testing.assert_allclose(host(x.grad), [2.0, 1.0])
    with pytest.raises(ZeroDivisionError), detect_anomaly():
        raise ZeroDivisionError
    with np.errstate(all="ignore"):
        assert np.isnan(host(make([-1.0]).log()))[0]


def test_numpys_warnings_are_left_out_because_the_error_says_more():
    with warnings.catch_warnings(record=True) as caught, pytest.raises(RuntimeError), detect_anomaly():
        make([-1.0]).log()
    assert not caught


def test_an_inner_block_does_not_end_the_outer_one():
    with detect_anomaly():
        with detect_anomaly():
            pass
        with pytest.raises(RuntimeError, match="gave nan"):
            make([-1.0]).sqrt()
