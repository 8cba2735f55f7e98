"""What `safemem info` tells: versions, which core is in use, and the limits of this process and machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

__all__ = ["as_text", "collect", "version"]

Facts: TypeAlias = dict[str, dict[str, str | int | bool | None]]

_CGROUPS = Path("/sys/fs/cgroup")
_OF_THIS_PROCESS = Path("/proc/self/cgroup")
# The kernel says "no limit" in the old interface with a huge multiple of the page size.
_NO_LIMIT = 1 << 60


def version(distribution: str = "safemem") -> str:
    """Return the version of an installed distribution."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


def collect() -> Facts:
    """Gather all facts, by section; None where there is no limit or it cannot be found out."""
    return {"versions": _versions(), "core": _core(), "limits": _limits()}


def _versions() -> dict[str, str | int | bool | None]:
    return {
        "safemem": version(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cachetools": version("cachetools"),
        "platform": platform.platform(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
    }


def _core() -> dict[str, str | int | bool | None]:
    from safemem import core

    return {"core": core.CORE, "native": core.NATIVE, "why": core.WHY}


def _limits() -> dict[str, str | int | bool | None]:
    return {
        "address_space": _rlimit("RLIMIT_AS"),
        "data": _rlimit("RLIMIT_DATA"),
        "open_files": _rlimit("RLIMIT_NOFILE"),
        "cgroup_memory": _cgroup_memory(),
        "machine_memory": _machine_memory(),
    }


def _rlimit(name: str) -> int | None:
    """Return a soft limit of this process."""
    try:
        import resource
    except ImportError:  # Windows has none.
        return None
    if not hasattr(resource, name):
        return None
    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else soft


def _machine_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroup_memory() -> int | None:
    """Return the lowest memory limit among the control groups this process is in and their parents."""
    limits: list[int] = []
    for line in _read(_OF_THIS_PROCESS).splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and not controllers:
            limits += _limits_upwards(_CGROUPS, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits_upwards(_CGROUPS / "memory", path, "memory.limit_in_bytes")
    return min(limits, default=None)


def _limits_upwards(mount: Path, path: str, name: str) -> list[int]:
    """Read a limit in every group from this one up to the mount; a container often sees only the topmost, as its own."""
    here = mount / path.lstrip("/")
    groups = [here, *here.parents]
    texts = [_read(group / name).strip() for group in groups[: groups.index(mount) + 1]]
    return [int(text) for text in texts if text.isdecimal() and int(text) < _NO_LIMIT]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def as_text(facts: Mapping[str, Mapping[str, str | int | bool | None]]) -> str:
    """Lay the facts out for people."""
    lines: list[str] = []
    for section, entries in facts.items():
        lines.append(section)
        lines += [f"  {name.replace('_', ' '):<16}{_in_words(name, value)}" for name, value in entries.items()]
    return "\n".join(lines)


def _in_words(name: str, value: str | int | bool | None) -> str:
    if value is None:
        return "no limit found"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name != "open_files":
        return f"{value / 1e9:,.1f} GB" if value >= 1e9 else f"{value / 1e6:,.1f} MB"
    return f"{value:,}" if isinstance(value, int) else value
