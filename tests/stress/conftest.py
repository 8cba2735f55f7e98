"""The scripts are run by test_stress.py, not collected."""

from __future__ import annotations

collect_ignore_glob = ["stress_*.py"]
