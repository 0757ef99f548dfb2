"""`record_call` and `stop_record_call` (swml.md 6.6): records in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import RecordCall, RecordStarted, StopRecordCall
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.control import CONTROL_ID, stops
from cordboard.swml.methods.method import Method
from cordboard.swml.methods.recording import properties, recording
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="record_call",
    about="Records in the background, also while the call is connected.",
    properties=(CONTROL_ID, *properties(("speak", "listen", "both"), "both", "", 0.0, 0.0)),
    on_failure=(("record_call_result", "failed"),),
)
STOP_SHAPE = Shape(
    method="stop_record_call",
    about="Stops a recording in the background: the one named, or the last.",
    main="control_id",
    properties=(CONTROL_ID,),
    on_failure=(("stop_record_call_result", "failed"),),
)


def _prepare(values: dict[str, Any], _: list[Note]) -> RecordCall:
    options = check(values, SHAPE)
    return RecordCall(
        recording=recording(options),
        status_url=options["status_url"],
        control_id=options["control_id"],
    )


def _run(step: Step, interpreter: Interpreter) -> Steps:
    values = yield from interpreter.values(step)
    interpreter.forget("record_call_url", "record_call_result", "record_control_id")
    started = expect((yield interpreter.prepare(step, values)), RecordStarted)
    interpreter.set("record_call_result", "success" if started.ok else "failed")
    if not started.ok:
        interpreter.error(codes.EXECUTE_FAILED, f"record_call: {started.sentence}")
        return None
    interpreter.set("record_call_url", started.url)
    interpreter.set("record_control_id", started.control_id)
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
STOP = stops(STOP_SHAPE, lambda control_id: StopRecordCall(control_id=control_id))
