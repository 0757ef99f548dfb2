"""`record` (swml.md 6.5): records in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Record, RecordDone
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.method import Method
from cordboard.swml.methods.recording import properties, recording
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="record",
    about="Records until silence, a key or a time ends it.",
    properties=properties(("speak", "listen"), "speak", "#", 4.0, 5.0),
    on_failure=(("record_result", "failed"),),
)


def _prepare(values: dict[str, Any], _: list[Note]) -> Record:
    options = check(values, SHAPE)
    return Record(recording=recording(options), status_url=options["status_url"])


def _run(step: Step, interpreter: Interpreter) -> Steps:
    values = yield from interpreter.values(step)
    interpreter.forget("record_url", "record_result")
    done = expect((yield interpreter.prepare(step, values)), RecordDone)
    interpreter.set("record_result", "success" if done.ok else "failed")
    if done.url:
        interpreter.set("record_url", done.url)
    if not done.ok:
        interpreter.error(codes.EXECUTE_FAILED, f"record: {done.sentence}")
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
