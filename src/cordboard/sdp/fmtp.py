"""Format parameters in their usual shape: `name=value; name=value` (RFC 6838 types over RFC 8866)."""

from __future__ import annotations

_MOST = 32


def parameters(fmtp: str) -> dict[str, str]:
    """Names in lower case; what has no `=` has the value ""."""
    found: dict[str, str] = {}
    for part in fmtp.split(";", _MOST)[:_MOST]:
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip())
    return found


def number(fmtp: str, name: str) -> int:
    """The value of a parameter that is a whole number; 0 if it is missing or something else."""
    text = parameters(fmtp).get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
