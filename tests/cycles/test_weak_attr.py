"""WeakAttr and weak fields: what every kind of class with one does the same."""

from __future__ import annotations

import gc
import weakref
from typing import Protocol, runtime_checkable

import pytest
from helpers.collect import Thing, classes_are_collected, freed_by_count, no_cyclic_garbage
from helpers.threads import run_threads, switching_often
from helpers.weaknodes import FROZEN, KINDS, PLAIN, Plain, Slotted, family

from safemem import SafememError, WeakAttr

CHANGEABLE = [kind for kind in KINDS if kind not in FROZEN]


def ids(kinds):
    """Names for the list of tests."""
    return [kind.__name__ for kind in kinds]


@pytest.mark.parametrize("kind", KINDS, ids=ids(KINDS))
class TestEveryKind:
    """What is true of each, whatever makes the class."""

    def test_does_not_keep_the_parent(self, kind):
        """Reading gives the parent, and None once it is gone, which its last strong reference decides."""
        with freed_by_count() as watched:
            root, leaf = family(kind)
            assert leaf.parent is root
            watched.append(weakref.ref(root))
            del root
            assert watched[0]() is None
            assert leaf.parent is None

    def test_starts_with_nothing(self, kind):
        """Nothing was assigned: None."""
        assert kind("root").parent is None

    def test_a_tree_is_freed_by_count(self, kind):
        """Parents and children, with the collector off, on a tree three levels deep."""
        with no_cyclic_garbage(), freed_by_count() as watched:
            root, first, second = family(kind, 3)
            first.children.append(kind("below", first))
            watched.extend(map(weakref.ref, [root, first, second, first.children[0]]))
            assert first.children[0].parent.parent is root
            del root, first, second

    def test_repr_and_equality_do_not_go_around(self, kind):
        """A tree that knows its parents is shown and compared like one that does not."""
        root, leaf = family(kind)
        other, _ = family(kind)
        assert "leaf" not in repr(leaf.parent) or repr(leaf.parent).count("leaf 0") == 1
        assert (root == other) in {True, False}
        assert leaf.parent == leaf.parent

    def test_class_access_gives_the_descriptor(self, kind):
        """As with a property."""
        assert isinstance(kind.parent, WeakAttr)
        assert "parent" in repr(kind.parent)


@pytest.mark.parametrize("kind", CHANGEABLE, ids=ids(CHANGEABLE))
class TestAssignment:
    """Where instances may be changed."""

    def test_assign_and_delete(self, kind):
        """Any other parent, None, the node itself; deleting leaves nothing, and there is nothing to delete twice."""
        root, leaf = family(kind)
        other = kind("other")
        leaf.parent = other
        assert leaf.parent is other
        leaf.parent = None
        assert leaf.parent is None
        leaf.parent = leaf
        assert leaf.parent is leaf
        del leaf.parent
        assert getattr(leaf, "parent", None) is None
        with pytest.raises(AttributeError, match="parent"):
            del leaf.parent
        leaf.parent = root
        assert leaf.parent is root

    @pytest.mark.parametrize("value", [5, "text", (1, 2), object()], ids=["int", "str", "tuple", "object"])
    def test_what_cannot_be_weakly_referenced(self, kind, value):
        """The refusal names class, attribute, type and way out, and changes nothing."""
        root, leaf = family(kind)
        text = f"{kind.__name__}.parent must be something that can be weakly referenced, got an object of type {type(value).__name__}: add"
        with pytest.raises(TypeError, match=text):
            leaf.parent = value
        assert leaf.parent is root


@pytest.mark.parametrize("kind", [Plain, Slotted])
class TestOnDead:
    """What reading gives when the object is gone."""

    def make(self, kind, on_dead):
        """A class with that attribute."""
        return type("Node", (kind,), {"parent": WeakAttr(on_dead=on_dead), "__slots__": ("__weakref__",) if kind is object else ()})

    def test_raise(self, kind):
        """A ReferenceError names class and attribute; None and nothing are no dead object."""
        node = self.make(kind, "raise")
        root, leaf = family(node)
        assert leaf.parent is root
        assert root.parent is None
        root.children.clear()
        del root
        with pytest.raises(ReferenceError, match="^Node.parent refers to an object that is gone$") as caught:
            leaf.parent
        assert isinstance(caught.value, SafememError)
        leaf.parent = None
        assert leaf.parent is None

    def test_callable(self, kind):
        """It is called with the instance, on every read after the death, and what it returns is read."""
        asked = []
        node = self.make(kind, lambda self: asked.append(self.name) or "nobody")
        root, leaf = family(node)
        assert leaf.parent is root
        assert (root.parent, asked) == (None, [])
        del root
        assert (leaf.parent, leaf.parent, asked) == ("nobody", "nobody", ["leaf 0", "leaf 0"])

    def test_an_error_of_the_callable_is_raised(self, kind):
        """Whatever it raises, as from any property."""
        node = self.make(kind, lambda self: 1 / 0)
        root, leaf = family(node)
        del root
        with pytest.raises(ZeroDivisionError):
            leaf.parent

    @pytest.mark.parametrize(("wrong", "kind_of_error"), [("none", ValueError), (None, TypeError), (5, TypeError), (["raise"], TypeError)])
    def test_wrong(self, kind, wrong, kind_of_error):
        """Anything else is refused at once."""
        with pytest.raises(kind_of_error, match="on_dead must be 'ignore', 'raise' or a callable, got "):
            WeakAttr["Plain"](on_dead=wrong)


