"""What changes or ends an operation that is under way."""

from __future__ import annotations

from cordboard.call.commands import Command, PauseOperation, ResumeOperation, SetVolume, StopOperation
from cordboard.relay.methods.method import Reader, on_operation
from cordboard.relay.params import Params

PAUSES = ("silence", "skip")


def stop(kind: str) -> Reader:
    """`<kind>.stop`"""

    def read(given: Params, control_id: str) -> Command:
        return StopOperation(control_id=control_id, kind=kind)

    return on_operation(read)


def pause(kind: str) -> Reader:
    """`<kind>.pause`; `behavior` says what stands in a recording meanwhile."""

    def read(given: Params, control_id: str) -> Command:
        skip = given.choice("behavior", PAUSES, "silence") == "skip"
        return PauseOperation(control_id=control_id, kind=kind, skip=skip)

    return on_operation(read)


def resume(kind: str) -> Reader:
    """`<kind>.resume`"""

    def read(given: Params, control_id: str) -> Command:
        return ResumeOperation(control_id=control_id, kind=kind)

    return on_operation(read)


def volume(kind: str) -> Reader:
    """`<kind>.volume`"""

    def read(given: Params, control_id: str) -> Command:
        return SetVolume(control_id=control_id, kind=kind, volume=_needed_gain(given))

    return on_operation(read)


def gain(given: Params) -> float:
    """`volume` in dB, 0 by default."""
    return given.number("volume", -40, 40) or 0.0


def _needed_gain(given: Params) -> float:
    if not given.has("volume"):
        raise given.error("`volume` is required: a number from -40 to 40 (dB).")
    return gain(given)
