"""The page of a report: one HTML file without scripts, fonts or pictures from elsewhere; every path to a leak is drawn."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from safemem.leaks.drawing import drawing_of
from safemem.leaks.words import readable_bytes, visible

if TYPE_CHECKING:
    from safemem.leaks.report import Leak, LeakReport

__all__ = ["page_of"]

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --leak: #b3261e; --note: #8a6100; --good: #1b6e3c; --quiet: #666; }
@media (prefers-color-scheme: dark) { :root { --leak: #ff8a80; --note: #ffcf70; --good: #7fd6a0; --quiet: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
section { border: 1px solid var(--line); border-left: .4rem solid var(--leak); border-radius: .4rem; padding: 1rem; margin: 1rem 0; }
section.note { border-left-color: var(--note); } .good { color: var(--good); } .bad { color: var(--leak); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
code, svg text { font-family: ui-monospace, monospace; } .mend { font-weight: 600; }
figure { margin: 1rem 0 0; overflow-x: auto; } figcaption { color: var(--quiet); font-size: .9rem; }
svg { max-width: none; } svg rect { fill: none; stroke: currentColor; } svg .root { stroke-width: 2.5; } svg .leaf { stroke: var(--leak); }
svg line { stroke: currentColor; } svg text { fill: currentColor; font-size: 13px; } svg .label { fill: var(--quiet); }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--quiet); }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.number, .kind { white-space: nowrap; overflow-wrap: normal; } .number { text-align: right; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; } }
@media print { body { margin: 0; max-width: none; } section { break-inside: avoid-page; } figure { overflow: visible; } svg { max-width: 100%; height: auto; } }
"""


def page_of(report: LeakReport) -> str:
    """Return the report as an HTML document; whatever names the program has, they are shown and never interpreted."""
    title = _text(report.summary())
    sections = "\n".join(_section(place, leak) for place, leak in enumerate(report.leaks))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1 class="{"good" if report.ok else "bad"}">{title}</h1>
{_overview(report)}
{sections}
</main>
</body>
</html>
"""


def _overview(report: LeakReport) -> str:
    if len(report.leaks) < 2:
        return ""
    rows = "\n".join(
        f'<tr><td class="kind"><a href="#leak-{place}">{_text(leak.kind)}</a></td><td>{_text(leak.what)}</td><td class="number">{_size(leak)}</td></tr>'
        for place, leak in enumerate(report.leaks)
    )
    head = '<tr><th scope="col">kind</th><th scope="col">what</th><th scope="col" class="number">keeps</th></tr>'
    return f"<table>\n<caption>What was found, the worst first</caption>\n<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


def _size(leak: Leak) -> str:
    return readable_bytes(leak.bytes) if leak.bytes > 0 else ""


def _section(place: int, leak: Leak) -> str:
    size = f" ({_size(leak)})" if leak.bytes > 0 else ""
    rows = "\n".join(
        f"<dt>{escape(name)}</dt><dd{_CLASS_OF.get(name, '')}><code>{_text(text)}</code></dd>" for name, text in leak.rows() if text
    )
    return f"""<section id="leak-{place}" class="{"leak" if leak.is_failure else "note"}">
<h2>{_text(leak.kind)}: {_text(leak.what)}{size}</h2>
<dl>
{rows}
</dl>
{drawing_of(leak.path) if leak.path else ""}
</section>"""


def _text(text: str) -> str:
    return escape(visible(text))


_CLASS_OF: Final = {"mend it": ' class="mend"'}
