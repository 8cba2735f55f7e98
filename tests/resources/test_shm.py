"""Shared memory: what it offers, what it refuses, and what is there afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import sys
import threading
import warnings
import weakref
from multiprocessing import shared_memory as theirs

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.forks import in_child
from helpers.threads import run_threads

from safemem.resources import lease, segment
from safemem.resources.shm import managed_shm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")


def descriptors() -> int:
    """How many descriptors are open."""
    return len(os.listdir("/dev/fd"))


class TestUse:
    """What everybody does with it."""

    def test_written_here_is_read_there(self, place):
        """Two blocks of one name are one memory of exactly the size that was asked for."""
        with managed_shm(100) as shm, managed_shm(name=shm.name, attach=True) as same:
            assert (shm.size, same.size, len(shm.buf), len(same.buf)) == (100, 100, 100, 100)
            shm.buf[10:13] = b"abc"
            assert bytes(same.buf[10:13]) == b"abc"
            assert not shm.closed
        assert shm.closed
        assert same.closed

    def test_works_without_with(self, place):
        """`close()` does the same, any number of times."""
        shm = managed_shm(1)
        shm.close()
        shm.close()
        assert os.listdir(place) == []

    def test_works_with_async_with(self, place):
        """`async with` too, and cleaning up is not put off."""

        async def main() -> None:
            async with managed_shm(1) as shm:
                assert len(os.listdir(place)) == 1
                assert shm.size == 1
            assert os.listdir(place) == []

        asyncio.run(main())

    def test_a_closed_block_says_so(self, place):
        """Its name, size and repr can still be read; its memory cannot."""
        shm = managed_shm(5, name="closed")
        shm.close()
        assert (shm.name, shm.size, repr(shm)) == ("closed", 5, "ManagedSharedMemory('closed', size=5, closed)")
        with pytest.raises(ValueError, match="closed.* is closed"):
            shm.buf
        with pytest.raises(ValueError, match="is closed"):
            with shm:
                pass

    def test_contents_are_there_before_anybody_attaches(self, place):
        """`init` fills the memory while it has no name that others know."""
        seen = []

        def fill(view: memoryview) -> None:
            seen.append("chosen" in os.listdir(place))
            view[:2] = b"ok"

        with managed_shm(4, name="chosen", init=fill) as shm:
            assert bytes(shm.buf) == b"ok\0\0"
        assert seen == [False]

    @pytest.mark.parametrize("init", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
    def test_init_gives_the_size(self, place, init):
        """With bytes to start with, no size is needed; a larger one is filled with zeros."""
        with managed_shm(init=init) as shm, managed_shm(5, init=init) as larger:
            assert bytes(shm.buf) == b"abc"
            assert bytes(larger.buf) == b"abc\0\0"

    def test_readonly_is(self, place):
        """A block for reading cannot be written."""
        with managed_shm(init=b"abc", readonly=True) as shm, managed_shm(name=shm.name, attach=True, readonly=True) as same:
            assert shm.readonly
            assert same.readonly
            for each in (shm, same):
                with pytest.raises(TypeError):
                    each.buf[0] = 0
            assert bytes(same.buf) == b"abc"

    def test_a_pickle_attaches(self, place):
        """Who loads it shares the memory, and does not own it."""
        with managed_shm(3) as shm:
            same = pickle.loads(pickle.dumps(shm))
            same.buf[0] = 7
            assert shm.buf[0] == 7
            same.close()
            assert lease.is_held(place, shm.name)

    def test_mode_is_that_of_the_file(self, place):
        """Others may be let in; the umask still holds."""
        before = os.umask(0o027)
        try:
            with managed_shm(1, mode=0o666) as shm, managed_shm(1) as private:
                assert os.stat(os.path.join(place, shm.name)).st_mode & 0o777 == 0o640
                assert os.stat(os.path.join(place, private.name)).st_mode & 0o777 == 0o600
        finally:
            os.umask(before)

    def test_memory_is_reserved_unless_it_is_not_to_be(self, place):
        """`prealloc` takes the blocks at once."""
        with managed_shm(1 << 20) as shm, managed_shm(1 << 20, prealloc=False) as sparse:
            blocks = [os.stat(os.path.join(place, each.name)).st_blocks * 512 for each in (shm, sparse)]
            assert blocks[0] >= 1 << 20
            assert blocks[1] == 0

    @pytest.mark.parametrize("name", ["chosen", "/chosen", "with:colon", "with\nnewline", "größe", "a" * 255, " "])
    def test_odd_names(self, place, name):
        """What the file system takes, we take; nothing is left of it."""
        with managed_shm(1, name=name) as shm:
            assert shm.name == name.removeprefix("/")
            with managed_shm(name=name, attach=True) as same:
                assert same.name == shm.name
            with pytest.raises(FileExistsError, match="in use"):
                managed_shm(1, name=name)


class TestPolicies:
    """When the name goes."""

    def test_owner(self, place):
        """With its creator's close; who uses the memory keeps it."""
        shm = managed_shm(1)
        with managed_shm(name=shm.name, attach=True) as same:
            shm.close()
            assert os.listdir(place) == []
            same.buf[0] = 1

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
    def test_last(self, place, order):
        """With the last user, whoever that is."""
        shm = managed_shm(1, policy="last", name="x")
        users = [shm, *(managed_shm(name="x", attach=True) for _ in range(2))]
        for number in order:
            assert "x" in os.listdir(place)
            users[number].close()

    def test_keep(self, place):
        """Only by `unlink()`; a later block can attach to it."""
        for name in (None, "kept"):
            with managed_shm(init=b"abc", policy="keep", name=name) as shm:
                pass
            assert os.listdir(place) == [shm.name]
            assert lease.reclaim(place, shm.name) is False
            with pytest.raises(FileExistsError, match="kept"):
                managed_shm(1, name=shm.name)
            with managed_shm(name=shm.name, attach=True) as same:
                assert bytes(same.buf) == b"abc"
            assert os.listdir(place) == [shm.name]
            same.unlink()

    def test_unlink(self, place):
        """Removes the name now, for attachers too, and once; after a close that did so, it does nothing."""
        shm = managed_shm(1, name="x")
        with managed_shm(name="x", attach=True) as same:
            same.unlink()
            assert os.listdir(place) == []
            with pytest.raises(FileNotFoundError):
                same.unlink()
        with pytest.raises(FileNotFoundError):
            shm.unlink()
        shm.close()
        with managed_shm(1, name="x") as again:
            with pytest.raises(FileNotFoundError):  # that name is another block's now
                shm.unlink()
            assert "x" in os.listdir(place)
        again.unlink()
        again.unlink()

    def test_an_orphan_gives_its_name_up(self, place):
        """A name that a dead program left can be used at once."""
        held = []
        assert in_child(lambda: held.append(managed_shm(1, name="x"))) == 0  # ends by os._exit
        assert len(os.listdir(place)) == 2
        with managed_shm(2, name="x") as shm:
            assert shm.size == 2
            assert len(os.listdir(place)) == 2


