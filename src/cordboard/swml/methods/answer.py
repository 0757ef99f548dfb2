"""`answer` (swml.md 6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Answer
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.codec_list import codecs_of
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, integer, text

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="answer",
    about="Answers the call.",
    main="max_duration",
    properties=(
        integer("max_duration", minimum=1, default=14_400, about="Seconds after which the call is ended."),
        text("codecs", about="Codecs that may be spoken with the caller, the preferred one first."),
        text("username", about="Accepted, and without effect on a call that came in."),
        text("password", about="Accepted, and without effect on a call that came in."),
    ),
    on_failure=(("answer_result", "failed"),),
)


def _prepare(values: dict[str, Any], notes: list[Note]) -> Answer:
    options = check(values, SHAPE)
    for name in ("username", "password"):
        if options[name] is not None:
            message = f"answer: `{name}` has no effect on a call that came in"
            notes.append(Note(codes.PARAMETER_INVALID, message, (name,)))
    wishes = codecs_of(options["codecs"] or "", "answer", ("codecs",), notes)
    return Answer(max_duration=float(options["max_duration"]), codecs=wishes)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    yield (yield from interpreter.prepared(step))
    interpreter.set("answer_result", "success")
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
