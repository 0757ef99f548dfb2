"""What `connect` does, in virtual time: strategies, timeouts, reasons, callbacks, what the caller hears."""

from __future__ import annotations

import pytest

from cordboard.call.actions import Answer, CallInfo, Connect, Hangup, Play, PlayItem, Sleep
from cordboard.call.connect import ConnectMachine
from cordboard.call.effects import (
    CallStateChanged,
    ConnectStateChanged,
    Dial,
    EndLeg,
    Join,
    PlayTo,
    StopPlay,
    Unjoin,
)
from cordboard.call.facts import Fact, PeerAnswered, PeerDialled, PeerRinging
from cordboard.call.leg import Leg
from cordboard.call.plan import Destination
from cordboard.testing.virtual import Caller, FarEnd, VirtualShell, run_call

from .virtual_calls import (
    ALL_STATES,
    ANSWERS,
    BUSY,
    RINGS_FOR_EVER,
    answered,
    at,
    b,
    connect,
    connect_reports,
    dialled,
    ended,
    leg_of,
    outcome,
    results,
    wire,
)

# ------------------------------------------------------------------ strategies


def test_a_single_destination_is_bridged_and_the_script_goes_on_after_its_bye() -> None:
    shell = answered(connect([b("b1")]), Sleep(seconds=1.0), far_ends={"b1": ANSWERS})
    assert outcome(shell) == (True, None)
    assert wire(shell, "b1") == ["> INVITE", "< 180", "< 200", "> ACK", "< BYE"]
    assert shell.legs.wire("a")[-1] == "> BYE"
    assert shell.legs.seen[-1].at == pytest.approx(11.0)


def test_a_busy_destination_fails_at_once_and_the_caller_stays() -> None:
    shell = answered(connect([b("b1")]), Sleep(seconds=5.0), far_ends={"b1": BUSY})
    assert outcome(shell) == (False, "busy")
    assert results(shell)[0].sip_code == 486
    assert shell.legs.seen[-1].at == pytest.approx(5.1)


def test_serial_dials_the_next_only_after_the_first_has_failed() -> None:
    shell = answered(connect([b("b1")], [b("b2")]), far_ends={"b1": BUSY, "b2": ANSWERS})
    assert dialled(shell) == {"b1": 0.0, "b2": 0.1}
    assert outcome(shell) == (True, None)


def test_serial_never_dials_the_next_after_an_answer() -> None:
    shell = answered(connect([b("b1")], [b("b2")]), far_ends={"b1": ANSWERS, "b2": ANSWERS})
    assert list(dialled(shell)) == ["b1"]


def test_serial_gives_each_destination_its_whole_ring_time() -> None:
    groups = [[b(name, timeout=3.0)] for name in ("b1", "b2", "b3")]
    shell = answered(connect(*groups), far_ends=dict.fromkeys(("b1", "b2", "b3"), RINGS_FOR_EVER))
    assert dialled(shell) == {"b1": 0.0, "b2": 3.0, "b3": 6.0}
    assert [at(shell, name, "> CANCEL") for name in ("b1", "b2", "b3")] == [3.0, 6.0, 9.0]
    assert outcome(shell) == (False, "no_answer")


def test_parallel_dials_all_at_once_and_cancels_the_losers_as_answered_elsewhere() -> None:
    far_ends = {"b1": RINGS_FOR_EVER, "b2": ANSWERS}
    shell = answered(connect([b("b1"), b("b2")]), far_ends=far_ends)
    assert dialled(shell) == {"b1": 0.0, "b2": 0.0}
    assert wire(shell, "b1") == ["> INVITE", "< 180", "> CANCEL elsewhere", "< 487", "> ACK"]
    assert ended(shell, leg_of(shell, "b1")) == "cancel"
    assert outcome(shell) == (True, None)


def test_a_failure_in_a_parallel_group_does_not_stop_the_others() -> None:
    shell = answered(
        connect([b("b1"), b("b2")]), far_ends={"b1": BUSY, "b2": FarEnd((2.0, 200), (3.0, "bye"))}
    )
    assert outcome(shell) == (True, None)


def test_the_first_destination_speaks_for_a_group_that_was_refused() -> None:
    far_ends = {"b1": FarEnd((2.0, 486)), "b2": FarEnd((0.1, 603))}
    assert outcome(answered(connect([b("b1"), b("b2")]), far_ends=far_ends)) == (False, "busy")


