"""A dial that no call asks for: what is told of it, who wins, who is ended, what the winner gets."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Hangup, Play, Sleep
from cordboard.call.effects import Dial
from cordboard.call.facts import ControlLost, ControlTaken, DriverGiven, HangupRequested
from cordboard.call.plan import ConnectPlan
from cordboard.call.reasons import ending
from cordboard.testing.virtual import FarEnd, ListDriver

from .client_calls import GONE, SILENCE, TALKS, Client, play
from .virtual_calls import b, confirmed, nothing_is_left

BUSY = FarEnd((1.0, 486))
CANCELLED = ending("client_cancelled")


def plan(*groups: list[Any], **more: Any) -> ConnectPlan:
    return ConnectPlan(groups=tuple(tuple(group) for group in groups), **more)


def dials(client: Client) -> list[Dial]:
    return [effect for _, effect in client.shell.effects if isinstance(effect, Dial)]


def test_the_one_that_answers_wins_and_stands_on_its_own() -> None:
    client = Client({"b1": TALKS}).dials(plan([b("b1", tag="t")])).does(until=9.0)
    assert client.told("dial") == ["dialing", "answered"]
    assert client.dial().call_id == client.call_id("b1")
    assert client.told("b1") == ["created", "ringing", "answered"]
    assert client.shell.open_calls() == [client.call_id("b1")]
    info = client.info("b1")
    assert (info.owner, info.tag, info.sole, info.parent_call_id) == ("client", "t", True, None)


def test_the_first_call_has_the_id_that_was_promised() -> None:
    client = Client({"b1": BUSY, "b2": TALKS})
    client.dials(plan([b("b1")], [b("b2")]), first_call_id="first").does(until=9.0)
    assert dials(client)[0].call_id == "first"
    assert len({dial.call_id for dial in dials(client)}) == 2


def test_only_the_one_destination_of_a_plan_is_the_sole_one() -> None:
    one, two = Client({"b1": TALKS}), Client({"b1": TALKS, "b2": TALKS})
    one.dials(plan([b("b1")])).does(until=1.0)
    two.dials(plan([b("b1")], [b("b2")])).does(until=1.0)
    assert [dial.sole for dial in dials(one)] == [True]
    assert [dial.sole for dial in dials(two)] == [False]


def test_of_those_that_ring_at_once_the_first_wins_and_the_others_are_cancelled() -> None:
    client = Client({"b1": TALKS, "b2": FarEnd((0.1, 180), (0.7, 200))})
    client.dials(plan([b("b1"), b("b2")])).does(until=9.0)
    assert (client.dial().call_id, client.dial().dial_winner) == (client.call_id("b2"), True)
    assert (client.end("b1"), client.end("b2")) == ("lost_race", "")
    assert client.info("b2").dial_winner


def test_of_two_answers_in_one_tick_one_wins_and_the_other_is_ended() -> None:
    client = Client({"b1": FarEnd((1.0, 200)), "b2": FarEnd((1.0, 200))}, round_trip=0.0)
    client.dials(plan([b("b1"), b("b2")])).does(until=9.0)
    assert client.told("dial") == ["dialing", "answered"]
    assert sorted([client.end("b1"), client.end("b2")]) == ["", "lost_race"]
    (lost,) = [to for to in ("b1", "b2") if client.end(to)]
    assert client.shell.legs.wire(client.call_id(lost)) == ["> INVITE", "< 200", "> ACK", "> BYE"]


def test_one_after_the_other_until_somebody_answers() -> None:
    client = Client({"b1": BUSY, "b2": FarEnd((0.1, 180)), "b3": TALKS})
    client.dials(plan([b("b1")], [b("b2", timeout=3.0)], [b("b3")])).does(until=20.0)
    assert (client.end("b1"), client.end("b2")) == ("user_busy", "ring_timeout")
    assert client.dial().call_id == client.call_id("b3")
    assert not client.dial().dial_winner


@pytest.mark.parametrize(
    ("far_ends", "cause"),
    [
        ({"b1": BUSY, "b2": BUSY}, "user_busy"),
        ({"b1": BUSY, "b2": FarEnd((0.1, 180))}, "ring_timeout"),
        ({"b1": FarEnd((0.5, 603)), "b2": BUSY}, "call_rejected"),
        ({}, "dns_failed"),
    ],
)
def test_a_dial_that_nobody_answers_fails_with_what_speaks_for_all(
    far_ends: dict[str, FarEnd], cause: str
) -> None:
    client = Client(far_ends).dials(plan([b("b1", timeout=5.0), b("b2", timeout=5.0)])).does()
    assert client.told("dial") == ["dialing", "failed"]
    why = client.dial().ending
    assert why is not None
    assert why.cause == cause
    nothing_is_left(client.shell)


@pytest.mark.parametrize(
    ("wish", "cause"),
    [(plan(), "bad_plan"), (plan([b("b1", problem="it is wrong.")]), "bad_plan")],
)
def test_a_plan_that_dials_nobody_fails_at_once(wish: ConnectPlan, cause: str) -> None:
    client = Client().dials(wish)
    assert client.told("dial") == ["dialing", "failed"]
    why = client.dial().ending
    assert why is not None
    assert why.cause == cause
    assert dials(client) == []


@pytest.mark.parametrize("fact", [HangupRequested(ending=CANCELLED), ControlLost(ending=GONE)])
def test_a_dial_that_is_given_up_rings_nobody_any_more(fact: Any) -> None:
    client = Client({"b1": TALKS, "b2": TALKS}).dials(plan([b("b1"), b("b2")])).does((0.5, "dial", fact))
    assert client.told("dial") == ["dialing", "failed"]
    assert client.dial().ending == fact.ending
    assert client.end("b1") == client.end("b2") == "client_cancelled"
    assert client.shell.legs.wire(client.call_id("b1")) == ["> INVITE", "< 180", "> CANCEL", "< 487", "> ACK"]
    nothing_is_left(client.shell)


def test_an_answer_that_crosses_the_cancel_of_its_dial_is_ended() -> None:
    client = Client({"b1": FarEnd((1.0, 200))}, round_trip=0.5).dials(plan([b("b1")]))
    client.does((0.9, "dial", HangupRequested(ending=CANCELLED)))
    assert client.told("dial") == ["dialing", "failed"]
    assert client.shell.legs.wire(client.call_id("b1")) == ["> INVITE", "< 200", "> ACK", "> BYE"]
    nothing_is_left(client.shell)


def test_a_cancel_that_comes_after_the_answer_changes_nothing() -> None:
    client = Client({"b1": TALKS}).dials(plan([b("b1")]))
    client.does((2.0, "dial", HangupRequested(ending=CANCELLED)), until=9.0)
    assert client.told("dial") == ["dialing", "answered"]
    assert client.end("b1") == ""


def test_its_client_may_end_a_leg_while_it_rings() -> None:
    client = Client({"b1": TALKS, "b2": TALKS}).dials(plan([b("b1"), b("b2")]))
    client.does((0.5, "b1", Hangup(reason="cancel")), until=9.0)
    assert client.end("b1") == "client_cancelled"
    assert client.dial().call_id == client.call_id("b2")


def test_a_script_is_given_to_the_winner_and_its_end_ends_the_call() -> None:
    driver = ListDriver([Play(items=SILENCE), Sleep(seconds=1.0)])
    client = Client({"b1": TALKS, "b2": TALKS}).dials(plan([b("b1"), b("b2", timeout=0.5)]), driver=driver)
    client.does()
    assert client.told("b1") == ["created", "ringing", "answered", "playing", "finished", "ended"]
    assert client.end("b1") == "script_ended"
    nothing_is_left(client.shell)


def test_a_script_that_is_given_to_a_ringing_leg_is_for_the_winner() -> None:
    given = DriverGiven(driver=ListDriver([Sleep(seconds=1.0)]))
    client = Client({"b1": TALKS}).dials(plan([b("b1")]), driver=ListDriver([Sleep(seconds=9.0)]))
    client.does((0.5, "b1", given))
    assert client.told("dial") == ["dialing", "answered"]
    assert client.end("b1") == "script_ended"
    assert client.last() == pytest.approx(2.02)


def test_a_dial_whose_client_is_gone_goes_on_for_its_script() -> None:
    client = Client({"b1": TALKS}).dials(plan([b("b1")]), driver=ListDriver([Sleep(seconds=1.0)]))
    client.does((0.5, "dial", ControlLost(ending=GONE)))
    assert client.told("dial") == ["dialing", "answered"]
    assert client.end("b1") == "script_ended"


def test_a_confirm_script_decides_who_wins() -> None:
    accepts = confirmed(Sleep(seconds=1.0))
    client = Client({"b1": TALKS}).dials(plan([b("b1", confirm=accepts)])).does(until=9.0)
    assert client.dial().call_id == client.call_id("b1")
    assert client.shell.reports[-1].at == pytest.approx(2.0)


def test_the_longest_duration_of_a_destination_counts_from_its_answer() -> None:
    client = Client({"b1": TALKS}).dials(plan([b("b1", max_duration=5.0)])).does()
    assert client.end("b1") == "max_duration"
    assert client.last() == pytest.approx(6.02)


def test_a_call_without_client_and_script_stands_until_the_longest_duration() -> None:
    client = Client({"b1": TALKS})
    client.shell.dial(plan([b("b1")]))
    client.does()
    assert client.end("b1") == "max_duration"
    assert client.last() == pytest.approx(14_401.02)


def test_another_client_may_take_a_dial_over() -> None:
    client = Client({"b1": BUSY, "b2": TALKS}).dials(plan([b("b1")], [b("b2")]))
    client.does((0.5, "dial", ControlTaken(owner="other")), until=9.0)
    assert client.told("dial") == ["dialing", "answered"]


def test_the_winner_is_its_clients() -> None:
    client = Client({"b1": TALKS}).dials(plan([b("b1")]))
    client.does((2.0, "b1", play()), (3.0, "b1", Hangup()))
    assert client.said() == ["200", "200"]
    assert client.told("b1")[-2:] == ["finished", "ended"]
    nothing_is_left(client.shell)
