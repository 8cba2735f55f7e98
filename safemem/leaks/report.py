"""What an audit found, in strings and numbers alone: a report that outlives the program's objects and keeps none of them alive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safemem.errors import SafememError
from safemem.leaks.words import readable_bytes, signature_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

__all__ = ["KINDS", "NOT_LEAKS", "Edge", "Leak", "LeakError", "LeakReport", "RetentionPath", "readable_bytes", "signature_of"]

KINDS: Final = frozenset(
    {
        "cache",
        "closure",
        "cycle",
        "event_loop",
        "file",
        "frame",
        "growth",
        "listener",
        "mmap",
        "native",
        "process",
        "retained",
        "shm",
        "socket",
        "tempfile",
        "thread",
    }
)

# Kinds that are worth knowing and fail nothing.
NOT_LEAKS: Final = frozenset({"retained"})


@dataclass(frozen=True, slots=True)
class Edge:
    """One step of a path: what refers, how, and to what; each in a few words.

    >>> str(Edge("module shop", ".sessions", "dict"))
    'module shop.sessions -> dict'
    """

    source: str
    label: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}{_joined(self.label)} -> {self.target}"


@dataclass(frozen=True, slots=True)
class RetentionPath:
    """Why an object is alive: the references that lead to it from a root, in words.

    `holder` is the whole path in one line; it is put together from the edges unless it is given. `str(path)` shows one reference a line,
    and `bool(path)` is False if nothing leads there. A path refers to no object of the program: keeping it keeps nothing alive.

    >>> from safemem.leaks.report import Edge
    >>> path = RetentionPath((Edge("module shop", ".sessions", "dict"), Edge("dict", "['ab12']", "Session")))
    >>> path.holder
    "module shop.sessions['ab12']"
    >>> print(path)
    module shop
      .sessions -> dict
      ['ab12'] -> Session
    """

    __module__ = "safemem"

    edges: tuple[Edge, ...] = ()
    holder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(self.edges))
        if not self.holder and self.edges:
            object.__setattr__(self, "holder", self.edges[0].source + "".join(_joined(edge.label) for edge in self.edges))

    def __bool__(self) -> bool:
        return bool(self.edges or self.holder)

    def __str__(self) -> str:
        if not self.edges:
            return self.holder or "nothing that can be seen holds it"
        return "\n".join([self.edges[0].source, *(f"  {edge.label.strip()} -> {edge.target}" for edge in self.edges)])

    def to_dot(self) -> str:
        """Return the path in the language of Graphviz: `dot -Tsvg` draws it.

        >>> from safemem.leaks.report import Edge
        >>> print(RetentionPath((Edge("module shop", ".sessions", "dict"),)).to_dot())
        digraph retention {
            rankdir=LR;
            node [shape=box, style=rounded, fontname="sans-serif"];
            edge [fontname="monospace"];
            n0 [label="module shop", style="rounded,bold"];
            n1 [label="dict"];
            n0 -> n1 [label=".sessions"];
        }
        """
        names = [self.edges[0].source, *(edge.target for edge in self.edges)] if self.edges else [str(self)]
        nodes = [f"    n{place} [label={_quoted(name)}{_OF_ROOT if not place else ''}];" for place, name in enumerate(names)]
        arrows = [f"    n{place} -> n{place + 1} [label={_quoted(edge.label.strip())}];" for place, edge in enumerate(self.edges)]
        return "\n".join(["digraph retention {", *_DOT_HEAD, *nodes, *arrows, "}"])


_DOT_HEAD: Final = (
    "    rankdir=LR;",
    '    node [shape=box, style=rounded, fontname="sans-serif"];',
    '    edge [fontname="monospace"];',
)
_OF_ROOT: Final = ', style="rounded,bold"'


def _joined(label: str) -> str:
    """Write a label behind a name: attributes and keys follow at once, words after an arrow."""
    return label if label[:1] in {".", "["} else f" -> {label.strip()}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "")
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Leak:
    """One thing that leaks.

    Attributes:
        kind: `cycle`, `growth`, `closure`, `cache`, `listener`, `frame`, `thread`, `file`, `socket`, `process`, `mmap`, `shm`, `tempfile`,
            `event_loop`, `native`; or `retained`, which is worth knowing and is no leak.
        what: the type and how many.
        where: `file:line` it came from, if that is known.
        holder: who holds it: the path from a root to it, in words; "" if nobody does.
        bytes: how much memory it keeps, as far as that is known; 0 if it is not.
        signature: the same in every run of the same program; for `ignore=`.
        fix: what mends it.
        path: the same as `holder`, step by step, if it is known.
        count: how many of them there are.

    >>> leak = Leak("file", "3 open files", "shop.py:12", "", 0, "file-9f2c31ab", "managed_file()", count=3)
    >>> leak.is_failure
    True
    """

    __module__ = "safemem"

    kind: str
    what: str
    where: str | None
    holder: str
    bytes: int
    signature: str
    fix: str
    path: RetentionPath | None = None
    count: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}, got {self.kind!r}")

    @property
    def is_failure(self) -> bool:
        """Whether it makes a report fail: all kinds but `retained`."""
        return self.kind not in NOT_LEAKS

    def as_dict(self) -> dict[str, Any]:
        """Return what `LeakReport.to_json()` writes for it."""
        path = self.path and {"holder": self.path.holder, "edges": [[edge.source, edge.label, edge.target] for edge in self.path.edges]}
        return {
            "kind": self.kind,
            "failure": self.is_failure,
            "what": self.what,
            "count": self.count,
            "bytes": self.bytes,
            "where": self.where,
            "holder": self.holder,
            "path": path or None,
            "signature": self.signature,
            "fix": self.fix,
        }

    def __str__(self) -> str:
        size = f" ({readable_bytes(self.bytes)})" if self.bytes > 0 else ""
        lines = [f"{'LEAK' if self.is_failure else 'NOTE'} {self.kind}: {self.what}{size}"]
        lines += [f"  {name:<9} {_indented(text)}" for name, text in self.rows() if text]
        return "\n".join(lines)

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Return what a reader wants to know, in the order in which they want to know it: a word and a text each, "" if unknown."""
        return (("held by", self.holder), ("made at", self.where or ""), ("mend it", self.fix), ("signature", self.signature))


