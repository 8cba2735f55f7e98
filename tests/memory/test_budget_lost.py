"""What says how much memory there is changes, or cannot be read any more, while a budget is at work: it goes on with what is left, and says so."""

from __future__ import annotations

import shutil

import pytest

from safemem import LRUCache, MemoryBudget
from safemem.memory import ledger, sources
from safemem.memory.limits import find_limits
from safemem.memory.pressure import Signals

KB = 1_000
SIZE = 10 * KB
GROUP = "sys/fs/cgroup"
CONTAINERS = {
    "v2": ("memory.max", "memory.current", "memory.max of control group / (cgroup v2)"),
    "v1": ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.limit_in_bytes of control group / (cgroup v1)"),
}
LIMIT = 10_000_000


class Container:
    """A control group with a limit of 10 MB, 4 of which are in use, on a machine with 32 GB; a budget, and a cache with 1 MB in it."""

    def __init__(self, folder, root, version):
        self.root, self.folder = root, folder
        self.limit_file, self.used_file, self.source = CONTAINERS[version]
        self.write(self.limit_file, LIMIT)
        self.write(self.used_file, 4_000_000)
        self.write("memory.stat", "cache 0")
        (root / "proc/self").mkdir(parents=True)
        self.member("/")
        kind = "cgroup2 cgroup rw" if version == "v2" else "cgroup cgroup rw,memory"
        (root / "proc/self/mountinfo").write_text(f"1 0 0:1 / /{folder.relative_to(root)} rw - {kind}\n")
        (root / "proc/meminfo").write_text("MemTotal: 32000000 kB\nMemAvailable: 20000000 kB\n")
        self.now = 0.0

    def member(self, group):
        name = "" if self.limit_file == "memory.max" else "memory"
        (self.root / "proc/self/cgroup").write_text(f"0:{name}:{group}\n")

    def write(self, name, text, group=""):
        path = self.folder / group / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def begin(self):
        self.budget = MemoryBudget(timer=lambda: self.now)
        self.cache = LRUCache(10**6, budget=self.budget)
        self.store(100)
        return self.budget

    def store(self, number):
        for key in range(number):
            self.cache[key] = bytes(SIZE)

    def look(self, seconds=1.0):
        """One look of the thread, some time later."""
        self.now += seconds
        return self.budget._ledger.watch()


@pytest.fixture(params=CONTAINERS)
def container(request, tmp_path, monkeypatch):
    """A container of either interface, whose files stand for the system's."""
    folder = tmp_path / GROUP / ("" if request.param == "v2" else "memory")
    monkeypatch.setattr(sources, "Signals", lambda: Signals(str(tmp_path)))
    monkeypatch.setattr(sources, "find_limits", lambda: find_limits(str(tmp_path)))
    return Container(folder, tmp_path, request.param)


def remove(path):
    """Take a file away: what has it open reads nothing any more."""
    path.write_text("")
    path.unlink()


def forbid(path):
    """Let every attempt to read a file fail, for who has it open too."""
    remove(path)
    path.mkdir()


LOSSES = [remove, forbid, lambda path: path.write_text(""), lambda path: path.write_bytes(b"\xff\x00what?")]
LOST = pytest.mark.parametrize("lose", LOSSES, ids=["removed", "forbidden", "empty", "nonsense"])


@LOST
def test_what_is_in_use_cannot_be_read_any_more(container, lose):
    """Caches grow no larger than they might before, though the machine has much; it says so, and goes on when it can be read again."""
    budget = container.begin()
    container.look()
    before = budget.stats().bound
    assert container.source in budget.pressure().reason
    lose(container.folder / container.used_file)
    for _ in range(5):
        assert container.look() == ledger.LONGEST_PAUSE
        container.store(900)
        assert budget.stats().bound == before
        assert budget.used <= before
    pressure = budget.pressure()
    assert pressure.state == "none"
    assert "38% of 32.8 GB in use (the memory of the machine)" in pressure.reason
    assert (
        f"; nothing tells how much is in use of {container.source}, so the caches grow no larger than they might before" in pressure.reason
    )
    if (container.folder / container.used_file).is_dir():
        (container.folder / container.used_file).rmdir()
    container.write(container.used_file, 9_000_000)
    container.look(ledger.LIMITS_PAUSE)
    assert budget.pressure().state == "hard"
    assert budget.used < before
    assert "nothing tells" not in budget.pressure().reason


