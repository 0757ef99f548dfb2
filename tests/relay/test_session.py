"""A client's session: no event lost, none out of order, doubled only where its proof was lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.relay import frames
from cordboard.relay.session import SUPERSEDED, Limits

from .client_bench import PROJECT, SIGNER, World

ANSWER = {"node_id": "n", "call_id": "c"}


def asked(world: World, method: str, params: Any = None) -> dict[str, Any]:
    """The one answer to a request over the newest socket."""
    id_ = world.ask(world.sockets[-1], method, params)
    world.run()
    (answer,) = world.answer_to(id_)
    return answer


# ---------------------------------------------------------------- connecting


def test_the_result_has_what_the_clients_need() -> None:
    world = World()
    socket = world.connect()
    result = socket.received[0]["result"]
    assert result["session_restored"] is False
    assert result["protocol"] == world.session.protocol
    assert result["protocol"].split("_")[1] == result["authorization"]["signature"]
    assert result["protocol"].endswith("_" + PROJECT)
    for name in ("sessionid", "nodeid", "identity"):
        assert result[name]


def test_the_authorization_state_follows_the_result() -> None:
    world = World()
    (_, event) = world.connect().received
    assert event["params"]["event_type"] == "signalwire.authorization.state"
    state = event["params"]["params"]["authorization_state"]
    assert SIGNER.protocol_of(state) == world.session.protocol


def test_contexts_of_the_connect_are_subscribed_and_survive_a_resume_without_any() -> None:
    world = World()
    world.connect(contexts=["office", "sales", "office"])
    assert list(world.session.contexts) == ["office", "sales"]
    world.connect(protocol=world.session.protocol, contexts=[])
    assert list(world.session.contexts) == ["office", "sales"]


def test_contexts_are_added_and_taken_away() -> None:
    world = World()
    world.connect()
    assert asked(world, "signalwire.receive", {"contexts": ["a", "b"]})["result"]["code"] == "200"
    assert asked(world, "signalwire.unreceive", {"contexts": ["a", "z"]})["result"]["code"] == "200"
    assert list(world.session.contexts) == ["office", "b"]


@pytest.mark.parametrize("contexts", [None, "office", [1], [""], ["x" * 256], [str(n) for n in range(257)]])
def test_contexts_that_are_none_are_refused(contexts: Any) -> None:
    world = World()
    world.connect()
    assert asked(world, "signalwire.receive", {"contexts": contexts})["result"]["code"] == "400"
    assert list(world.session.contexts) == ["office"]


def test_a_session_has_so_many_contexts_and_no_more() -> None:
    world = World()
    world.connect()
    assert (
        asked(world, "signalwire.receive", {"contexts": [str(n) for n in range(250)]})["result"]["code"]
        == "200"
    )
    assert (
        asked(world, "signalwire.receive", {"contexts": [f"x{n}" for n in range(6)]})["result"]["code"]
        == "400"
    )
    assert len(world.session.contexts) == 251


def test_a_ping_is_answered_with_its_time() -> None:
    world = World()
    world.connect()
    assert asked(world, "signalwire.ping", {"timestamp": 12.5})["result"] == {"timestamp": 12.5}
    assert asked(world, "signalwire.ping")["result"] == {}


@pytest.mark.parametrize("method", ["signalwire.reauthenticate", "signalwire.x", "x", "messaging.send"])
def test_an_unknown_method_is_an_error(method: str) -> None:
    """RELAY 50."""
    world = World()
    world.connect()
    assert asked(world, method)["error"]["code"] == -32601


# ---------------------------------------------------------------- events


def test_an_event_has_the_envelope_and_goes_to_the_client() -> None:
    world = World()
    world.connect()
    world.happen(1)
    world.run()
    (event,) = world.calling()
    assert event["params"] == {
        "event_type": "calling.call.state",
        "event_channel": world.session.protocol,
        "timestamp": 1.5,
        "project_id": PROJECT,
        "space_id": "space",
        "params": {"n": 1, "x": ""},
    }


@pytest.mark.parametrize("acks", [True, False])
def test_events_that_were_proven_are_not_sent_again(acks: bool) -> None:
    world = World(acks=acks)
    first = world.connect()
    world.happen(1)
    world.run()
    world.wait(1.0)
    assert world.session.unproven == 0
    world.cut(first)
    world.resume()
    assert len(world.calling()) == 1


@pytest.mark.parametrize("acks", [True, False])
def test_events_without_a_proof_come_again_in_order_behind_the_result_and_before_what_is_new(
    acks: bool,
) -> None:
    """RELAY 50."""
    world = World(acks=acks)
    first = world.connect()
    for number in (1, 2):
        world.happen(number)
    world.cut(first)
    world.happen(3)
    second = world.resume()
    world.happen(4)
    world.run()
    assert "result" in second.received[0]
    assert second.received[0]["result"]["session_restored"] is True
    assert [event["params"]["params"]["n"] for event in world.calling()] == [1, 2, 3, 4]


def test_an_event_keeps_its_id_when_it_comes_again() -> None:
    """So that a client can tell."""
    world = World(acks=False)
    first = world.connect()
    world.happen(1)
    world.run()
    world.cut(first)
    world.resume()
    once, again = world.calling()
    assert once == again


def test_an_answer_to_a_later_event_proves_the_earlier_ones() -> None:
    world = World()
    socket = world.connect()
    world.acks = False
    for number in (1, 2, 3):
        world.happen(number)
    world.run()
    second = [event["id"] for event in world.calling()][1]
    world.ask(socket, "signalwire.ping")
    socket.to_server.append(frames.Text(f'{{"jsonrpc":"2.0","id":"{second}","result":{{}}}}'))
    world.run()
    assert world.session.unproven == 1


def test_answers_of_a_client_that_did_not_promise_any_are_no_proof() -> None:
    """Its answer may be an error, or to something else."""
    world = World(acks=False)
    socket = world.connect()
    world.happen(1)
    world.run()
    socket.to_server.append(
        frames.Text(f'{{"jsonrpc":"2.0","id":"{world.calling()[0]["id"]}","result":{{}}}}')
    )
    world.run()
    assert world.session.unproven == 1


def test_a_pong_that_nobody_asked_for_proves_nothing() -> None:
    world = World(acks=False)
    socket = world.connect()
    world.happen(1)
    for payload in (b"1", b"99", b"", b"x", b"9" * 125):
        socket.to_server.append(frames.Pong(payload))
    world.run()
    assert world.session.unproven == 1


def test_pings_that_prove_events_are_few() -> None:
    world = World(acks=False)
    socket = world.connect()
    pings = 0
    for number in range(100):
        world.happen(number)
        world.wait(0.01, deliver=False)
        pings += sum(isinstance(frame, frames.Ping) for frame in socket.to_client)
        world.run()
    world.wait(1.0)
    assert world.session.unproven == 0
    assert 1 <= pings <= 6


# ---------------------------------------------------------------- two sockets


def test_the_newest_socket_owns_the_session_and_the_older_is_closed() -> None:
    world = World()
    older = world.connect()
    newer = world.resume()
    assert older.close_code == SUPERSEDED
    world.happen(1)
    world.run()
    assert [f["params"]["params"].get("n") for f in newer.received if "params" in f][-1] == 1
    assert len(world.calling()) == 1
    assert world.session.socket == newer.number


def test_what_the_older_socket_still_says_is_refused_and_its_end_ends_nothing() -> None:
    world = World()
    older = world.connect()
    world.open()
    world.ask(world.sockets[-1], "signalwire.connect", world.credentials(protocol=world.session.protocol))
    world.deliver_to_server(world.sockets[-1])
    world.ask(older, "calling.answer", ANSWER, "late")
    world.deliver_to_server(older)
    assert world.performed == []
    world.run()
    world.cut(older)
    assert world.session.socket == 2
    world.wait(400.0)
    assert world.over == []


def test_a_request_of_the_older_socket_is_answered_on_the_newer() -> None:
    """The v3 client reads only that one."""
    world = World(perform=lambda request: None)
    older = world.connect()
    world.ask(older, "calling.answer", ANSWER, "a")
    world.run()
    newer = world.resume()
    world.feed(frames.Answered(ticket=world.performed[0].ticket, result={"code": "200"}))
    world.run()
    assert newer.received[-1]["id"] == "a"


# ---------------------------------------------------------------- the end


def test_a_session_without_a_socket_for_too_long_is_over() -> None:
    world = World()
    world.cut(world.connect())
    world.wait(299.0)
    assert world.over == []
    world.wait(2.0)
    assert world.over == ["The client has not come back within 300 s."]
    assert world.session.next_timeout() is None


def test_a_session_whose_client_never_came_is_over_too() -> None:
    world = World()
    world.wait(301.0)
    assert len(world.over) == 1


def test_a_session_that_was_ended_is_not_restored() -> None:
    world = World()
    world.cut(world.connect())
    world.wait(301.0)
    socket = world.resume()
    assert socket.received[0]["result"]["session_restored"] is False
    assert socket.received[0]["result"]["protocol"] == SIGNER.protocol(PROJECT, "0-0")


@pytest.mark.parametrize("limits", [Limits(events=3), Limits(bytes=1_000)], ids=["events", "bytes"])
def test_more_events_than_are_kept_end_the_session_and_none_is_dropped_in_silence(limits: Limits) -> None:
    world = World(limits=limits)
    world.cut(world.connect())
    for number in range(5):
        world.happen(number)
    assert world.over == ["More events wait for the client than are kept."]
    assert world.resume().received[0]["result"]["session_restored"] is False


def test_a_client_that_proves_nothing_is_cut_off_when_too_much_waits() -> None:
    world = World(limits=Limits(events=3), acks=True)
    socket = world.connect()
    world.acks = False
    for number in range(4):
        world.happen(number)
    world.run()
    assert socket.close_code == 1013
    assert len(world.over) == 1


@pytest.mark.parametrize("restart", [True, False])
def test_a_client_is_told_that_the_server_goes(restart: bool) -> None:
    world = World()
    socket = world.connect()
    world.happen(1)
    world.feed(frames.Leaving(restart=restart))
    world.run()
    assert socket.received[-1]["method"] == "signalwire.disconnect"
    assert socket.received[-1]["params"] == {"restart": restart}
    assert socket.received[-2]["method"] == "signalwire.event"


# ---------------------------------------------------------------- any order

STEPS = st.lists(
    st.sampled_from(
        ["event", "event", "to client", "to client", "to server", "cut", "connect", "ask", "tick", "wait"]
    ),
    max_size=80,
)


@given(STEPS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_event_is_lost_or_out_of_order_and_none_doubled_whose_proof_arrived(
    steps: list[str], acks: bool
) -> None:
    """RELAY 50."""
    world = World(acks=acks)
    world.connect()
    happened = 0
    proven: set[int] = set()
    for step in steps:
        if step == "event":
            world.happen(happened)
            happened += 1
        elif step == "connect":
            at = len(world.events)
            proven |= set(range(happened - world.session.unproven))
            world.resume()
            again = [event["params"]["params"].get("n") for event in world.events[at:]]
            assert not proven & set(again)
        elif step == "ask":
            world.ask(world.sockets[-1], "calling.answer", {"call_id": str(len(world.events))})
        else:
            world.walk(step)
    world.resume()
    world.run()
    assert world.over == []
    assert world.told() == list(range(happened))
    _in_order_on_each_socket(world)


def _in_order_on_each_socket(world: World) -> None:
    for socket in world.sockets:
        numbers = [
            f["params"]["params"]["n"]
            for f in socket.received
            if "n" in f.get("params", {}).get("params", {})
        ]
        assert numbers == sorted(set(numbers))
