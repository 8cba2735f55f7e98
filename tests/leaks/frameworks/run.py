"""Checks programs of well-known frameworks: the clean ones must be reported clean each time, the leaking ones found, named and mended.

    pip install -r tests/leaks/frameworks/requirements.txt
    python tests/leaks/frameworks/run.py [--times N] [--ways check block audit] [--only PART_OF_A_NAME]

Each check is made in a process of its own, forked after the imports. The exit status is 1 if anything was not as it must be. Not on Windows.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[2])]

MODULES = ("web", "data", "work", "leaking")
SECONDS = 1.5  # that an audited program goes on


def call(func: Any) -> None:
    """Call a function or coroutine function once."""
    if inspect.iscoroutinefunction(func):
        asyncio.run(func())
    else:
        func()


def loop(func: Any) -> None:
    """Be the program that `safemem audit` runs."""
    end = perf_counter() + SECONDS
    number = 0
    while number < 20 or (perf_counter() < end and number < 3000):
        call(func)
        number += 1


def by_check(func: Any) -> list[dict[str, Any]]:
    """Check by rounds."""
    from safemem import check_leaks
    from safemem.leaks import rounds

    if hasattr(func, "told"):
        rounds._LONGEST = 8
    return [leak.as_dict() for leak in check_leaks(func).failures]


def by_block(func: Any) -> list[dict[str, Any]]:
    """Check a block, the second run of it."""
    from safemem import LeakError, no_leaks

    call(func)
    try:
        with no_leaks():
            call(func)
    except LeakError as error:
        return [leak.as_dict() for leak in error.report.failures]
    return []


def by_audit(func: Any) -> list[dict[str, Any]]:
    """Check a program."""
    from safemem.cli import main

    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        status = main(["audit", "--json", __file__, "--loop", func.__module__, func.__name__])
        file.seek(0)
        text = file.read().decode(errors="replace")
    at = text.rfind('{\n  "schema"')
    if status not in {0, 3} or at < 0:
        return [{"kind": "failed", "what": f"status {status}", "text": text[-3000:]}]
    return [leak for leak in json.loads(text[at:])["leaks"] if leak["kind"] != "retained"]


WAYS = {"check": by_check, "block": by_block, "audit": by_audit}


def in_child(way: Any, func: Any) -> list[dict[str, Any]]:
    """Return what a child finds."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            found = way(func)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
            import traceback

            found = [{"kind": "failed", "what": repr(error), "text": traceback.format_exc()}]
        with os.fdopen(writing, "w") as file:
            json.dump(found, file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else [{"kind": "failed", "what": "the child died"}]


def is_as_told(func: Any, way: str, found: list[dict[str, Any]]) -> str:
    """Return what is wrong with what was found; "" if nothing."""
    told = getattr(func, "told", None)
    if told is None:
        return "" if not found else f"false alarm: {json.dumps(found, indent=1)}"
    if way != "check":
        return ""
    kinds, holder, fix = told
    right = [leak for leak in found if leak["kind"] in kinds]
    if not right:
        return f"not detected: {json.dumps(found, indent=1)}"
    named = [leak for leak in right if all(word in leak["holder"] for word in holder)]
    if not named:
        return f"holder not named: {[leak['holder'] for leak in right]}"
    if not any(word in leak["fix"] for leak in named for word in fix):
        return f"no fitting fix: {[leak['fix'] for leak in named]}"
    return ""


def main() -> int:
    """Check all that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--modules", nargs="+", choices=MODULES, default=list(MODULES))
    parser.add_argument("--only", default="")
    parser.add_argument("--loop", nargs=2)
    wishes = parser.parse_args()
    if wishes.loop:
        loop(getattr(importlib.import_module(wishes.loop[0]), wishes.loop[1]))
        return 0
    wrong = 0
    for module in map(importlib.import_module, wishes.modules):
        for name, func in [*vars(module).items()]:
            if not name.startswith(("clean_", "leak_")) or wishes.only not in name:
                continue
            for way in wishes.ways:
                if name.startswith("leak_") and way != "check":
                    continue
                start = perf_counter()
                says = [is_as_told(func, way, in_child(WAYS[way], func)) for _ in range(wishes.times)]
                bad = [text for text in says if text]
                wrong += len(bad)
                print(
                    f"{module.__name__}.{name} by {way}: {len(says) - len(bad)} of {len(says)} right, {perf_counter() - start:.1f} s",
                    flush=True,
                )
                for text in dict.fromkeys(bad):
                    print(f"    {text}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