def _indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 12)


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What an audit found.

    Attributes:
        leaks: everything found, the worst first: leaks before what is only worth knowing, then by bytes and number.
        title: what was audited, in a few words.

    `str(report)` is plain text; `rich.print(report)` shows it in colour.

    >>> report = LeakReport((Leak("file", "1 open file", "shop.py:12", "", 0, "file-9f2c31ab", "managed_file()"),), title="shop.py")
    >>> report.ok
    False
    >>> print(report)
    shop.py: 1 leak
    <BLANKLINE>
    LEAK file: 1 open file
      made at   shop.py:12
      mend it   managed_file()
      signature file-9f2c31ab
    """

    __module__ = "safemem"

    leaks: tuple[Leak, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        ordered = sorted(self.leaks, key=lambda leak: (not leak.is_failure, -leak.bytes, -leak.count, leak.kind, leak.signature))
        object.__setattr__(self, "leaks", tuple(ordered))

    @property
    def ok(self) -> bool:
        """Whether nothing leaked; what is only `retained` does not count."""
        return not self.failures

    @property
    def failures(self) -> tuple[Leak, ...]:
        """The leaks, without what is only worth knowing."""
        return tuple(leak for leak in self.leaks if leak.is_failure)

    def without(self, signatures: Iterable[str]) -> LeakReport:
        """Return the report without leaks of these signatures."""
        ignored = frozenset(signatures)
        return LeakReport(tuple(leak for leak in self.leaks if leak.signature not in ignored), self.title)

    def summary(self) -> str:
        """Return the first line of the report."""
        count = len(self.failures)
        words = "no leaks" if not count else f"{count} leak{'s' if count > 1 else ''}"
        return f"{self.title}: {words}" if self.title else words

    def __str__(self) -> str:
        return "\n\n".join([self.summary(), *map(str, self.leaks)])

    def to_json(self) -> str:
        """Return the report as a JSON object; docs/reference/leak-reports.md describes it. `LeakReport.from_json()` reads it again.

        >>> LeakReport.from_json(LeakReport(title="shop.py").to_json())
        LeakReport(leaks=(), title='shop.py')
        """
        import json

        content = {"schema": 1, "title": self.title, "ok": self.ok, "leaks": [leak.as_dict() for leak in self.leaks]}
        return json.dumps(content, indent=2)

    @staticmethod
    def from_json(text: str) -> LeakReport:
        """Return the report that `to_json()` wrote.

        Raises:
            ValueError: it is not such a report.
        """
        import json

        content: Any = json.loads(text)
        if type(content) is not dict or content.get("schema") != 1:  # pyright: ignore[reportUnknownMemberType]
            raise ValueError("text must be a leak report of schema 1")
        try:
            return LeakReport(tuple(map(_leak_from, content["leaks"])), content["title"])  # pyright: ignore[reportUnknownArgumentType]
        except (KeyError, TypeError) as error:
            raise ValueError(f"text must be a leak report of schema 1: {error!r}") from None

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report as one page that needs nothing else, with the paths to the leaks drawn.

        Raises:
            OSError: the file cannot be written.
        """
        from safemem.leaks.page import page_of

        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(page_of(self))

    def __rich__(self) -> Any:
        """Return what `rich.print(report)` prints."""
        from safemem.leaks.terminal import renderable

        return renderable(self)


def _leak_from(found: Mapping[str, Any]) -> Leak:
    path = found["path"]
    return Leak(
        kind=found["kind"],
        what=found["what"],
        where=found["where"],
        holder=found["holder"],
        bytes=found["bytes"],
        signature=found["signature"],
        fix=found["fix"],
        path=path and RetentionPath(tuple(Edge(*edge) for edge in path["edges"]), path["holder"]),
        count=found["count"],
    )


class LeakError(AssertionError, SafememError):
    """Something leaked that must not; `.report` says what, and the message is the report's text.

    >>> error = LeakError(LeakReport((Leak("file", "1 open file", None, "", 0, "file-9f2c31ab", "managed_file()"),)))
    >>> error.report.ok
    False
    """

    __module__ = "safemem"

    def __init__(self, report: LeakReport) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return str(self.report)
