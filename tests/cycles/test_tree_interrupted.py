"""A change of a tree in the middle of which something else happens: an interrupt, or another change by a finaliser or a signal handler."""

from __future__ import annotations

import pytest
from helpers.interject import Striker
from helpers.nodes import Mixed, Plain, Slotted, WithPlace, names
from helpers.threads import run_threads

from safemem import core
from safemem.core import _kin, _tree
from safemem.cycles import tree

FILES = {_kin.__file__, _tree.__file__, tree.__file__}


class Scene:
    """Some nodes in two trees, and one that is new."""

    def __init__(self, kind) -> None:
        self.left, self.right, self.child, self.new, self.extra = self.nodes = [
            kind(name) for name in ("left", "right", "child", "new", "extra")
        ]
        self.left.append(self.extra)
        self.left.append(self.child)
        self.child.append(kind("below"))
        self.nodes.append(self.child.children[0])

    def check(self) -> None:
        """Fail unless every node is where its parent says, and nowhere else, and no tree is a circle."""
        for node in self.nodes:
            places = [other for other in self.nodes for each in other.children if each is node]
            assert places == ([] if node.parent is None else [node.parent]), f"{node.name} is below {names(places)}"
        tops = [node for node in self.nodes if node.parent is None]
        assert sorted(name for top in tops for name in names(top.walk())) == sorted(names(self.nodes))


CHANGES = {
    "append new": lambda scene: scene.right.append(scene.new),
    "append new where others are": lambda scene: scene.left.append(scene.new),
    "append": lambda scene: scene.right.append(scene.child),
    "insert": lambda scene: scene.right.insert(0, scene.child),
    "insert among others": lambda scene: scene.left.insert(0, scene.child),
    "extend": lambda scene: scene.right.extend([scene.new, scene.child, scene.extra]),
    "assign": lambda scene: setattr(scene.child, "parent", scene.right),
    "detach": lambda scene: scene.child.detach(),
    "remove": lambda scene: scene.left.remove(scene.extra),
    "clear": lambda scene: scene.left.clear(),
}

# What another one does meanwhile.
OTHERS = {
    "append": lambda scene: scene.left.append(scene.new),
    "move": lambda scene: scene.right.insert(0, scene.child),
    "move up": lambda scene: scene.child.append(scene.right),
    "give it a child": lambda scene: scene.new.append(scene.right),
    "detach": lambda scene: scene.child.detach(),
    "clear": lambda scene: (scene.left.clear(), scene.left.append(scene.new)),
}

FEWEST = 0 if core.NATIVE else 2  # places: there are none within a step of the compiled core, and some changes are one step

every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
every_kind = pytest.mark.parametrize("kind", [Plain, Slotted, WithPlace, Mixed])


def at_every_place(kind, change, strike):
    """Do the change once for each place where something may come between, and that there; return how many there were."""
    scene = Scene(kind)
    Striker(1000, strike, files=FILES).run(lambda: change(scene))  # CPython 3.12 tells of instructions from the second time on
    for at in range(1000):
        scene = Scene(kind)
        striker = Striker(at, lambda scene=scene: strike(scene), files=FILES)
        try:
            striker.run(lambda scene=scene: change(scene))
        except (KeyboardInterrupt, ValueError):
            pass
        scene.check()
        if not striker.struck:
            return at
        if at % 16 == 0:
            run_threads(1, lambda _, scene=scene: scene.left.insert(0, kind("of another thread")))
    raise AssertionError("it never ends")


@every_kind
@every_change
def test_interrupts(kind, change):
    """Wherever Ctrl-C comes, every node is at one place, and the lock is free."""

    def strike(_scene):
        raise KeyboardInterrupt

    assert at_every_place(kind, change, strike) >= FEWEST


@pytest.mark.parametrize(
    ("kind", "change", "other"),
    [
        pytest.param(kind, change, other, id=f"{kind.__name__}: {ours}, {theirs}")
        for kind in (Plain, Slotted)
        for ours, change in CHANGES.items()
        for theirs, other in OTHERS.items()
        if ours.startswith("append" if kind is Slotted else ("append", "insert", "detach"))
    ],
)
def test_changes_in_between(kind, change, other):
    """Wherever another change of the same nodes comes in between, every node is at one place, and none is in a circle."""

    def strike(scene):
        try:
            other(scene)
        except ValueError:
            pass  # a circle

    assert at_every_place(kind, change, strike) >= FEWEST
