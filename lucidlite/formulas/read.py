"""Formulas and code as they stand in the source, and a formula in LaTeX with Unicode letters as Python.

docs/howto/new_optimizer.md says how they are written; what cannot be read is refused, with the position and why."""

import ast
import inspect
import linecache
import re
import textwrap
import tokenize
import unicodedata
from collections import namedtuple
from typing import Any, NamedTuple

from ..checks import refuse

FORMULA = re.compile(r"^( *)\((\d+)\)  +(\S.*(?:\n\1 +(?!\(\d+\)  )\S.*)*)", re.MULTILINE)  # goes on in deeper lines
CASE: Any = re.compile(r"(.*?)(?:  +if (.*?)(?:, +else (.*))?)?$")
WHERE = re.compile(r"(?ms)(?:^\s*where|, where(?=\s+\S+\s+is\s+`))\s(.*?)(?:\.(?=\s|$)|\n\s*\n|\Z)")
TAG = re.compile(r"#\s*\((\d+)\)\s*$")
DEFINITION = ast.FunctionDef | ast.ClassDef
SIMPLE = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return


def read(obj) -> "Sheet":
    """The formulas of a class or a function, and what belongs to them; FormulaError where they do not fit."""
    name = getattr(obj, "__name__", type(obj).__name__)
    obj = obj if inspect.isclass(obj) or inspect.isroutine(inspect.unwrap(obj)) else type(obj)
    try:
        for owner in inspect.getmro(obj) if inspect.isclass(obj) else [obj]:
            if (source := _source(owner)) and (sheet := Sheet(name, *source)).formulas:
                return sheet
        raise ValueError("it has no formulas; write them into its docstring, as '(1)  y = 2 x'")
    except ValueError as error:
        raise FormulaError(f"{name}: {error}") from None


def lines_of(node: Any):
    return range(min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]), node.end_lineno + 1)


def _source(obj):
    """(filename, its text, node) of a function, or of a class, by a function in it; None where there is none."""
    for value in list(vars(obj).values()) if inspect.isclass(obj) else [obj]:
        code = getattr(inspect.unwrap(getattr(value, "__func__", value)), "__code__", None)
        if code and code.co_qualname.startswith(obj.__qualname__) and not code.co_filename.startswith("<frozen"):
            linecache.checkcache(code.co_filename)
            text = "".join(linecache.getlines(code.co_filename))
            named = [n for n in ast.walk(ast.parse(text)) if isinstance(n, DEFINITION) and n.name == obj.__name__]
            nodes = [node for node in named if code.co_firstlineno in lines_of(node)]
            refuse(not nodes, "its source cannot be read; define it in a file or in a notebook's cell")
            return code.co_filename, text, nodes[-1]


class Formula:
    """One numbered formula: its `meaning`, and what its left side is `other`wise, where a `condition` does not hold."""

    def __init__(self, number, text, symbols):
        self.number, self.text = number, text
        whole, self.condition_text, other = CASE.match(text).groups("")
        words: Any = {"is": "==", "is not": "!="} | symbols
        spelled = lambda match: words.get(unicodedata.normalize("NFD", match[0]), match[0])
        condition = re.sub(r'"[^"]*"|is not\b|[^\W\d]\w*', spelled, self.condition_text) or "True"
        try:
            self.condition = compile(condition, f"the condition '{self.condition_text}'", "eval")
            self.meaning = Translation(whole, symbols)
            self.other = Translation(f"{whole.partition('=')[0]}= {other}", symbols) if other else None
            self.symbols = [s for m in (self.meaning, self.other) if m for s in (m.left, *m.symbols)]
        except (FormulaError, SyntaxError) as error:
            raise FormulaError(f"formula ({number}): {error}") from None


Tagged = namedtuple("Tagged", "formula node function source")  # a statement that computes a formula


