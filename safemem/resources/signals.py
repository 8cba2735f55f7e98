"""on_signals: signals that end the program in an orderly way, and then as a signal does."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

__all__ = ["SignalExit", "on_signals"]

# What no handler can catch, or what a handler in Python never gets to: the fault happens again before the interpreter looks.
HOPELESS: Final = ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")

_users: Final[dict[int, int]] = {}  # how many on_signals() there are for a signal
_before: Final[dict[int, Any]] = {}  # what handled it before the first of them


class SignalExit(SystemExit):
    """What is raised in the main thread when one of the signals comes; `signum` is its number, `code` 128 more, as shells count.

    A `SystemExit`, so that what catches those, and what catches every `Exception`, does what it does at `sys.exit()`.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


class on_signals:  # noqa: N801 - reads as the function it nearly is
    """Turn signals that would kill the program on the spot into an orderly exit that ends in death by the same signal.

    When one comes, `SystemExit` is raised in the main thread: blocks are left, what is open is closed, exit handlers run, and then the process dies
    of the signal, so that whoever started it sees what it would have seen. Nothing changes until this is called. It lasts until `close()` or the
    end of the block; without a block that is usually the end of the program.

    >>> import os, signal
    >>> with on_signals("SIGTERM", "SIGHUP"):
    ...     signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    False
    >>> signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    True

    * Only the main thread can set handlers (ValueError in another one), only the main thread gets the exception, and only between two steps of
      Python code: while it is in a long call of C code, nothing happens. Other threads are not interrupted; daemon threads leave no blocks.
    * Under `asyncio.run()` the main task is cancelled as by any `SystemExit`; a handler that is set with `loop.add_signal_handler()` meanwhile wins.
    * A signal that is ignored stays ignored (`nohup` does that to SIGHUP). Another handler is not called meanwhile, and is put back in the end,
      unless somebody set a new one since. Uses nest; the last that ends puts back.
    * A second signal raises again, as a second Ctrl-C does: it may cut short what closes.
    * A program that catches the exception and goes on dies of the signal at its own end, whenever that is.
    * A forked child inherits the handlers. Children of `multiprocessing` skip the last step and end with the status 128 + signal.

    Args:
        signals: Names ("SIGTERM" or "TERM") or numbers.

    Raises:
        ValueError: No such signal here, one that cannot be caught, none at all, one whose handler was not set from Python, or not the main thread.

    """

    __module__ = "safemem"
    __slots__ = {"_open": "", "signals": "Those that it was made for."}

    signals: tuple[signal.Signals, ...]

    def __init__(self, *signals: str | int) -> None:
        self._open: set[signal.Signals] = set()
        self.signals = tuple(dict.fromkeys(_signal(each) for each in signals))
        if not self.signals:
            msg = "signals must be at least one, such as on_signals('SIGTERM', 'SIGHUP')"
            raise ValueError(msg)
        _check_thread()
        for each in self.signals:
            if signal.getsignal(each) is None:
                msg = f"signals must not have a handler that was not set from Python, got {each.name}: nobody could put it back"
                raise ValueError(msg)
        for each in self.signals:
            _take(each)
            self._open.add(each)

    def close(self) -> None:
        """Put back what handled the signals before, unless another `on_signals()` still needs them. ValueError if not in the main thread."""
        if self._open:
            _check_thread()
        while self._open:
            _give_back(self._open.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"on_signals({', '.join(repr(each.name) for each in self.signals)})"


def _signal(given: Any) -> signal.Signals:
    """Return the signal that is meant."""
    number: Any = given
    if isinstance(given, str):
        number = getattr(signal.Signals, given if given.startswith("SIG") else f"SIG{given}", -1)
    if isinstance(number, bool) or not isinstance(number, int):
        msg = f"signals must be names or numbers, got {given!r}"
        raise TypeError(msg)
    try:
        found = signal.Signals(number)
    except ValueError:
        msg = f"signals must be signals of this system, got {given!r}"
        raise ValueError(msg) from None
    if found.name in HOPELESS:
        msg = f"signals must be such that a handler in Python can do something about, got {given!r}"
        raise ValueError(msg)
    return found


def _check_thread() -> None:
    import threading

    if threading.current_thread() is not threading.main_thread():
        msg = "on_signals must be used in the main thread: only that one can set handlers, and it gets the exception"
        raise ValueError(msg)


def _take(number: signal.Signals) -> None:
    if not _users.get(number):
        before = signal.getsignal(number)
        if before is not signal.SIG_IGN:
            signal.signal(number, _leave)
        _before[number] = before
    _users[number] = _users.get(number, 0) + 1


def _give_back(number: signal.Signals) -> None:
    _users[number] -= 1
    if not _users[number]:
        before = _before.pop(number)
        if signal.getsignal(number) is _leave:
            signal.signal(number, before)


def _leave(signum: int, _frame: FrameType | None) -> None:
    # The interpreter lets go of the dict of `sys` after everything else, exit handlers and modules included, and with it of this.
    sys.__dict__["_safemem_death"] = _Death(signum)
    raise SignalExit(signum)


class _Death:
    """Kills the process when the interpreter has nothing left to do; by then it has put the default handlers back."""

    __slots__ = ("_finalizing", "_kill", "_pid", "_signum")

    def __init__(self, signum: int) -> None:
        self._signum = signum
        # All that is needed, as modules are empty by then.
        self._finalizing = sys.is_finalizing
        self._kill = os.kill
        self._pid = os.getpid

    def __del__(self) -> None:
        if self._finalizing():  # else a second signal took its place
            self._kill(self._pid(), self._signum)
