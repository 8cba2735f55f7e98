"""Weak attributes in copies and pickles: they refer to what was copied along, and to nothing that was not asked for."""

from __future__ import annotations

import copy
import pickle
import weakref
from dataclasses import replace
from itertools import permutations

import attrs
import pytest
from helpers.collect import Thing, freed_by_count, no_cyclic_garbage
from helpers.weaknodes import FIELDS, KINDS, BesideSlots, DataSlots, FrozenSlots, Plain, Slotted, family
from hypothesis import given
from hypothesis import strategies as st

from safemem import WeakAttr, weak_fields

NAMES = [kind.__name__ for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
class TestEveryKind:
    """Whatever makes the class."""

    def test_copy_has_the_same_parent(self, kind):
        """A shallow copy shares what the original has."""
        root, leaf = family(kind)
        other = copy.copy(leaf)
        assert other is not leaf
        assert (other.parent, other.name) == (root, "leaf 0")
        assert other.parent is root

    def test_deep_copy_of_a_leaf(self, kind):
        """Its parent was not copied along: it stays the original one, and nothing is copied for it."""
        root, leaf, sibling = family(kind, 3)
        memo = {}
        other = copy.deepcopy(leaf, memo)
        assert other.parent is root
        assert id(sibling) not in memo
        assert root.children == [leaf, sibling]

    def test_deep_copy_of_a_tree(self, kind):
        """The children of the copied root have the new root."""
        root, _, _ = family(kind, 3)
        root.children[0].children.append(kind("below", root.children[0]))
        other = copy.deepcopy(root)
        assert other is not root
        assert all(child.parent is other for child in other.children)
        assert other.children[0].children[0].parent is other.children[0]
        assert other.parent is None

    @pytest.mark.parametrize("depth", [1, 2])
    def test_deep_copy_in_any_order(self, kind, depth):
        """The child may come before its parent: whatever is copied along is referred to."""
        root, leaf = family(kind)
        if depth == 2:
            below = kind("below", leaf)
            leaf.children.append(below)
            nodes = [root, leaf, below]
        else:
            nodes = [root, leaf]
        for order in permutations(range(len(nodes))):
            copied = dict(zip(order, copy.deepcopy([nodes[index] for index in order]), strict=True))
            assert copied[1].parent is copied[0] is not root
            if depth == 2:
                assert copied[2].parent is copied[1]

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_pickle(self, kind, protocol):
        """What is in one pickle belongs together, in any order."""
        root, leaf = family(kind)
        for order in ([root, leaf], [leaf, root]):
            pair = pickle.loads(pickle.dumps(order, protocol))
            new_root, new_leaf = pair if order[0] is root else reversed(pair)
            assert new_leaf.parent is new_root
            assert new_root.children[0] is new_leaf
            assert new_root.parent is None

    def test_pickle_of_a_leaf(self, kind):
        """Its parent comes along, and nobody keeps it."""
        _root, leaf = family(kind)
        other = pickle.loads(pickle.dumps(leaf))
        assert (other.name, other.parent) == ("leaf 0", None)

    def test_orphans(self, kind):
        """A dead parent is nobody, in copies and pickles too."""
        leaf = family(kind)[1]
        for other in (copy.copy(leaf), copy.deepcopy(leaf), pickle.loads(pickle.dumps(leaf))):
            assert other.parent is None

    def test_nothing_is_left_behind(self, kind):
        """Copies that wait for what never comes, and pickles, leave no cyclic garbage and keep no original."""
        pickle.dumps(family(kind)[0])
        with no_cyclic_garbage(), freed_by_count() as watched:
            root, leaf = family(kind)
            copies = [copy.deepcopy(leaf), copy.deepcopy([leaf, root]), copy.copy(leaf), pickle.loads(pickle.dumps(root))]
            watched += [weakref.ref(root), weakref.ref(leaf)]
            del root, leaf
            assert copies[0].parent is None
            del copies


@pytest.mark.parametrize("kind", [kind for kind in FIELDS if kind is not BesideSlots], ids=lambda kind: kind.__name__)
def test_replace(kind):
    """`dataclasses.replace` and `attrs.evolve` keep the parent, or take another."""
    root, leaf = family(kind)
    evolve = attrs.evolve if attrs.has(kind) else replace
    other = evolve(leaf, name="other")
    assert (other.name, other.parent is root) == ("other", True)
    assert evolve(leaf, parent=leaf).parent is leaf
    assert evolve(leaf, parent=None).parent is None
    assert leaf.parent is root


class Document:
    """Something that is referred to and has no weak attribute itself."""

    def __init__(self):
        self.parts = []


class Part:
    """A part of it."""

    document = WeakAttr["Document"](on_dead="raise")

    def __init__(self, document):
        self.document = document
        document.parts.append(self)


def test_targets_of_another_class_in_any_order():
    """The owner knows nothing of weak attributes, and comes last: it is found all the same."""
    document = Document()
    part = Part(document)
    for things in ([part, document], [document, part], {"focus": part, "all": (document,)}, (part, [document, [part]])):
        first = things["focus"] if isinstance(things, dict) else next(thing for thing in things if isinstance(thing, Part | Document))
        copied = copy.deepcopy(things)
        again = pickle.loads(pickle.dumps(things))
        for each in (copied, again):
            found = each["focus"] if isinstance(each, dict) else next(thing for thing in each if isinstance(thing, Part | Document))
            assert type(found) is type(first)
            new = found.parts[0] if isinstance(found, Document) else found
            assert new is not part
            assert new.document is not document
            assert new.document.parts == [new]


def test_dead_stays_dead():
    """With `on_dead="raise"` a copy or pickle of an orphan raises as the orphan does."""
    part = Part(Document())
    for other in (copy.copy(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        with pytest.raises(ReferenceError):
            other.document


@weak_fields("document", on_dead="raise")
class SlottedPart:
    """The same with a slot."""

    __slots__ = ("__weakref__", "document", "unset")


def test_dead_stays_dead_in_slots():
    """Copying a slotted orphan does not read the slot, which would raise; an unset slot stays unset."""
    part = SlottedPart()
    part.document = Thing()
    for other in (copy.copy(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        with pytest.raises(ReferenceError):
            other.document
        assert not hasattr(other, "unset")


def test_a_copy_of_a_late_copy():
    """What was copied before its parent is copied again like everything else."""
    root, leaf = family(Plain)
    new_leaf, new_root = copy.deepcopy([leaf, root])
    assert copy.copy(new_leaf).parent is new_root
    assert copy.deepcopy(new_leaf).parent is new_root
    newer_leaf, newer_root = copy.deepcopy([new_leaf, new_root])
    assert newer_leaf.parent is newer_root is not new_root
    newest = pickle.loads(pickle.dumps([newer_leaf, newer_root]))
    assert newest[0].parent is newest[1]
    assert vars(newer_leaf) == vars(copy.copy(newer_leaf))
    assert "reference to Plain" in repr(vars(newer_leaf))


def test_a_target_that_copies_itself():
    """A `__deepcopy__` that returns the original, or something that cannot be referred to weakly."""

    class Shared(Plain):
        def __deepcopy__(self, memo):
            return self

    root, leaf = family(Shared)
    assert copy.deepcopy([root, leaf])[1].parent is root
    assert copy.deepcopy([leaf, root])[0].parent is root


def test_a_target_whose_copy_cannot_be_weakly_referenced():
    """Then there is nothing to refer to but the original."""

    class Flat(Plain):
        def __deepcopy__(self, memo):
            return "flat"

    root = Flat("root")
    leaf = Plain("leaf", root)
    assert copy.deepcopy([root, leaf])[1].parent is root
    assert copy.deepcopy([leaf, root])[0].parent is root


def test_deepcopy_with_an_own_memo():
    """A memo that outlives the copy goes on relinking, and one that knows the parent is believed."""
    root, leaf = family(Plain)
    memo = {}
    new_leaf = copy.deepcopy(leaf, memo)
    assert new_leaf.parent is root
    new_root = copy.deepcopy(root, memo)
    assert new_leaf.parent is new_root
    assert copy.deepcopy(leaf, {id(root): new_root}).parent is new_root


class KeepsState:
    """A class that gathers its own state, without its parent."""

    parent = WeakAttr["KeepsState"]()

    def __init__(self, name):
        self.name = name

    def __getstate__(self):
        return {"name": self.name}


@weak_fields("parent")
class KeepsSlots(KeepsState):
    """The same with a slot, which is then the user's business."""

    __slots__ = ("parent",)


@pytest.mark.parametrize("kind", [KeepsState, KeepsSlots])
def test_own_state(kind):
    """What a class leaves out of its state stays out: the way to pickle a part alone."""
    root, leaf = kind("root"), kind("leaf")
    leaf.parent = root
    root.lock = (each for each in ())  # cannot be pickled, and is not
    assert vars(pickle.loads(pickle.dumps(leaf))) == {"name": "leaf"}
    assert copy.copy(leaf).parent is None if kind is KeepsState else not hasattr(copy.copy(leaf), "parent")


def test_own_reduce():
    """A class that reduces itself is left alone."""

    @weak_fields("parent")
    class Own:
        __slots__ = ("__weakref__", "parent")

        def __reduce__(self):
            return Own, ()

    own = Own()
    own.parent = own
    assert not hasattr(copy.copy(own), "parent")


@given(
    st.lists(st.integers(0, 6), min_size=7, max_size=7),
    st.permutations(range(7)),
    st.sampled_from([Plain, Slotted, DataSlots, FrozenSlots]),
)
def test_any_forest(parents, order, kind):
    """Any forest, any order: what was copied along is referred to in the copy, as a map from old to new says."""
    nodes = []
    for number, parent in enumerate(parents):
        nodes.append(kind(number, nodes[parent] if parent < number else None))
    chosen = order[:5]
    copied = dict(zip(chosen, copy.deepcopy([nodes[number] for number in chosen]), strict=True))
    for number, node in copied.items():
        parent = nodes[number].parent
        assert node.parent is (None if parent is None else copied.get(parent.name, parent))
