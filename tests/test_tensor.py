"""Tensors as objects: making, printing, comparing, changing, copying them, the random stream, and every misuse."""

import copy
import importlib.util
import math
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import Parameter, Tensor, no_grad

t = make([1.0, 2.0, 3.0])
m = make(np.arange(6.0).reshape(2, 3), dtype="float32")
z = make(2.0)
e = make(np.zeros((0, 3)), dtype="float32")
i = make([1, 2, 3])
b = make([True, False, True])
w = make([1.0, 2.0, 3.0], True)


def same(tensor, values, dtype):
    assert isinstance(tensor, Tensor) and tensor.dtype == dtype and tensor.device == z.device
    np.testing.assert_allclose(host(tensor), np.asarray(values), rtol=1e-6)  # float32
    assert tensor.shape == np.shape(values)


# ---- Creation --------------------------------------------------------------------------------------------------------

FROM_DATA = [
    (1.5, "float32"),
    (2, "int64"),
    (True, "bool"),
    ([1.0, 2.0], "float32"),
    ([1, 2], "int64"),
    ([1, 2.5], "float32"),
    ([True, False], "bool"),
    ([[1.0], [2.0]], "float32"),
    ([], "float32"),
    ([[], []], "float32"),
    ((1.0, 2.0), "float32"),
    (np.array([1.0]), "float64"),
    (np.array([1], dtype="int16"), "int16"),
    (np.float64(1.5), "float64"),
    (np.float32(1.5), "float32"),
    (np.array(1.0, dtype="float16"), "float16"),
    (np.array([1.0, 2.0], dtype=">f4"), "float32"),
    (range(3), "int64"),
    ([np.array([1.0]), np.array([2.0])], "float32"),
]


@pytest.mark.parametrize(("data", "dtype"), FROM_DATA)
def test_python_floats_become_float32_and_arrays_keep_their_dtype(data, dtype):
    same(make(data), data, dtype)
    for wanted in ("float64", np.float16, np.dtype("float32"), float):
        assert make(data, dtype=wanted).dtype == wanted
    assert make(make(data)).dtype == dtype and host(make(make(data))).tolist() == host(make(data)).tolist()


def test_a_list_of_tensors_makes_one_tensor():
    if DEVICE == "cpu":
        same(make([t, t]), [[1, 2, 3], [1, 2, 3]], "float32")
        same(make([z, z]), [2, 2], "float32")


def made(name, *args, **options):
    return getattr(lucidlite, name)(*args, device=DEVICE, **options)


CREATED = [
    (lambda: made("zeros", 2, 3), np.zeros((2, 3)), "float32"),
    (lambda: made("zeros", (2, 3)), np.zeros((2, 3)), "float32"),
    (lambda: made("ones", [2]), [1, 1], "float32"),
    (lambda: made("ones"), 1, "float32"),
    (lambda: made("zeros", 0, 3), np.zeros((0, 3)), "float32"),
    (lambda: made("zeros", np.int64(2)), [0, 0], "float32"),
    (lambda: made("ones", 2, dtype="int8"), [1, 1], "int8"),
    (lambda: made("full", (2,), 1.5), [1.5, 1.5], "float32"),
    (lambda: made("full", 2, 7), [7, 7], "int64"),
    (lambda: made("full", (), True), True, "bool"),
    (lambda: made("full", (2,), z), [2, 2], "float32"),
    (lambda: made("full", (1,), 2, dtype="float64"), [2], "float64"),
    (lambda: made("eye", 2), [[1, 0], [0, 1]], "float32"),
    (lambda: made("eye", 2, 3, 1), [[0, 1, 0], [0, 0, 1]], "float32"),
    (lambda: made("eye", 0), np.zeros((0, 0)), "float32"),
    (lambda: made("arange", 3), [0, 1, 2], "int64"),
    (lambda: made("arange", 1, 7, 2), [1, 3, 5], "int64"),
    (lambda: made("arange", 3.0), [0, 1, 2], "float32"),
    (lambda: made("arange", 3, 0, -1), [3, 2, 1], "int64"),
    (lambda: made("arange", np.float32(0.5), 3), [0.5, 1.5, 2.5], "float32"),
    (lambda: made("arange", 0, 1, 0.25), [0, 0.25, 0.5, 0.75], "float32"),
    (lambda: made("arange", np.int64(2)), [0, 1], "int64"),
    (lambda: made("arange", 3, dtype="float64"), [0, 1, 2], "float64"),
    (lambda: made("arange", 0), [], "int64"),
    (lambda: made("linspace", 0, 1, 3), [0, 0.5, 1], "float32"),
    (lambda: made("linspace", 0, 1, num=1), [0], "float32"),
    (lambda: made("linspace", 1, 0, 2, dtype="float64"), [1, 0], "float64"),
    (lambda: lucidlite.zeros_like(i), [0, 0, 0], "int64"),
    (lambda: lucidlite.ones_like(m), np.ones((2, 3)), "float32"),
    (lambda: lucidlite.full_like(t, 7), [7, 7, 7], "float32"),
    (lambda: lucidlite.zeros_like(t, dtype="float64"), [0, 0, 0], "float64"),
    (lambda: lucidlite.full_like(i, 1.5, dtype="float32"), [1.5] * 3, "float32"),
]


@pytest.mark.parametrize(("make_it", "values", "dtype"), CREATED)
def test_creation(make_it, values, dtype):
    same(make_it(), values, dtype)


@pytest.mark.parametrize("name", ["zeros", "ones", "rand", "randn", "eye", "linspace", "arange", "full"])
def test_created_tensors_can_require_gradients(name):
    args = {"linspace": (0, 1, 3), "full": ((2,), 1.0), "arange": (3.0,)}.get(name, (2,))
    x = made(name, *args, requires_grad=True)
    assert x.requires_grad and x.is_leaf and not made(name, *args).requires_grad
    (x * x).sum().backward()
    np.testing.assert_allclose(host(x.grad), 2 * host(x))


