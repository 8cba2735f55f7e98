"""Watching a program in production: a thread that takes a few cheap readings, and looks closer only when they rise for long."""

from __future__ import annotations

from _queue import Empty
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from safemem._finalize import attach
from safemem.core import report_unraisable
from safemem.core._background import LONGEST_SLEEP, PATIENCE, Post, Shift, seconds_of
from safemem.leaks.picture import Picture, picture_of_open
from safemem.leaks.readings import Reader, Reading
from safemem.leaks.trend import is_rising, parse_slope, slope_of
from safemem.leaks.words import readable_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from typing import Protocol, Self

    from safemem.leaks.report import LeakReport

    class Exporter(Protocol):
        """What hands readings on: `safemem.leaks.exporters` has some."""

        def begin(self) -> object: ...
        def tell(self, reading: Reading, slope: float) -> object: ...
        def alert(self, alert: Alert) -> object: ...
        def end(self) -> object: ...


__all__ = ["Alert", "monitor"]

_WINDOW: Final = 30  # readings that the slope is about
_LEAST: Final = 512 * 1024  # bytes that memory must rise by in a window, whatever the slope: short intervals are noisy
_LOOKS: Final = 4  # at the heap, after the first one: one a tick


@dataclass(frozen=True, slots=True)
class Alert:
    """What a monitor tells when it is alarmed; `str(alert)` has it all in words.

    Attributes:
        kind: `rss`, `fds` or `threads`.
        message: what rises or is too much, and how fast, in one sentence.
        value: bytes a second, or how many there are.
        limit: what was allowed, in the same unit.
        readings: the readings that led to it, the latest last.
        report: the picture of why: what grew while it looked, who holds it, and what mends it.
    """

    kind: str
    message: str
    value: float
    limit: float
    readings: tuple[Reading, ...]
    report: LeakReport

    def __str__(self) -> str:
        return f"{self.message}\n\n{self.report}"


