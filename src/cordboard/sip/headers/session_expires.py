"""Session-Expires and Min-SE (RFC 4028 sections 4 and 5)."""

from __future__ import annotations

from typing import Literal

import msgspec

from cordboard.sip.headers.grammar import HeaderError, read_number
from cordboard.sip.headers.parameters import parse_parameters

Refresher = Literal["uac", "uas"]
LONGEST_SESSION = 2**32 - 1


class SessionExpires(msgspec.Struct, frozen=True):
    seconds: int
    refresher: Refresher | None = None
    """Who refreshes, of the request that this header or its response is in."""

    @classmethod
    def parse(cls, text: str) -> SessionExpires:
        """Raises HeaderError."""
        refresher = _parameters(text).get("refresher")
        role: Refresher | None = "uac" if refresher == "uac" else "uas" if refresher == "uas" else None
        return cls(seconds=_seconds(text, "Session-Expires"), refresher=role)

    def __str__(self) -> str:
        return f"{self.seconds}" if self.refresher is None else f"{self.seconds};refresher={self.refresher}"


def parse_min_se(text: str) -> int:
    """Seconds; raises HeaderError."""
    _parameters(text)
    return _seconds(text, "Min-SE")


def _seconds(text: str, name: str) -> int:
    return read_number(text.partition(";")[0], LONGEST_SESSION, name)


def _parameters(text: str) -> dict[str, str | None]:
    _, semicolon, parameters = text.partition(";")
    found = parse_parameters(semicolon + parameters) if semicolon else {}
    return {name: None if value is None else value.lower() for name, value in found.items()}


__all__ = ["HeaderError", "SessionExpires", "parse_min_se"]
