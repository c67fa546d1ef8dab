"""Does each line compute the formula that it is tagged with? A trace function looks at the living frame: before a line
runs, it takes the values of the formula's symbols; after it, the left side must equal what the formula makes of them.
What a rule returns must be what its lines computed."""

import ast
import copy
import inspect
import math
import sys
from contextlib import suppress
from functools import partial, reduce
from html import escape
from itertools import product
from typing import Any, NamedTuple

from .. import Parameter, backend
from ..checks import describe, refuse
from ..optim import Optimizer
from .read import REDUCTIONS, FormulaError, Symbol, Translation, is_index, lines_of, read, typeset

np = backend.numpy
TOLERANCE = {4: 1e-5, 2: 1e-2}  # by the bytes of the coarsest floating numbers among those compared; else 1e-12
FUNCTIONS = vars(np) | {
    "max": lambda *x: reduce(np.maximum, x), "min": lambda *x: reduce(np.minimum, x),
    "transpose": lambda x: np.swapaxes(x, -1, -2), "erf": np.vectorize(math.erf, otypes=[float]),
    "softmax": lambda x: (e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


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

    def __repr__(self):
        rows = (f"\n({r.number})  {r.formula}\n     line {r.line}:  {r.code}\n     {r.text}" for r in self.rows)
        return "\n".join([self.title, *rows])

    def _repr_html_(self):
        body, cell = "", '<td style="text-align: left">'
        code = '<code style="white-space: pre; background: none; padding: 0">'
        for r in self.rows:
            formula, lines = escape(typeset(r.formula)), escape(f"{r.code}\n{r.text}")
            body += f"<tr>{cell}({r.number})</td>{cell}{formula}</td>{cell}{code}{lines}</code></td></tr>"
        return f"<table><caption>{escape(self.title)}</caption>{body}</table>"


def check(obj: Any, *example_args: Any, runs: Any = None, **options: Any) -> Report:
    """Hold each tagged line of an object against its formula, by running the object; returns a report.

    An optimizer's class needs nothing more; a hyperparameter may be given a value, or a list of values to try. A
    function, an op or a Module is called with the arguments behind it, floating ones as float64, so that small errors
    show. `runs`, in its place, are functions without arguments that together lead to every tagged line. FormulaError
    where a line does not compute its formula, where no run came to a tagged line, or where one cannot be read.

    >>> print(lucidlite.formulas.check(optim.SGD).title)
    SGD: each of 5 tagged lines computes its formula"""
    sheet = read(obj)
    found = {tagged: [] for tagged in sorted(sheet.tagged, key=lambda t: t.formula.number)}  # -> differences

    def record(tagged, meaning, values, left, off, close):
        refuse(not close, f"off by {off:.1e}")
        if np.isfinite(left).any():
            found[tagged].append(off)

    if runs is None:
        double = lambda x: x.astype("float64") if getattr(getattr(x, "dtype", None), "kind", "") == "f" else x
        call = partial(obj, *map(double, example_args), **{name: double(x) for name, x in options.items()})
        runs = _problems(obj, options) if inspect.isclass(obj) else [call]
    watcher = Watcher(sheet, record)
    for run in runs:
        watcher.run(run)
    missing = ", ".join(f"({t.formula.number}) in line {t.node.lineno}" for t, offs in found.items() if not offs)
    text = f"{sheet.name}: never checked, since no run came to it with finite numbers: {missing}"
    refuse(missing, f"{text}; give arguments that lead there", FormulaError)
    rows = [Row(t, f"checked {len(offs)} times, off by at most {max(offs):.1e}", offs) for t, offs in found.items()]
    return Report(f"{sheet.name}: each of {len(rows)} tagged lines computes its formula", rows)


def explain(optimizer: Any, parameter: Any, index: Any = None) -> Report:
    """Show the coming step of an optimizer, after `backward`, for one element of a parameter; nothing is changed.

    The index is a whole number or a tuple; without it, it is the element with the greatest gradient."""
    groups = [g for g in optimizer.param_groups if any(p is parameter for p in g["params"])]
    refuse(not groups, "explain: the optimizer does not train that parameter; give one of optimizer.param_groups")
    refuse(parameter.grad is None, "explain: the parameter has no gradient; call backward() first")
    gradient = plain(parameter.grad)
    index = np.unravel_index(abs(gradient).argmax(), gradient.shape) if index is None else index
    what = f"explain: index {index} is no single element of a parameter of shape {gradient.shape}"
    refuse(np.ndim(gradient[index]), what, IndexError)
    sheet, rows = read(type(optimizer)), []

    def number(value):
        value = np.asarray(value)[index] if np.shape(value) == gradient.shape else value
        return f"{float(value):.5g}" if np.size(value) == 1 else f"array of shape {np.shape(value)}"

    def record(tagged, meaning, values, left, off, close):
        rows.append(Row(tagged, f"{number(left)} = {meaning.python({}, [*map(number, values)])}", [off]))

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
    """A few steps with each combination of switches that the constructor accepts, or for each form of the rule."""
    params = list(inspect.signature(cls).parameters.values())
    known = hasattr(cls, "step") and params and "param" in params[0].name
    refuse(not known, f"{cls.__name__} is no optimizer; give functions that use it, as runs=[...]", TypeError)
    choices = {name: x if isinstance(x, list) else [x] for name, x in options.items()}
    for i, p in enumerate(p for p in params[1:] if p.name not in options):
        value = round(0.31 + 0.06 * i % 0.55, 2)  # different for each, and none near 0 or 1
        required = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if isinstance(p.default, bool):
            choices[p.name] = [False, True]
        elif isinstance(p.default, int | float) and p.default == 0:
            choices[p.name] = [p.default, value]
        elif required or isinstance(p.default, float):
            choices[p.name] = [value if required or _made(cls, {p.name: value}) else p.default]
    settings = [dict(zip(choices, values)) for values in product(*choices.values())]
    made, by_rule = [(_made(cls, setting), setting) for setting in settings], cls.step is Optimizer.step
    kinds = {x.flags(x.param_groups[0]) if by_rule else i: setting for i, (x, setting) in enumerate(made) if x}
    return [
        partial(_train, cls, **setting) for setting in kinds.values() or settings[:1]
    ]  # which says why none is made


def _made(cls, setting):
    with suppress(ValueError, TypeError):
        return cls([Parameter(np.ones(1))], **setting)


def _train(cls, **setting):
    """A few steps with random gradients; a rule goes on from any state, such as v far below the square of ḡ."""
    params = [Parameter(np.ones(shape), dtype="float64") for shape in ((2, 3), 5)]
    state, draw = {}, np.random.default_rng(2).normal
    optimizer = cls(params, **setting)
    for _ in range(3):
        for p in params:
            p.grad = draw(size=p.shape)
        if cls.step is Optimizer.step:
            _, state = optimizer.pure_step(np, optimizer.param_groups[0], draw(size=16), draw(size=16), state)
            state |= {name: abs(draw(size=16)) for name, x in state.items() if hasattr(x, "shape")}
        else:
            optimizer.step()


def plain(x):
    """A copy on the host of a Tensor or an array; anything else as it is."""
    x = backend.raw(x)
    return np.array(x.get() if hasattr(x, "get") else x) if hasattr(x, "dtype") else x


def difference(left, right, operands=()):
    """(largest difference, whether it is no more than rounding); ValueError where the shapes do not fit."""
    left, right = np.asarray(left) * 1.0, np.asarray(right) * 1.0
    fits = not right.ndim or left.squeeze().shape == right.squeeze().shape
    refuse(not fits, f"the code's shape is {left.shape}, the formula's {right.shape}")
    right = right.reshape(left.shape if right.ndim else ())
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    worst = float(np.where(same, 0.0, abs(left - right)).max(initial=0.0))
    operands = [x for x in map(np.asarray, operands) if x.dtype.kind == "f"]
    size = max(abs(x[np.isfinite(x)]).max(initial=0.0) for x in (left, right, *(1e-3 * x for x in operands)))
    return worst, worst <= size * TOLERANCE.get(min(x.itemsize for x in (left, *operands)), 1e-12)


def evaluate(meaning: Translation, values, left, axis):
    """The right side of a formula; indices pick elements, or run along `axis`."""
    names: dict[str, Any] = {f"_{i}": value for i, value in enumerate(values)}
    words, sizes = meaning.code.co_names, dict(zip(meaning.indices, np.shape(left)))
    letters = list(dict.fromkeys([*meaning.indices, *filter(is_index, words)]))
    if meaning.grid:
        for symbol, indices in meaning.picks:
            for index, size in zip(indices, shape := np.shape(values[symbol])):
                wrong = index in letters and sizes.setdefault(index, size) != size
                refuse(wrong, f"the index {index} does not run over the shape {shape}")
        names |= zip(letters, np.ix_(*(range(sizes[i]) for i in letters)))
    for word in words:
        operation, _, over = word.partition("_")
        if operation in REDUCTIONS and over:
            axes = tuple(map(letters.index, over)) if meaning.grid else axis
            names[word] = partial(getattr(np, operation), axis=axes, keepdims=axes is not None)
    result = eval(meaning.code, FUNCTIONS, names)
    whole = meaning.grid and np.ndim(result) == len(letters)  # with a 1 for each letter that was summed over
    return result.reshape(np.shape(result)[: len(meaning.indices)]) if whole else result


class Watcher:
    """Runs functions under a trace function; the first failure ends the watch, and is raised when the run ends.

    `record(tagged, meaning, values, left, off, close)` hears of each statement; what it raises is a failure too."""

    def __init__(self, sheet, record):
        self.sheet, self.record, self.failure = sheet, record, ""
        self.codes = {key: [compile(s, s, "eval") for s in spellings] for key, spellings in sheet.spellings.items()}
        nodes = {tagged.function for tagged in sheet.tagged}
        self.functions = {(sheet.filename, node.name, lines_of(node).start): Function(self, node) for node in nodes}

    @np.errstate(all="ignore")
    def run(self, function):
        self.made = {}  # key -> what its formula gave, in any function
        before = sys.gettrace()
        sys.settrace(self.call)
        try:
            function()
        finally:
            sys.settrace(before)
            if self.failure:
                failure = FormulaError(self.failure)
                if settings := getattr(function, "keywords", {}):
                    given = ", ".join(describe(*pair) for pair in settings.items())
                    failure.add_note(f"found with {self.sheet.name}({given})")
                raise failure from None

    def call(self, frame, event, arg):
        code = frame.f_code
        function = self.functions.get((code.co_filename, code.co_name, code.co_firstlineno))
        return Call(self, function, frame).event if function and not self.failure else None


class Function:
    """A function with tagged statements: which statement is where, and which symbols mean something new after it."""

    def __init__(self, watcher, function):
        self.tagged = {tagged.node: tagged for tagged in watcher.sheet.tagged if tagged.function is function}
        lefts = [(tagged.formula.meaning.left.key, tagged) for tagged in self.tagged.values()]
        self.definers = {key: [tagged for left, tagged in lefts if left == key] for key in watcher.codes}
        statements = (node for node in ast.walk(function) if isinstance(node, ast.stmt))
        self.at = {line: node for node in statements for line in lines_of(node)}  # the innermost, which comes last
        names = [(self.at[n.lineno], n) for n in ast.walk(function) if isinstance(n, ast.Name)]
        read = {(node, n.id) for node, n in names if isinstance(n.ctx, ast.Load) or isinstance(node, ast.AugAssign)}
        bound = {(node, n.id) for node, n in names if node not in self.tagged} - read  # v = 2 * v is no new v
        known = [(key, name) for key, codes in watcher.codes.items() for code in codes for name in code.co_names]
        self.renewed = {(node, key) for node, name in bound for key, found in known if found == name}


class Call:
    """One call of such a function. x_{t-1}, and a gradient ∇f_t, is what its name meant when the call or a loop's round
    began, or when the name was bound; x_t is what the statement that defines x_t left."""

    def __init__(self, watcher, function, frame):
        self.watcher, self.function, self.frame = watcher, function, frame
        self.old, self.defined, self.arguments = {}, {}, {**frame.f_locals}  # x_{t-1} and x_t by key
        self.last = {}  # name -> the number of the formula whose line computed it last, and what
        self.statement: Any = None  # what is running
        self.tagged: Any = None  # the same, if it is tagged
        self.meaning: Any = None  # the formula that it is to compute

    def value(self, symbol, needed=True):
        """What a symbol is just now: a copy."""
        codes = self.watcher.codes[symbol.key]
        for code in codes:
            with suppress(Exception):
                return plain(eval(code, self.frame.f_globals, self.frame.f_locals))
        names = " or ".join(code.co_filename for code in codes)
        refuse(needed, f"{symbol} is bound to nothing, there is no {names} here; name it in a sentence 'where ...'")

    def event(self, frame, event, arg):
        statement = self.function.at.get(frame.f_lineno)
        returns = self.tagged and isinstance(self.statement, ast.Return)  # the value is known only after a `finally`
        if event == "exception":
            if arg[0] is not StopIteration:  # the statement will not be finished
                self.tagged = None
        elif event == "return" or not (statement is self.statement or returns):
            try:
                if self.tagged:
                    self.finish(arg if returns else self.value(self.meaning.left))
                if event == "line":
                    self.begin(statement)
                elif frame.f_back.f_code is Optimizer.pure_step.__code__:
                    self.compare(1 + len(frame.f_back.f_locals["old"]), arg)
            except Exception as error:
                formula = self.tagged and self.tagged.formula
                right = formula and (self.meaning or formula.meaning).python(self.watcher.sheet.symbols)
                what = f"compute ({formula.number})  {right}: " if formula else ""
                text = f"{self.watcher.sheet.name} line {self.statement.lineno} does not {what}{error}"
                self.watcher.failure = self.watcher.failure or text
        return self.event

    def begin(self, statement):
        """Bring the old values up to date, and take those that the formula of a tagged statement needs."""
        before, self.statement = self.statement, statement
        loop = isinstance(before, ast.For | ast.While)
        if not loop or statement.lineno in lines_of(before):  # not after the last round
            for key, definers in self.function.definers.items():
                new = (before, key) in self.function.renewed or (self.old.get(key) is None and key not in self.defined)
                if new or (loop and any(t.node.lineno in lines_of(before) for t in definers)):
                    self.old[key] = self.value(Symbol(key), needed=False)
                    self.defined.pop(key, None)
        self.tagged, self.meaning = self.function.tagged.get(statement), None
        if self.tagged:
            self.meaning = self.chosen(self.tagged.formula)
            self.values = [self.look(symbol) for symbol in self.meaning.symbols]

    def finish(self, value):
        left, value = self.meaning.left, plain(value)
        axis = self.arguments.get("axis", -1 if self.meaning.indices else None)
        off, close = difference(value, evaluate(self.meaning, self.values, value, axis), self.values)
        self.watcher.record(self.tagged, self.meaning, self.values, value, off, close)
        self.defined[left.key] = value
        self.last |= {code.co_filename: (self.tagged.formula.number, value) for code in self.watcher.codes[left.key]}
        self.watcher.made.setdefault(left.key, []).append(value)

    def compare(self, count, returned):
        """Hold what a rule returns against what was computed for its arguments, p and the buffers: `count` arrays."""
        p, _, *buffers = [*self.arguments][: count + 1]
        fits = isinstance(returned, tuple | list) and len(returned) == count  # else pure_step refuses it
        for name, value in zip([p, *buffers], returned if fits else ()):
            formula, made = self.last.get(name, (None, value))
            same = self.arguments[name] is None or np.array_equal(np.squeeze(value), np.squeeze(made), equal_nan=True)
            wanted = f"a rule must return {', '.join([p, *buffers])}, in the order in which it got them"
            refuse(formula and not same, f"return as {name} what ({formula}) has computed; {wanted}")

    def chosen(self, formula):
        holds = eval(formula.condition, self.frame.f_globals, self.frame.f_locals)
        refuse(not (holds or formula.other), f"it holds only if {formula.condition_text}")
        return formula.meaning if holds else formula.other

    def look(self, symbol, asking=()):
        """The value of a symbol on the right side of the tagged statement that is about to run."""
        key, definers = symbol.key, [t.formula for t in self.function.definers[symbol.key]]
        if key in self.defined and symbol.time != "t-1":
            return self.defined[key]
        old = symbol.time == "t-1" or (symbol.time and key[0] == "∇" and not definers)
        value = self.old[key] if old and self.old[key] is not None else self.value(symbol)
        if symbol.time == "t-1":
            return value
        made, others = self.watcher.made.get(key), [f for f in definers if f is not self.tagged.formula]
        strange = made and not definers and not any(difference(value, other)[1] for other in made)
        refuse(strange, f"{symbol} is not what its formula gave")
        if (others or (definers and symbol.time)) and not any(self.implied(f, value, asking) for f in others):
            numbers = " or ".join(f"({f.number})" for f in others or definers[:1])
            raise FormulaError(f"it uses {symbol} before {numbers} has computed it")
        return value

    def implied(self, formula, value, asking):
        """Whether a formula whose line did not run holds all the same: a decay of 0, or the `else` of a condition."""
        with suppress(Exception):
            meaning: Any = formula not in asking and self.chosen(formula)
            values = [self.look(symbol, (*asking, formula)) for symbol in meaning.symbols]
            return difference(value, evaluate(meaning, values, value, -1), values)[1]
