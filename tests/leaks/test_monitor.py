"""The monitor: its thread, its judgement, its picture of why, and that it is never in the way."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from datetime import timedelta

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.isolate import run_code

from safemem import monitor
from safemem.leaks import readings as module
from safemem.leaks.readings import Reading

LIMIT = 30.0


class Clock:
    """Time in the hands of a test: 30 s pass between two ticks."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 30.0
        return self.now


def wait_for(condition):
    """Wait until something is so."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def feed(monkeypatch, sizes):
    """Let the system tell these sizes, one at each tick."""
    values = iter(sizes)
    monkeypatch.setattr(module, "_sizes", lambda: (next(values), None))


class Session:
    """What the tests leak."""


kept: list[Session] = []


@pytest.fixture(autouse=True)
def _let_go():
    yield
    kept.clear()


def test_thread_ticks_until_it_is_stopped():
    """Readings come while it runs, and none after; the thread is a daemon and ends."""
    with monitor(0.01, rss_slope=None) as watching:
        wait_for(lambda: len(watching.readings) >= 3)
        (thread,) = [each for each in threading.enumerate() if each.name == "safemem-monitor"]
        assert thread.daemon
        assert watching.running
    assert not watching.running
    assert not thread.is_alive()
    assert watching.stop()
    reading = watching.readings[-1]
    assert (reading.threads >= 2, reading.blocks > 1000) == (True, True)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell all of it")
def test_readings_are_those_of_the_process():
    """Memory and descriptors are what the system says."""
    reading = monitor(30).tick()
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    later = monitor(30).tick()
    for number in opened:
        os.close(number)
    assert later.fds - reading.fds == 5
    assert 5_000_000 < reading.uss <= reading.rss


def test_growth_is_told_once_with_its_holder(monkeypatch):
    """Memory that goes on rising alarms once, after a second look, and the report names what grew; after a rest it may alarm again."""
    alerts = []
    feed(
        monkeypatch, [10**8 + tick * 2_000_000 for tick in range(60)] + [3 * 10**8] * 40 + [10**9 + tick * 2_000_000 for tick in range(60)]
    )
    watching = monitor(30, rss_slope="1MB/min", on_alert=alerts.append, timer=Clock())
    for _ in range(60):
        kept.extend(Session() for _ in range(200))
        watching.tick()
    (alert,) = alerts
    assert (alert.kind, round(alert.value), round(alert.limit)) == ("rss", 66667, 16667)
    assert "4.0 MB a minute" in alert.message
    assert any("kept" in leak.holder and "Session" in leak.what for leak in alert.report.leaks), alert
    assert str(alert).startswith(alert.message)
    for _ in range(100):
        watching.tick()
    assert [each.kind for each in alerts] == ["rss", "rss"]


def test_saw_tooth_and_warm_up_are_no_alarm(monkeypatch):
    """What rises and falls, or rises once and stays, is told to nobody."""
    alerts = []
    sizes = [10**8 + min(tick, 3) * 10_000_000 + tick % 6 * 3_000_000 for tick in range(120)]
    feed(monkeypatch, sizes)
    watching = monitor(30, on_alert=alerts.append, timer=Clock())
    for _ in sizes:
        watching.tick()
    assert alerts == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not list descriptors with what they lead to")
def test_too_many_descriptors_and_threads():
    """A limit alarms once when it is passed, with who holds what; again after it was kept."""
    alerts = []
    watching = monitor(30, fds=monitor(30).tick().fds + 3, threads=threading.active_count() + 1, on_alert=alerts.append)
    kept.extend(open(__file__) for _ in range(5))
    for _ in range(3):
        watching.tick()
    assert [alert.kind for alert in alerts] == ["fds"]
    assert any("kept" in leak.holder for leak in alerts[0].report.leaks), alerts[0]
    while kept:
        kept.pop().close()
    watching.tick()
    event = threading.Event()
    threads = [threading.Thread(target=event.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    watching.tick()
    event.set()
    for thread in threads:
        thread.join()
    assert [alert.kind for alert in alerts] == ["fds", "threads"]
    assert alerts[1].report.leaks[0].kind == "thread"


def test_without_a_callback_it_is_logged(caplog):
    """The logger "safemem" warns with the whole alert."""
    watching = monitor(30, threads=1)
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    watching.tick()
    event.set()
    thread.join()
    assert caplog.records[0].name == "safemem"
    assert "threads are alive, and 1 may be" in caplog.text


def test_callback_that_raises_stops_nothing(monkeypatch):
    """What a callback raises goes to the unraisable hook, and the ticks go on."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))

    def fail(_alert):
        raise LookupError

    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    with monitor(0.01, rss_slope=None, threads=1, on_alert=fail) as watching:
        wait_for(lambda: seen and len(watching.readings) > 3)
    event.set()
    thread.join()
    assert seen == [LookupError]


