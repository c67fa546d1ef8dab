"""Does each line compute the formula that it is tagged with, and in which numbers? Asked by running the code."""

import contextlib
import copy
import html
import inspect
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from ..optim import Optimizer
from ..tensor import Parameter
from .read import read
from .translate import ACCENTS, FormulaError
from .watch import Watcher, np, plain


class Row:
    """A formula and a line of code tagged with its number: what was found, how often, and how far off at most."""

    def __init__(self, tagged, text, differences):
        self.number, self.formula = tagged.formula.number, tagged.formula.text
        self.line, self.code, self.text = tagged.node.lineno, tagged.source, text
        self.count, self.difference = len(differences), max(differences)


class Report(NamedTuple):
    """What `check` or `explain` found, in `rows`: prints as text, and shows as a table in a notebook."""

    title: str
    rows: list[Row]

    def __str__(self):
        rows = (f"\n({r.number})  {r.formula}\n     line {r.line}:  {r.code}\n     {r.text}" for r in self.rows)
        return "\n".join([self.title, *rows])

    __repr__ = __str__

    def _repr_html_(self):
        body, cell = "", '<td style="text-align: left">'
        code = '<code style="white-space: pre; background: none; padding: 0">'
        for r in self.rows:
            formula, lines = html.escape(typeset(r.formula)), html.escape(f"{r.code}\n{r.text}")
            body += f"<tr>{cell}({r.number})</td>{cell}{formula}</td>{cell}{code}{lines}</code></td></tr>"
        return f"<table><caption>{html.escape(self.title)}</caption>{body}</table>"


def typeset(text):
    """A formula for MathJax and KaTeX: accents as commands, and the words of a condition outside the dollars."""
    text = unicodedata.normalize("NFD", text)
    for command, mark in ACCENTS.items():
        text = re.sub(f"(.){mark}", rf"\{command}{{\1}}", text)
    formula, _, condition = text.partition("  ")
    return f"${formula}$ " + re.sub(", else (.*)", r", else $\1$", condition.strip())


def check(obj: Any, *example_args: Any, runs: Iterable[Callable] | None = None, **options: Any) -> Report:
    """Run an object under a watcher that holds each tagged line against its formula; returns a report.

    An optimizer's class needs nothing more; of its hyperparameters a value, or a list of values to try, may be given. A
    function, an op or a Module is called with the arguments behind it, floating ones as float64, so that small errors
    show. `runs` are in place of these functions without arguments that together lead to every tagged line. FormulaError
    where a line does not compute its formula, where no run came to a tagged line, or where one cannot be read.

    >>> print(lucidlite.formulas.check(optim.SGD).title)
    SGD: each of 5 tagged lines computes its formula
    """
    sheet = read(obj)
    found = {tagged: [] for tagged in sorted(sheet.tagged, key=lambda t: t.formula.number)}  # -> differences

    def record(tagged, meaning, values, left, off, close):
        if not close:
            raise FormulaError(f"off by {off:.1e}")
        if np.isfinite(left).any():
            found[tagged].append(off)

    if runs is None:
        double = lambda x: x.astype("float64") if getattr(getattr(x, "dtype", None), "kind", "") == "f" else x
        call = partial(obj, *map(double, example_args), **{name: double(x) for name, x in options.items()})
        runs = _problems(obj, options) if inspect.isclass(obj) else [call]
    watcher = Watcher(sheet, record)
    for run in runs:
        watcher.run(run)
    if missing := [f"({t.formula.number}) in line {t.node.lineno}" for t, offs in found.items() if not offs]:
        text = f"never checked, since no run came to it with finite numbers: {', '.join(missing)}"
        raise FormulaError(f"{sheet.name}: {text}; give arguments that lead there")
    rows = [Row(t, f"checked {len(offs)} times, off by at most {max(offs):.1e}", offs) for t, offs in found.items()]
    return Report(f"{sheet.name}: each of {len(rows)} tagged lines computes its formula", rows)


