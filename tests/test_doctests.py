"""Every example in a docstring of the package runs and prints what it says."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import lucidlite

MODULES = ["lucidlite", *(m.name for m in pkgutil.walk_packages(lucidlite.__path__, "lucidlite."))]


def examples(module, names):
    """The doctests of a module: its own, and those of what it defines.

    `doctest` alone would overlook every op: it leaves out functions whose code stands in another file, as the code of a
    decorator's inner function does.
    """
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=True)
    found = finder.find(inspect.getdoc(module) or "", module.__name__, module=False, globs=names)
    for name, value in vars(module).items():
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and hasattr(value, "__qualname__"):
            found += finder.find(value, f"{module.__name__}.{name}", module=False, globs=names)
    return found


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples_in_docstrings_print_what_they_say(name, examples_know):
    report = []
    for example in examples(importlib.import_module(name), examples_know):
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=report.append)
    assert not report, "".join(report)


def test_examples_of_ops_are_found(examples_know):
    """An op is a decorator's inner function; doctest's own search did not find its examples."""
    found = examples(importlib.import_module("lucidlite.ops.reduce"), examples_know)
    assert "lucidlite.ops.reduce.matmul" in [example.name for example in found if example.examples]
