"""Event loops that were not closed, and tasks that nobody waited for."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import type_name
from safemem.leaks.places import place_of_code
from safemem.leaks.probes.descriptors import descriptor_of, descriptor_of_selector
from safemem.leaks.probes.heap import loaded
from safemem.leaks.probes.item import Item, Room, attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["look"]

_FIX_OF_LOOP: Final = "asyncio.run() or asyncio.Runner: the loop is closed in every way the block can end"
_FIX_OF_TASK: Final = "asyncio.TaskGroup: it ends when its tasks have; or cancel the task in close() of a Disposable"


def look(room: Room) -> Iterator[Item]:
    """Find open loops and waiting tasks; a loop's descriptors are parts of it, as are the pipes of a child process of asyncio."""
    for loop in room.heap.of("BaseEventLoop"):
        if attribute(loop, "_closed") is False:
            room.claim(*_descriptors(loop))
            yield Item(id(loop), "event_loop", "open event loop", type_name(loop), _FIX_OF_LOOP, id(loop))
    kind: Any = loaded("asyncio", "Task")
    for task in room.heap.of("Task"):
        if not kind.done(task):
            yield _task(kind, task)


def _descriptors(loop: Any) -> list[int]:
    own = [descriptor_of(attribute(loop, name)) for name in ("_ssock", "_csock")]
    return [*own, descriptor_of_selector(attribute(loop, "_selector"))]


def _task(kind: Any, task: Any) -> Item:
    coroutine: Any = kind.get_coro(task)
    code = coroutine.cr_code if type(coroutine) is CoroutineType else None
    name = "" if code is None else code.co_qualname
    return Item(id(task), "event_loop", "waiting task", name, _FIX_OF_TASK, id(task), where=code and place_of_code(code), group=name)
