"""A budget in processes with real limits: peers are killed where it survives, and nothing fools it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
from helpers.groups import group_of
from helpers.isolate import run_script

SCRIPTS = Path(__file__).parent / "scripts"
LIMIT = 128
MB = 1 << 20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no limits of this kind")


def told(text):
    """What a script said, line by line."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("kind", ["dict", "lru_cache", "cachetools"])
def test_peers_are_killed(kind):
    """A bound that was fine before is none when the application takes its part: the kernel ends the process."""
    with group_of(LIMIT * MB) as run:
        done = run(SCRIPTS / "service.py", kind, str(LIMIT), "1")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert kind == "dict" or [each["what"] for each in told(done.stdout)] == ["warm"]


def test_with_a_budget_it_survives():
    """The caches give way while the application has its part, and have theirs back after."""
    with group_of(LIMIT * MB) as run:
        done = run(SCRIPTS / "service.py", "budget", str(LIMIT), "2", seconds=120)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    steps = told(done.stdout)
    assert [each["what"] for each in steps] == ["warm", *["burst", "after"] * 2]
    assert all(each["level"] < 1 for each in steps)
    warm = steps[0]["used"]
    for each in steps[1:]:
        if each["what"] == "burst":
            assert 0.1 * warm < each["used"] < 0.9 * warm
        else:
            assert each["used"] > 0.8 * warm
            assert each["level"] < 0.9


@pytest.mark.parametrize("what", ["read", "mapped", "shared"])
def test_files_do_not_count(what):
    """The page cache and mapped files can be dropped at any time, and shared memory is none of the cache's: no reason to let go of anything."""
    with group_of(LIMIT * MB) as run:
        done = run(SCRIPTS / "bystanders.py", what, str(LIMIT))
    assert done.returncode == 0, (done.returncode, done.stderr)
    (answer,) = told(done.stdout)
    assert answer["entries"] == 30_000
    assert answer["let_go"] == 0
    assert answer["level"] < 0.8


def test_remains_of_huge_pages_do_not_count():
    """A huge page of which a part was given back is charged in full until memory is short: there is no reason to let go of anything before."""
    with group_of(LIMIT * MB) as run:
        done = run(SCRIPTS / "bystanders.py", "huge", str(LIMIT))
    assert done.returncode == 0, (done.returncode, done.stderr)
    (answer,) = told(done.stdout)
    assert (answer["entries"], answer["let_go"]) == (30_000, 0)
    assert answer["level"] < 0.64


def test_a_heap_full_of_holes_does_not_empty_it():
    """What the application frees here and there stays with the process: the caches make room for that, and stop."""
    with group_of(LIMIT * MB) as run:
        done = run(SCRIPTS / "bystanders.py", "holes", str(LIMIT))
    assert done.returncode == 0, (done.returncode, done.stderr)
    (answer,) = told(done.stdout)
    assert 20_000 < answer["entries"] <= 30_000
    assert 0.7 < answer["level"] < 0.92


def test_a_resource_limit_and_a_reserve():
    """Address space does not come back, so the caches stay within what the reserve leaves from the beginning."""
    done = run_script(SCRIPTS / "address_space.py")
    assert done.returncode == 0, done.stderr
    bounded, unbounded = told(done.stdout)
    assert bounded["failed"] is False
    assert bounded["used"] <= bounded["limit"]
    assert bounded["used"] > 0.5 * bounded["limit"]
    assert unbounded["failed"] is True
