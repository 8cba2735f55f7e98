"""The vendored tests are run through test_cachetools.py, not collected where they lie."""

from __future__ import annotations

collect_ignore = ["vendor"]
