"""The bounds on memory: control groups of both interfaces, with and without a namespace, nested, hybrid and broken; the machine; resource limits."""

from __future__ import annotations

import json
import os
import sys

import pytest
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code

from safemem.memory.kernel import KernelFile, number_after
from safemem.memory.limits import find_limit, find_limits, groups
from safemem.memory.pressure import Signals

MB = 1_000_000


def in_groups(root: str) -> list[tuple[int, str]]:
    """The bounds of control groups below a root."""
    return [(limit.bytes, limit.source) for limit in find_limits(root) if limit.kind == "cgroup"]


class TestTrees:
    """Each tree has one right answer."""

    def test_nested(self, tree):
        """All heights count, memory.high as well, and each has a usage of its own without what can be dropped."""
        root = tree("v2-nested-host")
        assert in_groups(root) == [
            (1073741824, "memory.max of control group /web.slice/web-api.slice (cgroup v2)"),
            (805306368, "memory.high of control group /web.slice/web-api.slice (cgroup v2)"),
            (2147483648, "memory.max of control group /web.slice (cgroup v2)"),
        ]
        limit = find_limit(root)
        assert limit is not None
        assert (limit.bytes, limit.used) == (805306368, 700_000_000 - 200_000_000)
        assert limit.level == pytest.approx(500 / 805.306368)
        above = max(find_limits(root)[:3], key=lambda each: each.bytes)
        assert above.used == 1503238553 - 400000000 - 103238553 - 40000000

    def test_namespace(self, tree):
        """The group is the root of all it sees; a page cache of 180 MB does not count, shared memory does."""
        limit = find_limit(tree("v2-container-namespace"))
        assert limit is not None
        assert (limit.bytes, limit.source) == (536870912, "memory.max of control group / (cgroup v2)")
        assert limit.used == 201326592 - 120000000 - 60355072 - 2097152
        assert limit.used > 12 * MB

    def test_namespace_with_the_mounts_of_the_host(self, tree, tmp_path):
        """The group is found by the processes in it; what is left of huge pages does not count."""
        root = tree("v2-namespace-old-mount")
        assert in_groups(root) == []
        (tmp_path / "sys/fs/cgroup/outer/inner/cgroup.procs").write_text(f"1\n{os.getpid()}\n")
        assert in_groups(root) == [
            (83886080, "memory.max of control group /outer/inner (cgroup v2)"),
            (67108864, "memory.high of control group /outer/inner (cgroup v2)"),
            (100663296, "memory.max of control group /outer (cgroup v2)"),
        ]
        limit = find_limit(root)
        assert limit is not None
        remains = 48914432 + 4096 - 28995584
        assert limit.used == 57946112 - 8437760 - 4096 - remains
        assert Signals(root).stall_source == f"{root}/sys/fs/cgroup/outer/inner/memory.pressure"

    @pytest.mark.parametrize(
        ("path", "mounted", "bounds"),
        [
            ("/", "/..", [80, 70]),
            ("/b", "/..", [90, 80, 70]),
            ("/../a", "/..", [80, 70]),
            ("/../a/b", "/..", [90, 80, 70]),
            ("/", "/../..", [90, 80, 70]),
            ("/../b", "/../..", [90, 80, 70]),
            ("/../x", "/../..", [70]),
            ("/../../a", "/..", [70]),
            ("/", "/../../..", [70]),
            ("/", "/../x", [70]),
            ("/b", "/a", [70]),
            ("/ab", "/a", [70]),
            ("/a/../b", "/a", [70]),
            ("/a/b", "/a/b", [70]),
            ("/x/a", "/x", [80, 70]),
            ("/*", "/..", [70]),
        ],
    )
    def test_where_it_is_mounted(self, tmp_path, path, mounted, bounds):
        """A group is found from the topmost that can be seen, or by the processes in it, or else the topmost stands for it."""
        mount = tmp_path / "sys/fs/cgroup"
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(f"0::{path}\n")
        (tmp_path / "proc/self/mountinfo").write_text(f"29 23 0:25 {mounted} /sys/fs/cgroup rw - cgroup2 none rw\n")
        (mount / "a/b").mkdir(parents=True)
        for name, size in ((".", 70), ("a", 80), ("a/b", 90)):
            (mount / name / "memory.max").write_text(f"{size}\n")
            (mount / name / "cgroup.procs").write_text("1\n")
        (mount / "a/b" if len(bounds) == 3 else mount / "a").joinpath("cgroup.procs").write_text(f"1\n{os.getpid()}\n")
        assert [size for size, _ in in_groups(str(tmp_path))] == bounds

    @pytest.mark.parametrize(
        ("name", "size", "used"),
        [
            ("v2-container-no-namespace", 268435456, 94_500_000),
            ("v2-outside-namespace", 400_000_000, 100_000_000),
            ("v1-container", 314572800, 80_000_000),
            ("v1-parent-out-of-sight", 100_000_000, 49_000_000),
            ("hybrid", 800_000_000, 600_000_000 - 122948403 - 66454323),
            ("odd", 300_000_000, None),
            ("bare", 5_000_000, 4_000_000),
        ],
    )
    def test_lowest(self, tree, name, size, used):
        """The lowest bound and what counts against it."""
        limit = find_limit(tree(name))
        assert limit is not None
        assert (limit.bytes, limit.used, limit.kind) == (size, used, "cgroup")
        assert (limit.level is None) == (used is None)

    def test_old_interface_sees_the_parents(self, tree):
        """What the group above sets is found by what the group tells of it, and said so."""
        assert in_groups(tree("v1-parent-out-of-sight")) == [(100_000_000, "a group above control group /user.slice/job (cgroup v1)")]

    def test_hybrid_limits_are_not_found_twice(self, tree):
        """Where the group that sets a limit can be seen, it is the one that is named."""
        sources = [source for _, source in in_groups(tree("hybrid"))]
        assert "memory.limit_in_bytes of control group /process_api (cgroup v1)" in sources

    def test_machine(self, tree):
        """All that is not available counts."""
        (limit,) = [each for each in find_limits(tree("hybrid")) if each.kind == "machine"]
        assert (limit.bytes, limit.used) == (24684096 << 10, 684096 << 10)

    def test_nothing(self, tmp_path):
        """No file, no bound but those of this process."""
        assert [limit for limit in find_limits(str(tmp_path)) if limit.kind != "rlimit"] == []
        assert list(groups(str(tmp_path))) == []

    @pytest.mark.parametrize("size", ["0", "max", "", "18446744073709551615", "1e9", "\x00"])
    def test_odd_numbers(self, tree, tmp_path, size):
        """Zero is a bound, everything else here is none."""
        root = tree("v2-container-namespace")
        (tmp_path / "sys/fs/cgroup/memory.max").write_text(size)
        found = in_groups(root)
        assert [bound for bound, _ in found] == ([0] if size == "0" else [])

    def test_bound_of_zero_is_full(self, tree, tmp_path):
        """No division by it."""
        root = tree("v2-container-namespace")
        (tmp_path / "sys/fs/cgroup/memory.max").write_text("0\n")
        limit = find_limit(root)
        assert limit is not None
        assert limit.level is not None
        assert limit.level > 1


