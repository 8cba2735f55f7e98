"""How a report looks on a terminal: in colour where the extra `rich` is installed, as plain text everywhere else."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TextIO

from safemem.leaks.words import readable_bytes

if TYPE_CHECKING:
    from safemem.leaks.report import Leak, LeakReport

__all__ = ["renderable", "show"]


def show(report: LeakReport, stream: TextIO) -> None:
    """Write a report to a stream: in colour if that is a terminal and `rich` is there; what its encoding cannot express is escaped.

    Raises:
        OSError: the stream cannot be written to.
    """
    if wants_colour(stream):
        import_module("rich.console").Console(file=stream, highlight=False).print(renderable(report))
    else:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(f"{report}\n".encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def wants_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose user has not asked for plain text, and `rich` is installed."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    return find_spec("rich") is not None


def renderable(report: LeakReport) -> Any:
    """Return what `rich` prints for a report.

    Raises:
        ImportError: `rich` is not installed.
    """
    group, text = import_module("rich.console").Group, import_module("rich.text").Text
    head = text(report.summary(), style="bold green" if report.ok else "bold red")
    return group(head, *(_panel(leak, text) for leak in report.leaks))


def _panel(leak: Leak, text: Any) -> Any:
    table = import_module("rich.table").Table.grid(padding=(0, 2))
    for name, words in leak.rows():
        if words:
            table.add_row(text(name, style="dim"), text(words, style=_STYLES.get(name, "")))
    colour = "red" if leak.is_failure else "yellow"
    size = f" ({readable_bytes(leak.bytes)})" if leak.bytes > 0 else ""
    title = text(f"{leak.kind}: {leak.what}{size}", style=f"bold {colour}")
    return import_module("rich.panel").Panel(table, title=title, title_align="left", border_style=colour)


_STYLES: Final = {"held by": "bold", "mend it": "green", "signature": "dim"}
