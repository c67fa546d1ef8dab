"""Lessons run as scripts: they print and write what the reader is promised, the same every time, and go on exactly."""

import ast
import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import lucidlite
from lucidlite import nn, optim

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "tutorials").glob("*.py"))
DIGITS = ROOT / "tutorials" / "04_digits.py"
FILES = ["curves.png", "mistakes.png", "model.safetensors", "optimizer.safetensors"]
MISSING = [name for name in ("sklearn", "matplotlib", "tqdm") if importlib.util.find_spec(name) is None]
needs_data = pytest.mark.skipif(bool(MISSING), reason=f"pip install lucidlite[tutorials]: {MISSING} are missing")
# Several runs share the machine, and such small matrices gain nothing from threads.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


# ---- The text of a lesson --------------------------------------------------------------------------------------------


def test_there_are_lessons():
    assert DIGITS in LESSONS


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_a_script_and_a_notebook_that_begins_with_its_title(path):
    text = path.read_text()
    ast.parse(text)
    header, *cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    assert "format_name: percent" in header and len(cells) > 2
    assert re.match(r" \[markdown\]\n# # [A-Z]", cells[0])
    assert all(re.match(r"( \[markdown\])?\n", cell) for cell in cells)
    for cell in cells:
        lines = cell.strip().splitlines()
        assert not cell.startswith(" [markdown]") or all(line.startswith("#") for line in lines[1:]), lines[0]
    if importlib.util.find_spec("jupytext"):
        import jupytext

        notebook = jupytext.read(path, fmt="py:percent")
        assert [cell.cell_type for cell in notebook.cells] == [
            "markdown" if cell.startswith(" [markdown]") else "code" for cell in cells
        ]
        assert notebook.cells[0].source.startswith("# ")


# ---- The digits ------------------------------------------------------------------------------------------------------

MANY = """
import contextlib, io, json, runpy, sys, traceback
script, rows, found = sys.argv[1], json.loads(sys.argv[2]), {}
for name, options in rows.items():
    sys.argv, out, err, status = [script, *options], io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as error:  # a text goes to stderr, with status 1
            status = error.code if isinstance(error.code, int) else print(error.code, file=sys.stderr) or 1
        except BaseException:
            status = traceback.print_exc() or 1
    found[name] = status, out.getvalue(), err.getvalue()
print(json.dumps(found))
"""  # several runs in one interpreter: what they import takes a second, and longer than the six epochs

TRAINED = [
    {"whole": "--epochs 6 --out whole"},
    {
        "first half": "--epochs 3 --out halves",
        "second half": "--epochs 6 --out halves --resume",
        "another seed": "--epochs 1 --out seed --seed 1",
        "sgd": "--epochs 12 --out sgd --optimizer sgd",
    },
]


def spoil(name, change):
    """Replace the bytes of a file of a folder, or remove it."""

    def change_in(folder):
        found = change((folder / name).read_bytes())
        (folder / name).unlink() if found is None else (folder / name).write_bytes(found)

    return change_in


def swap(folder):
    shutil.copy(folder / "model.safetensors", folder / "optimizer.safetensors")