def test_override_in_a_subclass():
    """A subclass may change what happens at death; it has the same value, as with any attribute of one name."""

    class Strict(Plain):
        parent = WeakAttr["Plain"](on_dead="raise")

        def lenient(self):
            return super().parent

    root, leaf = family(Strict)
    assert leaf.parent is leaf.lenient() is root
    del root
    assert leaf.lenient() is None
    with pytest.raises(ReferenceError):
        leaf.parent


def test_override_by_something_else():
    """A property or plain attribute of a subclass hides it, and finds nothing of it in the way."""

    class Other(Plain):
        parent = None

    other = Other("other")
    assert other.parent is None
    other.parent = "text"
    assert other.parent == "text"


def test_several_attributes_of_one_class():
    """Each has its own place, whatever the names."""

    class Part:
        owner = WeakAttr["Plain"]()
        _owner = WeakAttr["Plain"]()
        __owner = WeakAttr["Plain"]()
        _weak_owner = None

    one, two, three = Plain("1"), Plain("2"), Plain("3")
    part = Part()
    part.owner, part._owner, part._Part__owner, part._weak_owner = one, two, three, "mine"
    assert [part.owner, part._owner, part._Part__owner, part._weak_owner] == [one, two, three, "mine"]


def test_cannot_have_two_names():
    """One attribute, one place: the second name is refused, the same name in another class is not."""
    attribute = WeakAttr["Plain"]()
    first = type("First", (), {"owner": attribute})
    second = type("Second", (), {"owner": attribute})
    thing = Thing()
    one, two = first(), second()
    one.owner = thing
    assert (one.owner, two.owner) == (thing, None)
    with pytest.raises((TypeError, RuntimeError)) as caught:
        type("Third", (), {"holder": attribute})
    assert "two different names ('owner' and 'holder')" in str(caught.value.__cause__ or caught.value)


def test_without_a_name():
    """Put into a class that is made already, it has to be told its name."""

    class Part: ...

    Part.owner = WeakAttr["Plain"]()
    with pytest.raises(TypeError, match="__set_name__"):
        Part().owner
    Part.owner.__set_name__(Part, "owner")
    assert Part().owner is None


def test_slots_without_weakref():
    """Instances that can have neither place take None and nothing else, and are told what they lack."""

    class Part:
        __slots__ = ()
        owner = WeakAttr["Plain"]()

    part, thing = Part(), Thing()
    assert part.owner is None
    part.owner = None
    with pytest.raises(TypeError, match="Part.owner needs instances that have a __dict__ or can be weakly referenced.*add '__weakref__'"):
        part.owner = thing
    with pytest.raises(AttributeError):
        del part.owner


@pytest.mark.parametrize("slots", ["name", ["name", "__weakref__"], {"name": "its name", "__weakref__": None}], ids=["str", "list", "dict"])
def test_any_way_to_write_slots(slots):
    """The names of the slots stay what they are."""
    cls = type("Part", (Plain,) if slots == "name" else (), {"__slots__": slots, "owner": WeakAttr["Plain"]()})
    assert {"name"} <= ({cls.__slots__} if isinstance(cls.__slots__, str) else set(cls.__slots__))
    part = cls.__new__(cls)
    thing = Thing()
    part.owner = thing
    assert part.owner is thing


def test_attribute_of_the_instance_does_not_get_in_the_way():
    """What lies in `__dict__` under the attribute's own name is not looked at: it is a data descriptor."""
    root, leaf = family(Plain)
    vars(leaf)["parent"] = "text"
    assert leaf.parent is root


def test_foreign_getattr_is_not_asked():
    """A `__getattr__` never hears of what the attribute does."""
    heard = []

    class Proxy:
        parent = WeakAttr["Proxy"]()

        def __getattr__(self, name):
            heard.append(name)
            return 5

    proxy = Proxy()
    assert proxy.parent is None
    proxy.parent = proxy
    assert proxy.parent is proxy
    assert heard == []


