"""Says what comes of a great many changes of trees, and pickles one: the same on both cores."""

from __future__ import annotations

import copy
import inspect
import pickle
import random
import re
import sys

from safemem import TreeNode


class Plain(TreeNode):
    """A node with a `__dict__`."""

    name: object


class Slotted(TreeNode):
    """A node with slots."""

    __slots__ = ("name",)


class Placed(TreeNode):
    """A node with a slot for its record."""

    __slots__ = ("_safemem_tree", "name")


class Mapped(TreeNode, dict):
    """A node that is a dict."""

    name: object


class Base:
    """Slots of its own."""

    __slots__ = ("name",)


class Mixed(Base, TreeNode):
    """A node with slots of another base class."""

    __slots__ = ()


def make(kind: type, name: object) -> TreeNode:
    """Make a node."""
    node = kind()
    node.name = name
    return node


CHANGES = [
    lambda rng, node, other, _some: node.append(other),
    lambda rng, node, other, _some: node.insert(rng.randrange(-5, 6), other),
    lambda rng, node, other, _some: node.insert(rng.choice([10**30, -(10**30), True, "x", None, 1.5]), other),
    lambda rng, node, _other, some: node.extend(some),
    lambda rng, node, other, some: node.extend([*some, other, *node.children]),
    lambda rng, node, _other, _some: node.extend(sorted(node.children, key=lambda child: str(child.name))),
    lambda rng, node, _other, _some: node.extend(rng.choice([[], [5], None, [node], "xy", iter([TreeNode])])),
    lambda rng, node, other, _some: node.remove(other),
    lambda rng, node, other, _some: node.index(other),
    lambda rng, node, _other, _some: node.detach() is node,
    lambda rng, node, _other, _some: node.clear(),
    lambda rng, node, other, _some: setattr(node, "parent", rng.choice([other, other, None, 5])),
    lambda rng, node, _other, _some: node.append(rng.choice([None, "x", TreeNode, []])),
    lambda rng, node, other, _some: node.append(child=other),
    lambda rng, node, _other, _some: setattr(node, "children", ()),
    lambda rng, node, _other, _some: [child.name for child in copy.deepcopy(node).walk(rng.choice(["pre", "post", "level"]))],
    lambda rng, node, _other, _some: [child.name for child in pickle.loads(pickle.dumps(node, rng.randrange(6))).walk()],
    lambda rng, node, _other, _some: (copy.copy(node).name, copy.copy(node).parent, copy.copy(node).children),
]


def say(change: object, *args: object) -> None:
    """Do it and say what came of it."""
    try:
        text = repr(change(*args))
    except Exception as error:  # noqa: BLE001 - it is what is compared
        text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    print("  ", re.sub(r" at 0x[0-9a-f]+", " at ...", text))


def show(nodes: list[TreeNode]) -> None:
    """Say where all of them are."""
    for node in nodes:
        above = None if node.parent is None else node.parent.name
        print(
            "   ", node.name, above, [child.name for child in node.children], [other.name for other in node.path], node.depth, node.height
        )


def main() -> None:
    """Go through many changes of a few nodes, and write a tree."""
    for seed in range(150):
        rng = random.Random(seed)
        nodes = [make(rng.choice([Plain, Slotted, Placed, Mapped, Mixed]), number) for number in range(7)]
        print(seed, [type(node).__name__ for node in nodes])
        for _ in range(12):
            number = rng.randrange(len(CHANGES))
            print(" ", number)
            say(CHANGES[number], rng, rng.choice(nodes), rng.choice(nodes), rng.sample(nodes, rng.randrange(5)))
            show(nodes)
            if rng.random() < 0.1:
                gone = rng.randrange(7)
                nodes[gone] = make(type(nodes[gone]), f"{gone} again")
    for name in sorted(dir(TreeNode)):
        if not name.startswith("_"):
            member = getattr(TreeNode, name)
            print(name, type(member) is property, inspect.getdoc(member))
            if callable(member):
                print(list(inspect.signature(member).parameters))
    tree = make(Plain, "top")
    tree.extend(make(kind, kind.__name__) for kind in (Plain, Slotted, Placed, Mapped, Mixed))
    tree.children[3].append(make(Mixed, "below"))
    with open(sys.argv[1], "wb") as file:  # noqa: PTH123 - a script
        pickle.dump([pickle.dumps(tree, protocol) for protocol in range(6)], file)


def load() -> None:
    """Use what another run has pickled."""
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 - a script
        for data in pickle.load(file):
            show([*pickle.loads(data).walk()])


if __name__ == "__main__":
    load() if sys.argv[2:] == ["load"] else main()
