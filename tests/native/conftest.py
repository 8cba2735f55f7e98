"""Tests of what is special about the native core; they are collected where it is in use."""

from __future__ import annotations

from safemem import core

collect_ignore_glob = [] if core.NATIVE else ["*.py"]
