"""Disposable: what is closed, in which order, and what cannot be done afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.disposables import Resource, every_kind

from safemem import Disposable, SafememError
from safemem.errors import ClosedError


@every_kind
def test_order(kind):
    """First `_dispose()`, while the object is open; then what is owned, the latest first; once."""
    log: list[Any] = []
    thing = kind(log)
    assert thing.own(Resource(log, 1)).name == 1
    thing.own(Resource(log, 2))
    thing.own(lambda: log.append(("open", thing_is_open())))

    ref = [thing]

    def thing_is_open():
        return not ref[0].closed

    assert thing.closed is False
    thing.close()
    assert log == ["dispose", ("open", False), 2, 1]
    thing.close()
    assert len(log) == 4
    assert thing.closed is True


@every_kind
def test_with(kind):
    """A block closes at its end, whatever ends it."""
    log: list[Any] = []
    with pytest.raises(KeyError), kind(log) as thing:
        thing.own(Resource(log, 1))
        raise KeyError
    assert log == ["dispose", 1]
    assert thing.closed
    with pytest.raises(ClosedError, match=f"<{kind.__name__} object at 0x[0-9a-f]+> is closed"), thing:
        pass


def test_mixins_cooperate():
    """Each class in line does its own with `super()._dispose()`."""
    log = []

    class Left(Disposable):
        def _dispose(self):
            log.append("left")
            super()._dispose()

    class Right(Disposable):
        def _dispose(self):
            log.append("right")
            super()._dispose()

    class Both(Left, Right):
        def _dispose(self):
            log.append("both")
            super()._dispose()

    Both().close()
    assert log == ["both", "left", "right"]


def test_use_after_close():
    """`_check_open()` says what is wrong with an error that is a ValueError too, as files raise it; it may be used while disposing."""

    class Service(Disposable):
        flushed = 0

        def flush(self):
            self._check_open()
            self.flushed += 1

        def _dispose(self):
            self.flush()

    service = Service()
    service.flush()
    service.close()
    assert service.flushed == 2
    with pytest.raises(ValueError, match="<.*Service object at 0x[0-9a-f]+> is closed") as caught:
        service.flush()
    assert isinstance(caught.value, SafememError)


def test_a_class_without_init_takes_no_arguments():
    """As of other classes."""

    class Empty(Disposable):
        pass

    with pytest.raises(TypeError, match=r"Empty\(\) takes no arguments"):
        Empty(1)
    Empty().close()

    class Failed(Disposable, Exception):
        pass

    error = Failed("message")
    assert str(error) == "message"
    error.close()
