"""The life of one call and what its driver makes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from cordboard.call.actions import (
    Action,
    Answer,
    Connect,
    DocumentFailed,
    DocumentFetched,
    Done,
    Evaluate,
    Evaluated,
    FetchDocument,
    Finished,
    Hangup,
    Play,
    PlayDone,
    PlayItem,
    Request,
    Result,
    ScriptWarning,
    Sleep,
    Turn,
)
from cordboard.call.call import Call
from cordboard.call.driving import MAX_IDLE_TURNS
from cordboard.call.effects import (
    AnswerLeg,
    AskShell,
    CallOver,
    CallStateChanged,
    Dial,
    Effect,
    EndLeg,
    PlayStateChanged,
    PlayTo,
    Report,
    RingLeg,
    ScriptWarned,
    StopPlay,
    TellCall,
)
from cordboard.call.facts import (
    Bridged,
    DigitReceived,
    DriverReply,
    Fact,
    HangupRequested,
    LegAnswered,
    LegEnded,
    LegRinging,
    MediaFailed,
    PeerAnswered,
    PeerEnded,
    PeerRinging,
    PlayFinished,
    Unbridged,
)
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import Ending, ending
from cordboard.testing.virtual import (
    Caller,
    FarEnd,
    ListDriver,
    VirtualShell,
    caller_info,
    dialled_info,
    run_call,
)

HELLO = PlayItem(kind="audio", url="http://h/hello.wav")
TONE = Play(items=(HELLO,))
B1 = Destination(kind="sip", to="sip:b1@h")
TO_B1 = Connect(plan=ConnectPlan(groups=((B1,),)))
WORKER_DIED = ending("media_worker_died", who="sip:b1@h")
FETCH = FetchDocument(url="http://h/doc", params={}, vars={})


def ids() -> Iterator[str]:
    return (f"id-{number}" for number in itertools.count(1))


def inbound(*steps: Action | Request | Finished) -> tuple[Call, ListDriver]:
    driver = ListDriver(steps)
    return Call(info=caller_info("a"), driver=driver, new_id=ids().__next__), driver


def outbound(**more: Any) -> Call:
    dial = Dial(call_id="b", parent="a", session_id="x", destination=B1, from_="+1")
    return Call(info=dialled_info(dial), driver=None, parent="a", destination=B1, new_id=str, **more)


def only(kind: type[Effect], effects: list[Effect]) -> Any:
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1, effects
    return found[0]


def results(shell: VirtualShell) -> list[Result]:
    driver = shell.drivers["a"]
    assert isinstance(driver, ListDriver)
    return driver.results


def play_states(effects: list[Effect]) -> list[str]:
    happenings = [effect.happening for effect in effects if isinstance(effect, Report)]
    return [happening.state for happening in happenings if isinstance(happening, PlayStateChanged)]


# ------------------------------------------------------------------ answer, hang up, the end of the script


def test_answer_is_done_when_the_200_is_out() -> None:
    call, driver = inbound(Answer(), Sleep(seconds=1.0))
    only(AnswerLeg, call.start(0.0))
    assert driver.results == []
    call.handle(LegAnswered(), 0.1)
    assert driver.results == [Done()]


def test_answering_an_answered_call_does_nothing_and_keeps_the_duration() -> None:
    call, driver = inbound(Answer(max_duration=60.0), Answer(max_duration=5.0), Sleep(seconds=None))
    call.start(0.0)
    assert not [e for e in call.handle(LegAnswered(), 1.0) if isinstance(e, AnswerLeg)]
    assert driver.results == [Done(), Done()]
    assert call.next_timeout() == 61.0


@pytest.mark.parametrize(
    ("reason", "code", "end_reason"),
    [(None, 486, "busy"), ("busy", 486, "busy"), ("decline", 603, "declined"), ("hangup", 480, "hangup")],
)
def test_hangup_refuses_an_unanswered_caller(reason: str | None, code: int, end_reason: str) -> None:
    call, _ = inbound(Hangup(reason=reason))
    end = only(EndLeg, call.start(0.0))
    assert (end.sip_code, end.ending.reason.value) == (code, end_reason)


@pytest.mark.parametrize(("reason", "cause"), [(None, 16), ("hangup", 16), ("busy", 17), ("decline", 21)])
def test_hangup_says_in_the_bye_of_an_answered_call_why(reason: str | None, cause: int) -> None:
    call, _ = inbound(Answer(), Hangup(reason=reason))
    call.start(0.0)
    assert only(EndLeg, call.handle(LegAnswered(), 0.1)).q850 == cause


def test_a_script_that_ends_hangs_an_answered_call_up() -> None:
    shell = run_call([Answer()])
    assert shell.legs.wire("a") == ["< INVITE", "> 200", "> BYE"]
    assert shell.told("a") == ["created", "answered", "ended"]


def test_a_script_that_does_nothing_turns_the_caller_away_as_busy() -> None:
    assert run_call([]).legs.wire("a") == ["< INVITE", "> 486"]


def test_a_document_that_cannot_be_run_is_a_503_with_its_sentence() -> None:
    call, _ = inbound(Finished(failed="line 3: `conect` is not a method."))
    end = only(EndLeg, call.start(0.0))
    assert end.sip_code == 503
    assert end.ending.reason.value == "error"
    assert "line 3: `conect` is not a method." in end.ending.sentence


def test_a_script_that_never_waits_is_stopped() -> None:
    class Endless(ListDriver):
        def resume(self, result: Result) -> Turn:
            return Turn(Answer())

    endless = Endless([Answer()])
    call = Call(info=caller_info("a"), driver=endless, new_id=ids().__next__)
    call.start(0.0)
    end = only(EndLeg, call.handle(LegAnswered(), 0.1))
    assert end.ending.cause == "script_failed"
    assert MAX_IDLE_TURNS > 100


def test_a_dead_call_runs_nothing_more() -> None:
    call, driver = inbound(Sleep(seconds=1.0), Answer())
    call.start(0.0)
    effects = call.handle(LegEnded(ending=ending("caller_cancelled")), 0.5)
    assert effects[-1] == CallOver()
    assert call.next_timeout() is None
    assert call.handle_timeout(2.0) == []
    assert driver.results == []


# ------------------------------------------------------------------ requests to the shell, warnings


def test_the_shell_is_asked_and_its_reply_goes_to_the_driver() -> None:
    call, driver = inbound(FETCH, Evaluate(expression="1+1", bindings={}), Sleep(seconds=None))
    ask = only(AskShell, call.start(0.0))
    assert ask.request is FETCH
    fetched = DocumentFetched(url="http://h/doc", body=b"{}")
    second = only(AskShell, call.handle(DriverReply(ticket=ask.ticket, result=fetched), 0.1))
    call.handle(DriverReply(ticket=second.ticket, result=Evaluated(value=2)), 0.2)
    assert driver.results == [fetched, Evaluated(value=2)]


def test_a_stale_reply_is_ignored() -> None:
    call, driver = inbound(FETCH, Evaluate(expression="1", bindings={}), Sleep(seconds=None))
    ask = only(AskShell, call.start(0.0))
    reply = DriverReply(ticket=ask.ticket, result=DocumentFailed(url="u", sentence="no"))
    call.handle(reply, 0.1)
    assert call.handle(reply, 0.2) == []
    assert call.handle(DriverReply(ticket=99, result=Evaluated()), 0.3) == []
    assert len(driver.results) == 1


def test_a_reply_that_comes_twice_does_not_wake_a_sleeper() -> None:
    call, driver = inbound(FETCH, Sleep(seconds=None), Answer())
    ask = only(AskShell, call.start(0.0))
    reply = DriverReply(ticket=ask.ticket, result=DocumentFailed(url="u", sentence="no"))
    call.handle(reply, 0.1)
    assert call.handle(reply, 0.2) == []
    assert len(driver.results) == 1


def test_a_reply_after_the_caller_has_left_is_ignored() -> None:
    call, driver = inbound(FETCH, Answer())
    ask = only(AskShell, call.start(0.0))
    call.handle(HangupRequested(ending=ending("server_stopping")), 0.1)
    assert call.handle(DriverReply(ticket=ask.ticket, result=Evaluated()), 0.2) == []
    assert driver.results == []


def test_warnings_are_reported_before_the_action_is_carried_out() -> None:
    class Warned(ListDriver):
        def start(self) -> Turn:
            return Turn(Answer(), (ScriptWarning(code="relay_script_x", message="m"),))

    call = Call(info=caller_info("a"), driver=Warned([]), new_id=ids().__next__)
    effects = call.start(0.0)
    kinds = [type(e.happening) if isinstance(e, Report) else type(e) for e in effects[1:]]
    assert kinds == [ScriptWarned, AnswerLeg]


# ------------------------------------------------------------------ play and sleep


def test_play_answers_first_and_reports_playing_and_finished() -> None:
    call, driver = inbound(Play(items=(HELLO,), volume=-3.0, loop=2, status_url="http://h/play"))
    assert play_states(call.start(0.0)) == []
    effects = call.handle(LegAnswered(), 0.1)
    play = only(PlayTo, effects)
    assert (play.items, play.volume, play.loop) == ((HELLO,), -3.0, 2)
    assert play_states(effects) == ["playing"]
    after = call.handle(PlayFinished(control_id=play.control_id, warnings=("no such voice",)), 4.0)
    assert play_states(after) == ["finished"]
    reports = [e for e in [*effects, *after] if isinstance(e, Report) and play_states([e])]
    assert [report.callback_url for report in reports] == ["http://h/play"] * 2
    assert driver.results == [PlayDone(warnings=("no such voice",))]


def test_play_without_auto_answer_is_early_media() -> None:
    call, _ = inbound(Play(items=(HELLO,), auto_answer=False))
    effects = call.start(0.0)
    assert only(RingLeg, effects).early_media
    assert only(PlayTo, effects)
    assert not [effect for effect in effects if isinstance(effect, AnswerLeg)]


def test_an_item_that_fails_is_an_error_of_the_result_and_not_of_the_play() -> None:
    missing = PlayItem(kind="audio", url="http://h/missing.wav")
    shell = run_call([Play(items=(missing, HELLO))])
    assert shell.told("a") == ["created", "answered", "playing", "finished", "ended"]
    assert results(shell) == [PlayDone(errors=("http://h/missing.wav is missing",))]


def test_a_play_of_which_nothing_was_heard_ends_in_error() -> None:
    shell = run_call([Play(items=(PlayItem(kind="audio", url="http://h/missing.wav"),))])
    assert shell.told("a") == ["created", "answered", "playing", "error", "ended"]


def test_a_play_of_nothing_is_done_at_once() -> None:
    shell = run_call([Answer(), Play(items=())])
    assert results(shell) == [Done(), PlayDone()]
    assert not [e for _, e in shell.effects if isinstance(e, PlayTo)]


def test_a_play_that_is_cut_off_by_the_caller_is_reported_finished_once() -> None:
    shell = run_call([TONE], caller=Caller(hangs_up_at=1.0))
    assert shell.told("a") == ["created", "answered", "playing", "finished", "ended"]
    assert results(shell) == []
    assert len([e for _, e in shell.effects if isinstance(e, StopPlay)]) == 1


def test_the_end_of_another_play_does_not_end_this_one() -> None:
    call, driver = inbound(Answer(), TONE)
    call.start(0.0)
    call.handle(LegAnswered(), 0.1)
    assert call.handle(PlayFinished(control_id="other"), 0.2) == []
    assert driver.results == [Done()]


def test_sleep_wakes_in_time() -> None:
    call, driver = inbound(Sleep(seconds=2.0), Sleep(seconds=None))
    call.start(10.0)
    assert call.next_timeout() == 12.0
    call.handle_timeout(11.9)
    assert driver.results == []
    call.handle_timeout(12.0)
    assert driver.results == [Done()]
    assert call.next_timeout() is None


# ------------------------------------------------------------------ duration, media, other calls


def test_an_answered_call_ends_after_its_longest_duration() -> None:
    call, _ = inbound(TONE)
    call.start(0.0)
    call.handle(LegAnswered(), 1.0)
    assert call.next_timeout() == 14_401.0
    end = only(EndLeg, call.handle_timeout(14_401.0))
    assert (end.ending.cause, end.ending.reason.value) == ("max_duration", "hangup")


def test_a_call_whose_media_failed_is_ended_with_that_reason() -> None:
    call, _ = inbound(TONE)
    call.start(0.0)
    call.handle(LegAnswered(), 1.0)
    end = only(EndLeg, call.handle(MediaFailed(ending=WORKER_DIED), 2.0))
    assert end.ending == WORKER_DIED
    assert call.handle(MediaFailed(ending=WORKER_DIED), 2.0) == []


def connected_pair() -> tuple[VirtualShell, str]:
    shell = run_call([Answer(), TO_B1, Hangup()], {"sip:b1@h": FarEnd((0.1, 180), (1.0, 200))}, until=5.0)
    return shell, shell.open_calls()[1]


def test_a_peer_follows_a_call_whose_media_failed_and_both_say_why() -> None:
    shell, peer = connected_pair()
    shell.deliver("a", MediaFailed(ending=WORKER_DIED))
    shell.time.run()
    assert shell.open_calls() == []
    assert _endings(shell) == {"a": WORKER_DIED, peer: _same_failure(WORKER_DIED)}


def test_a_caller_stays_when_the_media_of_its_peer_failed() -> None:
    shell, peer = connected_pair()
    shell.deliver(peer, MediaFailed(ending=WORKER_DIED))
    shell.time.run()
    assert _endings(shell)[peer] == WORKER_DIED
    assert _endings(shell)["a"].cause == "hangup_script"
    assert len(results(shell)) == 2


def test_a_call_knows_its_peer_while_they_are_bridged_and_no_longer() -> None:
    call, _ = inbound(Answer(), TO_B1, Sleep(seconds=None))
    call.start(0.0)
    dial = only(Dial, call.handle(LegAnswered(), 0.0))
    assert call.info.peer_call_id is None
    call.handle(PeerAnswered(call_id=dial.call_id), 1.0)
    assert call.info.peer_call_id == dial.call_id
    call.handle(PeerEnded(call_id=dial.call_id, ending=ending("hangup_far_end")), 2.0)
    assert call.info.peer_call_id is None


def test_an_operator_ends_a_bridged_call_and_its_peer() -> None:
    shell, peer = connected_pair()
    shell.deliver("a", HangupRequested(ending=ending("server_stopping", who="+1")))
    shell.time.run()
    assert _endings(shell)["a"].cause == "server_stopping"
    assert _endings(shell)[peer].cause == "hangup_peer"


def test_a_dead_peer_does_not_hold_the_end_of_a_bridge_up() -> None:
    call, _ = inbound(Answer(), TO_B1)
    call.start(0.0)
    dial = only(Dial, call.handle(LegAnswered(), 0.0))
    call.handle(PeerAnswered(call_id=dial.call_id), 1.0)
    call.handle(LegEnded(ending=ending("hangup_far_end")), 2.0)
    assert not call.is_over
    assert call.handle(LegEnded(ending=ending("hangup_far_end")), 2.1) == []
    due = call.next_timeout()
    assert due == 7.0
    assert call.handle_timeout(due)[-1] == CallOver()
    assert call.handle(PeerEnded(call_id=dial.call_id, ending=WORKER_DIED), 40.0) == []


# ------------------------------------------------------------------ a dialled call


def test_a_dialled_call_tells_its_parent_what_happens() -> None:
    call = outbound()
    call.start(0.0)
    told = [
        only(TellCall, call.handle(LegRinging(), 1.0)),
        only(TellCall, call.handle(LegRinging(early_media=True), 2.0)),
        only(TellCall, call.handle(LegAnswered(), 3.0)),
        only(TellCall, call.handle(LegEnded(ending=WORKER_DIED), 4.0)),
    ]
    assert [tell.call_id for tell in told] == ["a"] * 4
    assert [tell.fact for tell in told] == [
        PeerRinging(call_id="b"),
        PeerRinging(call_id="b", early_media=True),
        PeerAnswered(call_id="b"),
        PeerEnded(call_id="b", ending=WORKER_DIED),
    ]
    assert call.is_over


def test_a_dialled_call_that_answers_after_it_was_ended_is_ended_again_and_nobody_is_told() -> None:
    call = outbound()
    call.start(0.0)
    lost = ending("lost_race", who="sip:b1@h")
    end = only(EndLeg, call.handle(HangupRequested(ending=lost), 1.0))
    assert end.answered_elsewhere
    assert call.handle(LegRinging(), 1.1) == []
    assert call.handle(LegAnswered(), 1.2) == [end]
    assert call.handle(HangupRequested(ending=ending("caller_gone")), 1.3) == []
    effects = call.handle(LegEnded(ending=lost), 1.4)
    assert [type(effect) for effect in effects] == [Report, TellCall, CallOver]


def test_a_dialled_call_tells_its_peer_of_its_end_and_no_longer_its_parent() -> None:
    call = outbound()
    call.start(0.0)
    call.handle(LegAnswered(), 1.0)
    call.handle(Bridged(call_id="c"), 1.1)
    assert call.info.peer_call_id == "c"
    effects = call.handle(LegEnded(ending=WORKER_DIED), 2.0)
    assert [effect.call_id for effect in effects if isinstance(effect, TellCall)] == ["c"]


def test_a_dialled_call_does_not_outlive_its_parent() -> None:
    call = outbound()
    call.start(0.0)
    call.handle(LegAnswered(), 1.0)
    call.handle(Bridged(call_id="a"), 1.1)
    end = only(EndLeg, call.handle(PeerEnded(call_id="a", ending=ending("hangup_far_end")), 2.0))
    assert end.ending.cause == "hangup_peer"


def test_a_call_whose_other_side_leaves_ends_for_the_reason_it_is_told() -> None:
    call = outbound()
    call.start(0.0)
    call.handle(LegAnswered(), 0.9)
    call.handle(Bridged(call_id="c"), 1.0)
    late = ending("max_duration")
    assert call.handle(Unbridged(call_id="other", ending=late), 1.1) == []
    end = only(EndLeg, call.handle(Unbridged(call_id="c", ending=late), 1.2))
    assert end.ending is late


def test_nothing_comes_after_the_end() -> None:
    call = outbound()
    call.start(0.0)
    call.handle(LegEnded(ending=WORKER_DIED), 1.0)
    late: list[Fact] = [
        LegRinging(),
        LegAnswered(),
        LegEnded(ending=WORKER_DIED),
        MediaFailed(ending=WORKER_DIED),
        HangupRequested(ending=WORKER_DIED),
        Bridged(call_id="a"),
        DigitReceived(digit="1", duration_ms=100),
    ]
    assert [call.handle(fact, 2.0) for fact in late] == [[]] * len(late)


def _endings(shell: VirtualShell) -> dict[str, Ending]:
    found: dict[str, Ending] = {}
    for told in shell.reports:
        happening = told.report.happening
        if isinstance(happening, CallStateChanged) and happening.ending is not None:
            found[told.call_id] = happening.ending
    return found


def _same_failure(end: Ending) -> Ending:
    return Ending(reason=end.reason, cause=end.cause, sentence=end.sentence)
