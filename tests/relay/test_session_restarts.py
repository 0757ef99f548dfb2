"""A session whose server dies: the next one goes on with what was kept, and no event is lost or doubled."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.relay.session import Limits

from .client_bench import World

STEPS = st.lists(
    st.sampled_from(
        ["event", "event", "to client", "to client", "to server", "cut", "connect", "tick", "wait", "kill"]
    ),
    max_size=80,
)


@given(STEPS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_event_is_lost_or_out_of_order_and_none_doubled_that_was_proven(
    steps: list[str], acks: bool
) -> None:
    """RELAY 50."""
    world = World(acks=acks)
    world.connect()
    happened = 0
    for step in steps:
        if step == "event":
            world.happen(happened)
            happened += 1
        elif step == "connect":
            proven = happened - world.session.unproven
            at = len(world.events)
            again = world.resume()
            assert again.received[0]["result"]["session_restored"] is True
            told = [event["params"]["params"].get("n") for event in world.events[at:]]
            assert not set(range(proven)) & set(told)
        elif step == "kill":
            unproven = world.session.unproven
            world.kill()
            assert world.session.unproven == unproven
        else:
            world.walk(step)
    world.resume()
    world.run()
    assert world.over == []
    assert world.told() == list(range(happened))
    ids = {event["id"]: event for event in world.calling()}
    assert len(ids) == happened, "an event that comes again has its id again"


@pytest.mark.parametrize("acks", [True, False])
def test_a_client_that_was_away_at_two_deaths_is_told_all(acks: bool) -> None:
    world = World(acks=acks)
    world.cut(world.connect())
    for number in (1, 2):
        world.happen(number)
    world.kill()
    world.happen(3)
    world.kill()
    world.happen(4)
    result, *_ = world.resume().received
    assert result["result"]["session_restored"] is True
    assert [event["params"]["params"]["n"] for event in world.calling()] == [1, 2, 3, 4]
    world.wait(1.0)
    assert world.session.unproven == 0
    assert world.disk == []


def test_numbers_go_on_so_that_a_proof_means_the_same_in_both() -> None:
    world = World()
    world.connect()
    for number in (1, 2):
        world.happen(number)
    world.run()
    world.kill()
    world.happen(3)
    assert world.session.kept()[0] == 3
    world.resume()
    assert world.disk == []
    assert world.session.unproven == 0


def test_a_session_that_nobody_resumes_is_over_at_its_time() -> None:
    world = World()
    world.connect()
    world.kill()
    world.wait(299.0)
    assert world.over == []
    world.wait(2.0)
    assert len(world.over) == 1


def test_what_an_earlier_run_kept_counts_as_what_is_kept() -> None:
    world = World(limits=Limits(events=3))
    world.cut(world.connect())
    for number in range(3):
        world.happen(number)
    world.kill()
    world.happen(3)
    assert world.over == ["More events wait for the client than are kept."]


def test_a_request_that_comes_again_is_not_carried_out_again() -> None:
    """Its answer, and the events that it began, died on their way."""
    world = World()
    socket = world.connect()
    world.ask(socket, "calling.dial", {"tag": "t"}, "once")
    world.deliver_to_server(socket)
    world.happen(1)
    world.kill()
    again = world.resume()
    world.ask(again, "calling.dial", {"tag": "t"}, "once")
    world.ask(again, "calling.dial", {"tag": "u"}, "once")
    world.run()
    assert [request.params["tag"] for request in world.performed] == ["t", "u"]
    assert [frame["result"] for frame in world.answer_to("once")] == [{"code": "200"}] * 2
    assert world.told() == [1]
