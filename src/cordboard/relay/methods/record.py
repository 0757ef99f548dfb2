"""`calling.record` and what steers it (relay-protocol.md 8.3)."""

from __future__ import annotations

import re

from cordboard.call.actions import RecordCall, Recording
from cordboard.call.commands import Command
from cordboard.call.limits import MAX_RECORDING_SECONDS
from cordboard.relay.methods.method import Reader, on_operation
from cordboard.relay.methods.steering import pause, resume, stop
from cordboard.relay.params import Params

FORMATS = ("wav", "mp3", "mp4")
DIRECTIONS = ("listen", "speak", "both")
DEFAULT_TERMINATORS = "#"
DEFAULT_INITIAL_TIMEOUT = 4.0
DEFAULT_END_SILENCE_TIMEOUT = 5.0
_KEYS = re.compile(r"[0-9*#A-Da-d]{0,16}")


def _record(given: Params, control_id: str) -> Command:
    audio = given.within_or_empty("record").within_or_empty("audio")
    return RecordCall(control_id=control_id, recording=_recording(audio), status_url=given.url("status_url"))


def _recording(audio: Params) -> Recording:
    sensitivity = audio.number("input_sensitivity", 0, 100)
    terminators = audio.matching("terminators", _KEYS, "keys, such as `#*`")
    return Recording(
        format=audio.choice("format", FORMATS, "wav"),
        stereo=audio.flag("stereo", False),
        direction=audio.choice("direction", DIRECTIONS, "speak"),
        terminators=DEFAULT_TERMINATORS if terminators is None else terminators.upper(),
        beep=audio.flag("beep", False),
        input_sensitivity=44.0 if sensitivity is None else sensitivity,
        initial_timeout=_seconds(audio, "initial_timeout", DEFAULT_INITIAL_TIMEOUT),
        end_silence_timeout=_seconds(audio, "end_silence_timeout", DEFAULT_END_SILENCE_TIMEOUT),
        max_length=_seconds(audio, "max_length", 0.0),
    )


def _seconds(audio: Params, name: str, default: float) -> float:
    found = audio.number(name, 0, MAX_RECORDING_SECONDS)
    return default if found is None else found


METHODS: dict[str, Reader] = {
    "record": on_operation(_record),
    "record.pause": pause("record"),
    "record.resume": resume("record"),
    "record.stop": stop("record"),
}
