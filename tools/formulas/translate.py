"""A formula in LaTeX with Unicode letters becomes Python source: a strict subset, and nothing is guessed.

Read are: letters with accents (ḡ, \\bar{g}) and subscripts (`_t`, `_{t-1}`, names as in β_1, indices as in x_{i,j}),
juxtaposition as product (of matrices, between capitals), + - / ^ | | \\frac \\sqrt, functions, \\sum_j \\prod_j \\max_j
\\min_j, ^\\top, \\operatorname{...} and cases. All else is refused, with the position and what was expected there.
"""

import re
import unicodedata
from typing import NoReturn

from .symbols import ACCENTS, COMMANDS, FormulaError, Node, Symbol, Translation, join

FUNCTIONS = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan")
NAMED = ("sign", "erf", "sigmoid", "softmax", "mean", "var", "floor")  # within \operatorname
REDUCTIONS = ("sum", "prod", "max", "min", "mean")
TIMES = ("*", "·", "×", "⊙", "\\cdot", "\\times", "\\odot")
COMPARE = {"<": "<", ">": ">", "≤": "<=", "≥": ">=", "\\le": "<=", "\\ge": ">=", "=": "==", "\\ne": "!="}
TOKEN = re.compile(
    r"(?P<space>\s+|\\[,;]|\\left(?=[(|])|\\right(?=[)|]))|(?P<text>\\text\{[^}]*\})|(?P<operator>\\operatorname\{\w+\})"
    r"|(?P<cases>\\(?:begin|end)\{cases\}|\\\\)|(?P<command>\\[A-Za-z]+)|(?P<number>\d+(?:\.\d+)?)"
    "|(?P<letter>[∇Δ∂]?[^\\W\\d_¹²³][\u0300-\u036f]*)|(?P<sign>.)"
)


def symbol(text):
    """The Symbol that a text such as `β_1`, `\\bar{g}` or `∇f` stands for."""
    parser = Parser(text, ())
    found = parser.letter()[0]
    return found if not parser.peek() else parser.fail("the end of the symbol")


def translate(text, bound=()):
    """A formula `left = right`, or `left += right`; `bound` holds the keys of symbols that have names of their own."""
    return Parser(text, bound).formula()