def test_a_timeout_that_ends_a_group_speaks_for_it() -> None:
    far_ends = {"b1": BUSY, "b2": RINGS_FOR_EVER}
    shell = answered(connect([b("b1"), b("b2", timeout=4.0)]), far_ends=far_ends)
    assert outcome(shell) == (False, "no_answer")


def test_a_timeout_before_the_group_ended_does_not_speak_for_it() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (8.0, 603)), "b2": RINGS_FOR_EVER}
    shell = answered(connect([b("b1"), b("b2", timeout=4.0)]), far_ends=far_ends)
    assert outcome(shell) == (False, "declined")


def test_serial_parallel_waits_for_the_whole_group() -> None:
    far_ends = {"b1": BUSY, "b2": FarEnd((0.1, 180), (6.0, 480)), "b3": ANSWERS}
    shell = answered(connect([b("b1"), b("b2")], [b("b3")]), far_ends=far_ends)
    assert dialled(shell) == {"b1": 0.0, "b2": 0.0, "b3": 6.0}
    assert outcome(shell) == (True, None)


def test_groups_of_one_are_serial() -> None:
    far_ends = {"b1": BUSY, "b2": BUSY, "b3": ANSWERS}
    shell = answered(connect([b("b1")], [b("b2")], [b("b3")]), far_ends=far_ends)
    assert list(dialled(shell)) == ["b1", "b2", "b3"]


def test_an_empty_group_is_skipped() -> None:
    assert outcome(answered(connect([], [b("b1")], []), far_ends={"b1": ANSWERS})) == (True, None)
    assert outcome(answered(connect([b("b1")], []), far_ends={"b1": BUSY})) == (False, "busy")


def test_the_last_group_speaks_for_the_connect() -> None:
    far_ends = {"b1": BUSY, "b2": FarEnd((0.1, 404))}
    assert outcome(answered(connect([b("b1")], [b("b2")]), far_ends=far_ends)) == (False, "error")


# ------------------------------------------------------------------ ring time


def test_each_destination_has_its_own_ring_time() -> None:
    shell = answered(
        connect([b("b1", timeout=2.0)], [b("b2", timeout=20.0)]),
        far_ends={"b1": RINGS_FOR_EVER, "b2": RINGS_FOR_EVER},
    )
    assert at(shell, "b1", "> CANCEL") == 2.0
    assert at(shell, "b2", "> CANCEL") == 22.0


def test_ring_time_counts_from_the_invite_and_not_from_the_look_up_of_a_name() -> None:
    machine = dialling(b("b1", timeout=5.0), now=100.0)
    assert machine.next_timeout() == 105.0
    machine.handle(PeerDialled(call_id="id-1"), 104.0)
    assert machine.next_timeout() == 109.0
    assert machine.handle_timeout(105.0) == []
    assert machine.handle_timeout(109.0) != []
    assert machine.result is not None


def dialling(destination: Destination, now: float) -> ConnectMachine:
    """A connect of an answered call, one destination dialled at `now` as call `id-1`."""
    info = CallInfo(
        call_id="a", node_id="n", segment_id="s", project_id="p", space_id="s", session_id="s",
        call_state="answered", direction="inbound", type="sip", from_="sip:a@h", to="sip:x@h",
    )  # fmt: skip
    machine = ConnectMachine(connect([destination]), info, Leg(info, None, frozenset()), lambda: "id-1")
    machine.start(now)
    return machine


def test_without_a_timeout_a_destination_rings_for_sixty_seconds() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": RINGS_FOR_EVER})
    assert at(shell, "b1", "> CANCEL") == 60.0
    assert outcome(shell) == (False, "no_answer")


def test_a_silent_destination_is_given_up_in_time_without_a_cancel() -> None:
    shell = answered(connect([b("b1", timeout=5.0)]), Hangup(), far_ends={"b1": FarEnd()})
    assert wire(shell, "b1") == ["> INVITE"]
    assert shell.legs.wire("a")[-1] == "> BYE"
    assert next(s.at for s in shell.legs.seen if s.what == "> BYE") == 5.0
    assert ended(shell, leg_of(shell, "b1")) == "no_answer"


