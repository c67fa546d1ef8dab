"""Lessons run as scripts: they print and write what the reader is promised, and their exercises tell right from wrong.

tests/lesson_answers/ holds the wrong answers of each lesson, and what its checks must say to them.
"""

import ast
import importlib.util
import json
import os
import re
import runpy
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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

each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells_of(path):
    """[(its tags, or "markdown", its text)] of a lesson."""
    cells = re.split(r"^# %%", path.read_text(), flags=re.MULTILINE)[1:]
    heads = [re.fullmatch(r"(?: \[markdown\]()| tags=(\[.*\]))?", cell.partition("\n")[0]) for cell in cells]
    assert all(heads), [cell.partition("\n")[0] for cell, head in zip(cells, heads) if not head]
    assert {tag for head in heads for tag in json.loads(head[2] or "[]")} <= {"exercise", "check", "solution", "cover"}
    kinds = ["markdown" if head[1] is not None else json.loads(head[2] or "[]") for head in heads]
    return [(kind, cell.partition("\n")[2].strip()) for kind, cell in zip(kinds, cells)]


def tagged(path, tag):
    return [text for kind, text in cells_of(path) if tag in kind and kind != "markdown"]


def exercises_of(path):
    """{the name of what an exercise asks for: whether that is a function or a class, and not a plain value}."""
    starts = [ast.parse(text).body[-1] for text in tagged(path, "exercise")]
    return {getattr(s, "name", None) or s.targets[0].id: not isinstance(s, ast.Assign) for s in starts}


def wrong_answers(path):
    """[(name of the check, source of a wrong answer, what the check must say)] for a lesson."""
    answers = ROOT / "tests/lesson_answers" / path.name
    return runpy.run_path(str(answers))["WRONG"] if answers.exists() else []


def test_there_are_lessons():
    assert DIGITS in LESSONS and len({path.name[:2] for path in LESSONS}) == len(LESSONS)


@each_lesson
def test_a_lesson_is_a_script_and_a_notebook_that_begins_with_its_title(path):
    ast.parse(path.read_text())
    assert "format_name: percent" in path.read_text().partition("# %%")[0]
    cells = cells_of(path)
    assert {tag for kind, _ in cells if kind != "markdown" for tag in kind} <= {
        "exercise",
        "check",
        "solution",
        "cover",
    }
    for kind, text in cells:
        assert text and (kind != "markdown" or all(line.startswith("#") for line in text.splitlines())), text
    if importlib.util.find_spec("jupytext"):
        import jupytext

        notebook = jupytext.read(path, fmt="py:percent")
        kinds = ["markdown" if c.cell_type == "markdown" else c.metadata.get("tags", []) for c in notebook.cells]
        assert kinds == [kind for kind, _ in cells]
        assert re.match("# [A-Z]", notebook.cells[0].source)


@each_lesson
def test_a_lesson_has_goals_a_summary_and_what_to_read(path):
    cells = cells_of(path)
    assert re.match(
        r"# # .*\n#\n(?s:.*)# \*\*You will\*\*\n#\n(# - .*\n(#   .*\n)*){3,5}#\n# .*\d\d minutes", cells[0][1]
    )
    text = "\n".join(text for kind, text in cells if kind == "markdown")
    assert re.findall("^# ## (Summary|Read on)$", text, re.MULTILINE) == ["Summary", "Read on"]
    assert text.index("# ## Summary") > text.rindex("# ## Exercise")


@each_lesson
def test_an_exercise_has_its_check_before_it_and_its_solution_behind_it(path):
    cells, names = cells_of(path), list(exercises_of(path))
    headings = re.findall(r"^# ## Exercise (\d+): ", "\n".join(text for _, text in cells), re.MULTILINE)
    assert names and headings == [str(i + 1) for i in range(len(names))]
    for name, (i, _) in zip(names, [(i, text) for i, (kind, text) in enumerate(cells) if "exercise" in kind]):
        before = [text for kind, text in cells[:i] if "check" in kind]
        assert any(f"def check_{name}(" in text for text in before), f"check_{name} must stand in a cell tagged check"
        assert cells[i + 1] == ([], f"check_{name}({name})")
        kind, solution = cells[i + 2]
        assert kind == ["solution"] and f"assert check_{name}({name})" in solution
        assert re.search(rf"^(def|class) {name}\b|^{name} =", solution, re.MULTILINE)
    assert len(tagged(path, "solution")) == len(names)


@each_lesson
def test_a_cell_that_draws_begins_with_words_for_those_who_cannot_see(path):
    drawing = re.compile(r"^(?! |def ).*\b(?:plt\.(?:figure|subplots)|show)\(", re.MULTILINE)
    for kind, text in cells_of(path):
        if kind != "markdown":
            assert bool(drawing.search(text)) == bool(re.match(r"# Picture: [A-Z0-9].{20}", text)), text


