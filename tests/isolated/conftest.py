"""The scripts are run by test_isolated.py, not collected."""

from __future__ import annotations

collect_ignore = ["scripts"]
