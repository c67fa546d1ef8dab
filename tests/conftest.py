"""The seams of the suite: on which device it runs, one seed, and a check that no test leaves anything changed behind.

LUCIDLITE_TEST_DEVICE=gpu runs the tests that have to do with a device on the GPU, LUCIDLITE_TEST_DEVICE=standin on the
strict stand-in for CuPy, cupy_standin.py; `make test` does the latter after the ordinary run.
"""

import importlib.util
import threading

import hypothesis
import numpy as np
import pytest
import support

import lucidlite

hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, database=None, max_examples=60)
hypothesis.settings.load_profile("suite")

if support.DEVICE != "cpu":  # these would run a second time just as they did on the CPU
    names = "compiled doctests formula_* inplace lessons readme standin tracer"
    collect_ignore_glob = [f"test_{name}.py" for name in names.split()]


@pytest.fixture(scope="session")
def device():
    """The name of the device under test."""
    return support.DEVICE


@pytest.fixture(autouse=True)
def seed():
    """Every test starts at the same place of the package's random stream."""
    lucidlite.random.seed(0)


def _global_state():
    return {
        "grad mode": lucidlite.grad_enabled(),
        "numpy error state": np.geterr(),
        "numpy print options": np.get_printoptions(),
        "numpy's own random stream": np.random.get_state()[1].tobytes(),
        "threads": threading.active_count(),
    }


@pytest.fixture(autouse=True)
def unchanged_global_state():
    """A test that leaks global state fails, and not the one that stumbles over it."""
    before = _global_state()
    yield
    after = _global_state()
    assert [name for name in before if before[name] != after[name]] == []


@pytest.fixture
def examples_know(doctest_namespace):
    """The names that the examples in docstrings use without importing them."""
    for name in ("nn", "optim"):
        if importlib.util.find_spec(f"lucidlite.{name}") is not None:
            doctest_namespace[name] = importlib.import_module(f"lucidlite.{name}")
    doctest_namespace["lucidlite"] = lucidlite
    return doctest_namespace
