"""`execute` (swml.md 4.2): runs a section or another document as a subroutine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.swml.checking import check
from cordboard.swml.methods.destination_document import target
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Returned, Step, Steps, Target
from cordboard.swml.properties import Kind, Shape, of_kind, text
from cordboard.swml.values import stringified

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="execute",
    about="Runs a section or another document, and comes back.",
    main="dest",
    properties=(
        text("dest", required=True, about="A section, an http(s) URL or an inline document."),
        of_kind("params", Kind.MAP, about="What it sees as `params`; values become text."),
        of_kind("meta", Kind.MAP, about="Accepted, and without effect."),
        of_kind("on_return", Kind.STEPS, about="Steps that run when it has come back."),
        of_kind("result", Kind.RESULT, default="return_value", about="What to do with the value returned."),
    ),
)


def _prepare(values: dict[str, Any], _: list[Note]) -> tuple[str, dict[str, Any]]:
    options = check(values, SHAPE)
    return options["dest"], stringified(options["params"] or {})


def _run(step: Step, interpreter: Interpreter) -> Steps:
    dest, params = yield from interpreter.prepared(step)
    section = yield from target("execute", dest, params, interpreter)
    interpreter.forget("return_value")
    outcome = yield from interpreter.call_section(section)
    if isinstance(outcome, Target):
        return outcome
    if isinstance(outcome, Returned) and outcome.value is not None:
        interpreter.set("return_value", outcome.value)
    outcome = yield from interpreter.nested(step.argument.parts.get("on_return"))
    return outcome or (yield from interpreter.result(step.argument.parts.get("result")))


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
