"""Results as Appendix A has them."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.effects import CommandAnswered
from cordboard.relay.answers import result
from cordboard.relay.methods import read

NAMED = {"call_id": "a", "node_id": "n"}
HERE = {**NAMED, "control_id": "c"}
PLAY = [{"type": "tts", "params": {"text": "hi"}}]
TAP = {"tap": {}, "device": {"type": "rtp", "params": {"addr": "192.0.2.1", "port": 9, "ptime": 30}}}
DEVICES = [[{"type": "sip", "params": {"to": "sip:x@y"}}]]
OK = CommandAnswered(ticket="t")


def say(method: str, params: dict[str, Any], answered: CommandAnswered | None = OK) -> dict[str, Any]:
    return result(read("calling." + method, params), answered, node_id="own", call_id="new")


@pytest.mark.parametrize(
    ("method", "params", "wanted"),
    [
        ("answer", NAMED, {"code": "200", "message": "Answered"}),
        ("end", NAMED, {"code": "200", "message": "Ending"}),
        ("connect", {**NAMED, "devices": DEVICES}, {"code": "200", "message": "Connecting"}),
        ("disconnect", NAMED, {"code": "200", "message": "Disconnecting"}),
        ("dial", {"tag": "t", "devices": DEVICES}, {"code": "200", "message": "Dialing"}),
        ("pass", NAMED, {"code": "200", "message": "Passed"}),
        ("refer", {**NAMED, "device": DEVICES[0][0]}, {"code": "200", "message": "Referring"}),
        ("hold", NAMED, {"code": "200", "message": "OK", **NAMED}),
        ("transfer", {**NAMED, "dest": "x"}, {"code": "200", "message": "OK", **NAMED}),
        ("play", {**HERE, "play": PLAY}, {"code": "200", "message": "Playing", **HERE}),
        ("play.stop", HERE, {"code": "200", "message": "OK", **HERE}),
        (
            "begin",
            {"tag": "t", "device": DEVICES[0][0]},
            {"code": "200", "message": "Dialing", "call_id": "new", "node_id": "own"},
        ),
    ],
)
def test_a_request_that_went_well(method: str, params: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert say(method, params) == wanted


def test_a_recording_has_its_url() -> None:
    answered = CommandAnswered(ticket="t", url="https://x/r.wav")
    wanted = {"code": "200", "message": "Recording", **HERE, "url": "https://x/r.wav"}
    assert say("record", HERE, answered) == wanted


def test_a_tap_says_where_its_packets_come_from() -> None:
    answered = CommandAnswered(ticket="t", source_address="127.0.0.1", source_port=40000)
    source = {"addr": "127.0.0.1", "port": 40000, "codec": "PCMU", "ptime": 30, "rate": 8000}
    wanted = {"type": "rtp", "params": source}
    assert say("tap", HERE | TAP, answered)["source_device"] == wanted
    assert "source_device" not in say("tap", HERE | TAP)


def test_the_packets_of_a_tap_in_opus_have_its_clock() -> None:
    answered = CommandAnswered(ticket="t", source_address="127.0.0.1", source_port=40000)
    device = {"type": "rtp", "params": {"addr": "127.0.0.1", "port": 9, "codec": "OPUS"}}
    said = say("tap", HERE | TAP | {"device": device}, answered)
    assert said["source_device"]["params"]["rate"] == 48000


def test_a_refusal_by_the_call_has_its_code_and_sentence_only() -> None:
    answered = CommandAnswered(ticket="t", code="404", message="Call not found", url="x", control_id="c")
    assert say("record", HERE, answered) == {"code": "404", "message": "Call not found"}


def test_a_request_that_was_not_understood_answers_itself() -> None:
    assert say("play", NAMED, None)["code"] == "400"
    assert say("stream", NAMED, None) == {
        "code": "501",
        "message": "calling.stream is not built into this server.",
    }