class Parser:
    def __init__(self, text, bound):
        self.text, self.bound, self.symbols, self.grid, self.reductions = text, bound, [], False, {}
        self.bars, self.inside_index = 0, False
        self.plain, self.at, self.tokens = unicodedata.normalize("NFD", text), 0, []  # tokens: word, kind, start, end
        for match in TOKEN.finditer(self.plain):
            if match.lastgroup != "space":
                word = COMMANDS.get(match[0], match[0])
                kind = "letter" if match[0] in COMMANDS and word not in "⊤∇∂" else match.lastgroup
                self.tokens.append((word, kind, match.start(), match.end()))
        self.tokens += [("", "", len(self.plain), 0)] * 3

    # ---- Tokens ----

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead][0]

    def kind(self, ahead=0):
        return self.tokens[self.at + ahead][1]

    def glued(self, ahead=0):
        """Whether no space stands before the next token."""
        return self.tokens[self.at + ahead - 1][3] == self.tokens[self.at + ahead][2]

    def take(self, *wanted):
        if wanted and self.peek() not in wanted:
            self.fail(" or ".join(wanted))
        self.at += 1
        return self.tokens[self.at - 1][0]

    def accept(self, *wanted):
        return self.take() if self.peek() and self.peek() in wanted else ""

    def fail(self, expected) -> NoReturn:
        place = len(unicodedata.normalize("NFC", self.plain[: self.tokens[self.at][2]]))
        found = f"'{self.peek()}'" if self.peek() else "its end"
        raise FormulaError(f"cannot read the formula '{self.text}': at position {place}, {found}, expected {expected}")

    # ---- Sums, products, powers ----

    def formula(self):
        left, indices = self.letter()
        added = self.accept("+")
        self.take("=")
        right = self.sum()
        if self.peek():
            self.fail("an operator or the end")
        if added:
            old = self.place(Symbol(left.key, "t-1" if left.time else ""), indices)
            right = join(f"{old} + {right.at(2)}", 1, right)
        for free in sorted(right.indices - join("", 4, *indices).indices):
            self.fail(f"the index {free} on the left side too, or \\sum_{free}")
        if self.grid:
            source = right.source.replace("⟦", "[").replace("⟧", "]")
        else:
            source = re.sub("⟦.*?⟧", "", right.source)
        return Translation(left, [n.source for n in indices], self.symbols, source, self.grid, self.reductions)

    def sum(self):
        sign = self.accept("-", "+")
        total = self.term()
        if sign == "-":
            total = join(f"-{total.at(2)}", 1, total)
        while sign := self.accept("+", "-"):
            term = self.term()
            total = join(f"{total.source} {sign} {term.at(2)}", 1, total, term)
        return total

    def term(self):
        total, divided = self.factor(), False
        while True:
            sign = "/" if self.peek() == "/" else "*" if self.peek() in TIMES else ""
            if not sign and not self.starts_factor():
                return total
            if divided:
                self.fail("+ or - or the end, since what stands after / is not clear; write \\frac")
            if self.glued() and {self.kind(), self.kind(-1)} <= {"letter", "number"}:
                self.fail("a space between factors")
            if sign:
                self.take()
            divided, factor = sign == "/", self.factor()
            times = sign or ("@" if total.matrix and factor.matrix else "*")
            total = join(f"{total.at(2)} {times} {factor.at(3)}", 2, total, factor)

    def starts_factor(self):
        word, kind = self.peek(), self.kind()
        if kind in ("number", "letter", "operator") or word in ("(", "∇", "∂", "∞", "\\begin{cases}"):
            return True
        return not self.bars if word == "|" else kind == "command" and word not in (*COMPARE, "⊤")

    def factor(self):
        base, function = self.atom()
        while self.accept("^"):
            if function:
                self.at -= 1
                self.fail("parentheses around the argument")
            if self.peek() == "⊤" or (self.peek(), self.peek(1)) == ("{", "⊤"):
                _ = self.take() == "{" and (self.take("⊤"), self.take("}"))
                base = join(f"transpose({base.source})", 4, base)
                continue
            exponent = self.braced() if self.peek() == "{" else self.small()
            euler = base.source == "e"
            source = f"exp({exponent.source})" if euler else f"{base.at(4)}**{exponent.at(4)}"
            base = join(source, 4 if euler else 3, base, exponent)
            if self.peek() == "^":
                self.fail("an operator, not a second exponent")
        if function and self.starts_factor():
            self.fail(f"an operator; put the argument of {function} into parentheses")
        return base

    def small(self):
        """An exponent without braces."""
        if self.kind() == "letter":
            return Node("pi") if self.is_pi(self.peek()) and self.take() else Node(self.place(Symbol(self.take()), []))
        return Node(self.take()) if re.fullmatch(r"\d", self.peek()) else self.fail("a digit, a letter, ⊤ or {")

    def braced(self):
        self.take("{")
        inside = self.sum()
        self.take("}")
        return inside

    def atom(self):
        """A factor without its exponent, and the function's name where its argument stands without parentheses."""
        word, kind = self.peek(), self.kind()
        if kind == "operator" or word[1:] in (*FUNCTIONS, *REDUCTIONS, "ln"):
            return self.function()
        if kind == "number" or word == "∞":
            return Node(self.take().replace("∞", "inf")), ""
        if kind == "letter" or word in ACCENTS or word in ("∇", "∂"):
            return self.variable(), ""
        if word == "(":
            inside = self.group()
            return inside[0] if len(inside) == 1 else self.fail("no comma in the parentheses before it"), ""
        if word == "\\begin{cases}":
            return self.cases(), ""
        if word not in ("|", "\\frac", "\\sqrt"):
            unknown = " (no such command)" if kind == "command" else ""
            self.fail("a number, a symbol, (, |, \\frac, \\sqrt, \\sum or a function" + unknown)
        self.take()
        if word == "\\frac":
            over, under = self.braced(), self.braced()
            return join(f"{over.at(2)} / {under.at(3)}", 2, over, under), ""
        if word == "\\sqrt":
            inside = self.braced()
            return join(f"sqrt({inside.source})", 4, inside), ""
        self.bars += 1
        inside = self.sum()
        self.take("|")
        self.bars -= 1
        return join(f"abs({inside.source})", 4, inside), ""

    def group(self):
        """What stands in parentheses, one or more expressions; the bars around them do not count inside."""
        self.take("(")
        bars, self.bars = self.bars, 0
        inside = [self.sum()]
        while self.accept(","):
            inside.append(self.sum())
        self.take(")")
        self.bars = bars
        return inside

    # ---- Symbols ----

    def base(self):
        """A letter with its accents, in NFD."""
        if self.peek() in ACCENTS:
            mark, braces = ACCENTS[self.take()], self.accept("{")
            inside = self.base() + mark
            _ = braces and self.take("}")
            return inside
        prefix = self.accept("∇", "∂")
        return prefix + self.take() if self.kind() == "letter" else self.fail("a letter")

    def letter(self):
        """A symbol with its subscripts: the Symbol, and its index expressions as Nodes."""
        key, time, names, numbers, indices = self.base(), "", [], [], []
        if self.accept("_"):
            braces = self.accept("{")
            while True:
                alone = not braces or self.peek(1) in (",", "}")
                letters = 1
                while braces and self.kind() == self.kind(letters) == "letter" and self.glued(letters):
                    letters += 1
                if self.peek() == "t" and self.peek(1) != "_":
                    time = self.moment(braces)
                elif alone and self.kind() == "number" and (braces or len(self.peek()) == 1):
                    numbers.append(self.take())
                elif letters > 1 or (alone and self.is_name(key)):
                    names.append("".join(self.take() for _ in range(letters)))
                else:
                    indices.append(self.index(braces))
                if not braces or not self.accept(","):
                    break
            _ = braces and self.take("}")
        if indices:
            indices, numbers = indices + [Node(n) for n in numbers], []
        self.grid |= len(indices) > 1 or any(not node.source.isidentifier() for node in indices)
        return Symbol("_".join([key, *names, *numbers]), time), indices

    def is_name(self, key):
        word = self.peek()
        return f"{key}_{word}" in self.bound or word in "+-" or (self.kind() == "letter" and not is_index(word))

    def moment(self, braces):
        self.take()
        if braces and self.accept("-") and self.peek() == "1" and self.peek(1) in (",", "}"):
            self.take()
            return "t-1"
        return (
            "t"
            if not braces or self.peek() in (",", "}")
            else self.fail("t or t-1: new values are _t, old ones _{t-1}")
        )

    def index(self, braces):
        if not braces:
            return (
                join(name := self.take(), 4, Node("", indices=frozenset(name)))
                if is_index(self.peek())
                else self.fail("t, an index, a number or { after _")
            )
        outer, self.inside_index = self.inside_index, True
        found = self.sum()
        self.inside_index = outer
        return found

    def is_pi(self, word):
        return word == "π" and word not in self.bound

    def variable(self):
        found, indices = self.letter()
        key, free = found.key, join("", 4, *indices).indices
        if key not in self.bound and not found.time and not indices:
            if self.inside_index and is_index(key):
                return Node(key, indices=frozenset(key))
            if self.is_pi(key) or (key == "e" and self.peek() == "^"):
                return Node("pi" if key == "π" else "e")
        if self.peek() == "(" and self.glued():
            self.fail("a space before ( for a product, or a function such as \\log")
        return Node(self.place(found, indices), 4, "A" <= key[0] <= "Z" and not indices, free)

    def place(self, found, indices):
        """The private character that stands for this symbol."""
        if found not in self.symbols:
            self.symbols.append(found)
        inside = ", ".join(node.source for node in indices)
        return chr(0xE000 + self.symbols.index(found)) + (f"⟦{inside}⟧" if indices else "")

    # ---- Functions ----

    def function(self):
        name = self.peek()[14:-1] if self.kind() == "operator" else self.peek()[1:].replace("ln", "log")
        if self.kind() == "operator" and name not in NAMED:
            self.fail(f"one of {', '.join(NAMED)} in \\operatorname")
        self.take()
        if self.peek() == "_" and name in REDUCTIONS:
            return self.reduction(name), ""
        if name in ("sum", "prod"):
            self.fail("_ and the index")
        several = name in ("max", "min")
        if self.peek() != "(":
            inside = self.factor() if not several else self.fail("( and two arguments, or _ and the index")
            return join(f"{name}({inside.source})", 4, inside), name
        inside = self.group()
        if (len(inside) > 1) != several:
            self.fail(f"{'two arguments' if several else 'one argument'} in {name}(...) before it")
        return join(f"{name}({', '.join(n.source for n in inside)})", 4, *inside), ""

    def reduction(self, name):
        self.take("_")
        braces, indices = self.accept("{"), []
        while not indices or (braces and self.accept(",")):
            indices.append(self.take() if is_index(self.peek()) else self.fail("the letter of an index"))
        _ = braces and self.take("}")
        body = self.term()
        for missing in sorted(set(indices) - body.indices):
            self.fail(f"a symbol with the index {missing} before it")
        rest, key = body.indices - set(indices), f"{name}_{''.join(indices)}"
        self.grid |= bool(rest)
        self.reductions[key] = name, indices
        return Node(f"{key}({body.source})", 4, False, rest)

    def cases(self):
        self.take()
        rows, value = [], self.sum()
        while self.take("&") and not self.accept("\\text{otherwise}", "\\text{else}"):
            self.accept("\\text{if}", "\\text{if }")
            left, sign, right = self.sum(), self.take(*COMPARE), self.sum()
            rows.append((value, left, COMPARE[sign], right))
            self.take("\\\\")
            value = self.sum()
        self.take("\\end{cases}")
        for first, left, sign, right in reversed(rows):
            source = f"where({left.source} {sign} {right.source}, {first.source}, {value.source})"
            value = join(source, 4, first, left, right, value)
        return value


def is_index(word):
    """Whether this is a letter that runs: a small Latin one."""
    return len(word) == 1 and "a" <= word <= "z"
