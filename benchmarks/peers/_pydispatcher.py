"""PyDispatcher: a signal is any object, and everything goes through functions of a module."""

from __future__ import annotations

from collections.abc import Callable

from pydispatch import dispatcher

from benchmarks.keys import Thing
from benchmarks.peers import Peer, signals


class _Signal(Thing):
    """An object to be a signal, with the functions that are used with it."""

    __slots__ = ("connect", "disconnect", "send")

    def __init__(self, receivers: list[Callable[..., object]]) -> None:
        super().__init__(0)
        self.connect, self.disconnect, self.send = dispatcher.connect, dispatcher.disconnect, dispatcher.send
        for receiver in receivers:
            dispatcher.connect(receiver, self)


PEER = Peer(
    name="pydispatcher",
    distribution="pydispatcher",
    module="pydispatch.dispatcher",
    offers=signals(
        _Signal,
        {
            "emit": "c.send(c, None, k)",
            "connect": "c.connect(k, c); c.disconnect(k, c)",
            "connect method": "c.connect(k.hear, c); c.disconnect(k.hear, c)",
        },
    ),
)
