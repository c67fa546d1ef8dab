"""The line budget: growth is a decision. Also who may import what, because both are read off the same files.

`python tools/budget.py` prints how much of each budget is used, and exits with 1 naming everything that goes over it.
"""

import ast
import sys
from pathlib import Path

PACKAGE = Path("lucidlite")
ENGINE = [PACKAGE / "autograd.py", PACKAGE / "tensor.py"]
PACKAGE_LINES, ENGINE_LINES, FILE_LINES, FUNCTION_LINES = 5500, 700, 400, 60  # of a function all lines count

ARRAYS_IN = PACKAGE / "backend.py"
ARRAYS = {"numpy", "cupy", "cupyx", "cupy_backends"}
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "shelve"}


def count_lines(path):
    return sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def find_functions(path, tree):
    """Yield (where, lines) of every function, from its `def` to its last line."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{path}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def find_imports(tree):
    """Yield (line, top-level name) of every absolute import, `import_module("name")` and `__import__("name")` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        else:
            continue
        for name in names:
            yield node.lineno, name.split(".")[0]


def find_forbidden_imports(path, tree):
    for line, name in find_imports(tree):
        if name in PICKLES:
            yield f"{path}:{line} imports {name}: nothing in the package may unpickle."
        if name in ARRAYS and path != ARRAYS_IN:
            yield f"{path}:{line} imports {name}: only {ARRAYS_IN} may, everything else goes through it."


def main():
    lines = {path: count_lines(path) for path in sorted(PACKAGE.rglob("*.py"))}
    if not lines:
        sys.exit(f"No Python file under {PACKAGE}/: run this from the root of the repository.")
    functions, excess = {}, []
    for path in lines:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        functions.update(find_functions(path, tree))
        excess.extend(find_forbidden_imports(path, tree))

    def over(sizes, limit):
        excess.extend(f"{name} has {size} lines, budget {limit}." for name, size in sizes.items() if size > limit)

    engine = sum(lines.get(path, 0) for path in ENGINE)
    over({"The package": sum(lines.values())}, PACKAGE_LINES)
    over({" + ".join(map(str, ENGINE)): engine}, ENGINE_LINES)
    over(lines, FILE_LINES)
    over(functions, FUNCTION_LINES)

    longest_file, longest_function = max(lines, key=lines.get), max(functions, key=functions.get, default="none")
    print(f"package   {sum(lines.values()):5} of {PACKAGE_LINES} non-blank lines, {len(lines)} files")
    print(f"engine    {engine:5} of {ENGINE_LINES} non-blank lines, {' + '.join(p.name for p in ENGINE)}")
    print(f"file      {lines[longest_file]:5} of {FILE_LINES} non-blank lines, {longest_file}")
    print(f"function  {functions.get(longest_function, 0):5} of {FUNCTION_LINES} lines, {longest_function}")
    for message in excess:
        print(f"OVER: {message}", file=sys.stderr)
    return 1 if excess else 0


if __name__ == "__main__":
    sys.exit(main())
