"""The lessons in the built site: pages with their output and pictures, and notebooks; and what stops a build."""

import html
import itertools
import re
from types import SimpleNamespace

import nbformat
import pytest
import test_site
from mkdocs.exceptions import PluginError
from selenium.webdriver.common.by import By

from tools import lessons
from tools import site as fences
from tools.pictures import INK

address, browser, started = test_site.address, test_site.browser, test_site.started
LESSONS = lessons.all_lessons()
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


def page_of(lesson):
    return (test_site.SITE / "lessons" / lesson.name / "index.html").read_text("utf-8")


def cells_of(lesson, tag):
    return [cell for cell in lesson.notebook.cells if tag in cell.metadata.get("tags", [])]


# ---- As files ----


@each_lesson
def test_a_page_has_the_lessons_text_its_code_and_what_came_of_it(lesson):
    text = html.unescape(re.sub("<[^>]+>", "", page_of(lesson)))
    for cell in lesson.notebook.cells:
        last = cell.source.splitlines()[-1]
        assert cell.cell_type == "markdown" or last in text, last
    assert text.count("Not yet: ") >= text.count("Right: ") >= len(cells_of(lesson, "exercise")) > 0
    assert 'class="arithmatex">\\' not in page_of(lesson)


@each_lesson
def test_every_picture_has_its_words_and_its_ink_from_the_page(lesson):
    pictures = re.findall(r'<figure class="plot picture".*?</figure>', page_of(lesson), re.DOTALL)
    found = [html.unescape(re.search('aria-label="([^"]*)"', picture)[1]) for picture in pictures]
    wanted = re.findall(r"^# Picture: (.*(?:\n# .*)*)", lesson.text, re.MULTILINE)
    assert [" ".join(words.replace("\n#", "\n").split()) for words in wanted] == found != []
    assert all("<svg" in p and INK not in p and "<metadata" not in p for p in pictures)
    used = [re.findall(r'(?:url\(#|href="#)([^")]+)', picture) for picture in pictures]
    assert all(f'id="{name}"' in picture for picture, names in zip(pictures, used) for name in names)
    ids = re.findall(r' id="([^"]+)"', "".join(pictures))
    assert len(ids) == len(set(ids))


@each_lesson
def test_solutions_and_checks_are_folded_away(lesson):
    folds = re.findall(r'<details class="fold"( open)?><summary>(.*?)</summary>', page_of(lesson))
    tags = [tag for cell in lesson.notebook.cells for tag in cell.metadata.get("tags", [])]
    wanted = [lessons.FOLDS[tag] for tag in tags if tag in lessons.FOLDS]
    assert folds == [("", words) for words in wanted] != []
    assert page_of(lesson).count('<div class="cell exercise">') == len(cells_of(lesson, "exercise"))


