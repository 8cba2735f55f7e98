"""The rules by which the level steers the bound, played through with readings made by hand."""

from __future__ import annotations

import pytest

from safemem.memory.control import LEAST_STEP, STEP, Control
from safemem.memory.pressure import Readings

MB = 1 << 20
LIMIT = 256 * MB


def readings(used):
    """What signals say when so many bytes of the limit are in use."""
    return Readings(used / LIMIT, used, LIMIT, "a limit", None)


class Process:
    """A process with caches that obey at once: what they let go of leaves it to a certain part."""

    def __init__(self, *, comes_back=1.0, used=20 * MB):
        self.control = Control(LIMIT, 0.80, 0.88, 0.0)
        self.comes_back = comes_back
        self.accounted = 0
        self.other = used
        self.stuck = 0  # let go of, and still in the process
        self.now = 0.0
        self.let_go = 0
        self.largest_step = 0.0

    @property
    def used(self):
        return self.other + self.accounted + self.stuck

    def look(self, seconds=0.05):
        """One look at the level, and what follows."""
        self.now += seconds
        step = self.control.decide(readings(self.used), self.accounted, self.now)
        if step:
            self.largest_step = max(self.largest_step, step / max(self.accounted, 1))
            self.accounted -= step
            self.let_go += step
            back = int(step * self.comes_back)
            self.stuck += step - back
            self.control.came_back(back)

    def fill(self, nbytes):
        """Store so much; what does not fit takes the place of something."""
        self.accounted = min(self.accounted + nbytes, max(self.control.bound, 0))

    def run(self, seconds):
        """Store all the time, as a service does."""
        for _ in range(int(seconds / 0.05)):
            self.fill(2 * MB)
            self.look()


def test_fills_what_there_is_and_no_more():
    """A cache grows to the lower mark at once, and stays there."""
    process = Process()
    process.run(20)
    assert 0.78 < process.used / LIMIT <= 0.81
    assert process.let_go == 0


def test_gives_way_and_comes_back():
    """What the application takes it gets, in small steps, and what it returns is taken into use again, slowly."""
    process = Process()
    process.run(20)
    before = process.accounted
    for _ in range(100):
        process.other += MB
        process.fill(2 * MB)
        process.look()
        assert process.used / LIMIT < 0.93
    assert process.largest_step <= STEP + 0.001
    process.run(5)
    held = process.accounted
    assert process.used / LIMIT <= 0.88
    process.other -= 100 * MB
    process.run(1)
    assert held < process.accounted < before * 0.95
    process.run(20)
    assert process.accounted >= before * 0.97


def test_holds_between_the_marks():
    """In the band nothing grows and nothing is let go of."""
    process = Process()
    process.run(20)
    process.other += int(0.05 * LIMIT)
    accounted, let_go = process.accounted, process.let_go
    process.run(20)
    assert (process.accounted, process.let_go) == (accounted, let_go)


@pytest.mark.parametrize("level", [0.89, 0.93, 0.97, 1.0])
def test_stops_when_it_does_not_help(level):
    """If nothing of what is let go of leaves the process, it lets go of what is missing, or twice that when critical, and then holds."""
    process = Process(comes_back=0.0)
    process.run(20)
    before = process.accounted
    process.other += int(level * LIMIT) - process.used
    missing = process.used - int(0.84 * LIMIT)
    for _ in range(200):
        process.look()
        process.accounted = max(process.accounted, 0)
    assert process.control.frozen
    assert process.control.freezes == 1
    assert process.let_go <= missing * (2 if level > 0.95 else 1) + LEAST_STEP
    assert process.accounted > before / 2
    process.look()
    assert process.control.bound == process.accounted


def test_thaws():
    """Once the level has fallen, everything goes on as before."""
    process = Process(comes_back=0.0)
    process.run(20)
    process.other += 40 * MB
    for _ in range(50):
        process.look()
    assert process.control.frozen
    process.other -= 40 * MB
    process.stuck = 0
    process.run(20)
    assert not process.control.frozen
    assert 0.78 < process.used / LIMIT <= 0.81


def test_without_signals_only_the_limit_counts():
    """Nothing is known of the process: the accounted bytes are bounded, and that is all."""
    control = Control(1_000, 0.80, 0.88, 0.0)
    assert control.decide(Readings(), 900, 1.0) == 0
    assert control.decide(Readings(), 1_200, 2.0) == 200
    assert control.bound == 1_000


def test_never_more_than_the_limit():
    """However much is free."""
    control = Control(10 * MB, 0.80, 0.88, 0.0)
    assert control.decide(readings(20 * MB), 5 * MB, 1.0) == 0
    assert control.bound == 10 * MB
    control.limit = 3 * MB
    assert control.decide(readings(20 * MB), 5 * MB, 2.0) == 2 * MB


@pytest.mark.parametrize("now", [-5.0, 0.0, 1e9])
def test_clocks_that_jump(now):
    """A clock that is set back or jumps makes nothing negative or boundless."""
    control = Control(LIMIT, 0.80, 0.88, 100.0)
    control.decide(readings(int(0.9 * LIMIT)), 100 * MB, 101.0)
    control.decide(readings(int(0.5 * LIMIT)), 50 * MB, now)
    assert 0 <= control.bound <= LIMIT


def test_nothing_to_let_go_of():
    """With empty caches there is nothing to do about it."""
    control = Control(LIMIT, 0.80, 0.88, 0.0)
    assert control.decide(readings(int(0.95 * LIMIT)), 0, 1.0) == 0
    assert control.frozen


def test_answers_a_rise_though_it_has_stopped():
    """What was given in vain before is no reason to wait when the application takes more: as much is let go of as it takes."""
    process = Process(comes_back=0.0)
    process.run(20)
    process.other += int(0.97 * LIMIT) - process.used
    for _ in range(50):
        process.look()
    assert process.control.frozen
    process.stuck -= int(0.08 * LIMIT)  # at last some of it comes back
    for _ in range(50):
        process.look()
    let_go = process.let_go
    assert 0.88 < process.used / LIMIT < 0.9
    for _ in range(10):
        process.other += MB
        process.look()
    assert process.let_go - let_go == pytest.approx(10 * MB, abs=MB)


def test_says_how_much_room_there_is():
    """The bytes until something has to be done: up to the mark, and once it has stopped, up to where it is critical."""
    process = Process(comes_back=0.0)
    process.run(20)
    assert process.control.room == int(0.88 * LIMIT) - process.used
    process.other += int(0.9 * LIMIT) - process.used
    for _ in range(50):
        process.look()
    assert process.control.frozen
    assert process.control.room == int(0.95 * LIMIT) - process.used
    process.control.decide(Readings(), process.accounted, process.now)
    assert process.control.room is None


def test_knows_when_it_would_be_larger():
    """Only where memory was short, little of it is in use now, and the caches take up what they may."""
    process = Process()
    process.run(20)
    assert not process.control.is_growing_again(process.accounted)
    process.other += 60 * MB
    process.run(2)
    assert not process.control.is_growing_again(process.accounted)
    process.other -= 60 * MB
    process.run(0.5)
    assert process.control.is_growing_again(process.accounted)
    assert not process.control.is_growing_again(process.accounted // 2)
    process.run(20)
    assert not process.control.is_growing_again(process.accounted // 2)
