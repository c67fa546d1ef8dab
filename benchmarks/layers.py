"""A whole training step of what is made of layers: small images, sequences, attention; its time, and its memory.

Each model's goals are for one thread and for two of numpy's BLAS and of torch: `--threads 1` or `--threads 2`.
"""

import functools
import subprocess
import sys
from statistics import median

import torch

import lucidlite
import lucidlite.nn
import lucidlite.optim

from .measure import Result, race, row, timed
from .models import MODELS, trainer
from .training import check

GOALS = {"CNN 8x8": (0.85, 1.0), "CNN 28x28": (1.15, 1.7), "RNN 128": (1.0, 1.0), "LSTM 128": (1.35, 2.1)}
GOALS |= {"GRU 128": (None, None), "attention 128": (1.2, 1.2)}
MEMORY_GOAL = 1.3


def _time(name, seconds):
    lucidlite.optim.use_kernel("numpy")
    ours, theirs = trainer(lucidlite, name), trainer(torch, name)
    check(ours, theirs)
    return race(8 * seconds, timed(ours[1]), torch=timed(theirs[1]))


def _memory(name, seconds):
    """Of each library the median of some processes: malloc decides from run to run what it gives back."""

    def growth(library):
        command = [sys.executable, "-m", "benchmarks.models", library, name, str(torch.get_num_threads())]
        runs = [subprocess.run(command, check=True, stdout=subprocess.PIPE) for _ in range(3 if seconds >= 1 else 1)]
        return median(int(run.stdout) for run in runs)

    return Result(growth("lucidlite"), growth("torch"), "torch", unit="B")


for _name in MODELS:
    row(f"training step, {_name}", GOALS[_name])(functools.partial(_time, _name))
for _name in MODELS:
    row(f"peak memory of a step, {_name}", MEMORY_GOAL)(functools.partial(_memory, _name))
