"""What stands in the source: numbered formulas in a docstring, their numbers beside the code, and what letters mean.

A formula is a line `(2)  v_t = α v_{t-1} + (1 - α) g_t^2`; two or more spaces set off a condition, `if centered, else
v_t` or `if mode is "fan_in"`, in Python but for this `is`. The statement that computes it ends in `# (2)`. The sentence
"where θ is `p` and ε is `eps`." says what a letter is in the code; without it, it is its Python spelling, ṽ is v_tilde.
"""

import ast
import inspect
import io
import linecache
import re
import textwrap
import tokenize
import unicodedata
from typing import Any, NamedTuple

from .translate import FormulaError, Translation

FORMULA = re.compile(r"^( *)\((\d+)\)  +(\S.*(?:\n\1 +(?!\(\d+\)  )\S.*)*)", re.MULTILINE)  # goes on in deeper lines
CASE: Any = re.compile(r"(.*?)(?:  +if (.*?)(?:, +else (.*))?)?$")
WHERE = re.compile(r"^\s*where\s(.*?)(?:\.(?=\s|$)|\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
TAG = re.compile(r"#\s*\((\d+)\)\s*$")
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITION = FUNCTION | ast.ClassDef
SIMPLE = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return


def read(obj) -> "Sheet":
    """The formulas of a class or a function, and what belongs to them; FormulaError where they do not fit."""
    name = getattr(obj, "__name__", type(obj).__name__)
    if not (inspect.isclass(obj) or hasattr(obj, "__code__") or hasattr(obj, "__wrapped__")):
        obj = type(obj)
    try:
        for owner in inspect.getmro(obj) if inspect.isclass(obj) else [obj]:
            if (source := _source(owner)) and (sheet := Sheet(name, *source)).formulas:
                return sheet
        raise FormulaError("it has no formulas; write them into its docstring, as '(1)  y = 2 x'")
    except FormulaError as error:
        raise FormulaError(f"{name}: {error}") from None


def lines_of(node: Any):
    """The lines of a statement, its decorators too."""
    return range(min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]), node.end_lineno + 1)


def _source(obj):
    """(filename, its text, node) of a function, or of a class, by a function in it; None where there is none."""
    for value in list(vars(obj).values()) if inspect.isclass(obj) else [obj]:
        code = getattr(inspect.unwrap(getattr(value, "__func__", value)), "__code__", None)
        if code and code.co_qualname.startswith(obj.__qualname__) and not code.co_filename.startswith("<frozen"):
            linecache.checkcache(code.co_filename)
            text = "".join(linecache.getlines(code.co_filename))
            named = [n for n in ast.walk(ast.parse(text)) if isinstance(n, DEFINITION) and n.name == obj.__name__]
            if nodes := [node for node in named if code.co_firstlineno in lines_of(node)]:
                return code.co_filename, text, nodes[-1]
            raise FormulaError("its source cannot be read; define it in a file or in a notebook's cell")


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


class Tagged(NamedTuple):
    """A statement that computes a formula, and the function that it stands in."""

    formula: Formula
    node: ast.stmt
    function: Any
    source: str


class Sheet:
    """An object's `formulas` by number, the statements `tagged` with them, and `symbols`: key -> Python expression."""

    def __init__(self, name, filename, text, node):
        documents = [(ast.get_docstring(n) or "", n) for n in ast.walk(node) if isinstance(n, DEFINITION)]
        documents = [pair for pair in documents if FORMULA.search(pair[0])]
        document = documents[0][0] if documents else ""  # a class may leave its formulas to its method
        if re.search("[\a\b\f\v\r]", document):  # what Python makes of \alpha, \beta, \frac, \varepsilon and \rho
            raise FormulaError('a backslash in the docstring was read as a control character; begin it with r, as r"""')
        self.name, self.filename, self.tagged, self.symbols = name, filename, [], bindings(document)
        self.formulas = {}
        for _, number, lines in FORMULA.findall(document):
            if int(number) in self.formulas:
                raise FormulaError(f"formula ({number}) stands twice in the docstring; number them differently")
            joined = re.sub(r"\s*\n +", " ", re.sub(r"\s*\n +(?=if )", "  ", lines))
            self.formulas[int(number)] = Formula(int(number), joined, self.symbols)
        self.names = {s.key: s.name for formula in self.formulas.values() for s in formula.symbols}  # as in Python
        conditions = " ".join(formula.condition_text for formula in self.formulas.values())
        for key in self.symbols.keys() - self.names.keys() - set(re.findall(r"\w+", conditions)):
            raise FormulaError(f"'where ...' says that {key} is `{self.symbols[key]}`, but no formula has {key}")
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            line, tag = token.start[0], TAG.search(token.string) if token.type == tokenize.COMMENT else None
            if tag and line in lines_of(node) and not any(line in lines_of(other) for _, other in documents[1:]):
                self._add(line, int(tag[1]), text, node)
        for number in sorted(self.formulas.keys() - {tagged.formula.number for tagged in self.tagged}):
            raise FormulaError(f"formula ({number}) has no tag; end the line that computes it in '# ({number})'")

    def _add(self, line, number, text, node):
        """Find the statement that a tag stands behind."""
        path = [n for n in ast.walk(node) if isinstance(n, ast.stmt) and line in lines_of(n)]  # from the outside in
        found, functions = path[-1], [n for n in path if isinstance(n, FUNCTION)]
        before = text.split("\n")[found.lineno - 1].encode()[: found.col_offset]
        faults = {
            f"there is no formula ({number})": number not in self.formulas,
            "is no statement that computes something": not functions or not isinstance(found, SIMPLE),
            "holds more than one statement; part them": before.strip(),
            "its statement has a tag already": any(tagged.node is found for tagged in self.tagged),
        }
        for fault in filter(faults.get, faults):
            raise FormulaError(f"line {line} is tagged ({number}), but {fault}")
        source = textwrap.dedent(ast.get_source_segment(text, found, padded=True) or "")
        self.tagged.append(Tagged(self.formulas[number], found, functions[-1], source))


def bindings(document):
    """The sentence "where θ is `p` and ε is `eps`." as a dict."""
    sentence, found = WHERE.search(document), {}
    for letter, expression in re.findall(r"(\S+)\s+is\s+`([^`]+)`", sentence[1] if sentence else ""):
        try:
            key, python = Translation(f"{letter} = 0").left.key, ast.unparse(ast.parse(expression, mode="eval"))
        except (FormulaError, SyntaxError):
            raise FormulaError(f"cannot read '{letter} is `{expression}`'; expected a symbol and Python") from None
        found[key] = python
    return found
