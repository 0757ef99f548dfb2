"""Why a leg or a connect ended, and what that means to every listener.  The table itself is `causes`."""

from __future__ import annotations

import msgspec

from cordboard.call.causes import BY_STATUS, CAUSES, Cause, EndReason

__all__ = [
    "CAUSES",
    "Cause",
    "EndReason",
    "Ending",
    "callback_word",
    "caller_code",
    "cause_of_status",
    "ending",
    "ending_of_status",
    "q850_cause",
    "relay_word",
]

RELAY_WORDS = {
    EndReason.HANGUP: "hangup",
    EndReason.BUSY: "busy",
    EndReason.NO_ANSWER: "noAnswer",
    EndReason.CANCEL: "cancel",
    EndReason.DECLINED: "decline",
    EndReason.ERROR: "error",
}

Q850_CAUSES = {
    EndReason.HANGUP: 16,
    EndReason.BUSY: 17,
    EndReason.NO_ANSWER: 19,
    EndReason.CANCEL: 16,
    EndReason.DECLINED: 21,
    EndReason.ERROR: 41,
}
"""Cause of the Reason header of a BYE (ITU-T Q.850): normal clearing, busy, no answer, rejected, failure."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How one leg ended: the reason, the SIP code if there was one, and a sentence for a human."""

    reason: EndReason
    cause: str
    """Key of the reasons table, such as `user_busy`, `ring_timeout`, `media_worker_died`."""
    sip_code: int | None = None
    """The far end's final response code, if it sent one."""
    sip_reason: str = ""
    sentence: str = ""
    """One English sentence: who failed and what to change."""


def cause_of_status(status: int) -> Cause:
    """The cause behind a final status code other than 2xx; every code has one."""
    known = BY_STATUS.get(status)
    if known is not None:
        return known
    return CAUSES["redirected"] if 300 <= status < 400 else CAUSES["refused"]


def ending(
    cause: str,
    *,
    who: str = "The far end",
    detail: str = "",
    sip_code: int | None = None,
    sip_reason: str = "",
) -> Ending:
    """An ending by the key of its cause.

    `who` names the far end (`sip:bob@example.com`, `+15551234567`).  `detail` is put in as a clause of
    its own ("connection refused"), or as the closing sentence where the row asks for one.
    """
    row = CAUSES[cause]
    template = row.sentence
    if template.endswith("{detail}"):
        detail = _closed(detail or "no more is known")
    elif detail:
        detail = f" ({detail})"
    code = "no code" if sip_code is None else sip_code
    sentence = template.format(who=who, detail=detail, code=code, text=sip_reason).replace(" )", ")")
    return Ending(reason=row.reason, cause=cause, sip_code=sip_code, sip_reason=sip_reason, sentence=sentence)


def ending_of_status(status: int, text: str = "", *, who: str = "The far end") -> Ending:
    """The ending of a leg whose INVITE got this final response (`text` is its reason phrase)."""
    return ending(cause_of_status(status).key, who=who, sip_code=status, sip_reason=text)


def caller_code(end: Ending) -> int:
    """The final response for a caller who was never answered when this is why."""
    row = CAUSES.get(end.cause, CAUSES["refused"])
    if row.passed_on and end.sip_code is not None and end.sip_code >= 400:
        return end.sip_code
    return row.caller_code


def callback_word(end: Ending) -> str:
    """`end_reason` and `failed_reason` in SWML callbacks and variables."""
    return end.reason._value_  # `value` is a property written in Python


def relay_word(end: Ending) -> str:
    """`end_reason` on RELAY."""
    row = CAUSES.get(end.cause)
    return (row.relay_word if row else "") or RELAY_WORDS[end.reason]


def q850_cause(end: Ending) -> int:
    """Cause number for the Reason header of the BYE that ends a leg for this."""
    return Q850_CAUSES[end.reason]


def _closed(detail: str) -> str:
    return detail if detail.endswith((".", "!", "?")) else detail + "."
