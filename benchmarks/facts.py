"""What a result was measured with: versions, machine, build, command, date. No names of hosts and no paths."""

from __future__ import annotations

import platform
import shlex
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pyperf

from benchmarks.clock import CLOCK
from benchmarks.peers import Peer

__all__ = ["ROOT", "command_line", "default_file", "facts"]

ROOT = Path(__file__).resolve().parent.parent

_KEPT = ("aslr", "cpu_count", "cpu_model_name", "date", "load_avg_1min", "perf_version", "python_hash_seed")


def facts(peers: Iterable[Peer], absent: Mapping[str, str], command: str) -> dict[str, Any]:
    """Return the metadata of a run of benchmarks."""
    collected = pyperf.Run([1.0], metadata={"name": "facts"}).get_metadata()
    return {
        **{name: collected[name] for name in _KEPT if name in collected},
        "python_implementation": platform.python_implementation(),
        "python_version": platform.python_version(),
        "platform": " ".join(part for part in (platform.system(), platform.machine(), *platform.libc_ver()) if part),
        "build": _build(),
        "clock": CLOCK,
        "command": command,
        "versions": ", ".join(f"{peer.name} {_version(peer)}" for peer in peers if peer.distribution),
        "absent": "; ".join(f"{name} ({reason})" for name, reason in absent.items()) or "nobody",
    }


def command_line(module: str, arguments: list[str]) -> str:
    """Return what was typed, without the file that the results went to."""
    kept = [argument for argument, before in zip(arguments, ["", *arguments], strict=False) if "--out" not in {argument, before}]
    return shlex.join(["python", "-m", module, *(argument for argument in kept if not argument.startswith("--out="))])


def default_file(suffix: str = "") -> Path:
    """Return where the results of this Python go."""
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    name = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}{threads}{suffix}.json"
    return Path(__file__).resolve().parent / "results" / name


def _version(peer: Peer) -> str | None:
    try:
        return peer.version
    except metadata.PackageNotFoundError:  # safemem used from the checkout, without an installation
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _build() -> str:
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    parts = [
        platform.python_compiler(),
        "debug" if hasattr(sys, "gettotalrefcount") else "release",
        "PGO" if "--enable-optimizations" in arguments else "no PGO",
        "LTO" if "--with-lto" in arguments else "no LTO",
        "GIL" if getattr(sys, "_is_gil_enabled", lambda: True)() else "no GIL",
    ]
    return ", ".join(parts)
