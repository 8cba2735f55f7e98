"""Tests of what is special about the native core; they are collected where it is demanded with SAFEMEM_PURE=0."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("SAFEMEM_PURE") == "0" else ["*.py"]
