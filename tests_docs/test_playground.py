"""Playgrounds: the page computes what the library computes, answers to hand and keyboard, and says when it diverges.

The browser, the site's address and the pages' names are test_site's; `make docs-build` builds the site first.
"""

import functools
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import test_site
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import lucidlite
from lucidlite import optim
from tools import playground
from tools import site as fences

address, started, browser = test_site.address, test_site.started, test_site.browser
STEPS = 50
TEXTS = {page: (test_site.SITE / page / "index.html").read_text("utf-8") for page in test_site.PAGES}
SHOWN = {  # (page, number of the playground on it) -> its optimizers
    (page, i): re.findall(r'<fieldset [^>]*data-rule="(\w+)"', text)
    for page, whole in TEXTS.items()
    for i, text in enumerate(whole.split('<div class="playground"')[1:])
}
FOUND = {name: (place, box) for place, names in reversed(SHOWN.items()) for box, name in enumerate(names)}

# Sets a playground's controls as a hand would, and returns its numbers; JSON keeps each bit of them.
SET = """
const [root, box, values] = arguments, form = root.querySelector("form");
let input;
for (const [name, value] of Object.entries(values)) {
  const inside = name === "dialect" ? ".dialect" : `[name=${name}]`;
  input = form.querySelectorAll("fieldset")[box].querySelector(inside) ?? form.elements[name];
  input[input.type === "checkbox" ? "checked" : "value"] = value;
  if (input.tagName === "SELECT") input.dispatchEvent(new Event("input", { bubbles: true }));
}
input?.dispatchEvent(new Event("input", { bubbles: true }));
return JSON.stringify(root.paths.map((path) => [path, path.ended, path.also]));
"""


def root(browser, place):
    found = browser.find_elements(By.CSS_SELECTOR, ".playground")[place[1]]
    browser.execute_script("arguments[0].scrollIntoView({ block: 'start' }); scrollBy(0, -60)", found)
    return found


def put(browser, place, box=0, **values):
    """One optimizer's path after these settings: its points, the step in which it ended, and what is drawn beside."""
    found = browser.find_elements(By.CSS_SELECTOR, ".playground")[place[1]]
    return json.loads(browser.execute_script(SET, found, box, values))[box]


def walk(optimizer, surface, steps=STEPS):
    """The path of a Parameter in the library: x, y and f at the start and after each step, slopes by autograd."""
    (w,), surface = optimizer.param_groups[0]["params"], playground.SURFACES[surface]
    w.data[...] = surface.start
    f = lambda: eval(playground.Translation(surface.f).python({}), {"x": w[0], "y": w[1]})
    path = [[*w.data, f().item()]]
    with np.errstate(all="ignore"):
        for noise in playground.NOISE[:steps]:
            optimizer.zero_grad()
            across, up = noise if surface.noise else (0.0, 0.0)
            (f() + across * w[0] + up * w[1]).backward()
            optimizer.step()
            path.append([*w.data, f().item()])
    return np.array(path)


def differ(page, library):
    """Whether the page's path is another than the library's: by more than 1e-12, or not finite in another step."""
    points, finite = np.array(page[0]), np.isfinite(library).all(axis=1)
    many = len(library) if finite.all() else int(finite.argmin())
    if (len(points), page[1]) != (many, None if finite.all() else many):
        return True
    return not (abs(points - library[:many]) <= 1e-12 * np.maximum(1, abs(library[:many]))).all()


def params():
    return [lucidlite.Parameter(np.ones(2), dtype="float64")]


def made(name, **settings):
    """An optimizer from settings as the page has them: betas as beta1 and beta2."""
    cls = getattr(optim, name)
    for pair, value in cls(params()).param_groups[0].items():
        if isinstance(value, tuple):
            settings[pair] = tuple(settings.pop(f"{pair[:-1]}{i}", value[i - 1]) for i in (1, 2))
    return cls(params(), **settings)


# ---- The numbers ----


def test_every_optimizer_has_a_playground_on_its_page():
    for name in test_site.OPTIMIZERS:
        page = "rmsprop/" if name == "RMSprop" else f"algorithms/{name.lower()}/"
        assert SHOWN[page, 0][0] == name


