"""weak_fields: everything a dataclass or attrs class has stays, and what cannot work is refused with words that help."""

from __future__ import annotations

import copy
import dataclasses
import gc
import inspect
import pickle
import weakref
from dataclasses import dataclass, field
from typing import Any, ClassVar

import attrs
import pytest
from helpers.collect import Thing, classes_are_collected
from helpers.weaknodes import DataSlots, Defined, DefinedFrozen, FrozenSlots, FrozenSlotsSubclass, family

from safemem import Disposable, TreeNode, WeakAttr, weak_fields


def test_fields_init_and_match_args_are_those_of_the_dataclass():
    """Names, order, defaults and the signature are what they were."""

    @dataclass(slots=True, weakref_slot=True)
    class Bare:
        name: str
        parent: Bare | None = None
        children: list[Any] = field(default_factory=list)

    assert [f.name for f in dataclasses.fields(DataSlots)] == [f.name for f in dataclasses.fields(Bare)]
    assert str(inspect.signature(DataSlots)).replace("DataSlots", "Bare") == str(inspect.signature(Bare))
    assert DataSlots.__match_args__ == ("name", "parent", "children")
    assert DataSlots.__slots__ == Bare.__slots__
    root, leaf = family(DataSlots)
    match leaf:
        case DataSlots(name, parent):
            assert (name, parent) == ("leaf 0", root)
    assert not hasattr(leaf, "__dict__")


def test_keyword_only_default_and_post_init():
    """Fields that are keywords, have defaults, or are set afterwards."""
    thing = Thing()

    @weak_fields("owner", "other")
    @dataclass(slots=True, weakref_slot=True, kw_only=True)
    class Part:
        count: ClassVar[int] = 0
        owner: Any
        other: Any = thing
        late: dataclasses.InitVar[Any] = None
        unset: Any = field(init=False, repr=False)

        def __post_init__(self, late):
            self.owner = late or self.owner

    part = Part(owner=thing)
    assert (part.owner, part.other) == (thing, thing)
    assert Part(owner=thing, late=part).owner is part
    assert not hasattr(part, "unset")
    with pytest.raises(TypeError):
        Part(thing)


def test_frozen_stays_frozen():
    """A frozen class keeps refusing, and the parent dies all the same."""
    for kind in (FrozenSlots, FrozenSlotsSubclass, DefinedFrozen):
        root, leaf = family(kind)
        with pytest.raises((dataclasses.FrozenInstanceError, attrs.exceptions.FrozenInstanceError)):
            leaf.parent = None
        with pytest.raises((dataclasses.FrozenInstanceError, attrs.exceptions.FrozenInstanceError)):
            del leaf.parent
        assert leaf.parent is root
        del root
        assert leaf.parent is None


@pytest.mark.parametrize("kind", [FrozenSlots, FrozenSlotsSubclass, DefinedFrozen])
def test_comparison_and_hash_leave_the_field_out(kind):
    """Nodes with the same content are equal, hash alike and sort the same whoever their parents are."""
    one, two = kind("root"), kind("other root")
    a, b, c = kind("a", one), kind("a", two), kind("b")
    assert a == b != c
    assert not a != b
    assert hash(a) == hash(b)
    assert hash(a) != hash(c)
    if kind is not FrozenSlotsSubclass:
        assert sorted([c, a]) == [a, c]
        assert a <= b < c >= a
        with pytest.raises(TypeError):
            assert a < 5
    assert a != "a"
    assert repr(a) == f"{kind.__name__}(name='a', children=[]{', extra=5' if kind is FrozenSlotsSubclass else ''})"


def test_generated_methods_know_who_they_are():
    """Names, modules and flags of what was made again."""
    assert DataSlots.__eq__.__qualname__ == "DataSlots.__eq__"
    assert DataSlots.__repr__.__module__ == DataSlots.__module__
    parent = next(f for f in dataclasses.fields(DataSlots) if f.name == "parent")
    assert (parent.compare, parent.repr) == (False, False)
    assert attrs.fields(Defined).parent.eq is False
    assert attrs.fields(Defined).name.eq is True


def test_methods_of_the_users_stay():
    """Comparison, repr and hash that the class defines itself are left alone; so is what was not to be generated."""

    @weak_fields("parent")
    @dataclass(slots=True, weakref_slot=True, eq=False)
    class Own:
        parent: Own | None = None

        def __repr__(self):
            return "own"

    @weak_fields("parent")
    @attrs.define
    class OwnAttrs:  # noqa: PLW1641
        parent: OwnAttrs | None = None

        def __eq__(self, other):
            return True

    assert repr(Own()) == "own"
    assert Own() != Own()
    assert OwnAttrs() == 5


