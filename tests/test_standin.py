"""The stand-in for CuPy does what CuPy documents, above all where NumPy differs, and finds planted leaks."""
# ruff: noqa: E501 (a leak is one line of text)

import os
import subprocess
import sys
from pathlib import Path

import cupy_standin as cp
import numpy as np
import pytest
from tracer import BadRule

HERE = Path(__file__).parent
DIFFERENCES = {}  # sentence -> a function that checks it


def difference(function):
    DIFFERENCES[function.__name__] = function
    return function


def array(values, dtype=None):
    return cp.asarray(np.asarray(values, dtype))


@difference
def nothing_becomes_a_numpy_array_by_itself():
    for convert in (np.asarray, np.array, lambda a: np.zeros(2).__setitem__(..., a)):
        with pytest.raises((TypeError, ValueError)):
            convert(array([1.0, 2.0]))
    assert array([1.0]).get().tolist() == cp.asnumpy(array([1.0])).tolist() == [1.0]


@difference
def numpy_arrays_and_lists_do_not_mix_with_cupys():
    a, b = array([1.0, 2.0]), np.ones(2)
    for mix in (lambda: a + b, lambda: b + a, lambda: a * [1, 2], lambda: cp.maximum(a, b), lambda: a.dot(b),
                lambda: a == b, lambda: np.add(b, a), lambda: cp.where(a > 0, a, b), lambda: cp.concatenate([a, b]),
                lambda: a.__setitem__(..., b), lambda: a[np.array([0])], lambda: a[[0]], lambda: cp.asarray([1.0]),
                lambda: a + np.array(1.0)):  # fmt: skip
        with pytest.raises(TypeError):
            mix()


@difference
def numpys_functions_hand_over_to_cupys():
    a = array([1.0, 4.0])
    assert type(np.sqrt(a)) is type(np.maximum(a, 0)) is type(np.concatenate([a, a])) is cp.ndarray  # NEP 13, NEP 18
    for unknown in (lambda: np.add.at(a, 0, 1.0), lambda: np.add.reduce(a), lambda: np.fft.fft(a)):
        with pytest.raises(TypeError):
            unknown()


@difference
def reductions_give_arrays_of_no_axes():
    a = array([[1.0, 2.0]])
    for y in (a.sum(), a.max(), a[0, 0], a.dot(a.T)[0, 0], cp.argmax(a), (a == a).all()):
        assert type(y) is cp.ndarray and y.shape == ()


@difference
def the_truth_of_an_array_is_that_of_its_only_element():
    assert array([1.0]) and not array(0.0)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(array([1.0, 2.0]))


@difference
def iteration_gives_arrays():
    assert [type(x) for x in array([1.0, 2.0])] == [cp.ndarray] * 2
    with pytest.raises(TypeError, match="0-d"):
        iter(array(1.0))


@difference
def integer_arrays_as_indices_wrap_around_where_numpy_raises():
    assert array([10, 20, 30])[array([3, 5, -4])].get().tolist() == [10, 30, 30]
    with pytest.raises(IndexError):
        array([10, 20, 30])[3]  # a number is checked


@difference
def of_repeated_indices_in_an_assignment_no_last_one_wins():
    a = cp.zeros(2)
    a[array([0, 0])] = array([1.0, 2.0])
    assert a.get().tolist() == [1.0, 0.0]
    cp.add.at(a, array([1, 1]), array([1.0, 2.0]))
    assert a.get().tolist() == [1.0, 3.0]
    with pytest.raises(TypeError, match="only supports"):
        cp.add.at(cp.zeros(2, "int64"), array([1]), 1)


@difference
def flags_know_no_writeable_and_what_is_broadcast_can_be_written():
    assert not hasattr(cp.zeros(2).flags, "writeable") and cp.zeros(2).flags.c_contiguous
    cp.broadcast_to(cp.zeros(1), (3,))[...] = array(1.0)


@difference
def there_are_no_warnings():
    assert array([1.0]).__truediv__(0).get().tolist() == [np.inf] and np.isnan(np.log(array([-1.0])).get())


