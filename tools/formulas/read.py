"""What stands in the source: numbered formulas in a docstring, their numbers beside the code, and what letters mean.

A formula is a line `(2)  v_t = α v_{t-1} + (1 - α) g_t^2`; two or more spaces set off a condition, `if centered` or
`if centered, else v_t`. The statement that computes it ends in `# (2)`. The sentence "where θ is `p` and ε is `eps`."
says what a letter is in the code; without it, a letter is its Python spelling, ṽ is v_tilde.
"""

import ast
import contextlib
import inspect
import io
import linecache
import re
import textwrap
import tokenize
import unicodedata
from dataclasses import dataclass
from types import CodeType
from typing import Any

from .symbols import FormulaError
from .translate import Translation, symbol, translate

FORMULA = re.compile(r"\((\d+)\)  \s*(\S.*)")
CONDITION = re.compile(r"(.*?\S)\s{2,}(?:if\s+(.*?)(?:,\s+else\s+(.*))?)$")
TAG = re.compile(r"#\s*\((\d+)\)((?:\s*,\s*\(\d+\))*)\s*$")
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
CONDITIONS = (ast.Expression, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.Not, ast.Compare, ast.cmpop, ast.Name, ast.Load)
CONDITIONS += (ast.Constant, ast.Attribute)
SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return)


@dataclass(eq=False)
class Formula:
    """One numbered formula; `other` is what its left side is where the condition does not hold."""

    number: int
    text: str
    meaning: Translation
    condition: CodeType | None = None
    condition_text: str = ""
    other: Translation | None = None


@dataclass(eq=False)
class Tagged:
    """A statement that computes a formula, and the function that it stands in."""

    formula: Formula
    node: ast.stmt
    function: Any
    source: str


@dataclass(eq=False)
class Sheet:
    """An object's formulas, the statements that compute them, and its symbols: key -> Python expression."""

    name: str
    filename: str
    formulas: dict[int, Formula]
    tagged: list[Tagged]
    symbols: dict[str, str]


def read(obj) -> Sheet:
    """The formulas of a class or a function, and what belongs to them; FormulaError where they do not fit."""
    name = getattr(obj, "__name__", type(obj).__name__)
    obj = obj if inspect.isclass(obj) or hasattr(obj, "__code__") or hasattr(obj, "__wrapped__") else type(obj)
    for owner in inspect.getmro(obj) if inspect.isclass(obj) else [obj]:
        found = _source(owner)
        if found is None:
            continue
        filename, text, node = found
        tags = _tags(name, text, node)
        documents = [n for n in ast.walk(node) if isinstance(n, FUNCTION | ast.ClassDef) and _lines(_docstring(n))]
        mine = documents[0] if documents else node  # a class may leave its formulas to its method
        if _lines(_docstring(mine)) or tags:
            others = [lines_of(n) for n in documents[1:]]
            tags = {line: number for line, number in tags.items() if not any(line in lines for lines in others)}
            return _sheet(name, filename, text, node, _docstring(mine), tags)
    raise FormulaError(f"{name} has no formulas: write them into its docstring, as '(1)  y = 2 x'")


def _sheet(name, filename, text, node, document, tags):
    if re.search("[\a\b\f\v\r]", document):  # what Python makes of \alpha, \beta, \frac, \varepsilon and \rho
        raise FormulaError(
            f'{name}: a backslash in the docstring was read as a control character; begin it with r, as r"""'
        )
    symbols = bindings(name, document)
    formulas = formulas_of(name, document, symbols)
    sheet = Sheet(name, filename, formulas, [], symbols)
    statements, lines = _statements(node, node if isinstance(node, FUNCTION) else None), text.splitlines()
    for line, number in tags.items():
        if number not in formulas:
            raise FormulaError(f"{name} line {line} is tagged ({number}), but there is no formula ({number})")
        found, function = statements.get(line, (None, None))
        if found is None or function is None:
            raise FormulaError(f"{name} line {line} is tagged ({number}), but is no statement that computes something")
        if lines[found.lineno - 1].encode()[: found.col_offset].strip():
            raise FormulaError(f"{name} line {line} is tagged ({number}), but holds more than one statement; part them")
        if any(other.node is found for other in sheet.tagged):
            raise FormulaError(f"{name} line {line} is tagged ({number}), but its statement has a tag already")
        source = textwrap.dedent("\n".join(lines[found.lineno - 1 : found.end_lineno]))
        sheet.tagged.append(Tagged(formulas[number], found, function, TAG.sub("", source).rstrip()))
    for number in sorted(formulas.keys() - {tagged.formula.number for tagged in sheet.tagged}):
        raise FormulaError(f"{name}: formula ({number}) has no tag; end the line that computes it in '# ({number})'")
    return sheet


# ---- The docstring ----


