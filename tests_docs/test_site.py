"""The built site, as files and in a browser; `make docs-test` builds it first.

The tests in a browser need Chromium and its driver, which Debian's packages chromium and chromium-driver bring.
"""

import contextlib
import functools
import http.server
import json
import re
import shutil
import threading
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

import lucidlite
from lucidlite import optim
from tools import site as fences
from tools.pictures import INK

SITE = Path("site").resolve()
PAGES = sorted(str(path.relative_to(SITE).parent) + "/" for path in SITE.rglob("index.html"))
GRIDS = [page for page in PAGES if 'class="sheet"' in (SITE / page / "index.html").read_text("utf-8")]
OPTIMIZERS = [
    name for name, value in vars(optim).items() if isinstance(value, type) and name not in ("Optimizer", "RMSProp")
]


class Collected(HTMLParser):
    """The ids and the links of a page, and the rows of its grids as (line numbers, code, formula's text)."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.links, self.rows, self.cell = set(), [], [], None
        self.feed((SITE / page / "index.html").read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        self.links += [attrs["href"]] if tag == "a" and "href" in attrs else []
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self.cell = attrs.get("class", "")
        elif self.cell in ("line", "code") and (tag == "br" or (attrs.get("class") == "row" and self.rows[-1][-1])):
            self.rows[-1][-1] += "\n"

    def handle_endtag(self, tag):
        self.cell = None if tag in ("td", "th") else self.cell

    def handle_data(self, data):
        if self.cell is not None:
            self.rows[-1][-1] += data


@functools.cache
def collected(page):
    return Collected(page)


# ---- As files ----


def test_the_site_has_been_built():
    assert "./" in PAGES and GRIDS, "make docs-build first"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_anchor_within_the_site_resolves(page):
    for link in collected(page).links:
        target = urlsplit(urljoin(f"http://here/{page}", link))
        if target.netloc == "here" and not link.startswith("mailto:"):
            path = SITE / unquote(target.path).strip("/")
            assert path.exists(), link
            if target.fragment and path.is_dir():
                name = str(path.relative_to(SITE)) + "/"
                assert unquote(target.fragment) in collected(name).ids | {"__comments"}, link


@pytest.mark.parametrize("page", GRIDS)
def test_the_rows_of_a_grid_are_the_lines_of_the_source(page):
    text = (SITE / page / "index.html").read_text("utf-8")
    names = iter(re.findall(r"<caption><code>(lucidlite/[\w/]+\.py)</code>", text))
    source, before, rows = [], 0, 0
    for row in collected(page).rows:
        if row[:2] == ["line", "code"]:
            source, before = Path(next(names)).read_text("utf-8").split("\n"), 0
        elif len(row) == 3 and source:
            numbers, code = [int(n) for n in row[0].split("\n")], row[1].split("\n")
            assert numbers == list(range(numbers[0], numbers[-1] + 1)) and numbers[0] > before
            assert [line.rstrip() for line in code] == [source[n - 1] for n in numbers]
            tag = re.search(r"# \((\d+)\)$", code[-1])
            assert row[2].startswith(f"({tag[1]})") if tag else row[2] == ""
            before, rows = numbers[-1], rows + 1
        elif len(row) > 2:
            source = []  # another table
    assert rows > 4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_its_grid_and_its_first_steps(name):
    page = "rmsprop/" if name == "RMSprop" else f"algorithms/{name.lower()}/"
    assert f"{name}-1" in collected(page).ids
    assert 'class="worked"' in (SITE / page / "index.html").read_text("utf-8")


def test_every_schedule_with_a_formula_has_its_grid():
    text = Path("docs/algorithms/schedules.md").read_text("utf-8")
    for name, value in vars(optim.lr_scheduler).items():
        if isinstance(value, type) and "(1)" in (value.__doc__ or "") and "schedule" in value.__module__:
            assert f"lucidlite.optim.lr_scheduler.{name}\n" in text


def test_worked_numbers_are_those_of_the_library():
    w = lucidlite.Parameter([1.0], dtype="float64")
    optimizer = optim.RMSprop([w], lr=0.1, alpha=0.9)
    for step in range(1, 5):
        row = [f"{step}", f"{w.item():.6g}"]
        w.grad = w.data.copy()
        optimizer.step()
        row += [f"{optimizer.state[w]['square_avg'].item():.6g}", f"{w.item():.6g}"]
        assert row in collected("rmsprop/").rows


def test_pictures_take_their_ink_from_the_page_and_have_words():
    pictures = 0
    for page in PAGES:
        for svg in re.findall(
            r'<figure class="plot">\s*(<svg.*?</svg>)', (SITE / page / "index.html").read_text(), re.S
        ):
            assert "currentColor" in svg and INK not in svg and re.search(r'aria-label="[^"]{20,}"', svg)
            pictures += 1
    assert pictures > 10


# ---- What stops a build ----

GOOD = '''
def double(x):
    r"""
        (1)  y = 2 x
    """
    y = 2 * x  # (1)
    return y
'''


@pytest.fixture
def fence(tmp_path, monkeypatch):
    """fence(kind, text, module) renders a fence whose text begins at line 3 of docs/p.md."""

    def render(kind, text, module=GOOD, **options):
        if module:
            (tmp_path / "docs_example.py").write_text(module, "utf-8")
            monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "p.md").write_text(f"# A page\n```{kind}\n{text}\n```\n", "utf-8")
        monkeypatch.setattr(
            fences.now, "page", SimpleNamespace(file=SimpleNamespace(src_uri="p.md", abs_src_path=tmp_path / "p.md"))
        )
        monkeypatch.delitem(__import__("sys").modules, "docs_example", raising=False)
        make = {"formulas": fences.grid, "plot": fences.plot, "worked": fences.worked}[kind]
        return fences.fence(make)(text, kind, kind, options, None)

    return render


def test_a_grid_is_made_of_a_function(fence):
    assert 'id="double-1"' in fence("formulas", "docs_example.double")


@pytest.mark.parametrize(
    "change, message",
    [
        (("def double", "def other"), "has no attribute 'double'"),
        (("  # (1)", ""), r"formula \(1\) has no tag"),
        (("return y", "return y  # (2)"), r"there is no formula \(2\)"),
        (("2 x", r"\foo x"), "cannot read the formula"),
        (("2 x", "2 x}"), "cannot read the formula"),
    ],
)
def test_a_grid_that_cannot_be_true_stops_the_build(fence, change, message):
    with pytest.raises(fences.FenceError, match=f"docs/p.md:3: formulas: .*{message}"):
        fence("formulas", "docs_example.double", GOOD.replace(*change))


def test_a_module_that_does_not_exist_stops_the_build(fence):
    with pytest.raises(fences.FenceError, match=r"docs/p.md:3: formulas: .*No module named 'lucidlight'"):
        fence("formulas", "lucidlight.optim.SGD")


def test_latex_that_cannot_be_typeset_stops_the_build():
    with pytest.raises(ValueError, match="KaTeX parse error"):
        fences.typeset(r"\frac{1}")


def test_an_error_in_a_picture_names_the_line_of_the_page(fence):
    with pytest.raises(fences.FenceError, match=r"docs/p.md:5: plot: NameError: name 'nothing'"):
        fence("plot", "# A picture.\nplt.plot([1])\nnothing", None)


def test_a_picture_needs_words(fence):
    with pytest.raises(fences.FenceError, match="a picture needs words"):
        fence("plot", "plt.plot([1, 2])", None)
    assert 'aria-label="Two &lt;points&gt;"' in fence("plot", "plt.plot([1, 2])", None, alt="Two <points>")


# ---- In a browser ----


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def started():
    names = ("chromium", "chromium-browser", "google-chrome")
    browser, driver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if not browser or not driver:
        missing = "Chromium" if not browser else "chromedriver, Debian's chromium-driver"
        pytest.skip(f"{missing} is not installed, so nobody has looked at the site in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for switch in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-background-networking",
    ):
        options.add_argument(f"--{switch}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")  # the network is off
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture
def browser(started, address):
    started.set_window_size(1400, 1000)
    started.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    started.open = lambda page: started.get(address + page)
    return started


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_without_an_error_and_without_another_host(browser, address, page):
    for log in ("performance", "browser"):
        browser.get_log(log)  # empties it
    browser.open(page)
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert urls and [url for url in urls if not url.startswith((address, "data:", "blob:"))] == []


@pytest.mark.parametrize("start", ["formula", "code", "button"])
@pytest.mark.parametrize(
    "page, symbol, spelling",
    [("rmsprop/", "v_tilde", "r"), ("algorithms/adam/", "m", "m"), ("algorithms/adam/", "v_hat", "v_hat")],
)
def test_a_symbol_lights_up_wherever_it_stands(browser, page, symbol, spelling, start):
    browser.open(page)
    marked = browser.find_elements(By.CSS_SELECTOR, f".formulas [data-symbols~={symbol}]")
    assert not browser.find_elements(By.CSS_SELECTOR, ".lit")
    place = {"formula": "td .katex ", "code": "td.code ", "button": "button"}[start]
    first = browser.find_elements(By.CSS_SELECTOR, f".formulas {place}[data-symbols~={symbol}]")[-1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", first)
    if start == "button":
        browser.execute_script("arguments[0].focus()", first)
    else:
        ActionChains(browser).move_to_element(first).perform()
    lit = browser.find_elements(By.CSS_SELECTOR, ".formulas .lit")
    assert set(marked) <= set(lit)
    if start != "code":  # a word of the code can be several symbols
        in_formulas = [e for e in lit if e.find_elements(By.XPATH, "ancestor::*[contains(@class, 'katex')]")]
        assert {e.get_attribute("data-symbols") for e in in_formulas} == {symbol}
    words = [e.text for e in lit if e.find_elements(By.XPATH, "ancestor::td[@class='code']")]
    assert words and set(words) == {spelling}
    colours = {e.value_of_css_property("background-color") for e in lit}
    assert len(colours) == 1 and "rgba(0, 0, 0, 0)" not in colours
    ActionChains(browser).move_to_element(browser.find_element(By.CSS_SELECTOR, ".md-header")).perform()
    browser.execute_script("document.activeElement.blur()")
    assert not browser.find_elements(By.CSS_SELECTOR, ".lit")


@pytest.mark.parametrize("way", ["hover", "focus", "address"])
def test_a_row_is_highlighted_as_a_whole(browser, way):
    browser.open("rmsprop/" + "#RMSprop-5" * (way == "address"))
    row = browser.find_element(By.ID, "RMSprop-5")
    cells = row.find_elements(By.TAG_NAME, "td")
    if way == "hover":
        ActionChains(browser).move_to_element(row).perform()
    elif way == "focus":
        browser.execute_script("arguments[0].focus()", cells[0].find_element(By.TAG_NAME, "a"))
    colours = {cell.value_of_css_property("background-color") for cell in cells}
    assert len(colours) == 1 and colours != {"rgba(0, 0, 0, 0)"}
    if way == "address":
        assert 0 < browser.execute_script("return arguments[0].getBoundingClientRect().top", row) < 900


def test_a_formula_stands_beside_its_line_and_on_a_phone_above_it(browser):
    def places():
        browser.open("algorithms/adam/")
        row = browser.find_element(By.ID, "Adam-2")
        code, formula = (
            row.find_element(By.CSS_SELECTOR, ".code code"),
            row.find_element(By.CSS_SELECTOR, ".katex-html"),
        )
        return code.rect, formula.rect

    code, formula = places()
    assert abs(code["y"] + code["height"] / 2 - formula["y"] - formula["height"] / 2) < 8
    assert formula["x"] >= code["x"] + code["width"] - 1
    with phone(browser):
        code, formula = places()
        assert formula["y"] + formula["height"] <= code["y"] + 2


@contextlib.contextmanager
def phone(browser):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("page", ["./", "rmsprop/", "algorithms/", "algorithms/radam/", "algorithms/schedules/"])
def test_a_page_is_not_wider_than_a_phone(browser, page):
    with phone(browser):
        browser.open(page)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const over = ([r, g, b, a = 1], below) => [r, g, b].map((c, i) => a * c + (1 - a) * below[i]);
const luminance = (c) => c.map((x) => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
  .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  if (!element) return [255, 255, 255];
  const [r, g, b, a = 1] = parse(getComputedStyle(element).backgroundColor);
  return over([r, g, b, a], a < 1 ? ground(element.parentElement) : [0, 0, 0]);
};
return [...document.querySelectorAll(arguments[0])].map((element) => {
  const below = ground(element), style = getComputedStyle(element);
  const [x, y] = [luminance(over(parse(style[arguments[1]]), below)), luminance(below)].sort((a, b) => b - a);
  return (x + 0.05) / (y + 0.05);
});
"""


@pytest.mark.parametrize("theme, scheme", [("light", "default"), ("dark", "slate")])
def test_both_themes_can_be_read(browser, theme, scheme):
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.open("rmsprop/")
    assert browser.find_element(By.TAG_NAME, "body").get_attribute("data-md-color-scheme") == scheme
    for place in (".formulas .katex", ".condition", "td.line", "td.code span", ".number", ".gap td", ".legend button"):
        contrast = browser.execute_script(CONTRAST, place, "color")
        assert contrast and min(contrast) > 4.5, (place, min(contrast))
    lines = browser.execute_script(CONTRAST, ".plot path[style*='stroke: #']", "stroke")
    assert lines and min(lines) > 3
    assert min(browser.execute_script(CONTRAST, ".plot text", "fill")) > 4.5
    browser.execute_script("document.querySelector('.legend [data-symbols=v_tilde]').focus()")
    assert min(browser.execute_script(CONTRAST, ".lit", "color")) > 4.5
