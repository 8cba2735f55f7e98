"""The listener that nobody removed: views of open files connected to an event bus with strong listeners, against a Signal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha256

from safemem import Signal
from safemem.demo.corpus import Corpus
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Row, Way, more_than

OPEN = 24

Listener = Callable[[str, int], object]


class Bus:
    """Events by name, each with a list of listeners: what most programs have somewhere."""

    def __init__(self) -> None:
        self.listeners: dict[str, list[Listener]] = {}

    def subscribe(self, event: str, listener: Listener) -> None:
        """Call it for every event of this name."""
        self.listeners.setdefault(event, []).append(listener)

    def publish(self, event: str, path: str, lines: int) -> None:
        """Tell all listeners."""
        for listener in list(self.listeners.get(event, ())):
            listener(path, lines)


class View(Counted):
    """A file in an editor, which shows how many of the files opened after it are longer, for as long as it is open."""

    __slots__ = ("is_open", "lines", "longer", "path", "text")

    def __init__(self, corpus: Corpus, path: str) -> None:
        self.path = path
        self.text = corpus.read(path)
        self.lines = self.text.count(b"\n")
        self.longer = 0
        self.is_open = True

    def see(self, _path: str, lines: int) -> None:
        """Hear of another file; one that is closed hears for nothing."""
        if self.is_open and lines > self.lines:
            self.longer += 1


bus = Bus()
opened: Signal[str, int] = Signal(name="opened")


def subscribe_usual(view: View) -> None:
    """Add a bound method to the list, which keeps the view."""
    bus.subscribe("opened", view.see)


def publish_usual(path: str, lines: int) -> None:
    """Tell all views there ever were."""
    bus.publish("opened", path, lines)


def subscribe_safemem(view: View) -> None:
    """Connect a bound method, which does not keep the view."""
    opened.connect(view.see)


def publish_safemem(path: str, lines: int) -> None:
    """Tell all views there are."""
    opened.emit(path, lines)


def open_all(job: Job, subscribe: Callable[[View], None], publish: Callable[[str, int], None]) -> Answer:
    """Open one file after the other, tell those that are open, and close the oldest; closing forgets to unsubscribe."""
    tabs: deque[View] = deque()
    shown: list[tuple[str, int]] = []

    def close() -> None:
        view = tabs.popleft()
        view.is_open = False
        shown.append((view.path, view.longer))

    for path in job.each(job.corpus.paths):
        view = View(job.corpus, path)
        publish(path, view.lines)
        subscribe(view)
        tabs.append(view)
        if len(tabs) > OPEN:
            close()
    while tabs:
        close()
    digest = sha256(repr(shown).encode("utf-8", "backslashreplace"))
    return {"views": len(shown), "longer files seen": sum(longer for _, longer in shown), "digest": digest.hexdigest()}


ROW = Row(
    name="listener",
    title="The listener that nobody removed",
    counts=View,
    unit="views",
    usual=Way("a bus of strong listeners", lambda job: open_all(job, subscribe_usual, publish_usual), bus.listeners.clear),
    safemem=Way("Signal()", lambda job: open_all(job, subscribe_safemem, publish_safemem), opened.clear),
    promise="no view that is closed",
    excess=lambda left: more_than(0, left.live, "views"),
)
