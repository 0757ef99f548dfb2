"""What a client may ask of a call when, and what then becomes of the call."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Answer, Detect, Hangup, Hold, Refer, SendDigits, Sleep
from cordboard.call.commands import Command, Disconnect, StopOperation
from cordboard.testing.virtual import Caller, FarEnd, ListDriver

from .client_calls import TALKS, Client, play, record
from .virtual_calls import b, connect, nothing_is_left

TO_B1 = connect([b("b1")])


def test_an_offered_call_is_created_then_rings_and_waits_for_its_client() -> None:
    client = Client().has_call(answered=False).does(until=100.0)
    assert client.told() == ["created", "ringing"]
    assert client.info("a").owner == "client"


def test_an_answer_is_accepted_before_the_call_is_answered() -> None:
    client = Client().has_call(Caller(hangs_up_at=5.0), answered=False).does((1.0, "a", Answer()))
    assert client.said() == ["200"]
    assert client.told() == ["created", "ringing", "answered", "ended"]
    nothing_is_left(client.shell)


def test_the_longest_duration_of_an_answer_ends_the_call() -> None:
    client = Client().has_call(answered=False).does((1.0, "a", Answer(max_duration=7.0)))
    assert client.end() == "max_duration"
    assert client.last() == pytest.approx(8.02)


ANSWERED_ALREADY = "The call is answered already."
NOT_YET = "The far end has not answered yet: wait until it has."
NOT_CONNECTED = "The call is not connected to another one."
CONNECTED = "The call is connected to another one: disconnect it first."


@pytest.mark.parametrize(
    ("before", "who", "command", "sentence"),
    [
        ([], "a", Answer(), ANSWERED_ALREADY),
        ([], "a", Disconnect(), NOT_CONNECTED),
        ([(1.0, "a", TO_B1)], "a", Disconnect(), NOT_CONNECTED),
        ([(1.0, "a", TO_B1)], "a", TO_B1, "A connect of this call is under way: wait for its end."),
        ([(1.0, "a", TO_B1)], "b1", Answer(), NOT_YET),
        ([(1.0, "a", TO_B1)], "b1", TO_B1, NOT_YET),
        ([(0.0, "a", TO_B1)], "a", TO_B1, CONNECTED),
        ([(0.0, "a", TO_B1)], "b1", TO_B1, CONNECTED),
        ([(1.0, "a", Hangup())], "a", play(), "The call is ending: nothing more can be asked of it."),
    ],
)
def test_what_cannot_be_done_now_is_refused_with_a_sentence(
    before: list[Any], who: str, command: Command, sentence: str
) -> None:
    client = Client({"b1": TALKS}, round_trip=1.0).has_call().does(*before, (1.5, who, command), until=2.0)
    assert client.said()[-1] == "409"
    assert client.why() == sentence


def test_what_no_command_can_ask_is_refused() -> None:
    client = Client().has_call().does((1.0, "a", Sleep(seconds=1.0)), until=2.0)
    assert (client.said(), client.why()) == (["400"], "Sleep cannot be asked of a call by a command.")


@pytest.mark.parametrize(
    "command",
    [
        record(),
        SendDigits(digits="1", control_id="d"),
        Detect(control_id="d", kind="digit"),
        Refer(to="sip:c@h"),
        Hold(on=True),
    ],
)
def test_what_needs_the_far_end_is_refused_until_the_call_is_answered(command: Command) -> None:
    client = Client().has_call(answered=False).does((1.0, "a", command), until=2.0)
    assert client.said() == ["409"]
    assert "answer it first" in client.why()
    assert client.told() == ["created", "ringing"]


def test_an_unanswered_caller_hears_a_play_as_early_media() -> None:
    client = Client().has_call(answered=False).does((1.0, "a", play()), until=9.0)
    assert client.told() == ["created", "ringing", "playing", "finished"]
    assert client.shell.legs.wire("a") == ["< INVITE", "> 180", "> 183"]


# ------------------------------------------------------------------ hanging up


@pytest.mark.parametrize(
    ("reason", "code", "cause"),
    [
        (None, "> 480", "client_hung_up"),
        ("hangup", "> 480", "client_hung_up"),
        ("busy", "> 486", "client_busy"),
        ("decline", "> 603", "client_declined"),
        ("noAnswer", "> 480", "client_no_answer"),
        ("cancel", "> 487", "client_cancelled"),
        ("error", "> 503", "client_failed"),
    ],
)
def test_the_reason_of_a_hangup_is_the_final_response_or_only_the_cause(
    reason: str | None, code: str, cause: str
) -> None:
    refused = Client().has_call(answered=False).does((1.0, "a", Hangup(reason=reason)))
    assert refused.shell.legs.wire("a")[-1] == code
    up = Client().has_call().does((1.0, "a", Hangup(reason=reason)))
    assert up.shell.legs.wire("a")[-1] == "> BYE"
    assert {refused.end(), up.end()} == {cause}
    nothing_is_left(up.shell)


def test_a_reason_that_is_not_known_ends_nothing() -> None:
    client = Client().has_call().does((1.0, "a", Hangup(reason="boredom")), until=2.0)
    assert (client.said(), client.end()) == (["400"], "")


def test_two_hangups_are_both_accepted_and_the_call_ends_once() -> None:
    client = Client().has_call().does((1.0, "a", Hangup()), (1.0, "a", Hangup(reason="busy")))
    assert client.said() == ["200", "200"]
    assert (client.told().count("ended"), client.end()) == (1, "client_hung_up")


def test_a_leg_that_rings_for_a_connect_can_be_hung_up_by_itself() -> None:
    client = Client({"b1": TALKS}).has_call().does((1.0, "a", TO_B1), (1.5, "b1", Hangup()), until=5.0)
    assert client.connects() == ["connecting", "failed"]
    assert (client.end("b1"), client.end()) == ("client_hung_up", "")
    assert "> CANCEL" in client.shell.legs.wire(client.call_id("b1"))


# ------------------------------------------------------------------ connect and disconnect


def test_a_caller_who_is_not_answered_is_answered_when_the_connect_is() -> None:
    client = Client({"b1": TALKS}).has_call(answered=False).does((1.0, "a", TO_B1), until=5.0)
    assert client.connects() == ["connecting", "connected"]
    assert client.shell.legs.wire("a") == ["< INVITE", "> 180", "> 200"]


def test_a_dialled_leg_belongs_to_the_client_that_asked() -> None:
    client = Client({"b1": TALKS}).has_call().does((1.0, "a", TO_B1), until=5.0)
    assert client.info("b1").owner == "client"


def test_a_connect_that_fails_leaves_the_call_up() -> None:
    client = (
        Client({"b1": FarEnd((1.0, 486))}).has_call().does((1.0, "a", TO_B1), (5.0, "a", play()), until=9.0)
    )
    assert client.connects() == ["connecting", "failed"]
    assert client.told()[-2:] == ["playing", "finished"]


def test_a_call_whose_peer_hangs_up_stays_up_and_may_connect_again() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "bye")), "b2": TALKS}
    client = Client(far_ends).has_call()
    client.does((1.0, "a", TO_B1), (6.0, "a", connect([b("b2")])), until=9.0)
    assert client.connects() == ["connecting", "connected", "disconnected", "connecting", "connected"]
    assert client.said() == ["200", "200"]


def test_both_calls_stay_up_when_the_one_that_leads_disconnects() -> None:
    client = Client({"b1": TALKS}).has_call().does((1.0, "a", TO_B1), (5.0, "a", Disconnect()), until=9.0)
    assert client.connects() == ["connecting", "connected", "disconnected"]
    assert client.connects("b1") == []
    assert (client.end(), client.end("b1")) == ("", "")
    assert client.info("a").peer_call_id is client.info("b1").peer_call_id is None
    assert client.shell.joined == set()


def test_a_peer_that_asks_to_leave_is_told_too_and_both_stay_up() -> None:
    client = Client({"b1": TALKS}).has_call().does((1.0, "a", TO_B1), (5.0, "b1", Disconnect()), until=9.0)
    assert client.connects() == ["connecting", "connected", "disconnected"]
    assert client.connects("b1") == ["disconnected"]
    (left,) = client.connect_reports("b1")
    assert left.peer_call_id == "a"
    assert (client.end(), client.end("b1"), client.shell.joined) == ("", "", set())


@pytest.mark.parametrize("first", ["a", "b1"])
def test_two_that_disconnect_at_once_are_both_told_once(first: str) -> None:
    second = "b1" if first == "a" else "a"
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", TO_B1), (5.0, first, Disconnect()), (5.0, second, Disconnect()), until=9.0)
    assert client.connects() == ["connecting", "connected", "disconnected"]
    assert client.connects("b1").count("disconnected") <= 1
    assert (client.end(), client.end("b1")) == ("", "")


def test_a_peer_that_ends_while_it_is_disconnected_ends_and_the_other_is_told_once() -> None:
    far_end = FarEnd((1.0, 200), (4.0, "bye"))
    client = Client({"b1": far_end}).has_call()
    client.does((1.0, "a", TO_B1), (5.0, "b1", Disconnect()), (5.0, "a", Disconnect()), until=9.0)
    assert client.connects() == ["connecting", "connected", "disconnected"]
    assert client.end("b1") == "hangup_far_end"


def test_a_call_that_was_left_can_connect_the_other_way_round() -> None:
    client = Client({"b1": TALKS, "b2": TALKS}).has_call()
    to_b2 = connect([b("b2")])
    client.does((1.0, "a", TO_B1), (5.0, "a", Disconnect()), (6.0, "b1", to_b2), until=9.0)
    assert client.connects("b1") == ["connecting", "connected"]
    assert client.info("b2").peer_call_id == client.call_id("b1")


def test_own_hangup_of_a_bridged_call_reports_the_bridge_first_and_leaves_the_peer_up() -> None:
    client = Client({"b1": TALKS}).has_call().does((1.0, "a", TO_B1), (5.0, "a", Hangup()), until=9.0)
    assert client.told()[-2:] == ["disconnected", "ended"]
    assert client.end("b1") == ""


def test_a_caller_who_hangs_up_while_bridged_leaves_the_peer_up() -> None:
    client = Client({"b1": TALKS}).has_call(Caller(hangs_up_at=5.0)).does((1.0, "a", TO_B1), until=9.0)
    assert client.told()[-2:] == ["disconnected", "ended"]
    assert client.end("b1") == ""


def test_a_caller_who_hangs_up_while_it_rings_takes_what_rings_along() -> None:
    client = Client({"b1": TALKS}).has_call(Caller(hangs_up_at=1.5)).does((1.0, "a", TO_B1))
    assert client.told()[-2:] == ["failed", "ended"]
    assert client.end("b1") == "caller_gone"
    nothing_is_left(client.shell)


def test_an_answer_that_crosses_the_hangup_of_the_one_who_dials_is_ended() -> None:
    client = Client({"b1": FarEnd((1.0, 200))}, round_trip=0.5).has_call()
    client.does((1.0, "a", TO_B1), (1.9, "a", Hangup()))
    assert client.shell.legs.wire(client.call_id("b1")) == ["> INVITE", "< 200", "> ACK", "> BYE"]
    assert client.end("b1") == "caller_gone"
    nothing_is_left(client.shell)


def test_the_longest_duration_of_a_connect_ends_the_peer_and_leaves_the_call_up() -> None:
    client = Client({"b1": TALKS}).has_call()
    short = connect([b("b1")], max_duration=3.0)
    client.does((1.0, "a", short), until=9.0)
    assert (client.end("b1"), client.end()) == ("max_duration", "")
    assert client.connects()[-1] == "disconnected"


def test_the_longest_duration_of_a_destination_ends_its_call() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does((1.0, "a", connect([b("b1", max_duration=3.0)])), (3.0, "a", Disconnect()), until=9.0)
    assert client.end("b1") == "max_duration"


def test_a_far_end_that_transfers_its_call_leaves_it_and_the_other_goes_on_with_the_new_peer() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer b2")), "b2": TALKS}
    client = Client(far_ends).has_call().does((1.0, "a", TO_B1), (8.0, "a", Disconnect()), until=9.0)
    assert client.connects() == ["connecting", "connected", "connected", "disconnected"]
    assert (client.end("b1"), client.end("b2"), client.end()) == ("transferred", "", "")
    assert client.info("b2").owner == "client"


def test_a_caller_who_transfers_leaves_and_the_peer_goes_on_with_the_new_one() -> None:
    client = Client({"b1": TALKS, "b2": TALKS}).has_call(Caller(does=((5.0, "refer b2"),)))
    client.does((1.0, "a", TO_B1), (9.0, "b1", Disconnect()), until=10.0)
    assert client.end() == "transferred"
    assert client.connects("b1") == ["connecting", "connected", "disconnected"]
    assert (client.end("b1"), client.end("b2")) == ("", "")


def test_a_transfer_is_given_up_when_its_client_disconnects() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer b2")), "b2": FarEnd((0.1, 180))}
    client = Client(far_ends).has_call().does((1.0, "a", TO_B1), (6.0, "a", Disconnect()), until=9.0)
    assert client.connects()[-1] == "disconnected"
    assert (client.end("b1"), client.end("b2")) == ("", "caller_gone")
    assert "> NOTIFY 487" in client.shell.legs.wire(client.call_id("b1"))


# ------------------------------------------------------------------ operations


def test_operations_go_on_beside_each_other_and_beside_a_connect() -> None:
    client = Client({"b1": TALKS}).has_call()
    client.does(
        (1.0, "a", record()),
        (1.0, "a", play("p1")),
        (1.5, "a", play("p2")),
        (2.0, "a", TO_B1),
        (5.0, "a", StopOperation(control_id="r", kind="record")),
        until=9.0,
    )
    assert client.said() == ["200"] * 5
    assert client.told()[3:] == [
        "playing", "recording", "playing", "connecting", "finished", "connected", "finished", "finished",
    ]  # fmt: skip


def test_what_goes_on_at_the_end_has_its_last_report_before_the_call_has() -> None:
    client = Client().has_call(Caller(hangs_up_at=3.0)).does((1.0, "a", record()), (2.0, "a", play()))
    assert client.told()[-3:] == ["finished", "finished", "ended"]
    assert client.last() == pytest.approx(3.05)
    nothing_is_left(client.shell)


def test_a_recording_that_is_never_closed_holds_the_last_report_up_for_a_moment_only() -> None:
    client = Client().has_call(Caller(hangs_up_at=3.0)).does((1.0, "a", record()), until=2.0)
    client.shell.media.recording.clear()
    client.does()
    assert client.told()[-1] == "ended"
    assert 8.0 <= client.last() < 9.0
    assert client.shell.open_calls() == []


def test_the_peer_of_a_call_that_waits_for_its_recording_does_not_wait() -> None:
    client = Client({"b1": FarEnd((1.0, 200), (5.0, "bye"))}).has_call()
    client.does((1.0, "a", TO_B1), (3.0, "b1", record()), until=5.5)
    client.shell.media.recording.clear()
    client.does(until=6.3)
    assert client.connects()[-1] == "disconnected"
    assert client.told("b1")[-1] != "ended"


# ------------------------------------------------------------------ beside a script


def test_a_program_may_play_and_record_on_a_call_that_a_script_drives() -> None:
    client = Client()
    client.shell.call_in(ListDriver([Answer(), Sleep(seconds=5.0)]))
    client.does((1.0, "a", play()), (1.0, "a", record()))
    assert client.said() == ["200", "200"]
    assert client.end() == "script_ended"
    assert client.shell.media.running() == []


def test_a_script_that_connects_is_not_connected_by_somebody_else_and_may_be_disconnected() -> None:
    client = Client({"b1": TALKS})
    client.shell.call_in(ListDriver([Answer(), TO_B1, Sleep(seconds=5.0)]))
    client.does((0.5, "a", TO_B1), (3.0, "a", Disconnect()))
    assert client.said() == ["409", "200"]
    assert client.end("b1") == "disconnected"
    assert client.end() == "script_ended"
    nothing_is_left(client.shell)
