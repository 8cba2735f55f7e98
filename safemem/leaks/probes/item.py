"""What a probe sees: items made of strings and numbers, and the room in which probes look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from safemem._graph import attributes_of, class_of, mro_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from safemem.leaks.probes.heap import Heap

__all__ = ["Descriptor", "Item", "Room", "attribute", "derives", "members", "pairs", "text"]


class Descriptor(NamedTuple):
    """One open descriptor."""

    number: int
    kind: str  # as in `Leak.kind`
    noun: str
    target: str  # what it leads to, as far as the system tells
    file: tuple[int, int]  # device and inode


class Item(NamedTuple):
    """Something that is open, alive or left behind."""

    key: Hashable  # tells it from others in another snapshot
    kind: str  # as in `Leak.kind`
    noun: str  # "open file": items of one kind and noun are counted together
    name: str  # of this one: a path, a number; "" if it has none
    fix: str
    owner: int = 0  # the address of the object it belongs to; 0 if there is none
    holder: str = ""  # if it is not an object that holds it
    where: str | None = None  # it was made
    bytes: int = 0
    group: str = ""  # what of the name is the same in every run


class Room:
    """Where probes look at one moment: the heap's objects of interest, and which descriptors and threads are parts of something bigger."""

    __slots__ = ("descriptors", "heap", "open", "owners", "threads")

    def __init__(self, heap: Heap) -> None:
        self.heap = heap
        self.open: list[Descriptor] = []  # all of the process
        self.owners: dict[int, Any] = {}  # the object that each descriptor belongs to
        self.descriptors: set[int] = set()  # that belong to what has been found already
        self.threads: set[int] = set()  # likewise, by address

    def claim(self, *descriptors: Any) -> None:
        """Say that these descriptors are parts of what was found, and no leaks of their own."""
        self.descriptors.update(number for number in descriptors if type(number) is int and number >= 0)


def attribute(obj: object, name: str) -> Any:
    """Return what stands in an object's own dict under a name, or None; no code of the object is run."""
    namespace = attributes_of(obj)
    return None if namespace is None else namespace.get(name)


def derives(obj: object, kind: object) -> bool:
    """Whether an object's class is `kind` or derived from it; no metaclass is asked."""
    return any(base is kind for base in cast("tuple[object, ...]", mro_of(class_of(obj))))


def members(collection: Any) -> list[Any]:
    """Return what is in a list or set, of exactly these types; [] for anything else."""
    kind = class_of(collection)
    return [*collection] if kind is list or kind is set else []


def text(value: Any) -> str:
    """Return a value that is exactly a str; "" for anything else."""
    return value if class_of(value) is str else ""


def pairs(mapping: Any) -> list[tuple[Any, Any]]:
    """Return the keys and values of a dict, of exactly this type; [] for anything else."""
    return [*mapping.items()] if class_of(mapping) is dict else []