class monitor:  # noqa: N801 - reads as what it does: `with monitor(30):`
    """Watch this process, and tell when it leaks: every `interval` seconds a few cheap readings in a daemon thread.

    The resident memory is judged by its slope over the last 30 readings (the Theil-Sen estimate, which outliers and a saw-tooth do not mislead), in
    the whole window and still in its later half, and not before there are 8. If it rises too fast, the heap is looked at in the next ticks;
    if it still rises at the fourth, `on_alert` is called with an `Alert` whose `report` says what grew in between and who holds it. It is called again
    only after the rise had an end. A tick takes less than 0.5 ms however large the heap is; a look takes a second or so for
    1,000,000 objects, and other threads wait meanwhile.

    A context manager, or `start()` and `stop()`, which may be called any number of times and from any thread. The thread is never in the way of the
    program's end; it ends when this object is dropped. In a forked child it is not running, and may be started there.

    Args:
        interval: seconds between two ticks, finite and > 0, or a timedelta.
        rss_slope: how fast the resident memory may rise: "1MB/min", a number of bytes a second, or None for as fast as it likes.
        fds: how many descriptors may be open; None for any number.
        threads: how many Python threads may be alive; None for any number.
        on_alert: called with an `Alert`, in the monitor's thread; what it raises goes to `sys.unraisablehook`. None: a warning of
            the logger "safemem".
        exporters: what gets every reading: `safemem.leaks.exporters.prometheus()`, `opentelemetry()`.
        timer: the clock.

    Raises:
        ValueError: an interval, slope or number that is not finite and > 0, or a slope not like "1MB/min".
        TypeError: an argument of another type, an `on_alert` that cannot be called.

    >>> with monitor(30, rss_slope="5MB/min", fds=1000) as watching:
    ...     watching
    <monitor: every 30 s, running>
    >>> watching.tick().threads >= 1
    True
    """

    __module__ = "safemem"
    __slots__ = ("__weakref__", "_watch")

    def __init__(
        self,
        interval: float | timedelta = 30,
        *,
        rss_slope: str | float | None = "1MB/min",
        fds: int | None = None,
        threads: int | None = None,
        on_alert: Callable[[Alert], object] | None = None,
        exporters: Iterable[Exporter] = (),
        timer: Callable[[], float] = monotonic,
    ) -> None:
        if on_alert is not None and not callable(on_alert):
            raise TypeError(f"on_alert must be callable or None, got {on_alert!r}")
        limits = {"fds": _count("fds", fds), "threads": _count("threads", threads)}
        slope = None if rss_slope is None else parse_slope("rss_slope", rss_slope)
        self._watch = _Watch(seconds_of(interval), slope=slope, limits=limits, on_alert=on_alert, exporters=tuple(exporters), timer=timer)

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        return self._watch.interval

    @property
    def running(self) -> bool:
        """Whether the thread runs, in this process."""
        return self._watch.runs()

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The latest readings, 30 at most, the last one last."""
        return tuple(self._watch.readings)

    @property
    def slope(self) -> float:
        """How fast the resident memory rises, in bytes a second, by the latest readings; 0.0 while there are not two."""
        return self._watch.slope()

    def tick(self) -> Reading:
        """Take a reading and judge it now, in this thread; for programs that have a loop of their own and want no other thread."""
        return self._watch.tick()

    def start(self) -> None:
        """Start the thread, unless it runs."""
        self._watch.start(self)

    def stop(self, timeout: float = PATIENCE) -> bool:
        """Stop the thread and wait until it has ended, `timeout` seconds at most; return whether it has.

        It has not if a callback takes longer; called from `on_alert` it does not wait.
        """
        return self._watch.stop(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __reduce__(self) -> Any:
        raise TypeError("cannot copy or pickle 'monitor' object: its thread cannot be copied")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: every {self.interval:g} s, {'running' if self.running else 'stopped'}>"


class _Watch:
    """What a monitor shares with its thread. The lock is held for a moment, never while callbacks run."""

    def __init__(
        self,
        interval: float,
        *,
        slope: float | None,
        limits: dict[str, int | None],
        on_alert: Callable[[Alert], object] | None,
        exporters: tuple[Exporter, ...],
        timer: Callable[[], float],
    ) -> None:
        self.interval = interval
        self.readings: deque[Reading] = deque(maxlen=_WINDOW)
        self._limit = slope
        self._limits = limits
        self._on_alert = on_alert
        self._exporters = exporters
        self._reader = Reader(timer)
        self._post = Post("safemem-monitor")
        self._alarmed: set[str] = set()  # kinds of which it was told, until they are as they should be
        self._picture: Picture | None = None
        self._looked = 0  # ticks since the first look

    def runs(self) -> bool:
        return self._post.runs()

    def slope(self) -> float:
        readings = [each for each in tuple(self.readings) if each.rss is not None]
        return slope_of([each.time for each in readings], [each.rss or 0 for each in readings])

    def start(self, owner: monitor) -> None:
        with self._post.lock:
            if self.runs():
                return
            self.readings.clear()  # a time when nobody looked is no part of a slope
            shift = Shift(owner)
            self._post.begin(shift, _work, self)
        for exporter in self._exporters:
            exporter.begin()
        if self._exporters:
            attach(shift, _end, self._exporters)

    def stop(self, timeout: float) -> bool:
        shift = self._post.end()
        if shift is None:
            return True
        _end(self._exporters)
        return shift.wait(timeout)

    def rest(self) -> None:
        """Leave no audit running when nobody ticks any more."""
        with suppress(RuntimeError):  # it was stopped in between
            self._drop_picture()

    # -- one tick -------------------------------------------------------------------------------------------------------------------------

    def tick(self) -> Reading:
        reading = self._reader.read()
        self.readings.append(reading)
        if self._exporters:
            slope = self.slope()
            for exporter in self._exporters:
                exporter.tell(reading, slope)
        for kind, limit in self._limits.items():
            self._judge_number(kind, getattr(reading, kind), limit)
        if self._limit is not None:
            self._judge_slope(self._limit)
        return reading

    def _judge_number(self, kind: str, number: int | None, limit: int | None) -> None:
        if number is None or limit is None or number <= limit:
            self._alarmed.discard(kind)
        elif kind not in self._alarmed:
            what = "descriptors are open" if kind == "fds" else "threads are alive"
            message = f"{number} {what}, and {limit} may be"
            self._alert(kind, message, number, limit, picture_of_open(kind))

    def _judge_slope(self, limit: float) -> None:
        """Look at the heap when memory rises, and again some ticks later; tell if it has not stopped by then."""
        readings = [each for each in tuple(self.readings) if each.rss is not None]
        times, sizes = [each.time for each in readings], [each.rss or 0 for each in readings]
        if not is_rising(times, sizes, limit, _LEAST):
            self._alarmed.discard("rss")
            self._drop_picture()
        elif "rss" not in self._alarmed:
            if self._picture is None:
                self._picture, self._looked = Picture(), 0
                return
            self._looked += 1
            if self._looked < _LOOKS:
                self._picture.look()
            else:
                picture, self._picture = self._picture, None
                slope = slope_of(times, sizes)
                pace = f"{readable_bytes(round(slope * 60))} a minute"
                message = f"resident memory rises by {pace}, and {readable_bytes(round(limit * 60))} may be; it is {readable_bytes(sizes[-1])} now"
                self._alert("rss", message, slope, limit, picture.finish())

    def _drop_picture(self) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            picture.drop()

    def _alert(self, kind: str, message: str, value: float, limit: float, report: LeakReport) -> None:
        self._alarmed.add(kind)
        alert = Alert(kind, message, value, limit, tuple(self.readings), report)
        for exporter in self._exporters:
            exporter.alert(alert)
        if self._on_alert is not None:
            self._on_alert(alert)
        else:
            import logging

            logging.getLogger("safemem").warning("%s", alert)


def _work(watch: _Watch, shift: Shift) -> None:
    due = monotonic()
    while shift.goes_on():
        try:
            shift.bell.get(timeout=max(0.0, min(due - monotonic(), LONGEST_SLEEP)))
        except Empty:
            if monotonic() >= due:
                _tick(watch)
                due = monotonic() + watch.interval  # after a long look the next tick is not at once
    watch.rest()


def _tick(watch: _Watch) -> None:
    try:
        watch.tick()
    except BaseException as error:  # noqa: BLE001 - of a callback or an exporter; the next tick comes all the same
        report_unraisable(error)


def _end(exporters: tuple[Exporter, ...]) -> None:
    for exporter in exporters:
        exporter.end()


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int:
        raise TypeError(f"{name} must be an int or None, got {value!r}")
    if value <= 0:
        raise ValueError(f"{name} must be > 0, got {value!r}")
    return value