def test_a_late_provisional_response_is_cancelled() -> None:
    far_ends = {"b1": FarEnd((8.0, 180))}
    shell = answered(connect([b("b1", timeout=5.0)]), far_ends=far_ends)
    assert wire(shell, "b1") == ["> INVITE", "< 180", "> CANCEL", "< 487", "> ACK"]
    assert shell.told(leg_of(shell, "b1")) == ["created", "ended"]


def test_a_late_answer_is_acked_and_ended_by_bye() -> None:
    far_ends = {"b1": FarEnd((8.0, 200))}
    shell = answered(connect([b("b1", timeout=5.0)]), far_ends=far_ends)
    assert wire(shell, "b1") == ["> INVITE", "< 200", "> ACK", "> BYE"]
    assert outcome(shell) == (False, "no_answer")


def test_early_media_does_not_stop_the_ring_timer() -> None:
    shell = answered(connect([b("b1", timeout=5.0)]), far_ends={"b1": FarEnd((0.1, 183))})
    assert at(shell, "b1", "> CANCEL") == 5.0


def test_an_answer_just_in_time_connects() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (4.9, 200), (9.0, "bye"))}
    assert outcome(answered(connect([b("b1", timeout=5.0)]), far_ends=far_ends)) == (True, None)


# ------------------------------------------------------------------ reasons


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (486, "busy"),
        (600, "busy"),
        (603, "declined"),
        (403, "declined"),
        (401, "declined"),
        (480, "no_answer"),
        (404, "error"),
        (500, "error"),
        (503, "error"),
        (488, "error"),
        (487, "cancel"),
    ],
)
def test_a_refusal_is_the_failed_reason_everywhere(status: int, reason: str) -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": FarEnd((0.5, status))})
    assert outcome(shell) == (False, reason)
    assert ended(shell, leg_of(shell, "b1")) == reason
    failed = connect_reports(shell)[-1].ending
    assert failed is not None
    assert (failed.reason.value, failed.sip_code) == (reason, status)
    assert results(shell)[0].sentence == failed.sentence != ""


def test_a_name_that_does_not_resolve_fails_at_once() -> None:
    shell = answered(connect([b("nowhere")]), far_ends={})
    assert outcome(shell) == (False, "error")
    assert shell.legs.seen[-1].at < 5.0


def test_a_destination_with_a_problem_fails_alone() -> None:
    bad = b("ftp://x", problem="`to` is not an address.")
    shell = answered(connect([bad, b("b1")]), far_ends={"b1": ANSWERS})
    assert list(dialled(shell)) == ["b1"]
    assert outcome(shell) == (True, None)
    shell = answered(connect([b("b1")], [bad]), far_ends={"b1": BUSY})
    assert outcome(shell) == (False, "error")
    assert "`to` is not an address." in results(shell)[0].sentence


@pytest.mark.parametrize(
    "bad",
    [
        connect(),
        connect([], []),
        connect([b("b1")], problem="two strategies at once."),
        connect([b("b1", problem="`timeout` is 0.")]),
    ],
)
def test_a_bad_plan_dials_nobody_answers_nobody_and_is_reported(bad: Connect) -> None:
    shell = run_call([bad], {"b1": ANSWERS})
    assert dialled(shell) == {}
    assert outcome(shell) == (False, "error")
    assert [report.state for report in connect_reports(shell)] == ["connecting", "failed"]
    assert shell.legs.wire("a") == ["< INVITE", "> 480"]


# ------------------------------------------------------------------ callbacks


def test_the_states_of_a_leg_come_in_order_and_go_to_its_url() -> None:
    to = b("b1", call_state_url="http://h/state", call_state_events=ALL_STATES)
    shell = answered(connect([to]), far_ends={"b1": ANSWERS})
    about = [told for told in shell.reports if told.call_id == leg_of(shell, "b1")]
    assert {told.report.callback_url for told in about} == {"http://h/state"}
    assert shell.told(leg_of(shell, "b1")) == ["created", "ringing", "answered", "ended"]


def test_only_ended_goes_to_the_url_by_default() -> None:
    shell = answered(connect([b("b1", call_state_url="http://h/state")]), far_ends={"b1": ANSWERS})
    sent = [told.report.happening for told in shell.reports if told.report.callback_url == "http://h/state"]
    assert [happening.state for happening in sent if isinstance(happening, CallStateChanged)] == ["ended"]