def test_never_was_told(container):
    """A container that never told how much is in use has the accounted bytes bounded by its limit, and says so."""
    (container.folder / container.used_file).unlink()
    budget = container.begin()
    container.look()
    assert budget.limit == budget.stats().bound == LIMIT
    container.store(2_000)
    assert 0.9 * LIMIT < budget.used <= LIMIT
    assert f"nothing tells how much is in use of {container.source}" in budget.pressure().reason


@pytest.mark.parametrize("lose", LOSSES[:3], ids=["removed", "forbidden", "empty"])
def test_the_limit_cannot_be_read_any_more(container, lose):
    """It counts as it was, for the kernel goes on counting, and it says so; one that says that there is no limit ends it."""
    budget = container.begin()
    lose(container.folder / container.limit_file)
    for _ in range(3):
        container.look(ledger.LIMITS_PAUSE)
        assert budget.limit == LIMIT
    assert f"40% of 10.0 MB in use ({container.source}, as it was before its file could not be read any more)" in budget.pressure().reason
    container.write(container.used_file, 9_500_000)
    used = budget.used
    container.look()
    assert budget.used < used
    if (container.folder / container.limit_file).is_dir():
        (container.folder / container.limit_file).rmdir()
    container.write(container.limit_file, "max" if container.limit_file == "memory.max" else "9223372036854771712")
    container.look(ledger.LIMITS_PAUSE)
    assert budget.limit > 10**9
    assert "the memory of the machine" in budget.pressure().reason
    assert "as it was" not in budget.pressure().reason


def test_another_limit_while_running(container):
    """A limit that is lowered holds within seconds, and one that is raised as well."""
    budget = container.begin()
    container.store(500)
    for limit in (3_000_000, 40_000_000, 2_000_000, 10_000_000):
        container.write(container.limit_file, limit)
        container.look(ledger.LIMITS_PAUSE)
        assert budget.limit == limit
        assert budget.used <= limit
    assert "as it was" not in budget.pressure().reason


def test_another_control_group(container):
    """Who is moved to another group has its limits, and none of the former, whose files are gone."""
    budget = container.begin()
    for name, text in ((container.limit_file, 6_000_000), (container.used_file, 5_700_000), ("memory.stat", "cache 0")):
        container.write(name, text, "other")
    container.member("/other")
    (container.folder / container.limit_file).unlink()
    used = budget.used
    container.look(ledger.LIMITS_PAUSE)
    assert budget.limit == 6_000_000
    assert budget.used < used
    assert "control group /other" in budget.pressure().reason


def test_everything_is_gone(container, capsys):
    """No file is left of those that told: nothing is raised or printed, it does not look all the time, and what held before holds."""
    budget = container.begin()
    container.look()
    bound = budget.stats().bound
    for path in [path for path in container.root.rglob("*") if path.is_file()]:
        path.write_text("")
    shutil.rmtree(container.root)
    for _ in range(3):
        assert container.look(ledger.LIMITS_PAUSE) == ledger.LONGEST_PAUSE
        container.store(900)
        assert budget.used <= bound <= LIMIT
    assert budget.limit == LIMIT
    pressure = budget.pressure()
    assert "no signal on this system says how much memory is in use" in pressure.reason
    assert "as it was before its file could not be read any more" in pressure.reason
    assert 0 < budget.level <= 1
    assert budget.reclaim(KB) >= KB
    assert capsys.readouterr() == ("", "")


def test_without_its_parts_all_that_is_charged_counts(container):
    """If nothing tells which part is page cache, all of it counts: that is too much rather than too little, and nothing is given up twice for it."""
    container.write(
        "memory.stat", "inactive_file 3000000\nactive_file 2000000\ntotal_cache 1\ntotal_inactive_file 3000000\ntotal_active_file 2000000"
    )
    container.write(container.used_file, 9_000_000)
    budget = container.begin()
    assert budget.pressure().state == "none"
    remove(container.folder / "memory.stat")
    for _ in range(100):
        container.look()
    assert budget.pressure().state == "hard"
    assert "letting go did not help" in budget.pressure().reason
    assert len(container.cache) > 10