def test_references_do_not_compare_what_they_refer_to():
    """Instances whose dictionaries are compared do not compare their parents, which may be comparing their children."""

    class Angry(Plain):
        def __eq__(self, other):
            raise AssertionError("compared")

        __hash__ = None

    root, one, two = family(Angry, 3)
    two.name = one.name
    assert vars(one) == vars(two)
    first, second = ([value for value in vars(node).values() if type(value).__name__ == "Reference"][0] for node in (one, two))
    assert first == second
    assert not first != second
    other = Angry("other")
    two.parent = other
    assert vars(one) != vars(two)
    del root, other
    assert vars(one) != vars(two)
    assert len({value for value in vars(one).values() if type(value).__name__ == "Reference"}) == 1


def test_reads_the_same_before_and_after_the_first():
    """Class access, instance access and errors do not depend on what was accessed before."""

    class Part:
        owner = WeakAttr["Plain"]()

    assert isinstance(Part.owner, WeakAttr)
    part = Part()
    for _ in range(3):
        assert part.owner is None
        assert isinstance(Part.owner, WeakAttr)
        assert Part.owner is vars(Part)["owner"]


@pytest.mark.parametrize("kind", PLAIN, ids=ids(PLAIN))
def test_threads(kind):
    """Assigned, deleted, read and left behind from many threads: a parent or None, never anything else."""
    nodes = [kind(str(number)) for number in range(4)]
    shared = kind("shared")

    def work(number):
        for turn in range(300):
            action = (turn + number) % 4
            if action == 0:
                shared.parent = nodes[turn % 4]
            elif action == 1:
                shared.parent = kind("passing")
            elif action == 2:
                try:
                    del shared.parent
                except AttributeError:
                    pass
            found = shared.parent
            assert found is None or type(found) is kind

    with switching_often():
        run_threads(4, work)


def test_a_hundred_thousand_nodes_die_by_count():
    """A wide tree and a chain: no collector, no recursion."""
    with no_cyclic_garbage(), freed_by_count() as watched:
        root = Plain("root")
        for number in range(1000):
            branch = Plain(number, root)
            root.children.append(branch)
            branch.children = [Plain(leaf, branch) for leaf in range(99)]
        watched += [weakref.ref(root), weakref.ref(branch.children[5])]
        del root, branch
        last = top = Plain("top")
        for number in range(100_000):
            node = Plain(number, last)
            last.children.append(node)
            last = node
        watched += [weakref.ref(top), weakref.ref(last)]
        del last, top, node


def test_classes_are_let_go():
    """The attribute does not keep its class, nor the table of a slotted one its instances."""
    for slots in ((), ("__weakref__",)):
        cls = type("Passing", (), {"__slots__": slots, "owner": WeakAttr["Plain"]()} if slots else {"owner": WeakAttr["Plain"]()})
        watch = weakref.ref(vars(cls)["owner"])
        instance, thing = cls(), Thing()
        instance.owner = thing
        with freed_by_count() as watched:
            watched.append(weakref.ref(instance))
            del instance
        del cls
        gc.collect()
        assert watch() is None or not classes_are_collected()


@pytest.mark.parametrize("kind", CHANGEABLE, ids=ids(CHANGEABLE))
def test_errors_leave_nothing(kind):
    """What is refused, and what is not there, leaves no cyclic garbage and keeps nothing."""
    with no_cyclic_garbage(), freed_by_count() as watched:
        root, leaf = family(kind)
        watched.extend([weakref.ref(root), weakref.ref(leaf)])
        for _ in range(2):
            with pytest.raises(TypeError):
                leaf.parent = 5
            try:
                del leaf.parent
                del leaf.parent
            except AttributeError:
                pass
        del root, leaf


@pytest.mark.parametrize("kind", [Plain, Slotted])
def test_a_parent_that_bites_while_it_dies(kind):
    """In its `__del__` a parent finds its children, gives them to others, or comes back: each is what one expects of an attribute."""

    class Biter(kind):
        def __del__(self):
            first, second = self.children
            seen.append({first.parent in {None, self}, second.parent in {None, self}})
            first.parent = heir
            if self.name == "returns":
                back.append(self)

    heir, seen, back = kind("heir"), [], []
    for name in ("root", "returns"):
        root = Biter(name)
        root.children = children = [kind("first", root), kind("second", root)]
        del root
        assert children[0].parent is heir
        assert children[1].parent is (back[0] if name == "returns" else None)
    assert seen == [{True}, {True}]
    children[1].parent = heir
    assert children[1].parent is heir


def test_a_protocol_asks_for_the_attribute_and_nothing_else():
    """Whoever has a `parent` is one, without inheriting."""
    assert isinstance(Other(), RuntimeHasParent)
    assert not isinstance(5, RuntimeHasParent)


@runtime_checkable
class RuntimeHasParent(Protocol):
    """A protocol that can be asked for."""

    parent = WeakAttr["RuntimeHasParent"]()


class Other:
    """Not related."""

    parent = None
