"""Checks every leak of the collection and its mended twin, and prints what was found as JSON; in a process of its own, whose heap is small."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from safemem import check_leaks
from safemem.leaks import rounds


def load(path: Path) -> ModuleType:
    """Import one file of the collection."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def examine(module: Any) -> dict[str, Any]:
    """Check a leak and its mended twin."""
    mended = [str(leak) for leak in check_leaks(module.mended).failures]
    leaks = check_leaks(module.leak).failures
    right = [leak for leak in leaks if leak.kind in module.KINDS]
    named = [leak for leak in right if all(word in leak.holder for word in module.HOLDER)]
    fitting = [leak for leak in named or right if any(word in leak.fix for word in module.FIX)]
    if hasattr(module, "tidy"):
        module.tidy()
    found = {"detected": bool(right), "named": bool(named), "fitting": bool(fitting), "found": len(leaks)}
    return {**found, "mended": mended, "text": [str(leak) for leak in leaks]}


if __name__ == "__main__":
    rounds._LONGEST = 8  # nothing in the collection has a bound above that many rounds of eight
    chosen = sorted(Path(__file__).parent.parent.joinpath("corpus").glob("*.py"))
    json.dump({path.stem: examine(load(path)) for path in chosen}, sys.stdout)
