"""The lessons as pages and as notebooks to download; mkdocs.yml names this file as a hook, ahead of tools/site.py.

Each tutorials/NN_name.py runs as a notebook while the site is built, two at once, and becomes the page
lessons/NN_name.md and lessons/NN_name.ipynb, which are written nowhere else. What ran is kept in .cache/ until the
lesson, the package or a version changes. An error in a cell stops the build, and so does a picture without words for
those who cannot see it: the cell's first line, `# Picture: ...`.

Tags of a cell: `exercise` marks it, `solution` and `check` fold it away, `cover` makes its picture that of the index.
"""

import copy
import hashlib
import html
import logging
import os
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any
from urllib.parse import urljoin

import jupytext
import nbclient
import nbformat
import pygments
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools.pictures import ROOT, depends_on, join

CACHE = ROOT / ".cache/lessons"
FOLDS = {"solution": "Show the solution", "check": "Show how an answer is checked"}
LINK = re.compile(r"\[([^\]]*)\]\(([\w./-]+)\.md(#[\w-]+)?\)")  # to a page of the site
MATHEMATICS = re.compile(r"\$([^$]+)\$(?![^<]*</code>)")
PICTURE = re.compile(r"# Picture: .*\n(?:#.*\n)*")
log = logging.getLogger("mkdocs.lessons")

# What runs before a lesson's own cells: pictures as the pages want them.
SETUP = """%matplotlib inline
%config InlineBackend.figure_formats = ["svg"]
from matplotlib import rcParams as _rc
from tools.pictures import STYLE as _style
_clear = dict.fromkeys(["figure.facecolor", "axes.facecolor", "image.interpolation"], "none")
_rc.update(_style | _clear | {"axes.grid": False})
"""
INSTALL = """# Where lucidlite is missing, as in Colab, this installs it.
import importlib.util

if importlib.util.find_spec("lucidlite") is None:
    %pip install -q "lucidlite[tutorials]"
"""


# ---- What MkDocs calls ----


def on_config(config):
    """Put the lessons into the navigation, behind their index."""
    learn = next(item["Learn"] for item in config.nav if "Learn" in item)
    learn += [{f"{lesson.number}. {lesson.title}": f"lessons/{lesson.name}.md"} for lesson in all_lessons()]


def on_files(files, config):
    """Run the lessons, and add to the site what comes of them."""
    lessons = all_lessons()
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(lesson.run) for lesson in lessons]
        try:
            for run in runs:
                run.result()
        finally:
            pool.shutdown(cancel_futures=True)
    for before, lesson, after in zip([None, *lessons], lessons, [*lessons[1:], None]):
        made = [lesson.head(colab(config, lesson)), *lesson.body(), _footer(before, after)]
        files.append(File.generated(config, f"lessons/{lesson.name}.md", content="\n\n".join(made)))
        notebook = nbformat.writes(lesson.download(config.site_url))
        files.append(File.generated(config, f"lessons/{lesson.name}.ipynb", content=notebook))
    config.extra["lessons"] = lessons


def on_page_markdown(markdown, page, config, **_):
    if page.file.src_uri == "lessons/index.md":
        return markdown + "\n\n" + "\n\n".join(lesson.card() for lesson in config.extra["lessons"])


def all_lessons():
    return [Lesson(path) for path in sorted((ROOT / "tutorials").glob("[0-9]*.py"))]


def colab(config, lesson):
    """Where Colab opens the notebook: from the branch that `mkdocs gh-deploy` publishes the site to."""
    repository = re.fullmatch(r"https://github\.com/([^/]+/[^/]+?)(?:\.git)?/?", config.repo_url or "")
    place = f"{config.remote_branch}/lessons/{lesson.name}.ipynb"
    return f"https://colab.research.google.com/github/{repository[1]}/blob/{place}" if repository else ""


def _absolute(site, words, page, place):
    """A link from a lesson to a page of the site, as a notebook has it that lies anywhere."""
    return f"[{words}]({urljoin(site, f'lessons/{page}')}/{place})" if site else words


