"""What `safemem info` tells: versions, which core is in use, the limits of this process and machine, its memory, and the signals there are."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["as_text", "collect", "version"]

Fact: TypeAlias = str | int | float | bool | None
Facts: TypeAlias = dict[str, dict[str, Fact]]

_NUMBERS = {"open_files", "blocks", "system_warning"}  # all other numbers are bytes


def version(distribution: str = "safemem") -> str:
    """Return the version of an installed distribution."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


def collect(root: str = "/") -> Facts:
    """Gather all facts, by section; None where there is no limit or it cannot be found out."""
    return {"versions": _versions(), "core": _core(), "limits": _limits(root), "memory": _memory(), "signals": _signals(root)}


def _versions() -> dict[str, Fact]:
    return {
        "safemem": version(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cachetools": version("cachetools"),
        "platform": platform.platform(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
    }


def _core() -> dict[str, Fact]:
    from safemem import core

    return {"core": core.CORE, "native": core.NATIVE, "why": core.WHY}


def _limits(root: str) -> dict[str, Fact]:
    from safemem.memory.limits import find_limits

    found = find_limits(root)
    return {
        "address_space": _rlimit("RLIMIT_AS"),
        "data": _rlimit("RLIMIT_DATA"),
        "open_files": _rlimit("RLIMIT_NOFILE"),
        "cgroup_memory": min((limit.bytes for limit in found if limit.kind == "cgroup"), default=None),
        "machine_memory": min((limit.bytes for limit in found if limit.kind == "machine"), default=None),
    }


def _rlimit(name: str) -> int | None:
    """Return a soft limit of this process."""
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:  # Windows has none.
        return None
    if not hasattr(resource, name):
        return None
    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else soft


def _memory() -> dict[str, Fact]:
    from safemem.memory.readings import memory_info

    return {**memory_info()._asdict()}


def _signals(root: str) -> dict[str, Fact]:
    from safemem.memory.pressure import Signals
    from safemem.memory.readings import can_trim

    signals = Signals(root)
    readings = signals.read()
    return {
        "tightest_bound": readings.source,
        "used_of_it": readings.used,
        "level": readings.level,
        "stalls_from": signals.stall_source,
        "stalled": readings.stalled,
        "system_warning": readings.warning,
        "can_trim": can_trim(),
    }


def as_text(facts: Mapping[str, Mapping[str, Fact]]) -> str:
    """Lay the facts out for people."""
    lines: list[str] = []
    for section, entries in facts.items():
        lines.append(section)
        lines += [f"  {name.replace('_', ' '):<16}{_in_words(section, name, value)}" for name, value in entries.items()]
    return "\n".join(lines)


def _in_words(section: str, name: str, value: Fact) -> str:
    if value is None:
        return "no limit found" if section == "limits" else "this system does not tell"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, int) and name not in _NUMBERS:
        return f"{value / 1e9:,.1f} GB" if value >= 1e9 else f"{value / 1e6:,.1f} MB"
    return f"{value:,}" if isinstance(value, int) else value
