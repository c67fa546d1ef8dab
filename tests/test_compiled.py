"""Every way of running an update rule gives NumPy's bits: compiled, in chunks, on threads; and what happens without."""

import importlib.util
import inspect
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import DEVICE

from lucidlite import Parameter, backend, kernels, optim
from lucidlite.optim import SGD, RMSprop

HAS_NUMBA = importlib.util.find_spec("numba") is not None
pytestmark = pytest.mark.skipif(DEVICE != "cpu", reason="these ways are the CPU's")
needs_numba = pytest.mark.skipif(not HAS_NUMBA, reason="Numba is not installed: pip install lucidlite[fast]")

SIZES = [0, 1, 7, 65_536, 200_000]
BUFFERS = {RMSprop: {"v": None, "m": "centered", "b": "has_momentum"}, SGD: {"b": "has_momentum"}}  # buffer -> its flag


def combinations(cls):
    """A rule's flags: none, every one alone, every pair, and all of them."""
    names = list(inspect.signature(cls.rule).parameters)[1:]
    every = itertools.product((False, True), repeat=len(names))
    return [flags for flags in every if sum(map(bool, flags)) in (0, 1, 2, len(names))]


ROWS = [
    pytest.param(cls, flags, id=f"{cls.__name__}-{'-'.join(str(int(f) if isinstance(f, bool) else f) for f in flags)}")
    for cls in (RMSprop, SGD)
    for flags in combinations(cls)
]


@pytest.fixture(autouse=True)
def default_ways():
    yield
    optim.use_kernel(None)
    kernels.set_num_threads(1)


def case(cls, flags, size, dtype):
    """Arrays and scalars for a rule with these flags; a running mean of squares is not negative."""
    draw, on = np.random.default_rng(size), dict(zip(list(inspect.signature(cls.rule).parameters)[1:], flags))
    names = list(inspect.signature(cls.rule(np, *flags)).parameters)
    arrays = [draw.standard_normal(size).astype(dtype), draw.standard_normal(size).astype(dtype)]
    for name, needed in BUFFERS[cls].items():
        values = draw.standard_normal(size).astype(dtype)
        arrays.append((values**2 if name == "v" else values) if needed is None or on[needed] else None)
    return arrays, {name: draw.uniform(0.1, 0.9) for name in names[len(arrays) :]}


def run(cls, flags, arrays, scalars, steps=3):
    """The way that was taken, and the arrays after some steps as bytes."""
    copies = [None if a is None else a.copy() for a in arrays]
    for _ in range(steps):
        way = kernels.kernel(cls.rule, flags)(copies, scalars)
    return way, [None if a is None else (a.dtype, a.shape, a.tobytes()) for a in copies]


@needs_numba
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("cls", "flags"), ROWS)
def test_compiled_rule_gives_numpy_bits(cls, flags, dtype):
    for size in SIZES:
        arrays, scalars = case(cls, flags, size, dtype)
        optim.use_kernel("numpy")
        way, expected = run(cls, flags, arrays, scalars)
        assert way == "numpy"
        optim.use_kernel("numba")
        assert run(cls, flags, arrays, scalars) == ("numba", expected), size


@needs_numba
def test_rare_values_give_numpy_bits():
    """Infinities, nans, zeros of both signs, denormals: where a min, max or root of one's own goes wrong first."""
    rare = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 1.0, -1.0]
    p, g, v, m, b = (
        a.ravel().astype("float32") for a in np.meshgrid(*[rare] * 2, [0.0, 1e-45, 1.0, np.inf], rare, [1])
    )
    flags = tuple(name in ("centered", "has_momentum") for name in list(inspect.signature(RMSprop.rule).parameters)[1:])
    scalars = case(RMSprop, flags, 1, "float32")[1]
    results = {}
    for way in ("numpy", "numba"):
        optim.use_kernel(way)
        with np.errstate(all="ignore"):
            arrays = [a.copy() for a in (p, g, v, m, b)]
            kernels.kernel(RMSprop.rule, flags)(arrays, scalars)
        results[way] = arrays
    for a, e in zip(results["numba"], results["numpy"]):
        np.testing.assert_array_equal(a, e)  # nan equals nan: its sign and payload are nobody's business
        np.testing.assert_array_equal(np.signbit(a[a == 0]), np.signbit(e[e == 0]))


@pytest.mark.parametrize("way", ["numpy", pytest.param("numba", marks=needs_numba)])
@pytest.mark.parametrize("size", [999_999, 1_000_000, 1_048_577])
def test_threads_give_the_same_bits(way, size):
    flags = combinations(RMSprop)[-1]
    arrays, scalars = case(RMSprop, flags, size, "float32")
    optim.use_kernel(way)
    _, expected = run(RMSprop, flags, arrays, scalars)
    kernels.set_num_threads(3)
    assert kernels.get_num_threads() == 3
    assert run(RMSprop, flags, arrays, scalars) == (way if size < 1_000_000 else f"{way}, 3 threads", expected)


def test_error_in_a_thread_arrives_and_errstate_holds_there():
    arrays, scalars = case(SGD, (False,) * 5, 1_000_000, "float32")
    optim.use_kernel("numpy")
    kernels.set_num_threads(2)
    arrays[1][-1] = 3e38
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        run(SGD, (False,) * 5, arrays, scalars | {"lr": 1e3})


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_number_of_threads_is_checked(n):
    with pytest.raises((TypeError, ValueError), match="whole number >= 1"):
        kernels.set_num_threads(n)
    assert kernels.get_num_threads() == 1