@difference
def arrays_of_two_devices_do_not_mix():
    a = array([1.0])
    with cp.cuda.Device(1):
        b = cp.zeros(1)
        assert b.device.id == 1
        with pytest.raises(ValueError, match="current device"):
            a + b
        assert cp.asarray(a).device.id == 1
    assert cp.zeros(1).device.id == 0


@difference
def what_crosses_is_counted():
    cp.transfers.clear()
    a = array([1.0, 2.0])
    _ = (a + 1, a.sum(), a[0], a.get(), a.sum().item(), bool(a[0]), a[a > 1])
    assert list(cp.transfers) == [("to device", 2), ("to host", 2), ("to host", 1), ("to host", 1), ("to host", 1)]


@difference
def fuse_refuses_what_would_fall_back_in_silence():
    p, half = array([1.0, 2.0], "float32"), np.float32(0.5)

    def write(x, y):
        x[...] = x - y * x

    cp.fuse(kernel_name="write")(write)(p, half)
    assert p.get().tolist() == [0.5, 1.0] and cp.kernels["write"].compiled == 1
    for function, arguments in (
        (write, (p, 0.5)),  # a Python float, and a scalar of another dtype
        (write, (p, np.float64(0.5))),
        (write, (p, array([1.0], "float32"))),  # another shape
        (lambda x, y: x.__setitem__(..., y * y), (p, half)),  # arithmetic between scalars
        (lambda x, y: x.__setitem__(0, x), (p, half)),
        (lambda x, y: x.__setitem__(..., x if x > 0 else y), (p, half)),
        (lambda x, y: x.__setitem__(..., cp.exp(x)), (p, half)),
        (lambda x, y: x - y, (p, half)),  # gives something back
    ):
        with pytest.raises(BadRule):
            cp.fuse(kernel_name="function")(function)(*arguments)
    with pytest.raises(BadRule):
        cp.fuse(kernel_name="<lambda>")(write)


@difference
def a_captured_graph_computes_nothing_before_its_launch():
    a, stream = array([1.0, 2.0]), cp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        b = a * 2
        a += b
        with pytest.raises(cp.CUDARuntimeError, match="capturing"):
            a.get()
        graph = stream.end_capture()
    assert a.get().tolist() == [1.0, 2.0] and b.get().tolist() != [2.0, 4.0]
    graph.launch()
    graph.launch()
    assert a.get().tolist() == [9.0, 18.0] and b.get().tolist() == [6.0, 12.0]
    with pytest.raises(RuntimeError, match="default"):
        cp.cuda.Stream(null=True).begin_capture()


@pytest.mark.parametrize("name", DIFFERENCES)
def test_difference(name):
    DIFFERENCES[name]()


LEAKS = {
    "none": ("backend.py", "import numpy", "import numpy"),
    "one call of NumPy in an op": ("ops/pointwise.py", "e = xp(a).exp(", "import numpy; e = numpy.exp(-0 * numpy.asarray(a)) * xp(a).exp("),
    "one constant on the wrong device": ("backend.py", "return xp(like).zeros(shape, like.dtype)", "return numpy.zeros(shape, like.dtype)"),
    "one number read in a forward": ("ops/pointwise.py", "e = xp(a).exp(", "e = xp(a).exp(0 * float(a.sum()) "),
    "one number read in a step": ("optim/optimizer.py", "        self.way = run(", "        float(p._grad.sum()), self.way, run and run("),
    "a rule with a constant that fuse widens": ("optim/rmsprop.py", "(g * g)  # (2)", "(g * g) * 1.0  # (2)"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_makes_the_suite_fail(name, tmp_path):
    """A copy of the package in which one line is wrong in a way that NumPy alone cannot show."""
    path, old, new = LEAKS[name]
    for source in (HERE.parent / "lucidlite").rglob("*.py"):
        target = tmp_path / "lucidlite" / source.relative_to(HERE.parent / "lucidlite")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text())
    text = (tmp_path / "lucidlite" / path).read_text()
    assert old in text
    (tmp_path / "lucidlite" / path).write_text(text.replace(old, new))
    environment = os.environ | {"LUCIDLITE_TEST_DEVICE": "standin", "PYTHONPATH": f"{tmp_path}"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(HERE / "test_gpu.py")]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.returncode == (0 if name == "none" else 1), found.stdout + found.stderr
