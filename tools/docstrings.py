"""What the reference pages need beyond what griffe, their parser, sees; mkdocs.yml names this file as its extension.

- A doctest becomes a code block wherever it stands. griffe knows doctests only under `Examples:`, elsewhere Markdown
  reads `>>>` as three nested quotations.
- `exp = _function("exp", ...)` becomes the function that it is.
- A class that nn's `FunctionLayer` completes gets the signature, and the docstring, that it has when it runs.
- A schedule's constructor gets the arguments of its method `schedule`.
- Numbered formulas are typeset.
- In the modules with operations a name is public if the package exports it.
- What a page under docs/ shows line by line, in a fence `formulas`, gets a link to that page; so does what the page is
  about, as its head says: `about: nn.Conv2d, nn.functional.conv2d`.
"""

import pkgutil
import re
import sys
from pathlib import Path

import griffe

import lucidlite
from lucidlite.formulas.read import FORMULA

DOCTEST = re.compile(r"^( *)>>> .*(?:\n\1 *\S.*)*", re.MULTILINE)  # up to a blank or a less indented line
FORMULAS = re.compile(rf"(?:{FORMULA.pattern}\n?)+", re.MULTILINE)
SHOWN = re.compile(r"^```formulas\n(.*)\n```", re.MULTILINE)
ABOUT = re.compile(r"\A---\n(?:.*\n)*?about: (.*)\n")


def find_grids():
    """Where each object is shown: {its canonical path: a link from docs/reference.md, in Markdown}."""
    found = {}
    for page in sorted(Path("docs").rglob("*.md"), key=lambda page: page.name == "index.md"):  # a page of its own first
        text, place = page.read_text("utf-8"), page.relative_to("docs").as_posix()
        for path in SHOWN.findall(text):
            shown = pkgutil.resolve_name(path)
            link = f"[Line by line, with its formulas]({place}#{shown.__name__}-1)"
            found.setdefault(f"{shown.__module__}.{shown.__qualname__}", link)
        for path in ", ".join(ABOUT.findall(text)).split(", "):
            if path:
                shown = pkgutil.resolve_name(f"lucidlite:{path}")
                link = f"[In formulas, numbers and pictures]({place})"
                found.setdefault(f"{shown.__module__}.{shown.__qualname__}", link)
    return found


def fence(match):
    indent, code = match[1], re.sub(r" *# doctest:.*", "", match[0])
    return f"{indent}```pycon\n{code}\n{indent}```"


def typeset(block, path):
    numbers = " ".join(number for _, number, _ in FORMULA.findall(block))
    return f'\n```formulas only="{numbers}"\n{path}\n```\n'


class Docstrings(griffe.Extension):
    def __init__(self):
        super().__init__()
        self.grids = find_grids()

    def on_module(self, *, mod, **kwargs):
        own = [member for member in mod.members.values() if not member.is_alias]
        if mod.path.startswith("lucidlite.ops."):
            exported = getattr(lucidlite, "__all__", vars(lucidlite))
            for member in own:
                member.public = member.name in exported
        called = [m for m in own if m.is_attribute and m.is_public and isinstance(m.value, griffe.ExprCall)]
        made = [m for m in own if m.is_class and "FunctionLayer" in map(str, m.bases)]
        found = griffe.inspect(mod.path, filepath=mod.filepath, import_paths=sys.path) if called or made else None
        inspected = found.members if found else {}
        for member in made:
            if "__init__" in inspected[member.name].members:  # not inherited
                member.set_member("__init__", inspected[member.name].members["__init__"])
            member.docstring = member.docstring or inspected[member.name].docstring
        for member in own:
            if member.is_class and "schedule" in member.members and member["schedule"].is_function:
                first, others = list(mod["Scheduler.__init__"].parameters)[:2], list(member["schedule"].parameters)[3:]
                member.set_member(
                    "__init__", griffe.Function("__init__", parameters=griffe.Parameters(*first, *others))
                )
        for member in called:
            function = inspected.get(member.name)
            if function is not None and not function.is_alias and function.is_function:
                function.lineno, function.endlineno = member.lineno, member.endlineno
                function.public = True
                mod.set_member(member.name, function)

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(fence, obj.docstring.value)
            obj.docstring.value = FORMULAS.sub(lambda match: typeset(match[0], obj.path), obj.docstring.value)
            if obj.path in self.grids:
                obj.docstring.value += f"\n\n{self.grids[obj.path]}"
