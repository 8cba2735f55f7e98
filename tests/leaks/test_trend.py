"""The statistics of a monitor: what rises is seen, noise, steps and saw-teeth are not; slopes are read as people write them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemem.leaks.trend import confidence, is_rising, parse_slope, slope_of

TIMES = [30.0 * number for number in range(30)]
NUMBERS = st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=20)


@given(NUMBERS, st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_slope_of_a_shifted_and_tilted_series(values, tilt, shift):
    """Adding a line adds its slope, and nothing else."""
    times = list(range(len(values)))
    tilted = [value + tilt * time + shift for time, value in zip(times, values, strict=True)]
    assert slope_of(times, tilted) == pytest.approx(slope_of(times, values) + tilt, abs=1e-6)


@given(NUMBERS)
def test_confidence_turns_with_the_series(values):
    """Backwards it is as sure of the opposite."""
    assert confidence(values[::-1]) == -confidence(values)


def test_outliers_do_not_move_the_slope():
    """A quarter of the readings may be anything."""
    values = [2.0 * time for time in TIMES]
    for place in (3, 7, 11, 19, 23, 28):
        values[place] = 1e9
    assert slope_of(TIMES, values) == pytest.approx(2.0, rel=0.1)


def test_equal_times_are_no_trouble():
    """A clock that stands still gives no slope and no error."""
    assert slope_of([1.0, 1.0], [1.0, 2.0]) == 0.0
    assert slope_of([], []) == 0.0
    assert not is_rising([1.0] * 30, list(range(30)), 1.0)


def test_leak_is_seen_in_noise():
    """A slow rise under noise three times as large as a step rises."""
    chance = random.Random(1)
    values = [1e8 + 30_000 * time + chance.uniform(-2e6, 2e6) for time in TIMES]
    assert is_rising(TIMES, values, 1e6 / 60)


@pytest.mark.parametrize("seed", range(20))
def test_noise_does_not_rise(seed):
    """What goes up and down does not rise, whatever the noise."""
    chance = random.Random(seed)
    assert not is_rising(TIMES, [1e8 + chance.gauss(0, 3e6) for _ in TIMES], 1e6 / 60)


def test_warm_up_does_not_rise_any_more():
    """A cache that fills and is full is quiet once half a window has passed."""
    assert not is_rising(TIMES, [1e8 + min(place, 12) * 5e6 for place in range(30)], 1e6 / 60)


@pytest.mark.parametrize("phase", range(6))
def test_saw_tooth_does_not_rise(phase):
    """What is let go of again and again does not rise, wherever the window begins."""
    assert not is_rising(TIMES, [1e8 + (place + phase) % 6 * 4e6 for place in range(30)], 1e6 / 60)


def test_too_few_readings_say_nothing():
    """Seven readings are not enough."""
    assert not is_rising(TIMES[:7], [1e9 * time for time in TIMES[:7]], 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1MB/min", 1e6 / 60), (" 2 GiB / h ", 2 * 1024**3 / 3600), ("500kB/day", 500e3 / 86400), (".5MB/s", 5e5), (7, 7.0), (2.5, 2.5)],
)
def test_slopes_are_read(text, value):
    """Units and periods in any case, numbers as they are."""
    assert parse_slope("rss_slope", text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "1MB", "MB/min", "1XB/min", "1MB/fortnight", "0MB/min", "-1MB/min", 0, -1, math.inf, math.nan])
def test_bad_slopes_are_refused(text):
    """The message names the argument, the rule and the offender."""
    with pytest.raises(ValueError, match=r"rss_slope must be .*, got"):
        parse_slope("rss_slope", text)


@pytest.mark.parametrize("text", [None, [], True, b"1MB/min"])
def test_slopes_of_another_type_are_refused(text):
    """What is neither words nor a number is a TypeError."""
    with pytest.raises(TypeError, match="rss_slope must be a str like '1MB/min' or a number"):
        parse_slope("rss_slope", text)
