"""What a far end wrote, made fit for a terminal."""

from __future__ import annotations


def printable(text: str, limit: int) -> str:
    """At most `limit` characters; controls, escape sequences and undecodable bytes are shown, not obeyed."""
    clean = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:limit])
    return clean if len(clean) <= limit and len(text) <= limit else clean[: limit - 1] + "…"
