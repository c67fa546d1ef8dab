"""What a visitor reads first is true: the example, the commands, the links, the dependencies and the names."""

import doctest
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lucidlite

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


# ---- README ----------------------------------------------------------------------------------------------------------


def test_the_example_of_the_readme_runs_and_has_ten_lines():
    example = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)
    report = []
    doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)
    assert sum(len(e.source.splitlines()) for e in example.examples) in range(10, 13)
    assert "optim.RMSprop" in "".join(e.source for e in example.examples)


def blocks(text):
    return [block.splitlines() for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "index.md"], ids=lambda page: page.name)
def test_the_quick_start_is_two_commands(page):
    quick_start = page.read_text().partition("\n## Quick start\n")[2]
    assert [line for line in blocks(quick_start)[0] if line.startswith("make ")] == ["make train", "make test"]
    assert [line for line in blocks(quick_start)[0] if not re.match("make |git clone |cd ", line)] == []


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)(?:\w+=\w+ )?make ([a-z-]+)", page.read_text(), re.MULTILINE))
        assert named <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_every_file_that_is_named_exists(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)#\s]+)", text)
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
    named = re.findall(r"`([\w./-]+(?:\.(?:py|md|toml|yml|json)|/))`", text)
    made = ("out/", "site/", ".venv", ".cache/")  # by make
    files = [str(path) for path in (ROOT / "lucidlite").rglob("*.py")]  # some are named without their folder
    exists = lambda name: (ROOT / name).exists() or any(f"/{name}" in file for file in files)
    assert [name for name in named if not name.startswith(made) and not exists(name)] == []


# ---- The package -----------------------------------------------------------------------------------------------------


def test_the_run_time_dependencies_are_numpy_and_safetensors():
    assert sorted(re.match(r"[\w-]+", d)[0] for d in PROJECT["dependencies"]) == ["numpy", "safetensors"]
    assert {"cuda12", "cuda13", "fast", "tutorials", "docs", "test", "dev", "bench"} <= {
        *PROJECT["optional-dependencies"]
    }


def test_the_version_stands_in_one_place():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    if "version" in PROJECT:
        assert PROJECT["version"] == lucidlite.__version__
    else:
        assert "version" in PROJECT["dynamic"]
        source = (ROOT / tool["hatch"]["version"]["path"]).read_text()
        assert re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE) == [lucidlite.__version__]
    assert re.fullmatch(r"\d+\.\d+\.\d+", lucidlite.__version__)


def test_importing_the_package_is_quiet_and_imports_only_numpy():
    heavy = ["cupy", "safetensors", "matplotlib", "scipy", "sklearn", "tqdm", "torch", "numba"]
    code = f"import lucidlite, sys; print([m for m in {heavy} if m in sys.modules])"
    command, environment = [sys.executable, "-W", "error", "-c", code], os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


# ---- lucid's names ---------------------------------------------------------------------------------------------------

