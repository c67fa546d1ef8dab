"""What the pictures of the site's fences and those of the lessons have in common: their look, and how they join a page.

A picture is SVG in the page itself. Its text is the page's, and its ink the colour of the page's text.
"""

import hashlib
import html
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cycler import cycler

import lucidlite

ROOT = Path(__file__).parent.parent
INK = "#010203"  # becomes the colour of the page's text
# A luminance between 0.17 and 0.29 stands out, 3 to 1, on white and on Material's slate.
COLOURS = ["#0d8f85", "#e0483e", "#3f7fe0", "#b8720a", "#a45ae0", "#4c8f1f", "#d6429a", "#7a7f87", "#0b8fc0", "#a8763e"]
STYLE: Any = {
    "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "grid.color": INK, "grid.alpha": 0.15, "axes.grid": True, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.prop_cycle": cycler(color=COLOURS),
    "axes.titlesize": "medium", "figure.figsize": (8, 4), "figure.constrained_layout.use": True, "font.size": 11,
    "legend.frameon": False, "lines.linewidth": 1.8, "lines.solid_capstyle": "round", "svg.fonttype": "none",
    "contour.linewidth": 0.7,
}  # fmt: skip


def depends_on(*files):
    """A hash of the package, of these files and of the versions that decide how a picture comes out."""
    paths = [Path(__file__), *map(Path, files), *sorted(Path(lucidlite.__file__).parent.rglob("*.py"))]
    versions = f"{version('matplotlib')} {version('numpy')}".encode()
    return hashlib.sha256(versions + b"".join(path.read_bytes() for path in paths)).hexdigest()


def join(svg, alt, key):
    """The SVG that matplotlib wrote, as a part of a page; no other picture there has this key."""
    text = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{key}-", text)
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), text)
    text = re.sub(r"\n\s*", "\n", re.sub(r"<!--.*?-->", "", text))  # a blank line would end the HTML in Markdown
    width = float(text.partition('width="')[2].partition("pt")[0])
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text)
    style = f"max-width: {width:.0f}pt; min-width: min(26rem, {width:.0f}pt)"
    head = f'<svg role="img" aria-label="{html.escape(alt)}" style="{style}" '
    return head + re.sub(r"\n+", "\n", text.removeprefix("<svg "))
