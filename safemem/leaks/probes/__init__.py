"""Probes: what a program has open, alive or left behind, at two moments, and what of it came in between.

Each probe is one small module with a function `look`. A snapshot is made of strings and numbers: it keeps nothing alive, and no code of foreign objects
runs for it. Only where something is new does `compare()` look for the objects, to ask who holds them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from safemem.leaks.places import made_at
from safemem.leaks.probes import contents, descriptors, handlers, leftovers, loops, mappings, memory, processes, recording, threads, views
from safemem.leaks.probes.heap import Heap
from safemem.leaks.probes.item import Item, Room
from safemem.leaks.report import Leak
from safemem.leaks.words import readable_bytes, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from safemem.leaks.report import RetentionPath

__all__ = ["POOLED", "Snapshot", "compare", "native_leak", "snapshot"]

POOLED: Final = 16  # connections of one sort that a pool of a library may keep
_SHOWN: Final = 8  # of each sort, whose holder is looked for
_NATIVE: Final = 128 * 1024  # bytes between two snapshots that are worth a word
_RETAINED: Final = 16 * 1024 * 1024


class Snapshot(NamedTuple):
    """What there was at one moment."""

    items: dict[Hashable, Item]
    memory: memory.Memory
    recording: recording.Recording  # while it lives, new temporary files and shared memory are noted
    array_bytes: int = 0  # of all NumPy arrays


def snapshot(*, explain: bool = True) -> Snapshot:
    """Look with every probe. 0.5 ms, and for 1,000,000 objects 80 ms; with NumPy imported 150 ms more, with `explain` 500 ms more.

    With `explain=False` large Python objects are not weighed, so that `compare()` cannot tell native memory from theirs.
    """
    noting = recording.Recording()
    readings = memory.measure()
    if explain and readings.allocated is not None:
        explained, arrays = contents.large_and_arrays()
        readings = readings._replace(explained=explained)
    else:
        arrays = contents.arrays()
    return Snapshot({(item.kind, item.noun, item.key): item for item in _look(arrays)}, readings, noting, contents.bytes_of(arrays))


def _look(arrays: list[Any]) -> Iterator[Item]:
    room = Room(Heap())
    descriptors.survey(room)
    yield from handlers.look(room)  # each claims what is part of what it finds, so the order is from the biggest to its parts
    yield from processes.look(room)
    yield from loops.look(room)
    yield from threads.look(room)
    yield from mappings.look(room)
    yield from leftovers.look(room)
    yield from descriptors.look(room)
    yield from views.look(arrays)


def compare(
    before: Snapshot, after: Snapshot, *, name_holder: Callable[[object], RetentionPath | None], repeated: bool = False
) -> list[Leak]:
    """Return what there is more of `after` than `before`, each with who holds it; [] if nothing grew.

    What took the place of something of the same sort that has gone is no growth. `name_holder` is called with the objects that are new, a few of each
    sort. Native memory is reported only if the snapshots lie around one of several equal rounds (`repeated=True`): a program that runs once
    has every reason to allocate some.
    """
    grown = list(_grown(before.items, after.items))
    if not repeated:
        grown = _without_pools(grown)
    found = _named(grown, name_holder) if grown else []
    if not repeated:
        found = [leak for leak in found if leak.kind != "listener" or leak.count > 1]  # one handler is how logging is set up
    found += _retained(before.memory, after.memory)
    if repeated and not any(leak.is_failure for leak in found):  # else it is theirs: buffers of files, pages of databases
        found += _native(before.memory, after.memory)
    return found


def _grown(before: dict[Hashable, Item], after: dict[Hashable, Item]) -> Iterator[Item]:
    """Yield what is new, of each sort as many as there are more now; the latest of them."""
    new = [after[key] for key in after.keys() - before.keys()]
    gone = [before[key] for key in before.keys() - after.keys()]
    for sort in dict.fromkeys((item.kind, item.noun) for item in new):
        these = [item for item in new if (item.kind, item.noun) == sort]
        more = len(these) - sum((item.kind, item.noun) == sort for item in gone)
        yield from these[:more] if more > 0 else ()


def _without_pools(grown: list[Item]) -> list[Item]:
    """Leave out the few files and sockets of a sort that an installed library opened: its pool of connections, the fonts that it uses."""
    theirs = [item for item in grown if recording.is_opened_by_library(item.kind, item.name, item.owner)]
    many = {noun for noun, count in Counter(item.noun for item in theirs).items() if count > POOLED}
    return [item for item in grown if item not in theirs or item.noun in many]


# -- who holds it -----------------------------------------------------------------------------------------------------------------------------


class _Sort:
    """Items that are one leak: of one kind, held by one holder, made at one place."""

    def __init__(self, item: Item, path: RetentionPath | None, holder: str, where: str | None) -> None:
        self.items = [item]
        self.path = path
        self.holder = holder
        self.where = where

    def as_leak(self) -> Leak:
        first = self.items[0]
        names = sorted({item.name for item in self.items if item.name})
        shown = f": {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else ""
        count = len(self.items)
        size = sum(item.bytes for item in self.items)
        signature = signature_of(first.kind, first.noun, self.holder or first.group, _file_of(self.where))
        what = f"{count} {_plural(first.noun) if count > 1 else first.noun}{shown}"
        return Leak(first.kind, what, self.where, self.holder, size, signature, first.fix, self.path, count)


def _plural(noun: str) -> str:
    """Write more than one of it: what comes behind the first `of` stays as it is."""
    head, of, rest = noun.partition(" of ")
    head = f"{head[:-1]}ies" if head.endswith(("ory", "ery")) else f"{head}es" if head.endswith(("s", "ss")) else f"{head}s"
    return f"{head}{of}{rest}"


def _file_of(where: str | None) -> str:
    """Return the name of the file: its directory and the line differ between machines and versions, and it is the same leak."""
    return (where or "").rpartition(":")[0].replace("\\", "/").rpartition("/")[2]


def _named(grown: Iterable[Item], name_holder: Callable[[object], RetentionPath | None]) -> list[Leak]:
    grown = list(grown)
    wanted = {item.owner for item in grown if item.owner}
    objects = _objects(wanted) if wanted else {}
    sorts: dict[Hashable, _Sort] = {}
    asked: dict[tuple[str, str], int] = {}
    for item in grown:
        number = asked[item.kind, item.noun] = asked.get((item.kind, item.noun), 0) + 1
        owner = objects.get(item.owner)
        where = item.where or (None if owner is None else made_at(owner)) or recording.opened_at(item.kind, item.name, item.owner)
        known = next((sort for sort in sorts.values() if (sort.items[0].kind, sort.items[0].noun) == (item.kind, item.noun)), None)
        if number > _SHOWN and known is not None:
            known.items.append(item)
            continue
        path = name_holder(owner) if owner is not None and not item.holder else None
        holder = item.holder or (path.holder if path else _NOBODY if item.owner else "")
        key = (item.kind, item.noun, signature_of("", holder), where, "" if holder else item.group)
        if key in sorts:
            sorts[key].items.append(item)
        else:
            sorts[key] = _Sort(item, path, holder, where)
    objects.clear()
    return [sort.as_leak() for sort in sorts.values()]


_NOBODY: Final = "nothing that can be reached: a reference cycle that was not collected, or code in C"


def _objects(wanted: set[int]) -> dict[int, Any]:
    """Return the objects at these addresses, as far as they are still what probes look for."""
    found = {address: obj for address, obj in Heap().by_address().items() if address in wanted}
    found |= {address: obj for address, obj in threads.by_address().items() if address in wanted}
    found |= {address: obj for address, obj in handlers.by_address().items() if address in wanted}
    if wanted - found.keys():
        found |= {id(array): array for array in contents.arrays() if id(array) in wanted}
    return found


# -- memory -----------------------------------------------------------------------------------------------------------------------------------


def _native(before: memory.Memory, after: memory.Memory) -> Iterator[Leak]:
    readings = (before.allocated, after.allocated, before.explained, after.explained)
    if None in readings:
        return
    allocated, explained = (after.allocated or 0) - (before.allocated or 0), (after.explained or 0) - (before.explained or 0)
    unexplained = allocated - max(explained, 0)
    if unexplained >= _NATIVE and unexplained * 8 >= allocated:
        yield native_leak(unexplained)


def native_leak(size: int) -> Leak:
    """Return the leak of so many bytes that the C library has handed out and no Python object explains."""
    what = f"{readable_bytes(size)} more in use in the C library's heap, and no Python object of that size"
    holder = "an extension written in C, or a library it uses"
    return Leak("native", what, None, holder, size, signature_of("native", "heap"), _FIX_OF_NATIVE)


_FIX_OF_NATIVE: Final = (
    "close what wraps it: managed(obj, close=...), finalize(obj, free, handle); or run the call in a process of its own: run_isolated(func). "
    "`memray run --native` names the C function"
)


def _retained(before: memory.Memory, after: memory.Memory) -> Iterator[Leak]:
    if before.free is None or after.free is None or before.resident is None or after.resident is None:
        return
    free = min(after.free - before.free, after.resident - before.resident)
    if free >= _RETAINED:
        what = f"{readable_bytes(free)} are free and were not given back to the system"
        holder = "the C library's allocator: no object holds it, and it is used again when the program needs memory"
        yield Leak("retained", what, None, holder, free, signature_of("retained", "heap"), _FIX_OF_RETAINED)


_FIX_OF_RETAINED: Final = (
    "trim() gives it back; MALLOC_ARENA_MAX=2 in the environment keeps less; run_isolated(func) for a call that needs much memory once"
)
