"""A retention path drawn as SVG: boxes from the root down to the leak, arrows with the references' names."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final
from unicodedata import east_asian_width

from safemem.leaks.words import visible

if TYPE_CHECKING:
    from safemem.leaks.report import RetentionPath

__all__ = ["drawing_of"]

# In pixels. A letter of the 13 px monospaced font is never wider than this.
_LETTER: Final = 8.2
_HEIGHT: Final = 34
_GAP: Final = 46
_PADDING: Final = 12
_MARGIN: Final = 8
_LONGEST: Final = 70  # letters of a name; the list above the drawing has it whole
_NARROW: Final = {"N", "Na", "H"}
_STEP: Final = _HEIGHT + _GAP


def drawing_of(path: RetentionPath) -> str:
    """Return the path as a `<figure>`, read from top to bottom; "" for a path without edges.

    >>> from safemem.leaks.report import Edge, RetentionPath
    >>> drawing_of(RetentionPath((Edge("module shop", ".<b>", "dict"),))).count("<rect")
    2
    """
    if not path.edges:
        return ""
    names = [_short(name) for name in (path.edges[0].source, *(edge.target for edge in path.edges))]
    labels = [_short(edge.label.strip()) for edge in path.edges]
    width = max(*(_width(name) + 2 * _PADDING for name in names), *(_width(label) + 2 * _PADDING + 24 for label in labels))
    height = len(names) * _STEP - _GAP
    boxes = "\n".join(_box(place, name, len(names)) for place, name in enumerate(names))
    arrows = "\n".join(_arrow(place, label) for place, label in enumerate(labels))
    whole = f"{-_MARGIN} {-_MARGIN} {width + 2 * _MARGIN:.0f} {height + 2 * _MARGIN}"
    return f"""<figure tabindex="0">
<svg viewBox="{whole}" width="{width + 2 * _MARGIN:.0f}" height="{height + 2 * _MARGIN}" role="img" aria-label="{escape(visible(path.holder))}">
{boxes}
{arrows}
</svg>
<figcaption>what holds it, from the root down</figcaption>
</figure>"""


def _short(name: str) -> str:
    line = visible(" ".join(name.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _width(text: str) -> float:
    """Return how wide a text is at most; letters of East Asia and pictures take the room of two."""
    return sum(_LETTER if ord(each) < 0x1100 or east_asian_width(each) in _NARROW else 2 * _LETTER for each in text)


def _box(place: int, name: str, count: int) -> str:
    kind = "root" if place == 0 else "leaf" if place == count - 1 else "inner"
    top = place * _STEP
    width = _width(name) + 2 * _PADDING
    return (
        f'<rect class="{kind}" x="0" y="{top}" width="{width:.0f}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{_PADDING}" y="{top + 22}">{escape(name)}</text>'
    )


def _arrow(place: int, label: str) -> str:
    """An arrow down from a box to the next, its head drawn as two lines: a marker would need a name, which must be unique in a page."""
    top = place * _STEP + _HEIGHT
    end = top + _GAP
    return (
        f'<line x1="24" y1="{top}" x2="24" y2="{end}"/><line x1="19" y1="{end - 7}" x2="24" y2="{end}"/><line x1="29" y1="{end - 7}" x2="24" y2="{end}"/>'
        f'<text class="label" x="36" y="{top + _GAP / 2 + 4:.0f}">{escape(label)}</text>'
    )