def explain(optimizer: Any, parameter: Any, index: Any = None) -> Report:
    """Show the coming step of an optimizer, after `backward`, for one element of a parameter; nothing is changed.

    The index is a whole number or a tuple; without it, it is the element with the greatest gradient.

    >>> w = lucidlite.Parameter([1.0, -2.0])
    >>> optimizer = optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> print(str(lucidlite.formulas.explain(optimizer, w)).splitlines()[-1].strip())
    0 = (-2) - 0.5 * (-4)
    """
    groups = [g for g in optimizer.param_groups if any(p is parameter for p in g["params"])]
    if not groups:
        raise ValueError("explain: this optimizer does not train that parameter; give one of optimizer.param_groups")
    if parameter.grad is None:
        raise ValueError("explain: the parameter has no gradient, so the step passes it over; call backward() first")
    gradient = plain(parameter.grad)
    index = np.unravel_index(abs(gradient).argmax(), gradient.shape) if index is None else index
    if np.ndim(gradient[index]):
        raise IndexError(f"explain: index {index} is no single element of a parameter of shape {gradient.shape}")
    sheet, rows = read(type(optimizer)), []

    def number(value):
        value = np.asarray(value)[index] if np.shape(value) == gradient.shape else value
        return f"{float(value):.5g}" if np.size(value) == 1 else f"array of shape {np.shape(value)}"

    def record(tagged, meaning, values, left, off, close):
        text = f"{number(left)} = {meaning.python({}, [number(value) for value in values])}"
        rows.append(Row(tagged, text, [off]))

    def step():
        if type(optimizer).step is Optimizer.step:
            state = {name: plain(x) for name, x in dict(optimizer.state).get(parameter, {}).items()}
            optimizer.pure_step(np, groups[0], plain(parameter.data), gradient, state)
        else:
            twin, twins_parameter = copy.deepcopy((optimizer, parameter))
            for p in (p for g in twin.param_groups for p in g["params"] if p is not twins_parameter):
                p.grad = None
            twin.step()

    Watcher(sheet, record).run(step)
    place = f"element {np.atleast_1d(index).tolist()} of a parameter of shape {gradient.shape}"
    return Report(f"{sheet.name}: the coming step of {place}", rows)


def _problems(cls, options):
    """A few steps with every combination of switches; combinations that the constructor refuses are left out."""
    params = list(inspect.signature(cls).parameters.values())
    if not hasattr(cls, "step") or not params or "param" not in params[0].name:
        raise TypeError(f"{cls.__name__} is no optimizer; give functions that use it, as runs=[...]")
    choices, zeros = {name: x if isinstance(x, list) else [x] for name, x in options.items()}, []
    for i, p in enumerate(p for p in params[1:] if p.name not in options):
        value = round(0.31 + 0.06 * i % 0.55, 2)  # different for each, and none near 0 or 1
        required = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if isinstance(p.default, bool):
            choices[p.name] = [False, True]
        elif isinstance(p.default, int | float) and p.default == 0:
            choices[p.name] = [p.default, value]
        elif required or isinstance(p.default, float):
            choices[p.name] = [value if required or _made(cls, {p.name: value}) else p.default]
            zeros.append({p.name: 0.0})
    settings = [dict(zip(choices, values)) for values in itertools.product(*choices.values())]
    problems = {}
    for setting in settings + [settings[0] | zero for zero in zeros]:
        if optimizer := _made(cls, setting):  # of those with a rule, one for each form of the rule
            kind = optimizer.flags(optimizer.param_groups[0]) if cls.step is Optimizer.step else len(problems)
            problems.setdefault(kind, partial(_train, cls, **setting))
    return problems.values() or [partial(_train, cls, **settings[0])]  # which says why none can be made


def _parameters():
    return [Parameter(np.ones((2, 3)), dtype="float64"), Parameter(np.ones(5), dtype="float64")]


def _made(cls, setting):
    with contextlib.suppress(ValueError, TypeError):
        return cls(_parameters(), **setting)


def _train(cls, **setting):
    """A few steps with random gradients; a rule goes on from any state, such as v far below the square of ḡ."""
    params, state, draw = _parameters(), {}, np.random.default_rng(2).normal
    optimizer = cls(params, **setting)
    for _ in range(3):
        for p in params:
            p.grad = draw(size=p.shape)
        if cls.step is Optimizer.step:
            _, state = optimizer.pure_step(np, optimizer.param_groups[0], draw(size=16), draw(size=16), state)
            state |= {name: abs(draw(size=16)) for name, x in state.items() if hasattr(x, "shape")}
        else:
            optimizer.step()
