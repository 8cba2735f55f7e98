"""flexxui/flexx, pull request 202: handlers keep the objects whose methods they call."""

from __future__ import annotations

import weakref
from collections.abc import Callable

KINDS = ["listener"]
HOLDER = ["relay", "handlers", "on_message"]
FIX = ["Signal", "weak_callback"]


class Relay:
    def __init__(self) -> None:
        self.handlers: dict[int, Callable[[], object]] = {}
        self.connected = 0

    def connect(self, handler: Callable[[], object]) -> None:
        self.connected += 1
        self.handlers[self.connected] = handler

    def tidy(self) -> None:
        for number, handler in [*self.handlers.items()]:
            if isinstance(handler, weakref.WeakMethod) and handler() is None:
                del self.handlers[number]


class Room:
    def __init__(self) -> None:
        self.messages = [0] * 20

    def on_message(self) -> None: ...


relay = Relay()
weak_relay = Relay()


def leak() -> None:
    relay.connect(Room().on_message)


def mended() -> None:
    weak_relay.connect(weakref.WeakMethod(Room().on_message))
    weak_relay.tidy()
