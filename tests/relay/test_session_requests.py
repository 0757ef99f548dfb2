"""Requests of a client: each is done once and answered in time."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard import jsonrpc
from cordboard.relay import frames
from cordboard.relay.session import Limits

from .client_bench import World

ANSWER = {"node_id": "n", "call_id": "c"}


def asked(world: World, method: str, params: Any = None) -> dict[str, Any]:
    """The one answer to a request over the newest socket."""
    id_ = world.ask(world.sockets[-1], method, params)
    world.run()
    (answer,) = world.answer_to(id_)
    return answer


def test_the_result_comes_before_the_events_that_it_began() -> None:
    world = World(perform=lambda request: {"code": "200", "message": "Playing"})
    socket = world.connect()
    world.ask(socket, "calling.play", ANSWER, "p")
    world.deliver_to_server(socket)
    world.happen(1)
    world.run()
    kinds = [frame.get("method", "result") for frame in socket.received[-2:]]
    assert kinds == ["result", "signalwire.event"]


def kinds_of(outputs: list[frames.Output]) -> list[type]:
    """What each message is to the socket."""
    return [type(output.data) for output in outputs if isinstance(output, frames.Send)]


@pytest.mark.parametrize("id_", ["4d4e-1", 7, -7, 'a "quoted" id', "a \\ in it", ""], ids=repr)
@pytest.mark.parametrize(
    ("code", "kind"), [("200", frames.Acceptance), ("404", frames.Answer), ("500", frames.Answer)]
)
def test_an_answer_says_whether_something_was_begun(id_: str | int, code: str, kind: type) -> None:
    world = World(perform=lambda request: None)
    socket = world.connect().number
    play = frames.Received(socket=socket, message=jsonrpc.Request(id=id_, method="calling.play", params={}))
    world.feed(play)
    answered = frames.Answered(ticket=world.performed[0].ticket, result={"code": code})
    assert kinds_of(world.session.handle(answered, world.now)) == [kind]
    assert kinds_of(world.session.handle(play, world.now)) == [kind]
    happened = frames.Happened(event_type="calling.call.play", params={"code": "200"}, timestamp=1.0)
    assert kinds_of(world.session.handle(happened, world.now)) == [bytes]


def test_an_answer_of_an_earlier_run_of_the_server_is_one_still() -> None:
    world = World()
    socket = world.connect()
    world.ask(socket, "calling.dial", {"tag": "t"}, "d")
    world.run()
    world.kill()
    again = world.resume().number
    message = jsonrpc.Request(id="d", method="calling.dial", params={"tag": "t"})
    given = world.session.handle(frames.Received(socket=again, message=message), world.now)
    assert kinds_of(given) == [frames.Acceptance]


@pytest.mark.parametrize(
    ("method", "params", "kind"),
    [
        ("signalwire.ping", {}, frames.Answer),
        ("signalwire.receive", {"contexts": ["sales"]}, frames.Acceptance),
        ("signalwire.receive", {"contexts": 7}, frames.Answer),
        ("signalwire.x", {}, frames.Answer),
    ],
)
def test_what_is_no_command_of_a_call_is_answered_too(method: str, params: Any, kind: type) -> None:
    world = World()
    message = jsonrpc.Request(id="x", method=method, params=params)
    received = frames.Received(socket=world.connect().number, message=message)
    assert kinds_of(world.session.handle(received, world.now)) == [kind]


def test_a_request_that_comes_twice_is_done_once_and_answered_twice() -> None:
    """RELAY 50."""
    world = World()
    socket = world.connect()
    for _ in range(2):
        world.ask(socket, "calling.answer", ANSWER, "same")
        world.run()
    assert len(world.performed) == 1
    assert [answer["result"] for answer in world.answer_to("same")] == [{"code": "200"}] * 2


def test_a_request_that_comes_again_before_its_answer_is_done_once_and_answered_twice() -> None:
    """RELAY 50."""
    world = World(perform=lambda request: None)
    socket = world.connect()
    for _ in range(2):
        world.ask(socket, "calling.answer", ANSWER, "same")
    world.run()
    assert len(world.performed) == 1
    world.feed(frames.Answered(ticket=world.performed[0].ticket, result={"code": "200"}))
    world.run()
    assert len(world.answer_to("same")) == 2


def test_an_answer_that_was_lost_with_its_socket_is_given_again() -> None:
    """RELAY 50."""
    world = World()
    first = world.connect()
    world.ask(first, "calling.dial", {"tag": "t"}, "d")
    world.deliver_to_server(first)
    world.cut(first)
    second = world.resume()
    world.ask(second, "calling.dial", {"tag": "t"}, "d")
    world.run()
    assert len(world.performed) == 1
    assert len(world.answer_to("d")) == 1


def test_an_id_that_is_used_anew_is_another_request() -> None:
    world = World()
    socket = world.connect()
    world.ask(socket, "calling.answer", ANSWER, 1)
    world.ask(socket, "calling.end", ANSWER, 1)
    world.ask(socket, "calling.end", ANSWER, "1")
    world.run()
    assert [request.method for request in world.performed] == ["calling.answer", "calling.end", "calling.end"]


def test_answers_are_remembered_for_so_many_requests() -> None:
    world = World(limits=Limits(remembered=2))
    socket = world.connect()
    for name in ("a", "b", "c", "a"):
        world.ask(socket, "calling.answer", ANSWER, name)
        world.run()
    assert len(world.performed) == 4


def test_every_request_is_answered_in_time_whatever_happens() -> None:
    world = World(perform=lambda request: None)
    socket = world.connect()
    world.ask(socket, "calling.answer", ANSWER, "slow")
    world.run()
    world.wait(7.9)
    assert world.answer_to("slow") == []
    world.wait(0.2)
    (answer,) = world.answer_to("slow")
    assert answer["result"]["code"] == "500"
    world.feed(frames.Answered(ticket=world.performed[0].ticket, result={"code": "200"}))
    world.run()
    assert len(world.answer_to("slow")) == 1


def test_a_session_has_so_many_requests_under_way() -> None:
    world = World(limits=Limits(requests=2), perform=lambda request: None)
    socket = world.connect()
    for name in ("a", "b", "c"):
        world.ask(socket, "calling.answer", {"call_id": name}, name)
    world.run()
    assert len(world.performed) == 2
    assert world.answer_to("c")[0]["result"]["code"] == "429"


def test_a_notification_is_done_and_not_answered() -> None:
    world = World()
    socket = world.connect()
    before = len(socket.received)
    text = '{"jsonrpc":"2.0","method":"calling.answer","params":{}}'
    socket.to_server.append(frames.Text(text))
    socket.to_server.append(frames.Text(text.replace("calling.answer", "signalwire.x")))
    world.run()
    assert len(world.performed) == 1
    assert len(socket.received) == before
