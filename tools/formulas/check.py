"""Does each line compute the formula that it is tagged with? Asked by running the code, not by reading it."""

import inspect
import itertools
import random
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .read import read
from .symbols import FormulaError
from .watch import Watcher, np


@dataclass
class Row:
    """A formula in a report: as it is written, the lines that compute it, how often that was checked, and how well."""

    number: int
    formula: str
    python: str
    lines: list[int]
    count: int
    difference: float


class Report:
    """What `check` found: `rows`, one for each formula; prints as a table."""

    def __init__(self, name: str, rows: list[Row]):
        self.name, self.rows = name, rows

    def __str__(self):
        wide = {r.number: sum(not unicodedata.combining(c) for c in r.formula) for r in self.rows}
        lines = [
            f"  ({r.number})  {r.formula}{' ' * (max(wide.values()) - wide[r.number])}  "
            f"line {str(r.lines).strip('[]')}: checked {r.count} times, off by {r.difference:.1e} at most"
            for r in self.rows
        ]
        return "\n".join([f"{self.name}: each of {len(self.rows)} formulas is what its line computes", *lines])

    __repr__ = __str__


def check(obj: Any, *example_args: Any, runs: Iterable[Callable] | None = None, **options: Any) -> Report:
    """Run an object under a watcher that holds each tagged line against its formula.

    Args:
        obj: an Optimizer subclass, which needs nothing more; or a function, an op, a Module.
        example_args: what to call a function with; floating Tensors and arrays are made float64 first.
        runs: in place of example arguments, functions without arguments that together lead to every tagged line.
        options: keyword arguments of the call; for an Optimizer subclass hyperparameters, each a value or a list.

    Returns:
        A `Report`; it prints as a table.

    Raises:
        FormulaError: with the line and the formula as Python, where a line does not compute its formula, where no run
            came to a tagged line, and where the docstring or the tags cannot be read.

    >>> def area(r):
    ...     r'''The area of a circle.
    ...
    ...         (1)  A = π r^2
    ...     '''
    ...     A = 3.14 * r * r  # (1)
    ...     return A
    >>> formulas.check(area, 2.0)
    Traceback (most recent call last):
    tools.formulas.FormulaError: area line 6 does not compute (1)  pi * r**2: off by 6.4e-03
    """
    sheet = read(obj)
    watcher = Watcher(sheet)
    if runs is None and inspect.isclass(obj):
        runs = _optimizer_runs(obj, options)
    elif runs is None:
        args, options = [_double(x) for x in example_args], {k: _double(x) for k, x in options.items()}
        runs = [lambda: obj(*args, **options)]
    for run in runs:
        try:
            with watcher, np.errstate(all="ignore"):
                run()
        except Exception:
            if not watcher.failure:
                raise
        if watcher.failure:
            watcher.failure.__cause__ = None
            if isinstance(run, Problem):
                watcher.failure.add_note(f"found with {run}")
            raise watcher.failure
    missing = [t for t, (count, _) in watcher.counts.items() if not count]
    if missing:
        lines = ", ".join(f"({t.formula.number}) in line {t.node.lineno}" for t in missing)
        text = f"never checked, since no run came to it with finite numbers: {lines}; give arguments that lead there"
        raise FormulaError(f"{sheet.name}: {text}")
    return Report(sheet.name, [_row(sheet, watcher, number) for number in sorted(sheet.formulas)])


def _row(sheet, watcher, number):
    formula = sheet.formulas[number]
    tagged = [t for t in sheet.tagged if t.formula is formula]
    counts = [watcher.counts[t] for t in tagged]
    python = formula.meaning.python(sheet.symbols)
    lines, count = [t.node.lineno for t in tagged], sum(n for n, _ in counts)
    return Row(number, formula.text, python, lines, count, max(off for _, off in counts))


def _double(x):
    """The same in float64, so that a formula in the wrong order shows in the digits."""
    if getattr(getattr(x, "dtype", None), "kind", "") == "f" and x.dtype.itemsize < 8:
        return x.astype("float64")
    return type(x)(map(_double, x)) if type(x) in (list, tuple) else x


# ---- Problems for an optimizer ----


