"""Objects with a closing method."""

from __future__ import annotations

import asyncio


class Closable:
    """Tells when it is closed, and fails if it is to."""

    def __init__(self, name: str = "it", told: list[str] | None = None, error: BaseException | None = None) -> None:
        self.name = name
        self.told = [] if told is None else told
        self.error = error

    def close(self) -> None:
        self.told.append(self.name)
        if self.error is not None:
            raise self.error

    async def aclose_slowly(self) -> None:
        await asyncio.sleep(0)
        self.close()

    async def aclose_at_once(self) -> None:
        self.close()