def formulas_of(name, document, symbols):
    """Number -> Formula."""
    formulas = {}
    for number, text in _lines(document):
        if number in formulas:
            raise FormulaError(f"{name}: formula ({number}) stands twice in the docstring; number them differently")
        match = CONDITION.match(text)
        left, condition, other = match.groups() if match else (text, None, None)
        if not match and re.search(r"\S\s{2,}\S", text):
            raise FormulaError(f"{name}: formula ({number}) has a part set off by spaces that is no 'if ...': {text}")
        try:
            formula = Formula(number, text, translate(left, symbols))
            if condition:
                formula.condition, formula.condition_text = _condition(condition, symbols), condition
            if other:
                formula.other = translate(f"{left.partition('=')[0]}= {other}", symbols)
        except FormulaError as error:
            raise FormulaError(f"{name}: formula ({number}): {error}") from None
        formulas[number] = formula
    used = {s.key for f in formulas.values() for m in (f.meaning, f.other) if m for s in (m.left, *m.symbols)}
    used |= {n for f in formulas.values() if f.condition for n in re.findall(r"\w+", f.condition_text)}
    for key in symbols.keys() - used if formulas else ():
        raise FormulaError(
            f"{name}: the sentence 'where ...' says that {key} is `{symbols[key]}`, but no formula has {key}"
        )
    return formulas


def _lines(document):
    """The numbered lines, each with more deeply indented lines that continue it."""
    found, column = [], None
    for line in document.expandtabs().splitlines():
        depth = len(line) - len(line.lstrip())
        if match := FORMULA.fullmatch(line.strip()):
            found.append((int(match[1]), match[2]))
            column = depth
        elif line.strip() and column is not None and depth > column:
            found[-1] = (
                found[-1][0],
                f"{found[-1][1]}{' ' * (2 if line.strip().startswith('if ') else 1)}{line.strip()}",
            )
        else:
            column = None
    return found


def _condition(text, symbols):
    """A condition such as `centered`, `momentum and not nesterov` or `mode is "fan_in"`, as Python."""
    signs = {"is": "==", "is not": "!="}

    def word(match):
        return signs.get(match[0]) or symbols.get(unicodedata.normalize("NFD", match[0]), match[0])

    try:
        tree: Any = ast.parse(re.sub(r'"[^"]*"|is not\b|[^\W\d]\w*', word, text), mode="eval")
    except SyntaxError:
        tree = None
    if tree is None or not all(isinstance(node, CONDITIONS) for node in ast.walk(tree)):
        raise FormulaError(f"cannot read the condition '{text}'; expected names, and, or, not and comparisons")
    return compile(tree, "<condition>", "eval")


def bindings(name, document):
    """The sentence "where θ is `p` and ε is `eps`." as a dict."""
    sentence = re.search(r"(?m)^\s*where\s(.*?)(?:\.(?=\s|$)|\n\s*\n|\Z)", document, re.DOTALL)
    found = {}
    for key, expression in re.findall(r"(\S+)\s+is\s+`([^`]+)`", sentence[1] if sentence else ""):
        try:
            key, python = symbol(key).key, ast.unparse(ast.parse(expression, mode="eval"))
        except (FormulaError, SyntaxError):
            raise FormulaError(f"{name}: cannot read '{key} is `{expression}`'; expected a symbol and Python") from None
        if key in found:
            raise FormulaError(f"{name}: the sentence 'where ...' says twice what {key} is")
        found[key] = python
    return found


# ---- The code ----


def _functions(value, depth=2):
    """The plain functions inside a function, a method, a property or what a decorator has made of them."""
    value = inspect.unwrap(getattr(value, "__func__", None) or getattr(value, "fget", None) or value)
    if hasattr(value, "__code__"):
        yield value
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell
                yield from _functions(cell.cell_contents, depth - 1) if depth and callable(cell.cell_contents) else ()


def _source(obj):
    """(filename, text of the file, node) of a class or function; None where there is nothing in Python."""
    kind: Any = ast.ClassDef if inspect.isclass(obj) else FUNCTION
    values = vars(obj).values() if kind is ast.ClassDef else [obj]
    codes = [f.__code__ for value in values for f in _functions(value)]
    codes = [code for code in codes if code.co_qualname.startswith(obj.__qualname__)]
    for code in codes:
        linecache.checkcache(code.co_filename)
        text = "".join(linecache.getlines(code.co_filename))
        nodes: list[Any] = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kind)]
        for node in nodes:
            if node.name == obj.__name__:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                last = node.end_lineno if kind is ast.ClassDef else first
                if first <= code.co_firstlineno <= last:
                    return code.co_filename, text, node
    if codes and not codes[0].co_filename.startswith("<frozen"):  # Python's own base classes
        raise FormulaError(f"the source of {obj.__name__} cannot be read; define it in a file or in a notebook's cell")
    return None


def lines_of(node: Any):
    return range(node.lineno, node.end_lineno + 1)


def _docstring(node):
    return ast.get_docstring(node) or ""


def _tags(name, text, node):
    """Line -> number, of the comments within a node."""
    tags = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if (
            token.type == tokenize.COMMENT
            and node.lineno <= line <= node.end_lineno
            and (match := TAG.search(token.string))
        ):
            if match[2]:
                raise FormulaError(f"{name} line {line} has two tags; let each statement compute one formula")
            tags[line] = int(match[1])
    return tags


def _statements(node, function=None):
    """Line -> (simple statement, the function it stands in)."""
    found = {}
    for child in ast.iter_child_nodes(node):
        if isinstance(child, SIMPLE) and function is not None:
            found |= dict.fromkeys(lines_of(child), (child, function))
        else:
            found |= _statements(child, child if isinstance(child, FUNCTION) else function)
    return found
