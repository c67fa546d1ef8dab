"""What the coming step will do to one element of a parameter: each formula, its line of code, and the numbers."""

import copy
import html
import re
import unicodedata
from typing import Any

from .check import is_rule, rule_step
from .read import read
from .symbols import ACCENTS
from .watch import Watcher, np, plain


class Explanation:
    """A step in numbers: prints as text, and shows as a table in a notebook.

    Attributes:
        title: which step of what.
        rows: one tuple (number, formula, line, code, numbers) for each formula that takes part.
    """

    def __init__(self, title: str, rows: list[tuple]):
        self.title, self.rows = title, rows

    def __str__(self):
        lines = [self.title]
        for number, formula, line, code, numbers in self.rows:
            lines += ["", f"({number})  {formula}", *(f"     line {line}:  {code}".splitlines()), f"     {numbers}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        cells = [
            f"<tr><td>({n})</td><td>${html.escape(latex(formula))}$</td><td><code>{html.escape(code)}</code></td>"
            f"<td><code>{html.escape(numbers)}</code></td></tr>"
            for n, formula, _, code, numbers in self.rows
        ]
        head = "<tr><th></th><th>formula</th><th>code</th><th>numbers</th></tr>"
        return f"<table><caption>{html.escape(self.title)}</caption>{head}{''.join(cells)}</table>"


def explain(optimizer: Any, parameter: Any, index: Any = None) -> Explanation:
    """Show the coming step of an optimizer, for one element of a parameter; nothing is changed.

    Args:
        optimizer: after `backward`, before `step`.
        parameter: one of its parameters, with a gradient.
        index: the element, a whole number or a tuple; None takes the one with the greatest gradient.

    Returns:
        An `Explanation`, which prints as text and shows as a table in a notebook.

    >>> w = lucidlite.Parameter([1.0, -2.0])
    >>> optimizer = optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> print(str(tools.formulas.explain(optimizer, w)).splitlines()[-1])
    0 = (-2) - 0.5 * (-4)
    """
    sheet = read(type(optimizer))
    groups = [g for g in optimizer.param_groups if any(p is parameter for p in g["params"])]
    if not groups:
        raise ValueError("explain: this optimizer does not train that parameter; give one of optimizer.param_groups")
    if parameter.grad is None:
        raise ValueError("explain: the parameter has no gradient, so the step passes it over; call backward() first")
    gradient = plain(parameter.grad)
    if index is None:
        index = np.unravel_index(int(abs(gradient).argmax()), gradient.shape)
    index = tuple(int(i) for i in (index if isinstance(index, tuple) else (index,)))
    if len(index) != gradient.ndim:
        raise IndexError(f"explain: index is {index}; an element of shape {gradient.shape} has {gradient.ndim} numbers")
    gradient[index]  # an IndexError says what is wrong
    found = {}

    def record(tagged, meaning, values, left):
        def number(value):
            value = value[index] if np.shape(value) == gradient.shape else value
            text = f"{float(value):.5g}" if np.size(value) == 1 else f"array of shape {np.shape(value)}"
            return f"({text})" if text[0] in "-a" else text

        numbers = dict(zip(meaning.symbols, map(number, values)))
        right = meaning.python({}, numbers.get)
        result = number(left).strip("()") + f" = {right}"
        found[tagged] = tagged.formula.number, tagged.formula.text, tagged.node.lineno, tagged.source, result

    watcher = Watcher(sheet, record)
    twin = _twin(optimizer, parameter, groups[0])
    with watcher:
        twin()
    if watcher.failure:
        raise watcher.failure
    place = ", ".join(map(str, index))
    title = f"{sheet.name}: the coming step of a parameter of shape {gradient.shape}, element [{place}]"
    return Explanation(title, list(found.values()))


def _twin(optimizer, parameter, group):
    """A function that takes the coming step of this parameter on copies."""
    if is_rule(type(optimizer)):
        state = {name: plain(value) for name, value in dict(optimizer.state).get(parameter, {}).items()}
        return lambda: rule_step(optimizer, group, plain(parameter.data), plain(parameter.grad), state)
    memo = {}
    for p in (p for g in optimizer.param_groups for p in g["params"]):
        memo[id(p)] = copy.deepcopy(p)
        memo[id(p)].grad = copy.deepcopy(p.grad) if p is parameter else None
    return copy.deepcopy(optimizer, memo).step


def latex(text):
    """A formula as MathJax and KaTeX read it: accents as commands, the words of a condition as text."""
    plain_text = unicodedata.normalize("NFD", text)
    for command, mark in ACCENTS.items():
        plain_text = re.sub(f"(.){mark}", lambda match: f"{command}{{{match[1]}}}", plain_text)  # noqa: B023
    formula, _, condition = (part.strip() for part in plain_text.partition("  "))
    words, _, other = condition.partition(", else ")
    words = f"{words}, else " if other else words
    return formula + (rf"\quad\text{{{words.replace('_', chr(92) + '_')}}}" if words else "") + other