def _footer(before, after):
    links = [f"Before: [{before.number}. {before.title}]({before.name}.md)"] if before else []
    links += [f"Next: [{after.number}. {after.title}]({after.name}.md)"] if after else []
    return "---\n\n" + " · ".join([*links, "[All lessons](index.md)"])


# ---- A lesson ----


class Lesson:
    """One lesson: its number and title, what it promises, its notebook, and its pictures once `body` was called."""

    def __init__(self, path):
        self.path, self.text = path, path.read_text("utf-8")
        self.name, self.number = path.stem, int(path.stem[:2])
        self.notebook: Any = jupytext.reads(self.text, fmt="py:percent")
        self.title, _, self.opening = self.notebook.cells[0].source.removeprefix("# ").partition("\n")
        self.pictures: dict = {}  # -> the tags of its cell

    def run(self):
        """Run the notebook, or take what an equal run has left."""
        versions = " ".join(map(version, ("ipykernel", "matplotlib-inline", "scikit-learn")))
        key = hashlib.sha256(f"{depends_on()}{versions}{SETUP}{self.text}".encode()).hexdigest()[:16]
        kept = CACHE / f"{self.name}-{key}.ipynb"
        if not kept.exists():
            start = time.perf_counter()
            self._execute()
            log.info(f"tutorials/{self.path.name} ran in {time.perf_counter() - start:.0f} s")
            CACHE.mkdir(parents=True, exist_ok=True)
            for old in CACHE.glob(f"{self.name}-*.ipynb"):
                old.unlink()
            nbformat.write(self.notebook, kept)
        self.notebook = nbformat.read(kept, as_version=4)

    def _execute(self):
        cells = self.notebook.cells
        cells.insert(0, nbformat.v4.new_code_cell(SETUP))
        kernels = KernelSpecManager(kernel_dirs=[])  # this Python's own, and not what somebody has installed besides
        manager, options = AsyncKernelManager(kernel_spec_manager=kernels), {"timeout": 900, "coalesce_streams": True}
        client = nbclient.NotebookClient(self.notebook, manager, extra_arguments=["--log-level=40"], **options)
        with tempfile.TemporaryDirectory() as folder:
            changed = {
                "PYTHONPATH": str(ROOT),
                "IPYTHONDIR": folder,
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            }
            try:
                client.execute(cleanup_kc=True, cwd=folder, env=os.environ | changed)
            except Exception as error:
                cells.pop(0)
                raise self._failed(error) from None
        cells.pop(0)

    def _failed(self, error):
        """What to say of an error in a cell, or of a kernel that died."""
        for cell in self.notebook.cells:
            for output in cell.get("outputs", ()):
                if output.output_type == "error":
                    traceback = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))
                    lines = re.findall(rf"Cell In\[{cell.execution_count}\], line (\d+)", traceback)
                    return self.fault(cell, f"{output.ename}: {output.evalue}", int(lines[-1]) if lines else 1)
        return PluginError(f"tutorials/{self.path.name}: {type(error).__name__}: {error}")

    def fault(self, cell, what, line=1):
        """An error that names the lesson, the line and the cell."""
        start = re.search(rf"^# %%.*\n{re.escape(cell.source)}", self.text, re.MULTILINE)
        line += self.text[: start.start()].count("\n") + 1 if start else 0
        number = self.notebook.cells.index(cell) + 1
        return PluginError(f"tutorials/{self.path.name}:{line}: cell {number}: {what}")

    # ---- The page, in Markdown ----

    def head(self, address):
        """The title, the way to the notebook, and the opening."""
        way = f'<a href="../{self.name}.ipynb" download>Download the notebook</a>'
        way += f' or <a href="{address}">open it in Colab</a>' if address else ""
        return f'# {self.title}\n\n<p class="lesson-head">Lesson {self.number} · {way}</p>\n\n{self.opening}'

    def body(self):
        """Yield the other cells: text as it stands, and code, with what came of it, as HTML."""
        for cell in self.notebook.cells[1:]:
            yield cell.source if cell.cell_type == "markdown" else self._code(cell).replace("`", "&#96;")

    def _code(self, cell):
        code = pygments.highlight(PICTURE.sub("", cell.source), PythonLexer(), HtmlFormatter(nowrap=True)).strip()
        made = f'<div class="highlight"><pre><code>{code}</code></pre></div>' + "".join(self._outputs(cell))
        tags = cell.metadata.get("tags", [])
        for tag in FOLDS.keys() & set(tags):
            made = f'<details class="fold"><summary>{FOLDS[tag]}</summary>{made}</details>'
        return f'<div class="cell{" exercise" if "exercise" in tags else ""}">{made}</div>'

    def _outputs(self, cell):
        on_top = PICTURE.match(cell.source)
        words = iter(re.sub(r"\s*\n# ?", " ", on_top[0]).split("Picture: ")[1:] if on_top else [])
        for output in cell.outputs:
            data = output.get("data", {"text/plain": output.get("text", "")})
            svg = data.get("image/svg+xml", "")
            answered = cell.source.startswith("check_") and data.get("text/plain") in ("True", "False")
            if output.get("name") == "stderr" or answered:  # the check has said it in words
                continue
            if "Matplotlib" in svg or "image/png" in data:
                alt = next(words, "").strip()
                if not alt:
                    raise self.fault(cell, "a picture needs words for those who cannot see it, '# Picture: ...' on top")
                if "Matplotlib" not in svg:
                    raise self.fault(cell, "a picture must come as SVG; draw it with matplotlib, and show the figure")
                picture = join(svg, alt, f"{self.name[:2]}-{len(self.pictures) + 1}")
                self.pictures[picture] = cell.metadata.get("tags", [])
                yield f'<figure class="plot picture" data-search-exclude>{picture}</figure>'
            elif svg:  # has a title of its own
                yield f'<figure class="plot drawing" data-search-exclude>{svg}</figure>'
            elif "text/html" in data:
                table = MATHEMATICS.sub(r'<span class="arithmatex">\\(\\displaystyle \1\\)</span>', data["text/html"])
                yield f'<div class="output rich" data-search-exclude>{table}</div>'
            else:
                text = html.escape(data["text/plain"].rstrip())
                said = " said" if re.match("Not yet: |Right: ", text) else ""  # by a check, in words: they may wrap
                yield f'<div class="output{said}" data-search-exclude><pre><samp>{text}</samp></pre></div>'
        if unused := next(words, ""):
            raise self.fault(cell, f"no picture was drawn for the words {unused.strip()!r}")

    def card(self):
        """The entry in the index: title, goals and picture."""
        chosen = [picture for picture, tags in self.pictures.items() if "cover" in tags] or list(self.pictures)
        picture = f'<figure class="cover">{chosen[0]}</figure>\n\n' if chosen else ""
        goals = self.opening.partition("**You will**")[2].strip()
        return f"## [{self.number}. {self.title}]({self.name}.md)\n\n{picture}{goals}"

    # ---- The notebook ----

    def download(self, site):
        """The notebook as it ran, behind a cell that installs the package; `site` is the site's address, or None."""
        made = copy.deepcopy(self.notebook)
        for cell in made.cells:
            if cell.cell_type == "markdown":
                cell.source = LINK.sub(lambda m: _absolute(site, *m.groups("")), cell.source)
                continue
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:  # the ink is dark, and a notebook's page may be too
                if svg := output.get("data", {}).get("image/svg+xml"):
                    output.data["image/svg+xml"] = svg.replace("<svg ", '<svg style="background: #fff" ', 1)
            if FOLDS.keys() & set(cell.metadata.get("tags", [])):
                cell.metadata["jupyter"] = {"source_hidden": True}
        made.cells.insert(0, nbformat.v4.new_code_cell(INSTALL))
        return made
