"""The life of one leg as a table."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest

from cordboard.call.effects import AnswerLeg, CallStateChanged, Effect, EndLeg, Report, RingLeg
from cordboard.call.leg import NEXT_STATE, Leg
from cordboard.call.reasons import ending
from cordboard.testing.virtual import caller_info

GONE = ending("hangup_far_end")
END = EndLeg(ending=ending("hangup_script"))


def leg(direction: str = "inbound", url: str | None = None, events: frozenset[str] = frozenset()) -> Leg:
    info = caller_info("a")
    info.direction = direction
    return Leg(info, url, events or frozenset({"ended"}))


def states(effects: list[Effect]) -> list[str]:
    happenings = [effect.happening for effect in effects if isinstance(effect, Report)]
    return [happening.state for happening in happenings if isinstance(happening, CallStateChanged)]


def test_ended_is_the_only_state_without_a_way_out() -> None:
    left = {state for state, _ in NEXT_STATE}
    reached = set(NEXT_STATE.values())
    assert reached - left == {"ended"}


def test_every_order_of_events_reports_each_state_at_most_once_and_ended_last() -> None:
    events = ("rings", "rings", "answers", "is ended", "ends", "ends")
    for order in set(itertools.permutations(events)):
        it = leg("outbound")
        does: dict[str, Callable[[], list[Effect]]] = {
            "rings": it.ringing,
            "answers": it.answered,
            "is ended": partial(it.end, END),
            "ends": partial(it.ended, GONE),
        }
        reported = [state for event in order for state in states(does[event]())]
        assert len(set(reported)) == len(reported), order
        assert reported[-1] == "ended"


def test_an_answer_that_crosses_the_end_makes_us_ask_again() -> None:
    it = leg("outbound")
    assert it.end(END) == [END]
    assert it.answered() == [END]
    assert not it.is_answered


def test_the_first_ending_is_the_one_that_counts() -> None:
    it = leg("outbound")
    it.end(END)
    assert it.end(EndLeg(ending=ending("lost_race"))) == []


def test_a_caller_rings_once_and_hears_early_media_once() -> None:
    it = leg()
    assert it.ring()[0] == RingLeg()
    assert it.ring() == []
    assert it.ring(early_media=True)[0] == RingLeg(early_media=True)
    assert it.ring(early_media=True) == []
    assert it.ring() == []


def test_a_caller_is_answered_once_and_does_not_ring_after() -> None:
    it = leg()
    assert it.answer() == [AnswerLeg()]
    assert it.answer() == []
    assert it.ring() == []
    assert it.can_hear


def test_a_dialled_leg_is_neither_rung_nor_answered_by_us() -> None:
    it = leg("outbound")
    assert it.ring() == []
    assert it.answer() == []


@pytest.mark.parametrize("wanted", ["created", "ringing", "answered", "ended"])
def test_only_the_wanted_states_go_to_the_url(wanted: str) -> None:
    it = leg("outbound", "http://h/state", frozenset({wanted}))
    effects = [*it.created(), *it.ringing(), *it.answered(), *it.ended(GONE)]
    sent = [e for e in effects if isinstance(e, Report) and e.callback_url == "http://h/state"]
    assert states(effects) == ["created", "ringing", "answered", "ended"]
    assert states([*sent]) == [wanted]
