"""Any sequence of changes gives the tree that a naive model gives."""

from __future__ import annotations

import copy
import pickle

from helpers.nodes import Mixed, Plain, Slotted, check
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

COUNT = 7
some = st.integers(0, COUNT - 1)


class Trees(RuleBasedStateMachine):
    """A few nodes, moved about; the model is a list of children for each of them, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        makes = [Plain, Slotted, Mixed]
        self.nodes = [makes[number % 3](number) for number in range(COUNT)]
        self.model: list[list[int]] = [[] for _ in range(COUNT)]

    def above(self, number: int) -> int | None:
        """The parent in the model."""
        return next((other for other, children in enumerate(self.model) if number in children), None)

    def line(self, number: int | None) -> list[int]:
        """A node and all above it in the model."""
        found = []
        while number is not None:
            found.append(number)
            number = self.above(number)
        return found

    def below(self, number: int) -> list[int]:
        """A node and all below it in the model, each before its children."""
        return [number, *(deeper for child in self.model[number] for deeper in self.below(child))]

    def take(self, number: int) -> None:
        """Take a node from its parent in the model."""
        parent = self.above(number)
        if parent is not None:
            self.model[parent].remove(number)

    def attempt(self, node: int, children: list[int], change) -> bool:
        """Do it; return whether it was right to, after having checked that it was refused if not."""
        wrong = len(set(children)) < len(children) or any(child in self.line(node) for child in children)
        try:
            change()
        except ValueError:
            assert wrong
            return False
        assert not wrong
        return True

    @rule(node=some, child=some)
    def append(self, node: int, child: int) -> None:
        if self.attempt(node, [child], lambda: self.nodes[node].append(self.nodes[child])):
            self.take(child)
            self.model[node].append(child)

    @rule(node=some, child=some, index=st.integers(-4, 4))
    def insert(self, node: int, child: int, index: int) -> None:
        if self.attempt(node, [child], lambda: self.nodes[node].insert(index, self.nodes[child])):
            self.take(child)
            self.model[node].insert(index, child)

    @rule(node=some, children=st.lists(some, max_size=4))
    def extend(self, node: int, children: list[int]) -> None:
        if self.attempt(node, children, lambda: self.nodes[node].extend([self.nodes[child] for child in children])):
            for child in children:
                self.take(child)
                self.model[node].append(child)

    @rule(node=some, child=some)
    def assign(self, node: int, child: int) -> None:
        if self.attempt(node, [child], lambda: setattr(self.nodes[child], "parent", self.nodes[node])) and self.above(child) != node:
            self.take(child)
            self.model[node].append(child)

    @rule(child=some)
    def detach(self, child: int) -> None:
        self.nodes[child].detach()
        self.take(child)

    @rule(node=some, child=some)
    def remove(self, node: int, child: int) -> None:
        try:
            self.nodes[node].remove(self.nodes[child])
        except ValueError:
            assert child not in self.model[node]
        else:
            self.model[node].remove(child)

    @rule(node=some)
    def clear(self, node: int) -> None:
        self.nodes[node].clear()
        self.model[node].clear()

    @rule(node=some)
    def replace_by_a_new_one(self, node: int) -> None:
        """Drop a node: its children become roots, and its place is another's, who is in no tree."""
        parent = self.above(node)
        if parent is not None:
            self.nodes[node].detach()
            self.take(node)
        self.nodes[node] = type(self.nodes[node])(node)
        self.model[node] = []

    @rule(node=some)
    def copies(self, node: int) -> None:
        top = self.nodes[node]
        for made in (copy.deepcopy(top), pickle.loads(pickle.dumps(top))):
            assert made.parent is None
            assert [each.name for each in made.walk()] == self.below(node)
            check(made)

    @invariant()
    def same_as_the_model(self) -> None:
        for number, node in enumerate(self.nodes):
            assert [child.name for child in node.children] == self.model[number]
            parent = self.above(number)
            assert node.parent is (None if parent is None else self.nodes[parent])
            assert [each.name for each in node.path] == self.line(number)[::-1]
            assert node.depth == len(self.line(number)) - 1
            below = self.below(number)
            assert [each.name for each in node.walk()] == below
            assert node.height == max(len(self.line(each)) for each in below) - len(self.line(number))


TestTrees = Trees.TestCase
TestTrees.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
