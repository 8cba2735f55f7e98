"""Observable: which attributes of a class are fields."""

from __future__ import annotations

import dataclasses
import functools
import typing as t
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Final, Generic, Protocol, TypeVar
from typing import ClassVar as PerClass

import pytest
from helpers.listeners import Listener

from safemem import Observable, Signal

T = TypeVar("T")


class Setter:
    """A descriptor that can be called, and knows of assignment only."""

    def __set__(self, obj, value): ...
    def __call__(self): ...


class Mixin:
    mixed: int = 0


class Many(Mixin, Observable, Generic[T]):
    own: T
    text: "str" = ""  # noqa: UP037
    listing: list[int] = []
    unknown: NeverDefined = None  # type: ignore[name-defined]  # noqa: F821
    raising: 1 / 0 = None  # type: ignore[valid-type]
    called: functools.partial = print
    function: t.Callable = lambda self: 1
    method: t.Callable = str.upper
    setter: int = Setter()
    per_class: ClassVar[int] = 0
    aliased: PerClass[int] = 0
    dotted: t.ClassVar = 0
    quoted: "ClassVar[int]" = 0  # noqa: UP037
    final: Final[int] = 0
    noted: Annotated[ClassVar[int], "note"] = 0
    noted_field: Annotated[int, "note"] = 0
    init: dataclasses.InitVar[int] = 0
    changed: Signal[int] = Signal()
    computed: int
    cached: int
    _private: int = 0
    __mangled: int = 0
    unannotated = 0

    @property
    def computed(self) -> int:
        return 1

    @functools.cached_property
    def cached(self) -> int:
        return 1


class Override(Many[int]):
    text: ClassVar[str] = ""
    listing = property(lambda self: [])
    called = None
    per_class: int = 0


FIELDS = ["mixed", "own", "text", "listing", "unknown", "raising", "called", "function", "method", "noted_field"]
NO_FIELDS = [
    "per_class",
    "aliased",
    "dotted",
    "quoted",
    "final",
    "noted",
    "init",
    "changed",
    "computed",
    "cached",
    "_private",
    "unannotated",
]


@pytest.mark.parametrize("name", FIELDS)
def test_public_annotated_attributes_are_fields(name):
    """Whatever their annotations are, none of which is evaluated."""
    obj, listener = Many(), Listener()
    obj.observe(name, listener.hear)
    new = object()
    setattr(obj, name, new)
    assert [(told[0], told[2]) for told in listener.heard] == [(name, new)]


@pytest.mark.parametrize("name", [*NO_FIELDS, "_Many__mangled", "observe", "MISSING", "nothing", "__doc__", ""])
def test_other_attributes_are_not(name):
    """AttributeError, which names the fields there are; nothing was done to the instance or the class."""

    class Fresh(Many[int]):
        pass

    obj = Fresh()
    with pytest.raises(AttributeError) as caught:
        obj.observe(name, print)
    assert str(caught.value) == (
        "name must be that of a field of test_other_attributes_are_not.<locals>.Fresh, a public annotated attribute"
        f" ({', '.join(map(repr, ['mixed', 'own', *FIELDS[2:]]))}), got {name!r}"
    )
    assert vars(obj) == {}
    assert "__setattr__" not in vars(Fresh)


def test_a_subclass_has_the_last_word():
    """What it declares anew, makes a property, or gives another default."""
    obj = Override()
    for name in ("text", "listing"):
        with pytest.raises(AttributeError, match="name must be that of a field of Override"):
            obj.observe(name, print)
    for name in ("called", "per_class"):
        obj.observe(name, print)


def test_annotations_that_are_no_text():
    """Evaluated by the class statement, as they are without the future import."""
    annotations = {
        "a": int,
        "b": ClassVar[int],
        "c": ClassVar,
        "d": Final[int],
        "e": Final,
        "f": Annotated[ClassVar[int], 1],
        "g": Annotated[int, 1],
        "h": dataclasses.InitVar[int],
        "i": None,
        "j": list[int],
        "k": 5,
    }
    kind = type("Kind", (Observable,), {"__annotations__": annotations})
    obj = kind()
    for name in annotations:
        if name in "agijk":
            obj.observe(name, print)
        else:
            with pytest.raises(AttributeError, match=r"\('a', 'g', 'i', 'j', 'k'\)"):
                obj.observe(name, print)


def test_a_class_without_fields():
    """Says so."""
    with pytest.raises(AttributeError, match=r"\(of which there are none\), got 'x'"):
        Observable().observe("x", print)


def test_properties_work_as_before():
    """Also in a class of which somebody observes an instance."""
    obj = Override()
    obj.observe("mixed", print)
    assert (obj.computed, obj.cached, obj.listing) == (1, 1, [])
    with pytest.raises(AttributeError):
        obj.listing = 5
    obj.unannotated = obj._private = 3
    assert (obj.unannotated, obj._private) == (3, 3)


def test_abstract_classes_protocols_and_generics():
    """It is a plain base class, without a metaclass."""

    class Shape(Observable, ABC):
        sides: int = 0

        @abstractmethod
        def area(self): ...

    class HasSides(Protocol):
        sides: int

    class Square(Shape, HasSides):
        def area(self):
            return 1

    obj, listener = Square(), Listener()
    obj.observe("sides", listener.hear)
    obj.sides = 4
    assert listener.heard == [("sides", 0, 4)]
    assert type(Observable) is type
    assert isinstance(obj, Square)
    assert type(obj) is Square
