"""The properties that `record` and `record_call` share (swml.md 6.5, 6.6)."""

from __future__ import annotations

from typing import Any

from cordboard.call.actions import Recording
from cordboard.swml.properties import Property, choice, flag, number, text, url

_LONGEST = 86_400


def properties(
    directions: tuple[str, ...], direction: str, terminators: str, initial: float, silence: float
) -> tuple[Property, ...]:
    """The table, with the defaults of one of the two methods."""
    return (
        flag("stereo", default=False, about="Two channels: left what the far end says, right what it hears."),
        choice("format", "wav", "mp3", "mp4", default="wav", about="File format."),
        choice("direction", *directions, default=direction, about="Whose voice is recorded."),
        text(
            "terminators",
            default=terminators,
            pattern="[0-9*#A-Da-d]*",
            means="keys of 0-9, *, # and A-D",
            about="Keys that end it.",
        ),
        flag("beep", default=False, about="Play a beep first."),
        number("input_sensitivity", 0, 100, default=44, about="How quiet speech may be."),
        number("initial_timeout", 0, _LONGEST, default=initial, about="Seconds to wait for speech; 0 = any."),
        number("end_silence_timeout", 0, _LONGEST, default=silence, about="Seconds of silence that end it."),
        number("max_length", 0, _LONGEST, about="Longest recording in seconds; 0 or absent = no limit."),
        url("status_url", about="Where calling.call.record events are posted."),
    )


def recording(options: dict[str, Any]) -> Recording:
    """What is to be recorded, from the checked properties."""
    return Recording(
        format=options["format"],
        stereo=options["stereo"],
        direction=options["direction"],
        terminators=options["terminators"].upper(),
        beep=options["beep"],
        input_sensitivity=float(options["input_sensitivity"]),
        initial_timeout=float(options["initial_timeout"]),
        end_silence_timeout=float(options["end_silence_timeout"]),
        max_length=float(options["max_length"] or 0),
    )