def test_options_of_attrs_fields():
    """Keys of comparison, functions for repr, and what is left out already, hold on."""

    @weak_fields("parent")
    @attrs.define(order=True, unsafe_hash=True)
    class Part:
        name: str = attrs.field(eq=str.lower, order=str.lower, repr=str.upper)
        parent: Part | None = None
        secret: int = attrs.field(default=0, repr=False, eq=False)

    assert Part("A", secret=1) == Part("a", Part("b"))
    assert hash(Part("A")) == hash(Part("a"))
    assert Part("A") < Part("b")
    assert repr(Part("a")).endswith("Part(name=A)")


def test_validators_converters_and_hooks_of_attrs():
    """What attrs does when a field is set still happens."""
    seen = []

    @weak_fields("parent")
    @attrs.define
    class Part:
        parent: Any = attrs.field(default=None, validator=lambda self, attribute, value: seen.append(value))

    root = Part()
    leaf = Part(root)
    leaf.parent = leaf
    assert seen == [None, root, leaf]
    assert leaf.parent is leaf


def test_fields_of_a_base_class():
    """A subclass makes an inherited field weak for itself; the base class keeps its own, flags of its field too."""

    @dataclass(slots=True, weakref_slot=True)
    class Base:
        parent: Any = None

    @weak_fields("parent")
    @dataclass(slots=True)
    class Sub(Base):
        name: str = ""

    thing = Thing()
    other = Thing()
    base, sub = Base(thing), Sub(other)
    watch = weakref.ref(thing)
    assert dataclasses.fields(Base)[0].compare
    assert not dataclasses.fields(Sub)[0].compare
    del thing, other
    assert sub.parent is None
    assert base.parent is watch() is not None


def test_decorated_again():
    """Twice, on one class or below: with other fields, or another `on_dead`."""

    @weak_fields("one")
    @weak_fields("two", "two")
    @dataclass(slots=True, weakref_slot=True)
    class Part:
        one: Any = None
        two: Any = None

    @weak_fields("one", on_dead="raise")
    @dataclass(slots=True)
    class Sub(Part):
        one: Any = None

    thing = Thing()
    for part in (Part(thing, thing), Sub(thing, thing)):
        assert part.one is part.two is thing
    del thing
    assert part.two is None
    assert Part.one is not Sub.one
    with pytest.raises(ReferenceError):
        part.one
    assert Part(one=part).one is part


def test_on_dead():
    """As of a WeakAttr, with the class's own name in the message."""

    @weak_fields("owner", on_dead=lambda part: part.name)
    @attrs.define
    class Part:
        name: str
        owner: Any = None

    thing = Thing()
    part = Part("part", thing)
    assert part.owner is thing
    del thing
    assert part.owner == "part"
    with pytest.raises(ValueError, match="on_dead must be 'ignore', 'raise' or a callable, got 'no'"):
        weak_fields("owner", on_dead="no")


def make(decorator, **names):
    """A small class, decorated."""
    return decorator(type("Part", (), {"__annotations__": {"owner": "Any", "name": "str"}, "name": "", "owner": None, **names}))


class TestRefusals:
    """What cannot work is refused when the class is made, and the class stays what it was."""

    @pytest.mark.parametrize(
        "decorator", [dataclass, dataclass(slots=True, weakref_slot=True), attrs.define], ids=["dict", "slots", "attrs"]
    )
    def test_unknown_field(self, decorator):
        """The message names the class and the fields there are; the field before it is not made weak either."""
        cls = make(decorator)
        with pytest.raises(TypeError, match="^class Part has no field 'parent', it has 'owner', 'name'$"):
            weak_fields("owner", "parent")(cls)
        assert not isinstance(inspect.getattr_static(cls, "owner"), WeakAttr)

    @pytest.mark.parametrize("decorator", [lambda cls: cls, type], ids=["none", "type"])
    def test_not_outermost(self, decorator):
        """A class that is no dataclass yet cannot be decorated: the decorators stand in the wrong order, or a WeakAttr would do."""
        cls = make(lambda cls: cls)
        with pytest.raises(TypeError, match=r"must be the outermost decorator, above @dataclass or @attrs.define.*owner = WeakAttr\(\)"):
            weak_fields("owner")(cls)

    def test_a_dataclass_above(self):
        """One that makes slots of the weak field is found out."""
        with pytest.raises(TypeError, match=r"would drop the WeakAttr 'owner'.*@weak_fields\('owner'\) above"):
            dataclass(slots=True)(weak_fields("owner")(make(dataclass)))

    def test_a_weak_attr_in_a_dataclass_with_slots(self):
        """dataclasses would drop it without a word."""
        with pytest.raises(TypeError, match="would drop the WeakAttr 'owner' of class Part"):
            make(dataclass(slots=True), owner=WeakAttr())

    def test_class_variables_are_not_dropped(self):
        """An attribute that is annotated as no field stays what it is, with slots too."""
        for annotation in ("ClassVar[WeakAttr[Any]]", ClassVar[Any], "dataclasses.ClassVar", ClassVar):
            if annotation == "dataclasses.ClassVar":  # dataclasses takes this for a field
                with pytest.raises(TypeError, match="would drop"):
                    make(dataclass(slots=True), owner=WeakAttr(), __annotations__={"owner": annotation}, __module__=__name__)
                continue
            cls = make(
                dataclass(slots=True, weakref_slot=True),
                owner=WeakAttr(),
                __annotations__={"owner": annotation},
                __module__=__name__,
            )
            part, thing = cls(), Thing()
            part.owner = thing
            del thing
            assert part.owner is None

    def test_instances_that_cannot_be_referred_to(self):
        """A field for objects of the class itself, which lacks `__weakref__`; one for others is none of its business."""
        with pytest.raises(
            TypeError, match="field 'owner' is for objects of class Part, which cannot be weakly referenced.*weakref_slot=True"
        ):
            weak_fields("owner")(make(dataclass(slots=True), __annotations__={"owner": "Part | None"}))
        with pytest.raises(TypeError, match="weakref_slot=True"):
            weak_fields("owner")(make(attrs.define(weakref_slot=False), __annotations__={"owner": "Part | None"}))
        part, thing = weak_fields("owner")(make(dataclass(slots=True)))(), Thing()
        part.owner = thing
        assert part.owner is thing
        with pytest.raises(
            TypeError, match="Part.owner must be something that can be weakly referenced, got an object of type .*Part: add"
        ):
            part.owner = part

    @pytest.mark.parametrize("names", [(), (5,), ("owner", None)], ids=repr)
    def test_names(self, names):
        """At least one, and names."""
        with pytest.raises(TypeError, match=r"as in @weak_fields\('parent'\), got "):
            weak_fields(*names)

    def test_without_parentheses(self):
        """The class is no name of a field."""
        with pytest.raises(TypeError, match=r"as in @weak_fields\('parent'\), got <class"):
            weak_fields(DataSlots)

    def test_no_class(self):
        """Functions have no fields."""
        with pytest.raises(TypeError, match="weak_fields decorates classes, got 5"):
            weak_fields("owner")(5)