class TestReadings:
    """What is read while the program runs."""

    def test_used_is_read_anew(self, tree, tmp_path):
        """The file is open, and what it says now counts."""
        limit = find_limit(tree("bare"))
        assert limit is not None
        for size in (1_000_000, 3_000_000):
            (tmp_path / "sys/fs/cgroup/a/memory.current").write_text(f"{size}\n")
            assert limit.used == size

    def test_group_that_goes_away(self, tree, tmp_path):
        """The answer is None, and a number again if the group comes back."""
        limit = find_limit(tree("bare"))
        assert limit is not None
        path = tmp_path / "sys/fs/cgroup/a/memory.current"
        assert limit.used == 4_000_000
        path.write_text("")
        assert limit.used is None
        path.unlink()
        path.write_text("77\n")
        assert find_limit(str(tmp_path)).used == 77

    def test_signals_take_the_fullest(self, tree):
        """Of several bounds, the one that most is in use of."""
        signals = Signals(tree("v2-nested-host"))
        readings = signals.read()
        assert (readings.limit, readings.used) == (805306368, 500_000_000)
        assert readings.source == "memory.high of control group /web.slice/web-api.slice (cgroup v2)"
        assert readings.level == pytest.approx(500 / 805.306368)

    def test_signals_read_the_stalls_of_the_group(self, tree):
        """The innermost group that tells, not the machine."""
        signals = Signals(tree("v2-nested-host"))
        assert signals.stall_source is not None
        assert signals.stall_source.endswith("api.service/memory.pressure")
        assert signals.read().stalled == pytest.approx(0.125)

    def test_signals_read_the_stalls_of_the_machine(self, tree):
        """Where no group tells."""
        signals = Signals(tree("hybrid"))
        assert signals.stall_source is not None
        assert signals.stall_source.endswith("proc/pressure/memory")
        assert signals.read().stalled == pytest.approx(0.005)

    def test_signals_where_there_are_none(self, tmp_path):
        """A locked-down container tells nothing, and that is what comes back."""
        signals = Signals(str(tmp_path))
        assert (signals.limits, signals.stall_source) == ([], None)
        assert set(signals.read()) == {None}

    def test_resource_limits_are_no_level(self):
        """What they count does not fall when memory is freed: a bound, but nothing to steer by."""
        done = run_code("""
import json, resource
resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY))
from safemem.memory.limits import find_limit, find_limits
from safemem.memory.pressure import Signals
limits = [limit for limit in find_limits() if limit.kind == "rlimit"]
print(json.dumps([[limit.bytes, limit.used, limit.source] for limit in limits]))
print(json.dumps([limit.kind for limit in Signals().limits]))
""")
        assert_clean(done)
        limits, kinds = map(json.loads, done.stdout.splitlines())
        assert [limit[0] for limit in limits] == [2 << 30, 3 << 30]
        assert limits[0][1] > limits[1][1] > MB
        assert limits[0][2] == "the limit of this process on its address space (RLIMIT_AS)"
        assert "rlimit" not in kinds


