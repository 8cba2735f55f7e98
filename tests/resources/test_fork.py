"""Forked children and shared memory: whoever ends first, and however, takes nothing from the others, and the last leaves nothing."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest
from helpers.forks import forks_while_locked, in_child

from safemem.resources import lease, segment
from safemem.resources.shm import managed_shm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a fork elsewhere is not what is tested here")

WAYS = ("close", "close with a view", "kill")
# Every two processes in every two ways, or all three in every way.
ENDS = [(WAYS[i], WAYS[j], WAYS[(i + j) % 3]) for i in range(3) for j in range(3)]
if os.environ.get("SAFEMEM_MATRIX") == "full":
    ENDS = list(itertools.product(WAYS, repeat=3))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory of segments of our own; nothing may be left in it, nor any descriptor."""
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")  # it would remove what a test leaves to look at it
    monkeypatch.setattr(segment, "directory", lambda: str(tmp_path))
    before = os.listdir("/dev/fd")
    yield str(tmp_path)
    assert os.listdir(tmp_path) == []
    assert os.listdir("/dev/fd") == before


def wait_for_death(pid: int) -> None:
    """Wait until a process has let go of everything, which it does after it has hung up."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "ZX":
            return
        time.sleep(0.0005)
    raise TimeoutError(pid)


class User:
    """A process that holds a block until it is told how to end."""

    def __init__(self, take) -> None:
        self.orders, orders = os.pipe()[::-1]
        answers, self.answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.orders)
            self.run(take, orders)
        os.close(orders)
        os.close(self.answers)
        self.answers = answers
        self.hear()  # its number, which is known

    def run(self, take, orders: int) -> None:
        """Be the process."""
        try:
            signal.alarm(60)
            block = take()
            os.write(self.answers, str(os.getpid()).encode())
            way = os.read(orders, 100).decode()
            view = block.buf[:] if way == "close with a view" else None
            if way == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            block.close()
            os.write(self.answers, b"closed\n")
            os.read(orders, 100)  # the view stays until all is over
            del view
        except BaseException:  # noqa: BLE001 - who asks sees only that it hangs up
            traceback.print_exc()
        finally:
            os._exit(1)

    def hear(self) -> bytes:
        """Wait until it has done something; it hangs up if it has died."""
        return os.read(self.answers, 100)

    def end(self, way: str) -> None:
        """Let it end its use."""
        os.write(self.orders, way.encode())
        assert self.hear() == (b"" if way == "kill" else b"closed\n")
        if way == "kill":
            wait_for_death(self.pid)

    def forget(self) -> None:
        """Let it end."""
        os.close(self.orders)
        os.close(self.answers)
        os.waitpid(self.pid, 0)


class Family(User):
    """A process that makes a block, and its child, that inherits it."""

    def __init__(self, policy: str) -> None:
        self.child_orders, self.its_orders = os.pipe()[::-1]
        self.child_answers, self.its_answers = os.pipe()
        self.policy = policy
        super().__init__(self.make)
        os.close(self.its_orders)
        os.close(self.its_answers)
        self.child = int(os.read(self.child_answers, 100))

    def make(self):
        """Make a block and fork."""
        block = managed_shm(1, name="x", policy=self.policy)
        if os.fork() == 0:
            os.close(self.child_orders)
            os.close(self.answers)
            self.answers = self.its_answers
            self.run(lambda: block, self.its_orders)
        os.close(self.its_answers)
        return block

    def end_child(self, way: str) -> None:
        """Let the child end its use."""
        os.write(self.child_orders, way.encode())
        assert os.read(self.child_answers, 100) == (b"" if way == "kill" else b"closed\n")
        if way == "kill":
            wait_for_death(self.child)

    def forget(self) -> None:
        """Let both end."""
        os.close(self.child_orders)
        super().forget()
        assert os.read(self.child_answers, 1) == b""
        os.close(self.child_answers)


@pytest.mark.parametrize("policy", ["owner", "last"])
@pytest.mark.parametrize("order", list(itertools.permutations(["creator", "child", "other"])), ids="-".join)
def test_any_order_of_ends(place, policy, order):
    """Creator, forked child and attacher end in any order, by a close, one with a view alive, or a kill: the name is there as long as it is to be."""
    for ways in ENDS:
        family = Family(policy)
        other = User(lambda: managed_shm(name="x", attach=True))
        stays = True
        for number, (who, way) in enumerate(zip(order, ways, strict=True)):
            {"creator": family.end, "child": family.end_child, "other": other.end}[who](way)
            last = number == 2
            if stays:
                there = "x" in os.listdir(place)
                lease.reclaim(place, "x")  # a sweep, which changes nothing as long as there is a user
                stays = "x" in os.listdir(place)
                if who == "creator" and policy == "owner" and way != "kill":
                    assert not there, (ways, who)
                elif last:
                    assert there == (way == "kill"), (ways, who)
                    assert not stays
                else:
                    assert there, (ways, who)
                    assert stays, (ways, who)
        assert os.listdir(place) == []
        other.forget()  # it has copies of the pipes to the others
        family.forget()


def test_without_descriptors(place):
    """A fork that cannot get a second descriptor still takes nothing from anybody; the lease then lasts as long as the mapping."""
    block = managed_shm(1, name="x", policy="last")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    read, write = os.pipe()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limit[1]))
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(not os.path.exists(f"{place}/x"))
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    os.close(read)
    view = block.buf[:]
    block.close()
    assert "x" in os.listdir(place)
    os.close(write)
    assert os.waitpid(pid, 0)[1] == 0
    assert lease.reclaim(place, "x") is False
    del view
    assert lease.reclaim(place, "x") is True


def test_a_block_of_before_is_as_good_after_many_forks(place):
    """Forking takes one descriptor a block, once; grandchildren are users as well."""
    with managed_shm(1, name="x", policy="last") as block:
        before = len(os.listdir("/dev/fd"))
        for _ in range(3):
            assert in_child(lambda: in_child(lambda: block.buf[0])) == 0
        assert len(os.listdir("/dev/fd")) == before + 1
        assert lease.is_held(place, "x") is True
        block.unlink()


@forks_while_locked
def test_forks_while_threads_open_and_close(place):
    """A fork in the middle of whatever other threads do with blocks takes nothing away; what a child had as its last user one sweep removes."""
    done = threading.Event()
    errors: list[BaseException] = []
    keeper = managed_shm(1, name="x")

    def work(policy: str) -> None:
        try:
            while not done.is_set():
                with managed_shm(1, policy=policy) as block, managed_shm(name=block.name, attach=True):
                    assert lease.is_held(place, block.name) is True
                managed_shm(name="x", attach=True).close()
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(policy,)) for policy in ("owner", "last")]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            assert in_child(lambda: keeper.buf[0]) == 0
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert keeper.name in os.listdir(place)
    for name in list(lease.owned_names(place)):
        lease.reclaim(place, name)
    assert sorted(os.listdir(place)) == sorted(["x", keeper._segment.leased])
    keeper.close()
