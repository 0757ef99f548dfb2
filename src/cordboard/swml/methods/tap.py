"""`tap` and `stop_tap` (swml.md 6.7): a copy of the audio, sent elsewhere in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import StopTap, Tap, TapStarted, TapTarget
from cordboard.swml import codes
from cordboard.swml.checking import check, invalid
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.control import CONTROL_ID, stops
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, choice, integer, text, url

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

_RATE = 8_000
_RTP = r"rtp://(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.\-]{1,253}):[0-9]{1,5}"
_WEBSOCKET = r"wss?://[^\s\x00-\x1f\x7f]{1,2048}"
_PTIME = integer("rtp_ptime", 10, 120, default=20, about="Milliseconds of audio in a packet, 10 to 120.")

SHAPE = Shape(
    method="tap",
    about="Sends a copy of the audio elsewhere, in the background.",
    properties=(
        text(
            "uri",
            required=True,
            pattern=f"{_RTP}|{_WEBSOCKET}",
            means="rtp://address:port, ws://… or wss://…",
            about="rtp://address:port, ws://… or wss://…",
        ),
        CONTROL_ID,
        choice("direction", "speak", "listen", "both", default="speak", about="Whose voice is copied."),
        choice("codec", "PCMU", "PCMA", default="PCMU", about="Codec of the copy."),
        _PTIME,
        url("status_url", about="Where calling.call.tap events are posted."),
    ),
    on_failure=(("tap_result", "failed"),),
)
STOP_SHAPE = Shape(
    method="stop_tap",
    about="Stops a tap: the one named, or the last.",
    main="control_id",
    properties=(CONTROL_ID,),
    on_failure=(("stop_tap_result", "failed"),),
)
_OUTPUTS = (
    "tap_uri",
    "tap_result",
    "tap_control_id",
    "tap_rtp_src_addr",
    "tap_rtp_src_port",
    "tap_ptime",
    "tap_codec",
    "tap_rate",
)


def _prepare(values: dict[str, Any], _: list[Note]) -> Tap:
    options = check(values, SHAPE)
    if options["rtp_ptime"] % 10:
        raise invalid("tap", ("rtp_ptime",), _PTIME, options["rtp_ptime"])
    target = TapTarget(
        uri=options["uri"],
        direction=options["direction"],
        codec=options["codec"],
        ptime_ms=options["rtp_ptime"],
    )
    return Tap(target=target, status_url=options["status_url"], control_id=options["control_id"])


def _run(step: Step, interpreter: Interpreter) -> Steps:
    values = yield from interpreter.values(step)
    interpreter.forget(*_OUTPUTS)
    action: Tap = interpreter.prepare(step, values)
    started = expect((yield action), TapStarted)
    interpreter.set("tap_result", "success" if started.ok else "failed")
    if not started.ok:
        interpreter.error(codes.EXECUTE_FAILED, f"tap: {started.sentence}")
        return None
    _remember(action.target, started, interpreter)
    return None


def _remember(target: TapTarget, started: TapStarted, interpreter: Interpreter) -> None:
    interpreter.set("tap_uri", target.uri)
    interpreter.set("tap_control_id", started.control_id)
    interpreter.set("tap_ptime", target.ptime_ms)
    interpreter.set("tap_codec", target.codec)
    interpreter.set("tap_rate", _RATE)
    if started.source_address:
        interpreter.set("tap_rtp_src_addr", started.source_address)
        interpreter.set("tap_rtp_src_port", started.source_port)


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
STOP = stops(STOP_SHAPE, lambda control_id: StopTap(control_id=control_id))
