"""Who decides over a call: a client that takes it, is lost and comes back, a script that takes over."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import (
    Answer,
    Connect,
    Evaluate,
    Evaluated,
    Hangup,
    Play,
    PlayItem,
    Record,
    Recording,
    Sleep,
)
from cordboard.call.commands import Disconnect
from cordboard.call.effects import ConnectStateChanged, PlayTo, Report, TellCall, Unjoin
from cordboard.call.facts import (
    Bridged,
    ControlLost,
    ControlTaken,
    DisconnectRequested,
    DriverGiven,
    HangupRequested,
    PeerEnded,
)
from cordboard.call.peer import peer_of
from cordboard.call.reasons import ending
from cordboard.call.side import Side
from cordboard.testing.virtual import Caller, FarEnd, ListDriver, caller_info

from .client_calls import GONE, SILENCE, TALKS, Client, play, record
from .virtual_calls import b, connect, nothing_is_left

TO_B1 = connect([b("b1")])
LOST = ControlLost(ending=GONE)


def given(*steps: Any) -> DriverGiven:
    return DriverGiven(driver=ListDriver(steps))


# ------------------------------------------------------------------ clients come and go


@pytest.mark.parametrize("answered", [True, False])
def test_a_call_with_nothing_under_way_ends_when_its_client_is_gone(answered: bool) -> None:
    client = Client().has_call(answered=answered).does((3.0, "a", LOST))
    assert client.end() == "client_gone"
    nothing_is_left(client.shell)


def test_a_play_is_played_to_its_end_first() -> None:
    client = Client().has_call().does((1.0, "a", play()), (1.5, "a", LOST))
    assert client.told()[-3:] == ["playing", "finished", "ended"]
    assert client.last() == pytest.approx(3.02)


def test_a_bridge_goes_on_and_both_end_with_it() -> None:
    client = Client({"b1": FarEnd((1.0, 200), (9.0, "bye"))}).has_call()
    client.does((1.0, "a", TO_B1), (4.0, "a", LOST), (4.0, "b1", LOST))
    assert client.connects() == ["connecting", "connected", "disconnected"]
    assert (client.end("b1"), client.end()) == ("hangup_far_end", "client_gone")
    assert client.last() > 9.0
    nothing_is_left(client.shell)


def test_a_peer_of_nobody_ends_with_the_call_that_leads() -> None:
    client = Client({"b1": TALKS}).has_call(Caller(hangs_up_at=6.0))
    client.does((1.0, "a", TO_B1), (4.0, "a", LOST), (4.0, "b1", LOST))
    assert client.end("b1") == "hangup_peer"
    nothing_is_left(client.shell)


@pytest.mark.parametrize("far_end", [TALKS, FarEnd((1.0, 486))])
def test_a_client_that_is_lost_while_its_call_dials_lets_it_go_on(far_end: FarEnd) -> None:
    client = Client({"b1": far_end}).has_call(Caller(hangs_up_at=9.0))
    client.does((1.0, "a", TO_B1), (1.5, "a", LOST), (1.5, "b1", LOST))
    connected = far_end is TALKS
    assert client.connects()[-1] == ("disconnected" if connected else "failed")
    assert client.end() == ("hangup_far_end" if connected else "client_gone")
    nothing_is_left(client.shell)


def test_a_client_that_comes_back_in_time_keeps_its_call() -> None:
    client = Client().has_call()
    client.does(
        (1.0, "a", play()),
        (1.5, "a", LOST),
        (2.0, "a", ControlTaken(owner="client")),
        (5.0, "a", play()),
        until=9.0,
    )
    assert (client.said(), client.end()) == (["200", "200"], "")


def test_an_offer_that_is_passed_on_belongs_to_the_next_and_rings_once() -> None:
    client = Client().has_call(answered=False).does((1.0, "a", ControlTaken(owner="other")), until=2.0)
    assert client.info("a").owner == "other"
    assert client.shell.legs.wire("a") == ["< INVITE", "> 180"]


def test_an_offer_that_nobody_takes_is_refused_as_unavailable() -> None:
    client = Client().has_call(answered=False)
    client.does((1.0, "a", HangupRequested(ending=ending("no_client"))))
    assert client.shell.legs.wire("a")[-1] == "> 480"
    assert client.end() == "no_client"


def test_a_call_that_is_ending_is_taken_by_nobody() -> None:
    client = Client(round_trip=1.0).has_call()
    client.does((1.0, "a", LOST), (1.5, "a", ControlTaken(owner="late")))
    assert (client.info("a").owner, client.end()) == (None, "client_gone")


# ------------------------------------------------------------------ a script takes over


def test_an_offer_that_no_client_took_gets_the_document_of_its_route() -> None:
    client = Client().has_call(answered=False).does((3.0, "a", given(Answer(), Play(items=SILENCE))))
    assert client.told() == ["created", "ringing", "answered", "playing", "finished", "ended"]
    assert client.end() == "script_ended"


def test_the_foreground_ends_and_a_recording_goes_on() -> None:
    client = Client().has_call()
    client.does(
        (1.0, "a", record()),
        (1.0, "a", Play(items=SILENCE, loop=0, control_id="p")),
        (2.0, "a", given(Sleep(seconds=3.0))),
    )
    told = [(round(t.at, 2), getattr(t.report.happening, "state", "")) for t in client.shell.reports]
    assert (2.0, "finished") in told
    assert told[-2:] == [(5.05, "finished"), (5.05, "ended")]
    nothing_is_left(client.shell)


@pytest.mark.parametrize("peer_is_controlled", [True, False])
def test_a_call_that_leads_a_bridge_leaves_it(peer_is_controlled: bool) -> None:
    client = Client({"b1": TALKS}).has_call()
    lost = [] if peer_is_controlled else [(2.5, "b1", LOST)]
    client.does((1.0, "a", TO_B1), *lost, (3.0, "a", given(Sleep(seconds=2.0))), until=9.0)
    assert client.connects() == ["connecting", "connected", "disconnected"]
    assert client.end() == "script_ended"
    assert client.end("b1") == ("" if peer_is_controlled else "disconnected")
    assert client.shell.joined == set()


def test_a_call_that_is_led_leaves_the_bridge_and_the_leader_hears_of_it() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", TO_B1), (3.0, "b1", given(Sleep(seconds=2.0))), until=9.0)
    assert client.connects() == ["connecting", "connected", "disconnected"]
    assert (client.end("b1"), client.end()) == ("script_ended", "")
    assert client.shell.joined == set()


def test_a_call_that_dials_stops_dialling() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", TO_B1), (1.5, "a", given(Sleep(seconds=2.0))))
    assert client.connects() == ["connecting", "failed"]
    assert client.end("b1") == "caller_gone"
    assert client.end() == "script_ended"


def test_a_leg_that_rings_for_a_call_stands_on_its_own_and_starts_at_the_answer() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", TO_B1), (1.5, "b1", given(Sleep(seconds=2.0))), until=9.0)
    assert client.connects() == ["connecting", "failed"]
    assert client.end("b1") == "script_ended"
    assert client.last() == pytest.approx(4.02)
    assert client.end() == ""


def test_a_leg_that_was_given_a_script_and_is_never_answered_ends_in_time() -> None:
    client = Client({"b1": FarEnd((0.1, 180))}).has_call()
    to_b1 = connect([b("b1", timeout=10.0)])
    client.does((1.0, "a", to_b1), (1.5, "b1", given(Sleep(seconds=2.0))), until=20.0)
    assert client.end("b1") == "ring_timeout"


def test_a_script_that_is_given_in_the_tick_of_the_answer_is_not_joined() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", TO_B1), (2.0, "b1", given(Sleep(seconds=2.0))), until=9.0)
    assert client.end("b1") == "script_ended"
    assert client.shell.joined == set()
    assert client.connects()[-1] in ("failed", "disconnected")
    assert client.info("a").peer_call_id is None


def test_another_script_takes_the_place_of_the_first_in_the_middle_of_what_it_does() -> None:
    client = Client()
    forever = Play(items=(PlayItem(kind="silence", duration=1.0),), loop=0)
    client.shell.call_in(ListDriver([Answer(), forever, Hangup()]))
    client.does((3.0, "a", given(Sleep(seconds=1.0))))
    assert client.end() == "script_ended"
    assert client.last() == pytest.approx(4.02)
    nothing_is_left(client.shell)


def test_a_script_that_records_in_the_foreground_stops_when_another_takes_over() -> None:
    client = Client()
    client.shell.call_in(ListDriver([Answer(), Record(recording=Recording())]))
    client.does((3.0, "a", given(Sleep(seconds=5.0))))
    told = [(t.at, getattr(t.report.happening, "state", "")) for t in client.shell.reports]
    assert (3.05, "finished") in told


def test_the_legs_of_a_script_are_nobodys_also_on_a_clients_call() -> None:
    client = Client({"b1": FarEnd((1.0, 200), (3.0, "bye")), "b2": TALKS}).has_call()
    client.does((1.0, "a", given(Connect(plan=TO_B1.plan), Connect(plan=connect([b("b2")]).plan))), until=8.0)
    assert client.info("b2").owner is None
    client.does((8.0, "a", Disconnect()))
    assert client.end("b2") == "disconnected"
    assert client.end() == "script_ended"
    nothing_is_left(client.shell)


def test_a_call_that_is_led_can_be_heard_by_its_script_from_the_first_word() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", TO_B1), (3.0, "b1", given(Play(items=SILENCE))), until=9.0)
    kinds = [type(effect) for who, effect in client.shell.effects if who == client.call_id("b1")]
    assert kinds.index(Unjoin) < kinds.index(PlayTo)


def test_what_the_first_script_asked_for_is_not_told_to_the_second() -> None:
    client = Client(round_trip=1.0)
    client.shell.call_in(ListDriver([Answer(), Evaluate(expression="1", bindings={}), Sleep(seconds=9.0)]))
    second = given(Sleep(seconds=3.0))
    client.does((0.5, "a", second))
    assert isinstance(second.driver, ListDriver)
    assert not any(isinstance(result, Evaluated) for result in second.driver.results)
    assert client.last() == pytest.approx(4.5)


# ------------------------------------------------------------------ what crosses on its way between calls


def test_a_call_that_a_script_drives_cannot_be_joined_by_one_that_does_not_know_yet() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", TO_B1), (1.5, "b1", given(Sleep(seconds=9.0))), until=5.0)
    late = Bridged(call_id="a", peer=peer_of(client.info("a")))
    (told,) = client.shell.calls[client.call_id("b1")].handle(late, 5.0)
    assert isinstance(told, TellCall)
    assert (told.call_id, type(told.fact)) == ("a", PeerEnded)
    assert client.info("b1").peer_call_id is None


def test_a_clients_call_outlives_a_leader_that_broke_down() -> None:
    client = Client({"b1": TALKS}).has_call()
    broken = PeerEnded(call_id="a", ending=ending("internal_error"))
    client.does((1.0, "a", TO_B1), (4.0, "b1", broken), until=5.0)
    assert (client.end("b1"), client.info("b1").peer_call_id) == ("", None)


def side_that_leaves() -> Side:
    info = caller_info("b")
    info.peer_call_id, info.call_state = "a", "answered"
    side = Side(info, lambda: "id")
    side.bridged(peer_of(caller_info("a")))
    side.follow()
    side.ask_to_leave()
    return side


def test_who_asked_to_leave_is_told_also_when_its_own_end_comes_first() -> None:
    side = side_that_leaves()
    (report,) = side.close()
    assert isinstance(report, Report)
    assert isinstance(report.happening, ConnectStateChanged)
    assert (report.happening.state, report.happening.peer_call_id) == ("disconnected", "a")
    assert side.close() == []


def test_who_asked_to_leave_and_is_moved_to_another_asks_that_one() -> None:
    side = side_that_leaves()
    side._info.peer_call_id = "c"
    assert side.follow() == [TellCall(call_id="c", fact=DisconnectRequested(call_id="b"))]