def _optimizer_runs(cls, options):
    """A few steps with every combination of switches; combinations that the constructor refuses are left out."""
    names = list(inspect.signature(cls).parameters.values())
    if not names or not hasattr(cls, "step") or names[0].name not in ("params", "parameters", "model_parameters"):
        text = f"{cls.__name__} is no optimizer; give functions that use it, as check({cls.__name__}, runs=[...])"
        raise TypeError(text)
    fixed, choices, odd = {}, {}, {}
    for i, p in enumerate(p for p in names[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)):
        value = 0.31 + 0.06 * i % 0.55  # different for each, and none near 0 or 1
        if p.name in options:
            given = options[p.name]
            choices[p.name] = given if isinstance(given, list) else [given]
        elif isinstance(p.default, bool):
            choices[p.name] = [False, True]
        elif p.default is p.empty or (isinstance(p.default, float) and p.default):
            fixed[p.name] = value if p.default is p.empty or _made(cls, {p.name: value}) else p.default
            odd[p.name] = 0.0
        elif isinstance(p.default, int | float) and p.default == 0:
            choices[p.name] = [type(p.default)(0), value]
    settings = [fixed | dict(zip(choices, values)) for values in itertools.product(*choices.values())]
    settings += [fixed | {name: zero} | {n: c[0] for n, c in choices.items()} for name, zero in odd.items()]
    known, problems = set(), []
    for setting in settings:
        optimizer = _made(cls, setting)
        if optimizer is not None:
            kind = _kind(cls, optimizer)
            if kind is None or kind not in known:
                problems.append(Problem(cls, setting))
            known.add(kind)
    if not problems:
        cls(_parameters(), **fixed)  # says why
        raise FormulaError(f"{cls.__name__}: its constructor refuses every combination of switches that was tried")
    for problem in problems:
        problem.steps = 3 if len(problems) <= 64 else 2
    return problems


def _kind(cls, optimizer):
    """What decides which way a rule goes, for an optimizer that is all rule; None for one with a step of its own."""
    if not is_rule(cls):
        return None
    group = optimizer.param_groups[0]
    return optimizer.flags(group), tuple(name for name, start in optimizer.buffers(group).items() if start is not None)


def is_rule(cls):
    from lucidlite.optim import Optimizer

    return issubclass(cls, Optimizer) and cls.step is Optimizer.step


def rule_step(optimizer, group, p, g, state):
    """The step of an optimizer that is all rule, in plain Python: the new p. `state` is changed, nothing else is."""
    starts, step = optimizer.buffers(group), state.get("step", 0) + 1
    created = [name for name, start in starts.items() if start is not None and name not in state]
    state.update({name: np.full_like(p, starts[name]) for name in created}, step=step)
    old = [None if start is None else state[name] for name, start in starts.items()]
    scalars = optimizer.scalars(group, step, created)
    new = type(optimizer).rule(np, *optimizer.flags(group))(p, g, *old, **scalars)
    state.update((name, value) for name, value in zip(starts, new[1:]) if value is not None)
    return new[0]


def _made(cls, setting):
    try:
        return cls(_parameters(1), **setting)
    except (ValueError, TypeError):
        return None


def _parameters(size=3):
    from lucidlite.tensor import Parameter

    draw = random.Random(1)
    shapes = (2, size), (size,)
    return [Parameter(_normal(draw, np.zeros(shape)), "float64") for shape in shapes]


def _normal(draw, like):
    return np.reshape([draw.gauss(0, 1) for _ in range(like.size)], like.shape)


class Problem:
    """A few steps of an optimizer with random gradients; prints as its settings."""

    steps = 3

    def __init__(self, cls, setting):
        self.cls, self.setting = cls, setting

    def __call__(self):
        draw, params = random.Random(2), _parameters()
        optimizer = self.cls(params, **self.setting)
        if is_rule(self.cls):
            return self.by_rule(draw, optimizer, optimizer.param_groups[0])

        def closure():
            for p in params:
                p.grad = _normal(draw, p)
            return sum((p.data**2).sum() for p in params)

        asked = list(inspect.signature(optimizer.step).parameters.values())
        for _ in range(self.steps):
            closure()
            optimizer.step(*[closure] * bool(asked and asked[0].default is inspect.Parameter.empty))

    def by_rule(self, draw, optimizer, group):
        """First from the start, then from any state: such as a square of the mean above the mean of the squares."""
        p, state = _normal(draw, np.zeros((4, 8))), {}
        for _ in range(self.steps):
            p = rule_step(optimizer, group, p, _normal(draw, p), state)
            state |= {name: abs(_normal(draw, p)) for name in state if name != "step"}

    def __str__(self):
        settings = (f"{k}={v:.2g}" if type(v) is float else f"{k}={v}" for k, v in self.setting.items())
        return f"{self.cls.__name__}({', '.join(settings)})"
