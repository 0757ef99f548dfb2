"""Why a call or a connect ended: one table of causes (swml.md 7.15).  Written in full by the heart."""

from __future__ import annotations

from enum import Enum

import msgspec


class EndReason(Enum):
    """The closed list of end reasons, in SWML's spelling."""

    HANGUP = "hangup"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCEL = "cancel"
    DECLINED = "declined"
    ERROR = "error"


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
