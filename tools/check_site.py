"""The built site makes no request to another host, and its reference shows every public name.

`python -m tools.check_site` reads the pages and style sheets under site/, and exits with 1 naming each address on
another host that a browser would load by itself, so that a class can read the site without a network. Links to click
are fine. What a script fetches later is not seen.
"""

import inspect
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import lucidlite.formulas
import lucidlite.nn
import lucidlite.optim

SITE = Path("site")
# `href` of a link element is a load for these relations, and a mere statement for others, such as canonical.
LOADING = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch", "manifest"}
FOREIGN = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", re.IGNORECASE)


class Page(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self):
        super().__init__()
        self.loads, self.in_style = [], False

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.in_style = tag == "style"
        self.loads += [values[name] for name in ("src", "poster", "data", "background") if name in values]
        self.loads += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]
        self.loads += IN_STYLE.findall(values.get("style", ""))
        if tag in ("use", "image") or (tag == "link" and LOADING & set(values.get("rel", "").lower().split())):
            self.loads += [values[name] for name in ("href", "xlink:href") if name in values]

    def handle_endtag(self, tag):
        self.in_style = False

    def handle_data(self, data):
        if self.in_style:
            self.loads += IN_STYLE.findall(data)


def find_loads(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return IN_STYLE.findall(text)
    page = Page()
    page.feed(text)
    return page.loads


def find_undocumented():
    """Yield the public names without an entry of their own."""
    reference = (SITE / "reference/index.html").read_text(encoding="utf-8")
    entries = set(re.findall(r'id="lucidlite\.(?:[\w.]+\.)?(\w+)"', reference))
    for package in (lucidlite, lucidlite.nn, lucidlite.optim, lucidlite.formulas):
        for name in getattr(package, "__all__", vars(package)):
            value = getattr(package, name)
            if name.startswith("_") or inspect.ismodule(value) or {name, getattr(value, "__name__", name)} & entries:
                continue  # a second spelling of a name is shown with the first
            yield f"{package.__name__}.{name}"


def main():
    paths = [path for path in sorted(SITE.rglob("*")) if path.suffix in (".html", ".css", ".svg")]
    foreign = [(path, address) for path in paths for address in find_loads(path) if FOREIGN.match(address)]
    for path, address in foreign:
        print(f"{path} loads {address}: put the file into docs/ instead.", file=sys.stderr)
    undocumented = list(find_undocumented())
    for name in undocumented:
        print(f"docs/reference.md does not show {name}: list it there, and give it a docstring.", file=sys.stderr)
    print(f"{len(paths)} pages and style sheets, {len(foreign)} foreign loads, {len(undocumented)} names not shown")
    return 1 if foreign or undocumented else 0


if __name__ == "__main__":
    sys.exit(main())
