"""What SWML has and this server does not run yet.  Each entry is refused by name, never skipped.

Building one of them means deleting its entry here; nothing else knows the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cordboard.swml import codes
from cordboard.swml.problems import MethodError

METHODS = frozenset(
    {
        "ai",
        "ai_sidecar",
        "amazon_bedrock",
        "denoise",
        "detect_machine",
        "enter_queue",
        "join_conference",
        "join_room",
        "live_transcribe",
        "live_translate",
        "pay",
        "prompt",
        "receive_fax",
        "record",
        "record_call",
        "request",
        "send_digits",
        "send_fax",
        "send_sms",
        "sip_refer",
        "stop_denoise",
        "stop_record_call",
        "stop_stream",
        "stop_tap",
        "stream",
        "tap",
        "transcribe",
        "transcribe_stop",
        "user_event",
    }
)

PROPERTIES: dict[str, frozenset[str]] = {
    "answer": frozenset({"codecs", "username", "password"}),
    "connect": frozenset(
        {
            "codecs",
            "confirm",
            "confirm_timeout",
            "encryption",
            "from_name",
            "max_duration",
            "password",
            "ringback",
            "session_timeout",
            "transfer_after_bridge",
            "username",
            "webrtc_media",
        }
    ),
}

HARMLESS: dict[str, Any] = {"encryption": "forbidden", "session_timeout": 0, "webrtc_media": False}
"""Values that ask for nothing but what the server does anyway."""

DESTINATIONS = {
    "address": "resource addresses (`/context/name`)",
    "queue": "`queue:` destinations",
    "stream": "`stream:` destinations",
}

PLAY_SCHEMES = {"say": "`say:` (text to speech)"}


def refusal(method: str, what: str) -> MethodError:
    """The error for something in this list; `what` as it shall read in the message."""
    return MethodError(codes.EXECUTE_FAILED, f"{method}: {what} is not supported by this server yet")


def refuse_properties(method: str, given: Mapping[str, Any]) -> None:
    """Raises for the first given property that is not built."""
    for name in given:
        if name in PROPERTIES[method] and given[name] is not None and not _is_harmless(name, given[name]):
            raise refusal(method, f"`{name}`")


def _is_harmless(name: str, value: Any) -> bool:
    return name in HARMLESS and bool(HARMLESS[name] == value)
