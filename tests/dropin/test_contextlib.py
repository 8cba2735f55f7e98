"""CPython's own tests of ExitStack and AsyncExitStack, those of the running interpreter, run against the resource scopes."""

from __future__ import annotations

import os

import pytest

from safemem.resources.scope import AsyncResourceScope, ResourceScope

try:
    from test import test_contextlib as theirs
    from test import test_contextlib_async as theirs_async
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("this interpreter came without its own tests (the `test` package)", allow_module_level=True)

# What drives an asynchronous stack from a plain test, with our class below it.
Driver = theirs_async.TestAsyncExitStack.SyncAsyncExitStack
DRIVER = {name: value for name, value in vars(Driver).items() if name in {"run_coroutine", "close", "__enter__", "__exit__"}}
Driven = type("SyncAsyncExitStack", (AsyncResourceScope,), DRIVER)


# This test leaves what cannot be called in a stack and drops it: ours tries to close it, and tells.
told = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their tests find our classes where they look for those of contextlib."""
    monkeypatch.setattr(theirs, "ExitStack", ResourceScope)
    monkeypatch.setattr(theirs_async, "AsyncExitStack", AsyncResourceScope)


class TestScope(theirs.TestExitStack):
    """The tests of ExitStack."""

    exit_stack = ResourceScope
    test_instance_bypass = told(theirs.TestExitStack.test_instance_bypass)


@pytest.mark.filterwarnings("ignore:.*event loop policy:DeprecationWarning", "ignore:'asyncio:DeprecationWarning")
class TestAsyncScope(theirs_async.TestAsyncExitStack):
    """The tests of AsyncExitStack."""

    SyncAsyncExitStack = Driven
    exit_stack = Driven
    test_instance_bypass = told(theirs_async.TestAsyncExitStack.test_instance_bypass)
    test_instance_bypass_async = told(theirs_async.TestAsyncExitStack.test_instance_bypass_async)


def test_the_tests_are_there() -> None:
    """The interpreter's tests were found, and are about ours."""
    for case, least in ((TestScope, 20), (TestAsyncScope, 25)):
        assert len([name for name in dir(case) if name.startswith("test_")]) >= least
    assert {"close", "__enter__", "__exit__"} <= DRIVER.keys()
    assert issubclass(Driven, AsyncResourceScope)
