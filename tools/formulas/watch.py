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

from lucidlite import backend

from .read import lines_of
from .symbols import FormulaError, Symbol
from .translate import FUNCTIONS, Translation

np = backend.numpy
BINDING = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.With)
TOLERANCE = {8: 1e-12, 4: 1e-5, 2: 1e-2}  # by the bytes of the coarsest floating numbers among those compared
CANDIDATES = {
    "where": np.where, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs, "pi": math.pi, "inf": math.inf, "var": np.var,
    "max": lambda *x: functools.reduce(np.maximum, x), "min": lambda *x: functools.reduce(np.minimum, x),
    "transpose": lambda x: np.swapaxes(x, -1, -2), "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": lambda x: (e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "mean": np.mean, "floor": np.floor, "sign": np.sign,
}  # fmt: skip
CANDIDATES |= {n: getattr(np, n) for n in FUNCTIONS}


def plain(x):
    """A copy on the host of a Tensor or an array; anything else as it is."""
    x = backend.raw(x)
    if hasattr(x, "dtype") and hasattr(x, "get"):
        x = x.get()
    return np.array(x) if hasattr(x, "dtype") else x


def difference(left, right, operands=()):
    """(largest difference, whether it is no more than rounding); ValueError where the shapes do not fit."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape and right.ndim:
        if [n for n in left.shape if n != 1] != [n for n in right.shape if n != 1]:
            raise ValueError(f"the code's shape is {left.shape}, the formula's {right.shape}")
        right = right.reshape(left.shape)
    numbers = [a for a in (left, *map(np.asarray, operands)) if a.dtype.kind == "f" and a.size]
    with np.errstate(all="ignore"):
        off = np.where((left == right) | ((left != left) & (right != right)), 0.0, abs(left * 1.0 - right * 1.0))
        sizes = [np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in (left, right * 1.0)]
        terms = [1e-3 * np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in numbers]
    tolerance = TOLERANCE.get(min((a.dtype.itemsize for a in numbers), default=8), 1e-12)
    worst = float(off.max(initial=0.0))
    return worst, worst <= tolerance * max(*sizes, *terms, 0.0)


def evaluate(meaning: Translation, values, left, axis):
    """The right side of a formula; indices pick elements, or run along `axis`."""
    names = CANDIDATES | {f"_{i}": value for i, value in enumerate(values)}
    letters = list(meaning.indices)
    if meaning.grid:
        letters += [i for _, indices in meaning.reductions.values() for i in indices if i not in letters]
        shape = dict(zip(meaning.indices, np.shape(left)))
        for node in ast.walk(ast.parse(meaning.variables)):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                array = np.shape(names[node.value.id])
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                if len(parts) != len(array):
                    raise ValueError(f"{len(parts)} indices for an array of shape {array}")
                for part, n in zip(parts, array):
                    if isinstance(part, ast.Name) and shape.setdefault(part.id, n) != n:
                        raise ValueError(f"the index {part.id} runs to {shape[part.id]} and to {n}")
        for place, i in enumerate(letters):
            names[i] = np.arange(shape[i]).reshape([-1 if k == place else 1 for k in range(len(letters))])
    for name, (operation, indices) in meaning.reductions.items():
        over = tuple(letters.index(i) for i in indices) if meaning.grid else axis
        names[name] = functools.partial(getattr(np, operation), axis=over, keepdims=over is not None)
    with np.errstate(all="ignore"):
        result = eval(meaning.code, {"__builtins__": {}}, names)
    if meaning.grid and np.ndim(result) == len(letters):
        result = result.reshape(np.shape(result)[: len(meaning.indices)])
    return result


class Place:
    """A function with tagged statements: which lines compute, which bind names anew, which loops go round."""

    def __init__(self, sheet, function, tagged):
        self.sheet, self.function = sheet, function
        self.lines = {line: t for t in tagged for line in lines_of(t.node)}
        self.definers, self.kept = {}, set()  # key -> formulas; keys of which the old value is needed
        for t in tagged:
            self.definers.setdefault(t.formula.meaning.left.key, []).append(t.formula)
            for meaning in (t.formula.meaning, t.formula.other):
                self.kept |= {s.key for s in (meaning.symbols if meaning else ()) if s.time}
        self.binds = {}  # line -> keys bound anew
        self.rounds = []  # lines of a loop's header, lines of its body, keys computed in it
        for node in ast.walk(function):
            if isinstance(node, ast.For | ast.While | ast.AsyncFor):
                body = range(node.body[0].lineno, lines_of(node.body[-1]).stop)
                keys = {t.formula.meaning.left.key for line, t in self.lines.items() if line in body}
                if keys:
                    self.rounds.append((range(node.lineno, node.body[0].lineno), body, keys))
            self._bind(node)

    def _bind(self, node):
        """Note which symbols a statement gives a new meaning; `v = v * 2` only changes what v already means."""
        if not isinstance(node, BINDING) or node.lineno in self.lines:
            return
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        if isinstance(node, ast.With):
            targets = [item.optional_vars for item in node.items]
        parts = [part for target in targets if target for part in getattr(target, "elts", [target])]
        value = ast.dump(getattr(node, "value", None) or ast.Constant(0))
        end = node.body[0].lineno if isinstance(node, ast.For | ast.With) else lines_of(node).stop
        for key in self.kept:
            for expression in self.expressions(key):
                tree = ast.parse(expression, mode="eval").body
                parents = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.expr)]
                bound = [p for p in parts if ast.unparse(p) in parents]
                reads = [n for n in (tree, *bound) if ast.dump(n).replace("Store()", "Load()") in value]
                if bound and not reads:
                    for line in range(node.lineno, end):
                        self.binds.setdefault(line, set()).add(key)

    @functools.cache  # noqa: B019
    def expressions(self, key):
        """What a symbol may be called in the code: what the docstring says, or its Python spelling (beta_1, beta1)."""
        if key in self.sheet.symbols:
            return (self.sheet.symbols[key],)
        return tuple(dict.fromkeys([Symbol(key).name, Symbol(key).name.replace("_", "")]))

    @functools.cache  # noqa: B019
    def codes(self, key):
        return [compile(expression, "<where>", "eval") for expression in self.expressions(key)]


class Watcher:
    """The trace function while code runs under `with watcher:`. The first failure is kept, and ends the watching."""

    def __init__(self, sheet, record=None):
        self.sheet, self.record, self.failure = sheet, record, None
        self.counts = {tagged: [0, 0.0] for tagged in sheet.tagged}  # how often checked, largest difference
        self.places = {}
        for function in {tagged.function for tagged in sheet.tagged}:
            first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
            tagged = [t for t in sheet.tagged if t.function is function]
            self.places[function.name, first] = Place(sheet, function, tagged)

    def __enter__(self):
        self.before, self.made = sys.gettrace(), {}  # key -> what its formula gave lately, in any function
        sys.settrace(self.call)

    def __exit__(self, *exception):
        sys.settrace(self.before)

    def call(self, frame, event, arg):
        code = frame.f_code
        if code.co_filename == self.sheet.filename and not self.failure:
            place = self.places.get((code.co_name, code.co_firstlineno))
            return Visit(self, place, frame).event if place else None
        return None


class Visit:
    """One call of a watched function."""

    def __init__(self, watcher, place, frame):
        self.watcher, self.place, self.frame = watcher, place, frame
        self.old, self.defined, self.asking = {}, {}, set()  # key -> x_{t-1}; key -> x_t
        self.pending: Any = None  # the tagged statement that is running, and what its formula is made of
        self.line, self.locals = 0, frame.f_locals
        self.remember(place.kept)

    def remember(self, keys):
        for key in keys:
            try:
                self.old[key] = self.value(key)
            except Exception:
                self.old[key] = None

    def value(self, key):
        """What a symbol is just now: a copy. NameError, KeyError and the like where it is nothing."""
        *others, last = self.place.codes(key)
        for code in others:
            with contextlib.suppress(NameError):
                return plain(eval(code, self.frame.f_globals, self.locals))
        return plain(eval(last, self.frame.f_globals, self.locals))

    def event(self, frame, event, arg):
        if self.watcher.failure:
            return None
        if event == "exception":
            if self.pending and arg[0] is not StopIteration:  # the statement will not be finished
                self.pending = None
            return self.event
        if self.pending:
            tagged, start = self.pending[:2]
            inside = frame.f_lineno in lines_of(tagged.node) and frame.f_lasti != start
            if event != "return" and (inside or isinstance(tagged.node, ast.Return)):
                return self.event
        self.locals = frame.f_locals
        try:
            if self.pending:
                self.finish(arg)
            if event == "line":
                self.follow(frame.f_lineno)
                if tagged := self.place.lines.get(frame.f_lineno):
                    self.start(tagged)
        except FormulaError as failure:
            self.watcher.failure = failure
        return self.event

    def follow(self, line):
        """Keep the old values up to date: at the start of a loop's round, and where a name is bound anew."""
        for header, body, keys in self.place.rounds:
            if self.line in header and line in body:
                self.defined = {k: v for k, v in self.defined.items() if k not in keys}
                self.remember(keys & self.place.kept)
        self.remember(self.place.binds.get(self.line, ()))
        self.remember([k for k in self.place.kept if self.old[k] is None and k not in self.defined])
        self.line = line

    def chosen(self, formula):
        """The right side that holds in this frame; None where the formula says nothing."""
        if formula.condition is None or eval(formula.condition, self.frame.f_globals, self.locals):
            return formula.meaning
        return formula.other

    def fail(self, tagged, text):
        raise FormulaError(f"{self.watcher.sheet.name} line {tagged.node.lineno} {text}") from None

    def unbound(self, tagged, symbol, error):
        names = " or ".join(self.place.expressions(symbol.key))
        what = f"({tagged.formula.number}): {symbol} is bound to nothing, there is no {names} here ({error!r})"
        self.fail(tagged, f"cannot be compared with {what}; name it in a sentence 'where ...'")

    def start(self, tagged):
        formula = tagged.formula
        try:
            meaning = self.chosen(formula)
        except Exception as error:
            self.fail(
                tagged, f"({formula.number}): cannot tell whether '{formula.condition_text}' holds here: {error!r}"
            )
        if meaning is None:
            self.fail(tagged, f"computes ({formula.number}), which holds only if {formula.condition_text}")
        values = [self.look(symbol, tagged) for symbol in meaning.symbols]
        axis = self.locals.get("axis", -1 if meaning.indices else None)
        self.pending = tagged, self.frame.f_lasti, meaning, values, axis

    def look(self, symbol, tagged):
        """The value of a symbol on the right side of a tagged statement that is about to run."""
        key, value, number = symbol.key, self.old.get(symbol.key), tagged.formula.number
        if symbol.time != "t-1" and key in self.defined:
            return self.defined[key]
        definers = self.place.definers.get(key, ())
        raw = symbol.time == "t-1" or (symbol.time and key[0] == "∇" and not definers)
        if value is None or not raw:
            try:
                value = self.value(key)
            except Exception as error:
                self.unbound(tagged, symbol, error)
        others = [f for f in definers if f is not tagged.formula]
        made = () if definers else self.watcher.made.get(key, ())
        if symbol.time == "t-1":
            return value
        if made and not any(difference(value, other)[1] for other in made):
            self.fail(tagged, f"does not compute ({number}): {symbol} is not what its formula gave")
        if symbol.time == "t" and definers and not others:
            self.fail(tagged, f"does not compute ({number}): it uses {symbol}, which it is to compute")
        if others and not any(self.implied(f, value, tagged) for f in others):
            numbers = " or ".join(f"({f.number})" for f in others)
            self.fail(tagged, f"does not compute ({number}): it uses {symbol} before {numbers} has computed it")
        return value

    def implied(self, formula, value, tagged):
        """Whether a formula whose line did not run holds all the same: a decay of 0, or the `else` of a condition."""
        if formula in self.asking:
            return False
        self.asking.add(formula)
        try:
            meaning = self.chosen(formula)
            values = [self.look(symbol, tagged) for symbol in meaning.symbols]
            return difference(value, evaluate(meaning, values, value, -1), values)[1]
        except Exception:
            return False
        finally:
            self.asking.discard(formula)

    def finish(self, returned):
        (tagged, _, meaning, values, axis), self.pending = self.pending, None
        left = meaning.left
        try:
            value = plain(returned) if isinstance(tagged.node, ast.Return) else self.value(left.key)
        except Exception as error:
            self.unbound(tagged, left, error)
        try:
            off, close = difference(value, evaluate(meaning, values, value, axis), values)
            text = f"off by {off:.1e}"
        except Exception as error:
            close, text = False, f"cannot be compared, {error}"
        if not close and not self.watcher.record:
            python = meaning.python(self.watcher.sheet.symbols)
            self.fail(tagged, f"does not compute ({tagged.formula.number})  {python}: {text}")
        if np.isfinite(value).any():
            count = self.watcher.counts[tagged]
            count[:] = count[0] + 1, max(count[1], off)
        (self.old if left.time == "t-1" else self.defined)[left.key] = value
        if left.time == "t":
            self.watcher.made.setdefault(left.key, collections.deque(maxlen=64)).append(value)
        if self.watcher.record:
            self.watcher.record(tagged, meaning, values, value)
