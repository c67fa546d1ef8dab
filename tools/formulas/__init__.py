"""Formulas that are checked against the line of code beside them: `check` yours, and `explain` a step in numbers."""

from .symbols import FormulaError
from .check import check
from .explain import explain

FormulaError.__module__ = "tools.formulas"
