"""Builds the native core where there is a C compiler; where there is none the install succeeds all the same, with the pure core alone.

SAFEMEM_BUILD says otherwise: `pure` builds nothing, `werror` makes every warning an error and a failing build fail the install, `sanitize`
adds AddressSanitizer and UndefinedBehaviorSanitizer to that; `native` is the default. `safemem info` tells which core is in use, and why.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

WISH = os.environ.get("SAFEMEM_BUILD", "native")
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
