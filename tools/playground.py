"""The fence `playground`: optimizers to play with, computed in the page from the formulas of their docstrings.

    ```playground surface="ravine"
    optim.RMSprop(params, lr=0.05)
    optim.SGD(params, lr=0.05, momentum=0.9)
    ```

No update rule is written a second time: `lucidlite.formulas` makes Python of the formulas, and this file JavaScript of
that. What a state starts from, and which numbers a setting takes, the optimizer is asked. docs/assets/playground.js
draws; the tests hold its numbers against the library's.
"""

import ast
import inspect
import json
import re
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pygments
from pygments.formatters import HtmlFormatter
from pygments.lexers import JavascriptLexer

import lucidlite
from lucidlite import optim
from lucidlite.formulas.read import Translation, read

STEPS = 300  # the most that a page makes


class Surface(NamedTuple):
    """f and its gradient as formulas, what the page writes, the part of the plane that it shows, and a start."""

    text: str
    f: str
    gradient: tuple[str, str]
    x: tuple[float, float]
    y: tuple[float, float]
    start: tuple[float, float]
    minima: tuple
    noise: bool = False

    def python(self):
        return Translation(self.f).python({})


SURFACES = {
    "ravine": Surface(
        "f = x²/2 + 10 y²", r"f = \frac{x^2}{2} + 10 y^2", ("∂x = x", "∂y = 20 y"),
        (-4.4, 2), (-2, 2), (-4, 1.5), ((0, 0),)),
    "Rosenbrock": Surface(
        "f = (1 - x)² + 100 (y - x²)²", "f = (1 - x)^2 + 100 (y - x^2)^2",
        ("∂x = 2 (x - 1) - 400 x (y - x^2)", "∂y = 200 (y - x^2)"),
        (-2.2, 2.2), (-1, 3), (-1.5, 2), ((1, 1),)),
    "saddle": Surface(
        "f = x²/2 + (y² - 1)²/4", r"f = \frac{x^2}{2} + \frac{(y^2 - 1)^2}{4}", ("∂x = x", "∂y = y (y^2 - 1)"),
        (-2.4, 2.4), (-1.5, 1.5), (-2, 0.01), ((0, -1), (0, 1))),
    "noisy bowl": Surface(
        "f = (x² + y²)/2, with noise on each gradient", r"f = \frac{x^2 + y^2}{2}", ("∂x = x", "∂y = y"),
        (-4, 4), (-2.5, 2.5), (-3, 2), ((0, 0),), True),
}  # fmt: skip
# What is added to the gradient in each step. NumPy promises that this generator's numbers never change.
NOISE = np.random.RandomState(0).normal(size=(STEPS, 2)).round(1).tolist()


# ---- Formulas as JavaScript ----

