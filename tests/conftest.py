"""The seams of the suite: on which device it runs, one seed, and a check that no test leaves anything changed behind.

LUCIDLITE_TEST_DEVICE=gpu runs every test on the GPU, or on whatever module named cupy can be imported.
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
