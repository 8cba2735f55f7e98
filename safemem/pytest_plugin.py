"""What pytest gets from safemem: `no_cycles`, and the audit of tests: `leak_check`, two markers, and an option for a whole suite.

Nothing of it costs anything until a test asks for it: the audit is not imported before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from safemem.leaks.report import LeakReport

__all__: list[str] = []

_OPTION: Final = "safemem_leaks"
_BASELINE: Final = "safemem_leaks_baseline"


@pytest.fixture(name="no_cycles")
def _no_cycles() -> Any:
    """Fail the test if its own code leaves reference cycles behind; `safemem.no_cycles` itself, for parts of the test."""
    from safemem.cycles.garbage import no_cycles

    return no_cycles


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Watch the call of a test function that asks for the fixture, and nothing of what pytest does around it."""
    if "no_cycles" not in pyfuncitem.fixturenames:
        return (yield)
    from safemem.cycles.garbage import no_cycles

    with no_cycles():
        return (yield)


# -- leaks ------------------------------------------------------------------------------------------------------------------------------------


class LeakCheck:
    """What the fixture `leak_check` is."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed

    def run(self, func: Callable[[], object], **options: Any) -> LeakReport:
        """Call `func` in rounds, as `check_leaks(func, **options)` does, and fail if it leaks; return the report if not.

        Raises:
            LeakError: it leaks what no marker `allow_leak` and no baseline allows.
        """
        from safemem.leaks.check import check_leaks

        __tracebackhide__ = True
        return _passed(check_leaks(func, **options).without(self._allowed))


def _passed(report: LeakReport) -> LeakReport:
    from safemem.leaks.report import LeakError

    __tracebackhide__ = True
    if not report.ok:
        raise LeakError(report)
    return report


@pytest.fixture(name="leak_check")
def _leak_check(request: pytest.FixtureRequest) -> LeakCheck:
    """Check functions for leaks: `leak_check.run(func)` calls `func` in rounds and fails with a report if anything grows."""
    return LeakCheck(_allowed(request.node))


def _allowed(item: pytest.Item) -> frozenset[str]:
    """Return the signatures that markers of a test, its class and module allow, and the baseline."""
    marked = {str(signature) for marker in item.iter_markers("allow_leak") for signature in marker.args}
    accepted: frozenset[str] = item.config.stash.get(_accepted, _NONE)
    return accepted | marked


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for a whole suite."""
    group = parser.getgroup("safemem", "leaks")
    group.addoption(
        "--safemem-leaks",
        action="store_true",
        dest=_OPTION,
        help="audit every test: what it opens must be closed, and what is given to safemem.watch() gone, when its fixtures are torn down",
    )
    group.addoption(
        "--safemem-leaks-baseline",
        metavar="FILE",
        dest=_BASELINE,
        help="leaks that are known, one signature a line; if there is no such file, what is found is written there and fails nothing",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Announce the markers, and watch the suite if that is wanted."""
    config.addinivalue_line(
        "markers", "no_leaks(rounds=5, ...): call the test in rounds, as safemem.check_leaks does, and fail if anything grows"
    )
    config.addinivalue_line("markers", "allow_leak(signature, ...): leaks of the test that are known")
    config.pluginmanager.register(_Marked, "safemem-no-leaks")
    if config.getoption(_OPTION) or config.getoption(_BASELINE):
        from safemem._baseline import read_baseline

        path = _baseline_of(config)
        known = None if path is None else read_baseline(path)
        config.stash[_accepted] = known or frozenset()
        if config.getoption(_OPTION):
            config.pluginmanager.register(_Suite(config, writes=path is not None and known is None), "safemem-leaks")


_IN_ROUNDS: Final = "call the test in rounds, as safemem.check_leaks does, and fail if anything grows"

_NONE: Final[frozenset[str]] = frozenset()
_accepted: Final = pytest.StashKey[frozenset[str]]()
_inside: Final = pytest.StashKey[bool]()
_block: Final = pytest.StashKey[Any]()
_failed: Final = pytest.StashKey[bool]()


def _baseline_of(config: pytest.Config) -> str | None:
    path = cast("str | None", config.getoption(_BASELINE))
    return None if path is None else os.path.join(config.invocation_params.dir, path)  # noqa: PTH118 - as the shell takes it


class _Marked:
    """The marker `no_leaks`: the whole call of a test, whatever plugins make of it, is what runs in rounds."""

    @staticmethod
    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
        marker = pyfuncitem.get_closest_marker("no_leaks")
        if marker is None or pyfuncitem.stash.get(_inside, False):
            return None
        from safemem.leaks.check import check_leaks

        __tracebackhide__ = True
        pyfuncitem.stash[_inside] = True
        try:
            report = check_leaks(lambda: _call(pyfuncitem), *marker.args, **marker.kwargs)
        finally:
            del pyfuncitem.stash[_inside]
        _passed(type(report)(report.leaks, pyfuncitem.nodeid).without(_allowed(pyfuncitem)))
        return True


def _call(item: pytest.Function) -> None:
    item.ihook.pytest_pyfunc_call(pyfuncitem=item)


# -- a whole suite ----------------------------------------------------------------------------------------------------------------------------


class _Suite:
    """The option `--safemem-leaks`: from the call of a test until its fixtures are torn down, once; a failed test is not audited on top."""

    def __init__(self, config: pytest.Config, *, writes: bool) -> None:
        self._writes = writes
        self._found: dict[str, str] = {}
        self._config = config
        from safemem.leaks.probes.recording import note_openings

        note_openings()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        if item.get_closest_marker("no_leaks") is None:
            from safemem.leaks.block import Block

            item.stash[_block] = block = Block(resources=True, cycles="auto")
            block.begin()
        try:
            return (yield)
        except BaseException:
            item.stash[_failed] = True
            raise

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        told = not item.stash.get(_failed, False)
        try:
            result = yield
        except BaseException:
            told = False
            raise
        finally:
            block = item.stash.get(_block, None)
            report = None if block is None else block.end(told=told)
            if block is not None:
                del item.stash[_block]
        if report is not None:
            self._judge(item, report)
        return result

    def _judge(self, item: pytest.Item, report: LeakReport) -> None:
        __tracebackhide__ = True
        report = type(report)(report.leaks, item.nodeid).without(_allowed(item))
        if report.ok:
            return
        if not self._writes:
            _passed(report)
        for leak in report.failures:
            self._found.setdefault(leak.signature, f"{leak.kind}: {leak.what} ({item.nodeid})")

    def pytest_sessionfinish(self) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None:  # a worker of xdist: the main process writes
            output["safemem_leaks"] = self._found
        elif self._writes:
            from safemem._baseline import write_baseline

            write_baseline(_baseline_of(self._config) or "", self._found)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._found.update(cast("dict[str, Any]", getattr(node, "workeroutput", {})).get("safemem_leaks", {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._writes:
            terminalreporter.write_sep("=", "leaks")
            terminalreporter.write_line(
                f"{len(self._found)} written to {self._config.getoption(_BASELINE)}; from now on others fail their tests"
            )
