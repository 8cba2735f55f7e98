"""Leases: who holds a resource, and the one function that removes."""

from __future__ import annotations

import os
import stat
import sys

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.forks import in_child
from hypothesis import given, settings
from hypothesis import strategies as st

from safemem.resources import lease

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")


@pytest.fixture
def place(tmp_path):
    """A directory, as the functions take it."""
    return str(tmp_path)


def make(place: str, kind: str) -> tuple[int, str]:
    """Make a file or a directory with something in it."""
    if kind == "file":
        return lease.create_file(place)
    fd, name = lease.create_directory(place)
    os.makedirs(os.path.join(place, name, "deep", "deeper"))
    with open(os.path.join(place, name, "deep", "text"), "w", encoding="utf-8") as file:
        file.write("x")
    return fd, name


KINDS = pytest.mark.parametrize("kind", ["file", "directory"])


@settings(deadline=None)
@given(st.text())
def test_only_names_of_ours_are_parsed(text):
    """What somebody else called something is never taken for ours; ours is, whatever stands behind it."""
    assert lease.parse_name(text) is None
    assert lease.parse_name(f"{lease.new_name()}.{text}") == (os.geteuid(), lease.family())
    assert lease.parse_name(f"x{lease.new_name()}") is None


@pytest.mark.parametrize(
    "name",
    [
        "sm1_0_0123456789_0123456",
        "sm1_0_0123456789_012345678",
        "sm1_0_012345678_01234567",
        "sm1_x_0123456789_01234567",
        "sm2_0_0123456789_01234567",
    ],
)
def test_almost_a_name_is_none(name):
    """A digit more or less is a name that somebody else chose."""
    assert lease.parse_name(name) is None


def test_names_are_short_and_new():
    """A name fits into the 30 characters that macOS allows, for all but the longest user numbers."""
    names = {lease.new_name() for _ in range(1000)}
    assert len(names) == 1000
    assert max(map(len, names)) <= 30


@KINDS
def test_held_is_not_reclaimed(place, kind):
    """As long as one descriptor is open nothing is removed, by this process neither; once it is closed it is."""
    fd, name = make(place, kind)
    assert lease.is_held(place, name) is True
    assert lease.reclaim(place, name) is False
    assert os.listdir(place) == [name]
    os.close(fd)
    assert lease.is_held(place, name) is False
    assert lease.reclaim(place, name) is True
    assert os.listdir(place) == []
    assert lease.is_held(place, name) is None
    assert lease.reclaim(place, name) is False


@KINDS
def test_a_second_user_keeps_it(place, kind):
    """Everybody who holds a share counts."""
    fd, name = make(place, kind)
    other = os.open(os.path.join(place, name), os.O_RDONLY)
    lease.hold(other)
    os.close(fd)
    assert lease.reclaim(place, name) is False
    os.close(other)
    assert lease.reclaim(place, name) is True


@KINDS
def test_a_forked_child_is_a_user(place, kind):
    """A child that ends takes nothing from its parent, and one that lives keeps what the parent let go of."""
    fd, name = make(place, kind)
    assert in_child(lambda: None) == 0
    assert lease.is_held(place, name) is True
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    os.close(fd)
    assert lease.reclaim(place, name) is False
    os.close(write)
    os.waitpid(pid, 0)
    assert lease.reclaim(place, name) is True


def test_a_chosen_name_goes_with_the_lease(place):
    """A sweep that finds the lease name removes the other one, and who asks by the other one removes both."""
    for asked in range(2):
        fd, name = lease.create_file(place)
        lease.link(place, name, "chosen")
        assert lease.names_of(place, os.fstat(fd).st_ino) == ["chosen", name]
        assert lease.reclaim(place, "chosen") is False
        os.close(fd)
        assert lease.reclaim(place, ["chosen", name][asked]) is True
        assert os.listdir(place) == []


def test_a_name_in_use_is_refused_and_an_orphan_gives_it_up(place):
    """`link()` takes a name from an orphan only."""
    fd, name = lease.create_file(place)
    lease.link(place, name, "chosen")
    second, second_name = lease.create_file(place)
    with pytest.raises(FileExistsError):
        lease.link(place, second_name, "chosen")
    os.close(fd)
    lease.link(place, second_name, "chosen")
    assert lease.names_of(place, os.fstat(second).st_ino) == ["chosen", second_name]
    assert len(os.listdir(place)) == 2
    os.close(second)


