"""Matplotlib figures as inline SVG that takes its ink and its font from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from medssl.audit.findings import Figure

INK: Final = "#010203"
"""Stands for the colour of the page's text, which is dark on white and light on black."""

PALETTE: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
"""Okabe & Ito's colours, told apart by colour-blind readers, in an order that reads on both."""
GREY: Final = "#8c8c8c"
MARKERS: Final = ("o", "^", "s", "D", "v", "P", "X")
WIDTH: Final = 3.8
"""Inches; a phone shows it a little enlarged."""

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "medssl",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}


@contextmanager
def canvas(
    *, height: float = 2.8, rows: int = 1, columns: int = 1
) -> Iterator[tuple[Canvas, list[Axes]]]:
    """A figure of `rows` × `columns` axes in the page's style; no global state, no window."""
    with mpl.rc_context(_STYLE):
        figure = Canvas(figsize=(WIDTH, height), layout="constrained")
        yield figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def render(
    figure: Canvas,
    *,
    name: str,
    title: str,
    alt: str,
    caption: str = "",
    tooltips: dict[str, list[str]] | None = None,
    identifies: bool = False,
) -> Figure:
    """Turn a figure into inline SVG; must be called inside `canvas`.

    Args:
        figure: What was drawn.
        name: Unique on the page; ids inside the picture begin with it.
        title: Shown above it.
        alt: What the picture shows, in words.
        caption: Shown below it.
        tooltips: For collections by `gid`, the text of each point.
        identifies: Whether title, alt or caption name participants or records.
    """
    buffer = io.StringIO()
    blank = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=blank)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # The size comes from the page; the font too, which needs the shorthand taken apart.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"font-family: [^;\"]*; ?", "", text)
    text = re.sub(r"font: (?:bold |\d+ )?([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = text.replace(INK, "currentColor")
    for gid, labels in (tooltips or {}).items():
        text = _add_tooltips(text, gid, labels)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{_escape(alt)}" ', 1)
    return Figure(name=name, title=title, alt=alt, caption=caption, svg=text, identifies=identifies)


def _add_tooltips(text: str, gid: str, labels: list[str]) -> str:
    """Give the points of one collection a title each, which browsers show on hovering."""
    start = text.find(f'<g id="{gid}">')
    if start < 0:
        return text
    queue = iter(labels)

    def titled(match: re.Match[str]) -> str:
        label = next(queue, None)
        return (
            match[0] if label is None else f"<use{match[1]}><title>{_escape(label)}</title></use>"
        )

    stop = start + len(text[start:].split("\n  </g>", 1)[0])
    return text[:start] + re.sub(r"<use([^>]*)/>", titled, text[start:stop]) + text[stop:]


def _escape(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )
