"""WeakIdentityDict and WeakIdentitySet: identity, weakness, order, copies, operators, and a state machine against a naive model."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
from helpers.collect import collector_off, no_cyclic_garbage
from helpers.fuse import DelBomb, Fuse
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from safemem import WeakIdentityDict, WeakIdentitySet


class Same(list[Any]):
    """Unhashable, and equal to all of its kind."""


class Hostile:
    """Neither to be hashed nor to be compared."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __hash__(self) -> int:
        raise AssertionError("hashed")


class Thing:
    pass


@pytest.mark.parametrize("cls", [Same, Hostile])
def test_owners_are_told_apart_by_identity(cls):
    """Equal and unhashable owners have a value each, and none is hashed or compared."""
    one, other = cls(), cls()
    d = WeakIdentityDict()
    d[one], d[other] = 1, 2
    assert (d[one], d[other], len(d), one in d, cls() in d) == (1, 2, 2, True, False)
    assert d.setdefault(one, 5) == 1
    assert d.pop(one) == 1
    assert [value for _owner, value in d.items()] == [2]
    assert (d.get(one), d.get(one, 7)) == (None, 7)
    with pytest.raises(KeyError):
        d[one]
    s = WeakIdentitySet([one, other, one])
    assert (len(s), one in s) == (2, True)
    s.remove(one)
    assert [*map(id, s)] == [id(other)]


def test_an_owner_is_not_kept_alive():
    """Entries go with their owners, by reference count alone, and the values with the next operation."""
    d = WeakIdentityDict()
    s = WeakIdentitySet()
    with collector_off():
        owner, value = Thing(), Thing()
        d[owner] = value
        s.add(owner)
        alive = weakref.ref(value)
        del owner, value
        assert (len(d), len(s), list(d), list(s)) == (0, 0, [], [])
        assert alive() is None
    d._check()


def test_reused_addresses_find_no_stranger():
    """A new object at the address of a dead one has nothing, whether or not the death was seen to."""
    d = WeakIdentityDict()
    reused = 0
    for number in range(300):
        owner = Thing()
        address = id(owner)
        d[owner] = number
        del owner
        stranger = Thing()
        reused += id(stranger) == address
        assert stranger not in d
        assert d.get(stranger) is None
        d[stranger] = "new"
        assert (d[stranger], len(d)) == ("new", 1)
        del stranger
    d._check()


def test_a_late_report_removes_no_new_entry():
    """The death of an owner whose place another has taken leaves the other's entry alone."""
    d = WeakIdentityDict()
    fresh = []
    for number in range(200):
        owner = Thing()
        d[owner] = 0
        del owner
        new = Thing()
        d[new] = number
        fresh.append(new)
    assert [d[new] for new in fresh] == list(range(200))
    assert list(d.values()) == list(range(200))


@pytest.mark.parametrize("bad", [1, "text", (), None])
def test_what_cannot_be_referenced_weakly_is_refused(bad):
    """The error names the type and says what to do; to ask whether it is there is no error."""
    d = WeakIdentityDict()
    with pytest.raises(TypeError, match=f"owner must .* type {type(bad).__name__}: add '__weakref__'.*weakref_slot=True"):
        d[bad] = 1
    with pytest.raises(TypeError, match="weakref_slot=True"):
        WeakIdentitySet([bad])
    assert bad not in d
    assert bad not in WeakIdentitySet()


def test_order_is_that_of_insertion():
    """Replacing keeps the place; popitem() takes the last; reversed() goes backwards."""
    owners = [Thing() for _ in range(5)]
    d = WeakIdentityDict((owner, number) for number, owner in enumerate(owners))
    d[owners[1]] = "one"
    assert list(d.values()) == [0, "one", 2, 3, 4]
    assert [*map(id, reversed(d))] == [*map(id, owners[::-1])]
    assert list(reversed(d.values())) == [4, 3, 2, "one", 0]
    assert d.popitem() == (owners[4], 4)
    d.clear()
    with pytest.raises(KeyError, match="WeakIdentityDict is empty"):
        d.popitem()
    with pytest.raises(KeyError, match="WeakIdentitySet is empty"):
        WeakIdentitySet().pop()


def test_a_loop_bears_changes_and_deaths():
    """What was inserted meanwhile is not seen, what died meanwhile is passed over."""
    owners = [Thing() for _ in range(10)]
    d = WeakIdentityDict((owner, number) for number, owner in enumerate(owners))
    walk = iter(d.items())
    assert next(walk)[1] == 0
    del owners[5]
    late = Thing()
    d[late] = "late"
    assert [value for _owner, value in walk] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert d[late] == "late"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda container: container.copy()])
def test_copies_are_independent(how):
    """A copy has the live members, and changing one leaves the other alone."""
    owners = [Same([1]), Same([2])]
    d, s = WeakIdentityDict((owner, ["value"]) for owner in owners), WeakIdentitySet(owners)
    d2, s2 = how(d), how(s)
    d.clear()
    s.clear()
    assert [d2[owner] for owner in owners] == [["value"], ["value"]]
    assert len(s2) == 2
    del owners[0]
    assert (len(d2), len(s2)) == (1, 1)


class Tagged(WeakIdentitySet[Any]):
    """A subclass with attributes."""

    __slots__ = ("tag",)


class Module:
    """Something to be pickled."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_a_pickle_is_whole_if_something_holds_the_members():
    """Members come back with what holds them, in order; attributes too."""
    members = [Module("a"), Module("b")]
    s = Tagged(members)
    s.tag = "t"
    d = WeakIdentityDict(zip(members, (1, 2), strict=True))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        others, s2, d2 = pickle.loads(pickle.dumps((members, s, d), protocol))
        assert ([m.name for m in s2], s2.tag, type(s2)) == (["a", "b"], "t", Tagged)
        assert [d2[m] for m in others] == [1, 2]
    assert len(pickle.loads(pickle.dumps(s))) == 0


def test_deepcopy_copies_values_and_shares_owners():
    """Copies of owners would die at once."""
    owner = Thing()
    d = WeakIdentityDict({owner: [1]})
    twin = copy.deepcopy(d)
    assert twin[owner] == [1]
    assert twin[owner] is not d[owner]


def test_set_operators_go_by_identity():
    """All operators, in place and not, against sets, frozensets and their own kind."""
    a, b, c = Thing(), Thing(), Thing()
    s, t = WeakIdentitySet([a, b]), WeakIdentitySet([b, c])
    for other in (t, {b, c}, frozenset([b, c]), {b: 1, c: 2}.keys()):
        assert list(s | other)[:2] == [a, b]
        assert set(s | other) == {a, b, c}
        assert set(other | s) == {a, b, c}
        assert list(s & other) == [b]
        assert list(s - other) == [a]
        assert set(other - s) == {c}
        assert set(s ^ other) == {a, c}
        assert not s.isdisjoint(other)
        assert not s <= other
        u = s.copy()
        u |= other
        assert set(u) == {a, b, c}
        u &= other
        assert set(u) == {b, c}
        u ^= other
        assert not u
        u |= s
        u -= other
        assert list(u) == [a]
    assert WeakIdentitySet([a]) < s <= s.copy()
    assert s > WeakIdentitySet([a])
    assert s >= {a}
    assert s == {a, b}
    assert s != {a}
    one, same = Same(), Same()
    assert WeakIdentitySet([one]) != WeakIdentitySet([same])
    with pytest.raises(TypeError):
        hash(s)
    with pytest.raises(TypeError):
        s | [a]  # type: ignore[operator]
    v = s
    v -= v
    assert list(s) == []


def test_mapping_operators_and_equality():
    """`|` keeps the class; equality is by identity of owners and equality of values."""
    a, b = Same(), Same()
    d = WeakIdentityDict([(a, 1)])
    merged = d | WeakIdentityDict([(b, 2)])
    assert (type(merged), merged[a], merged[b]) == (WeakIdentityDict, 1, 2)
    d |= [(b, 3)]
    assert d[b] == 3
    assert d == WeakIdentityDict([(b, 3), (a, 1)])
    assert d != merged
    assert WeakIdentityDict([(a, 1)]) != WeakIdentityDict([(b, 1)])
    assert isinstance(d.keys() & [a], WeakIdentitySet)
    assert repr(d) == "WeakIdentityDict({[]: 1, []: 3})"
    assert repr(WeakIdentitySet([a])) == "WeakIdentitySet({[]})"


def test_values_whose_finalisers_come_back():
    """A value that is replaced, deleted, cleared or left by the dead may change the mapping from its finaliser."""
    for work in ("replace", "delete", "clear", "die", "popitem"):
        fuse = Fuse()
        d = WeakIdentityDict()
        owners = [Thing() for _ in range(50)]
        extra = Thing()
        for owner in owners:
            d[owner] = DelBomb(fuse)

        def come_back(d=d, owners=owners, extra=extra):
            for owner in owners[:10]:
                d.pop(owner, None)
            d[extra] = "back"
            list(d.items())
            len(d)

        fuse.arm(come_back)
        if work == "replace":
            d[owners[20]] = 1
        elif work == "delete":
            del d[owners[20]]
        elif work == "clear":
            d.clear()
        elif work == "popitem":
            d.popitem()
        else:
            del owners[20], owner
            len(d)
        assert fuse.blown == 1
        assert not fuse.errors
        assert d[extra] == "back"
        d._check()
        fuse.disarm()


def test_no_cyclic_garbage():
    """Nothing of ours waits for the collector."""
    with no_cyclic_garbage("identity containers"):
        owner = Thing()
        d = WeakIdentityDict({owner: 1})
        s = WeakIdentitySet([owner])
        list(d.items()), list(s), repr(d), s | {owner}, d.copy(), copy.deepcopy(s), pickle.dumps(())
        [next(d.keys()), next(d.values()), next(d.items())]
        try:
            d[Thing()]
        except KeyError:
            pass
        del owner, d, s


def test_a_cycle_through_a_value_is_garbage():
    """The mapping itself can be collected with what it holds."""
    d = WeakIdentityDict()
    owner = Thing()
    owner.home = d
    d[owner] = owner
    seen = weakref.ref(owner)
    del d, owner
    gc.collect()
    assert seen() is None


class Machine(RuleBasedStateMachine):
    """A WeakIdentityDict does what a list of pairs does."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: list[Any] = [Same() for _ in range(8)]
        self.model: list[tuple[int, int]] = []  # place in owners, value
        self.real: WeakIdentityDict[Any, int] = WeakIdentityDict()

    def find(self, number: int) -> int | None:
        return next((at for at, (owner, _value) in enumerate(self.model) if owner == number), None)

    @rule(number=st.integers(0, 7), value=st.integers())
    def store(self, number: int, value: int) -> None:
        at = self.find(number)
        if at is None:
            self.model.append((number, value))
        else:
            self.model[at] = (number, value)
        self.real[self.owners[number]] = value

    @rule(number=st.integers(0, 7), value=st.integers())
    def setdefault(self, number: int, value: int) -> None:
        at = self.find(number)
        if at is None:
            self.model.append((number, value))
        assert self.real.setdefault(self.owners[number], value) == (value if at is None else self.model[at][1])

    @rule(number=st.integers(0, 7))
    def pop(self, number: int) -> None:
        at = self.find(number)
        expected = None if at is None else self.model.pop(at)[1]
        assert self.real.pop(self.owners[number], None) == expected

    @rule(number=st.integers(0, 7))
    def die(self, number: int) -> None:
        at = self.find(number)
        if at is not None:
            self.model.pop(at)
        self.owners[number] = None
        self.owners[number] = Same()

    @rule()
    def popitem(self) -> None:
        if self.model:
            number, value = self.model.pop()
            owner, found = self.real.popitem()
            assert owner is self.owners[number]
            assert found == value

    @rule()
    def clear(self) -> None:
        self.model.clear()
        self.real.clear()

    @invariant()
    def same(self) -> None:
        """Owners, values, order, lookups."""
        assert [(id(owner), value) for owner, value in self.real.items()] == [(id(self.owners[at]), value) for at, value in self.model]
        assert len(self.real) == len(self.model)
        known = {at for at, _value in self.model}
        assert [owner in self.real for owner in self.owners] == [at in known for at in range(8)]
        self.real._check()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_reused_addresses_at_once():
    """The first thing that happens to a newcomer at a dead one's address is a look-up, or a store."""
    d = WeakIdentityDict()
    for number in range(100):
        owner = Thing()
        d[owner] = number
        del owner
        stranger = Thing()
        if number % 2:
            with pytest.raises(KeyError):
                d[stranger]
        else:
            d[stranger] = "new"
            assert d[stranger] == "new"
            assert len(d) == 1
        del stranger
