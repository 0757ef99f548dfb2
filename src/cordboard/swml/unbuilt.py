"""What SWML has and this server does not run yet.  Each entry is refused by name, never skipped.

Methods: those of `table/`.  Properties and destinations: here and where they are refused.
"""

from __future__ import annotations

from cordboard.swml import codes
from cordboard.swml.problems import MethodError

DESTINATIONS = {
    "address": "resource addresses (`/context/name`)",
    "queue": "`queue:` destinations",
    "stream": "`stream:` destinations",
}


def refusal(method: str, what: str) -> MethodError:
    """The error for something in this list; `what` as it shall read in the message."""
    verb = "are" if what in DESTINATIONS.values() else "is"
    return MethodError(codes.EXECUTE_FAILED, f"{method}: {what} {verb} not supported by this server yet")
