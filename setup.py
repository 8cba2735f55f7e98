"""Builds the native core for those who ask for it; by default the pure core is all there is.

The native core passes the tests of the caches, but its part for decorated functions is still to come, so it is built on request:
SAFEMEM_BUILD=native builds it (and goes on without if there is no compiler), werror also makes every warning an error and a failing build
fail the install, sanitize adds AddressSanitizer and UndefinedBehaviorSanitizer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

WISH = os.environ.get("SAFEMEM_BUILD", "pure")
CORE = Path("safemem", "core")
FLAGS = [] if sys.platform == "win32" else ["-std=c11", "-O2", "-fvisibility=hidden"]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wno-missing-field-initializers", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g"]
STRICT = WISH in {"werror", "sanitize"}

if WISH not in {"native", "werror", "sanitize", "pure"}:
    msg = f"SAFEMEM_BUILD must be native, werror, sanitize or pure, got {WISH!r}"
    raise ValueError(msg)

native = Extension(
    "safemem.core._native",
    sources=[str(CORE / "_native.c")],
    depends=sorted(map(str, CORE.glob("*.h"))),
    extra_compile_args=FLAGS + (WARNINGS if STRICT else []) + (SANITIZERS if WISH == "sanitize" else []),
    extra_link_args=SANITIZERS if WISH == "sanitize" else [],
    optional=not STRICT,
)

setup(ext_modules=[] if WISH == "pure" else [native])
