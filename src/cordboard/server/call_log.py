"""The operator's log of calls: what went wrong in one of them, in one line that says what to change."""

from __future__ import annotations

import logging

from cordboard.call.actions import CallInfo, ScriptWarning
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Happening, ScriptWarned
from cordboard.call.reasons import EndReason
from cordboard.events.bodies import Body

_log = logging.getLogger(__name__)


def log_failure(info: CallInfo, happening: Happening, body: Body) -> None:
    """A listener: warnings of scripts, connects that failed, calls that came in and ended with an error."""
    if isinstance(happening, CallStateChanged | ConnectStateChanged) and happening.ending is None:
        return  # as nearly always
    failure = _failure(info, happening)
    if failure is not None:
        _log.info("call %s from %s to %s: %s", info.call_id, info.from_, info.to, failure)


def _failure(info: CallInfo, happening: Happening) -> str | None:
    if isinstance(happening, ScriptWarned):
        return _warning(happening.warning)
    if isinstance(happening, ConnectStateChanged):
        return f"connect failed: {happening.ending.sentence}" if happening.ending is not None else None
    if not isinstance(happening, CallStateChanged) or happening.ending is None:
        return None
    # A called leg that failed is spoken of by its connect.
    spoken_of = info.direction == "outbound" or happening.ending.reason is not EndReason.ERROR
    return None if spoken_of else happening.ending.sentence


def _warning(warning: ScriptWarning) -> str:
    where = f", line {warning.line}" if warning.line is not None else ""
    return f"{warning.message} ({warning.code}{where})"
