"""The examples on the pages run and print what they say."""

import doctest
import os
import re
from pathlib import Path

import pytest
from support import DEVICE

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLE = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if EXAMPLE.search(page.read_text("utf-8"))]


@pytest.mark.skipif(DEVICE != "cpu", reason="what the examples print is on the CPU")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_examples_on_a_page_print_what_they_say(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # and back, wherever the page goes
    monkeypatch.syspath_prepend(page.parent)  # for the files that a page includes
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    text, names, report = page.read_text("utf-8"), {}, []
    for match in EXAMPLE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        example = doctest.DocTestParser().get_doctest(match[1], {}, page.name, os.fspath(page), line)
        example.globs = names  # one page is one session
        runner.run(example, out=report.append, clear_globs=False)
    assert not report, "".join(report)
