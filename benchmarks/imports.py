"""How long `import lucidlite` takes in a fresh interpreter, where NumPy has to be imported too."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import lucidlite

from .measure import race, row

CODE = "from time import perf_counter; start = perf_counter(); import {}; print(perf_counter() - start)"


def _import(module):
    """The seconds that the import took, start of the interpreter not included."""
    environment = {**os.environ, "PYTHONPATH": str(Path(lucidlite.__file__).parents[1])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", CODE.format(module)]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@row("import lucidlite", 1.3)
def compare(seconds):
    return race(12 * seconds, functools.partial(_import, "lucidlite"), import_numpy=functools.partial(_import, "numpy"))
