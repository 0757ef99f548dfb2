"""A user name and password, bound to the host that may see what is made of them."""

from __future__ import annotations

import msgspec


class Credentials(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """For digest authentication (RFC 8760).  Not printed: logs and tracebacks must not show them."""

    username: str
    password: str
    realm: str | None = None
    """Answer only challenges of this realm; None = the first realm that the host names, and no other."""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, ...)"
