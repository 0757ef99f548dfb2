"""What a `calling.call.record` event says of its recording (swml.md 6.5 and 6.6).

The events of `record` and `record_call` have different layouts: the one has the result beside the recording,
the other within it.  `record_call` has the members of both here: a receiver written for either reads it.
"""

from __future__ import annotations

from typing import Any

from cordboard.call.effects import RecordStateChanged

OVER = ("finished", "no_input")


def record_params(happening: RecordStateChanged, *, timestamp: float) -> dict[str, Any]:
    """The members after `state`.  `timestamp`: now, in seconds since the epoch: when an ended one ended."""
    wanted = happening.recording
    audio = {"format": wanted.format, "direction": wanted.direction, "stereo": wanted.stereo}
    params: dict[str, Any] = {"url": happening.url} if happening.url else {}
    if happening.state in OVER:
        params["duration"] = seconds(happening.duration)
        params["size"] = happening.size
    params["recording_id"] = happening.control_id
    if happening.state in OVER:
        params["start_time"] = round(timestamp - happening.duration, 3)
        params["end_time"] = timestamp
    params["record"] = {"audio": audio}
    if not happening.foreground:
        params["record"] |= _result(happening)
    return params


def seconds(duration: float) -> float | int:
    """To the millisecond; a whole number without a fraction."""
    rounded = round(duration, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _result(happening: RecordStateChanged) -> dict[str, Any]:
    result: dict[str, Any] = {"url": happening.url} if happening.url else {}
    if happening.state in OVER:
        result["duration"] = seconds(happening.duration)
        result["size"] = happening.size
    return result | {"format": happening.recording.format}
