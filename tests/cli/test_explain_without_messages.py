"""What `cordboard explain` says of a call whose SIP messages are not in the store."""

from __future__ import annotations

import pytest

from cordboard.cli.explanation import as_lines
from cordboard.server.store import CallEnd, CallRecord, NewCall
from cordboard.server.story import Leg, Story

OVER = CallEnd(2.0, "hangup", "hangup_far_end", None, "", "alice hung up.")


def leg(end: CallEnd | None) -> Leg:
    start = NewCall(
        "c", "s", "g", "n", "p", "x", "inbound", "sip", "alice", "+1555", None, None, 1.0, None, ""
    )
    empty = dict.fromkeys(("answered_at", "connect", "dialog", "statistics", "variables"))
    record = CallRecord(number=1, start=start, end=end, **empty)  # type: ignore[arg-type] # all None
    return Leg(record=record, events=[], messages=[])


@pytest.mark.parametrize(
    ("ends", "told", "untold"),
    [
        ((None,), "none yet", "died"),
        ((None, OVER), "none yet", "died"),
        ((OVER, OVER), "no messages were kept", "none yet"),
    ],
)
def test_a_call_that_goes_on_is_not_said_to_have_lost_its_messages(
    ends: tuple[CallEnd | None, ...], told: str, untold: str
) -> None:
    lines = as_lines(Story(legs=[leg(end) for end in ends], deliveries=[]))
    ladder = lines[lines.index("ladder") + 1]
    assert told in ladder
    assert untold not in ladder
