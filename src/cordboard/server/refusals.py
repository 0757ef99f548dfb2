"""The log of callers that were turned away: a line for each address now and then, not for each INVITE."""

from __future__ import annotations

import logging
from collections import OrderedDict

from cordboard.legs.outputs import CallRefused

_log = logging.getLogger(__name__)

QUIET = 60.0
"""Seconds from one line about an address to the next."""
MAX_ADDRESSES = 1_000


class Refusals:
    """A flood costs neither disk nor memory."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, int], float] = OrderedDict()
        self.count = 0
        """All of them, logged or not."""

    def note(self, refused: CallRefused, now: float) -> None:
        self.count += 1
        key = (refused.source.address, refused.status)
        if self._until.get(key, 0.0) > now:
            return
        self._until[key] = now + QUIET
        self._until.move_to_end(key)
        if len(self._until) > MAX_ADDRESSES:
            self._until.popitem(last=False)
        _log.warning("a call was refused with %d: %s", refused.status, refused.ending.sentence)
