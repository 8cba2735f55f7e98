"""Logging handlers: added to a logger again and again, each is called for every line, and nobody removes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from safemem._graph import type_name
from safemem.leaks.probes.descriptors import descriptor_of
from safemem.leaks.probes.heap import loaded
from safemem.leaks.probes.item import Item, Room, attribute, members, pairs
from safemem.leaks.words import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["by_address", "look"]

_FIX: Final = "add it once, where the program starts; for a while only: ResourceScope().callback(logger.removeHandler, handler)"


def look(room: Room) -> Iterator[Item]:
    """Find the handlers of all loggers; the file of such a handler is part of it."""
    for name, logger in _loggers():
        for handler in members(attribute(logger, "handlers")):
            stream = attribute(handler, "stream")
            if stream is not None and attribute(handler, "baseFilename") is not None:
                room.claim(descriptor_of(stream))
            plain = plain_name(name)
            noun = f"{type_name(handler)} of logger {plain!r}"
            yield Item(
                (id(logger), id(handler)), "listener", noun, "", _FIX, id(handler), f"logging.getLogger({name!r}).handlers", group=noun
            )


def _loggers() -> list[tuple[str, Any]]:
    root: Any = loaded("logging", "root")
    if root is None:
        return []
    manager: Any = loaded("logging", "Logger").manager
    named = pairs(attribute(manager, "loggerDict"))
    return [("root", root), *((name, logger) for name, logger in named if type(name) is str)]


def by_address() -> dict[int, Any]:
    """Return all handlers of all loggers by address."""
    return {id(handler): handler for _, logger in _loggers() for handler in members(attribute(logger, "handlers"))}