def test_asdict_where_it_ends():
    """Without a circle `asdict` is what it was."""
    root = DataSlots("root")
    assert dataclasses.asdict(DataSlots("leaf", root)) == {
        "name": "leaf",
        "parent": {"name": "root", "parent": None, "children": []},
        "children": [],
    }
    assert attrs.asdict(Defined("leaf")) == {"name": "leaf", "parent": None, "children": []}


def test_decorated_classes_are_collected():
    """Nothing remembers a class that was decorated."""
    watch = weakref.ref(weak_fields("owner")(make(dataclass(slots=True, weakref_slot=True))))
    gc.collect()
    assert watch() is None or not classes_are_collected()


class Owner:
    pass


@weak_fields("owner")
@dataclass(slots=True, weakref_slot=True, eq=False)
class DisposablePart(Disposable):
    owner: Any = None
    name: str = ""


@weak_fields("owner", on_dead="raise")
@dataclass(slots=True, eq=False)
class NodePart(TreeNode):
    owner: Any = None
    name: str = ""


@weak_fields("owner")
@dataclass(slots=True, frozen=True, eq=False)
class FrozenPart(TreeNode, Disposable):
    owner: Any = None
    name: str = ""


@weak_fields("owner")
@attrs.define(eq=False)
class AttrsPart(Disposable, TreeNode):
    owner: Any = None
    name: str = ""


@weak_fields("owner")
@attrs.frozen(eq=False)
class FrozenAttrsPart(TreeNode):
    owner: Any = None
    name: str = ""


@pytest.mark.parametrize("kind", [DisposablePart, NodePart, FrozenPart, AttrsPart, FrozenAttrsPart])
def test_beside_base_classes_with_copies_of_their_own(kind):
    """A deep copy leaves alone what was not copied along, and is linked to what was; a field whose object is gone is in nobody's way."""
    owner = Owner()
    part = kind(owner, "part")
    made = [copy.copy(part), copy.deepcopy(part), *copy.deepcopy([owner, part]), *reversed(copy.deepcopy([part, owner]))]
    made += pickle.loads(pickle.dumps([owner, part]))
    assert [each.name for each in made if type(each) is kind] == ["part"] * 5
    assert made[0].owner is made[1].owner is owner
    for there, here in (made[2:4], made[4:6], made[6:8]):
        assert here.owner is there is not owner
    if issubclass(kind, TreeNode):
        part.append(kind(owner, "below"))
        for twin in (copy.deepcopy(part), pickle.loads(pickle.dumps((part, owner)))[0]):
            assert [node.name for node in twin.walk()] == ["part", "below"]
        twin, heir = copy.deepcopy([part, owner])
        assert [node.owner is heir for node in twin.walk()] == [True, True]
        del twin, heir
    del owner, here, there, made
    for twin in (copy.copy(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        assert twin.name == "part"
        if kind is NodePart:
            with pytest.raises(ReferenceError):
                twin.owner
        else:
            assert twin.owner is None
    for each in [*part.walk()] if issubclass(kind, TreeNode) else [part]:
        if isinstance(each, Disposable):
            each.close()