@pytest.mark.parametrize("step", ["open", "flock", "fstat"])
def test_a_name_that_changes_hands_meanwhile(place, monkeypatch, step):
    """A sweeper that looks at an orphan while another one removes it, and somebody takes its name, leaves the newcomer alone."""
    import fcntl

    fd, name = lease.create_file(place)
    lease.link(place, name, "chosen")
    os.close(fd)
    module = fcntl if step == "flock" else os
    real, newcomers = getattr(module, step), []

    def late(*args, **kwargs):
        result = real(*args, **kwargs) if step == "open" else None  # before the lock is had, or after it
        if not newcomers:
            newcomers.append(-1)
            for each in os.listdir(place):
                os.unlink(os.path.join(place, each))
            newcomers[:] = lease.create_file(place)
            lease.link(place, newcomers[1], "chosen")
        return real(*args, **kwargs) if result is None else result

    monkeypatch.setattr(module, step, late)
    assert lease.reclaim(place, "chosen") is False
    monkeypatch.undo()
    assert sorted(os.listdir(place)) == sorted(["chosen", newcomers[1]])
    assert lease.is_held(place, "chosen") is True
    os.close(newcomers[0])


def test_what_is_not_ours_stays(place):
    """A plain file, a link with a name like ours, a pipe, what belongs to somebody else: not touched."""
    with open(os.path.join(place, "plain"), "w", encoding="utf-8") as file:
        file.write("x")
    os.mkdir(os.path.join(place, "directory"))
    linked, pipe = lease.new_name(), lease.new_name()
    os.symlink(os.path.join(place, "plain"), os.path.join(place, linked))
    os.mkfifo(os.path.join(place, pipe))
    before = sorted(os.listdir(place))
    assert [lease.reclaim(place, name) for name in before] == [False] * 4
    assert sorted(os.listdir(place)) == before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_others_stays(place):
    """Even root sweeps only its own."""
    fd, name = lease.create_file(place)
    os.close(fd)
    os.chown(os.path.join(place, name), 12345, -1)
    assert lease.reclaim(place, name) is False
    assert lease.is_held(place, name) is None


def test_holding_what_lost_its_name_fails(place):
    """Who opened it just before it was removed is told that it is not there."""
    fd, name = lease.create_file(place)
    other = os.open(os.path.join(place, name), os.O_RDONLY)
    os.close(fd)
    assert lease.reclaim(place, name) is True
    with pytest.raises(FileNotFoundError):
        lease.hold(other)
    os.close(other)


def test_waiting_for_a_sweeper_has_a_limit(place):
    """A sweeper that was stopped in the middle does not hold others for ever."""
    import fcntl

    fd, name = lease.create_file(place)
    os.close(fd)
    sweeper = os.open(os.path.join(place, name), os.O_RDONLY)
    fcntl.flock(sweeper, fcntl.LOCK_EX)
    other = os.open(os.path.join(place, name), os.O_RDONLY)
    with pytest.raises(TimeoutError, match=r"exclusively .* 0.05 s"):
        lease.hold(other, timeout=0.05)
    os.close(sweeper)
    lease.hold(other)
    os.close(other)


def test_a_tree_without_permissions_is_removed(place):
    """Directories that may not be written or read are opened first."""
    fd, name = lease.create_directory(place)
    deep = os.path.join(place, name, "a", "b")
    os.makedirs(deep)
    with open(os.path.join(deep, "text"), "w", encoding="utf-8") as file:
        file.write("x")

    def remove() -> None:
        if os.geteuid() == 0:
            for path, _, _ in os.walk(place):
                os.chown(path, 12345, -1)
            os.chown(os.path.join(deep, "text"), 12345, -1)
            os.seteuid(12345)
        os.chmod(deep, 0o500)
        os.chmod(os.path.dirname(deep), 0)
        mine = name.replace("sm1_0_", f"sm1_{os.geteuid()}_")
        os.rename(os.path.join(place, name), os.path.join(place, mine))
        assert lease.reclaim(place, mine) is True

    # Only root cannot test this as itself; what leads to the directory must let the other user pass.
    if os.geteuid() == 0:
        path = place
        while path != "/":
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o011)
            path = os.path.dirname(path)
    os.close(fd)
    assert in_child(remove) == 0
    assert os.listdir(place) == []


@KINDS
def test_a_failing_lock_leaves_nothing(place, kind, monkeypatch):
    """Whatever fails after something was made takes it away again, descriptor included."""
    import fcntl

    before = sorted(os.listdir("/dev/fd"))

    def fail(fd: int, kind: int) -> None:
        raise OSError(37, "no locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="no locks"):
        make(place, kind)
    assert os.listdir(place) == []
    assert sorted(os.listdir("/dev/fd")) == before


@KINDS
def test_no_cyclic_garbage(place, kind):
    """Nothing here is left to the collector."""
    with no_cyclic_garbage():
        fd, name = make(place, kind)
        lease.reclaim(place, name)
        os.close(fd)
        lease.reclaim(place, name)
        list(lease.owned_names(place))
