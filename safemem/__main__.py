"""`python -m safemem` is the command `safemem`."""

from __future__ import annotations

from safemem.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
