"""What pytest gets from safemem: the fixture `no_cycles`, which fails a test that leaves reference cycles behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

__all__: list[str] = []


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