class Sheet:
    """An object's `formulas` by number, the statements `tagged` with them, and `symbols`: key -> Python expression."""

    def __init__(self, name, filename, text, node):
        documents = [(ast.get_docstring(n) or "", n) for n in ast.walk(node) if isinstance(n, DEFINITION)]
        documents = [pair for pair in documents if FORMULA.search(pair[0])]
        document = documents[0][0] if documents else ""  # a class may leave its formulas to its method
        control = re.search("[\a\b\f\v\r]", document)  # Python makes it of \alpha, \beta, \frac, \varepsilon and \rho
        refuse(control, 'a backslash in the docstring was read as a control character; begin it with r, as r"""')
        self.name, self.filename, self.symbols = name, filename, bindings(document)
        self.formulas, self.tagged = {}, []
        for _, number, lines in FORMULA.findall(document):
            twice = int(number) in self.formulas
            refuse(twice, f"formula ({number}) stands twice in the docstring; number them differently")
            joined = re.sub(r"\s*\n +", " ", re.sub(r"\s*\n +(?=if )", "  ", lines))
            self.formulas[int(number)] = Formula(int(number), joined, self.symbols)
        names = {s.key: s.name for formula in self.formulas.values() for s in formula.symbols}
        conditions = " ".join(formula.condition_text for formula in self.formulas.values())
        for key in self.symbols.keys() - names.keys() - set(re.findall(r"\w+", conditions)):
            raise ValueError(f"'where ...' says that {key} is `{self.symbols[key]}`, but no formula has {key}")
        spelled = {key: [*dict.fromkeys([name, name.replace("_", "")])] for key, name in names.items()}
        self.spellings = spelled | {key: [python] for key, python in self.symbols.items()}  # in the code
        for token in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__):
            line, tag = token.start[0], TAG.search(token.string) if token.type == tokenize.COMMENT else None
            if tag and line in lines_of(node) and not any(line in lines_of(other) for _, other in documents[1:]):
                self._add(line, int(tag[1]), text, node)
        for number in sorted(self.formulas.keys() - {tagged.formula.number for tagged in self.tagged}):
            raise ValueError(f"formula ({number}) has no tag; end the line that computes it in '# ({number})'")

    def _add(self, line, number, text, node):
        """Find the statement that a tag stands behind."""
        path = [n for n in ast.walk(node) if isinstance(n, ast.stmt) and line in lines_of(n)]  # from the outside in
        found, functions = path[-1], [n for n in path if isinstance(n, ast.FunctionDef)]
        before = text.split("\n")[found.lineno - 1].encode()[: found.col_offset]
        what, tagged = f"line {line} is tagged ({number}), but", [tagged.node for tagged in self.tagged]
        refuse(number not in self.formulas, f"{what} there is no formula ({number})")
        refuse(not functions or not isinstance(found, SIMPLE), f"{what} is no statement that computes something")
        refuse(before.strip(), f"{what} holds more than one statement; part them")
        refuse(found in tagged, f"{what} its statement has a tag already")
        source = textwrap.dedent(ast.get_source_segment(text, found, padded=True) or "")
        self.tagged.append(Tagged(self.formulas[number], found, functions[-1], source))


def bindings(document):
    """The sentence "where θ is `p` and ε is `eps`." as a dict."""
    sentence, found = WHERE.search(document), {}
    for letter, expression in re.findall(r"(\S+)\s+is\s+`([^`]+)`", sentence[1] if sentence else ""):
        try:
            found[Translation(f"{letter} = 0").left.key] = ast.unparse(ast.parse(expression, mode="eval"))
        except (FormulaError, SyntaxError):
            raise ValueError(f"cannot read '{letter} is `{expression}`'; expected a symbol and Python") from None
    return found


class FormulaError(ValueError):
    """A formula that cannot be read, or that the code beside it does not compute."""


ACCENTS = {"\\bar": "\u0304", "\\tilde": "\u0303", "\\hat": "\u0302", "\\dot": "\u0307"}
COMMANDS = {  # each for one letter or sign; the Greek alphabet follows
    "\\varepsilon": "ε", "\\varphi": "φ", "\\ell": "ℓ", "\\nabla": "∇", "\\partial": "∂", "\\top": "⊤", "\\infty": "∞",
    "\\cdot": "·", "\\times": "×", "\\odot": "⊙", "\\le": "≤", "\\ge": "≥", "\\ne": "=\u0338",
    "\\left": "", "\\right": "", "\\,": " ", "\\;": " ",
}  # fmt: skip
SPELLED = {mark: command.replace("\\", "_") for command, mark in ACCENTS.items()}
SPELLED |= {"ℓ": "ell", "∇": "grad_", "∂": "d_", "∞": "inf", "+": "plus", "-": "minus"}
for letter in "αβγδεζηθικλμνξοπρστυφχψω":
    word = unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")  # Unicode's own misspelling
    SPELLED |= {letter: word, letter.upper(): word.capitalize()}
    COMMANDS |= {f"\\{word}": letter, f"\\{word.capitalize()}": letter.upper()}