class TestTheirs:
    """Next to the standard library."""

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere their segments are not files")
    def test_attach_to_theirs(self):
        """Our block attaches to theirs, and its end does not remove what is not ours."""
        other = theirs.SharedMemory(create=True, size=10)
        try:
            with managed_shm(name=other.name, attach=True) as shm:
                shm.buf[0] = 3
                assert other.buf[0] == 3
            assert os.path.exists(f"/dev/shm/{other.name}")
        finally:
            other.close()
            other.unlink()

    def test_a_segment_without_a_size_is_waited_for(self, place):
        """Between the two steps of another creator we wait, and not for ever."""
        path = os.path.join(place, "growing")
        with open(path, "wb"):
            pass
        attached = segment.Segment(place)
        with pytest.raises(ValueError, match="'growing' has no size"):
            segment.attach(attached, "growing", readonly=False, timeout=0.02)
        segment.abandon(attached)
        timer = threading.Timer(0.05, os.truncate, (path, 8))
        timer.start()
        with managed_shm(name="growing", attach=True) as shm:
            assert shm.size == 8
        timer.join()
        os.unlink(path)


class TestViews:
    """Memory under a live view stays."""

    def test_views_outlive_the_block(self, place):
        """A memoryview, a slice and the buffer itself stay readable; the mapping goes with the last."""
        shm = managed_shm(4)
        shm.buf[:] = b"abcd"
        mapping = weakref.ref(shm._mapping)
        whole, part, other = shm.buf, shm.buf[1:3], memoryview(shm.buf).cast("B")
        shm.close()
        assert (bytes(whole), bytes(part), bytes(other)) == (b"abcd", b"bc", b"abcd")
        del whole, other
        assert mapping() is not None
        assert bytes(part) == b"bc"
        del part
        assert mapping() is None

    @pytest.mark.parametrize("last", ["creator", "attacher"])
    def test_a_view_is_no_user_of_the_name(self, place, last):
        """With policy "last" the name goes with the last close, though its memory is still looked at."""
        users = [managed_shm(init=b"abcd", policy="last", name="x"), managed_shm(name="x", attach=True)]
        views = [each.buf[1:] for each in users]
        for each in users if last == "attacher" else users[::-1]:
            assert "x" in os.listdir(place)
            each.close()
        assert os.listdir(place) == []
        assert [bytes(view) for view in views] == [b"bcd", b"bcd"]

    def test_unmapped_at_once_without_views(self, place):
        """Nothing is put off that need not be."""
        shm = managed_shm(4)
        mapping = weakref.ref(shm._mapping)
        shm.close()
        assert mapping() is None

    def test_arrays_outlive_the_block(self, place):
        """NumPy arrays made in both ways stay readable; one made over a closed block is refused."""
        np = pytest.importorskip("numpy")
        with managed_shm(80) as shm:
            first, second, third = shm.ndarray((10,), "f8"), np.frombuffer(shm.buf), np.ndarray((10,), "f8", buffer=shm.buf)
            first[:] = 7
            with pytest.raises(TypeError):
                shm.ndarray((11,), "f8")
        assert first.sum() == second.sum() == third.sum() == 70
        with pytest.raises(ValueError, match="is closed"):
            shm.ndarray((10,), "f8")

    def test_raise_cleans_up_first(self, place):
        """`on_views="raise"` tells after everything is done, and never hides the user's exception."""
        shm = managed_shm(4, on_views="raise")
        view = shm.buf[:]
        with pytest.raises(BufferError, match="views of shared memory 'sm1_.* are alive"):
            shm.close()
        assert os.listdir(place) == []
        shm.close()
        with pytest.raises(KeyError, match="mine") as caught, managed_shm(4, on_views="raise") as shm:
            view = shm.buf[:]
            raise KeyError("mine")
        assert "BufferError" in caught.value.__notes__[0]
        del view
        with managed_shm(4, on_views="raise") as shm:
            shm.buf[0] = 1


