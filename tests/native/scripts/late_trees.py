"""Changes trees while the package is taken apart, and ends with trees in the hands of finalisers, threads and cycles."""

from __future__ import annotations

import builtins
import gc
import importlib
import sys
import threading
import typing

from helpers.late import calls_of, late_class

outcomes: list[str] = []


def call_all(calls: list[tuple[str, typing.Any]]) -> None:
    """Call everything and write down what came of it."""
    for name, call in calls:
        try:
            outcomes.append(f"{name}: {call()}")
        except Exception as error:  # noqa: BLE001 - much is gone
            outcomes.append(f"{name}: {type(error).__name__}")


def use() -> None:
    """Import the package, make a cycle of the module and of what it made, and drop it."""
    safemem = importlib.import_module("safemem")
    native = sys.modules["safemem.core._native"]
    gc.collect()  # the collector clears in the order of age: first the module, then what the finaliser needs

    Late = late_class(call_all)

    class Small(safemem.TreeNode):
        __slots__ = ()

    class Record(safemem.TreeNode, dict):
        pass

    small, record = [Small() for _ in range(5)], [Record() for _ in range(5)]
    small[0].extend(small[1:3])
    record[0].extend(record[1:3])
    small[0].append(record[0])
    calls_of(Late)[:] = [
        ("small", lambda: small[0].append(small[3])),
        ("parent", lambda read=native.parent_of: read(small[1]) is small[0]),
        ("children", lambda read=native.children_of: len(read(small[0]))),
        ("lineage", lambda read=native.lineage: len(read(record[2]))),
        ("leave", lambda leave=native.leave: leave(small[1])),
        ("record", lambda: record[0].append(record[3])),
        ("first record", lambda: record[4].append(record[1])),
        ("set", lambda set_parent=native.set_parent: set_parent(small[4], small[0])),
        ("all", lambda adopt_all=native.adopt_all: adopt_all(small[4], small[1:3])),
        ("circle", lambda: small[2].append(small[0])),
        ("refused", lambda: small[0].append(5)),
        ("class", lambda make_room=native.make_room: make_room(type("Later", (Small,), {}))),
        ("shell", lambda read=native.shell_of: read(small[0])),
    ]
    native.late = Late()  # goes with the module's dict, right after what the module itself lets go of
    native.itself = native


for _ in range(3):
    use()
    for name in [name for name in sys.modules if name.startswith("safemem")]:
        del sys.modules[name]
    for forget in typing._cleanups:  # what it remembers of generic classes
        forget()
    typing.clear_overloads()
    gc.collect()
    gc.collect()
# The collector has cleared all weak references: nobody has a parent, until it gets a new one.
assert outcomes.count("parent: False") == outcomes.count("children: 1") == outcomes.count("circle: ValueError") == 3, outcomes

# And at the end of the process.
from safemem import TreeNode  # noqa: E402


class Node(TreeNode):
    """Changes the tree when it goes."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self, shared: TreeNode = TreeNode()) -> None:  # noqa: B008 - one for all
        for child in self.children:
            shared.append(child)
        shared.append(TreeNode())
        self.append(TreeNode())
        shared.extend(reversed(shared.children))


def plant() -> Node:
    """Make a small tree."""
    node = Node()
    node.extend(Node() for _ in range(3))
    return node


sys.node = plant()
builtins.node = plant()
plant()
Node.of_class = plant()
node = plant()


def run() -> None:
    """Change trees until the end."""
    while True:
        node.append(plant())
        node.clear()


threading.Thread(target=run, daemon=True).start()
