"""The rows of the table, and how it is printed: a later benchmark is a module with rows of its own, named here."""

import importlib
import json
import os
import platform
from pathlib import Path

import numpy
import torch

import lucidlite

from .measure import ROWS

CPU = ("tiny_ops", "long_chain", "training", "imports", "optimizers", "layers")  # in the order of the table
GPU = ("gpu",)
LINE = "{:<48} {:>10} {:>10}  {:<13} {:>6}  {:>11} {:>6}  {}"


def compare(names, threads, scale, path, gpu=False):
    """Measure the rows whose name contains one of the names, and print the table as it grows."""
    modules = [importlib.import_module("." + name, __package__) for name in (GPU if gpu else CPU)]
    torch.set_num_threads(threads)
    about = {
        "processor": find_processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "Python": platform.python_version(),
    }
    about |= {"numpy": numpy.__version__, "torch": torch.__version__, "lucidlite": lucidlite.__version__}
    about |= modules[0].about() if gpu else {}
    print(", ".join(f"{key} {value}" for key, value in about.items()), end="\n\n")
    print(LINE.format("what", "lucidlite", "reference", "is", "ratio", "middle half", "goal", ""))
    wanted = [entry for entry in ROWS if not names or any(name in entry[0] for name in names)]
    rows = [run_row(name, at(goal, threads), function, scale) for name, goal, function in wanted]
    if path:
        path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


def at(goal, threads):
    """The goal for so many threads, where it depends on them: (with one, with two)."""
    return goal if not isinstance(goal, tuple) else goal[threads - 1] if threads <= len(goal) else None


def run_row(name, goal, function, scale):
    """One row, printed, and as a dictionary; a row that goes wrong says why and does not end the run."""
    try:
        result = function(scale)
    except Exception as error:
        print(f"{name:<48} error: {type(error).__name__}: {' '.join(str(error).split())}"[:180], flush=True)
        return {"name": name, "error": f"{type(error).__name__}: {error}"}
    ratio = result.ours / result.reference
    verdict = "" if goal is None else "ok" if ratio <= goal else "missed"
    numbers = [format_quantity(x, result.unit) for x in (result.ours, result.reference)]
    spread = "-".join(f"{x:.2f}" for x in result.spread)
    print(LINE.format(name, *numbers, result.against, f"{ratio:.2f}", spread, goal or "", verdict).rstrip(), flush=True)
    return {"name": name, **result._asdict(), "ratio": ratio, "goal": goal, "verdict": verdict}


def format_quantity(x, unit):
    """Three digits and a prefix: 0.000451 s is 451 us."""
    prefixes = {1e6: "M", 1e3: "k", 1: "", 1e-3: "m", 1e-6: "u"}
    factor = next((f for f in prefixes if x >= f), 1e-6)
    return f"{x / factor:.{max(0, 2 - int(numpy.log10(x / factor)))}f} {prefixes[factor]}{unit}"


def find_processor():
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