def test_like_functions_do_not_inherit_requires_grad():
    assert not lucidlite.zeros_like(w).requires_grad and lucidlite.ones_like(w, requires_grad=True).requires_grad


def test_parameters_require_gradients_and_are_the_same_class_everywhere():
    p = Parameter([1.0, 2.0], device=DEVICE)
    assert p.requires_grad and p.is_leaf and isinstance(p, Tensor) and p.dtype == "float32"
    assert Parameter(np.ones(2), device=DEVICE).dtype == "float64" and Parameter(w * 2, device=DEVICE).is_leaf
    assert type(p * 2) is Tensor
    if importlib.util.find_spec("lucidlite.nn"):
        assert importlib.import_module("lucidlite.nn").Parameter is Parameter


# ---- The random stream -----------------------------------------------------------------------------------------------

DRAWS = {
    "rand": lambda: made("rand", 3, 4),
    "randn": lambda: made("randn", 3, 4),
    "randint": lambda: made("randint", 0, 100, (5,)),
    "randperm": lambda: made("randperm", 9),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_same_seed_gives_the_same_numbers(draw):
    lucidlite.random.seed(7)
    first, second = host(draw()), host(draw())
    lucidlite.random.seed(7)
    np.testing.assert_array_equal(host(draw()), first)
    state = lucidlite.random.get_state()
    np.testing.assert_array_equal(host(draw()), second)
    third = host(draw())
    lucidlite.random.set_state(state)
    np.testing.assert_array_equal(host(draw()), second)
    np.testing.assert_array_equal(host(draw()), third)
    lucidlite.random.seed(8)
    assert not (host(draw()) == first).all()


def test_a_state_is_a_snapshot_of_names_and_whole_numbers():
    def plain(x):
        return (
            all(isinstance(k, str) and plain(v) for k, v in x.items())
            if isinstance(x, dict)
            else isinstance(x, (int, str))
        )

    state = lucidlite.random.get_state()
    before = repr(state)
    lucidlite.rand(3)
    assert plain(state) and repr(state) == before


def test_a_refused_state_or_seed_leaves_the_stream_alone():
    state = lucidlite.random.get_state()
    wrong = [
        {},
        3,
        None,
        {"bit_generator": "MT19937"},
        {"bit_generator": "PCG64"},
        {**state, "state": {"state": -1, "inc": 1}},
    ]
    for value in wrong:
        with pytest.raises((ValueError, TypeError, KeyError), match="set_state: state="):
            lucidlite.random.set_state(value)
    for value in (-1, 1.5, "a", None):
        with pytest.raises((ValueError, TypeError), match=f"seed: .*{value}.*whole number"):
            lucidlite.random.seed(value)
    assert lucidlite.random.get_state() == state


def test_one_stream_feeds_everything_in_the_order_of_the_calls():
    lucidlite.random.seed(1)
    numbers = [host(draw()).tolist() for draw in DRAWS.values()]
    lucidlite.random.seed(1)
    assert [host(draw()).tolist() for draw in DRAWS.values()] == numbers
    lucidlite.random.seed(1)
    assert [host(draw()).tolist() for draw in reversed(DRAWS.values())] != numbers[::-1]


def test_numpys_own_stream_is_left_alone():
    before = np.random.get_state()[1].tolist()
    lucidlite.random.seed(3)
    lucidlite.rand(10)
    assert np.random.get_state()[1].tolist() == before


def test_random_numbers_have_their_distribution():
    n = 20_000  # the bounds below are five standard errors wide, and the seed is fixed
    u, g = host(made("rand", n)), host(made("randn", n, dtype="float64"))
    assert u.dtype == "float32" and u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 5 * 0.289 / math.sqrt(n)
    assert abs(g.mean()) < 5 / math.sqrt(n) and abs(g.std() - 1) < 5 / math.sqrt(2 * n)
    k = host(made("randint", -2, 3, (n,)))
    assert k.dtype == "int64" and set(k) == {-2, -1, 0, 1, 2}
    assert set(host(made("randint", 3, size=(n,)))) == {0, 1, 2}
    assert sorted(host(made("randperm", 100))) == list(range(100))
    assert made("rand").shape == () and made("randn", (2, 0)).shape == (2, 0) and made("randperm", 0).shape == (0,)


# ---- Printing --------------------------------------------------------------------------------------------------------

PRINTED = [
    (lambda: lucidlite.tensor([1.0, 2.5]), "Tensor([1. , 2.5])"),
    (lambda: lucidlite.tensor(1.0), "Tensor(1.)"),
    (lambda: lucidlite.tensor([1, 2]), "Tensor([1, 2])"),
    (lambda: lucidlite.tensor(True), "Tensor(True)"),
    (lambda: lucidlite.tensor([1.0], dtype="float64"), "Tensor([1.], dtype=float64)"),
    (lambda: lucidlite.tensor([1.0], True), "Tensor([1.], requires_grad=True)"),
    (lambda: lucidlite.tensor([1.0], True) * 2, "Tensor([2.], op=multiply)"),
    (lambda: Parameter([1.0]), "Parameter([1.])"),
    (lambda: lucidlite.zeros(2, 2), "Tensor([[0., 0.],\n        [0., 0.]])"),
    (lambda: lucidlite.tensor([1], dtype="uint8"), "Tensor([1], dtype=uint8)"),
    (lambda: lucidlite.tensor([]), "Tensor([])"),
]


@pytest.mark.parametrize(("build", "text"), PRINTED)
def test_repr_is_short_and_stable(build, text):
    assert repr(build()) == str(build()) == text


def test_a_large_tensor_prints_in_a_few_lines():
    assert len(repr(made("zeros", 1000, 1000)).splitlines()) < 12


def test_a_result_whose_graph_is_freed_still_prints():
    y = (w * 2).sum()
    y.backward()
    w.grad = None
    assert repr(y).startswith("Tensor(12.")


def test_format_takes_number_formats_for_one_element():
    assert (
        f"{z:.2f}" == "2.00"
        and f"{z:5.1f}|" == "  2.0|"
        and f"{make(3):03d}" == "003"
        and f"{make([1.5]):.1f}" == "1.5"
    )
    assert f"{t}" == str(t) and f"{z}" == str(z)


# ---- Leaving ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(DEVICE != "cpu", reason="numpy() views memory on the CPU")
def test_numpy_is_a_read_only_view():
    x = lucidlite.tensor([1.0, 2.0])
    a = x.numpy()
    with pytest.raises(ValueError):
        a[0] = 5
    x[0] = 7.0
    assert a.tolist() == [7.0, 2.0] and x.data.flags.writeable
    assert not x.T.numpy().flags.writeable and (w * 2).numpy().tolist() == [2.0, 4.0, 6.0]


@pytest.mark.skipif(DEVICE != "cpu", reason="NumPy reads memory on the CPU")
def test_numpy_functions_read_tensors():
    assert np.asarray(t).dtype == "float32" and np.asarray(t, dtype="float64").dtype == "float64"
    copied = np.array(t)
    copied[0] = 9
    assert t.tolist() == [1.0, 2.0, 3.0]
    assert np.allclose(t, [1, 2, 3]) and np.stack([np.asarray(t)] * 2).shape == (2, 3)


@pytest.mark.skipif(DEVICE == "cpu", reason="is about the GPU")
def test_what_lies_on_the_gpu_comes_to_numpy_only_when_asked():
    for leave in (lambda: t.numpy(), lambda: np.asarray(t)):
        with pytest.raises(TypeError, match=r"gpu.*\.cpu\(\)"):
            leave()
    assert t.cpu().numpy().tolist() == [1.0, 2.0, 3.0]


def test_item_and_tolist_give_python_numbers():
    assert [(x, type(x)) for x in (z.item(), make(3).item(), make([True]).item())] == [
        (2.0, float),
        (3, int),
        (True, bool),
    ]
    assert m.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] and z.tolist() == 2.0 and e.tolist() == []