LUCID = """
    add(a, b) sub(a, b) multiply(a, b) div(a, b, floor) minimum(a, b) maximum(a, b) power(a, b) dot(a, b) outer(a, b)
    matmul(a, b) tensordot(a, b, axes)
    exp(a) log(a) log2(a) sqrt(a) sin(a) cos(a) tan(a) arcsin(a) arccos(a) arctan(a) sinh(a) cosh(a) tanh(a) abs(a)
    sign(a) reciprocal(a) square(a) round(a, decimals) floor(a) ceil(a) cumsum(a, axis)
    sum(a, axis, keepdims) mean(a, axis, keepdims) var(a, axis, keepdims) min(a, axis, keepdims) max(a, axis, keepdims)
    any(a, axis, keepdims) all(a, axis, keepdims) argmin(a, axis, keepdims) argmax(a, axis, keepdims)
    sort(a, axis, descending) argsort(a, axis, descending) topk(a, k, axis, largest) where(condition, a, b)
    swapaxes(a, axis1, axis2) squeeze(a, axis) unsqueeze(a, axis) ravel(a) repeat(a, repeats, axis)
    flatten(a, start_axis, end_axis) split(a, size_or_sections, axis) chunk(a, chunks, axis) tril(a, diagonal)
    triu(a, diagonal) broadcast_to(a, shape) masked_fill(a, mask, value) roll(a, shifts, axis) gather(a, axis, index)
    diagonal(a, offset, axis1, axis2)
    tensor(data, requires_grad, dtype, device) full(shape, fill_value, dtype, requires_grad, device)
    linspace(start, stop, num, dtype, requires_grad, device) zeros_like(a, dtype, requires_grad, device)
    ones_like(a, dtype, requires_grad, device) full_like(a, fill_value, dtype, requires_grad, device)
    save(obj, path) load(path) random.seed(seed) grad(outputs, inputs, grad_outputs)
    nn.Parameter(data, dtype, device) nn.Linear(in_features, out_features, bias) nn.Dropout(p)
    nn.Flatten(start_axis, end_axis) nn.ModuleList(modules) nn.ModuleDict(modules) nn.LeakyReLU(negative_slope)
    nn.ELU(alpha) nn.Softmax(axis) nn.MSELoss(reduction) nn.HuberLoss(reduction, delta) nn.NLLLoss(weight, reduction)
    nn.CrossEntropyLoss(weight, reduction)
    nn.functional.linear(input_, weight, bias) nn.functional.leaky_relu(input_, negative_slope)
    nn.functional.softmax(input_, axis) nn.functional.dropout(input_, p, training)
    nn.functional.mse_loss(input_, target, reduction) nn.functional.huber_loss(input_, target, delta, reduction)
    nn.functional.cross_entropy(input_, target, weight, reduction)
    nn.functional.binary_cross_entropy(input_, target, weight, reduction)
    nn.init.uniform(tensor, a, b) nn.init.normal(tensor, mean, std) nn.init.constant(tensor, val)
    nn.init.xavier_uniform(tensor, gain) nn.init.kaiming_normal(tensor, mode)
    nn.utils.clip_grad_norm(parameters, max_norm, norm_type, eps) nn.utils.clip_grad_value(parameters, clip_value)
    data.TensorDataset() data.DataLoader(dataset, batch_size, shuffle) data.Subset(dataset, indices)
    data.ConcatDataset(datasets) data.random_split(dataset, lengths)
    optim.RMSprop(params, lr, alpha, eps, weight_decay, momentum, centered) optim.SGD(params, lr)
"""
OTHERWISE = {  # where the contracts of this project, or NumPy's habit, give another name to what lucid has too
    "random.seed": ["n"],
    "concatenate": ["arrays", "axis"],
    "stack": ["arrays", "axis"],
    "clip": ["a", "min", "max"],
    "pad": ["a", "pairs"],
    "norm": ["a", "ord", "axis", "keepdims"],
    "std": ["a", "axis", "keepdims"],
    "prod": ["a", "axis", "keepdims"],
    "logsumexp": ["a", "axis", "keepdims"],
    "flip": ["a", "axis"],
    "einsum": ["subscripts"],
    "erf": ["a"],
    "sigmoid": ["a"],
    "eye": ["n", "m", "k", "dtype", "requires_grad", "device"],
}
NAMES = {
    name: names.split(", ") if names else [] for name, names in re.findall(r"([\w.]+)\((.*?)\)", LUCID)
} | OTHERWISE


@pytest.mark.parametrize("name", NAMES)
def test_names_and_arguments_are_lucids(name):
    thing = lucidlite
    for part in name.split("."):
        thing = getattr(thing, part)
    found = [p.name for p in inspect.signature(thing).parameters.values() if p.kind is not p.VAR_POSITIONAL]
    assert found[: len(NAMES[name])] == NAMES[name]


def test_shapes_and_permutations_are_given_one_by_one_or_as_a_tuple():
    x = lucidlite.ones(2, 3)
    for a, b in [
        (x.reshape(3, 2), x.reshape((3, 2))),
        (x.transpose(1, 0), x.transpose((1, 0))),
        (lucidlite.zeros(3, 2), lucidlite.zeros((3, 2))),
        (lucidlite.tile(x, 2), lucidlite.tile(x, (2,))),
        (lucidlite.arange(6).reshape(3, 2), lucidlite.reshape(lucidlite.arange(0, 6, 1), (3, 2))),
    ]:
        assert a.shape == b.shape


def test_what_the_package_offers_is_what_it_lists():
    for name in dir(lucidlite):
        getattr(lucidlite, name)
    with pytest.raises(AttributeError, match="lucidlite has no 'Adamw'"):
        lucidlite.Adamw  # noqa: B018
