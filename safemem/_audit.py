"""What `safemem audit` does: runs a program as if it were alone, lets it end as it would, and reports what it has leaked by then.

The interpreter's own way to end (wait for threads, then the exit handlers) is gone through before the last look, since what they clean up is no
leak; the modules are still whole then, so that holders can be named.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from safemem._console import CommandError, OutputError, complain
from safemem.leaks.places import count_as_own
from safemem.leaks.probes.recording import note_openings
from safemem.leaks.program import AuditOfProgram
from safemem.leaks.report import Leak, LeakReport
from safemem.leaks.terminal import show

__all__ = ["Wishes", "audit"]


@dataclass(frozen=True)
class Wishes:
    """What the user asked for."""

    program: list[str]  # SCRIPT or MODULE, and its arguments
    is_module: bool
    trace: bool
    as_json: bool
    html: str | None
    ignore: list[str]
    error_exitcode: int


def audit(wishes: Wishes) -> int:
    """Run the program, report to standard error, and return the exit status; a program that is interrupted ends as it would alone.

    Raises:
        CommandError: there is no such script, or the page cannot be written there; nothing was run.
    """
    start = _prepared(wishes)
    if wishes.html is not None:
        _check_writable(wishes.html)
    process = os.getpid()
    for module in ("tempfile", "multiprocessing.shared_memory"):  # what they make is noted only if they are there when the audit begins
        import_module(module)
    note_openings()
    watching = AuditOfProgram(trace=wishes.trace)
    watching.start()
    status = _run(start, process)
    if os.getpid() != process:  # a child that the program forked and that got here: it ends as it would, too
        return status
    _let_end(watching)
    leaks = tuple(leak for leak in watching.stop().leaks if not _is_for_good(leak))
    report = LeakReport(leaks, f"safemem audit {wishes.program[0]}").without(wishes.ignore)
    _tell(report, wishes)
    if status == _INTERRUPTED:
        _die_of_interrupt()
    return status or (wishes.error_exitcode if not report.ok else 0)


def _is_for_good(leak: Leak) -> bool:
    """Whether it is meant to last as long as the program: a single daemon thread."""
    return leak.kind == "thread" and leak.count == 1 and "daemon" in leak.what


_INTERRUPTED = -signal.SIGINT  # not a status that a program can ask for


# -- as if alone ------------------------------------------------------------------------------------------------------------------------------


def _prepared(wishes: Wishes) -> Callable[[], object]:
    """Make this process look as if it had been started for the program; return what runs it."""
    name = wishes.program[0]
    if wishes.is_module:
        count_as_own(name.partition(".")[0])
        _become(wishes.program, os.getcwd())
        return lambda: _run_module(name)
    if not Path(name).exists():
        raise CommandError(f"no such file: {name!r}")
    if _is_package(name):
        _become(wishes.program, os.path.abspath(name))
        return lambda: _run_package(name)
    code = _compiled(name)
    main = _become(wishes.program, os.path.dirname(os.path.realpath(name)))
    loader = _loader(name)
    vars(main).update({"__file__": os.path.abspath(name), "__loader__": loader})
    if sys.version_info < (3, 15):
        vars(main)["__cached__"] = None
    return lambda: exec(code, vars(main))  # noqa: S102 - this is what it is for


def _become(program: list[str], first: str) -> ModuleType:
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = sys.modules["builtins"]
    if sys.version_info < (3, 14):
        vars(main)["__annotations__"] = {}
    sys.modules["__main__"] = main
    sys.argv[:] = program
    if not sys.flags.safe_path:
        if sys.path:
            sys.path[0] = first  # in the place of that of this command
        else:
            sys.path.append(first)
    return main


def _is_package(name: str) -> bool:
    """Whether it is a directory or an archive with a `__main__` in it."""
    import pkgutil

    return pkgutil.get_importer(name) is not None


def _compiled(name: str) -> Any:
    import io
    import pkgutil

    path = os.path.abspath(name)
    try:
        with io.open_code(path) as file:
            code = pkgutil.read_code(file)
        with io.open_code(path) as file:
            source = b"" if code is not None else file.read()
    except OSError as error:
        raise CommandError(f"cannot read {name!r}: {error.strerror or error}") from None
    if code is not None:
        return code
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        failure = error.with_traceback(None)
    sys.excepthook(type(failure), failure, None)
    raise SystemExit(1)


def _loader(name: str) -> Any:
    from importlib.machinery import SourceFileLoader

    return SourceFileLoader("__main__", os.path.abspath(name))


def _run_module(name: str) -> None:
    import runpy

    sys.argv[0] = "-m"
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]  # noqa: SLF001 - it is what `python -m` calls


def _run_package(name: str) -> None:
    import runpy

    runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]  # noqa: SLF001
    del name


def _run(start: Callable[[], object], process: int) -> int:
    """Run it and return its exit status; what it raises is shown as the interpreter would show it."""
    try:
        start()
    except SystemExit as leaving:
        return _status_of(leaving.code)
    except KeyboardInterrupt as error:
        _show(error)
        return _INTERRUPTED if os.getpid() == process else 130
    except BaseException as error:  # noqa: BLE001 - whatever it is, the program ends with it
        _show(error)
        return 1
    return 0


def _status_of(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    text = str(code)
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison] - it is None if it was closed
        print(text, file=sys.stderr)
    return 1


def _show(error: BaseException) -> None:
    """Show an exception without the frames of this command; afterwards nothing refers to its frames."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    error.__traceback__ = trace
    try:
        sys.excepthook(type(error), error, trace)
    except BaseException as failure:  # noqa: BLE001 - of a hook of the program's own
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        sys.__excepthook__(type(error), error, trace)
    error.__traceback__ = None


def _is_ours(trace: TracebackType) -> bool:
    name = trace.tb_frame.f_code.co_filename
    return name in {__file__, "<frozen runpy>"} or name.endswith(f"{os.sep}runpy.py")


def _let_end(watching: AuditOfProgram) -> None:
    """Go through the end of a program: wait for its threads, call its exit handlers; a handler that fails is shown, as always."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other name for it
    except KeyboardInterrupt as error:
        _show(error)
    watching.before_exit_handlers()
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other name for it
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # pyright: ignore[reportUnnecessaryComparison]
                stream.flush()
        except (OSError, ValueError):
            continue  # the interpreter will say so when it ends


def _die_of_interrupt() -> None:
    if sys.platform == "win32":
        raise SystemExit(0xC000013A)
    else:  # noqa: RET506 - for type checkers, which look at one of the two
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


# -- the report -------------------------------------------------------------------------------------------------------------------------------


def _check_writable(path: str) -> None:
    directory = os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.access(path if os.path.exists(path) else directory, os.W_OK):
        raise CommandError(f"cannot write to {path!r}")


def _tell(report: LeakReport, wishes: Wishes) -> None:
    if wishes.html is not None:
        try:
            report.to_html(wishes.html)
        except OSError as error:
            complain(f"error: cannot write {wishes.html!r}: {error.strerror or error}")
    stream = sys.__stderr__  # the program may have put something of its own in the place of sys.stderr
    if stream is None:
        return
    try:
        if wishes.as_json:
            stream.write(report.to_json() + "\n")
            stream.flush()
        else:
            show(report, stream)
    except (OSError, ValueError, OutputError):
        return  # the exit status has to do
