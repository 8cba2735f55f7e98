"""Sweeping and listing: orphans go, what is in use stays, whoever asks."""

from __future__ import annotations

import os
import sys
import tempfile

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.forks import in_child
from helpers.threads import run_threads

from safemem.resources import lease, replacing, segment
from safemem.resources import sweep as sweeping
from safemem.resources.shm import managed_shm
from safemem.resources.sweep import Orphan, list_resources, sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Directories of our own for shared memory and temporary files; the first is returned."""
    for name in ("shm", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")  # it would remove what a test leaves to look at it
    monkeypatch.setattr(segment, "directory", lambda: str(tmp_path / "shm"))
    monkeypatch.setattr(sweeping, "directory", lambda: str(tmp_path / "shm"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(sweeping, "_swept", {str(tmp_path / "shm")})
    return str(tmp_path / "shm")


def leave(place: str, name: str | None = None, size: int = 4096) -> None:
    """Die with a segment open."""
    held = []
    assert in_child(lambda: held.append(managed_shm(size, name=name))) == 0


def test_orphans_go_and_the_rest_stays(place):
    """A sweep returns what it removed, names that users chose included; a second one finds nothing."""
    leave(place, "x")
    with managed_shm(1, name="y") as shm, managed_shm(1, name="kept", policy="keep") as kept:
        leave(place)
        with open(os.path.join(place, "other"), "w", encoding="utf-8"):
            pass
        left = sorted(os.listdir(place))
        assert len(left) == 7
        would = sweep(dry_run=True)
        assert sorted(os.listdir(place)) == left
        done = sweep()
        assert sorted(done) == sorted(would)
        assert len(done) == 2
        assert Orphan("x", os.path.join(place, "x"), "shm", 4096) in done
        assert all(each.kind == "shm" for each in done)
        assert sweep() == []
        assert sorted(os.listdir(place)) == sorted(["y", shm._segment.leased, "kept", "other"])
        kept.unlink()


def test_temporary_things_go(place):
    """Files and directories in the directory for temporary files, and in others that are named."""
    temp = tempfile.gettempdir()
    more = os.path.join(temp, "more")
    os.mkdir(more)
    file, _ = lease.create_file(temp)
    tree, name = lease.create_directory(temp)
    other, _ = lease.create_file(more)
    os.makedirs(os.path.join(temp, name, "a", "b"))
    assert sweep(directories=[more]) == []
    for fd in (file, tree, other):
        os.close(fd)
    assert sorted(each.kind for each in sweep(directories=[more])) == ["directory", "file", "file"]
    assert os.listdir(temp) == ["more"]
    assert os.listdir(more) == []


def test_a_start_sweeps(place):
    """The first segment of a process removes what others left; the next ones do not look again."""
    leave(place, "x")
    sweeping._swept.clear()
    with managed_shm(1) as shm:
        assert os.listdir(place) == [shm.name]
        leave(place, "x")
        with managed_shm(1):
            assert len(os.listdir(place)) == 4
    assert len(sweep()) == 1


def test_list(place):
    """Everything of ours, alive or orphaned, with its holders and the name that users know."""
    leave(place, "dead", 8192)
    with managed_shm(4096, name="alive"):
        found = {each.name: each for each in list_resources()}
    assert set(found) == {"dead", "alive"}
    assert (found["dead"].state, found["dead"].size, found["dead"].holders) == ("orphaned", 8192, ())
    assert (found["alive"].state, found["alive"].size, found["alive"].kind) == ("alive", 4096, "shm")


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell who has a lock")
def test_holders():
    """In the directory of shared memory, the processes that hold a segment are known."""
    with managed_shm(1) as shm:
        assert [each.holders for each in list_resources() if each.name == shm.name] == [(os.getpid(),)]


def test_an_orphan_that_cannot_be_removed(place, monkeypatch):
    """The others are removed, then the error is raised."""
    leave(place, "a")
    leave(place, "b")
    unlink, failed = os.unlink, []

    def unlink_once(path: str) -> None:
        if not failed:
            failed.append(path)
            raise OSError(5, "made to fail")
        unlink(path)

    monkeypatch.setattr(os, "unlink", unlink_once)
    with pytest.raises(OSError, match="made to fail"):
        sweep()
    assert len(os.listdir(place)) == 2
    assert len(sweep()) == 1


def test_many_sweepers(place):
    """Many at once remove each orphan once, and nothing that is in use."""
    for number in range(10):
        leave(place, f"orphan{number}")
    found: list[Orphan] = []
    with managed_shm(1, name="held"):
        run_threads(4, lambda _: found.extend(sweep()))
        assert "held" in os.listdir(place)
    assert sorted(each.name for each in found) == sorted(f"orphan{number}" for number in range(10))
    assert os.listdir(place) == []


def test_no_cyclic_garbage(place, monkeypatch):
    """Nothing is left to the collector, also where something fails."""
    leave(place, "x")
    leave(place, "y")

    def fail(path: str) -> None:
        raise OSError(5, "made to fail")

    with no_cyclic_garbage():
        list_resources()
        sweep(dry_run=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", fail)
            try:
                sweep()
            except OSError:
                pass
        sweep()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="somebody has to die")
def test_what_replacing_files_left(place):
    """A new content whose writer was killed before it took the old one's place is an orphan, where a sweep is told to look; one that is written is not."""
    where = os.path.join(tempfile.gettempdir(), "settings")
    os.mkdir(where)
    left = os.path.join(where, ".file.0.safemem~")
    alive = os.path.join(where, ".file.1.safemem~")
    other = os.path.join(where, ".safemem~")

    def die() -> None:
        replacement = replacing.Replacement(os.path.join(where, "file"), exclusive=False)
        os.write(replacement.fd, b"x" * 5000)
        replacement._link(left)  # as it does for a moment, in which the process dies

    assert in_child(die) == 0
    for path in (alive, other):
        with open(path, "w", encoding="utf-8"):
            pass
    fd = os.open(alive, os.O_RDONLY)
    replacing._share(fd)
    assert sweep() == []
    found = {each.name: each for each in list_resources(directories=[where])}
    assert {name: (each.state, each.kind, each.path) for name, each in found.items()} == {
        ".file.0.safemem~": ("orphaned", "file", left),
        ".file.1.safemem~": ("alive", "file", alive),
    }
    orphan = Orphan(".file.0.safemem~", left, "file", 8192)
    assert sweep(directories=[where], dry_run=True) == [orphan]
    assert os.path.exists(left)
    assert sweep(directories=[where]) == [orphan]
    os.close(fd)
    assert sorted(os.listdir(where)) == [".file.1.safemem~", ".safemem~"]
    assert len(sweep(directories=[where])) == 1