class TestDropped:
    """A block that nobody closed."""

    @pytest.mark.parametrize("attached", [False, True])
    def test_is_closed_and_warned_about(self, place, attached):
        """The warning names the line that made it."""
        with managed_shm(1) as keeper:
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                shm = managed_shm(name=keeper.name, attach=True) if attached else managed_shm(1)
                line = sys._getframe().f_lineno - 1
                del shm
                gc.collect()
            assert os.listdir(place) == [keeper.name]
        assert [(each.category, each.filename, each.lineno) for each in seen] == [(ResourceWarning, __file__, line)]
        assert "was dropped open" in str(seen[0].message)

    def test_a_view_does_not_keep_the_name(self, place):
        """Only the memory."""
        with pytest.warns(ResourceWarning, match="dropped open"):
            view = managed_shm(4).buf
            gc.collect()
        assert os.listdir(place) == []
        assert bytes(view) == bytes(4)


class TestForks:
    """A forked child uses what it inherits, and owns nothing."""

    @pytest.mark.parametrize("policy", ["owner", "last"])
    @pytest.mark.parametrize("how", ["close", "drop", "exit", "unhooked"])
    def test_a_child_takes_nothing(self, place, policy, how):
        """However it ends its use, the parent's block stays as it is."""
        shm = managed_shm(1, policy=policy, name="x")
        blocks = [shm]
        del shm

        def work() -> None:
            blocks[0].buf[0] = 9
            if how == "close":
                blocks[0].close()
                assert blocks[0].closed
            elif how == "drop":
                blocks.clear()
            elif how == "exit":
                from safemem import _finalize

                _finalize._run_at_exit()

        assert in_child(work) == 0
        assert "x" in os.listdir(place)
        assert blocks[0].buf[0] == 9
        blocks[0].close()

    @pytest.mark.parametrize("policy", ["owner", "last"])
    def test_a_child_that_outlives(self, place, policy):
        """With "owner" the name goes with the parent's close; with "last" the child, being the last, takes it along."""
        shm = managed_shm(1, policy=policy, name="x")
        to_child, from_parent = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(from_parent)
            os.read(to_child, 1)
            shm.close()
            os._exit(os.listdir(place) != [])
        shm.close()
        assert ("x" in os.listdir(place)) is (policy == "last")
        os.close(from_parent)
        assert os.waitpid(pid, 0)[1] == 0
        os.close(to_child)

    def test_what_a_child_makes_is_its_own(self, place):
        """Its close removes it."""

        def work() -> None:
            with managed_shm(1):
                assert len(os.listdir(place)) == 1
            assert os.listdir(place) == []

        assert in_child(work) == 0


class TestThreads:
    """Many threads, one block."""

    def test_closing_the_same_block(self, place):
        """It is closed once, and nobody gets an error."""
        before = descriptors()
        for policy in ("owner", "last") * 10:
            shm = managed_shm(1, policy=policy)
            run_threads(4, lambda _, shm=shm: shm.close())
            assert os.listdir(place) == []
        assert descriptors() == before

    def test_one_name_for_one(self, place):
        """Of many who want a name, one gets it; the others are told, or attach."""
        made = []

        def work(_: int) -> None:
            for _ in range(20):
                try:
                    shm = managed_shm(1, name="x")
                except FileExistsError:
                    try:
                        shm = managed_shm(name="x", attach=True)
                    except FileNotFoundError:
                        continue
                else:
                    made.append(shm.name)
                shm.close()

        run_threads(4, work)
        assert made


def test_no_cyclic_garbage(place):
    """Nothing is left to the collector, on success and on error."""
    with no_cyclic_garbage():
        with managed_shm(4, name="x", init=b"ab") as shm:
            same = managed_shm(name="x", attach=True)
            view = same.buf[1:]
            same.close()
            for arguments in ({"size": 1, "name": "x"}, {"name": "y", "attach": True}, {"size": 0}):
                try:
                    managed_shm(**arguments)
                except (OSError, ValueError):
                    pass
            try:
                managed_shm(1, init=lambda _: {}["x"])
            except KeyError:
                pass
            repr(shm)
        del view, same
        shm.unlink()
