"""The door: never an exception, one sentence for each mistake."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cordboard.call.actions import (
    Answer,
    Collect,
    Detect,
    DigitInput,
    Hangup,
    Hold,
    MachineDetection,
    Play,
    Prompt,
    RecordCall,
    Recording,
    Refer,
    SendDigits,
    SpeechInput,
    Tap,
    TapTarget,
)
from cordboard.call.commands import (
    Command,
    Disconnect,
    PauseOperation,
    ResumeOperation,
    SetVolume,
    StartInputTimers,
    StopOperation,
)
from cordboard.call.plan import PlayItem
from cordboard.relay.methods import read
from cordboard.relay.methods.reading import METHODS
from cordboard.relay.methods.unbuilt import UNBUILT
from cordboard.relay.requests import CallCommand, PassRequest, Refusal, TransferRequest

HERE = {"node_id": "n1", "call_id": "a"}
TTS = [{"type": "tts", "params": {"text": "hi"}}]
SAY_HI = (PlayItem(kind="say", text="hi"),)


def command(method: str, **params: Any) -> Command:
    request = read("calling." + method, HERE | params)
    assert isinstance(request, CallCommand), request
    assert (request.call_id, request.node_id, request.method) == ("a", "n1", "calling." + method)
    assert request.control_id == params.get("control_id")
    return request.command


def refused(method: str, **params: Any) -> str:
    request = read("calling." + method, HERE | params)
    assert isinstance(request, Refusal), request
    assert (request.code, request.call_id) == ("400", "a")
    return request.message


DIGITS = {"max": 4, "digit_timeout": 2, "terminators": "#*a"}
FOUR = DigitInput(max_digits=4, digit_timeout=2.0, terminators="#*A", initial_timeout=7.0)
WS = {"type": "ws", "params": {"uri": "wss://x.example/tap"}}
RTP = {"type": "rtp", "params": {"addr": "192.0.2.1", "port": "4000", "codec": "pcma", "ptime": 30}}

READ: list[tuple[str, dict[str, Any], Command]] = [
    ("answer", {}, Answer()),
    ("answer", {"max_duration": 60}, Answer(max_duration=60.0)),
    ("end", {}, Hangup(reason="hangup")),
    ("end", {"reason": "noAnswer"}, Hangup(reason="no_answer")),
    ("end", {"reason": "decline"}, Hangup(reason="decline")),
    ("disconnect", {}, Disconnect()),
    ("hold", {}, Hold(on=True)),
    ("unhold", {}, Hold(on=False)),
    (
        "play",
        {"control_id": "c", "play": TTS},
        Play(control_id="c", items=SAY_HI, auto_answer=False),
    ),
    (
        "play",
        {
            "control_id": "c",
            "volume": -3.5,
            "loop": 0,
            "status_url": "https://x.example/s",
            "play": [
                {"type": "audio", "params": {"url": "https://x.example/a.mp3"}},
                {
                    "type": "tts",
                    "params": {"text": "hi", "language": "de-DE", "gender": "male", "voice": "v"},
                },
                {"type": "silence", "params": {"duration": 1.5}},
                {"type": "ringtone", "params": {"name": "it", "duration": 2}},
                {"type": "ringtone", "params": {"name": "us"}},
            ],
        },
        Play(
            control_id="c",
            volume=-3.5,
            loop=0,
            auto_answer=False,
            status_url="https://x.example/s",
            items=(
                PlayItem(kind="audio", url="https://x.example/a.mp3"),
                PlayItem(kind="say", text="hi", language="de-DE", gender="male", voice="v"),
                PlayItem(kind="silence", duration=1.5),
                PlayItem(kind="ring", country="it", duration=2.0),
                PlayItem(kind="ring", country="us"),
            ),
        ),
    ),
    ("play.pause", {"control_id": "c"}, PauseOperation(control_id="c", kind="play")),
    ("play.resume", {"control_id": "c"}, ResumeOperation(control_id="c", kind="play")),
    ("play.stop", {"control_id": "c"}, StopOperation(control_id="c", kind="play")),
    ("play.volume", {"control_id": "c", "volume": 40}, SetVolume(control_id="c", kind="play", volume=40.0)),
    (
        "play_and_collect",
        {
            "control_id": "c.prompt",
            "volume": 2,
            "play": TTS,
            "collect": {"initial_timeout": 7, "digits": DIGITS, "partial_results": True},
        },
        Prompt(
            control_id="c.prompt",
            items=SAY_HI,
            volume=2.0,
            digits=FOUR,
            play_events=True,
            partial_results=True,
        ),
    ),
    (
        "play_and_collect",
        {
            "control_id": "c",
            "play": TTS,
            "collect": {"speech": {"end_silence_timeout": 1, "speech_timeout": 60, "hints": ["one"]}},
        },
        Prompt(
            control_id="c",
            items=SAY_HI,
            speech=SpeechInput(timeout=60.0, end_timeout=1.0, hints=("one",)),
            play_events=True,
        ),
    ),
    (
        "play_and_collect.stop",
        {"control_id": "c"},
        StopOperation(control_id="c", kind="play_and_collect"),
    ),
    (
        "play_and_collect.volume",
        {"control_id": "c", "volume": 0},
        SetVolume(control_id="c", kind="play_and_collect", volume=0.0),
    ),
    (
        "collect",
        {"control_id": "c", "digits": {}},
        Collect(control_id="c", digits=DigitInput()),
    ),
    (
        "collect",
        {
            "control_id": "c",
            "initial_timeout": 7,
            "digits": DIGITS,
            "partial_results": True,
            "continuous": True,
            "send_start_of_input": True,
            "start_input_timers": False,
        },
        Collect(
            control_id="c",
            digits=FOUR,
            partial_results=True,
            continuous=True,
            send_start_of_input=True,
            start_input_timers=False,
        ),
    ),
    ("collect.stop", {"control_id": "c"}, StopOperation(control_id="c", kind="collect")),
    ("collect.start_input_timers", {"control_id": "c"}, StartInputTimers(control_id="c")),
    (
        "record",
        {"control_id": "c"},
        RecordCall(
            control_id="c",
            recording=Recording(terminators="#", initial_timeout=4.0, end_silence_timeout=5.0),
        ),
    ),
    (
        "record",
        {
            "control_id": "c",
            "record": {
                "audio": {
                    "beep": True,
                    "format": "mp3",
                    "stereo": True,
                    "direction": "both",
                    "initial_timeout": 0,
                    "end_silence_timeout": 0,
                    "terminators": "",
                    "input_sensitivity": 0,
                }
            },
        },
        RecordCall(
            control_id="c",
            recording=Recording(
                format="mp3", stereo=True, direction="both", beep=True, input_sensitivity=0.0
            ),
        ),
    ),
    ("record.pause", {"control_id": "c"}, PauseOperation(control_id="c", kind="record")),
    (
        "record.pause",
        {"control_id": "c", "behavior": "skip"},
        PauseOperation(control_id="c", kind="record", skip=True),
    ),
    ("record.resume", {"control_id": "c"}, ResumeOperation(control_id="c", kind="record")),
    ("record.stop", {"control_id": "c"}, StopOperation(control_id="c", kind="record")),
    ("detect", {"control_id": "c", "detect": {"type": "machine"}}, Detect(control_id="c", kind="machine")),
    (
        "detect",
        {
            "control_id": "c",
            "timeout": 20,
            "detect": {
                "type": "machine",
                "params": {
                    "initial_timeout": 1,
                    "end_silence_timeout": 2,
                    "machine_voice_threshold": 3,
                    "machine_words_threshold": 4,
                    "machine_ready_timeout": 5,
                    "detect_interruptions": True,
                    "detect_message_end": False,
                },
            },
        },
        Detect(
            control_id="c",
            kind="machine",
            timeout=20.0,
            machine=MachineDetection(
                initial_timeout=1.0,
                end_silence_timeout=2.0,
                machine_voice_threshold=3.0,
                machine_words_threshold=4,
                machine_ready_timeout=5.0,
                detect_interruptions=True,
                detect_message_end=False,
            ),
        ),
    ),
    (
        "detect",
        {"control_id": "c", "detect": {"type": "fax", "params": {"tone": "CNG"}}},
        Detect(control_id="c", kind="fax", tone="CNG"),
    ),
    (
        "detect",
        {"control_id": "c", "detect": {"type": "digit", "params": {"digits": "12"}}},
        Detect(control_id="c", kind="digit", digits="12"),
    ),
    ("detect.stop", {"control_id": "c"}, StopOperation(control_id="c", kind="detect")),
    ("send_digits", {"control_id": "c", "digits": "1w2W#A"}, SendDigits(control_id="c", digits="1w2W#A")),
    (
        "tap",
        {"control_id": "c", "tap": {"type": "audio", "params": {"direction": "both"}}, "device": WS},
        Tap(control_id="c", target=TapTarget(uri="wss://x.example/tap", direction="both")),
    ),
    (
        "tap",
        {"control_id": "c", "tap": {}, "device": RTP},
        Tap(control_id="c", target=TapTarget(uri="rtp://192.0.2.1:4000", codec="PCMA", ptime_ms=30)),
    ),
    (
        "tap",
        {"control_id": "c", "tap": {}, "device": {"type": "rtp", "params": {"addr": "::1", "port": 9}}},
        Tap(control_id="c", target=TapTarget(uri="rtp://[::1]:9")),
    ),
    ("tap.stop", {"control_id": "c"}, StopOperation(control_id="c", kind="tap")),
    ("refer", {"device": {"type": "sip", "params": {"to": "sip:x@y"}}}, Refer(to="sip:x@y")),
    (
        "refer",
        {"device": {"type": "sip", "params": {"to": "sip:x@y?Replaces=1%40h%3Bto-tag%3D2%3Bfrom-tag%3D3"}}},
        Refer(to="sip:x@y?Replaces=1%40h%3Bto-tag%3D2%3Bfrom-tag%3D3"),
    ),
    (
        "refer",
        {
            "status_url": "https://x.example/s",
            "device": {
                "params": {
                    "uri": "x@y",
                    "headers": [{"name": "X-A", "value": "1"}],
                    "username": "u",
                    "password": "p",
                }
            },
        },
        Refer(
            to="sip:x@y",
            headers=(("X-A", "1"),),
            username="u",
            password="p",
            status_url="https://x.example/s",
        ),
    ),
]


@pytest.mark.parametrize(("method", "params", "wanted"), READ)
def test_a_request_becomes_a_command(method: str, params: dict[str, Any], wanted: Command) -> None:
    assert command(method, **params) == wanted


def test_every_method_on_a_call_has_a_row() -> None:
    """`connect` and those that are no commands have tests of their own."""
    others = {"connect", "dial", "begin", "pass", "transfer"}
    assert {method for method, _, _ in READ} | others == {name.removeprefix("calling.") for name in METHODS}


def test_unknown_members_are_ignored() -> None:
    assert command("disconnect", _devices=[[{"type": "?"}]], tag=None, x={"y": 1}) == Disconnect()


@pytest.mark.parametrize(
    ("method", "params", "sentence"),
    [
        ("play", {"play": TTS}, "calling.play: `control_id` is required: a string that is not empty."),
        (
            "play.stop",
            {"control_id": "a b"},
            "calling.play.stop: `control_id` must be 1 to 128 printable ASCII characters without spaces, "
            'not "a b".',
        ),
        (
            "play",
            {"control_id": "c", "play": []},
            "calling.play: `play` is required: a list of media, such as `tts` or `audio`, at least one.",
        ),
        (
            "play",
            {"control_id": "c", "play": TTS, "volume": 41},
            "calling.play: `volume` must be a number from -40 to 40, not the number 41.",
        ),
        (
            "play",
            {"control_id": "c", "play": [{"type": "audo"}]},
            'calling.play: `play[0].type` must be one of audio, tts, silence, ringtone, not "audo"; '
            "did you mean `audio`?",
        ),
        (
            "play",
            {"control_id": "c", "play": [*TTS, {"type": "audio", "params": {"url": "x"}}]},
            'calling.play: `play[1].params.url` must be an http(s) URL, not "x".',
        ),
        (
            "play",
            {"control_id": "c", "play": TTS, "loop": 1.5},
            "calling.play: `loop` must be a whole number from 0 to 10000, not the number 1.5.",
        ),
        (
            "play",
            {"control_id": "c", "play": {"type": "tts"}},
            "calling.play: `play` must be a list, not a mapping.",
        ),
        (
            "play.volume",
            {"control_id": "c"},
            "calling.play.volume: `volume` is required: a number from -40 to 40 (dB).",
        ),
        (
            "end",
            {"reason": "no_answr"},
            "calling.end: `reason` must be one of hangup, cancel, busy, noAnswer, decline, error, "
            'not "no_answr"; did you mean `noAnswer`?',
        ),
        (
            "collect",
            {"control_id": "c"},
            "calling.collect: one of `digits` or `speech` is required: what is to be collected.",
        ),
        (
            "play_and_collect",
            {"control_id": "c", "play": TTS, "collect": {"digits": {"max": 0}}},
            "calling.play_and_collect: `collect.digits.max` must be a whole number from 1 to 256, "
            "not the number 0.",
        ),
        (
            "record",
            {"control_id": "c", "record": {"audio": {"format": "mp5"}}},
            'calling.record: `record.audio.format` must be one of wav, mp3, mp4, not "mp5"; '
            "did you mean `mp4`?",
        ),
        (
            "detect",
            {"control_id": "c", "detect": {}},
            "calling.detect: `detect.type` is required: one of machine, fax, digit.",
        ),
        (
            "send_digits",
            {"control_id": "c", "digits": "1,2"},
            "calling.send_digits: `digits` must be 1 to 256 of 0-9 * # A-D, `w` and `W` for pauses, "
            'not "1,2".',
        ),
        (
            "tap",
            {"control_id": "c", "tap": {}, "device": {"type": "rtp", "params": {"addr": "h"}}},
            "calling.tap: `device.params.port` is required: a whole number from 1 to 65535.",
        ),
        (
            "refer",
            {"device": {"type": "sip", "params": {"to": "+15551234567"}}},
            'calling.refer: `device.params.to` must be a SIP URI (sip:user@host), not "+15551234567".',
        ),
        ("transfer", {}, "calling.transfer: `dest` is required: a string that is not empty."),
    ],
)
def test_a_mistake_is_told_in_one_sentence(method: str, params: dict[str, Any], sentence: str) -> None:
    assert refused(method, **params) == sentence


def test_a_request_about_no_call_is_refused() -> None:
    request = read("calling.answer", {"node_id": "n"})
    assert isinstance(request, Refusal)
    assert request.message == "calling.answer: `call_id` is required: a string that is not empty."


def test_a_call_can_be_passed_on() -> None:
    assert read("calling.pass", HERE) == PassRequest(call_id="a", node_id="n1")


@pytest.mark.parametrize("dest", ["https://x.example/swml", "office", '{"sections":{"main":[]}}'])
def test_a_call_can_be_transferred(dest: str) -> None:
    wanted = TransferRequest(call_id="a", node_id="n1", dest=dest)
    assert read("calling.transfer", HERE | {"dest": dest}) == wanted


def test_the_document_of_a_transfer_may_be_an_object() -> None:
    request = read("calling.transfer", HERE | {"dest": {"sections": {"main": ["hangup"]}}})
    assert isinstance(request, TransferRequest)
    assert request.dest == '{"sections":{"main":["hangup"]}}'


@pytest.mark.parametrize("rate", [None, 8_000, "48000"])
def test_a_tap_may_be_in_opus(rate: object) -> None:
    device = {"type": "ws", "params": {"uri": "wss://h/t", "codec": "OPUS", "rate": rate}}
    wanted = command("tap", control_id="c", tap={}, device=device)
    assert isinstance(wanted, Tap)
    assert wanted.target == TapTarget(uri="wss://h/t", codec="OPUS")


@pytest.mark.parametrize("method", [*sorted(UNBUILT), "calling.stream.stop", "calling.pay.stop"])
def test_methods_that_are_not_built_are_named(method: str) -> None:
    request = read(method, HERE)
    assert isinstance(request, Refusal)
    assert (request.code, request.message) == ("501", f"{method} is not built into this server.")


def test_an_unknown_method_is_named_with_the_nearest_that_there_is() -> None:
    request = read("calling.conect", HERE)
    assert isinstance(request, Refusal)
    assert request.code == "501"
    assert request.message == '"calling.conect" is no method of this server; did you mean `calling.connect`?'


# ------------------------------------------------------------ whatever comes

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(
    [
        "audio",
        "tts",
        "silence",
        "ringtone",
        "phone",
        "sip",
        "machine",
        "fax",
        "digit",
        "ws",
        "rtp",
        "url",
        "text",
        "duration",
        "name",
        "to",
        "from",
        "to_number",
        "from_number",
        "headers",
        "value",
        "codecs",
        "timeout",
        "call_state_events",
        "max_duration",
        "type",
        "params",
    ]
)
JSON = st.recursive(
    LEAVES | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=25,
)
NAMES = st.sampled_from(
    [
        "play",
        "collect",
        "record",
        "detect",
        "tap",
        "device",
        "devices",
        "ringback",
        "digits",
        "dest",
        "reason",
        "volume",
        "max_price_per_minute",
        "max_duration",
        "status_url",
        "loop",
        "behavior",
        "tag",
        "node_id",
        "control_id",
        "call_id",
    ]
)


@given(method=st.sampled_from(sorted(METHODS)) | st.text(max_size=30), params=JSON)
@example("calling.play", None)
@example("calling.play", {"call_id": "a", "control_id": "c", "play": TTS, "volume": 10**5000})
@example("calling.\ud800", {})
def test_reading_never_raises(method: str, params: object) -> None:
    read(method, params)


@given(method=st.sampled_from(sorted(METHODS)), params=st.dictionaries(NAMES, JSON, max_size=8))
def test_reading_what_looks_right_never_raises(method: str, params: dict[str, Any]) -> None:
    request = read(method, {"call_id": "a", "control_id": "c", "tag": "t", **params})
    if isinstance(request, Refusal):
        assert request.message
        assert len(request.message) < 2_000


def test_depth_and_size_do_no_harm() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for name in ("devices", "play", "dest", "device", "collect", "headers"):
        assert isinstance(read("calling.dial", {"tag": "t", name: deep}), Refusal)
    many = [[{"type": "phone", "params": {"to_number": "+1"}}] * 10] * 100_000
    assert isinstance(read("calling.dial", {"tag": "t", "devices": many}), Refusal)
    assert isinstance(read("calling.transfer", HERE | {"dest": {"a": deep}}), Refusal)