@pytest.mark.parametrize("surface", playground.SURFACES)
@pytest.mark.parametrize("name", test_site.OPTIMIZERS)
def test_the_page_computes_what_the_library_computes(browser, name, surface):
    place, box = FOUND[name]
    browser.open(place[0])
    put(browser, place, box, surface=surface, steps=STEPS)
    defaults = playground.flat(made(name))
    # A switch can have no effect, or be refused, without momentum or weight decay.
    others = {key: value for key, value in (("momentum", 0.7), ("weight_decay", 0.01)) if key in defaults}
    switched = [{key: not value} for key, value in defaults.items() if isinstance(value, bool)]
    zeros = {key: 0.3 for key, value in defaults.items() if value == 0 and not isinstance(value, bool)}
    for changed in ({}, {"lr": 0.03}, {"lr": 0.03} | zeros, *({"lr": 0.03} | others | switch for switch in switched)):
        settings = defaults | changed
        page = put(browser, place, box, **settings)
        assert not differ(page, walk(made(name, **settings), surface)), settings


@pytest.mark.parametrize("name", optim.RMSprop.dialects())
def test_the_page_computes_every_dialect(browser, name):
    place, box = FOUND["RMSprop"]
    browser.open(place[0])
    for surface in playground.SURFACES:
        put(browser, place, box, surface=surface, steps=STEPS)
        page = put(browser, place, box, dialect=name, lr=0.02)
        assert not differ(page, walk(optim.RMSprop.like(name, params(), lr=0.02), surface)), surface
    call = (
        browser.find_elements(By.CSS_SELECTOR, ".playground")[place[1]].find_elements(By.CLASS_NAME, "call")[box].text
    )
    assert call == f'optim.RMSprop.like("{name}", params, lr=0.02)'


@pytest.mark.parametrize("place", SHOWN)
def test_a_playground_says_the_line_that_makes_its_optimizer(browser, place):
    browser.open(place[0])
    calls = [call.text for call in root(browser, place).find_elements(By.CLASS_NAME, "call")]
    surface = root(browser, place).find_element(By.NAME, "surface").get_attribute("value")
    for box, call in enumerate(calls):
        path = put(browser, place, box, steps=STEPS)
        assert not differ(path, walk(eval(call, {"optim": optim, "params": params()}), surface)), call


def test_what_is_drawn_beside_a_path_is_the_state(browser):
    place, box = FOUND["ASGD"]
    browser.open(place[0])
    beside = put(browser, place, box, steps=STEPS)[2]
    optimizer = made("ASGD", lr=0.2, t0=20)
    walk(optimizer, "noisy bowl")
    (w,) = optimizer.param_groups[0]["params"]
    assert len(beside) == STEPS and abs(np.array(beside[-1][:2]) - optimizer.state[w]["ax"]).max() <= 1e-12