def test_callback_may_stop_it():
    """A callback that stops the monitor does not wait for itself."""
    results = []
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    watching = monitor(0.01, rss_slope=None, threads=1, on_alert=lambda _: results.append(watching.stop()))
    watching.start()
    wait_for(lambda: results and not watching.running)
    event.set()
    thread.join()
    assert results == [False]


def test_dropped_monitor_ends():
    """The thread keeps no monitor alive and ends with it."""
    watching = monitor(3600)
    watching.start()
    (thread,) = [each for each in threading.enumerate() if each.name == "safemem-monitor"]
    gone = weakref.ref(watching)
    wait_for(lambda: len(watching.readings) == 1)
    watching = None
    assert gone() is None
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_ticks_cost_the_same_for_a_large_heap():
    """What is read at a tick does not visit objects: it is the same however many there are."""
    watching = monitor(30)
    watching.tick()
    before = gc.get_count()
    rounds = []
    gc.callbacks.append(lambda phase, info: rounds.append(info))
    try:
        large = [[number] for number in range(1000)]
        gc.disable()
        for _ in range(20):
            watching.tick()
    finally:
        gc.enable()
        gc.callbacks.pop()
    assert len(large) == 1000
    assert len(before) == 3
    assert not [info for info in rounds if info["generation"] == 2]


def test_no_cycles():
    """Making, starting, ticking and stopping leaves nothing to the collector."""
    with no_cyclic_garbage("a monitor"):
        with monitor(0.01) as watching:
            wait_for(lambda: len(watching.readings) > 2)
        watching.tick()
        with pytest.raises(ValueError):
            monitor(0)


def test_is_not_in_the_way_of_exit():
    """A program with a running monitor ends at once, without a word."""
    code = "import safemem, time\nm = safemem.monitor(0.001)\nm.start()\ntime.sleep(0.05)\nprint('end')"
    done = run_code(code, "-W", "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_is_not_running_in_a_forked_child():
    """A child sees a monitor that is stopped, may start it, and ends."""
    code = """
import os, safemem, time
m = safemem.monitor(0.001)
m.start()
time.sleep(0.02)
pid = os.fork()
if pid == 0:
    assert not m.running
    m.start()
    while len(m.readings) < 3: time.sleep(0.001)
    assert m.running and m.stop()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), m.running)
"""
    done = run_code(code, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "7 True\n", "")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"interval": 0}, ValueError, "interval must be finite and > 0, got 0"),
        ({"interval": float("inf")}, ValueError, "interval must be finite and > 0, got inf"),
        ({"interval": "30"}, TypeError, "interval must be a number of seconds or a timedelta, got '30'"),
        ({"rss_slope": "fast"}, ValueError, "rss_slope must be like '1MB/min'"),
        ({"fds": 0}, ValueError, "fds must be > 0, got 0"),
        ({"fds": 2.5}, TypeError, "fds must be an int or None, got 2.5"),
        ({"threads": True}, TypeError, "threads must be an int or None, got True"),
        ({"on_alert": 3}, TypeError, "on_alert must be callable or None, got 3"),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    """The message names the argument, the rule and the offender."""
    with pytest.raises(error, match=message.replace("(", r"\(")):
        monitor(**arguments)


def test_repr_and_timedelta():
    """An interval may be a timedelta; the repr says what it does."""
    assert repr(monitor(timedelta(minutes=1))) == "<monitor: every 60 s, stopped>"
    with pytest.raises(TypeError, match="cannot copy or pickle"):
        monitor().__reduce__()


def test_reading_without_numbers_is_no_alarm(monkeypatch):
    """Where the system tells nothing, nothing is judged."""
    monkeypatch.setattr(module, "_sizes", lambda: (None, None))
    monkeypatch.setattr(module.Reader, "read", lambda self: Reading(0.0, None, None, None, 1, 0))
    watching = monitor(30, fds=1, on_alert=lambda alert: pytest.fail(str(alert)))
    for _ in range(12):
        watching.tick()
    assert watching.slope == 0.0


def test_child_processes_are_not_disturbed():
    """A subprocess started while it runs sees nothing of it."""
    with monitor(0.001, rss_slope=None):
        assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout.strip() == b"1"
