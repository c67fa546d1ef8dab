"""The letters of formulas and how Python spells them; what a translated formula consists of."""

import functools
import re
import unicodedata
from dataclasses import dataclass, field


class FormulaError(ValueError):
    """A formula that cannot be read, or that the code beside it does not compute."""


WORDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi "
    "psi omega"
)
GREEK = {}
for word in re.findall(r"\w+", WORDS):
    letter = unicodedata.lookup(f"GREEK SMALL LETTER {word.upper().replace('LAMBDA', 'LAMDA')}")
    GREEK |= {letter: word, letter.upper(): word.capitalize()}
COMMANDS = {f"\\{word}": letter for letter, word in GREEK.items()}
COMMANDS |= {"\\varepsilon": "ε", "\\varphi": "φ", "\\ell": "ℓ", "\\nabla": "∇", "\\partial": "∂", "\\top": "⊤"}
SPELLED = GREEK | {"λ": "lambda_", "ℓ": "ell", "∇": "grad_", "∂": "d_", "+": "plus", "-": "minus"}
ACCENTS = {"\\bar": "\u0304", "\\tilde": "\u0303", "\\hat": "\u0302", "\\dot": "\u0307"}
MARKS = {mark: command.replace("\\", "_") for command, mark in ACCENTS.items()}


@dataclass(frozen=True)
class Symbol:
    """A letter with its accents and named subscripts; time is "t", "t-1", or "" for what does not change."""

    key: str
    time: str = ""

    @property
    def name(self):
        """The Python spelling: ṽ is v_tilde, β_1 is beta_1, ∇f is grad_f."""
        base, *names = ("".join((SPELLED | MARKS).get(c, c) for c in part) for part in self.key.split("_"))
        if self.key[0] == "Δ" and self.key[1:2].isalpha():
            base = base.replace("Delta", "delta_")
        return "_".join([base.rstrip("_"), *names]) if names else base

    def __str__(self):
        time = {"": "", "t": "_t", "t-1": "_{t-1}"}[self.time]
        return unicodedata.normalize("NFC", self.key) + time


@dataclass
class Node:
    """A piece of Python source. Rank 0 is a sum that begins with -, 1 a sum, 2 a product, 3 a power, 4 an atom."""

    source: str
    rank: int = 4
    matrix: bool = False
    indices: frozenset = frozenset()

    def at(self, rank):
        return self.source if self.rank >= rank else f"({self.source})"


def join(source, rank, *parts):
    return Node(source, rank, any(p.matrix for p in parts), frozenset().union(*(p.indices for p in parts)))


@dataclass(eq=False)
class Translation:
    """The left symbol and its indices, and the right side as Python, where U+E000 + n stands for `symbols[n]`."""

    left: Symbol
    indices: list[str]
    symbols: list[Symbol]
    source: str
    grid: bool  # whether indices pick elements; otherwise x_i is the whole of x
    reductions: dict = field(default_factory=dict)  # function in the source -> (operation, indices)

    def python(self, names, value=None):
        """The right side as a reader would write it: with the code's names for the symbols, or with `value(symbol)`."""

        def word(match):
            symbol = self.symbols[ord(match[0]) - 0xE000]
            if value:
                return value(symbol)
            text = names.get(symbol.key, symbol.name)
            return text if re.fullmatch(r"[\w.]+(\[[^][]*\])*", text) else f"({text})"

        return re.sub("[\ue000-\uf8ff]", word, self.source)

    @functools.cached_property
    def variables(self):
        """The right side with the names _0, _1, ... for the symbols."""
        return re.sub("[\ue000-\uf8ff]", lambda match: f"_{ord(match[0]) - 0xE000}", self.source)

    @functools.cached_property
    def code(self):
        return compile(self.variables, "<formula>", "eval")
