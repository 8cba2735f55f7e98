"""getnikola/nikola, pull request 1532: a list as a default argument is one list for all calls."""

from __future__ import annotations

KINDS = ["growth"]
HOLDER = ["render", "context"]
FIX = ["None", "default"]


class Post:
    def __init__(self) -> None:
        self.text = [0] * 10


def render(post: Post, context: list[Post] = []) -> int:
    context.append(post)
    return len(context)


def mended_render(post: Post, context: list[Post] | None = None) -> int:
    context = [] if context is None else context
    context.append(post)
    return len(context)


def leak() -> None:
    render(Post())


def mended() -> None:
    mended_render(Post())
