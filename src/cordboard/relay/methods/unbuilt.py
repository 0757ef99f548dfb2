"""Methods that the protocol has and this server does not (relay-protocol.md 8.9, 8.10)."""

from __future__ import annotations

UNBUILT = frozenset(
    "calling." + name
    for name in (
        "ai",
        "ai_hold",
        "ai_message",
        "ai_unhold",
        "amazon_bedrock",
        "bind_digit",
        "clear_digit_bindings",
        "denoise",
        "echo",
        "join_conference",
        "join_room",
        "leave_conference",
        "leave_room",
        "live_transcribe",
        "live_translate",
        "pay",
        "queue.enter",
        "queue.leave",
        "receive_fax",
        "send_fax",
        "stream",
        "transcribe",
        "user_event",
    )
)
"""Each with its `.stop`, where it has one."""