def test_a_path_ends_where_numbers_do_and_the_page_says_so(browser):
    place, box = FOUND["SGD"]
    browser.open(place[0])
    page = put(browser, place, box, lr=1, momentum=0, steps=300)
    library = walk(made("SGD", lr=1), "ravine", 300)
    assert not differ(page, library) and 100 < page[1] < 200
    now = root(browser, place).find_element(By.CLASS_NAME, "now").text
    assert f"diverged, no finite numbers in step {page[1]};" in now
    assert [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


# ---- The controls ----

PLACE = ("rmsprop/", 0)


def start(browser):
    found = root(browser, PLACE)
    return [float(found.find_element(By.NAME, name).get_attribute("value")) for name in "xy"]


def first(browser):
    return put(browser, PLACE)[0][0][:2]


def middle(browser, name):
    """The middle of an element of the playground on the screen."""
    found = root(browser, PLACE).find_element(By.CLASS_NAME, name)
    box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", found)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def mouse(browser, *events):
    """Moves the mouse, as "Pressed", "Moved" or "Released" at a place; a driver's own actions scroll the page first."""
    for kind, x, y in events:
        event = {"type": f"mouse{kind}", "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def test_the_start_can_be_dragged_clicked_typed_and_moved_by_keys(browser):
    browser.open(PLACE[0])
    assert start(browser) == first(browser) == [-4, 1.5]
    handle = root(browser, PLACE).find_element(By.CLASS_NAME, "handle")
    unit = root(browser, PLACE).find_element(By.CLASS_NAME, "map").rect["width"] / 6.4  # of the ravine
    x, y = middle(browser, "handle")
    mouse(browser, ("Pressed", x, y), ("Moved", x + unit, y), ("Moved", x + 2 * unit, y + unit))
    assert start(browser) == first(browser) == pytest.approx([-2, 0.5], abs=0.02)
    mouse(browser, ("Released", x + 2 * unit, y + unit), ("Moved", x, y))
    assert start(browser) == first(browser) == pytest.approx([-2, 0.5], abs=0.02)
    x, y = middle(browser, "map")
    mouse(browser, ("Pressed", x, y), ("Released", x, y))
    assert start(browser) == first(browser) == pytest.approx([-1.2, 0], abs=0.02)
    put(browser, PLACE, x=1, y=1)
    browser.execute_script("arguments[0].focus()", handle)
    for keys in (Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN):
        ActionChains(browser).send_keys(keys).perform()
    assert start(browser) == first(browser) == pytest.approx([1.05, 1.05])
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.ARROW_DOWN).key_up(Keys.SHIFT).perform()
    assert start(browser) == first(browser) == pytest.approx([1.05, 0.55])
    assert handle.get_attribute("aria-valuetext") == "x 1.05, y 0.55"


def test_a_finger_drags_the_start(browser):
    with test_site.phone(browser):
        browser.open(PLACE[0])
        x, y = middle(browser, "handle")
        touch = functools.partial(browser.execute_cdp_cmd, "Input.dispatchTouchEvent")
        touch({"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for share in (0.25, 0.5, 0.75, 1):
            touch({"type": "touchMove", "touchPoints": [{"x": x + 100 * share, "y": y + 60 * share}]})
        touch({"type": "touchEnd", "touchPoints": []})
        assert start(browser) == first(browser) != [-4, 1.5]
        width = root(browser, PLACE).find_element(By.CLASS_NAME, "map").rect["width"]
        assert start(browser) == pytest.approx([-4 + 100 * 6.4 / width, 1.5 - 60 * 6.4 / width], abs=0.02)


@pytest.mark.parametrize("name", ["lr", "alpha"])
def test_a_slider_moves_its_number_and_the_path(browser, name):
    browser.open(PLACE[0])
    before = put(browser, PLACE)[0]
    number = root(browser, PLACE).find_element(By.NAME, name)
    slider = number.find_element(By.XPATH, "preceding-sibling::input")
    value = float(number.get_attribute("value"))
    slider.send_keys(Keys.ARROW_RIGHT * 20)
    assert float(number.get_attribute("value")) > value
    assert slider.get_attribute("aria-valuetext") == number.get_attribute("value")
    after = put(browser, PLACE)[0]
    assert after[0] == before[0] and after[1] != before[1]
    call = root(browser, PLACE).find_element(By.CLASS_NAME, "call").text
    assert f"{name}={number.get_attribute('value')}" in call
    assert not differ([after, None], walk(eval(call, {"optim": optim, "params": params()}), "ravine", len(after) - 1))


def test_a_number_that_the_library_refuses_changes_nothing(browser):
    browser.open(PLACE[0])
    before = put(browser, PLACE)
    for name, value in (("lr", -1), ("lr", ""), ("alpha", 1.5), ("steps", 10_000)):
        assert put(browser, PLACE, **{name: value}) == before
        root(browser, PLACE).find_element(By.CSS_SELECTOR, f"[name={name}]:invalid")
    root(browser, PLACE).find_element(By.CSS_SELECTOR, "[type=reset]").click()
    assert put(browser, PLACE) == before


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_play_walks_to_the_last_step_and_at_once_where_motion_is_not_wanted(browser, motion):
    features = [{"name": "prefers-reduced-motion", "value": motion}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.open(PLACE[0])
    put(browser, PLACE, steps=20)
    script = """const [root, done] = arguments, seen = new Set(), button = root.querySelector(".run");
      button.click();
      (function watch() {
        seen.add(root.paths[0].length - 1);
        button.disabled ? requestAnimationFrame(watch) : done([...seen]);
      })();"""
    seen = browser.execute_async_script(script, root(browser, PLACE))
    assert len(put(browser, PLACE)[0]) == 21 and (len(seen) > 3 if motion == "no-preference" else seen == [20])


def test_the_numbers_are_told_to_those_who_cannot_see(browser):
    browser.open(PLACE[0])
    x, y, f = put(browser, PLACE, steps=10)[0][-1]
    now = root(browser, PLACE).find_element(By.CSS_SELECTOR, "[role=status]").text.split("\n")
    assert now[0] == "Step 10."
    told = [float(number) for number in re.findall(r"= (\S+?)[,.]?(?= |$)", now[1])]
    assert now[1].startswith("RMSprop (solid line): x =") and told == pytest.approx([x, y, f], rel=1e-2)
    nameless = """return [...document.querySelectorAll(".playground :is(input, select, button, [tabindex])")]
      .filter((e) => !(e.labels?.length || e.getAttribute("aria-label") || e.title || e.textContent.trim())).length"""
    assert browser.execute_script(nameless) == 0


@pytest.mark.parametrize("theme, scheme", [("light", "default"), ("dark", "slate")])
def test_a_playground_can_be_read_in_both_themes(browser, theme, scheme):
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.open(PLACE[0])
    assert browser.find_element(By.TAG_NAME, "body").get_attribute("data-md-color-scheme") == scheme
    contrast = lambda place, name: min(browser.execute_script(test_site.CONTRAST, f".playground {place}", name))
    for place in ("legend", ".row span", "input[type=number]", "select", "button", ".now", ".text", ".call"):
        assert contrast(place, "color") > 4.5, place
    assert contrast("svg text", "fill") > 4.5
    for place in (".line", ".dots", ".minimum", ".handle circle + circle"):
        assert contrast(place, "stroke") > 3, place


@pytest.mark.parametrize("page", sorted({page for page, _ in SHOWN}))
def test_a_playground_is_not_wider_than_a_phone(browser, page):
    with test_site.phone(browser):
        browser.open(page)
        for details in browser.find_elements(By.CSS_SELECTOR, ".playground details"):
            browser.execute_script("arguments[0].open = true", details)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


# ---- What stops a build ----


@pytest.fixture
def fence(tmp_path, monkeypatch):
    """fence(text) renders a playground whose text begins at line 3 of docs/p.md."""
    config = {"mdx_configs": {}, "extra_css": []}
    fences.on_config(config)
    made = {f["name"]: f["format"] for f in config["mdx_configs"]["pymdownx.superfences"]["custom_fences"]}

    def render(text, **options):
        (tmp_path / "p.md").write_text(f"# A page\n```playground\n{text}\n```\n", "utf-8")
        file = SimpleNamespace(src_uri="p.md", abs_src_path=tmp_path / "p.md")
        monkeypatch.setattr(fences.now, "page", SimpleNamespace(file=file))
        return made["playground"](text, "playground", "playground", options, None)

    return render


SGD = "optim.SGD(params, lr=0.1)"


@pytest.mark.parametrize(
    "text, message",
    [
        (f"{SGD}\noptim.SGD(params, rate=0.1)", "4: playground: TypeError: .*unexpected keyword argument 'rate'"),
        (f"{SGD}\noptim.SGD(params, lr=", "4: playground: SyntaxError"),
        ("optim.SDG(params)", "3: playground: .*has no attribute 'SDG'"),
        ("\n\noptim.SGD(params, lr=-1)", "5: playground: .*lr is -1"),
        (f"{SGD}\noptim.RMSprop.like('keras4', params)", "4: playground: .*there is no dialect 'keras4'"),
        ("optim.lr_scheduler", "3: playground: .*a line makes an optimizer"),
        (f"{SGD}\n{SGD}\n{SGD}", "3: playground: .*one or two optimizers, each on a line, not 3"),
        ("", "1: playground: .*not 0"),
    ],
)
def test_a_bad_line_stops_the_build(fence, text, message):
    with pytest.raises(fences.FenceError, match=f"docs/p.md:{message}"):
        fence(text)


@pytest.mark.parametrize(
    "options, message",
    [({"surface": "hill"}, "no surface 'hill'"), ({"also": "z"}, "no such state"), ({"step": "3"}, "argument 'step'")],
)
def test_a_bad_option_stops_the_build(fence, options, message):
    assert '<fieldset class="solid" data-rule="SGD">' in fence(SGD)
    with pytest.raises(fences.FenceError, match=f"docs/p.md:3: playground: .*{message}"):
        fence(SGD, **options)


class Strange(optim.SGD):
    r"""
        (1)  s_t = \operatorname{erf}(∇f_t)
        (2)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, ∇f is `g` and γ is `lr`.
    """

    @staticmethod
    def rule(math):
        def strange(p, g, lr):
            s = math.erf(g)  # (1)
            p = p - lr * s  # (2)
            return (p,)

        return strange


@pytest.mark.parametrize(
    "change, message",
    [
        ({}, "cannot compute erf"),
        ({r"\operatorname{erf}(∇f_t)": "a_t"}, "neither a formula nor a setting says what a_t is"),
        ({r"\operatorname{erf}(∇f_t)": "θ_t"}, r"the formulas of \['theta', 's'\] need each other"),
        ({r"\operatorname{erf}(∇f_t)": "s_{t-1} + ∇f_t"}, r"does not say from which setting \['s'\] starts"),
    ],
)
def test_formulas_that_a_page_cannot_compute_are_refused(change, message, monkeypatch):
    sheet = playground.read(Strange)
    for old, new in change.items():
        text = sheet.formulas[1].text.replace(old, new)
        sheet.formulas[1] = type(sheet.formulas[1])(1, text, sheet.symbols)
    monkeypatch.setattr(playground, "read", lambda cls: sheet)
    with pytest.raises(ValueError, match=message):
        playground.Rule(made("SGD"))
