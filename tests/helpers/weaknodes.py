"""Every kind of class that can have a weak attribute: a node with a name, a weak parent and a list of children."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import attrs

from safemem import WeakAttr, weak_fields

T = TypeVar("T")


class Plain:
    """A class as most are."""

    parent = WeakAttr["Plain"]()

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        if parent is not None:
            self.parent = parent


class Inherits(Plain):
    """One that inherits the attribute."""


class Slotted:
    """Slots, and no `__dict__`."""

    __slots__ = ("__weakref__", "children", "name")
    parent = WeakAttr["Slotted"]()

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        if parent is not None:
            self.parent = parent


class SlottedSubclass(Slotted):
    """More slots below."""

    __slots__ = ("extra",)


class DictBelowSlots(Slotted):
    """Instances with a `__dict__` of a class whose base has slots."""


class Mixin:
    """Without slots of its own."""

    __slots__ = ()
    parent = WeakAttr["Mixin"]()


class Mixed(Mixin):
    """A plain class with the mixin."""

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        self.parent = parent


class MixedSlots(Mixin):
    """A slotted one."""

    __slots__ = ("__weakref__", "children", "name")

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        self.parent = parent


class Of(Plain, Generic[T]):
    """A generic class."""


class HasParent(Protocol):
    """A protocol with the attribute, for others to inherit."""

    parent = WeakAttr["HasParent"]()


class ByProtocol(HasParent):
    """One that inherits it."""

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        if parent is not None:
            self.parent = parent


class Abstract(ABC):
    """An abstract class with the attribute."""

    parent = WeakAttr["Abstract"]()

    @abstractmethod
    def visit(self) -> None: ...


class Concrete(Abstract):
    """What can be made of it."""

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        self.parent = parent

    def visit(self) -> None: ...


class Unhashable(list):
    """A builtin type with an equality of its own."""

    parent = WeakAttr["Unhashable"]()

    def __init__(self, name: str, parent: Any = None) -> None:
        super().__init__()
        self.name = name
        self.children: list[Any] = []
        self.parent = parent


class Proxying:
    """One that answers for everything it does not have."""

    parent = WeakAttr["Proxying"]()

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        if parent is not None:
            self.parent = parent

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda: name


@dataclass
class Data:
    """A field of a dataclass."""

    name: str
    parent: WeakAttr[Data] = WeakAttr()  # noqa: RUF009
    children: list[Any] = field(default_factory=list)


@dataclass
class DataField:
    """The same, said with `field()`."""

    name: str
    parent: Any = field(default=WeakAttr(), repr=False, compare=False)
    children: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    """A frozen dataclass."""

    name: str
    parent: WeakAttr[Frozen] = WeakAttr()  # noqa: RUF009
    children: list[Any] = field(default_factory=list, hash=False)


@dataclass(slots=True, weakref_slot=True)
class BesideSlots:
    """No field of a dataclass with slots, but an attribute beside them."""

    name: str
    parent = WeakAttr["BesideSlots"]()
    given: Any = field(default=None, repr=False, compare=False)
    children: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parent, self.given = self.given, None


@weak_fields("parent")
@dataclass(slots=True, weakref_slot=True)
class DataSlots:
    """A slot of a dataclass."""

    name: str
    parent: DataSlots | None = None
    children: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class DataSlotsSubclass(DataSlots):
    """With more fields below."""

    extra: int = 5


class DataSlotsPlainSubclass(DataSlots):
    """With a `__dict__` below."""


@weak_fields("parent")
@dataclass(slots=True, weakref_slot=True, frozen=True, order=True)
class FrozenSlots:
    """A slot of a frozen dataclass, which gathers its own state."""

    name: str
    parent: FrozenSlots | None = None
    children: list[Any] = field(default_factory=list, hash=False)


@dataclass(slots=True, frozen=True)
class FrozenSlotsSubclass(FrozenSlots):
    """Whose state is gathered by generated code of its own."""

    extra: int = 5


class FrozenSlotsPlainSubclass(FrozenSlots):
    """And one that inherits that."""


@weak_fields("parent")
@dataclass
class DataDict:
    """A dataclass without slots, decorated."""

    name: str
    parent: DataDict | None = None
    children: list[Any] = field(default_factory=list)


@weak_fields("parent")
@attrs.define
class Defined:
    """An attrs class: slots."""

    name: str
    parent: Defined | None = None
    children: list[Any] = attrs.field(factory=list)


@attrs.define
class DefinedSubclass(Defined):
    """With more fields below."""

    extra: int = 5


@weak_fields("parent")
@attrs.frozen(order=True)
class DefinedFrozen:
    """A frozen attrs class."""

    name: str
    parent: DefinedFrozen | None = None
    children: list[Any] = attrs.field(factory=list, hash=False)


@weak_fields("parent")
@attrs.define(slots=False)
class DefinedDict:
    """An attrs class without slots."""

    name: str
    parent: DefinedDict | None = None
    children: list[Any] = attrs.field(factory=list)


@weak_fields("parent")
class OwnSlots:
    """No dataclass at all, but a slot."""

    __slots__ = ("__weakref__", "children", "name", "parent")

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.children: list[Any] = []
        self.parent = parent


PLAIN = [Plain, Inherits, Of, ByProtocol, Mixed, Concrete, Unhashable, Proxying, Slotted, SlottedSubclass, DictBelowSlots, MixedSlots]
FIELDS = [Data, DataField, Frozen, BesideSlots, DataSlots, DataSlotsSubclass, DataSlotsPlainSubclass, FrozenSlots, FrozenSlotsSubclass]
FIELDS += [FrozenSlotsPlainSubclass, DataDict, Defined, DefinedSubclass, DefinedFrozen, DefinedDict]
FROZEN = [Frozen, FrozenSlots, FrozenSlotsSubclass, FrozenSlotsPlainSubclass, DefinedFrozen]
KINDS = [*PLAIN, *FIELDS, OwnSlots]


def family(kind: type, count: int = 2) -> list[Any]:
    """A root and its children."""
    root = kind("root")
    for number in range(count - 1):
        root.children.append(kind(f"leaf {number}", root))
    return [root, *root.children]