REFUSED = {  # options, what is done to the checkpoints before, what is said
    "nothing to resume": ("--resume --out none", None, r"--resume: .*none/optimizer\.safetensors"),
    "the other optimizer": ("--resume --optimizer sgd", None, "--resume: the last run used rmsprop"),
    "a flipped bit": (
        "--resume",
        spoil("model.safetensors", lambda b: b[:-5] + bytes([b[-5] ^ 1]) + b[-4:]),
        r"--resume: cannot load .*model\.safetensors: .*checksum",
    ),
    "a model cut short": (
        "--resume",
        spoil("model.safetensors", lambda b: b[: len(b) // 2]),
        r"--resume: cannot load .*model\.safetensors",
    ),
    "another file": (
        "--resume",
        spoil("optimizer.safetensors", lambda b: b"hello"),
        r"--resume: cannot load .*optimizer\.safetensors",
    ),
    "the model in its place": ("--resume", swap, r"--resume: .*optimizer\.safetensors"),
    "no model": ("--resume", spoil("model.safetensors", lambda b: None), r"--resume: .*model\.safetensors"),
    "an unknown device": ("--device tpu", None, "unknown device 'tpu'; the devices are 'cpu'"),
    "no epochs": ("--epochs 0", None, "--epochs is 0; it must be at least 1"),
    "a negative rate": ("--lr -1", None, r"lr is -1\.0; it must be"),
    "a rate that is no number": ("--lr nan", None, "lr is nan; it must be"),
    "a negative rate to go on with": ("--lr -1 --resume", None, r"lr is -1\.0; it must be"),
    "a negative seed": ("--seed -1", None, "seed: n is -1"),
}
if importlib.util.find_spec("cupy") is None:
    REFUSED["no GPU"] = ("--device gpu", None, r"'gpu' cannot be used here.*pip install cupy-cuda12x")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None


def checkpoints_for(folder, change):
    """What a run leaves behind after no epoch at all, and then what `change` makes of it."""
    hidden = [nn.Linear(64, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, 64), nn.ReLU(), nn.Dropout()]
    model = nn.Sequential(*hidden, nn.Linear(64, 10))
    curves = {f"{part} {what}": [] for part in ("train", "test") for what in ("loss", "accuracy")}
    state = {"name": "rmsprop", "optimizer": optim.RMSprop(model.parameters()), "curves": curves}
    state["random"] = lucidlite.random.get_state()
    folder.mkdir()
    lucidlite.save(model, folder / "model.safetensors")
    lucidlite.save(state, folder / "optimizer.safetensors")
    if change:
        change(folder)
    return contents(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(folder, {name: (status, stdout, stderr)}, {name: files before}) of all runs: three processes side by side."""
    folder = tmp_path_factory.mktemp("digits")
    before = {name: checkpoints_for(folder / name, row[1]) for name, row in REFUSED.items()}
    refused = {name: ["--out", name, *row[0].split()] for name, row in REFUSED.items()}
    trained = [{name: options.split() for name, options in rows.items()} for rows in TRAINED]
    rows = [trained[0] | refused, trained[1]]
    commands = [[str(DIGITS)], *(["-c", MANY, str(DIGITS), json.dumps(row)] for row in rows)]
    options = {"cwd": folder, "env": ENVIRONMENT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, *command], **options) for command in commands]
    try:
        script, *many = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    finally:
        for process in processes:
            process.kill()
    found = {"script": (script[2], *script[:2])}
    for stdout, stderr, status in many:
        assert status == 0, stderr
        found |= json.loads(stdout)
    return folder, found, before


def accuracy(stdout):
    return float(re.search(r"^test accuracy (\d\.\d+)$", stdout, re.MULTILINE)[1])


def checkpoints(folder):
    return [contents(folder)[name] for name in FILES[2:]]


@needs_data
def test_the_digits_are_learned_and_four_files_are_left(runs):
    folder, (status, stdout, stderr) = runs[0] / "out" / "digits", runs[1]["script"]
    assert (status, stderr) == (0, ""), stderr  # a progress bar is for terminals
    assert accuracy(stdout) >= 0.97
    found = contents(folder)
    assert sorted(found) == FILES
    for name in FILES[:2]:
        assert found[name].startswith(b"\x89PNG\r\n\x1a\n") and found[name].endswith(b"IEND\xae\x42\x60\x82")
        assert min(struct.unpack(">II", found[name][16:24])) > 100 and len(found[name]) > 3000
    model, rest = (lucidlite.load(folder / name) for name in FILES[2:])
    assert model["0.weight"].shape == (128, 64) and rest["optimizer"]["state"][0].keys() == {"step", "square_avg"}
    assert len({len(curve) for curve in rest["curves"].values()}) == 1
    assert f"test accuracy {rest['curves']['test accuracy'][-1]:.4f}\n" in stdout


@needs_data
def test_the_readme_shows_what_a_run_prints(runs):
    """The results differ a little from machine to machine, the numbers of the images do not."""
    readme, stdout = (ROOT / "README.md").read_text(), runs[1]["script"][1]
    shown, text = re.search(r"```text\n(.*?)```", readme, re.DOTALL)[1], " ".join(readme.split())
    assert re.sub(r"\d\.\d{4}|\d+ of", "#", shown) == re.sub(r"\d\.\d{4}|\d+ of", "#", stdout)
    tested = int(re.search(r"of (\d+) test digits", stdout)[1])
    assert f"{1797 - tested:,} real handwritten digits" in text and f"on {tested} digits" in text


@needs_data
def test_a_seed_gives_the_same_bytes_also_to_a_run_that_was_resumed_half_way(runs):
    folder, found, _ = runs
    assert [found[name][0] for name in ("whole", "first half", "second half", "another seed")] == [0] * 4
    assert checkpoints(folder / "whole") == checkpoints(folder / "halves")
    first = [lucidlite.load(folder / name / FILES[3])["curves"]["train loss"][0] for name in ("whole", "seed")]
    assert first[0] != first[1]
    last = [found[name][1].splitlines()[:2] for name in ("whole", "second half", "first half")]
    assert last[0] == last[1] != last[2]


@needs_data
def test_sgd_learns_them_too(runs):
    status, stdout, stderr = runs[1]["sgd"]
    assert (status, stderr) == (0, "") and accuracy(stdout) >= 0.95


@needs_data
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_said_in_one_sentence_and_changes_nothing(name, runs):
    (status, stdout, stderr), before = runs[1][name], runs[2][name]
    assert "Traceback" not in stderr, stderr
    assert status in (1, 2) and stdout == ""
    assert re.search(REFUSED[name][2], stderr.splitlines()[-1]), stderr
    assert len(stderr.splitlines()) == 1 or stderr.startswith("usage: ")  # argparse shows the options before
    assert contents(runs[0] / name) == before and not (runs[0] / "none").exists()
