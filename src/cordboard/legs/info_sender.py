"""Sends a row of keys by SIP INFO, one after the other."""

from __future__ import annotations

from collections import deque

import msgspec

KEY_MS = 160
_GAP = 0.25
"""Seconds from one key to the next."""
_PAUSES = {"W": 1.0, "w": 0.5}
MAX_WAITING = 64


class PressKey(msgspec.Struct, frozen=True):
    """Send this key now."""

    digit: str


class RowSent(msgspec.Struct, frozen=True):
    """All keys of this row have been sent."""

    control_id: str


class InfoSender:
    """One leg's rows of keys; time is an input."""

    __slots__ = ("_due", "_rows")

    def __init__(self) -> None:
        self._rows: deque[tuple[str, deque[str]]] = deque()
        self._due: float | None = None

    def add(self, control_id: str, digits: str, now: float) -> list[PressKey | RowSent]:
        """Send these keys after those that still wait.  Beyond `MAX_WAITING` rows none is taken."""
        if len(self._rows) >= MAX_WAITING:
            return [RowSent(control_id)]
        self._rows.append((control_id, deque(digits)))
        if self._due is not None:
            return []
        self._due = now
        return self.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """None: nothing waits."""
        return self._due

    def handle_timeout(self, now: float) -> list[PressKey | RowSent]:
        """What is due."""
        done: list[PressKey | RowSent] = []
        while self._due is not None and self._due <= now:
            done += self._step()
        return done

    def _step(self) -> list[PressKey | RowSent]:
        assert self._due is not None
        if not self._rows:
            self._due = None
            return []
        control_id, keys = self._rows[0]
        if not keys:
            self._rows.popleft()
            return [RowSent(control_id)]
        key = keys.popleft()
        self._due += _PAUSES.get(key, _GAP)
        return [] if key in _PAUSES else [PressKey(key.upper())]
