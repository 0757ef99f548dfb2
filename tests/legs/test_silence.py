"""Silence of the media: watched for while both ends talk, not while one holds, and the end of the call."""

from __future__ import annotations

import pytest

from cordboard.call.facts import LegAnswered, LegHeld, LegResumed
from cordboard.legs.outputs import MediaCommand
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import MediaSilent, WatchSilence
from cordboard.sip.events import InviteReceived

from .leg_bench import CALLED, LegBench, far_answer, far_offer

RULES = LegRules(rtp_timeout=30.0)


def watched(bench: LegBench, call_id: str) -> list[float]:
    """What the worker was told to watch for, in order."""
    commands = [told.command for told in bench.all_told(MediaCommand)]
    return [c.seconds for c in commands if isinstance(c, WatchSilence) and c.endpoint_id == call_id]


def silent(bench: LegBench, call_id: str) -> None:
    bench.do(bench.legs.media_silent(MediaSilent(endpoint_id=call_id, seconds=30.0), bench.now))
    bench.run()


def test_silence_is_watched_for_from_the_answer_on() -> None:
    bench = LegBench(rules=RULES)
    session = bench.call_out()
    offer = bench.received(InviteReceived).request.body
    bench.put(bench.far.ring(session, status=183, body=far_answer(offer), now=bench.now))
    bench.run()
    assert watched(bench, CALLED) == []
    bench.far_accepts(session)
    assert watched(bench, CALLED) == [30.0]


def test_a_silent_far_end_is_hung_up_with_the_reason() -> None:
    bench = LegBench(rules=RULES)
    call_id, _ = bench.answered_call_in()
    silent(bench, call_id)
    end = bench.ending(call_id)
    assert (end.cause, bench.sent()[-1]) == ("media_timeout", "BYE")
    assert "for 30 s" in end.sentence
    bench.comes_to_rest()


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_a_far_end_that_holds_may_be_silent(direction: str) -> None:
    bench = LegBench(rules=RULES)
    call_id, session = bench.answered_call_in()
    bench.far_reinvites(session, far_offer(direction=direction, version=2))
    assert watched(bench, call_id) == [30.0, 0.0]
    silent(bench, call_id)
    assert bench.facts(call_id) == [LegAnswered(), LegHeld()]
    bench.far_reinvites(session, far_offer(version=3))
    assert watched(bench, call_id) == [30.0, 0.0, 30.0]
    assert bench.facts(call_id)[-1] == LegResumed()


def test_a_far_end_that_only_listens_may_be_silent_and_does_not_hold() -> None:
    bench = LegBench(rules=RULES)
    call_id, session = bench.answered_call_in()
    bench.far_reinvites(session, far_offer(direction="recvonly", version=2))
    assert watched(bench, call_id) == [30.0, 0.0]
    assert bench.facts(call_id) == [LegAnswered()]


def test_a_callee_who_answers_on_hold_is_held_at_once() -> None:
    bench = LegBench(rules=RULES)
    session = bench.call_out()
    offer = bench.received(InviteReceived).request.body
    bench.far_accepts(session, far_answer(offer).replace(b"a=sendrecv", b"a=inactive"))
    assert bench.facts(CALLED) == [LegAnswered(), LegHeld()]
    assert watched(bench, CALLED) == []


def test_a_late_offer_brings_a_holder_back() -> None:
    bench = LegBench(rules=RULES)
    _, session = bench.answered_call_in()
    bench.far_reinvites(session, far_offer(direction="sendonly", version=2))
    offer = bench.far_reinvites(session, b"").body
    assert b"a=sendrecv" in offer


def test_nothing_is_watched_for_where_the_configuration_does_not_want_it() -> None:
    bench = LegBench()
    call_id, _ = bench.answered_call_in()
    assert watched(bench, call_id) == []


def test_silence_of_a_call_that_is_gone_is_nothing() -> None:
    bench = LegBench(rules=RULES)
    silent(bench, "gone")
    assert bench.told == []


def test_a_description_that_is_repeated_word_for_word_changes_nothing() -> None:
    bench = LegBench(rules=RULES)
    call_id, session = bench.answered_call_in(far_offer())
    before = len(bench.told)
    response = bench.far_reinvites(session, far_offer())
    assert response.body == bench.last_sent("200").body
    assert [type(told).__name__ for told in bench.told[before:]] == ["DialogSaved"]
    assert b" 1 IN IP4" in response.body
    assert len(bench.media_orders(call_id)) == 1
