"""A socket: who it is comes first; whoever says nothing, or nothing of use, is closed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.relay import frames
from cordboard.relay.connection import Connection, Patience
from cordboard.relay.handshake import Signer, read_connect

from .client_bench import PROJECT, TOKEN, Socket, World


def said(socket: Socket) -> list[Any]:
    """The error codes of what came back."""
    return [frame.get("error", {}).get("code") for frame in socket.received]


@pytest.mark.parametrize("method", ["calling.dial", "signalwire.receive", "signalwire.x", "x"])
def test_nothing_is_heard_before_the_connect(method: str) -> None:
    world = World()
    socket = world.open()
    world.ask(socket, method, {"tag": "t", "contexts": ["office"]}, "early")
    world.run()
    assert said(socket) == [-32000]
    assert socket.received[0]["id"] == "early"
    assert world.performed == []
    assert list(world.session.contexts) == []


def test_a_ping_is_answered_before_the_connect() -> None:
    world = World()
    socket = world.open()
    world.ask(socket, "signalwire.ping", {"timestamp": 1}, "p")
    world.run()
    assert socket.received == [{"jsonrpc": "2.0", "id": "p", "result": {"timestamp": 1}}]


def test_wrong_credentials_get_their_code_and_the_socket_is_closed_whatever_follows() -> None:
    """The Node clients go on with calling.dial after they were refused."""
    world = World()
    socket = world.open()
    wrong = {"authentication": {"project": PROJECT, "token": "wrong"}}
    world.ask(socket, "signalwire.connect", wrong, "c")
    world.ask(socket, "calling.dial", {"tag": "t", "devices": []})
    world.ask(socket, "signalwire.connect", world.credentials())
    world.run()
    assert said(socket) == [-32002]
    assert socket.close_code == 1008
    assert world.performed == []
    assert world.session.socket is None


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (None, -32602),
        ([], -32602),
        ({}, -32602),
        ({"authentication": "x"}, -32602),
        ({"authentication": {}}, -32002),
        ({"authentication": {"jwt_token": "x"}}, -32002),
        ({"authentication": {"project": PROJECT, "token": 7}}, -32002),
        ({"authentication": {"project": PROJECT, "token": ""}}, -32002),
        ({"authentication": {"project": "x" * 256, "token": TOKEN}}, -32002),
        ({"authentication": {"project": PROJECT, "token": TOKEN}, "contexts": "office"}, -32602),
        ({"authentication": {"project": PROJECT, "token": TOKEN}, "contexts": [None]}, -32602),
    ],
)
def test_a_connect_that_cannot_be_used_is_refused_and_closed(params: Any, code: int) -> None:
    world = World()
    socket = world.open()
    text = json.dumps({"jsonrpc": "2.0", "id": "c", "method": "signalwire.connect", "params": params})
    socket.to_server.append(frames.Text(text))
    world.run()
    assert said(socket) == [code]
    assert socket.close_code == 1008


def test_any_version_and_unknown_keys_are_taken() -> None:
    for version in ({"major": 2}, {"major": 4, "minor": 0, "revision": 0}, None, "x"):
        world = World()
        assert "result" in world.connect(version=version, eventing=["x"], agent=7).received[0]


def test_a_second_connect_on_a_socket_is_refused_and_the_socket_stays() -> None:
    world = World()
    socket = world.connect()
    world.ask(socket, "signalwire.connect", world.credentials())
    world.run()
    assert said(socket)[-1] == -32600
    assert socket.is_open


def test_a_socket_that_does_not_connect_in_time_is_closed() -> None:
    world = World()
    socket = world.open()
    world.wait(9.9)
    world.ask(socket, "signalwire.ping")
    world.run()
    assert socket.is_open
    world.wait(0.2)
    assert socket.close_code == 1008


def test_nonsense_is_answered_for_a_while_and_then_the_socket_is_closed() -> None:
    world = World(patience=Patience(nonsense=3))
    socket = world.open()
    for _ in range(5):
        socket.to_server.append(frames.Text("nonsense"))
    world.run()
    assert said(socket) == [-32700] * 4
    assert [frame["id"] for frame in socket.received] == [None] * 4
    assert socket.close_code == 1008


def test_a_far_end_that_answers_pings_stays_and_one_that_does_not_is_closed() -> None:
    world = World()
    socket = world.connect()
    world.wait(3_600.0)
    assert socket.is_open
    world.wait(16.0, deliver=False)
    socket.to_client.clear()
    world.wait(31.0, deliver=False)
    assert frames.Close(socket.number, 1001, "no sign of life") in socket.to_client


# ---------------------------------------------------------------- names of sessions


def test_a_protocol_string_belongs_to_one_project_and_one_server() -> None:
    signer = Signer("key")
    name = signer.protocol("with_underscores_", "12ab-34")
    assert signer.is_ours(name, "with_underscores_")
    assert not signer.is_ours(name, "with_underscores")
    assert not signer.is_ours(name, "another")
    assert not Signer("other key").is_ours(name, "with_underscores_")
    assert signer.signature("a") != signer.signature("b")
    assert "_" not in signer.signature("a")
    assert not signer.is_ours(None, "a")


@pytest.mark.parametrize("instance", ["", "x" * 65, "a b", "A", "1" * 65, "../", "1\n"])
def test_a_protocol_string_with_another_instance_than_a_server_makes_is_not_ours(instance: str) -> None:
    signer = Signer("key")
    assert not signer.is_ours(signer.protocol("p", instance), "p")


@given(st.text())
def test_an_authorization_state_that_was_not_made_here_names_nothing(state: str) -> None:
    assert Signer("key").protocol_of(state) is None


def test_an_authorization_state_names_the_session_but_opens_nothing() -> None:
    signer = Signer("key")
    protocol = signer.protocol("p", "1")
    state = signer.authorization_state(protocol)
    credentials = {"project": "p", "token": "t"}
    read = read_connect({"authentication": credentials, "authorization_state": state}, signer)
    assert getattr(read, "protocol", None) == protocol
    without = read_connect({"authentication": {"project": "p"}, "authorization_state": state}, signer)
    assert getattr(without, "code", None) == -32002
    assert Signer("other").protocol_of(state) is None


def test_a_token_is_not_shown() -> None:
    read = read_connect({"authentication": {"project": "p", "token": "secret-1"}}, Signer("key"))
    assert "secret-1" not in repr(read)


@given(st.lists(st.text() | st.binary(), max_size=5), st.binary(max_size=20))
def test_no_message_makes_it_raise(texts: list[str | bytes], payload: bytes) -> None:
    connection = Connection(1, Signer("key"), 0.0)
    for text in texts:
        connection.handle(frames.Text(text), 1.0)
        connection.handle(frames.Pong(payload), 1.0)
