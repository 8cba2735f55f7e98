"""Observable: whether a new value is a change."""

from __future__ import annotations

import pytest
from helpers.listeners import Listener

from safemem import Observable


class Plain(Observable):
    x: object = 0


class Answers:
    """Gives any answer to `==`."""

    def __init__(self, answer):
        self.answer = answer

    def __eq__(self, other):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    __hash__ = None


class Array(list):
    """As those of numpy: compared item by item, and no truth value if there is more than one."""

    def __eq__(self, other):
        return Array(one == two for one, two in zip(self, other, strict=False))

    def __bool__(self):
        if len(self) == 1:
            return bool(self[0])
        raise ValueError("ambiguous")

    __hash__ = None


class Scalar:
    """As `numpy.bool_`: a truth value that is no bool."""

    def __init__(self, value):
        self.value = value

    def __bool__(self):
        return self.value


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (float("nan"), float("nan"), True),
        (1, True, False),
        ([1], [1], False),
        (Array([1, 2]), Array([1, 2]), True),
        (Array([1]), Array([1]), True),
        (Array([]), Array([]), True),
        ([Array([1, 2])], [Array([1, 2])], True),
        (Answers(ValueError()), 1, True),
        (Answers(RecursionError()), 1, True),
        (Answers(NotImplemented), 1, True),
        (Answers(True), 1, False),
        (Answers(False), 1, True),
        (Answers(Scalar(True)), 1, False),
        (Answers(Scalar(False)), 1, True),
        (Answers(Answers(1)), 1, False),
    ],
)
def test_what_counts_as_a_change(old, new, changed):
    """Identity, then `==`; what raises or answers with an array is a change."""
    obj, listener = Plain(), Listener()
    obj.x = old
    obj.observe("x", listener.hear)
    obj.x = old
    assert listener.heard == []
    obj.x = new
    assert [told[0] for told in listener.heard] == ["x"] * changed
    assert obj.x is new


def test_an_interrupted_comparison_is_not_swallowed():
    """A KeyboardInterrupt in `==` is raised, after the assignment."""
    obj = Plain()
    obj.x = Answers(KeyboardInterrupt())
    obj.observe("x", print)
    with pytest.raises(KeyboardInterrupt):
        obj.x = 5
    assert obj.x == 5
