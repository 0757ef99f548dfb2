"""What becomes of a call when its script, or a client, says that it shall end."""

from __future__ import annotations

from cordboard.call.actions import Finished, Hangup
from cordboard.call.driving import Driving
from cordboard.call.info import CallInfo
from cordboard.call.leg import UNANSWERED
from cordboard.call.reasons import Ending, ending, q850_cause

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


def ending_of_wish(wish: Finished | Hangup, info: CallInfo, driving: Driving, *, confirming: bool) -> Ending:
    """Why a call ends whose script hangs up, is out of steps, or cannot be run.

    `confirming`: it is a confirm script.  A caller who was never answered learns why the last connect failed.
    """
    unanswered = info.call_state in UNANSWERED
    if isinstance(wish, Hangup):
        return ending(_cause_of_hangup(wish, confirming=confirming, unanswered=unanswered), who=info.far_end)
    if wish.failed is not None:
        failed = "document_failed" if driving.document_missing else "script_failed"
        return ending("confirm_failed" if confirming else failed, who=info.far_end, detail=wish.failed)
    if unanswered:
        return driving.last_failure or ending("script_busy", who=info.far_end)
    return ending("script_ended", who=info.far_end)


def q850_of_wish(wish: Finished | Hangup, why: Ending) -> int:
    """The cause in the BYE: a `hangup` says its own reason there (swml.md 6.2), also where it means more."""
    if isinstance(wish, Hangup):
        why = ending(SCRIPT_CAUSES.get(wish.reason or "hangup", "hangup_script"))
    return q850_cause(why)


def _cause_of_hangup(action: Hangup, *, confirming: bool, unanswered: bool) -> str:
    """Unanswered, no reason given means busy (swml.md 6.2).  A confirm script declines with it."""
    if confirming:
        return "confirm_declined"
    reason = action.reason or ("busy" if unanswered else "hangup")
    return SCRIPT_CAUSES.get(reason, "hangup_script")
