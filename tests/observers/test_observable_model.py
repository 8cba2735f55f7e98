"""Observable: fields, observers and batches against a naive model."""

from __future__ import annotations

import pytest
from helpers.points import KINDS, Point
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from safemem import Observable

MISSING = Observable.MISSING


class Model(RuleBasedStateMachine):
    """A dict of values, a dict of what was noted in a batch, and a list of who listens."""

    @initialize(kind=st.sampled_from(KINDS))
    def start(self, kind):
        """One instance."""
        self.obj, self.other = kind(), kind()
        self.default = kind is Point
        self.values = {"x": 0, "y": 0, "z": MISSING}
        self.listening, self.batches, self.first = [], [], {}
        self.told, self.expected = [], []

    def change(self, name, new):
        """What the model does."""
        old, self.values[name] = self.values[name], new
        if not any(other == name for other, _ in self.listening):
            return
        if self.batches:
            self.first.setdefault(name, old) if old is not new else None
        else:
            self.tell(name, old, new)

    def tell(self, name, old, new):
        """Nobody is told of what is equal."""
        if old != new:
            self.expected += [(number, name, old, new) for number, (other, _) in enumerate(self.listening) if other == name]

    @rule(name=st.sampled_from("xyz"), value=st.sampled_from([0, 1, 2.0, 2, None, "a"]))
    def assign(self, name, value):
        """A value, often one it had."""
        setattr(self.obj, name, value)
        setattr(self.other, name, "elsewhere")
        self.change(name, value)

    @rule(name=st.sampled_from("xyz"))
    def delete(self, name):
        """Fails if there is none."""
        mine = name in vars(self.obj) if self.default else self.values[name] is not MISSING
        if mine:
            delattr(self.obj, name)
            self.change(name, 0 if self.default and name != "z" else MISSING)
        else:
            with pytest.raises(AttributeError):
                delattr(self.obj, name)

    @rule(name=st.sampled_from("xyz"))
    def observe(self, name):
        """One more."""
        number, told = len(self.listening), self.told
        connection = self.obj.observe(name, lambda *args: told.append((number, *args)))
        self.listening.append((name, connection))

    @rule(number=st.integers(0, 5))
    def disconnect(self, number):
        """One less."""
        if number < len(self.listening):
            self.listening[number][1].disconnect()
            self.listening[number] = (None, self.listening[number][1])

    @rule()
    def enter(self):
        """A batch."""
        batch = self.obj.batch()
        batch.__enter__()
        self.batches.append(batch)

    @rule(number=st.integers(0, 3))
    def leave(self, number):
        """Any of those that are on."""
        if self.batches:
            batch = self.batches.pop(number % len(self.batches))
            if not self.batches:
                for name, old in self.first.items():
                    self.tell(name, old, self.values[name])
                self.first = {}
            batch.__exit__(None, None, None)

    @invariant()
    def agrees(self):
        """Told is what the model expects, and read what was written."""
        assert self.told == self.expected
        for name, value in self.values.items():
            assert getattr(self.obj, name, MISSING) is value or getattr(self.obj, name) == value


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
