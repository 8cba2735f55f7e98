"""Bad arguments: the error comes at once, names the argument, the rule and the offender, and nothing is connected."""

from __future__ import annotations

from functools import partial

import pytest

from safemem import Signal


def generates(value):
    """A generator function."""
    yield value


async def generates_too(value):
    """An asynchronous one."""
    yield value


class Generates:
    """An object calling which gives a generator."""

    def __call__(self, value):
        yield value


@pytest.mark.parametrize(
    "receiver", [generates, generates_too, partial(generates), Generates()], ids=["function", "asynchronous", "partial", "object"]
)
def test_generator_functions_are_refused(receiver):
    """Calling one runs nothing of it."""
    with pytest.raises(TypeError, match="receiver must not be a generator function"):
        Signal().connect(receiver)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priority": "x"}, "priority must be an int, got 'x'"),
        ({"priority": 1.5}, "priority must be an int, got 1.5"),
        ({"once": 1}, "once must be True or False, got 1"),
        ({"weak": "yes"}, "weak must be True, False or None, got 'yes'"),
        ({"owner": 5}, "owner must be something that can be weakly referenced, got an object of type int"),
    ],
)
def test_bad_options(options, message):
    """The message names the argument, the rule and the offender; nothing is connected."""
    changed = Signal()
    with pytest.raises(TypeError, match=message):
        changed.connect(print, **options)
    with pytest.raises(TypeError, match=message):
        changed.receiver(**options)(print)
    assert len(changed) == 0


@pytest.mark.parametrize("receiver", [None, 5, "print"])
def test_what_cannot_be_called_is_refused(receiver):
    """By connect(), receiver() and disconnect()."""
    changed = Signal()
    with pytest.raises(TypeError, match="receiver must be callable, got"):
        changed.connect(receiver)
    with pytest.raises(TypeError, match="receiver must be callable, got"):
        changed.disconnect(receiver)


@pytest.mark.parametrize(
    ("options", "message"), [({"name": 5}, "name must be a str"), ({"doc": 5}, "doc must be a str"), ({"replay": 1}, "replay must be True")]
)
def test_bad_arguments_of_a_signal(options, message):
    """A signal is whole or not at all."""
    with pytest.raises(TypeError, match=message):
        Signal(**options)
