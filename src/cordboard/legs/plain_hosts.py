"""Hosts that refused an offer with SRTP keys and took the same call without (RFC 8643 section 3)."""

from __future__ import annotations

REMEMBERED_FOR = 3600.0
MAX_HOSTS = 1024


class PlainHosts:
    """Remembers each for an hour, so that only the first call there has to be offered twice."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def note(self, host: str, now: float) -> None:
        """This host wants no keys.  Beyond `MAX_HOSTS` the one noted longest ago is forgotten."""
        self._until.pop(host.lower(), None)
        if len(self._until) >= MAX_HOSTS:
            del self._until[next(iter(self._until))]
        self._until[host.lower()] = now + REMEMBERED_FOR

    def has(self, host: str, now: float) -> bool:
        until = self._until.get(host.lower())
        if until is None:
            return False
        if until <= now:
            del self._until[host.lower()]
            return False
        return True