def test_large_parameters_are_compiled_and_small_ones_are_not():
    for size, way in ((100, "numpy"), (kernels.NUMBA_FROM, "numba" if HAS_NUMBA else "numpy")):
        p = Parameter(np.ones(size, "float32"))
        p.grad = np.ones(size, "float32")
        optimizer = SGD([p], lr=0.5)
        optimizer.step()
        assert optimizer.way == way
        assert (p.numpy() == 0.5).all()


def shrink(math):
    def rule(p, g, lr):
        return (p - lr * g.astype("float32"),)

    return rule


def widen(math):
    def rule(p, g, lr):
        return (p - 0.5 * lr * g,)

    return rule


def choose(math):
    def rule(p, g, lr):
        return (p - lr * math.where(g > 0, math.minimum(g, 1), math.maximum(math.sign(g), -2.0)),)

    return rule


@needs_numba
@pytest.mark.parametrize(
    ("rule", "reason"), [(shrink, "astype"), (widen, "turns float32 into float64; is there a number in the formula")]
)
def test_rule_that_numba_cannot_compile_runs_on_numpy_and_says_why(rule, reason):
    optim.use_kernel("numba")
    p, g = np.ones(5, "float32"), np.ones(5, "float32")
    way = kernels.kernel(rule, ())([p, g], {"lr": 0.5})
    assert way.startswith("numpy (numba: ") and reason in way
    np.testing.assert_array_equal(p, [0.5] * 5 if rule is shrink else [0.75] * 5)


def five(math):
    def rule(p, g, a, b, c, d, e, lr):
        return p - lr * g, a + g, b + g, c + g, d + g, e + g

    return rule


def surplus(math):
    def rule(p, g, lr):
        return p - lr * g, g

    return rule


@needs_numba
def test_five_buffers_or_a_surplus_result_are_not_cut_off():
    """The compiled loop has four slots: a fifth buffer never changed, and a result too many passed."""
    optim.use_kernel("numba")
    arrays = [np.ones(5, "float32") for _ in range(7)]
    assert "more than 4 buffers" in kernels.kernel(five, ())(arrays, {"lr": 0.5})
    assert [a[0] for a in arrays] == [0.5, 1, 2, 2, 2, 2, 2]
    with pytest.raises(ValueError, match=r"rule returned .* it must return"):
        kernels.kernel(surplus, ())(arrays[:2], {"lr": 0.5})


@needs_numba
def test_float16_and_arrays_with_gaps_run_on_numpy():
    optim.use_kernel("numba")
    run_rule = kernels.kernel(choose, ())
    p = np.ones(5, "float16")
    assert run_rule([p, p.copy()], {"lr": 0.5}) == "numpy (numba: its arrays are of float16)"
    p = np.ones((4, 4), "float32")
    assert run_rule([p.T, p[:, ::-1].copy()], {"lr": 0.5}) == "numpy"
    assert (p == 0.5).all()


@needs_numba
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_min_max_and_where_are_numpys(dtype):
    values = np.array([-3, -1, -0.0, 0.0, 0.5, 2, np.nan, np.inf], dtype)
    results = []
    for way in ("numpy", "numba"):
        optim.use_kernel(way)
        p, g = (a.ravel().copy() for a in np.meshgrid(values, values))
        assert kernels.kernel(choose, ())([p, g], {"lr": 0.1}) == way
        results.append(p)
    np.testing.assert_array_equal(*results)


def python(code, **environment):
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(backend.__file__).parents[1]), **environment}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


RULE = """
def rule(math, flag):
    def update(p, g, lr):
        return (p {} lr * g,)
    return update
"""
STEP = """
import numpy, rules
from lucidlite import compiled, kernels, optim
optim.use_kernel("numba")
p = numpy.ones(3, "float32")
print(kernels.kernel(rules.rule, (True,))([p, p.copy()], {"lr": 0.5}), p[0])
"""


@needs_numba
def test_cache_on_disk_is_used_and_notices_a_changed_rule(tmp_path):
    """Numba's cache looks at the file of the loop, not at that of the rule inside; the key has to make up for it."""
    places = {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": f"{tmp_path}:{Path(backend.__file__).parents[1]}",
    }
    kept = []
    for sign, result in (("-", "0.5"), ("-", "0.5"), ("+", "1.5")):
        (tmp_path / "rules.py").write_text(RULE.format(sign))
        assert python(STEP, PYTHONDONTWRITEBYTECODE="1", **places) == ["numba", result]
        kept.append(len(list((tmp_path / "cache").rglob("*.nbc"))))
    assert kept == [1, 1, 2]


@pytest.mark.parametrize("size", [10, 20_000])
def test_without_numba_everything_runs_on_numpy(size):
    code = f"""
import sys, importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else find_spec(name, *rest)
sys.modules["numba"] = None  # an import of it fails
import numpy, lucidlite
from lucidlite import optim
p = lucidlite.Parameter(numpy.ones({size}, "float32"))
p.grad = numpy.ones({size}, "float32")
optimizer = optim.SGD([p], lr=0.5)
optimizer.step()
print(optimizer.way, p.numpy()[-1])
try:
    optim.use_kernel("numba")
except RuntimeError as error:
    print("pip install numba" in str(error))
"""
    assert python(code) == ["numpy", "0.5", "True"]


def test_numba_is_not_imported_before_it_is_needed():
    assert python("import sys, lucidlite.optim; print('numba' in sys.modules)") == ["False"]


def test_unknown_way_is_refused():
    with pytest.raises(ValueError, match="'numpy', 'numba', None"):
        optim.use_kernel("fortran")