@each_lesson
def test_an_exercise_has_three_wrong_answers_or_more(path):
    wrong = wrong_answers(path)
    assert {f"check_{name}" for name in exercises_of(path)} == {check for check, _, _ in wrong}
    for check in {check for check, _, _ in wrong}:
        assert len({hint for name, _, hint in wrong if name == check}) >= 3, check


def test_the_list_for_lecturers_is_that_of_the_lessons():
    rows = re.findall(
        r"^\| (\d+) \| \[(.*?)\]\((.*?)\) \| (\d+) \|", (ROOT / "tutorials/README.md").read_text(), re.MULTILINE
    )
    assert rows == [
        (str(int(path.name[:2])), text.splitlines()[0][4:], path.name, re.search(r"(\d+) minutes", text)[1])
        for path in LESSONS
        for text in [cells_of(path)[0][1]]
    ]


# ---- Every lesson, run -----------------------------------------------------------------------------------------------

RUN = """
import contextlib, io, json, pathlib, sys, types
script, wrong = sys.argv[1], json.loads(sys.argv[2])
module = sys.modules["__main__"] = types.ModuleType("__main__")
module.__file__, sys.argv = script, [script]

def run(source, filename, names):  # from a file: `formulas.check` reads the source of what it checks
    exec(compile(source, filename, "exec"), names)

with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
    run(pathlib.Path(script).read_text("utf-8"), script, vars(module))
found = {"stdout": out.getvalue(), "stderr": err.getvalue(), "answers": []}
for i, (check, source) in enumerate(wrong):
    names, file = dict(vars(module)), pathlib.Path(f"answer_{i}.py").absolute()
    file.write_text(source, "utf-8")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            run(source, str(file), names)
            verdict = names[check](names[check.removeprefix("check_")])
        except Exception as error:
            verdict = f"{type(error).__name__}: {error}"
    found["answers"].append((verdict, out.getvalue()))
print(json.dumps(found))
"""  # a lesson, and in its namespace the wrong answers
VALUES = ["None", "...", "'text'", "[]"]
BODIES = [f"return {value}" for value in VALUES] + ["raise ValueError('no')"]


def hopeless(path):
    """Answers from which nobody can tell what was meant."""
    for name, called in exercises_of(path).items():
        for value in BODIES if called else VALUES:
            yield f"check_{name}", f"def {name}(*_, **__):\n    {value}\n" if called else f"{name} = {value}\n"


@pytest.fixture(scope="module")
def lesson_runs(request, tmp_path_factory):
    """{path: (folder, status, stderr, what RUN found)} of the lessons that are asked for, two at once."""
    wanted = {item.callspec.params["path"] for item in request.session.items if "lesson_runs" in item.fixturenames}

    def run(path):
        folder = tmp_path_factory.mktemp(path.stem)
        answers = json.dumps([*((check, source) for check, source, _ in wrong_answers(path)), *hopeless(path)])
        start = (
            "import sys; sys.modules['ipykernel'] = sys\n" if path == DIGITS else ""
        )  # its exercises are a notebook's
        command = [sys.executable, "-c", start + RUN, str(path), answers]
        options = {"cwd": folder, "env": ENVIRONMENT | {"MPLBACKEND": "agg"}, "capture_output": True, "text": True}
        done = subprocess.run(command, timeout=900, **options)
        return folder, done.returncode, done.stderr, json.loads(done.stdout or "{}")

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(run, wanted)))


@needs_data
@each_lesson
def test_a_lesson_runs_and_writes_its_pictures(path, lesson_runs):
    folder, status, stderr, found = lesson_runs[path]
    assert (status, stderr) == (0, ""), stderr
    assert found["stderr"] == ""
    said = re.findall("^(Not yet|Right): .", found["stdout"], re.MULTILINE)
    assert said == ["Not yet", "Right"] * len(exercises_of(path)), "each exercise is unsolved, and then it is solved"
    if path != DIGITS:
        pictures = sorted((folder / "out" / path.stem).glob("*"))
        assert len(pictures) == path.read_text().count("# Picture: ")
        assert all(p.suffix == ".png" and p.stat().st_size > 3000 for p in pictures), pictures


@needs_data
@each_lesson
def test_a_wrong_answer_is_told_what_is_wrong(path, lesson_runs):
    wrong = wrong_answers(path) + [(*answer, "") for answer in hopeless(path)]
    answers = lesson_runs[path][3]["answers"]
    assert len(answers) == len(wrong)
    for (check, source, hint), (verdict, text) in zip(wrong, answers):
        assert verdict is False, f"{check} gave {verdict} and said {text!r} to\n{source}"
        told = "".join(re.findall("^Not yet: .*", text, re.MULTILINE | re.DOTALL))  # an answer may have printed before
        assert told and re.search(hint, told), f"{check} said {text!r}, not {hint!r}, to\n{source}"


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
