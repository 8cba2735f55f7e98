"""getsentry/seer, pull request 2512: `functools.cache` on a method keeps every client."""

from __future__ import annotations

from functools import cache, cached_property

KINDS = ["cache"]
HOLDER = ["RepoClient", "read"]
FIX = ["cached"]


class RepoClient:
    @cache
    def read(self) -> bytes:
        return bytes(1000)


class MendedRepoClient:
    @cached_property
    def content(self) -> bytes:
        return bytes(1000)


def leak() -> None:
    RepoClient().read()


def mended() -> None:
    assert MendedRepoClient().content
