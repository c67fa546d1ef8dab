"""Watch code line by line, and hold each tagged statement against its formula.

Before the statement runs, the values of the formula's symbols are taken from the living frame; after it, the left side
must equal what the formula makes of them. x_{t-1}, and a gradient ∇f_t, is what its name meant when the function or the
loop's round began, or when the name was bound; x_t is what the statement that defines x_t left.
"""

import ast
import collections
import contextlib
import functools
import math
import sys
from typing import Any

from .. import backend
from ..errors import describe
from .read import lines_of
from .translate import REDUCTIONS, FormulaError, Symbol, Translation, is_index

np = backend.numpy
TOLERANCE = {4: 1e-5, 2: 1e-2}  # by the bytes of the coarsest floating numbers among those compared; else 1e-12
FUNCTIONS = vars(np) | {
    "max": lambda *x: functools.reduce(np.maximum, x), "min": lambda *x: functools.reduce(np.minimum, x),
    "transpose": lambda x: np.swapaxes(x, -1, -2), "erf": np.vectorize(math.erf, otypes=[float]),
    "softmax": lambda x: (e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


def plain(x):
    """A copy on the host of a Tensor or an array; anything else as it is."""
    x = backend.raw(x)
    return np.array(x.get() if hasattr(x, "get") else x) if hasattr(x, "dtype") else x


def difference(left, right, operands=()):
    """(largest difference, whether it is no more than rounding); ValueError where the shapes do not fit."""
    left, right = np.asarray(left) * 1.0, np.asarray(right) * 1.0
    if right.ndim and left.squeeze().shape != right.squeeze().shape:
        raise ValueError(f"the code's shape is {left.shape}, the formula's {right.shape}")
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
        for node in ast.walk(ast.parse(meaning.variables)):
            if isinstance(node, ast.Subscript):
                shape, parts = np.shape(names[ast.unparse(node.value)]), getattr(node.slice, "elts", [node.slice])
                for index, size in zip(map(ast.unparse, parts), shape):
                    if index in letters and sizes.setdefault(index, size) != size:
                        raise ValueError(f"the index {index} does not run over the shape {shape}")
        names |= zip(letters, np.ix_(*(range(sizes[i]) for i in letters)))
    for word in words:
        operation, _, over = word.partition("_")
        if operation in REDUCTIONS and over:
            axes = tuple(map(letters.index, over)) if meaning.grid else axis
            names[word] = functools.partial(getattr(np, operation), axis=axes, keepdims=axes is not None)
    result = eval(meaning.code, FUNCTIONS, names)
    whole = meaning.grid and np.ndim(result) == len(letters)  # with a 1 for each letter that was summed over
    return result.reshape(np.shape(result)[: len(meaning.indices)]) if whole else result


class Watcher:
    """Runs functions under a trace function; the first failure ends the watch, and is raised when the run ends.

    `record(tagged, meaning, values, left, off, close)` hears of each statement; what it raises is a failure too.
    """

    def __init__(self, sheet, record):
        self.sheet, self.record, self.failure = sheet, record, None
        self.names = {}  # key -> what it may be called: the code of Python expressions
        for key, name in sheet.names.items():
            spellings = [sheet.symbols[key]] if key in sheet.symbols else dict.fromkeys([name, name.replace("_", "")])
            self.names[key] = [compile(spelling, spelling, "eval") for spelling in spellings]
        self.functions = {}
        for node in {tagged.function for tagged in sheet.tagged}:
            self.functions[sheet.filename, node.name, lines_of(node).start] = Function(self, node)

    def run(self, function):
        settings = [describe(*pair) for pair in getattr(function, "keywords", {}).items()]
        self.made = collections.defaultdict(list)  # key -> what its formula gave, in any function
        before = sys.gettrace()
        sys.settrace(self.call)
        try:
            with np.errstate(all="ignore"):
                function()
        finally:
            sys.settrace(before)
            if self.failure:
                self.failure.__notes__ = [f"found with {self.sheet.name}({', '.join(settings)})"] if settings else []
                raise self.failure from None

    def call(self, frame, event, arg):
        code = frame.f_code
        function = self.functions.get((code.co_filename, code.co_name, code.co_firstlineno))
        return Call(self, function, frame).event if function and not self.failure else None


class Function:
    """A function with tagged statements: which statement is where, and which symbols mean something new after it."""

    def __init__(self, watcher, function):
        self.tagged = {tagged.node: tagged for tagged in watcher.sheet.tagged if tagged.function is function}
        self.definers = {s.key: [] for tagged in self.tagged.values() for s in tagged.formula.symbols}
        for tagged in self.tagged.values():
            self.definers[tagged.formula.meaning.left.key].append(tagged)
        statements = (node for node in ast.walk(function) if isinstance(node, ast.stmt))
        self.at = {line: node for node in statements for line in lines_of(node)}  # the innermost, which comes last
        names = [(self.at[n.lineno], n) for n in ast.walk(function) if isinstance(n, ast.Name)]
        read = {(node, n.id) for node, n in names if isinstance(n.ctx, ast.Load) or isinstance(node, ast.AugAssign)}
        bound = {(node, n.id) for node, n in names if node not in self.tagged} - read  # v = 2 * v is no new v
        known = [(key, name) for key in self.definers for code in watcher.names[key] for name in code.co_names]
        self.renewed = {(node, key) for node, name in bound for key, found in known if found == name}


class Call:
    """One call of a watched function."""

    def __init__(self, watcher, function, frame):
        self.watcher, self.function, self.frame = watcher, function, frame
        self.old, self.defined, self.arguments = {}, {}, {**frame.f_locals}  # x_{t-1} and x_t by key
        self.statement, self.returns = None, False  # what is running, and whether it is a tagged return
        self.tagged: Any = None  # the same, if it is tagged
        self.meaning: Any = None  # the formula that it is to compute
        for key in function.definers:
            self.remember(key)

    def remember(self, key):
        self.defined.pop(key, None)
        self.old[key] = None
        with contextlib.suppress(FormulaError):
            self.old[key] = self.value(Symbol(key))

    def value(self, symbol):
        """What a symbol is just now: a copy."""
        codes = self.watcher.names[symbol.key]
        for code in codes:
            with contextlib.suppress(Exception):
                return plain(eval(code, self.frame.f_globals, self.frame.f_locals))
        names = " or ".join(code.co_filename for code in codes)
        raise FormulaError(f"{symbol} is bound to nothing, there is no {names} here; name it in a sentence 'where ...'")

    def event(self, frame, event, arg):
        statement = self.function.at.get(frame.f_lineno)
        if event == "exception":
            if arg[0] is not StopIteration:  # the statement will not be finished
                self.tagged, self.returns = None, False
        elif event == "return" or not (statement is self.statement or self.returns):
            try:
                if self.tagged:
                    self.finish(arg)
                if event == "line":
                    self.begin(statement)
            except Exception as error:
                sheet, (formula, node, *_) = self.watcher.sheet, self.tagged
                what = f"({formula.number})  {(self.meaning or formula.meaning).python(sheet.symbols)}"
                text = f"{sheet.name} line {node.lineno} does not compute {what}: {error}"
                self.watcher.failure = self.watcher.failure or FormulaError(text)
        return self.event

    def begin(self, statement):
        """Bring the old values up to date, and take those that the formula of a tagged statement needs."""
        before, self.statement = self.statement, statement
        loop = isinstance(before, ast.For | ast.While)
        if not loop or statement.lineno in lines_of(before):  # not after the last round
            for key, definers in self.function.definers.items():
                new = (before, key) in self.function.renewed or (self.old[key] is None and key not in self.defined)
                if new or (loop and any(t.node.lineno in lines_of(before) for t in definers)):
                    self.remember(key)
        self.tagged, self.meaning = self.function.tagged.get(statement), None
        self.returns = self.tagged and isinstance(statement, ast.Return)  # its value is known only after a `finally`
        if self.tagged:
            self.meaning = self.chosen(self.tagged.formula)
            self.values = [self.look(symbol) for symbol in self.meaning.symbols]
            self.axis = self.arguments.get("axis", -1 if self.meaning.indices else None)

    def finish(self, returned):
        left = self.meaning.left
        value = plain(returned) if self.returns else self.value(left)
        off, close = difference(value, evaluate(self.meaning, self.values, value, self.axis), self.values)
        self.watcher.record(self.tagged, self.meaning, self.values, value, off, close)
        self.defined[left.key] = value
        if left.time == "t":
            self.watcher.made[left.key].append(value)

    def chosen(self, formula):
        holds = eval(formula.condition, self.frame.f_globals, self.frame.f_locals)
        if not (holds or formula.other):
            raise FormulaError(f"it holds only if {formula.condition_text}")
        return formula.meaning if holds else formula.other

    def look(self, symbol, asking=()):
        """The value of a symbol on the right side of the tagged statement that is about to run."""
        key, definers = symbol.key, [t.formula for t in self.function.definers[symbol.key]]
        if key in self.defined and symbol.time != "t-1":
            return self.defined[key]
        old = symbol.time == "t-1" or (symbol.time and key[0] == "∇" and not definers)
        value = self.old[key] if old and self.old[key] is not None else self.value(symbol)
        made, others = self.watcher.made[key], [f for f in definers if f is not self.tagged.formula]
        if symbol.time == "t-1":
            return value
        if made and not definers and not any(difference(value, other)[1] for other in made):
            raise FormulaError(f"{symbol} is not what its formula gave")
        if (others or (definers and symbol.time)) and not any(self.implied(f, value, asking) for f in others):
            numbers = " or ".join(f"({f.number})" for f in others or definers[:1])
            raise FormulaError(f"it uses {symbol} before {numbers} has computed it")
        return value

    def implied(self, formula, value, asking):
        """Whether a formula whose line did not run holds all the same: a decay of 0, or the `else` of a condition."""
        try:
            meaning: Any = formula not in asking and self.chosen(formula)
            values = [self.look(symbol, (*asking, formula)) for symbol in meaning.symbols]
            return difference(value, evaluate(meaning, values, value, -1), values)[1]
        except Exception:
            return False