def test_attributes():
    assert (m.shape, m.ndim, m.size, m.dtype) == ((2, 3), 2, 6, np.dtype("float32"))
    assert (
        host(m.T).tolist() == host(m).T.tolist() and make(np.zeros((2, 3, 4))).mT.shape == (2, 4, 3) and z.T.shape == ()
    )
    assert lucidlite.tensor(1.0).device == "cpu"
    assert w.is_leaf and t.is_leaf and not (w * 2).is_leaf and (t * 2).is_leaf


def test_to_and_astype_change_the_dtype():
    assert (
        t.to("float64").dtype == t.to(np.float64).dtype == t.astype("float64").dtype == t.to(float).dtype == "float64"
    )
    assert (
        make([1.0, 2.0], dtype="float64").to("float32").dtype == "float32"
        and t.to("float16").to("float32").dtype == "float32"
    )
    assert host(t.to("int64")).tolist() == [1, 2, 3] and t.to("bool").dtype == "bool"
    assert t.to("float32") is t and t.to(t.device) is t
    copied = t.astype("float32")
    assert copied is not t and not np.shares_memory(host(copied), host(t))
    assert t.cpu().device == "cpu"


def test_detach_shares_memory_and_clone_does_not():
    x = make([1.0, 2.0], True)
    d, c = x.detach(), x.clone()
    d[0] = 5.0
    assert host(x).tolist() == [5.0, 2.0] and host(c).tolist() == [1.0, 2.0]
    assert not d.requires_grad and c.requires_grad and not c.is_leaf


# ---- Arrays and scalars beside tensors -------------------------------------------------------------------------------

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "@": lambda a, b: a @ b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
BESIDE = {
    "float64 array": np.array([3.0, 2.0, 1.0]),
    "float32 array": np.array([3, 2, 1], dtype="float32"),
    "int array": np.array([3, 2, 1]),
    "list": [3.0, 2.0, 1.0],
    "np.float64": np.float64(2),
    "np.float32": np.float32(2),
    "np.int64": np.int64(2),
    "0-d array": np.array(2.0),
    "float": 2.0,
    "int": 2,
}


@pytest.mark.skipif(DEVICE != "cpu", reason="NumPy arrays stand beside tensors on the CPU")
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize("other", BESIDE.values(), ids=BESIDE)
def test_a_tensor_beside_anything_numeric_gives_a_tensor(operator, other):
    if operator is OPERATORS["@"] and not np.ndim(other):
        return  # no matrix product; see the table of misuses
    for found, wanted in (
        (operator(t, other), operator(t.numpy(), np.asarray(other))),
        (operator(other, t), operator(np.asarray(other), t.numpy())),
    ):
        assert type(found) is Tensor
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)  # float32
        if wanted.dtype.kind == "f":
            assert found.dtype == (
                "float64" if getattr(other, "dtype", None) == "float64" and isinstance(other, np.ndarray) else "float32"
            )


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**"])
def test_a_gradient_flows_on_either_side_of_an_array(operator):
    x, c = make([1.0, 2.0, 3.0], True, "float64"), make([3.0, 2.0, 1.0], dtype="float64").data
    for function in (lambda a: OPERATORS[operator](a, c), lambda a: OPERATORS[operator](c, a)):
        found = lucidlite.grad(function(x).sum(), x)
        step = 1e-6
        wanted = (host(function(make(host(x) + step))) - host(function(make(host(x) - step)))) / (2 * step)
        np.testing.assert_allclose(host(found), wanted, rtol=1e-6)


# ---- Python's protocols ----------------------------------------------------------------------------------------------


def test_tensors_hash_by_identity_and_compare_by_element():
    other = make([1.0, 2.0, 3.0])
    assert hash(t) == hash(t) and len({t, other, t}) == 2 and {t: 1, other: 2}[other] == 2
    same(t == other, [True] * 3, "bool")
    same(t != make([1.0, 0.0, 3.0]), [False, True, False], "bool")
    same(t > 1.5, [False, True, True], "bool")
    assert not (w == w).requires_grad


