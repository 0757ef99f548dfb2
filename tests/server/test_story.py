"""The one sentence about a session: the failure that gave its connect the reason."""

from __future__ import annotations

import msgspec
import pytest

from cordboard.call.reasons import Ending, callback_word, ending_of_status
from cordboard.server.store import CallEnd, CallRecord, EventRecord, NewCall
from cordboard.server.story import Leg, Story, verdict


def leg(name: str, end: Ending | None, *events: EventRecord) -> Leg:
    start = NewCall(
        name, "s", "g", "n", "p", "x", "outbound", "sip", "alice", name, None, None, 1.0, None, ""
    )
    empty = dict.fromkeys(("answered_at", "connect", "dialog", "statistics", "variables"))
    ended = end and CallEnd(2.0, callback_word(end), end.cause, end.sip_code, end.sip_reason, end.sentence)
    record = CallRecord(number=1, start=start, end=ended, **empty)  # type: ignore[arg-type] # all None
    return Leg(record=record, events=list(events), messages=[])


def connect(state: str, **params: str) -> EventRecord:
    body = msgspec.json.encode({"params": {"connect_state": state, **params}})
    return EventRecord(seq=1, event_id="e", event_type="calling.call.connect", created_at=1.0, body=body)


@pytest.mark.parametrize(
    ("statuses", "reason", "told"),
    [
        ((486, 603), "busy", "b0 is busy"),
        ((603, 486), "busy", "b1 is busy"),
        ((404, 486, 603), "declined", "b2 declined"),
        ((486, 404), "error", "b1 does not exist"),
        ((486, 486), "busy", "b1 is busy"),
        ((486, 404), "no_answer", "b1 does not exist"),
    ],
)
def test_the_verdict_is_of_the_leg_that_gave_the_connect_its_reason(
    statuses: tuple[int, ...], reason: str, told: str
) -> None:
    caller = leg("alice", None, connect("connecting"), connect("failed", failed_reason=reason))
    called = [leg(f"b{n}", ending_of_status(status, who=f"b{n}")) for n, status in enumerate(statuses)]
    assert verdict(Story(legs=[caller, *called], deliveries=[])).startswith(told)


def test_a_connect_that_worked_in_the_end_leaves_the_verdict_to_the_caller() -> None:
    caller = leg("alice", None, connect("failed", failed_reason="busy"), connect("disconnected"))
    story = Story(legs=[caller, leg("b0", ending_of_status(486, who="b0"))], deliveries=[])
    assert verdict(story).startswith("The call goes on")
