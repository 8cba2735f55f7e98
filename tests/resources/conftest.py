"""The scripts are run by the tests, not collected where they lie."""

from __future__ import annotations

collect_ignore = ["scripts"]