class TestFiles:
    """Files that stay open."""

    def test_number_after(self):
        """The whole name at the beginning of a line, wherever the line is."""
        text = b"active_file 1\ninactive_file 2\ntotal_inactive_file 3\nlast 4"
        assert [number_after(name, text) for name in (b"active_file ", b"inactive_file ", b"last ", b"file ", b"")] == [1, 2, 4, None, None]
        assert number_after(b"VmHWM:", b"Name:\tx\nVmHWM:\t   123 kB\n") == 123

    @pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
    @forks
    def test_after_a_fork(self):
        """A child reads about itself: the descriptor it inherited goes on telling of its parent."""
        file = KernelFile("/proc/self/stat")
        assert file.read().split()[0] == str(os.getpid()).encode()

        def look():
            assert file.read().split()[0] == str(os.getpid()).encode()

        assert in_child(look) == 0
        assert file.read().split()[0] == str(os.getpid()).encode()

    def test_descriptor_goes_with_the_file(self, tmp_path):
        """Nothing stays open."""
        path = tmp_path / "file"
        path.write_text("5\n")
        file = KernelFile(str(path))
        before = set(os.listdir("/dev/fd"))
        assert file.number() == 5
        assert len(os.listdir("/dev/fd")) == len(before) + 1
        del file
        assert set(os.listdir("/dev/fd")) == before

    def test_descriptor_that_somebody_closed(self, tmp_path):
        """It is opened anew."""
        path = tmp_path / "file"
        path.write_text("5\n")
        file = KernelFile(str(path))
        assert file.number() == 5
        os.close(file._open.fd)
        file._open.fd, broken = -1, file._open.fd
        assert broken >= 0
        assert file.number() == 5
        assert repr(file) == f"KernelFile({str(path)!r})"
