"""Picks the core: the compiled one where it was built, else the pure one.

SAFEMEM_PURE=1 forces the pure core, SAFEMEM_PURE=0 demands the compiled one (ImportError if it is missing), anything else means "what is there".
Type checkers always read the pure core, which is complete and the reference.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from safemem.core._calling import Memo, call_key, ready
from safemem.core._causes import RemovalCause
from safemem.core._clock import Clock
from safemem.core._locks import new_lock
from safemem.core._report import report_unraisable

__all__ = [
    "CORE",
    "NATIVE",
    "WHY",
    "AccountCore",
    "BoundCore",
    "CallCore",
    "Clock",
    "EmissionCore",
    "IdentityCore",
    "IdentitySetCore",
    "LRUCore",
    "LinkCore",
    "Memo",
    "RemovalCause",
    "TLRUCore",
    "TTLCore",
    "WeakCore",
    "call_key",
    "callable_core",
    "direct",
    "lru_wrapper",
    "method_descriptor",
    "new_lock",
    "ready",
    "rebind",
    "report_unraisable",
]

_wish = os.environ.get("SAFEMEM_PURE", "")

if TYPE_CHECKING or _wish == "1":
    from safemem.core._account import AccountCore
    from safemem.core._calling import BoundCore, CallCore, callable_core, direct, lru_wrapper, method_descriptor
    from safemem.core._emission import EmissionCore, LinkCore
    from safemem.core._identity import IdentityCore, IdentitySetCore
    from safemem.core._pure import LRUCore
    from safemem.core._seam import rebind
    from safemem.core._timed import TLRUCore, TTLCore
    from safemem.core._weak import WeakCore

    NATIVE = False
    WHY = "SAFEMEM_PURE=1 asks for the pure core"
else:
    try:
        from safemem.core._native import (
            AccountCore,
            BoundCore,
            CallCore,
            EmissionCore,
            IdentityCore,
            IdentitySetCore,
            LinkCore,
            LRUCore,
            TLRUCore,
            TTLCore,
            WeakCore,
            callable_core,
            direct,
            lru_wrapper,
            method_descriptor,
            rebind,
        )

        NATIVE = True
        WHY = "the compiled core is installed"
    except ImportError as error:
        if _wish == "0":
            raise
        from safemem.core._account import AccountCore
        from safemem.core._calling import BoundCore, CallCore, callable_core, direct, lru_wrapper, method_descriptor
        from safemem.core._emission import EmissionCore, LinkCore
        from safemem.core._identity import IdentityCore, IdentitySetCore
        from safemem.core._pure import LRUCore
        from safemem.core._seam import rebind
        from safemem.core._timed import TLRUCore, TTLCore
        from safemem.core._weak import WeakCore

        NATIVE = False
        WHY = f"the compiled core is not installed: it is built where there is a C compiler ({error})"

CORE = "native" if NATIVE else "pure"
