"""What runs in the container of the row `short_of_memory`: a service with a cache, and reports that need their part of the memory as well.

`python -m safemem.demo.container KIND FIRST LAST` serves chunks and prints a digest for each that is done; the names of files come by standard input.
"""

from __future__ import annotations

import functools
import os
import random
import sys
import time
from collections.abc import Callable
from hashlib import sha256

__all__ = ["COUNT", "LIMIT", "REPORT", "REQUESTS"]

MB = 1 << 20
LIMIT = 100 * MB
COUNT = 3_000  # pages of 16 kB: with them alone the service fits
REPORT = 50  # MB
REQUESTS = 2_400  # of a chunk

_PAGES = 6_000
_PAGE = 16_000


def open_pages(texts: list[bytes]) -> Callable[[int], bytes]:
    """Return the function that renders a page: some of a file, as often as it takes to fill it."""

    def render(number: int) -> bytes:
        text = texts[number % len(texts)] or b"-"
        start = number * 97 % len(text)
        part = b"%d: " % number + text[start : start + _PAGE]
        return (part * (_PAGE // len(part) + 1))[:_PAGE]

    return render


def serve_with_budget(render: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Keep as many pages as the container has room for now."""
    import safemem

    reserve = os.environ.get("SAFEMEM_DEMO_RESERVE")
    if reserve:  # address space is limited, of which a thread takes a large part
        budget = safemem.MemoryBudget(reserve=reserve)
    else:
        budget = safemem.MemoryBudget()
        budget.start()
    return safemem.cached(maxsize=None, budget=budget)(render)


def serve_a_chunk(chunk: int, page: Callable[[int], bytes]) -> str:
    """Answer requests, most of them for the same pages; then write a report in memory while the requests go on."""
    dice = random.Random(chunk)  # noqa: S311 - the same requests each time
    digest = sha256()
    report: list[bytearray] = []
    for number in range(REQUESTS):
        body = page(int(_PAGES * dice.random() ** 1.5))
        digest.update(body[:64])
        if number >= REQUESTS // 2 and number % (REQUESTS // 2 // REPORT) == 0:
            report.append(bytearray(MB))
            report[-1][::4096] = bytes(256)  # so that it is really there
            time.sleep(0.002)
    assert len(report) == REPORT
    return digest.hexdigest()


def main(kind: str, first: int, last: int) -> None:
    """Serve the chunks from the first on that is not done."""
    texts = [_read(path) for path in sys.stdin.buffer.read().split(b"\0")]
    render = open_pages(texts)
    page = functools.lru_cache(maxsize=COUNT)(render) if kind == "usual" else serve_with_budget(render)
    for chunk in range(first, last):
        print(serve_a_chunk(chunk, page), flush=True)


def _read(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(20_000)
    except OSError:
        return b""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
