"""A formula in LaTeX with Unicode letters becomes Python source: a strict subset, and nothing is guessed.

Read are letters with accents (ḡ, \\bar{g}) and subscripts (`_t`, `_{t-1}`, names as in β_1, indices as in x_{i,j}),
juxtaposition as product (of matrices, between capitals), + - / ^ | | \\frac \\sqrt, functions, \\sum_j \\prod_j \\max_j
\\min_j, ^\\top, \\operatorname{...} and cases. All else is refused, with the position and what was expected there. Each
method of a Translation reads from the text what its name says, and returns it as Python.
"""

import ast
import keyword
import re
import unicodedata
from typing import Any, NamedTuple


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
        return name + "_" * keyword.iskeyword(name)

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


class Translation:
    """A formula: `left` with its `indices`; the right side is the Python `variables`, with _0, _1, ... for `symbols`.

    With `grid`, indices pick elements, else x_i is the whole of x; sum_j sums over j; what is `bound` is no index.
    """

    def __init__(self, text, bound=()):
        self.text, self.bound, self.at = plain(text), bound, 0
        self.symbols, self.grid, self.free = [], False, set()  # free: the indices that no sum runs over
        self.in_bars, self.in_index = False, False  # whether a | closes; whether a letter is one that runs
        self.left, self.indices = self.letter()
        known, self.free = self.free, set()
        added = self.accept(r"\+(?=\s*=)")
        self.take("=")
        right = self.sum()
        self.expect(self.ahead("$"), "an operator or the end")
        if added:
            right = f"{self.numbered(Symbol(self.left.key, self.left.time and 't-1'), self.indices)} + ({right})"
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
        return self.numbered(found, indices)

    def numbered(self, found, indices):
        if found not in self.symbols:
            self.symbols.append(found)
        return f"_{self.symbols.index(found)}" + (f"[{', '.join(indices)}]" if indices else "")

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