def test_a_leg_that_never_rang_reports_no_ringing() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": FarEnd((1.0, 200), (2.0, "bye"))})
    assert shell.told(leg_of(shell, "b1")) == ["created", "answered", "ended"]


def test_a_refused_leg_reports_created_and_ended() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": BUSY})
    assert shell.told(leg_of(shell, "b1")) == ["created", "ended"]


def test_connect_reports_name_the_peer_and_go_to_the_status_url() -> None:
    shell = answered(connect([b("b1")], status_url="http://h/status"), far_ends={"b1": ANSWERS})
    reports = connect_reports(shell)
    assert [report.state for report in reports] == ["connecting", "connected", "disconnected"]
    assert [report.peer_call_id for report in reports] == [None, *[leg_of(shell, "b1")] * 2]
    assert (reports[1].peer_device_type, reports[1].peer_to) == ("sip", "b1")
    urls = [
        t.report.callback_url for t in shell.reports if isinstance(t.report.happening, ConnectStateChanged)
    ]
    assert urls == ["http://h/status"] * 3


def status_urls(shell: VirtualShell) -> list[tuple[str, str | None]]:
    return [
        (told.report.happening.state, told.report.callback_url)
        for told in shell.reports
        if isinstance(told.report.happening, ConnectStateChanged)
    ]


def test_what_names_a_peer_goes_to_the_status_url_of_its_destination() -> None:
    to = connect([b("b1")], [b("b2", status_url="http://h/b2")], status_url="http://h/all")
    won = answered(to, far_ends={"b1": BUSY, "b2": ANSWERS})
    assert status_urls(won) == [
        ("connecting", "http://h/all"),
        ("connected", "http://h/b2"),
        ("disconnected", "http://h/b2"),
    ]
    lost = answered(to, far_ends={"b1": BUSY, "b2": BUSY})
    assert status_urls(lost) == [("connecting", "http://h/all"), ("failed", "http://h/all")]


def test_without_a_status_url_for_all_the_destinations_own_is_told_of_the_beginning_and_the_failure() -> None:
    to = connect([b("b1", status_url="http://h/b1")])
    failed = answered(to, far_ends={"b1": BUSY})
    assert status_urls(failed) == [("connecting", "http://h/b1"), ("failed", "http://h/b1")]
    left = answered(to, far_ends={"b1": RINGS_FOR_EVER}, caller=Caller(hangs_up_at=1.0))
    assert status_urls(left) == [("connecting", "http://h/b1"), ("failed", "http://h/b1")]


def test_a_failed_connect_reports_no_disconnected() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": BUSY})
    assert [report.state for report in connect_reports(shell)] == ["connecting", "failed"]


def test_the_end_of_the_peer_is_reported_before_disconnected_whoever_hung_up() -> None:
    for caller in (Caller(), Caller(hangs_up_at=5.0)):
        shell = answered(connect([b("b1")]), far_ends={"b1": ANSWERS}, caller=caller)
        order = [
            (told.call_id, told.report.happening.state)
            for told in shell.reports
            if isinstance(told.report.happening, (CallStateChanged, ConnectStateChanged))
        ]
        assert order.index((leg_of(shell, "b1"), "ended")) < order.index(("a", "disconnected"))


def test_a_second_connect_has_its_own_result() -> None:
    shell = answered(connect([b("b1")]), connect([b("b2")]), far_ends={"b1": BUSY, "b2": ANSWERS})
    assert [(r.connected, r.failed_reason) for r in results(shell)] == [(False, "busy"), (True, None)]


def test_a_winner_that_answers_or_rings_again_changes_nothing() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (1.0, 200))}
    shell = run_call([Answer(), connect([b("b1")])], far_ends, until=5.0)
    before = len(shell.effects)
    again: list[Fact] = [
        PeerAnswered(call_id=leg_of(shell, "b1")),
        PeerRinging(call_id=leg_of(shell, "b1")),
    ]
    for fact in again:
        shell.deliver("a", fact)
    assert len(shell.effects) == before


# ------------------------------------------------------------------ identity


