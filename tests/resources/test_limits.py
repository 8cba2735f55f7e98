"""Memory limits of control groups: what does not fit is an error at once, not a kill."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import pytest
from helpers.forks import in_child

from safemem.resources import limits, segment
from safemem.resources.memfd import managed_memfd
from safemem.resources.shm import managed_shm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")

MIB = 1 << 20


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Make control groups: a table of those of this process, and their files."""
    monkeypatch.setattr(limits, "_MOUNT", str(tmp_path))
    monkeypatch.setattr(limits, "_OF_THIS_PROCESS", str(tmp_path / "table"))
    monkeypatch.setattr(limits, "_has_swap", lambda: False)

    def make(table: str, **files: str) -> None:
        (tmp_path / "table").write_text(table, encoding="utf-8")
        for path, text in files.items():
            place = tmp_path / path.replace("__", "/").replace("_DOT_", ".")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")

    return make


def second(path: str, limit: str, used: str, stat: str = "", swap: str = "0") -> dict[str, str]:
    """Return the files of a group of the second version."""
    names = {"memory_DOT_max": limit, "memory_DOT_current": used, "memory_DOT_stat": stat, "memory_DOT_swap_DOT_max": swap}
    return {f"{path}{name}": text + "\n" for name, text in names.items()}


def test_second_version(groups):
    """The least of the group and those it is in; files in memory count as room."""
    inner = second("a__b__", "1000", "900", "anon 700\nactive_file 50\ninactive_file 100\nshmem 50\nslab_reclaimable 7")
    groups("0::/a/b\n", **inner, **second("a__", "max", "950"), **second("", "5000", "1000"))
    assert limits.room() == 257
    groups("0::/a/b\n", **second("a__", "950", "940"))
    assert limits.room() == 10


def test_first_version(groups):
    """Its files have other names and count what is in the groups within."""
    names = {"limit_in_bytes": "1000", "usage_in_bytes": "990", "stat": "active_file 1\ntotal_active_file 20\ntotal_inactive_file 3"}
    groups("5:cpu,memory:/x\n3:cpuset:/y\n", **{f"memory__x__memory_DOT_{name}": text for name, text in names.items()})
    assert limits.room() == 33
    groups("", memory__x__memory_DOT_limit_in_bytes=str(sys.maxsize // 4096 * 4096))
    groups("5:cpu,memory:/x\n")
    assert limits.room() is None


def test_a_container_sees_its_own_group_as_the_topmost(groups):
    """The path is that of the host, where nothing is; what there is counts."""
    groups("0::/docker/0123\n", **second("", "1000", "1"))
    assert limits.room() == 999


@pytest.mark.parametrize("table", ["", "0::/\n", "7:pids:/\n"])
def test_no_limit(groups, table):
    """Without files, tables or limits there is nothing to tell."""
    groups(table)
    assert limits.room() is None
    groups(table, **second("", "max", "1"))
    assert limits.room() is None


def test_what_cannot_be_read_is_no_limit(groups, tmp_path):
    """Neither is nonsense, nor a table that is not there."""
    groups("0::/\n", **second("", "1000", "many"))
    assert limits.room() is None
    (tmp_path / "table").unlink()
    assert limits.room() is None


def test_swap_space_is_room(groups, monkeypatch):
    """Where there is some and the group may take it, nobody can tell."""
    monkeypatch.setattr(limits, "_has_swap", lambda: True)
    groups("0::/\n", **second("", "1000", "1", swap="max"))
    assert limits.room() is None
    groups("0::/\n", **second("", "1000", "1", swap="0"))
    assert limits.room() == 999


def test_what_does_not_fit(groups, tmp_path, monkeypatch):
    """It is one clear error, with nothing left; what is sparse, or small, is not asked about."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")
    monkeypatch.setattr(segment, "directory", lambda: str(place))
    groups("0::/\n", **second("", str(2 * MIB), "100"))
    before = os.listdir("/dev/fd")
    for make in (managed_shm, managed_memfd):
        with pytest.raises(OSError, match=rf"need {2 * MIB} bytes, the memory limit of the control group leaves {2 * MIB - 100}") as caught:
            make(2 * MIB)
        assert caught.value.errno == errno.ENOMEM
        make(2 * MIB, prealloc=False).close()
        make(2 * MIB - 100).close()
    assert os.listdir(place) == []
    assert os.listdir("/dev/fd") == before


def own_group() -> Path | None:
    """Make a control group with a limit of 64 MiB, if that is permitted."""
    for mount, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(mount) / f"safemem-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(str(64 * MIB), encoding="ascii")
        except OSError:
            group.rmdir()
            continue
        return group
    return None


def remove(group: Path) -> None:
    """Remove a control group; one whose process has just died may be busy for a moment."""
    limit = time.monotonic() + 20
    while True:
        try:
            return group.rmdir()
        except OSError:
            if time.monotonic() > limit:
                raise
        time.sleep(0.01)


def test_a_real_limit():
    """A process in a group of 64 MiB gets an error for 128, and can fill 16."""
    group = own_group()
    if group is None:
        pytest.skip("may not make a control group")

    def work() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        for make in (lambda size: managed_shm(size, guardian="off"), managed_memfd):
            with pytest.raises(OSError, match="the memory limit of the control group leaves") as caught:
                make(128 * MIB)
            assert caught.value.errno == errno.ENOMEM
            with make(16 * MIB) as shm:
                shm.buf[:] = bytes(16 * MIB)

    try:
        assert in_child(work) == 0
    finally:
        remove(group)
