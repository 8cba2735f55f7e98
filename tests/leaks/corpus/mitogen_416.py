"""mitogen-hq/mitogen, issue 416: every call leaves a closure in the list of a signal."""

from __future__ import annotations

KINDS = ["listener", "closure"]
HOLDER = ["context", "_signals", "disconnect"]
FIX = ["Signal", "weak_callback"]


class Context:
    def __init__(self) -> None:
        self._signals: dict[str, list[object]] = {"disconnect": []}

    def call(self, reply: list[int], *, unsubscribe: bool) -> None:
        def on_disconnect() -> None:
            reply.clear()

        self._signals["disconnect"].append(on_disconnect)
        if unsubscribe:
            self._signals["disconnect"].remove(on_disconnect)


context = Context()
mended_context = Context()


def leak() -> None:
    context.call([1, 2], unsubscribe=False)


def mended() -> None:
    mended_context.call([1, 2], unsubscribe=True)
