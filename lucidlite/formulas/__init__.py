"""Formulas that are checked against the line of code beside them: `check` yours, and `explain` a step in numbers."""

from .read import FormulaError
from .check import check, explain

FormulaError.__module__ = "lucidlite.formulas"
