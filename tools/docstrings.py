"""What the reference pages need beyond what griffe, their parser, sees; mkdocs.yml names this file as its extension.

- A doctest becomes a code block wherever it stands. griffe knows doctests only under `Examples:`, elsewhere Markdown
  reads `>>>` as three nested quotations.
- `exp = _function("exp", ...)` becomes the function that it is.
- In the modules with operations a name is public if the package exports it.
"""

import re
import sys

import griffe

import lucidlite

DOCTEST = re.compile(r"^( *)>>> .*(?:\n\1 *\S.*)*", re.MULTILINE)  # up to a blank or a less indented line


def fence(match):
    indent, code = match[1], re.sub(r" *# doctest:.*", "", match[0])
    return f"{indent}```pycon\n{code}\n{indent}```"


class Docstrings(griffe.Extension):
    def on_module(self, *, mod, **kwargs):
        own = [member for member in mod.members.values() if not member.is_alias]
        if mod.path.startswith("lucidlite.ops."):
            exported = getattr(lucidlite, "__all__", vars(lucidlite))
            for member in own:
                member.public = member.name in exported
        called = [m for m in own if m.is_attribute and m.is_public and isinstance(m.value, griffe.ExprCall)]
        inspected = griffe.inspect(mod.path, filepath=mod.filepath, import_paths=sys.path).members if called else {}
        for member in called:
            function = inspected.get(member.name)
            if function is not None and not function.is_alias and function.is_function:
                function.lineno, function.endlineno = member.lineno, member.endlineno
                function.public = True
                mod.set_member(member.name, function)

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(fence, obj.docstring.value)