def test_tensors_take_weak_references():
    x = make([1.0])
    alive = weakref.ref(x)
    assert alive() is x
    del x
    assert alive() is None


def test_len_iter_contains():
    assert len(t) == 3 and len(m) == 2 and len(e) == 0
    rows = list(m)
    assert [type(r) for r in rows] == [Tensor] * 2 and host(rows[1]).tolist() == [3.0, 4.0, 5.0]
    assert 2.0 in t and 5.0 not in t and list(e) == []
    a, c = make([1.0, 2.0], True)
    assert a.requires_grad and c.item() == 2.0
    assert [x.item() for x in reversed(t)] == [3.0, 2.0, 1.0]


def test_conversions():
    assert bool(z) is True and bool(make(0.0)) is False and bool(make([True])) is True
    assert float(z) == 2.0 and int(make(2.9)) == 2 and float(make([3])) == 3.0
    assert [10, 20, 30][make(1)] == 20 and list(range(make(3))) == [0, 1, 2]
    assert math.sqrt(make(4.0)) == 2.0


def test_setitem_writes_what_numpy_would_write():
    for key, value in (
        (0, 9.0),
        (-1, z),
        (slice(None, None, 2), [7.0, 8.0]),
        (b, 5.0),
        ([0, 2], make([3.0, 4.0])),
        (..., 1),
        (make([0, 1]), 6.0),
        ((), 2.0),
        (make(1), np.float64(4)),
        (slice(0, 0), []),
        (None, t),
        (make(True), 3.0),
    ):
        x, a = make([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0], dtype="float32")
        plain = [host(k).tolist() if isinstance(k, Tensor) else k for k in (key, value)]
        if isinstance(key, Tensor):
            plain[0] = host(key)
        x[key] = value
        a[plain[0]] = plain[1]
        np.testing.assert_array_equal(host(x), a)
        assert x.dtype == "float32"


def test_setitem_reaches_views_and_is_seen_through_them():
    x = make([1.0, 2.0, 3.0])
    view = x[1:]
    view[0] = 9.0
    assert host(x).tolist() == [1.0, 9.0, 3.0]


def test_setitem_is_refused_where_a_gradient_would_be_lost():
    x, c = make([1.0, 2.0], True), make([1.0, 2.0])
    for target, value in ((x, 5.0), (x * 2, 5.0), (c, x[0]), (x.reshape(2, 1), 5.0)):
        with pytest.raises(RuntimeError, match=r"no_grad\(\).*where"):
            target[0] = value
    with no_grad():
        x[0] = 7.0
        c[1] = x[0]
    assert host(x).tolist() == [7.0, 2.0] and host(c).tolist() == [1.0, 7.0]


def test_augmented_assignment_makes_a_new_tensor():
    x = make([1.0, 2.0], True)
    y = x
    y += 1
    assert y is not x and host(x).tolist() == [1.0, 2.0] and y.requires_grad


@pytest.mark.parametrize("copier", [copy.deepcopy, copy.copy])
def test_a_copied_leaf_has_its_own_memory_gradient_and_graph(copier):
    """copy.copy used to share the node: the copy's gradient went to the original."""
    p = Parameter([1.0, 2.0], device=DEVICE)
    p.grad = [3.0, 4.0]
    c = copier(p)
    assert type(c) is Parameter and c.requires_grad and host(c.grad).tolist() == [3.0, 4.0]
    with no_grad():
        c[0] = 9.0
    c.grad *= 0
    (c * 2).sum().backward()
    assert (
        host(p).tolist() == [1.0, 2.0] and host(p.grad).tolist() == [3.0, 4.0] and host(c.grad).tolist() == [2.0, 2.0]
    )


def test_deepcopy_keeps_shared_tensors_shared():
    first, second = copy.deepcopy([t, t])
    assert first is second and first is not t


def test_a_computed_tensor_is_not_copied_with_its_graph():
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        copy.deepcopy(w * 2)


# ---- Devices ---------------------------------------------------------------------------------------------------------


def test_importing_the_package_imports_no_cupy_and_no_pickle_of_ours():
    code = "import sys, lucidlite; print([n for n in ('cupy', 'numba', 'scipy', 'matplotlib') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
@pytest.mark.parametrize(
    "call",
    [
        lambda d: lucidlite.tensor(1.0, device=d),
        lambda d: lucidlite.zeros(2, device=d),
        lambda d: t.to(d),
        lambda d: lucidlite.rand(2, device=d),
        lambda d: Parameter(1.0, device=d),
        lambda d: lucidlite.zeros_like(t, device=d),
    ],
)
@pytest.mark.parametrize("device", ["gpu", "gpu:0", "gpu:1"])
def test_gpu_without_cupy_says_what_to_install(call, device):
    with pytest.raises(RuntimeError, match=r"gpu.*pip install cupy-cuda12x"):
        call(device)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_gpu_method_without_cupy_says_what_to_install():
    with pytest.raises(RuntimeError, match="pip install"):
        t.gpu()


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a second device")
def test_tensors_of_two_devices_are_refused_with_the_remedy():
    with pytest.raises(RuntimeError, match=r"add: a \(2, 3\) is on gpu, b \(3,\) is on cpu\. Move one with \.to\("):
        m + t.cpu()


@pytest.mark.parametrize("device", ["tpu", "cuda", "CPU", "gpu:", "gpu:x", "gpu:-1", "cpu:0", "", 0, None])
def test_unknown_devices_are_refused_by_name(device):
    for call in (lambda: lucidlite.tensor(1.0, device=device), lambda: lucidlite.zeros(2, device=device)):
        with pytest.raises((ValueError, TypeError), match=f"{device!r}.*'cpu'.*'gpu'"):
            call()


