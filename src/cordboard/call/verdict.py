"""What becomes of a call when its script, or a client, says that it shall end."""

from __future__ import annotations

from cordboard.call.actions import Finished, Hangup

SCRIPT_CAUSES = {"busy": "script_busy", "decline": "script_declined", "hangup": "hangup_script"}

CLIENT_CAUSES = {
    "hangup": "client_hung_up",
    "cancel": "client_cancelled",
    "busy": "client_busy",
    "noAnswer": "client_no_answer",
    "no_answer": "client_no_answer",
    "decline": "client_declined",
    "declined": "client_declined",
    "error": "client_failed",
}
"""By the reason of a `Hangup`; the words of RELAY and of SWML."""


def cause_of_hangup(action: Hangup, *, confirming: bool, unanswered: bool) -> str:
    """Of a script: unanswered, no reason means busy (swml.md 6.2); a confirm script declines."""
    if confirming:
        return "confirm_declined"
    reason = action.reason or ("busy" if unanswered else "hangup")
    return SCRIPT_CAUSES.get(reason, "hangup_script")


def cause_of_end(finished: Finished, *, confirming: bool, unanswered: bool, document_missing: bool) -> str:
    """Of a script that is out of steps, or cannot be run."""
    if finished.failed is None:
        return "script_busy" if unanswered else "script_ended"
    if confirming:
        return "confirm_failed"
    return "document_failed" if document_missing else "script_failed"
