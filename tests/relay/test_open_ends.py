"""Whenever the server dies, what a client was told and what it is told afterwards make one whole."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec
import pytest

from cordboard.relay.open_ends import Event, OpenEnds
from cordboard.testing.recording_legs import Caller, FarEnd

from .test_calls import ANSWERS, BUSY, HANGS_UP, HELLO, PIN, SILENT, Program, devices

LONG = [{"type": "silence", "params": {"duration": 60}}]
TAP = {"tap": {"type": "audio"}, "device": {"type": "rtp", "params": {"addr": "127.0.0.1", "port": 9}}}


ASKED: dict[str, dict[str, Any]] = {
    "play": {"play": LONG},
    "record": {"record": {"audio": {}}},
    "collect": {"initial_timeout": 60, "digits": {"max": 9}, "partial_results": True},
    "detect": {"detect": {"type": "digit"}},
    "tap": TAP,
    "play_and_collect": PIN,
    "send_digits": {"digits": "12"},
}


def everything(**far_ends: FarEnd) -> Program:
    """An answered caller, with all that can go on at once."""
    program = Program(**far_ends)
    program.take(Caller(hangs_up_at=60.0, does=((3.0, "press 1"),)))
    program.later(1.0, "answer", call_id="a")
    for control_id, (method, params) in enumerate(ASKED.items()):
        program.later(2.0, method, call_id="a", control_id=str(control_id), **params)
    return program


def one_dial() -> Program:
    program = Program(b=HANGS_UP)
    program.ask("dial", tag="t", devices=devices("b"))
    return program


def a_race() -> Program:
    program = Program(b=BUSY, c=ANSWERS, d=SILENT)
    program.ask("dial", tag="t", devices=devices("b", "c d"))
    program.time.at(20.0, lambda: program.ask("end", call_id=program.leg("c")))
    return program


def a_dial_that_fails() -> Program:
    program = Program(b=BUSY, c=SILENT)
    program.ask("dial", tag="t", devices=devices("b c"))
    return program


def a_begin() -> Program:
    program = Program(b=HANGS_UP)
    program.ask("begin", tag="t", device=devices("b")[0][0])
    return program


def a_bridge() -> Program:
    program = everything(b=ANSWERS, c=SILENT)
    program.later(4.0, "connect", call_id="a", tag="t", devices=devices("b c"))
    program.time.at(9.0, lambda: program.ask("play", call_id=program.leg("b"), control_id="x", play=HELLO))
    program.later(12.0, "disconnect", call_id="a")
    program.time.at(30.0, lambda: program.ask("end", call_id=program.leg("b")))
    return program


def a_bridge_that_fails() -> Program:
    program = everything(b=BUSY)
    program.later(4.0, "connect", call_id="a", tag="t", devices=devices("b"))
    return program


SCENES = (everything, one_dial, a_race, a_dial_that_fails, a_begin, a_bridge, a_bridge_that_fails)


def ended_after(program: Program, count: int) -> list[Event]:
    """What the client is told in all, if the server dies after so many steps."""
    ends = OpenEnds()
    for what, about in program.log[:count]:
        getattr(ends, what)(*about)
    # They come back from the disk.
    ends = msgspec.json.decode(msgspec.json.encode(ends), type=OpenEnds)
    return ends.last_events()


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_is_owed_when_all_was_told(scene: Any) -> None:
    program = scene()
    program.brief()
    assert program.events
    assert ended_after(program, len(program.log)) == []


@pytest.mark.parametrize("scene", SCENES)
def test_whenever_the_server_dies_everything_ends_once(scene: Any) -> None:
    program = scene()
    program.brief()
    for count in range(len(program.log) + 1):
        told = [about for what, about in program.log[:count] if what == "told"]
        begun = [about for what, about in program.log[:count] if what == "accepted"]
        check([*told, *ended_after(program, count)], begun)


def check(whole: list[Any], begun: list[tuple[Any, ...]]) -> None:
    states = Counter(
        (params["call_id"], params["call_state"])
        for kind, params in whole
        if kind in ("calling.call.state", "calling.call.receive")
    )
    for call_id in {call_id for call_id, _ in states}:
        assert states[call_id, "ending"] == states[call_id, "ended"] == 1
        mine = [kind_and(event) for event in whole if event[1].get("call_id") == call_id]
        assert [state for _, state in mine[-2:]] == ["ending", "ended"], "nothing follows the end"
        bridges = " ".join(state for kind, state in mine if kind == "calling.call.connect")
        assert re.fullmatch("(connecting )?(failed|connected disconnected)|", bridges)
    for method, call_id, about in begun:
        kind = "calling.call." + method.removeprefix("calling.").removeprefix("play_and_")
        its = [
            one
            for one in whole
            if one[0] == kind and one[1].get("control_id") == about.get("control_id", "?")
        ]
        assert about == {} or [one[1]["call_id"] for one in its if is_last(one)] == [call_id], method
    dials = [event for event in whole if event[0] == "calling.call.dial"]
    said = [params["dial_state"] for _, params in dials]
    assert said in ([], ["dialing", "answered"], ["dialing", "failed"])
    assert "failed" not in said or whole[-1] == dials[-1], "it fails when nothing of it is left"


def kind_and(event: Event) -> tuple[str, str]:
    kind, params = event
    return kind, params.get("call_state") or params.get("connect_state") or str(params.get("state"))


def is_last(event: Event) -> bool:
    kind, params = event
    if kind == "calling.call.detect":
        return params["detect"]["params"]["event"] in ("finished", "error")
    return params.get("state") in ("finished", "no_input", "error")


# ------------------------------------------------------------ one by one


def call(state: str = "answered", **more: Any) -> dict[str, Any]:
    names = {"call_id": "a", "node_id": "n", "segment_id": "s"}
    return {
        **names,
        "call_state": state,
        "direction": "inbound",
        "device": {"type": "sip", "params": {}},
        **more,
    }


def with_call(**more: Any) -> OpenEnds:
    ends = OpenEnds()
    ends.told("calling.call.receive", call("created", context="office", project_id="p", space_id="x"))
    ends.told("calling.call.state", call(context="office", **more))
    return ends


@pytest.mark.parametrize(
    ("method", "more", "last"),
    [
        ("play", {}, {"state": "finished"}),
        ("collect", {}, {"result": {"type": "no_input"}, "final": True, "state": "finished"}),
        ("play_and_collect", {}, {"result": {"type": "no_input"}, "final": True, "state": "finished"}),
        ("detect", {"detect": {"type": "fax"}}, {"detect": {"type": "fax", "params": {"event": "finished"}}}),
        ("send_digits", {}, {"state": "error"}),
        ("tap", {}, {"state": "finished"}),
        ("record", {}, {"state": "no_input", "duration": 0, "size": 0}),
    ],
)
def test_what_was_accepted_and_had_no_event_yet_ends_before_its_call(
    method: str, more: dict[str, Any], last: dict[str, Any]
) -> None:
    ends = with_call()
    ends.accepted(f"calling.{method}", "a", {"control_id": "c", **more})
    (kind, params), ending, ended = ends.last_events()
    assert kind == "calling.call." + method.removeprefix("play_and_")
    assert params == {"call_id": "a", "node_id": "n", "segment_id": "s", "control_id": "c", **last}
    assert (ending[1]["call_state"], ended[1]["call_state"]) == ("ending", "ended")


def test_a_recording_keeps_what_was_told_of_it() -> None:
    ends = with_call()
    about = {"call_id": "a", "control_id": "c", "url": "u", "record": {"audio": {"format": "wav"}}}
    ends.accepted("calling.record", "a", {"control_id": "c"})
    ends.told("calling.call.record", {**about, "state": "recording"})
    assert ends.last_events()[0][1] == {**about, "state": "no_input", "duration": 0, "size": 0}


def test_a_refer_fails_and_a_hold_has_no_last_event() -> None:
    ends = with_call()
    ends.accepted("calling.refer", "a", {"sip_refer_to": "sip:x@y"})
    ends.accepted("calling.hold", "a", {})
    ends.told("calling.call.hold", {"call_id": "a", "state": "hold"})
    (kind, params), *_ = ends.last_events()
    assert kind == "calling.call.refer"
    assert (params["state"], params["sip_refer_to"]) == ("failed", "sip:x@y")
    assert len(ends.last_events()) == 3


def test_the_end_of_a_call_says_why_and_what_the_client_knows_of_the_call() -> None:
    _, (kind, ended) = with_call(tag="t").last_events()
    assert kind == "calling.call.state"
    assert ended == call("ended", context="office", tag="t", end_reason="error", end_source="none")


def test_a_call_that_is_ending_is_told_to_end_once() -> None:
    ends = with_call()
    ends.told("calling.call.state", call("ending", end_reason="hangup"))
    assert [params["call_state"] for _, params in ends.last_events()] == ["ended"]


def test_a_bridge_ends_with_its_peer() -> None:
    ends = with_call()
    peer = {"call_id": "b", "node_id": "n", "device": {"type": "sip", "params": {}}}
    ends.told("calling.call.connect", {"call_id": "a", "connect_state": "connected", "peer": peer})
    assert ends.last_events()[0] == (
        "calling.call.connect",
        {"call_id": "a", "connect_state": "disconnected", "peer": peer},
    )


def test_who_has_asked_for_the_end_of_a_bridge_is_told_of_it() -> None:
    ends = with_call(peer={"call_id": "b", "node_id": "n"}, parent={"call_id": "b"}, tag="t")
    ends.accepted("calling.disconnect", "a", {})
    (_, params), *_ = ends.last_events()
    assert params["connect_state"] == "disconnected"
    assert params["peer"] == {"call_id": "b", "node_id": "n"}
    assert "tag" not in params


def test_what_is_said_of_unknown_calls_and_kinds_has_no_effect() -> None:
    ends = OpenEnds()
    ends.accepted("calling.play", "a", {"control_id": "c"})
    ends.told("calling.call.play", {"call_id": "a", "control_id": "c", "state": "playing"})
    ends.told("calling.call.connect", {"call_id": "a", "connect_state": "connecting"})
    ends.told("messaging.receive", {})
    assert ends.last_events() == []
