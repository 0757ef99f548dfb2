"""RELAY: messages, requests, and whole lives of clients that come, ask, are cut off and come back."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from cordboard import jsonrpc
from cordboard.call.actions import CallInfo
from cordboard.call.effects import (
    CallStateChanged,
    CommandAnswered,
    ConnectStateChanged,
    DialStateChanged,
    Happening,
    PlayStateChanged,
)
from cordboard.call.reasons import ending
from cordboard.relay import answers, methods
from cordboard.relay.requests import Refusal
from fuzz.relay_requests import ODD, SAMPLES, Choices, change, request
from fuzz.relay_world import TOKENS, Line, World, connect

_MOST_CLIENTS = 6
_MOST_CALLS = 30
_MOST_STEPS = 400


def message(data: bytes) -> None:
    """A text is a message or is refused; whatever it is can be answered, and reads the same both ways."""
    found = jsonrpc.parse(data)
    text = data.decode("utf-8", "replace")
    if text.encode() == data:
        assert jsonrpc.parse(text) == found or "nan" in text.lower()
    if isinstance(found, jsonrpc.Invalid):
        json.loads(jsonrpc.error(found.id, found.code, found.message))
        return
    json.loads(jsonrpc.result(found.id, {}))
    if isinstance(found, jsonrpc.Request) and isinstance(found.params, dict):
        _judge_request(found.method, found.params)


def requests(data: bytes) -> None:
    """Requests of programs with odd things in them are read or refused with a sentence."""
    choices = Choices(data)
    while not choices.is_over:
        _judge_request(*request(choices))


def _judge_request(method: str, params: Any) -> None:
    read = methods.read(method, params)
    if isinstance(read, Refusal):
        assert read.code[0] in "45", read
        assert 0 < len(read.message) < 2_000, read
    answered = None if isinstance(read, Refusal) else CommandAnswered(ticket="", url="u")
    told = answers.result(read, answered, node_id="node", call_id="call")
    assert "result" not in told
    assert len(jsonrpc.result("1", told)) < 3_000


# ---------------------------------------------------------------- lives of clients


def session() -> Callable[[bytes], None]:
    """The world of `relay_world`, and what the bytes decide to happen in it."""
    logging.getLogger("cordboard").setLevel(logging.CRITICAL)

    def run(data: bytes) -> None:
        choices, world = Choices(data), World()
        for _ in range(_MOST_STEPS):
            if choices.is_over:
                break
            choices.pick(_STEPS)(world, choices)
            world.check()
        world.finish()
        world.hub.farewell()
        world.forget()
        world.hub.stop()

    return run


def _line(world: World, choices: Choices) -> Line | None:
    return choices.pick(world.lines[-_MOST_CLIENTS:]) if world.lines else None


def _connect(world: World, choices: Choices) -> None:
    line = world.open(f"192.0.2.{choices.below(8)}")
    if choices.below(8) == 0:
        return  # says nothing
    project = choices.pick(["one", "one", "two", "nobody"])
    more: dict[str, Any] = {
        "event_acks": choices.below(3) > 0,
        "contexts": choices.pick([["office"], [], ["a"]]),
    }
    if choices.below(16) == 15:
        more[choices.pick(["authentication", "contexts", "protocol"])] = choices.pick(ODD)
    line.say(connect(_id(choices), project, choices.pick([None] * 15 + ["wrong"]), **_bearable(more)))


def _resume(world: World, choices: Choices) -> None:
    """With the name of any session, right or wrong."""
    older = _line(world, choices)
    if older is None or not older.protocol:
        return
    project = older.project if choices.below(4) else choices.pick(list(TOKENS))
    signer = world.hub._signer
    name = {"protocol": older.protocol}
    if choices.below(2):
        name = {"authorization_state": signer.authorization_state(older.protocol)}
    line = world.open(older.source)
    line.say(connect(_id(choices), project, event_acks=choices.below(3) > 0, **name))


def _ask(world: World, choices: Choices) -> None:
    line = _line(world, choices)
    if line is None:
        return
    method, params = request(choices)
    if isinstance(params, dict) and "call_id" in params and world.calls.knowers and choices.below(8):
        params["call_id"] = choices.pick(list(world.calls.knowers)[-_MOST_CALLS:])
    try:
        line.say(json.dumps({"jsonrpc": "2.0", "id": _id(choices), "method": method, "params": params}))
    except (TypeError, ValueError):
        return


def _odd_frame(world: World, choices: Choices) -> None:
    line = _line(world, choices)
    if line is None:
        return
    method, params = request(choices)
    frame = {"jsonrpc": "2.0", "id": _id(choices), "method": method, "params": params}
    change(choices, frame)
    line.say(json.dumps(frame))


def _text(world: World, choices: Choices) -> None:
    line = _line(world, choices)
    if line is not None:
        line.say(choices.some())


def _again(world: World, choices: Choices) -> None:
    """What a client said last comes once more, perhaps from another one."""
    line, other = _line(world, choices), _line(world, choices)
    if line is not None and other is not None:
        line.say(other.last_said)


def _cut(world: World, choices: Choices) -> None:
    line = _line(world, choices)
    if line is not None:
        line.cut()


def _read(world: World, choices: Choices) -> None:
    """And answer events: in order, in disorder, none, or of somebody else."""
    line = _line(world, choices)
    if line is None:
        return
    frames = world.read(line, choices.pick([1_000, 1, 2, 5]))
    ids = [frame["id"] for frame in frames if frame.get("method") == "signalwire.event"]
    for id_ in (ids, ids[::-1], [], ids[::2], ["0-1", "0-2"])[choices.below(5)]:
        line.say(jsonrpc.result(id_, {}))


def _pong(world: World, choices: Choices) -> None:
    line = _line(world, choices)
    if line is None:
        return
    if line.pings and choices.below(8):
        payload, behind = line.pings.pop(0)
        world.read(line, behind)
        line.pong(payload)
    else:
        line.pong(b"%d" % choices.below(256))


def _offer(world: World, choices: Choices) -> None:
    if len(world.calls.infos) < _MOST_CALLS:
        world.offer(choices.pick(list(TOKENS)), choices.pick(["office", "office", "sales"]))


def _happen(world: World, choices: Choices) -> None:
    calls = list(world.calls.infos.values())
    if not calls:
        return
    info: CallInfo = choices.pick(calls)
    happening: Happening = choices.pick(_HAPPENINGS)
    if isinstance(happening, CallStateChanged):
        info.call_state = happening.state
    world.happen(info, happening)
    if info.call_state == "ended":
        world.calls.infos.pop(info.call_id, None)


def _dial_goes_on(world: World, choices: Choices) -> None:
    if not world.calls.dials:
        return
    info = world.calls.dials.pop(choices.below(len(world.calls.dials)))
    state = choices.pick(["answered", "failed"])
    why = ending("client_busy", who="x") if state == "failed" else None
    world.happen(info, DialStateChanged(state=state, call_id=info.call_id, ending=why))


def _tell(world: World, choices: Choices) -> None:
    line = _line(world, choices)
    client = world.client(line) if line is not None else None
    if client is not None:
        for _ in range(choices.pick([1, 2, 3, 4, 30])):
            if world.hub.client(client.session.protocol) is client:
                world.tell(client)


def _time(world: World, choices: Choices) -> None:
    world.loop.advance(choices.pick([0.01, 0.05, 0.3, 1.0, 6.0, 9.0, 16.0, 31.0, 61.0]))


def _answer_later(world: World, choices: Choices) -> None:
    world.calls.answer = choices.pick(_ANSWERS)


def _answer_now(world: World, choices: Choices) -> None:
    waiting = world.calls.waiting
    if waiting:
        waiting.pop(choices.below(len(waiting)))(choices.pick(_ANSWERS) or CommandAnswered(ticket=""))


def _id(choices: Choices) -> Any:
    """Few of them, so that they come again."""
    return choices.pick(["1", "2", "3", 1, 2, "1", "4", "5", "6", "7"])


def _bearable(more: dict[str, Any]) -> dict[str, Any]:
    """What a JSON text can hold."""
    try:
        msgspec.json.encode(more)
    except (OverflowError, ValueError):
        return {}
    return more


_ANSWERS = [None, CommandAnswered(ticket=""), CommandAnswered(ticket="", code="409", message="Not now.")]
_HAPPENINGS: list[Happening] = [
    CallStateChanged(state="created"),
    CallStateChanged(state="ringing"),
    CallStateChanged(state="answered"),
    CallStateChanged(state="ended", ending=ending("client_busy", who="x")),
    PlayStateChanged(control_id="x0", state="playing"),
    PlayStateChanged(control_id="x0", state="finished"),
    ConnectStateChanged(state="connecting"),
    ConnectStateChanged(state="connected", peer_call_id="c1", peer_device_type="sip", peer_to="sip:a@b"),
    ConnectStateChanged(state="disconnected", peer_call_id="c1", peer_device_type="sip"),
    ConnectStateChanged(state="failed", ending=ending("client_busy", who="x")),
]
_STEPS: list[Callable[[World, Choices], None]] = [
    _connect, _resume, _again, _ask, _ask, _ask, _odd_frame, _text, _cut, _read, _read, _pong, _offer,
    _happen, _happen, _dial_goes_on, _tell, _tell, _time, _answer_later, _answer_now,
]  # fmt: skip


# ---------------------------------------------------------------- seeds


def messages() -> Iterator[bytes]:
    """Each sample as a message."""
    for number, (method, params) in enumerate(SAMPLES):
        yield jsonrpc.request(str(number), method, params)
    yield connect("c", "one", contexts=["office"])
    yield jsonrpc.result("1", {"code": "200"})


def choices() -> Iterator[bytes]:
    """Each sample, and each with changes."""
    for number in range(len(SAMPLES)):
        yield bytes((number, 0))
        yield bytes((number, 3, *(number * 7 % 251 + n for n in range(5)), *range(24)))


def lives() -> Iterator[bytes]:
    """A client that connects, is offered a call, answers it, loses its socket, comes back; and all of it."""
    each = list(_lives())
    yield from each
    yield b"".join(each) * 4


def _lives() -> Iterator[bytes]:
    begin, slow = _step(_connect, 0, 1, 0, 1, 0, 0, 0, 0), _step(_connect, 1, 1, 0, 0, 0, 0, 1, 0)
    other = _step(_connect, 2, 1, 2, 1, 0, 0, 2, 0)
    offer, ask = _step(_offer, 0, 0), _step(_ask, 0, 3, 0, 1, 0, 1)
    cut, again, later = _step(_cut, 0), _step(_resume, 0, 1, 0, 1, 1), _step(_time, 2)
    tell, many, read = _step(_tell, 0, 2), _step(_tell, 0, 4), _step(_read, 0, 0, 0)
    yield begin + _step(_answer_later, 1) + offer + ask + tell + read
    yield begin + _step(_answer_later, 1) + offer + tell + cut + tell + again + read + ask
    yield begin + slow + offer + offer + ask + cut + _step(_time, 4) + again + tell + read
    yield begin + offer + ask + _step(_again, 0, 0) + _step(_answer_now, 0, 1) + _step(_again, 0, 0)
    yield begin + tell + tell + _step(_read, 0, 2, 0) + _step(_read, 0, 1, 0) + cut + again
    yield slow + tell + later + tell + _step(_pong, 0, 1) + cut + again + tell + later + read
    yield begin + many + many + again + tell
    yield begin + other + again + _step(_resume, 0, 0, 1, 0, 1, 1) + offer + _step(_happen, 0, 2) + ask
    yield (
        begin
        + _step(_odd_frame, 0, 3, 0, 0)
        + bytes(range(60))
        + _step(_text, 0, 22)
        + b'{"id":1,"method":"x"}'
    )


def _step(what: Callable[[World, Choices], None], *decisions: int) -> bytes:
    return bytes((_STEPS.index(what), *decisions))