def test_a_destination_shows_its_own_from_or_the_callers() -> None:
    shell = answered(connect([b("b1", from_="+15550002"), b("b2")]), far_ends={"b1": BUSY, "b2": BUSY})
    assert [e.from_ for _, e in shell.effects if isinstance(e, Dial)] == ["+15550002", "+15550100001"]


# ------------------------------------------------------------------ what the caller gets and hears


def test_an_unanswered_caller_is_answered_before_the_first_invite() -> None:
    shell = run_call([connect([b("b1")])], {"b1": ANSWERS})
    assert [seen.what for seen in shell.legs.seen[:3]] == ["< INVITE", "> 200", "> INVITE"]


def test_answer_on_bridge_rings_at_once_and_answers_with_the_far_end() -> None:
    shell = run_call([connect([b("b1")], answer_on_bridge=True)], {"b1": ANSWERS})
    responses = [(seen.what, seen.at) for seen in shell.legs.seen if seen.call_id == "a"]
    assert responses[:3] == [("< INVITE", 0.0), ("> 180", 0.0), ("> 200", pytest.approx(1.0))]


def test_answer_on_bridge_makes_no_difference_to_an_answered_caller() -> None:
    wires = [
        answered(connect([b("b1")], answer_on_bridge=flag), far_ends={"b1": ANSWERS}).legs.wire("a")
        for flag in (False, True)
    ]
    assert wires[0] == wires[1] == ["< INVITE", "> 200", "> BYE"]


def test_after_a_failed_answer_on_bridge_a_play_answers() -> None:
    silence = Play(items=(PlayItem(kind="silence", duration=1.0),))
    shell = run_call([connect([b("b1")], answer_on_bridge=True), silence], {"b1": BUSY})
    assert shell.legs.wire("a") == ["< INVITE", "> 180", "> 200", "> BYE"]


@pytest.mark.parametrize(("status", "code"), [(486, 486), (603, 603), (404, 404), (407, 603), (500, 500)])
def test_an_unanswered_caller_gets_the_code_of_the_failed_connect(status: int, code: int) -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (0.5, status))}
    shell = run_call([connect([b("b1")], answer_on_bridge=True)], far_ends)
    assert shell.legs.wire("a") == ["< INVITE", "> 180", f"> {code}"]


def test_an_unanswered_caller_gets_480_when_nobody_answered_in_time() -> None:
    shell = run_call([connect([b("b1")], answer_on_bridge=True)], {"b1": RINGS_FOR_EVER})
    assert shell.legs.wire("a")[-1] == "> 480"
    assert ended(shell, "a") == "no_answer"


def test_an_answered_caller_hears_a_generated_ring_until_the_answer() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": ANSWERS})
    mine = [e for call_id, e in shell.effects if call_id == "a" and isinstance(e, (PlayTo, StopPlay, Join))]
    play, stop, join = mine
    assert isinstance(play, PlayTo)
    assert (play.items[0].kind, play.items[0].country, play.loop) == ("ring", "us", 0)
    assert stop == StopPlay(control_id=play.control_id)
    assert isinstance(join, Join)


def test_the_generated_ring_goes_on_from_one_group_to_the_next_and_stops_at_the_failure() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (2.0, 486)), "b2": FarEnd((0.1, 180), (3.0, 486))}
    shell = answered(connect([b("b1")], [b("b2")]), Sleep(seconds=1.0), far_ends=far_ends)
    heard = [e for _, e in shell.effects if isinstance(e, (PlayTo, StopPlay))]
    assert [type(effect) for effect in heard] == [PlayTo, StopPlay]


def test_the_early_media_of_a_lone_far_end_passes_through_to_an_unanswered_caller() -> None:
    far_ends = {"b1": FarEnd((0.1, 183), (2.0, 200), (5.0, "bye"))}
    shell = run_call([connect([b("b1")], answer_on_bridge=True)], far_ends)
    assert shell.legs.wire("a") == ["< INVITE", "> 180", "> 183", "> 200", "> BYE"]
    assert len([e for _, e in shell.effects if isinstance(e, Join)]) == 1


def test_early_media_takes_the_place_of_the_generated_ring() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (1.0, 183), (2.0, 200), (5.0, "bye"))}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    mine = [e for call_id, e in shell.effects if call_id == "a" and isinstance(e, (PlayTo, StopPlay, Join))]
    assert [type(effect) for effect in mine] == [PlayTo, StopPlay, Join]
    assert shell.told(leg_of(shell, "b1")) == ["created", "ringing", "answered", "ended"]


