"""What is known of an instance whose fields are observed: a signal for each of them, and what changed in a batch."""

from __future__ import annotations

import weakref
from _thread import get_ident
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from safemem.core._failures import failure, remember
from safemem.observers.signal import Signal

if TYPE_CHECKING:
    from safemem.core._emission import About

__all__ = ["MISSING", "Absent", "FieldSignal", "Watch", "is_equal", "value_of"]

ROUNDS: Final = 1000  # how often one assignment may lead to another of the same field

_read: Final = object.__getattribute__


class Absent(Enum):
    """The type of what stands for the value of a field that has none."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "Observable.MISSING"

    __str__ = __repr__


MISSING: Final = Absent.MISSING


class FieldSignal(Signal[str, Any, Any]):
    """The signal of one field of one instance. What a receiver changes is told after what it is being told."""

    __slots__ = ("_busy",)

    _busy: dict[int, list[tuple[Any, Any]] | None]  # threads in which it is being emitted, and what is to be told next

    @classmethod
    def of(cls, about: About, obj: Any) -> FieldSignal:
        """Return a signal without receivers."""
        signal = cls.__new__(cls)
        signal._make(about)
        signal._emitter = weakref.ref(obj) if type(obj).__weakrefoffset__ else None
        signal._busy = {}
        return signal

    def tell(self, name: str, old: Any, new: Any) -> None:
        """Call the receivers, now or, in a receiver, after the others have been called."""
        me = get_ident()
        busy = self._busy
        if me in busy:
            waiting = busy[me]
            if waiting is None:
                busy[me] = [(old, new)]
            else:
                waiting.append((old, new))
            return
        busy[me] = None
        failed: list[Exception] = []
        try:
            try:
                self.emit(name, old, new)
            except ExceptionGroup as group:
                if busy[me] is None:
                    raise
                failed += group.exceptions
            waiting = busy[me]
            if waiting is not None:
                self._tell_rest(name, waiting, failed)
        finally:
            del failed, busy[me]

    def _tell_rest(self, name: str, waiting: list[tuple[Any, Any]], failed: list[Exception]) -> None:
        rounds = 0
        try:
            while waiting:
                old, new = waiting.pop(0)
                rounds += 1
                if rounds > ROUNDS:
                    msg = f"receivers of {self._about.title()} assign to it again and again: it changed from {old!r} to {new!r} in the end"
                    raise _chained(RecursionError(msg), failed, self._about.title())
                self._run(None, (name, old, new), {}, None, failed)
            if failed:
                raise failure(self._about.title(), failed, None)
        finally:
            del failed


class Watch:
    """What is known of an instance that is observed, or in a batch."""

    __slots__ = ("fields", "first", "open")

    def __init__(self) -> None:
        self.fields: dict[str, FieldSignal] = {}
        self.open: list[None] = []  # one for each batch that is on, in whatever thread
        self.first: dict[str, Any] = {}  # the fields that changed in a batch and are not told of yet, with what they were before it

    def note(self, field: FieldSignal, name: str, obj: Any, old: Any, new: Any) -> None:
        """Make a note, for the end of the batch, of an assignment that has been done; or tell of it if there is no batch."""
        first = self.first
        if self.open:
            if old is new or not field:  # nobody listens any more
                return
            first.setdefault(name, old)
            if self.open:
                return
            # Ended just now, in another thread. Who takes the note tells.
            old = first.pop(name, first)
            if old is first:
                return
            new = value_of(obj, name)
        elif first and name in first:  # its turn is still to come
            return
        if old is not new and not is_equal(old, new):
            field.tell(name, old, new)

    def deliver(self, obj: Any) -> None:
        """Tell of what changed in a batch, one call a field; unless another one is on."""
        first = self.first
        failed: list[Exception] = []
        whole = False
        try:
            for name in list(first):
                if self.open:
                    break
                old = first.pop(name, first)
                if old is not first:  # else another thread has told
                    self._tell(obj, name, old, failed)
            whole = True
            _raise_all(failed, obj)
        finally:
            if not whole:  # a BaseException: what would wait for its turn for ever
                first.clear()
            del failed

    def _tell(self, obj: Any, name: str, old: Any, failed: list[Exception]) -> None:
        new = value_of(obj, name)
        try:
            if old is not new and not is_equal(old, new):
                self.fields[name].tell(name, old, new)
        except ExceptionGroup as group:
            failed += group.exceptions
        except RecursionError as error:
            failed.append(error)
        finally:
            del failed


def _raise_all(failed: list[Exception], obj: Any) -> None:
    try:
        if failed:
            raise failure(f"a batch of {type(obj).__qualname__}", failed, None)
    finally:
        del failed


def _chained(error: RecursionError, failed: list[Exception], title: str) -> RecursionError:
    if failed:
        remember(error, failed, title)
    return error


def value_of(obj: Any, name: str) -> Any:
    """Return the value of a field as it would be read, or MISSING."""
    try:
        return _read(obj, name)
    except Exception:  # noqa: BLE001 - an AttributeError, or what a default of the class raises that is no value for an instance
        return MISSING


def is_equal(old: Any, new: Any) -> bool:
    """Whether two values are equal and say so plainly: not by raising, and not item by item as arrays do."""
    try:
        answer: Any = old == new
        if answer is True or answer is False:
            return answer
        kind: Any = type(answer)  # pyright: ignore[reportUnknownVariableType]
        return not hasattr(kind, "__len__") and bool(answer)
    except Exception:  # noqa: BLE001 - whatever it is, it does not say that they are equal
        return False
