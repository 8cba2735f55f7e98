"""managed: any object with a closing method is closed, once, and no error hides another."""

from __future__ import annotations

import gc
import io
import pickle
import sys
import warnings

import pytest
from helpers.aio import in_loop
from helpers.closables import Closable
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code
from helpers.threads import run_threads

from safemem.resources.managed import managed


def test_managed_closes_once():
    """At the end of the block the object is closed, and never again."""
    thing = Closable()
    handle = managed(thing)
    with handle as same:
        assert same is thing is handle.obj
        assert not handle.closed
    handle.close()
    assert thing.told == ["it"]
    assert handle.closed


@pytest.mark.parametrize("close", ["shut", lambda obj: obj.append("shut")])
def test_managed_with_another_method(close):
    """The closing method has any name, or is a callable."""

    class Shop(list):
        def shut(self):
            self.append("shut")

    with managed(Shop(), close=close) as shop:
        assert shop == []
    assert shop == ["shut"]


def test_managed_dropped():
    """A handle that is dropped open closes the object and warns with the place; the object lives on."""
    thing = Closable()
    handle = managed(thing)
    line = sys._getframe().f_lineno - 1
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del handle
        gc.collect()
    assert thing.told == ["it"]
    assert [(each.category, each.filename, each.lineno) for each in seen] == [(ResourceWarning, __file__, line)]
    assert "managed Closable object" in str(seen[0].message)


def test_managed_error_hides_nothing():
    """An exception of the block stays, with a note; without one that of closing is raised."""
    with pytest.raises(KeyError, match="user's") as seen, managed(Closable(error=OSError("stuck"))):
        raise KeyError("user's")
    assert "stuck" in seen.value.__notes__[0]
    with pytest.raises(OSError, match="stuck"), managed(Closable(error=OSError("stuck"))):
        pass


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3,), {}, "obj must have a method 'close', got 3"),
        ((io.StringIO(),), {"close": "shut"}, "obj must have a method 'shut'"),
        ((io.StringIO(),), {"close": 3}, "close must be the name of a method or callable, got 3"),
        ((io.StringIO(),), {"close": None}, "close must be the name"),
    ],
)
def test_managed_bad_input(arguments, options, message):
    """What cannot be closed is refused at once."""
    if options.get("close", 0) is None:
        pytest.raises(TypeError, managed, object(), close=None)
        return
    with pytest.raises(TypeError, match=message):
        managed(*arguments, **options)


@in_loop
async def test_managed_async():
    """A coroutine function is awaited in an async block, and by aclose()."""
    thing = Closable()
    async with managed(thing, close="aclose_slowly") as same:
        assert same is thing
    await managed(thing, close="aclose_slowly").aclose()
    async with managed(thing):
        pass
    assert thing.told == ["it"] * 3
    with pytest.raises(KeyError) as seen:
        async with managed(Closable(error=OSError("stuck")), close="aclose_slowly"):
            raise KeyError
    assert "stuck" in seen.value.__notes__[0]
    with pytest.raises(OSError, match="stuck"):
        async with managed(Closable(error=OSError("stuck")), close="aclose_slowly"):
            pass


def test_managed_async_without_a_loop():
    """Where nobody can wait, what need not wait is done, and the rest is an error."""
    thing = Closable()
    managed(thing, close="aclose_at_once").close()
    assert thing.told == ["it"]
    with pytest.raises(TypeError, match="async with"):
        managed(thing, close="aclose_slowly").close()


def test_managed_at_exit():
    """What is still open is closed in the reverse order, without a warning."""
    code = (
        "from safemem.resources.managed import managed\n"
        "a = managed('a', close=lambda s: print('closed', s))\nb = managed('b', close=lambda s: print('closed', s))"
    )
    done = run_code(code, "-W", "error")
    assert_clean(done)
    assert done.stdout == "closed b\nclosed a\n"


@forks
def test_managed_in_a_child():
    """A forked child closes nothing."""
    thing = Closable()
    with managed(thing) as same:

        def child():
            handle.close()
            assert same.told == []

        handle = managed(thing)
        assert in_child(child) == 0
        handle.close()
    assert thing.told == ["it", "it"]


def test_managed_in_threads():
    """One of many threads closes it."""
    for _ in range(50):
        thing = Closable()
        handle = managed(thing)
        run_threads(4, lambda _number, handle=handle: handle.close())
        assert thing.told == ["it"]


def test_managed_is_not_copied():
    """It cannot be pickled; its repr names what it holds."""
    with managed(Closable()) as thing:
        pass
    handle = managed(thing)
    assert repr(handle) == f"<managed {thing!r}>"
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        pickle.dumps(handle)
    handle.close()
