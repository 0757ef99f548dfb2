"""What a confirm script may do (swml.md 7.10): it decides about one leg, and connects nobody."""

from __future__ import annotations

from cordboard.swml import codes
from cordboard.swml.problems import MethodError
from cordboard.swml.program import Block
from cordboard.swml.walk import steps_of

INLINE = frozenset(
    {
        "cond",
        "denoise",
        "hangup",
        "play",
        "prompt",
        "record",
        "record_call",
        "send_digits",
        "send_sms",
        "set",
        "stop_denoise",
        "stop_record_call",
        "stop_stream",
        "stop_tap",
        "stream",
        "switch",
        "tap",
        "unset",
    }
)
"""The methods of inline steps, also inside `cond` and `switch`."""

REFUSED = frozenset(
    {
        "ai",
        "ai_sidecar",
        "amazon_bedrock",
        "connect",
        "enter_queue",
        "join_conference",
        "join_room",
    }
)
"""What a document that is fetched may not do either."""


def fault_of(block: Block, path: tuple[str | int, ...]) -> MethodError | None:
    """The error for the first step that inline steps may not have."""
    wrong = next((step for step in steps_of(block) if step.method not in INLINE), None)
    if wrong is None:
        return None
    message = f"connect: `{wrong.method}` (line {wrong.line}) cannot be used in `confirm`"
    allowed = ", ".join(sorted(INLINE))
    return MethodError(
        codes.PARAMETER_INVALID, message, path=path, found=f"`{wrong.method}`", allowed=allowed
    )