@pytest.mark.parametrize(
    "dtype", ["float99", "complex64", "str", complex, object, "datetime64", "U3", "float128", 3, [1]]
)
def test_unknown_dtypes_are_refused_with_a_list_of_the_known(dtype):
    for call in (
        lambda: make(1.0, dtype=dtype),
        lambda: lucidlite.zeros(2, dtype=dtype),
        lambda: t.astype(dtype),
        lambda: lucidlite.rand(2, dtype=dtype),
    ):
        with pytest.raises(TypeError, match=r"float32.*float64"):
            call()


# ---- Every misuse with its message -----------------------------------------------------------------------------------

NAMES = {
    "lucidlite": lucidlite,
    "np": np,
    "math": math,
    "t": t,
    "m": m,
    "z": z,
    "e": e,
    "i": i,
    "b": b,
    "w": w,
    "make": make,
}
MISUSES = [
    # Making tensors
    ("make(['a'])", TypeError, "'a'"),
    ("make(1j)", TypeError, "complex.*1j"),
    ("make(None)", TypeError, "None"),
    ("make([None, 1])", TypeError, "None"),
    ("make([[1], [2, 3]])", ValueError, "same length"),
    ("make(2**70)", (TypeError, ValueError, OverflowError), "1180591620717411303424"),
    ("make(300, dtype='int8')", (ValueError, TypeError, OverflowError), "300.*int8"),
    ("make(-1, dtype='uint8')", (ValueError, TypeError, OverflowError), "-1.*uint8"),
    ("make(object())", TypeError, "object"),
    ("make({1: 2})", TypeError, "dict"),
    ("make('text')", TypeError, "str.*text"),
    ("make(np.array(['2020'], dtype='datetime64'))", TypeError, "real numbers"),
    ("lucidlite.zeros(-1)", ValueError, "negative dimensions"),
    ("lucidlite.zeros(2.5)", (ValueError, TypeError), "2.5.*whole"),
    ("lucidlite.ones('a')", (ValueError, TypeError), "'a'.*whole"),
    ("lucidlite.full((2,), t)", ValueError, "array of size 1"),
    ("lucidlite.full((2,), 'a')", TypeError, "str.*a"),
    ("lucidlite.full((-2,), 1)", ValueError, "-2"),
    ("lucidlite.eye(-1)", ValueError, r"eye\(-1"),
    ("lucidlite.eye(2.5)", (TypeError, ValueError), r"eye\(2.5"),
    ("lucidlite.arange()", TypeError, r"arange\(\): .*stop"),
    ("lucidlite.arange(1, 2, 3, 4)", TypeError, r"arange\(1, 2, 3, 4\)"),
    ("lucidlite.arange(0, 5, 0)", ValueError, r"arange\(0, 5, 0\): .*division"),
    ("lucidlite.arange('a')", TypeError, r"arange\('a'"),
    ("lucidlite.linspace(0, 1, -1)", ValueError, r"linspace\(0, 1, -1"),
    ("lucidlite.linspace(0, 1, 2.5)", (TypeError, ValueError), r"linspace\(0, 1, 2.5"),
    ("lucidlite.zeros_like([1, 2])", TypeError, r"\[1, 2\].*Tensor"),
    # Random numbers
    ("lucidlite.rand(-1)", ValueError, "negative dimensions"),
    ("lucidlite.randn('a')", (ValueError, TypeError), "'a'"),
    ("lucidlite.rand(3, dtype='int64')", TypeError, "int64"),
    ("lucidlite.randint(5, 1)", ValueError, "randint: .*1.*>= 6"),
    ("lucidlite.randint(0)", ValueError, "randint: .*0"),
    ("lucidlite.randint(0.5, 2.5)", (TypeError, ValueError), "randint: .*0.5"),
    ("lucidlite.randint(0, 2, size=-1)", ValueError, "negative dimensions"),
    ("lucidlite.randperm(-1)", ValueError, "-1"),
    ("lucidlite.randperm(2.5)", (TypeError, ValueError), "2.5"),
    # Operators
    ("t + None", TypeError, "add: b is None, a NoneType; it takes a Tensor, an array or a number"),
    ("'a' * t", TypeError, "multiply: a is 'a', a str"),
    ("t < 'a'", TypeError, "less: b is 'a'"),
    ("t @ 2.0", (ValueError, TypeError), r"matmul: .*2\.0.*\*"),
    ("7 @ t", (ValueError, TypeError), r"matmul: .*7.*\*"),
    ("z @ z", ValueError, r"matmul: .*\(\).*at least one axis"),
    ("m @ m", ValueError, r"matmul: a \(2, 3\).*b \(2, 3\).*last axis"),
    ("t @ make([1.0])", ValueError, r"matmul: a \(3,\).*b \(1,\).*last axis"),
    ("m @ make(np.ones((2, 2, 3)))", ValueError, r"matmul: .*\(2, 2, 3\)"),
    ("~t", TypeError, "logical_not: .*float32"),
    ("t & t", TypeError, "logical_and: .*float32"),
    ("-b", TypeError, "neg: .*bool"),
    ("i ** -1", ValueError, "power: .*-1.*(float|negative)"),
    ("make([1], dtype='uint8') + 300", (ValueError, OverflowError), "add: .*uint8.*300"),
    ("t << 1", TypeError, "<<"),
    ("pow(t, 2, 3)", TypeError, "power.*arguments"),
    # Axes and shapes
    ("t.sum(axis=3)", IndexError, r"sum: a \(3,\).*axis=3.*from 0"),
    ("t.sum(axis='a')", TypeError, "sum: .*'a'"),
    ("t.sum(axis=(0, 0))", ValueError, r"sum: .*\(0, 0\)"),
    ("t.sum(axis=1.5)", TypeError, "sum: .*1.5"),
    ("m.mean(axis=5)", IndexError, r"mean: .*\(2, 3\).*5.*from 0"),
    ("t.var(axis=4)", IndexError, "var: .*4.*from 0"),
    ("t.std(axis=4)", IndexError, "4.*from 0"),
    ("m.max(axis=-3)", IndexError, "max: .*-3.*from 0"),
    ("t.norm(axis=2)", IndexError, "norm: .*2.*from 0"),
    ("t.cumsum(3)", IndexError, "cumsum: .*3.*from 0"),
    ("t.argmax(axis=4)", IndexError, "argmax: .*4.*from 0"),
    ("t.any(axis=4)", IndexError, "any: .*4.*from 0"),
    ("t.argsort(5)", IndexError, "argsort: .*5.*from 0"),
    ("t.sort(axis=3)", IndexError, "sort: .*3.*from 0"),
    ("t.flip(3)", IndexError, "flip: .*3.*from 0"),
    ("t.roll(1, 4)", IndexError, "roll: .*4.*from 0"),
    ("t.var(ddof=3)", ValueError, "var: .*ddof=3: 3 elements.*at least 4"),
    ("t.norm(ord=-1)", ValueError, "norm: .*-1.*greater than 0"),
    ("t.norm(ord='fro')", (TypeError, ValueError), "norm: .*'fro'"),
    ("t.norm(ord=math.nan)", ValueError, "norm: .*nan"),
    ("t.sum(keepdim=True)", TypeError, r"^sum\b(?=.*a, axis, keepdims).*'keepdim'"),
    ("t.reshape(2, 2)", ValueError, r"reshape: a \(3,\).*\(2, 2\).*numbers of elements"),
    ("t.reshape('a')", TypeError, "reshape: .*'a'"),
    ("t.reshape(2.0, 2)", TypeError, "reshape: .*2.0"),
    ("t.reshape(-1, -1)", ValueError, r"reshape: .*\(-1, -1\)"),
    ("t.reshape(None)", TypeError, "reshape: .*None"),
    ("t.transpose(1, 0)", IndexError, r"transpose: a \(3,\).*axes=\(1, 0\): axis 1 is out of bounds for 1 axes"),
    ("m.transpose(0, 0)", ValueError, r"transpose: .*axes=\(0, 0\).*repeated axis"),
    ("m.transpose(0, 5)", (ValueError, IndexError), "transpose: .*5"),
    ("m.swapaxes(0, 5)", IndexError, "swapaxes: .*: axis 5"),
    ("t.mT", IndexError, "axis -2"),
    ("t.squeeze(0)", ValueError, r"squeeze: a \(3,\).*axis=0: .*not equal to one"),
    ("t.squeeze(3)", IndexError, "squeeze: .*: axis 3"),
    ("t.squeeze('a')", TypeError, "squeeze: .*'a'"),
    ("t.unsqueeze(4)", IndexError, "unsqueeze: .*: axis 4"),
    ("t.unsqueeze('a')", TypeError, "unsqueeze: .*'a'"),
    ("t.expand(2, 4)", ValueError, r"expand: a \(3,\).*sizes=\(2, 4\): .*broadcast"),
    ("m.expand(3)", ValueError, r"expand: a \(2, 3\).*sizes=\(3,\): .*broadcast"),
    ("t.expand(-1, 3)", ValueError, r"expand: .*\(-1, 3\)"),
    ("t.broadcast_to((2, 4))", ValueError, r"broadcast_to: a \(3,\).*\(2, 4\)"),
    ("t.flatten(1)", IndexError, "flatten: .*: axis 1"),
    ("m.flatten(1, 0)", ValueError, "flatten: .*start_axis=1, end_axis=0: start_axis comes after"),
    ("t.repeat(-1)", ValueError, "repeat: .*-1"),
    ("t.repeat([1, 2])", ValueError, r"repeat: .*2.*3"),
    ("t.repeat(2.5)", TypeError, "repeat: .*2.5"),
    ("t.repeat(2, axis=3)", IndexError, "repeat: .*: axis 3"),
    ("t.tile(-1)", ValueError, "tile: .*-1"),
    ("t.tile('a')", TypeError, "tile: .*'a'"),
    ("make(1.0).tril()", (ValueError, IndexError), r"tril: .*\(\)"),
    ("t.diagonal()", IndexError, "diagonal: .*: axis 1"),
    ("m.diagonal(0, 0, 0)", ValueError, "diagonal: .*axis1=0, axis2=0: .*don't match"),
    # Joining and taking apart
    ("lucidlite.concatenate([])", ValueError, "concatenate: .*empty"),
    ("lucidlite.concatenate([t, m])", ValueError, r"concatenate: a0 \(3,\).*a1 \(2, 3\).*dimension"),
    ("lucidlite.concatenate([t, t], axis=1)", IndexError, "concatenate: .*: axis 1"),
    ("lucidlite.concatenate([t, 1.0])", TypeError, "concatenate: .*1.0"),
    ("lucidlite.concatenate(3)", TypeError, "concatenate: .*3"),
    ("lucidlite.concatenate([t, 'a'])", TypeError, "concatenate: .*'a'"),
    ("lucidlite.stack([])", ValueError, "stack: .*empty"),
    ("lucidlite.stack([t, m])", ValueError, r"stack: arrays=\[\(3,\).*\(2, 3\).*dimension"),
    ("lucidlite.stack([t, None])", TypeError, "stack: .*None"),
    ("lucidlite.stack([t, t], axis=3)", IndexError, "axis 3"),
    ("t.split(0)", ValueError, "split: .*size is 0.*>= 1"),
    ("t.split([1, 1])", ValueError, r"split: .*\[1, 1\]: the sizes.*3"),
    ("t.split([4, -1])", ValueError, r"split: .*\[4, -1\]: the sizes"),
    ("t.split(2.5)", TypeError, "split: .*2.5"),
    ("t.split([])", ValueError, r"split: .*\[\]: the sizes"),
    ("t.split(1, axis=2)", IndexError, "split: .*: axis 2"),
    ("t.chunk(0)", ValueError, "chunk: .*chunks is 0.*>= 1"),
    ("t.chunk('a')", TypeError, "chunk: .*'a'"),
    ("lucidlite.pad(t, -1)", ValueError, r"pad: a \(3,\).*pairs=-1.*: give numbers >= 0"),
    ("lucidlite.pad(t, [(1, 2), (3, 4)])", ValueError, r"pad: a \(3,\).*requested shape \(1,2\)"),
    ("lucidlite.pad(t, 'a')", (TypeError, ValueError), "pad: .*'a'"),
    ("lucidlite.pad(t, 1.5)", (TypeError, ValueError), "pad: .*1.5"),
    # Indexing
    ("t[3]", IndexError, r"getitem: a \(3,\).*3.*from 0"),
    ("t[0, 0]", IndexError, r"getitem: a \(3,\).*\(0, 0\).*too many indices"),
    ("t[1.5]", (IndexError, TypeError), "getitem: .*1.5"),
    ("t['a']", (IndexError, TypeError), "getitem: .*'a'"),
    ("t[[0, 5]]", IndexError, "getitem: .*5"),
    ("t[make([0.5])]", (IndexError, TypeError), "getitem: .*integers or bools.*float32"),
    ("t[make([True])]", IndexError, r"getitem: .*\(3,\).*\(1,\) bool"),
    ("t[z]", (IndexError, TypeError), "getitem: .*float32"),
    ("t[i]", IndexError, "getitem: .*3.*out of bounds"),
    ("m.gather(0, i)", ValueError, r"gather: a \(2, 3\).*index \(3,\).*as many axes"),
    ("m.gather(1, make([[0], [5]]))", IndexError, "gather: .*5"),
    ("m.gather(3, make([[0], [1]]))", IndexError, "gather: .*: axis 3"),
    ("m.gather(1, make([[0.5], [1]]))", TypeError, "gather: .*integers"),
    ("m.gather(1, make([[True], [False]]))", ValueError, "gather: .*bool.*must hold integers"),
    ("m.gather(1, 'a')", TypeError, "gather: "),
    ("m.masked_fill(m, 0.0)", TypeError, r"masked_fill: .*mask \(2, 3\) float32.*: the mask must be a bool tensor"),
    ("m.masked_fill(make([True, False]), 7)", ValueError, r"masked_fill: .*\(2, 3\).*\(2,\)"),
    ("m.masked_fill(b, 'a')", (TypeError, ValueError), "masked_fill: .*'a'"),
    ("t.clip('a')", TypeError, "clip: .*'a'"),
    ("lucidlite.where(b, t, 'a')", TypeError, "where: b is 'a'"),
    ("lucidlite.where(b, make([1.0, 2.0]), 0)", ValueError, r"where: .*\(3,\).*\(2,\)"),
    ("t.topk(4)", ValueError, "topk: .*k=4: .*0 to 3"),
    ("t.topk(-1)", ValueError, "topk: .*k=-1: "),
    ("t.topk(1.5)", TypeError, "topk: .*1.5"),
    ("t.topk(1, axis=3)", IndexError, "topk: .*: axis 3"),
    # Products
    ("t.dot(m)", ValueError, r"dot: a \(3,\).*b \(2, 3\).*two vectors"),
    ("t.dot(make([1.0]))", ValueError, r"dot: .*\(3,\).*\(1,\)"),
    ("t.dot(2.0)", TypeError, "dot: .*2.0"),
    ("t.outer(m)", ValueError, r"outer: a \(3,\).*b \(2, 3\).*number of indices"),
    ("lucidlite.tensordot(m, m, 1)", ValueError, r"tensordot: .*\(2, 3\).*differ"),
    ("lucidlite.tensordot(m, m, 3)", (ValueError, IndexError), "tensordot: .*(2|3)"),
    ("lucidlite.tensordot(m, m, -1)", ValueError, "tensordot: .*-1"),
    ("lucidlite.tensordot(m, m, ([0, 1], [0]))", ValueError, r"tensordot: .*axes \(0, 1\).*\(0,\)"),
    ("lucidlite.tensordot(m, m, 'a')", (TypeError, ValueError), "tensordot: .*'a'"),
    ("lucidlite.tensordot(m, 2.0)", TypeError, "tensordot: .*2.0"),
    ("lucidlite.einsum('ij,jk', m, t)", ValueError, r"einsum: .*\(3,\).*number of indices for operand 1"),
    ("lucidlite.einsum('ij')", ValueError, "einsum: .*'ij'.*equal to the number of operands"),
    ("lucidlite.einsum('ii->', m)", ValueError, "einsum: .*label 'i'.*2.*3"),
    ("lucidlite.einsum('ij->ijk', m)", ValueError, "einsum: .*'ij->ijk'.*k did not appear in the input"),
    ("lucidlite.einsum('ij->jj', m)", ValueError, "einsum: .*'ij->jj'.*j appeared more than once"),
    ("lucidlite.einsum('i1', m)", ValueError, "einsum: .*'i1'.*not a valid symbol"),
    ("lucidlite.einsum('ij,jk->ik', m, m)", ValueError, r"einsum: .*(\(2, 3\)|'j').*"),
    ("lucidlite.einsum('i,i->', make([2.0, 1.0]), t)", ValueError, "einsum: .*label 'i'.*2.*3"),
    ("lucidlite.einsum(3, m)", TypeError, "einsum: .*3"),
    ("lucidlite.einsum('ij', 2.0)", TypeError, "einsum: .*2.0"),
    ("lucidlite.windows(t, 4)", ValueError, r"windows: .*: size \(4,\).*\(3,\)"),
    ("lucidlite.windows(t, 0)", ValueError, "windows: .*: size is.*0"),
    ("lucidlite.windows(t, 2, 0)", ValueError, "windows: .*: stride is 0"),
    ("lucidlite.windows(t, 2, dilation=3)", ValueError, r"windows: .*dilation.*\(3,\)"),
    ("lucidlite.windows(t, (2, 2))", ValueError, r"windows: .*: size \(2, 2\).*\(3,\)"),
    ("lucidlite.windows(t, 2, (1, 1))", ValueError, r"windows: .*: stride is \(1, 1\)"),
    ("lucidlite.windows(t, 2.5)", (TypeError, ValueError), "windows: .*2.5"),
    ("lucidlite.overlap_add(make(np.ones((2, 2))), (1,))", ValueError, r"overlap_add: .*\(2, 2\).*\(1,\)"),
    ("lucidlite.overlap_add(make(np.ones((2, 2))), (3, 3))", ValueError, r"overlap_add: .*\(2, 2\).*\(3, 3\)"),
    ("lucidlite.overlap_add(make(np.ones((2, 2))), (9,), 2.5)", (TypeError, ValueError), "2.5"),
    # Ops without a tensor
    ("lucidlite.sum([1, 2])", TypeError, r"sum: .*\[1, 2\]"),
    ("lucidlite.sum(1.0)", TypeError, "sum: .*1.0"),
    ("lucidlite.exp('a')", TypeError, "exp.*"),
    ("lucidlite.reshape([1, 2], 2, 1)", TypeError, r"reshape: .*\[1, 2\]"),
    ("lucidlite.matmul(1, 2)", ValueError, "matmul: .*operand 0.*dimensions"),
    ("lucidlite.unsqueeze(3, 0)", TypeError, "unsqueeze: .*3"),
    # Python's protocols
    ("len(z)", TypeError, "unsized"),
    ("list(z)", TypeError, "unsized"),
    ("bool(t)", ValueError, r"not of \(3,\).*any\(\)"),
    ("bool(e)", ValueError, r"not of \(0,?"),
    ("float(t)", ValueError, "of one element"),
    ("int(t)", ValueError, "of one element"),
    ("t.item()", ValueError, "of one element"),
    ("[1, 2, 3][t]", TypeError, "only integer scalar"),
    ("[1, 2, 3][i]", TypeError, "only integer scalar"),
    ("range(z)", TypeError, "only integer scalar"),
    ("f'{t:.2f}'", (ValueError, TypeError), "of one element"),
    ("np.exp(t)", TypeError, "Tensor"),
    ("t.nonsense", AttributeError, "nonsense"),
    # Moving
    ("t.to('float99')", (ValueError, TypeError), "'float99'"),
    ("t.to(3)", TypeError, "3.*float32"),
    ("t.to(None)", TypeError, "None"),
    ("t.astype(None)", TypeError, "None"),
    ("t.astype('x')", TypeError, "astype: .*'x'|'x'.*float32"),
]


