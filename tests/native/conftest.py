"""Tests of what is special about the native core; they are collected where it is in use. Their scripts are run, not collected."""

from __future__ import annotations

from safemem import core

collect_ignore_glob = ["scripts/*.py"] if core.NATIVE else ["*.py"]
