"""The clock that samples are taken with."""

from __future__ import annotations

import time

__all__ = ["CLOCK", "now"]

# The time that other processes take from this one is not what is measured; on some systems this clock ticks too slowly to be of use.
CLOCK = "process_time" if time.get_clock_info("process_time").resolution <= 1e-6 else "perf_counter"

now = time.process_time if CLOCK == "process_time" else time.perf_counter