@pytest.mark.parametrize(("expression", "error", "message"), MISUSES, ids=[f"{row[0]}" for row in MISUSES])
def test_misuse(expression, error, message):
    if DEVICE != "cpu" and expression in ("t[[0, 5]]", "t[i]", "m.gather(1, make([[0], [5]]))"):
        pytest.skip("CuPy takes an array of indices modulo the length; an error would wait for the GPU")
    with pytest.raises(error, match=message):
        eval(expression, dict(NAMES))


WRITES = [
    ("t[5] = 1.0", IndexError, r"t \(3,\) float32, index=5, value .*5 is out of bounds.*from 0"),
    ("t[0] = 'a'", (ValueError, TypeError), "str.*a"),
    ("t[0] = [1.0, 2.0, 3.0]", (ValueError, TypeError), "sequence|shape"),
    ("t[:] = [1.0, 2.0]", ValueError, r"\(3,\)"),
    ("t[0] = None", (ValueError, TypeError), "None"),
    ("t['a'] = 1.0", (IndexError, TypeError), "'a'"),
    ("i[0] = 1.5", TypeError, "int64.*astype"),
    ("i[:] = t", TypeError, "float32.*int64"),
    ("i[0] = z", TypeError, "float32.*int64"),
    ("b[0] = 2", TypeError, "int.*bool"),
    ("u[0] = 300", (ValueError, OverflowError), "300.*uint8"),
    ("u[0] = -1", (ValueError, OverflowError), "-1.*uint8"),
    ("u.data = [1, 2, 300]", (ValueError, OverflowError), "300.*uint8"),
    ("make([1.0]).expand(3).data = [1.0, 2.0, 3.0]", (ValueError, RuntimeError), r"clone\(\)"),
    ("make([1.0]).expand(3)[0] = 2.0", (ValueError, RuntimeError), r"clone\(\)"),
    ("t[make([0.5])] = 1.0", (IndexError, TypeError), "float32"),
    ("t.shape = (1, 3)", AttributeError, "shape"),
    ("t.size = 3", AttributeError, "size"),
]