FUNCTIONS = ["sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "sign", "abs", "max", "min"]
FLAGS = {  # names in conditions that are no settings: what `Optimizer.flags` makes of them
    "coupled": "weight_decay != 0 && !decoupled_weight_decay",
    "decoupled": "weight_decay != 0 && decoupled_weight_decay",
}


class _Script(ast.NodeTransformer):
    """Replaces what JavaScript writes in another way than Python; a name may hold any text."""

    def visit_Call(self, node):
        name, parts = ast.unparse(node.func), [self.visit(part) for part in node.args]
        if name == "where":
            return ast.Name("({} ? {} : {})".format(*map(ast.unparse, parts)))
        if name not in FUNCTIONS:
            raise ValueError(f"a page cannot compute {name}, only {', '.join(FUNCTIONS)}")
        return ast.Call(ast.Name(f"Math.{name}"), parts, [])

    def visit_BinOp(self, node):
        left, right = self.visit(node.left), self.visit(node.right)
        if not isinstance(node.op, ast.Pow):
            return ast.BinOp(left, node.op, right)
        base, exponent = ast.unparse(left), ast.unparse(right)
        square = exponent == "2" and isinstance(left, ast.Name | ast.Attribute)
        return ast.BinOp(left, ast.Mult(), left) if square else ast.Name(f"Math.pow({base}, {exponent})")

    def visit_UnaryOp(self, node):
        inside = self.visit(node.operand)
        return ast.Name(f"!{ast.unparse(inside)}") if isinstance(node.op, ast.Not) else ast.UnaryOp(node.op, inside)


def script(python):
    """A Python expression, as `Translation` makes them, in JavaScript."""
    text = ast.unparse(_Script().visit(ast.parse(python, mode="eval")))
    if found := re.search(r"[@\[]|\b(and|or|inf|pi)\b", text):
        raise ValueError(f"a page cannot compute {python}: it has no {found[0]}")
    return text


class _Asked(dict):
    """The state of a parameter before its first step; it notes what it is asked for, and what that is to start from."""

    def __init__(self):
        self.starts = {}

    def get(self, name, default=None):
        return self.starts.setdefault(name, default)


class Rule:
    """An optimizer's formulas as `code`, the body of a JavaScript function of (old, grad_f, step, settings)."""

    def __init__(self, optimizer):
        sheet, self.name, self.settings = read(type(optimizer)), type(optimizer).__name__, flat(optimizer)
        self.formulas, self.symbols = list(sheet.formulas.values()), sheet.symbols
        lefts = dict.fromkeys(formula.meaning.left._replace(time="") for formula in self.formulas)
        self.words = {word: left.name for left in lefts for word in self.spellings(left)}
        self.made = {left.key: left.name for left in lefts}
        if clash := self.settings.keys() & set(self.made.values()):
            raise ValueError(f"{sorted(clash)} is a setting, and also what a formula defines")
        olds = dict.fromkeys(s for formula in self.formulas for s in formula.symbols if s.time == "t-1")
        self.kept = [symbol.name for symbol in olds]
        numbers, starts = self._asked(optimizer)
        self.others, self.used = numbers, []  # of the others, what a formula uses
        self.starts = {s.name: starts[w] for s in olds for w in self.spellings(s) if w in starts}
        self.code = "\n".join(self._lines())

    def spellings(self, symbol):
        """What a symbol may be called in the code."""
        bound = self.symbols.get(symbol.key)
        return [bound] if bound else [symbol.name, symbol.name.replace("_", "")]

    def _asked(self, optimizer):
        """What no formula says, as JavaScript: numbers that only the code makes, and where the state starts.

        The optimizer is asked, with a mark in place of each setting, and the marks are recognised in its answers.
        """
        marks = {name: 1 / (7 + 2 * i) for i, name in enumerate(self.settings)}
        known = {0.0: "0", 1.0: "1"} | {1 - mark: f"1 - {name}" for name, mark in marks.items()}
        known |= {mark: name for name, mark in marks.items()}
        group: dict[str, Any] = {"centered": True, "amsgrad": True}  # with all buffers
        for name, value in optimizer.param_groups[0].items():
            pair = isinstance(value, tuple) and (marks[f"{name[:-1]}1"], marks[f"{name[:-1]}2"])
            group.setdefault(name, pair or (value if isinstance(value, bool) else marks.get(name)))
        buffers, state = optimizer.buffers(group), _Asked()
        arguments = inspect.signature(optimizer.rule(np, *optimizer.flags(group))).parameters
        first = optimizer.scalars(group, 1, state)
        later = optimizer.scalars(group, 2, state.starts | dict.fromkeys(buffers, 0.0))
        starts = dict(zip(list(arguments)[2:], buffers.values())) | state.starts
        pairs = {name: (known.get(first[name]), known.get(later[name])) for name in first}
        numbers = {name: f"step > 1 ? {two} : {one}" for name, (one, two) in pairs.items() if one and two}
        return numbers, {name: known[start] for name, start in starts.items() if start in known}

    def word(self, symbol):
        """A symbol's name in JavaScript."""
        if symbol.time == "t-1" or symbol.key in self.made or symbol.name == "grad_f":
            return f"{'old.' * (symbol.time == 't-1')}{symbol.name}"
        known = {"step": "step"} | self.settings | self.others
        for word in filter(known.__contains__, self.spellings(symbol)):
            self.used += [word] if word in self.others else []
            return word
        raise ValueError(f"{self.name}: neither a formula nor a setting says what {symbol} is")

    def _translated(self, formula, otherwise):
        """A formula's right side in JavaScript, and the names of the same step that it needs."""
        meanings = [meaning for meaning in (formula.meaning, formula.other) if meaning]
        right, *rest = [script(meaning.python({}, [*map(self.word, meaning.symbols)])) for meaning in meanings]
        needs = {s.name for m in meanings for s in m.symbols if s.time != "t-1" and s.key in self.made}
        if formula.condition_text:
            condition = re.sub(r"\w+", lambda word: self.words.get(word[0], word[0]), formula.condition_text)
            needs |= set(re.findall(r"\w+", condition)) & set(self.made.values())
            right = f"{script(condition)} ? {right} : {rest[0] if rest else otherwise}"
        return right, needs

    def _lines(self):
        """Yield settings, starts, the formulas in an order in which each finds what it needs, and the result."""
        made, needed, numbers = {}, {}, {}
        for formula in reversed(self.formulas):
            name = formula.meaning.left.name
            made[name], needs = self._translated(formula, made.get(name, "undefined"))
            needed[name] = needed.get(name, set()) | needs
            numbers[name] = f"({formula.number}) {numbers.get(name, '')}".strip()
        flags = [name for name in FLAGS if re.search(rf"\b{name} \?", " ".join(made.values()))]
        yield f"const {{{', '.join(self.settings)}}} = settings;"
        yield from (f"const {name} = {FLAGS[name]};" for name in flags)
        yield from (f"const {name} = {self.others[name]};" for name in dict.fromkeys(self.used))
        if missing := [name for name in self.kept if name not in self.starts and name != "theta"]:
            raise ValueError(f"{self.name}: the optimizer does not say from which setting {missing} starts")
        yield f"old = {{{', '.join(f'{name}: {start}' for name, start in self.starts.items())}, ...old}};"
        while needed:
            name = next((n for n in self.made.values() if n in needed and not needed[n] & needed.keys()), "")
            if not name:
                raise ValueError(f"{self.name}: the formulas of {list(needed)} need each other")
            yield f"const {name} = {made[name]};  // {numbers[name]}"
            del needed[name]
        yield f"return {{{', '.join(self.kept)}}};"


def flat(optimizer):
    """The settings of an optimizer by name, the pair betas as beta1 and beta2."""
    found = {}
    for name, value in optimizer.param_groups[0].items():
        if isinstance(value, tuple):
            found |= {f"{name[:-1]}{i + 1}": x for i, x in enumerate(value)}
        elif name not in ("params", "contiguous_params"):  # how it computes, not what
            found[name] = value
    return found


# ---- The fence ----


def playground(compiled, source, line, surface="ravine", steps="60", also=""):
    """One or two optimizers on a surface, and `also` a part of their state; `compiled` is given text and its line."""
    if surface not in SURFACES:
        raise ValueError(f"there is no surface {surface!r}; it can be {', '.join(SURFACES)}")
    sides = []
    for number, text in enumerate(source.splitlines(), line):
        try:
            sides += [_side(text.strip())] if text.strip() else []
        except Exception as error:  # raised again from the line of the page, so that the message names it
            exec(compiled("raise error", number), {"error": error})
    if len(sides) not in (1, 2):
        raise ValueError(f"a playground holds one or two optimizers, each on a line, not {len(sides)}")
    if also and not any(also in rule.kept for _, rule, _ in sides):
        raise ValueError(f"also={also!r}: there is no such state, only {[rule.kept for _, rule, _ in sides]}")
    rules = {rule.name: rule.code for _, rule, _ in sides}
    data = {
        "also": also,
        "surfaces": _surfaces(),
        "dialects": _dialects() if "RMSprop" in rules else {},
        "defaults": {rule.name: flat(type(optimizer)(_params())) for optimizer, rule, _ in sides},
    }
    form = HEAD.format(
        names=" and ".join(rules),
        surfaces="".join(_option(name, name == surface) for name in SURFACES),
        steps=int(steps),
        most=STEPS,
        sides="".join(_fieldset(*side, style) for side, style in zip(sides, MARKS)),
        data=json.dumps(data, ensure_ascii=False).replace("<", r"\u003c"),
    )
    code = "".join(CODE.format(name=name, code=_highlighted(text)) for name, text in rules.items())
    return f'<div class="playground" data-search-exclude>{form}{code}</div>'


def _params():
    return [lucidlite.Parameter(np.ones(2), dtype="float64")]


def _side(text):
    """What a line of the fence makes: the optimizer, its rule, and the name of its dialect."""
    call: Any = ast.parse(text, mode="eval").body
    optimizer = eval(text, {"optim": optim, "params": _params()})
    if not isinstance(optimizer, optim.Optimizer):
        raise TypeError(f"a line makes an optimizer, as optim.SGD(params, lr=0.1), not {type(optimizer).__name__}")
    like = ast.unparse(call.func).endswith(".like")
    return optimizer, Rule(optimizer), optimizer.dialects()[call.args[0].value].name if like else ""


def _surfaces():
    """The surfaces as the script has them: f and its gradient as JavaScript."""
    made = {}
    for name, surface in SURFACES.items():
        f, *gradient = [script(Translation(text).python({})) for text in (surface.f, *surface.gradient)]
        made[name] = surface._asdict() | {"f": f, "gradient": gradient, "noise": NOISE if surface.noise else []}
    return made


def _dialects():
    """Name -> what the dialect changes, without momentum and with it; lr stays as the reader has it."""
    plain, made = flat(optim.RMSprop(_params())), {}
    for name in optim.RMSprop.dialects():
        likes = [flat(optim.RMSprop.like(name, _params(), lr=1, **more)) for more in ({}, {"momentum": 0.9})]
        likes[1]["momentum"] = likes[0]["momentum"]
        made[name] = [{n: x for n, x in like.items() if n != "lr" and x != plain[n]} for like in likes]
    return made


def _fieldset(optimizer, rule, dialect, style):
    """The controls of one optimizer: at hand lr and what differs from the defaults, folded away the others."""
    rows, defaults = {True: "", False: ""}, flat(type(optimizer)(_params()))
    for name, value in optimizer.param_groups[0].items():
        pair = name if isinstance(value, tuple) else ""
        for i, one in enumerate(value if pair else [value]):
            setting = f"{name[:-1]}{i + 1}" if pair else name
            if setting in defaults:
                accepts = partial(_accepts, optimizer.checks[name], value, i if pair else None)
                rows[setting == "lr" or one != defaults[setting]] += _row(setting, one, accepts, pair)
    if rule.name == "RMSprop":
        options = "".join(_option(name, name == dialect) for name in optim.RMSprop.dialects())
        options = f'<select class="dialect">{_option("", not dialect, "its own defaults")}{options}</select>'
        rows[True] = f'<label class="row"><span>as in</span>{options}</label>{rows[True]}'
    return SIDE.format(style=style, name=rule.name, mark=MARKS[style], shown=rows[True], hidden=rows[False])


def _option(name, selected, label=""):
    return f'<option value="{name}"{" selected" * selected}>{label or name}</option>'


def _accepts(check, value, place, number):
    """Whether the optimizer's own check accepts a number, for a pair at one place."""
    try:
        check("", number if place is None else (*value[:place], number, *value[place + 1 :]))
    except (TypeError, ValueError):
        return False
    return True


def _row(name, value, accepts, pair):
    """A setting: a switch, or a slider and its number; which numbers it takes, the optimizer's check says."""
    if isinstance(value, bool):
        switch = f'<input type="checkbox" role="switch" name="{name}"{" checked" * value}>'
        return f'<label class="row"><span>{name}</span>{switch}</label>'
    scale = "log" if accepts(2) else "unit"
    low = 1.01 if not accepts(0.5) else 1e-10 if name == "eps" else 1e-6 if 0 < value < 1e-3 else 1e-4
    high = 1 if name == "eps" else max(10, 10 * value)
    least = 0 if accepts(0) else low if scale == "log" else 0.01
    limits = f'min="{least}"' + (f' max="{1 if accepts(1) else 1 - 1e-12}"' if scale == "unit" else "")
    shown = repr(value).removesuffix(".0")
    return ROW.format(name=name, value=shown, scale=scale, low=low, high=high, least=least, limits=limits, pair=pair)


def _highlighted(code):
    return pygments.highlight(code, JavascriptLexer(), HtmlFormatter(nowrap=True)).strip()


MARKS = {"solid": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "dashed": "M0-5.5L5.5 0 0 5.5-5.5 0Z"}  # of a path's end
HEAD = """<noscript>This picture is drawn by JavaScript.</noscript>
<form autocomplete="off" aria-label="Playground: {names}">
<div class="bar"><label>surface <select name="surface">{surfaces}</select></label> <span class="text"></span>
<span class="from">from <label>x <input type="number" name="x" step="any" required></label>
<label>y <input type="number" name="y" step="any" required></label></span></div>
<div class="pictures">
<svg class="map" viewBox="0 0 400 250" role="group" aria-label="contour lines of f, and the paths"></svg>
<svg class="curve" viewBox="0 0 400 100" role="img" aria-label="f after each step; the last stands below"></svg>
<div class="bar"><label class="row"><span>steps</span><input type="range" min="0" max="{most}" step="1">
<input type="number" name="steps" value="{steps}" min="0" max="{most}" step="1" required aria-label="steps, the number">
</label><button type="button" class="run">Play</button><button type="reset">Reset</button></div>
<p class="now" role="status"></p></div>
<div class="sides">{sides}</div>
<script type="application/json">{data}</script></form>"""
SIDE = """<fieldset class="{style}" data-rule="{name}"><legend><svg viewBox="-20 -6 40 12" aria-hidden="true">
<path class="line" d="M-20 0H20"/><path class="end" d="{mark}"/></svg> {name}, {style} line</legend>
<code class="call"></code>{shown}<details><summary>More settings</summary>{hidden}</details></fieldset>"""
ROW = """<label class="row"><span>{name}</span><input type="range" min="0" max="1" step="0.005" data-scale="{scale}"
data-low="{low}" data-high="{high}" data-least="{least}"><input type="number" name="{name}" value="{value}" {limits}
step="any" required data-pair="{pair}" aria-label="{name}, the number"></label>"""
CODE = """<details class="plot-code" data-rule="{name}">
<summary>{name} as this page computes it, made from its formulas</summary>
<div class="highlight"><pre><code>{code}</code></pre></div></details>"""
