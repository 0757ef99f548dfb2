"""`answer` (swml.md 6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Answer
from cordboard.swml.checking import check
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, integer, text
from cordboard.swml.unbuilt import refuse_properties

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="answer",
    main="max_duration",
    properties=(
        integer("max_duration", minimum=1, default=14_400),
        text("codecs"),
        text("username"),
        text("password"),
    ),
    on_failure=(("answer_result", "failed"),),
)


def _prepare(values: dict[str, Any], _: list[Note]) -> Answer:
    options = check(values, SHAPE)
    refuse_properties("answer", options)
    return Answer(max_duration=float(options["max_duration"]))


def _run(step: Step, interpreter: Interpreter) -> Steps:
    yield (yield from interpreter.prepared(step))
    interpreter.set("answer_result", "success")
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
