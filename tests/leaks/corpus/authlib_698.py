"""authlib/authlib, issue 698: a session refers to its authentication, that to its client, the session; a file is in it."""

from __future__ import annotations

import os

KINDS = ["cycle"]
HOLDER = ["OAuth2Session", "token_auth", "client"]
FIX = ["WeakAttr", "TreeNode", "Disposable"]


class TokenAuth:
    def __init__(self, client: object) -> None:
        self.client = client


class OAuth2Session:
    def __init__(self) -> None:
        self.token_auth: TokenAuth | None = TokenAuth(self)
        self.log = open(os.devnull, encoding="utf-8")

    def close(self) -> None:
        self.log.close()
        self.token_auth = None


def leak() -> None:
    session = OAuth2Session()
    session.log.close()
    session.log = open(os.devnull, encoding="utf-8")
    session.log.close()


def mended() -> None:
    OAuth2Session().close()
