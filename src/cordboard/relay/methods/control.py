"""Whether a call is taken, ended, given away (relay-protocol.md 8.1)."""

from __future__ import annotations

import msgspec

from cordboard.call.actions import Answer, Hangup
from cordboard.call.commands import Command, Disconnect
from cordboard.relay.methods.method import Reader, call_id, node_id, on_call
from cordboard.relay.params import Params
from cordboard.relay.requests import PassRequest, Request, TransferRequest

END_REASONS = {
    "hangup": "hangup",
    "cancel": "cancel",
    "busy": "busy",
    "noAnswer": "no_answer",
    "decline": "decline",
    "error": "error",
}
"""On the wire → in `Hangup`."""
_MAX_DOCUMENT = 1_048_576


def _answer(given: Params) -> Command:
    seconds = given.number("max_duration", 1)
    return Answer() if seconds is None else Answer(max_duration=seconds)


def _end(given: Params) -> Command:
    return Hangup(reason=END_REASONS[given.choice("reason", END_REASONS, "hangup")])


def _disconnect(given: Params) -> Command:
    return Disconnect()


def _pass(given: Params) -> Request:
    return PassRequest(call_id=call_id(given), node_id=node_id(given))


def _transfer(given: Params) -> Request:
    return TransferRequest(call_id=call_id(given), node_id=node_id(given), dest=_dest(given))


def _dest(given: Params) -> str:
    """A document may be written as an object too."""
    if not isinstance(given.raw("dest"), dict):
        return given.required("dest", longest=_MAX_DOCUMENT).strip()
    try:
        document = msgspec.json.encode(given.raw("dest")).decode()
    except (RecursionError, OverflowError, TypeError, ValueError):
        raise given.wrong("dest", "a SWML document of moderate depth") from None
    if len(document) > _MAX_DOCUMENT:
        raise given.error(f"`dest` must be at most {_MAX_DOCUMENT} characters, not {len(document)}.")
    return document


METHODS: dict[str, Reader] = {
    "answer": on_call(_answer),
    "end": on_call(_end),
    "disconnect": on_call(_disconnect),
    "pass": _pass,
    "transfer": _transfer,
}
