"""flacjacket/pywayland, issue 61: a listener that is removed stays in the signal"s list."""

from __future__ import annotations

KINDS = ["listener", "growth"]
HOLDER = ["display", "_link"]
FIX = ["Signal", "weak_callback"]


class Listener:
    def __init__(self) -> None:
        self.callback = self.notify
        self.signal: "Signal | None" = None

    def notify(self) -> None: ...

    def remove(self, *, wholly: bool) -> None:
        if wholly and self.signal is not None:
            self.signal._link.remove(self.callback)
        self.signal = self.callback = None


class Signal:
    def __init__(self) -> None:
        self._link: list[object] = []

    def add(self, listener: Listener) -> None:
        listener.signal = self
        self._link.append(listener.callback)


display = Signal()
mended_display = Signal()


def leak() -> None:
    listener = Listener()
    display.add(listener)
    listener.remove(wholly=False)


def mended() -> None:
    listener = Listener()
    mended_display.add(listener)
    listener.remove(wholly=True)
