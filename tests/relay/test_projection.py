"""The order and the tags that the SDKs can bear (relay-protocol.md 10.2 to 10.4, 12)."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Recording, ScriptWarning, TapTarget
from cordboard.call.effects import (
    CallStateChanged,
    CollectStateChanged,
    ConnectStateChanged,
    DetectStateChanged,
    DialStateChanged,
    Happening,
    HoldStateChanged,
    PlayStateChanged,
    RecordStateChanged,
    ReferStateChanged,
    ScriptWarned,
    SendDigitsStateChanged,
    TapStateChanged,
)
from cordboard.call.info import CallInfo
from cordboard.call.reasons import Ending, ending
from cordboard.relay.projection import Event, Projection

BUSY, NO_ANSWER = ending("user_busy", sip_code=486), ending("ring_timeout")
GONE, CANCELLED = ending("hangup_far_end"), ending("lost_race")
BOB = {"type": "sip", "params": {"from": "sip:a@a.example", "to": "sip:bob@b.example:5070", "timeout": 30}}


def call(call_id: str, **changes: Any) -> CallInfo:
    given: dict[str, Any] = {
        "call_id": call_id,
        "node_id": "n",
        "segment_id": "s-" + call_id,
        "project_id": "p",
        "space_id": "sp",
        "session_id": "session",
        "call_state": "created",
        "direction": "outbound",
        "type": "sip",
        "from_": "sip:a@a.example",
        "to": "sip:bob@b.example",
        "tag": "t",
        "device": BOB,
    }
    return CallInfo(**(given | changes))


DIAL = call("dial", type="", from_="", to="", device=None)
A = call("a", direction="inbound", type="phone", from_="+1555", to="+1666", tag=None, device=None)


def leg(call_id: str, **changes: Any) -> CallInfo:
    """One that a connect of `a` has made."""
    return call(call_id, parent_call_id="a", parent_device_type="phone", **changes)


class Client:
    """What one client is told."""

    def __init__(self) -> None:
        self.projection = Projection("n")
        self.told: list[Event] = []

    def hear(self, info: CallInfo, *happenings: Happening) -> None:
        for happening in happenings:
            self.told += self.projection.events(info, happening, {})

    def states(self, info: CallInfo, *states: str, why: Ending = GONE) -> None:
        for state in states:
            self.hear(info, CallStateChanged(state=state, ending=why if state == "ended" else None))

    def offered(self) -> Client:
        self.told.append(self.projection.offer(A, "office"))
        self.states(A, "answered")
        self.projection.asked("a")
        self.told.clear()
        return self

    @property
    def brief(self) -> list[str]:
        """`b ringing t`, `dial answered b`, `a connected b`: whom, what, with which tag or peer."""
        return [short(*event) for event in self.told]

    def last(self) -> dict[str, Any]:
        return self.told[-1][1]


def short(event_type: str, params: dict[str, Any]) -> str:
    kind = event_type.removeprefix("calling.call.")
    if kind == "state":
        return " ".join(filter(None, (params["call_id"], params["call_state"], params.get("tag"))))
    if kind == "dial":
        return " ".join(filter(None, ("dial", params["dial_state"], params.get("call", {}).get("call_id"))))
    if kind == "connect":
        peer = params.get("peer", {}).get("call_id")
        return " ".join(filter(None, (params["call_id"], params["connect_state"], peer)))
    return f"{params['call_id']} {kind} {params.get('state', '')}".strip()


def dial(state: str, call_id: str | None = None, why: Ending | None = None) -> DialStateChanged:
    return DialStateChanged(state=state, call_id=call_id, ending=why)


def connect(state: str, peer: str | None = None, why: Ending | None = None) -> ConnectStateChanged:
    return ConnectStateChanged(
        state=state,
        peer_call_id=peer,
        peer_device_type="sip",
        peer_from="sip:a@a.example",
        peer_to="sip:bob@b.example;transport=udp",
        peer_tag="t",
        ending=why,
    )


# ------------------------------------------------------------ dial (10.2)


def test_a_dial_of_one_device_is_answered_before_its_leg_is() -> None:
    client, b = Client(), call("b")
    client.hear(DIAL, dial("dialing"))
    client.states(b, "created", "ringing", "answered")
    client.hear(DIAL, dial("answered", "b"))
    assert client.brief == [
        "dial dialing",
        "b created t",
        "b ringing t",
        "dial answered b",
        "b answered t",
    ]


def test_the_winner_among_several_is_tagged_from_its_answer_on_and_that_comes_first() -> None:
    client, b, c = Client(), call("b", sole=False), call("c", sole=False)
    client.hear(DIAL, dial("dialing"))
    client.states(b, "created", "ringing")
    client.states(c, "created", "ringing", "answered")
    assert client.brief == ["dial dialing", "b created", "b ringing", "c created", "c ringing"]
    client.hear(DIAL, dial("answered", "c"))
    client.states(b, "ended", why=CANCELLED)
    client.states(c, "ended")
    assert client.brief[5:] == [
        "c answered t",
        "dial answered c",
        "b ending",
        "b ended",
        "c ending t",
        "c ended t",
    ]


def test_the_call_of_an_answered_dial_is_whole() -> None:
    client, b = Client(), call("b")
    client.hear(DIAL, dial("dialing"))
    client.states(b, "created", "answered")
    client.hear(DIAL, dial("answered", "b"))
    event_type, params = client.told[-2]
    assert event_type == "calling.call.dial"
    assert params == {
        "node_id": "n",
        "tag": "t",
        "dial_state": "answered",
        "call": {
            "call_id": "b",
            "node_id": "n",
            "segment_id": "s-b",
            "tag": "t",
            "call_state": "answered",
            "direction": "outbound",
            "device": BOB,
            "dial_winner": "true",
        },
    }


def test_a_failed_dial_is_told_after_the_end_of_its_legs() -> None:
    client, b, c = Client(), call("b", sole=False), call("c", sole=False)
    client.hear(DIAL, dial("dialing"))
    client.states(b, "created", "ringing")
    client.states(c, "created")
    client.states(b, "ended", why=BUSY)
    client.hear(DIAL, dial("failed", why=NO_ANSWER))
    assert client.brief[-1] == "b ended"
    client.states(c, "ended", why=NO_ANSWER)
    assert client.brief[-2:] == ["c ended", "dial failed"]
    assert client.last() == {
        "node_id": "n",
        "tag": "t",
        "dial_state": "failed",
        "reason": "noAnswer",
        "source": "outbound",
    }
    assert len(client.projection) == 0


def test_a_dial_that_dials_nobody_fails_at_once() -> None:
    client = Client()
    client.hear(DIAL, dial("dialing"), dial("failed", why=ending("bad_destination")))
    assert client.brief == ["dial dialing", "dial failed"]
    assert client.last()["reason"] == "error"


@pytest.mark.parametrize("sole", [True, False])
def test_a_leg_that_hangs_up_before_it_could_win_makes_the_dial_fail(sole: bool) -> None:
    """Its `ended` has overtaken the news of its answer; the held answer is told all the same."""
    client, b = Client(), call("b", sole=sole)
    client.hear(DIAL, dial("dialing"))
    client.states(b, "created", "answered", "ended")
    client.hear(DIAL, dial("answered", "b"))
    tag = " t" if sole else ""
    assert client.brief[2:] == ["b answered" + tag, "b ending" + tag, "b ended" + tag, "dial failed"]
    assert client.last()["reason"] == "hangup"
    assert len(client.projection) == 0


def test_a_dial_whose_leg_has_not_said_that_it_is_answered_says_it_once() -> None:
    client, b = Client(), call("b", sole=False)
    client.hear(DIAL, dial("dialing"))
    client.states(b, "created")
    client.hear(DIAL, dial("answered", "b"))
    client.states(b, "answered")
    assert client.brief[2:] == ["b answered t", "dial answered b"]


def test_a_begin_has_the_states_of_its_leg_and_no_dial_events() -> None:
    client, b = Client(), call("b")
    client.projection.begun("t")
    client.hear(DIAL, dial("dialing"))
    client.states(b, "created", "ringing", "answered")
    client.hear(DIAL, dial("answered", "b"))
    client.states(b, "ended")
    assert client.brief == ["b created t", "b ringing t", "b answered t", "b ending t", "b ended t"]
    assert len(client.projection) == 0


# ------------------------------------------------------------ connect (10.3, 10.4)


def test_a_connect_of_one_device_tags_its_leg_from_the_start() -> None:
    client, b = Client().offered(), leg("b")
    client.hear(A, connect("connecting"))
    client.states(b, "created", "ringing", "answered")
    client.hear(A, connect("connected", "b"))
    assert client.brief == ["a connecting", "b created t", "b ringing t", "b answered t", "a connected b"]
    assert client.last() == {
        "call_id": "a",
        "node_id": "n",
        "segment_id": "s-a",
        "connect_state": "connected",
        "peer": {"call_id": "b", "node_id": "n", "tag": "t", "device": BOB},
    }


def test_among_several_only_the_winner_is_tagged_from_its_answer_on() -> None:
    client = Client().offered()
    b, c, d = (leg(name, sole=False) for name in "bcd")
    client.states(b, "created", "ended", why=BUSY)
    client.states(c, "created", "ringing", "answered")
    client.states(d, "created", "answered")
    client.hear(A, connect("connected", "c"))
    client.states(d, "ended", why=CANCELLED)
    client.states(c, "ended")
    assert client.brief == [
        "b created",
        "b ending",
        "b ended",
        "c created",
        "c ringing",
        "d created",
        "c answered t",
        "a connected c",
        "d answered",
        "d ending",
        "d ended",
        "c ending t",
        "c ended t",
    ]


def test_a_dialled_leg_names_its_peer_from_the_start() -> None:
    client, b = Client().offered(), leg("b")
    client.states(b, "created", "ended", why=BUSY)
    for _, params in client.told:
        assert params["peer"] == {"call_id": "a", "node_id": "n"}
        assert params["parent"] == {"device_type": "phone", "call_id": "a", "node_id": "n"}
    assert client.last()["end_reason"] == "busy"


def test_a_connect_that_fails_says_why() -> None:
    client = Client().offered()
    client.hear(A, connect("failed", why=NO_ANSWER))
    assert client.last() == {
        "call_id": "a",
        "node_id": "n",
        "segment_id": "s-a",
        "connect_state": "failed",
        "failed_reason": "noAnswer",
    }


def test_the_connect_events_of_a_dialled_call_carry_its_own_tag() -> None:
    client, b = Client(), call("b", tag="mine")
    client.states(b, "created", "answered")
    client.projection.asked("b")
    client.hear(b, connect("connecting"))
    assert client.last()["tag"] == "mine"


def test_the_connect_events_of_a_peer_do_not_carry_the_tag_of_the_connect_that_made_it() -> None:
    """v3 would take them for events of that connect."""
    client, b = Client().offered(), leg("b")
    client.states(b, "created", "answered")
    client.projection.asked("b")
    client.hear(b, connect("connecting"))
    assert "tag" not in client.last()


def test_connect_events_that_nobody_has_asked_for_are_not_told() -> None:
    """A script connects, or a far end transfers its other side."""
    client, b = Client().offered(), leg("b")
    client.states(b, "created", "answered")
    client.hear(A, connect("connected", "b"), connect("disconnected", "b"))
    before = len(client.told)
    client.hear(A, connect("connecting"), connect("connected", "c"), connect("disconnected", "c"))
    client.hear(b, connect("connecting"), connect("failed", why=NO_ANSWER))
    assert len(client.told) == before


def test_the_peer_that_has_hung_up_is_still_named_in_full() -> None:
    client, b = Client().offered(), leg("b")
    client.states(b, "created", "answered")
    client.hear(A, connect("connected", "b"))
    client.states(b, "ended")
    client.hear(A, connect("disconnected", "b"))
    assert client.brief[-3:] == ["b ending t", "b ended t", "a disconnected b"]
    assert client.last()["peer"] == {"call_id": "b", "node_id": "n", "tag": "t", "device": BOB}


def test_the_own_leg_hears_of_the_end_of_its_bridge_before_its_own() -> None:
    client, b = Client().offered(), leg("b")
    client.states(b, "created", "answered")
    client.hear(A, connect("connected", "b"), connect("disconnected", "b"))
    client.states(A, "ended")
    assert client.brief[-4:] == ["a connected b", "a disconnected b", "a ending", "a ended"]
    client.hear(A, connect("disconnected", "b"))
    assert client.brief[-1] == "a ended"


def test_a_peer_that_asked_to_be_disconnected_hears_of_it() -> None:
    client, b = Client().offered(), leg("b")
    client.states(b, "created", "answered")
    client.hear(A, connect("connected", "b"))
    client.projection.asked("b")
    client.hear(b, connect("disconnected", "a"))
    assert client.last()["peer"]["device"] == {
        "type": "phone",
        "params": {"from_number": "+1555", "to_number": "+1666"},
    }


def test_a_peer_that_the_client_does_not_know_has_its_full_addresses() -> None:
    client = Client().offered()
    client.hear(A, connect("connected", "stranger"))
    assert client.last()["peer"]["device"] == {
        "type": "sip",
        "params": {"from": "sip:a@a.example", "to": "sip:bob@b.example;transport=udp"},
    }


# ------------------------------------------------------------ inbound (10.1)


def test_an_offer_is_a_whole_call_object() -> None:
    client = Client()
    headers = (("X-Test", "yes"),)
    info = call(
        "a", direction="inbound", tag=None, device=None, call_state="ringing", from_name="Al", headers=headers
    )
    assert client.projection.offer(info, "office") == (
        "calling.call.receive",
        {
            "call_id": "a",
            "node_id": "n",
            "segment_id": "s-a",
            "call_state": "created",
            "direction": "inbound",
            "device": {
                "type": "sip",
                "params": {
                    "from": "sip:a@a.example",
                    "to": "sip:bob@b.example",
                    "from_name": "Al",
                    "headers": [{"name": "X-Test", "value": "yes"}],
                },
            },
            "context": "office",
            "project_id": "p",
            "space_id": "sp",
        },
    )


def test_the_states_of_an_offered_call_name_its_context_and_no_tag() -> None:
    client = Client()
    client.projection.offer(A, "office")
    client.states(A, "created", "ringing", "answered", "ended")
    assert client.brief == ["a answered", "a ending", "a ended"]
    assert client.last() == {
        "call_id": "a",
        "node_id": "n",
        "segment_id": "s-a",
        "call_state": "ended",
        "direction": "inbound",
        "device": {"type": "phone", "params": {"from_number": "+1555", "to_number": "+1666"}},
        "context": "office",
        "end_reason": "hangup",
        "end_source": "inbound",
    }


@pytest.mark.parametrize(
    ("why", "source"),
    [(GONE, "outbound"), (BUSY, "outbound"), (NO_ANSWER, "none"), (ending("client_hung_up"), "none")],
)
def test_an_end_says_whether_it_came_from_the_far_end(why: Ending, source: str) -> None:
    client = Client()
    client.states(call("b"), "created", "ended", why=why)
    assert client.last()["end_source"] == source


def test_nothing_is_told_of_a_call_before_its_offer_nor_after_it_was_passed_on() -> None:
    client = Client()
    client.states(A, "created", "ringing", "answered")
    client.projection.offer(A, "office")
    client.projection.forget("a")
    client.states(A, "ended")
    assert client.brief == []
    assert len(client.projection) == 0


# ------------------------------------------------------------ operations (9)

RECORDING = Recording(format="mp3", terminators="#", initial_timeout=4.0)
AUDIO = {
    "beep": False,
    "format": "mp3",
    "stereo": False,
    "direction": "speak",
    "initial_timeout": 4,
    "end_silence_timeout": 0,
    "terminators": "#",
    "input_sensitivity": 44,
}
C = {"control_id": "c"}
DIGIT = {"digits": "12", "terminator": ""}
COLLECT = "calling.call.collect"


def recorded(state: str, **more: Any) -> RecordStateChanged:
    return RecordStateChanged(control_id="c", state=state, recording=RECORDING, foreground=False, **more)


def collected(kind: str, **more: Any) -> CollectStateChanged:
    return CollectStateChanged(control_id="c", type=kind, **more)


OPERATIONS: list[tuple[Happening, str, dict[str, Any]]] = [
    (PlayStateChanged(control_id="c", state="playing"), "calling.call.play", {**C, "state": "playing"}),
    (PlayStateChanged(control_id="c", state="error"), "calling.call.play", {**C, "state": "error"}),
    (
        recorded("recording", url="https://x/r.mp3"),
        "calling.call.record",
        {**C, "state": "recording", "url": "https://x/r.mp3", "record": {"audio": AUDIO}},
    ),
    (
        recorded("finished", url="https://x/r.mp3", duration=1.5, size=9),
        "calling.call.record",
        {
            **C,
            "state": "finished",
            "url": "https://x/r.mp3",
            "duration": 1.5,
            "size": 9,
            "record": {"audio": AUDIO},
        },
    ),
    (
        recorded("error"),
        "calling.call.record",
        {**C, "state": "no_input", "duration": 0, "size": 0, "record": {"audio": AUDIO}},
    ),
    (
        collected("digit", params=DIGIT),
        COLLECT,
        {**C, "result": {"type": "digit", "params": DIGIT}, "final": True, "state": "finished"},
    ),
    (
        collected("digit", params=DIGIT, goes_on=True),
        COLLECT,
        {**C, "result": {"type": "digit", "params": DIGIT}, "final": True, "state": "collecting"},
    ),
    (
        collected("digit", params=DIGIT, final=False, goes_on=True),
        COLLECT,
        {**C, "result": {"type": "digit", "params": DIGIT}, "final": False, "state": "collecting"},
    ),
    (
        collected("start_of_input", final=False),
        COLLECT,
        {**C, "result": {"type": "start_of_input"}, "state": "collecting"},
    ),
    (
        collected("finished"),
        COLLECT,
        {**C, "result": {"type": "no_input"}, "final": True, "state": "finished"},
    ),
    (
        DetectStateChanged(control_id="c", kind="machine", event="READY", beep=True),
        "calling.call.detect",
        {**C, "detect": {"type": "machine", "params": {"event": "READY", "beep": True}}},
    ),
    (
        DetectStateChanged(control_id="c", kind="fax", event="finished"),
        "calling.call.detect",
        {**C, "detect": {"type": "fax", "params": {"event": "finished"}}},
    ),
    (
        TapStateChanged(control_id="c", state="tapping", target=TapTarget(uri="wss://h/t", direction="both")),
        "calling.call.tap",
        {
            **C,
            "state": "tapping",
            "tap": {"type": "audio", "params": {"direction": "both"}},
            "device": {"type": "ws", "params": {"uri": "wss://h/t", "codec": "PCMU"}},
        },
    ),
    (
        SendDigitsStateChanged(control_id="c", state="finished"),
        "calling.call.send_digits",
        {**C, "state": "finished"},
    ),
    (
        ReferStateChanged(state="success", to="sip:x@y", refer_code=202, notify_code=200),
        "calling.call.refer",
        {
            "state": "success",
            "sip_refer_to": "sip:x@y",
            "sip_refer_response_code": "202",
            "sip_notify_response_code": "200",
        },
    ),
    (HoldStateChanged(state="hold"), "calling.call.hold", {"state": "hold"}),
]


@pytest.mark.parametrize(("happening", "event_type", "members"), OPERATIONS)
def test_an_operation_is_told_without_a_tag(
    happening: Happening, event_type: str, members: dict[str, Any]
) -> None:
    client, b = Client(), call("b")
    client.states(b, "created", "answered")
    client.hear(b, happening)
    wanted = {"call_id": "b", "node_id": "n", "segment_id": "s-b", **members}
    assert client.told[-1] == (event_type, wanted)


@pytest.mark.parametrize(("happening", "event_type", "members"), OPERATIONS)
def test_nothing_is_told_of_operations_after_the_end(
    happening: Happening, event_type: str, members: dict[str, Any]
) -> None:
    client, b = Client(), call("b")
    client.states(b, "created", "ended")
    client.hear(b, happening)
    client.states(b, "ended")
    assert client.brief == ["b created t", "b ending t", "b ended t"]


def test_the_warning_of_a_script_is_for_callbacks_only() -> None:
    client = Client().offered()
    client.hear(A, ScriptWarned(warning=ScriptWarning(code="c", message="m")))
    assert client.told == []


def test_a_device_without_a_from_shows_whom_the_far_end_sees() -> None:
    client = Client()
    device = {"type": "phone", "params": {"to_number": "+1777"}}
    client.states(call("b", type="phone", from_="+1555", to="+1777", device=device), "created")
    assert client.last()["device"]["params"] == {"from_number": "+1555", "to_number": "+1777"}
    assert device == {"type": "phone", "params": {"to_number": "+1777"}}