class Symbol(NamedTuple):
    """A letter with its accents and named subscripts; time is "t", "t-1", or "" for what does not change."""

    key: str
    time: str = ""

    @property
    def name(self):
        """The Python spelling: ∇f is grad_f, Δθ is delta_theta, λ is lambda_."""
        name = re.sub("^Delta(?=[A-Za-z])", "delta_", "".join(SPELLED.get(sign, sign) for sign in self.key))
        return name if name != "lambda" else "lambda_"

    def __str__(self):
        return unicodedata.normalize("NFC", self.key) + {"": "", "t": "_t", "t-1": "_{t-1}"}[self.time]


FUNCTIONS = ["exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"]
OPERATORS = ["sign", "erf", "sigmoid", "softmax", "mean", "var", "floor"]
REDUCTIONS = ["sum", "prod", "max", "min", "mean"]
CALLS = {f"\\{name}": name for name in FUNCTIONS + REDUCTIONS[:4]} | {"\\ln": "log"}
CALLS |= {f"\\operatorname{{{name}}}": name for name in OPERATORS}
ATOMS = {
    "(": lambda formula: f"({formula.until('[)]')})",
    "|": lambda formula: f"abs({formula.until('[|]')})",
    "\\frac": lambda formula: f"(({formula.braces()}) / ({formula.braces()}))",
    "\\sqrt": lambda formula: f"sqrt({formula.braces()})",
    "\\begin{cases}": lambda formula: formula.cases(),
}
TOKEN = rf"(?:{'|'.join(map(re.escape, [*ATOMS, *CALLS]))})(?:(?<!\w)|(?![A-Za-z]))"
COMPARE = {"≤": "<=", "≥": ">=", "=": "==", "=\u0338": "!="}
LETTER = "(?:[∇∂Δ]?[^\\W\\d_¹²³][\u0300-\u036f]*+|∞)"
is_index = re.compile("[a-z]").fullmatch  # a letter that runs
FACTOR = rf"[\d(]|{LETTER}|\\(?!end|text)[A-Za-z]"  # how one begins


def plain(text):
    """The text in NFD, with letters and signs for their commands: \\tilde{v} and \\alpha become ṽ and α."""
    text = re.sub(r"\\(?:[A-Za-z]+|[,;])", lambda m: COMMANDS.get(m[0], m[0]), unicodedata.normalize("NFD", text))
    accent = rf"(\\(?:bar|tilde|hat|dot))\s*(?:({LETTER})|\{{\s*({LETTER})\s*\}})"
    while (accented := re.sub(accent, lambda m: (m[2] or m[3]) + ACCENTS[m[1]], text)) != text:
        text = accented
    text = re.sub(r"(?<=[∇∂_^])\s+", "", re.sub(r"\^\{\s*⊤\s*\}", "^⊤", text))
    return re.sub(rf"((?<=[_^])(?:\d|{LETTER})(?!\d|{LETTER})|(?<=_)[+-])", r"⦃\1⦄", text)  # braces that were left out


def typeset(text):
    """A formula for MathJax and KaTeX: accents as commands, and the words of a condition outside the dollars."""
    text = unicodedata.normalize("NFD", text)
    for command, mark in ACCENTS.items():
        text = re.sub(f"(.){mark}", rf"\{command}{{\1}}", text)
    formula, _, condition = text.partition("  ")
    return f"${formula}$ " + re.sub(", else (.*)", r", else $\1$", condition.strip())


