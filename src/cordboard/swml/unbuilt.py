"""What SWML has and this server does not run yet.  Each entry is refused by name, never skipped.

Building one of them means deleting its entry here; nothing else knows the list.
"""

from __future__ import annotations

from cordboard.swml import codes
from cordboard.swml.problems import MethodError

METHODS = frozenset(
    {
        "ai",
        "ai_sidecar",
        "amazon_bedrock",
        "detect_machine",
        "enter_queue",
        "join_conference",
        "join_room",
        "live_transcribe",
        "live_translate",
        "pay",
        "receive_fax",
        "send_fax",
        "send_sms",
        "sip_refer",
        "stop_stream",
        "stream",
        "transcribe",
        "transcribe_stop",
        "user_event",
    }
)

DESTINATIONS = {
    "address": "resource addresses (`/context/name`)",
    "queue": "`queue:` destinations",
    "stream": "`stream:` destinations",
}


def refusal(method: str, what: str) -> MethodError:
    """The error for something in this list; `what` as it shall read in the message."""
    return MethodError(codes.EXECUTE_FAILED, f"{method}: {what} is not supported by this server yet")