def test_early_media_of_a_parallel_group_is_not_passed_through() -> None:
    far_ends = {"b1": FarEnd((0.1, 183), (3.0, 486)), "b2": FarEnd((0.1, 180), (3.0, 486))}
    shell = answered(connect([b("b1"), b("b2")]), far_ends=far_ends)
    assert not [e for _, e in shell.effects if isinstance(e, Join)]
    assert len([e for _, e in shell.effects if isinstance(e, PlayTo)]) == 1


def test_a_far_end_that_was_heard_and_failed_is_taken_off() -> None:
    far_ends = {"b1": FarEnd((0.1, 183), (2.0, 486)), "b2": FarEnd((0.1, 180), (1.0, 200), (5.0, "bye"))}
    shell = run_call([connect([b("b1")], [b("b2")], answer_on_bridge=True)], far_ends)
    mine = [e for _, e in shell.effects if isinstance(e, (Join, Unjoin, PlayTo, StopPlay))]
    # the caller is in early media when b2 only rings, so its own phone makes no ringing any more
    assert [type(effect) for effect in mine] == [Join, Unjoin, PlayTo, StopPlay, Join, Unjoin]
    assert outcome(shell) == (True, None)


# ------------------------------------------------------------------ the caller hangs up


def test_a_caller_who_hangs_up_while_ringing_cancels_the_far_end() -> None:
    shell = answered(
        connect([b("b1")]), Hangup(), far_ends={"b1": RINGS_FOR_EVER}, caller=Caller(hangs_up_at=3.0)
    )
    assert wire(shell, "b1") == ["> INVITE", "< 180", "> CANCEL", "< 487", "> ACK"]
    assert ended(shell, leg_of(shell, "b1")) == "cancel"
    assert [(r.state, r.ending.reason.value if r.ending else "") for r in connect_reports(shell)] == [
        ("connecting", ""),
        ("failed", "cancel"),
    ]
    assert results(shell) == []


def test_a_caller_who_hangs_up_cancels_all_of_a_group() -> None:
    shell = run_call(
        [connect([b("b1"), b("b2")], answer_on_bridge=True)],
        {"b1": RINGS_FOR_EVER, "b2": FarEnd()},
        caller=Caller(hangs_up_at=3.0),
    )
    assert shell.legs.wire("a") == ["< INVITE", "> 180", "< CANCEL"]
    assert "> CANCEL" in wire(shell, "b1")
    assert wire(shell, "b2") == ["> INVITE"]
    assert [ended(shell, leg_of(shell, name)) for name in ("b1", "b2")] == ["cancel", "cancel"]


def test_a_caller_who_hangs_up_while_bridged_takes_the_peer_along() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": ANSWERS}, caller=Caller(hangs_up_at=5.0))
    assert wire(shell, "b1")[-1] == "> BYE"
    assert ended(shell, leg_of(shell, "b1")) == "hangup"
    assert connect_reports(shell)[-1].state == "disconnected"
    assert results(shell) == []


def test_a_caller_who_hangs_up_before_being_answered_dials_nobody() -> None:
    shell = run_call(
        [Sleep(seconds=5.0), connect([b("b1")])], {"b1": ANSWERS}, caller=Caller(hangs_up_at=1.0)
    )
    assert dialled(shell) == {}
    assert ended(shell, "a") == "cancel"


def test_the_longest_duration_ends_both_legs_and_the_script() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (1.0, 200))}
    shell = run_call([Answer(max_duration=7.0), connect([b("b1")]), Hangup()], far_ends)
    assert shell.legs.seen[-1].at == pytest.approx(7.0)
    assert (shell.legs.wire("a")[-1], wire(shell, "b1")[-1]) == ("> BYE", "> BYE")
    assert [ended(shell, call_id) for call_id in ("a", leg_of(shell, "b1"))] == ["hangup", "hangup"]
    assert results(shell) == []


def test_losers_are_told_apart_from_those_whose_caller_left() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": RINGS_FOR_EVER}, caller=Caller(hangs_up_at=3.0))
    assert not [e for _, e in shell.effects if isinstance(e, EndLeg) and e.answered_elsewhere]