class Translation:
    """A formula: `left` with its `indices`; the right side is the Python `variables`, with _0, _1, ... for `symbols`.

    With `grid`, indices pick elements, else x_i is the whole of x; sum_j sums over j; what is `bound` is no index. Each
    method reads from the text what its name says, and returns it as Python."""

    def __init__(self, text, bound=()):
        self.text, self.bound, self.at = plain(text), bound, 0
        self.symbols, self.picks = [], []  # picks: the indices of each symbol that occurs, by its number
        self.grid, self.free = False, set()  # free: the indices that no sum runs over
        self.in_bars, self.in_index = False, False  # whether a | closes; whether a letter is one that runs
        self.left, self.indices = self.letter()
        known, self.free = self.free, set()
        self.take("=")
        right = self.sum()
        self.expect(self.ahead("$"), "an operator or the end")
        for loose in sorted(self.free - known):
            self.expect(False, f"the index {loose} on the left side too, or \\sum_{loose}")
        python = ast.unparse(ast.parse(right)).replace(" ** ", "**")  # without the parentheses that change nothing
        self.variables = python if self.grid else re.sub(r"\[[a-z]\]", "", python)
        self.code = compile(self.variables, "<formula>", "eval")

    def python(self, names, words=()):
        """The right side as a reader would write it: the code's names for the symbols, or these words."""
        words = words or [names.get(s.key, s.name) for s in self.symbols]
        words = [w if re.fullmatch(r"[\w.]+(e-\d+|(\[[^][]*\])*)", w) else f"({w})" for w in words]
        return re.sub(r"\b_(\d+)\b", lambda match: words[int(match[1])], self.variables)

    def ahead(self, pattern):
        return re.compile(rf"\s*({pattern})").match(self.text, self.at)

    def accept(self, pattern):
        match = self.ahead(pattern)
        self.at = match.end() if match else self.at
        return match[1] if match else ""

    def take(self, pattern, expected=""):
        self.expect(self.ahead(pattern), expected or pattern.strip("\\[]⦃⦄"))
        return self.accept(pattern)

    def expect(self, holds, expected):
        if not holds:
            written = lambda text: unicodedata.normalize("NFC", re.sub("[⦃⦄]", "", text))
            text, at = written(self.text), len(written(self.text[: self.at]))
            found: Any = re.compile(r"\s*(\\?\w+|\S?)").match(text, at)
            place = f"at position {found.start(1)}, " + (f"'{found[1]}'" if found[1] else "its end")
            raise FormulaError(f"cannot read the formula '{text}': {place}, expected {expected}")

    def sum(self):
        total = self.accept("[+-]").strip("+") + self.product()
        while sign := self.accept("[+-]"):
            total += f" {sign} {self.product()}"
        return total

    def product(self):
        total, sign = self.factor(), ""
        while self.ahead("[/*·×⊙]") or self.starts_factor():
            self.expect(sign != "/", "+ or - or the end, since what stands after / is not clear; write \\frac")
            glued = re.compile(rf"(?<=[\w\u0300-\u036f])(?:{LETTER}|\d)").match(self.text, self.at)
            self.expect(not glued, "a space between factors")
            sign = self.accept("[/*·×⊙]")
            factor = self.factor()
            matrices = not sign and self.has_matrix(total) and self.has_matrix(factor)
            total += f" {'/' if sign == '/' else '@' if matrices else '*'} {factor}"
        return total

    def has_matrix(self, python):
        """Whether a capital without an index occurs."""
        return any("A" <= self.symbols[int(n)].key[0] <= "Z" for n in re.findall(r"\b_(\d+)\b(?!\[)", python))

    def starts_factor(self):
        return self.ahead(FACTOR if self.in_bars else rf"{FACTOR}|\|")

    def factor(self):
        base = self.atom()
        if self.accept(r"\^⊤"):
            base = f"transpose({base})"
        elif self.accept(r"\^"):
            base = f"exp({self.braces()})" if base == "e" else f"{base}**({self.braces()})"
        return base

    def atom(self):
        """A factor without its exponent; it needs no parentheses around it."""
        if number := self.accept(r"(?:0|[1-9]\d*)(?:\.\d+)?"):
            return number
        if self.ahead(LETTER):
            return self.variable()
        if token := self.accept(TOKEN):
            return ATOMS[token](self) if token in ATOMS else self.function(CALLS[token])
        there_are = f"; there is no such command, but {' '.join(CALLS)}" if self.ahead(r"\\[A-Za-z]") else ""
        return self.expect(False, f"a number, a symbol, (, |, \\frac, \\sqrt, \\sum or a function{there_are}")

    def braces(self):
        self.take("[{⦃]")
        return self.until("[}⦄]")

    def until(self, closing):
        outer, self.in_bars = self.in_bars, closing == "[|]"
        inside = self.sum()
        self.take(closing)
        self.in_bars = outer
        return inside

    def letter(self):
        """A symbol with its subscripts: the Symbol, and its indices as Python."""
        key = self.take(LETTER, "a letter")
        time, names, indices = self.subscripts(key)
        self.grid |= len(indices) > 1 or not all(map(is_index, indices))
        return Symbol("_".join([key, *names]), time), indices

    def subscripts(self, key):
        """What stands in _t, _{hh}, _{1,t} or _{i,2 j}: the time, names, and indices as Python."""
        time, found, end = "", [], r"(?=\s*[,}⦄])"  # found: names, numbers and indices, and whether it is an index
        more = self.accept("_") and self.take("[{⦃]")
        while more:
            if word := self.accept(rf"t(?:\s*-\s*1)?{end}"):
                time = re.sub(r"\s", "", word)
            elif word := self.accept(rf"(?:[+-]|\d+|{LETTER}(?:{LETTER}|\d)*){end}"):
                found.append((word, is_index(word) and f"{key}_{word}" not in self.bound))
            else:
                self.expect(not self.accept(r"t(?!\s*_)"), "t or t-1: new values are _t, old ones _{t-1}")
                outer, self.in_index = self.in_index, True
                found.append((self.sum(), True))
                self.in_index = outer
            more = self.take("[,}⦄]", ", or }") == ","
        picks = any(index for _, index in found)  # then a number does so too
        indices = [word for word, index in found if index or (picks and word.isdigit())]
        self.free.update(filter(is_index, indices))
        return time, [word for word, _ in found if word not in indices], indices

    def variable(self):
        found, indices = self.letter()
        self.expect(not self.ahead(r"(?<!\s)\("), "a space before ( for a product, or a function such as \\log")
        constant = found.key in ("π", "∞") or (found.key == "e" and self.ahead(r"\^(?!⊤)"))
        runs = self.in_index and is_index(found.key)
        if (constant or runs) and found.key not in self.bound and not found.time and not indices:
            self.free |= {found.key} if runs else set()
            return found.name
        self.symbols += [] if found in self.symbols else [found]
        number = self.symbols.index(found)
        self.picks.append((number, indices))
        return f"_{number}[{', '.join(indices)}]" if indices else f"_{number}"

    def function(self, name):
        pair = name in ("max", "min")
        if name in ("sum", "prod") or (name in REDUCTIONS and self.ahead("_")):
            return self.reduction(name)
        if self.accept(r"\("):
            inside = self.until("," if pair else "[)]")
            while self.text[self.at - 1] == ",":
                inside += f", {self.until('[,)]')}"
        else:
            self.expect(not pair, "( and two arguments, or _ and the index")
            inside = self.factor()
            self.expect(not self.starts_factor(), f"an operator; put the argument of {name} into parentheses")
        return f"{name}({inside})"

    def reduction(self, name):
        outer = set(self.free)
        time, names, letters = self.subscripts(name)
        lettered = letters and all(map(is_index, letters)) and not (time or names)
        self.expect(lettered, "_ and the letter of an index before it")
        self.free = set()
        body, missing = self.product(), sorted(set(letters) - self.free)
        self.expect(not missing, f"a symbol with the index {', '.join(missing)} before it")
        self.grid |= self.free > set(letters)
        self.free = outer | self.free.difference(letters)
        return f"{name}_{''.join(letters)}({body})"

    def cases(self):
        """A row and those below it: where(condition, value, the rest)."""
        value, _ = self.sum(), self.take("&")
        if self.accept(r"\\text\{(?:otherwise|else)\}"):
            self.take(r"\\end\{cases\}", "\\end{cases}")
            return value
        self.accept(r"\\text\{if ?\}")
        left, sign, right = self.sum(), self.take("[<>≤≥=]\u0338?", "a comparison"), self.sum()
        self.take(r"\\\\", "\\\\")
        return f"where({left} {COMPARE.get(sign, sign)} {right}, {value}, {self.cases()})"
