"""Disposable: what is said when closing fails, and who closes if several want to."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.disposables import Plain, Resource, every_kind
from helpers.interject import Striker
from helpers.threads import run_threads, switching_often, until

from safemem import Disposable
from safemem.errors import ClosedError


class TestErrors:
    """Everything is closed, and everything is told."""

    @every_kind
    def test_all_are_told(self, kind):
        """Exceptions come as one group, in the order in which they happened, even if it is only one."""
        log: list[Any] = []
        thing = kind(log)
        thing.own(Resource(log, 1, KeyError))
        thing.own(Resource(log, 2))
        thing.own(Resource(log, 3, OSError))
        with pytest.raises(ExceptionGroup, match=f"2 errors while closing <{kind.__name__} object") as caught:
            thing.close()
        assert [type(error) for error in caught.value.exceptions] == [OSError, KeyError]
        assert log == ["dispose", 3, 2, 1]
        thing.close()
        other = kind(log)
        other.own(Resource(log, 1, KeyError))
        with pytest.raises(ExceptionGroup, match="1 error while closing"):
            other.close()

    def test_dispose_fails(self):
        """What is owned is closed all the same, and the attributes are cleared."""
        log = []

        class Bad(Disposable):
            clear_on_close = ("part",)
            part = 1

            def _dispose(self):
                raise RuntimeError("dispose")

        thing = Bad()
        thing.own(Resource(log, 1))
        with pytest.raises(ExceptionGroup) as caught:
            thing.close()
        assert str(caught.value.exceptions[0]) == "dispose"
        assert (log, thing.part, thing.closed) == ([1], None, True)

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_no_exception(self, kind):
        """What is no Exception is raised as it is when the rest has been closed, with the others as its cause."""
        log = []
        thing = Plain(log)
        thing.own(Resource(log, 1, KeyError))
        thing.own(Resource(log, 2, kind))
        thing.own(Resource(log, 3, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt, match="closing 3") as caught:
            thing.close()
        assert log == ["dispose", 3, 2, 1]
        assert isinstance(caught.value.__cause__, BaseExceptionGroup)
        assert [type(error) for error in caught.value.__cause__.exceptions] == [kind, KeyError]
        alone = Plain()
        alone.own(Resource(log, 1, kind))
        with pytest.raises(kind) as caught:
            alone.close()
        assert caught.value.__cause__ is None

    def test_interrupts(self):
        """Wherever Ctrl-C comes, at most the one that was just being closed is missed, and the interrupt is raised."""
        from safemem.cycles import disposable, disposal

        for at in [1000, *range(200)]:  # the first time some interpreters do not tell of single instructions
            log: list[Any] = []
            thing = Plain(log)
            for number in range(4):
                thing.own(Resource(log, number))
            striker = Striker(at, files={disposable.__file__, disposal.__file__})
            state = disposal.disposal_of(thing)
            state.ticket.clear()  # closing has begun
            errors: list[BaseException] = []
            try:
                striker.run(
                    lambda thing=thing, state=state, errors=errors: disposable._close_synchronously(thing, state, errors, wait=False)
                )
            except KeyboardInterrupt as error:
                errors.append(error)
            if not striker.struck and at < 1000:
                break
            if at == 1000:
                continue
            assert [type(error) for error in errors] == [KeyboardInterrupt]
            if "dispose" in log:
                assert len(log) >= 4, log
        assert at > 20

    def test_the_exception_on_its_way_goes_on(self):
        """At the end of a block it is raised, with a note for each error of closing."""
        log = []
        with pytest.raises(KeyError) as caught, Plain(log) as thing:
            thing.own(Resource(log, 1, OSError))
            thing.own(Resource(log, 2, ValueError))
            raise KeyError("on its way")
        notes = caught.value.__notes__
        assert len(notes) == 2
        assert "closing <Plain object" in notes[0]
        assert notes[0].endswith("failed too: ValueError: closing 2")
        with pytest.raises(ExceptionGroup), Plain(log) as thing:
            thing.own(Resource(log, 1, OSError))

    def test_the_exception_on_its_way_goes_on_whatever_it_is(self):
        """It may be of a frozen class, and that of closing may have no words."""

        @dataclass(frozen=True)
        class Frozen(Exception):
            code: int = 1

        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no words")

        for kind in (Frozen, KeyError):
            thing = Plain()
            thing.own(Resource([], 1, Mute))
            with pytest.raises(kind) as caught, thing:
                raise kind
            assert [note.partition(" failed too: ")[2] for note in caught.value.__notes__] == [
                f"{Mute.__qualname__}: <Mute whose str() failed>"
            ]

    @pytest.mark.parametrize("errors", [[], [KeyError], [KeyError, OSError], [KeyboardInterrupt], [KeyError, KeyboardInterrupt, OSError]])
    @pytest.mark.parametrize("block", [False, True])
    def test_nothing_is_left_to_the_collector(self, errors, block):
        """Neither success nor errors make cycles."""

        def work():
            log: list[Any] = []
            failed = False
            try:
                with Plain(log) as thing:
                    for number, error in enumerate(errors):
                        thing.own(Resource(log, number, error))
                    if block:
                        raise LookupError
            except BaseException:  # noqa: BLE001
                failed = True
            return log, failed

        work()
        with no_cyclic_garbage():
            assert work() == (["dispose", *reversed(range(len(errors)))], bool(errors) or block)


class TestThreads:
    """Anybody may close, at any time."""

    def test_once(self):
        """Of many threads that close at once, one does it, and nobody waits for it."""
        with switching_often():
            for _ in range(50):
                log: list[Any] = []
                thing = Plain(log)
                for number in range(5):
                    thing.own(Resource(log, number))
                run_threads(4, lambda _, thing=thing: thing.close())
                assert log == ["dispose", 4, 3, 2, 1, 0]

    def test_nobody_waits(self):
        """A second one returns at once while the first is still closing, and so does the first that comes again from within."""
        begun, go_on = threading.Event(), threading.Event()
        log = []

        class Slow(Disposable):
            def _dispose(self):
                self.close()
                begun.set()
                assert go_on.wait(20)
                log.append("disposed")

        thing = Slow()
        first = threading.Thread(target=thing.close)
        first.start()
        assert begun.wait(20)
        thing.close()
        assert log == []
        go_on.set()
        first.join()
        assert log == ["disposed"]

    def test_owning_while_another_closes(self):
        """Whatever is handed over at that moment is closed exactly once, or was refused and closed."""
        with switching_often():
            for _ in range(50):
                thing = Plain()
                closed: list[int] = []
                refused: list[int] = []

                def work(number, thing=thing, closed=closed, refused=refused):
                    if number == 0:
                        until(lambda: True)
                        thing.close()
                        return
                    for each in range(20):
                        try:
                            thing.own(functools.partial(closed.append, (number, each)))
                        except ClosedError:
                            refused.append(each)

                run_threads(3, work)
                assert sorted(closed) == [(number, each) for number in (1, 2) for each in range(20)]
