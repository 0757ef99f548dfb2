"""Bodies have exactly the members, in the order, of the published examples."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from cordboard.call.actions import CallInfo, Recording, ScriptWarning, TapTarget
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
from cordboard.call.reasons import Ending, EndReason, ending
from cordboard.events.bodies import _KINDS, bare_address, envelope

ID = "a1b2c3d4-0000-4000-8000-00000000000"
AT = 1640000000.123


def call(call_id: str, kind: str = "phone", **changes: Any) -> CallInfo:
    phone = kind == "phone"
    given: dict[str, Any] = {
        "call_id": call_id,
        "node_id": ID + "4@us-east",
        "segment_id": ID + "5",
        "project_id": ID + "1",
        "space_id": ID + "2",
        "session_id": ID + "0",
        "call_state": "created",
        "direction": "outbound",
        "type": kind,
        "from_": "+15551231234" if phone else "sip:alice@a.example.com",
        "to": "+15553214321" if phone else "sip:bob@b.example.com;transport=udp",
    }
    return CallInfo(**(given | changes))


def ended(reason: EndReason) -> Ending:
    return Ending(reason=reason, cause="any")


B_PHONE, B_SIP = call(ID + "6"), call(ID + "6", "sip")
A = call(ID + "3", "sip", direction="inbound")


def connect(state: str, ending: Ending | None = None) -> ConnectStateChanged:
    return ConnectStateChanged(
        state=state,
        peer_call_id=ID + "6",
        peer_device_type="phone",
        peer_from="+15551231234",
        peer_to="+15553214321",
        ending=ending,
    )


PLAYED = {
    f"play.{state}": (PlayStateChanged(control_id=ID + "7", state=state), A)
    for state in ("playing", "paused", "finished", "error")
}
COLLECTED: dict[str, tuple[Happening, CallInfo]] = {
    f"prompt.{kind}": (CollectStateChanged(control_id=ID + "7", type=kind, params=params), A)
    for kind, params in (
        ("digit", {"digits": "1234", "terminator": "#"}),
        ("speech", {"text": "one", "confidence": 0.95}),
        ("no_input", {}),
        ("no_match", {}),
        ("start_of_input", {}),
        ("error", {}),
    )
}
SPOKEN = Recording(format="wav", direction="speak")


def record(
    state: str, *, foreground: bool = True, duration: float = 0.0, size: int = 0
) -> RecordStateChanged:
    return RecordStateChanged(
        control_id=ID + "7",
        state=state,
        recording=SPOKEN,
        url="https://example.com/rec/1",
        duration=duration,
        size=size,
        foreground=foreground,
    )


def tap(state: str, uri: str) -> tuple[Happening, CallInfo]:
    target = TapTarget(uri=uri, direction="both")
    return TapStateChanged(control_id=ID + "7", state=state, target=target), A


TAPPED = {
    "tap.tapping.rtp": tap("tapping", "rtp://192.0.2.10:12345"),
    "tap.finished.ws": tap("finished", "wss://example.com/tap"),
}
ENDED: dict[str, tuple[Happening, CallInfo]] = {
    f"connect.call_state.ended.{reason.value}": (
        CallStateChanged(state="ended", ending=ended(reason)),
        B_PHONE if reason is EndReason.BUSY else B_SIP,
    )
    for reason in EndReason
}
CASES: dict[str, tuple[Happening, CallInfo]] = {
    "connect.call_state.created.phone": (CallStateChanged(state="created"), B_PHONE),
    "connect.call_state.ringing.sip": (CallStateChanged(state="ringing"), B_SIP),
    "connect.call_state.answered.phone": (CallStateChanged(state="answered"), B_PHONE),
    "connect.status.connecting": (connect("connecting"), A),
    "connect.status.connected": (connect("connected"), A),
    "connect.status.failed": (connect("failed", ended(EndReason.NO_ANSWER)), A),
    "connect.status.disconnected": (connect("disconnected"), A),
    **ENDED,
    **PLAYED,
    **COLLECTED,
    **TAPPED,
    "detect_machine.machine": (
        DetectStateChanged(control_id=ID + "7", kind="machine", event="MACHINE", beep=True),
        A,
    ),
    "detect_machine.finished": (
        DetectStateChanged(control_id=ID + "7", kind="machine", event="finished"),
        A,
    ),
    "sip_refer": (
        ReferStateChanged(state="success", to="sip:alice@example.com", refer_code=202, notify_code=200),
        A,
    ),
}


def published() -> dict[str, Any]:
    here = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("CORDBOARD_SPEC", here.parent / "shared" / "spec")) / "event-examples.json"
    if not path.exists():
        pytest.skip(f"the published examples are not at {path}")
    examples: dict[str, Any] = json.loads(path.read_text())
    return examples


@pytest.mark.parametrize("name", CASES)
def test_a_body_equals_the_published_example(name: str) -> None:
    happening, info = CASES[name]
    assert json.dumps(envelope(happening, info, timestamp=AT)) == json.dumps(published()[name])


def test_every_published_example_of_these_families_is_compared() -> None:
    families = ("connect.call_state.", "connect.status.", "play.", "prompt.", "tap.", "detect", "sip_refer")
    known = {name for name in published() if name.startswith(families)}
    assert known - set(CASES) == {"connect.status.connected.queue"}  # queues are not built yet


@pytest.mark.parametrize("state", ["recording", "finished", "no_input"])
def test_the_event_of_a_recording_has_the_published_members(state: str) -> None:
    over = state != "recording"
    body = envelope(record(state, duration=15.0 * over, size=248320 * over), A, timestamp=1640000015.623)
    example = published()[f"record.{state}"]
    example["timestamp"] = 1640000015.623
    # The example counts whole seconds and gives the recording an id of its own.
    example["params"]["recording_id"] = ID + "7"
    if over:
        example["params"]["start_time"] = 1640000000.623
    assert json.dumps(body) == json.dumps(example)


def test_the_event_of_a_background_recording_has_the_members_of_both_layouts() -> None:
    body = envelope(record("finished", foreground=False, duration=15.5, size=248320), A, timestamp=AT)
    example = published()["record_call.finished"]
    assert example["params"]["record"].items() <= body["params"]["record"].items()
    assert body["params"]["record"]["audio"] == {"format": "wav", "direction": "speak", "stereo": False}
    assert (body["params"]["url"], body["params"]["duration"]) == ("https://example.com/rec/1", 15.5)
    del example["params"]["record"]
    assert example["params"].items() <= body["params"].items()


def test_a_recording_that_could_not_begin_has_no_url_and_no_figures() -> None:
    happening = RecordStateChanged(control_id="c", state="error", recording=SPOKEN)
    params = envelope(happening, A, timestamp=AT)["params"]
    assert params["state"] == "error"
    assert not {"url", "duration", "size", "start_time", "end_time"} & set(params)


@pytest.mark.parametrize(
    ("uri", "device"),
    [
        ("rtp://[2001:db8::1]:4000", {"addr": "2001:db8::1", "port": 4000, "codec": "PCMU", "ptime": 20}),
        ("RTP://192.0.2.1:4000", {"addr": "192.0.2.1", "port": 4000, "codec": "PCMU", "ptime": 20}),
        ("rtp://192.0.2.1:99999", {"addr": "192.0.2.1:99999", "port": 0, "codec": "PCMU", "ptime": 20}),
        ("wss://u:secret@h/tap?x=1", {"uri": "wss://h/tap?x=1", "codec": "PCMU"}),
        ("wss://u:p@h?x=a@b", {"uri": "wss://h?x=a@b", "codec": "PCMU"}),
    ],
)
def test_a_tap_names_its_device_and_no_password(uri: str, device: dict[str, Any]) -> None:
    happening, info = tap("tapping", uri)
    assert envelope(happening, info, timestamp=AT)["params"]["device"]["params"] == device


def test_a_result_that_is_not_the_last_says_so() -> None:
    happening = CollectStateChanged(control_id="c", type="start_of_input", final=False)
    assert envelope(happening, A, timestamp=AT)["params"]["final"] is False


def test_every_happening_has_a_body() -> None:
    assert set(_KINDS) == set(get_args(Happening))


@pytest.mark.parametrize(
    ("happening", "event_type", "members"),
    [
        (SendDigitsStateChanged(control_id="c", state="finished"), "send_digits", {"state": "finished"}),
        (HoldStateChanged(state="unhold"), "hold", {"state": "unhold"}),
        (ReferStateChanged(state="inProgress", to="sip:x@y"), "refer", {"sip_refer_to": "sip:x@y"}),
        (
            DetectStateChanged(control_id="c", kind="digit", event="1"),
            "detect",
            {"detect": {"type": "digit", "params": {"event": "1"}}},
        ),
        (
            CollectStateChanged(control_id="c", type="digit", params={"digits": "1"}, goes_on=True),
            "collect",
            {"final": True, "state": "collecting"},
        ),
    ],
)
def test_an_operation_of_a_client_has_its_event(
    happening: Happening, event_type: str, members: dict[str, Any]
) -> None:
    body = envelope(happening, call("a", tag="vip"), timestamp=AT)
    assert body["event_type"] == "calling.call." + event_type
    assert (body["params"]["call_id"], body["params"]["tag"]) == ("a", "vip")
    assert members.items() <= body["params"].items()


def test_a_refer_without_codes_has_none() -> None:
    params = envelope(ReferStateChanged(state="failed", to="sip:x@y"), A, timestamp=AT)["params"]
    assert not {"sip_refer_response_code", "sip_notify_response_code"} & set(params)


def test_a_failed_refer_has_its_reason_and_a_sentence_that_says_what_to_change() -> None:
    refused = ending("refer_refused", who="sip:ann@h", sip_code=603, sip_reason="Decline")
    failed = ReferStateChanged(state="failed", to="sip:x@y", refer_code=603, ending=refused)
    params = envelope(failed, A, timestamp=AT)["params"]
    assert params["failed_reason"] == "declined"
    assert params["message"] == (
        "sip:ann@h refused to be transferred (603 Decline): allow REFER there, "
        "or dial the other party from here with `connect`."
    )


def test_the_event_of_a_dial_names_no_call_but_the_winner() -> None:
    info = call("dial", tag="vip")
    won = envelope(DialStateChanged(state="answered", call_id="b"), info, timestamp=AT)["params"]
    lost = envelope(DialStateChanged(state="failed", ending=ended(EndReason.NO_ANSWER)), info, timestamp=AT)
    about = {"node_id": info.node_id, "tag": "vip"}
    assert won == about | {"dial_state": "answered", "call": {"call_id": "b", "node_id": info.node_id}}
    assert lost["params"] == about | {"dial_state": "failed", "reason": "no_answer", "source": "outbound"}


def test_the_tag_of_a_peer_is_shown_when_it_has_one() -> None:
    happening = ConnectStateChanged(state="connected", peer_call_id="b", peer_tag="vip")
    assert envelope(happening, A, timestamp=AT)["params"]["peer"]["tag"] == "vip"


def test_a_dialled_call_names_its_parent() -> None:
    info = call("b", parent_call_id="a")
    params = envelope(CallStateChanged(state="created"), info, timestamp=AT)["params"]
    assert params["parent"] == {"call_id": "a", "node_id": info.node_id}


def test_a_tag_is_shown_only_when_it_is_set() -> None:
    happening = CallStateChanged(state="created")
    assert "tag" not in envelope(happening, call("a"), timestamp=AT)["params"]
    assert envelope(happening, call("a", tag="vip"), timestamp=AT)["params"]["tag"] == "vip"


def test_an_end_reason_is_left_out_before_the_end() -> None:
    happening = CallStateChanged(state="answered", ending=ended(EndReason.ERROR))
    assert "end_reason" not in envelope(happening, B_PHONE, timestamp=AT)["params"]


def test_a_failed_connect_names_no_peer() -> None:
    body = envelope(connect("failed", ended(EndReason.BUSY)), A, timestamp=AT)
    assert "peer" not in body["params"]
    assert body["params"]["failed_reason"] == "busy"


def test_a_warning_says_where_in_the_script() -> None:
    warning = ScriptWarning(
        code="relay_script_js_eval_error", message="cond: no", section="main", step=3, method="cond", line=9
    )
    body = envelope(ScriptWarned(warning=warning), A, timestamp=AT)
    assert body["event_type"] == "calling.script.warning"
    assert body["params"] == {
        "call_id": A.call_id,
        "node_id": A.node_id,
        "segment_id": A.segment_id,
        "code": "relay_script_js_eval_error",
        "message": "cond: no",
        "section": "main",
        "step": 3,
        "method": "cond",
        "line": 9,
    }


@pytest.mark.parametrize(
    ("uri", "bare"),
    [
        ("sip:bob@b.example.com", "bob@b.example.com"),
        ("SIPS:bob@b.example.com:5061;transport=tls?Subject=x", "bob@b.example.com"),
        ("sip:bob:secret@b.example.com", "bob@b.example.com"),
        ("sip:bob;day=tue@[2001:db8::1]:5060;lr", "bob;day=tue@[2001:db8::1]"),
        ("sip:b.example.com:5060", "b.example.com"),
        ("+15551231234", "+15551231234"),
        ("anonymous", "anonymous"),
        ("", ""),
    ],
)
def test_a_sip_device_shows_user_and_host_only(uri: str, bare: str) -> None:
    assert bare_address(uri) == bare