@pytest.mark.parametrize(("statement", "error", "message"), WRITES, ids=[row[0] for row in WRITES])
def test_a_wrong_write_is_refused_and_changes_nothing(statement, error, message):
    names = {**NAMES, "t": make([1.0, 2.0, 3.0]), "i": make([1, 2, 3]), "b": make([True, False, True])}
    names["u"] = make([1, 2, 3], dtype="uint8")
    before = [names[n].tolist() for n in "tibu"]
    with pytest.raises(error, match=message):
        exec(statement, names)
    assert [names[n].tolist() for n in "tibu"] == before


def test_a_parameter_is_updated_by_its_operators_in_place():
    """`p -= lr * p.grad` used to make a new Tensor of the name p, and the parameter stayed as it was."""
    p = lucidlite.Parameter([1.0, 2.0], device=DEVICE)
    same = p
    with lucidlite.no_grad():
        p -= make([0.5, 0.5])
        p += 1.0
        p *= 2.0
    assert p is same and isinstance(p, lucidlite.Parameter) and p.tolist() == [3.0, 5.0]
    with pytest.raises(RuntimeError, match="no_grad"):
        p -= 1.0


def test_a_dtype_in_the_place_of_requires_grad_is_refused():
    with pytest.raises(TypeError, match="requires_grad is 'float64'"):
        lucidlite.tensor([1.0], "float64")


def test_importing_the_package_does_not_import_the_random_generators():
    code = "import sys, lucidlite; sys.exit('numpy.random' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0