@each_lesson
def test_the_notebook_can_be_downloaded_and_installs_what_it_needs(lesson):
    notebook = nbformat.read(test_site.SITE / f"lessons/{lesson.name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert f'href="../{lesson.name}.ipynb" download' in page_of(lesson)
    first, title, *_ = notebook.cells
    assert '%pip install -q "lucidlite[tutorials]"' in first.source and 'find_spec("lucidlite") is None' in first.source
    assert title.source.startswith(f"# {lesson.title}\n")
    for cell in notebook.cells[1:]:
        assert cell.cell_type == "markdown" or cell.execution_count
        assert not re.search(r"\]\([^)]*\.md", cell.source), "a link to a page that is not beside the notebook"
        for output in cell.get("outputs", ()):
            assert output.output_type != "error" and output.get("name") != "stderr"
            assert "image/svg+xml" not in output.get("data", {}) or "background: #fff" in output.data["image/svg+xml"]


def test_the_index_shows_every_lesson_with_its_goals_and_a_picture():
    index = (test_site.SITE / "lessons/index.html").read_text("utf-8")
    entries = re.split("<h2", index.partition("<article")[2].partition("</article>")[0])[1:]
    assert len(entries) == len(LESSONS)
    for lesson, entry in zip(LESSONS, entries):
        assert f'href="{lesson.name}/">{lesson.number}. {html.escape(lesson.title)}</a>' in entry
        assert 'class="cover"' in entry and entry.count("<li>") == lesson.opening.count("\n- ")
    navigation = (test_site.SITE / "index.html").read_text("utf-8").partition('class="md-nav__list"')[2]
    links = re.findall(r'<a href="([^"#]*)" class="md-nav__link', navigation)
    wanted = ["lessons/", *(f"lessons/{lesson.name}/" for lesson in LESSONS)]
    assert [link for link in dict.fromkeys(links) if link != "."][: len(wanted)] == wanted


def test_lessons_lead_from_one_to_the_next():
    for before, after in itertools.pairwise(LESSONS):
        assert f'href="../{after.name}/">{after.number}. ' in page_of(before).partition("<article")[2]
        assert f'href="../{before.name}/">{before.number}. ' in page_of(after).partition("<article")[2]


@pytest.mark.parametrize(
    "repository", ["https://github.com/someone/lucidlite", "https://github.com/someone/lucidlite.git"]
)
def test_colab_opens_the_published_notebook(repository):
    config = SimpleNamespace(repo_url=repository, remote_branch="gh-pages")
    address = "https://colab.research.google.com/github/someone/lucidlite/blob/gh-pages/lessons/04_digits.ipynb"
    lesson = next(lesson for lesson in LESSONS if lesson.number == 4)
    assert lessons.colab(config, lesson) == address and f'<a href="{address}">' in lesson.head(address)
    assert lessons.colab(SimpleNamespace(repo_url=None, remote_branch="gh-pages"), lesson) == ""


# ---- A lesson of its own ----

SMALL = """# %% [markdown]
# # Small
#
# Words.

# %%
import sys
import matplotlib.pyplot as plt
print("to stderr", file=sys.stderr)
print("``` <b> & `c` $5$")

# %%
# Picture: A line that rises,
# and "goes on".
figure, axes = plt.subplots()
axes.plot([1, 2])
axes.imshow([[1, 2]])

# %% tags=["solution"]
class Table:
    def _repr_html_(self):
        return "<table><tr><td>$\\\\frac{a}{b}$</td><td><code>$x$</code></td></tr></table>"

Table()
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """small(what, instead) is a lesson of four cells, in which some text is replaced; it is not run yet."""
    monkeypatch.setattr(lessons, "CACHE", tmp_path / "cache")

    def make(*change):
        path = tmp_path / "09_small.py"
        path.write_text(SMALL.replace(*change) if change else SMALL, "utf-8")
        return lessons.Lesson(path)

    return make


def test_a_lesson_becomes_text_code_and_output(small, monkeypatch):
    lesson = small()
    lesson.run()
    printed, drawn, folded = lesson.body()
    assert "<samp>&#96;&#96;&#96; &lt;b&gt; &amp; &#96;c&#96; $5$</samp>" in printed
    assert "to stderr</samp>" not in printed
    assert 'aria-label="A line that rises, and &quot;goes on&quot;."' in drawn and "# Picture" not in drawn
    assert "currentColor" in drawn and "font-family: inherit" in drawn and 'href="data:image/png;base64,' in drawn
    assert folded.startswith('<div class="cell"><details class="fold"><summary>Show the solution</summary>')
    assert r'<span class="arithmatex">\(\displaystyle \frac{a}{b}\)</span>' in folded and "<code>$x$</code>" in folded
    assert [len(cell.outputs) for cell in lesson.download(None).cells[2:]] == [1, 2, 1]

    def not_again(self):
        raise AssertionError("the lesson ran although nothing has changed")

    monkeypatch.setattr(lessons.Lesson, "_execute", not_again)
    again = small()
    again.run()
    assert list(again.body()) == [printed, drawn, folded]
    with pytest.raises(AssertionError, match="nothing has changed"):
        small("Words", "Other words").run()


def test_an_error_in_a_cell_stops_the_build(small):
    lesson = small("axes.plot([1, 2])", "axes.plot([1, 2])\nfail()")
    lesson.notebook.cells[1].source += "\ndef fail():\n    nothing"
    with pytest.raises(
        PluginError, match=r"tutorials/09_small.py:17: cell 3: NameError: name 'nothing' is not defined"
    ):
        lesson.run()


@pytest.mark.parametrize(
    "change, message",
    [
        (("# Picture: A line", "# A line"), "py:13: cell 3: a picture needs words"),
        (("axes.plot([1, 2])", "plt.subplots()"), "py:13: cell 3: a picture needs words"),
        (
            ("plt.subplots()", "plt.subplots()\nplt.close()"),
            "py:13: cell 3: no picture was drawn for the words 'A line",
        ),
    ],
)
def test_a_picture_without_words_and_words_without_a_picture_stop_the_build(small, change, message):
    lesson = small(*change)
    lesson.run()
    with pytest.raises(PluginError, match=message):
        list(lesson.body())


def test_links_to_the_site_do_no_harm_in_a_notebook(small):
    lesson = small(
        "Words.", "Words: [RMSprop](../rmsprop.md#dialects), [next](10_next.md), [there](https://x.org/a.md)."
    )
    text = lambda site: lesson.download(site).cells[1].source.splitlines()[-1]
    assert text(None) == "Words: RMSprop, next, [there](https://x.org/a.md)."
    site = "https://x.org/docs/"
    links = f"[RMSprop]({site}rmsprop/#dialects), [next]({site}lessons/10_next/)"
    assert text(site) == f"Words: {links}, [there](https://x.org/a.md)."


def test_mathematics_is_typeset_and_what_cannot_be_stops_the_build():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="lessons/09_small.md"))
    made = fences.on_page_content(r'<p><span class="arithmatex">\(a &lt; b\)</span></p>', page)
    assert 'class="katex"' in made and r"\(" not in made and "&lt;" in made
    with pytest.raises(PluginError, match=r"docs/lessons/09_small.md: mathematics: .*KaTeX parse error"):
        fences.on_page_content('<div class="arithmatex">\n\\[\\frac{1}\\]</div>', page)


# ---- In a browser ----


@pytest.mark.parametrize("page", ["lessons/", *(f"lessons/{lesson.name}/" for lesson in LESSONS)])
def test_a_lesson_is_not_wider_than_a_phone(browser, page):
    with test_site.phone(browser):
        browser.open(page)
        browser.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
@each_lesson
def test_a_lesson_can_be_read_in_both_themes(browser, lesson, theme):
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.open(f"lessons/{lesson.name}/")
    for place in (".output samp", ".fold > summary", ".lesson-head", ".output.rich td"):
        contrast = browser.execute_script(test_site.CONTRAST, place, "color")
        assert min(contrast, default=5) > 4.5, (place, min(contrast))
    for place in (".picture text", ".drawing text"):
        assert min(browser.execute_script(test_site.CONTRAST, place, "fill"), default=5) > 4.5, place


def test_a_fold_opens_and_shows_the_solution(browser):
    browser.open(f"lessons/{LESSONS[0].name}/")
    fold = browser.find_element(By.CSS_SELECTOR, ".fold")
    code = fold.find_element(By.TAG_NAME, "code")
    assert not code.is_displayed()
    summary = fold.find_element(By.TAG_NAME, "summary")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", summary)
    summary.click()
    assert code.is_displayed() and fold.get_attribute("open")
