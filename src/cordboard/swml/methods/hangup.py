"""`hangup` (swml.md 6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Hangup
from cordboard.swml.checking import check
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, choice

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="hangup",
    about="Ends the call.",
    main="reason",
    properties=(choice("reason", "hangup", "busy", "decline", about="Why; decides what a caller gets."),),
)


def _prepare(values: dict[str, Any], _: list[Note]) -> Hangup:
    return Hangup(reason=check(values, SHAPE)["reason"])


def _run(step: Step, interpreter: Interpreter) -> Steps:
    try:
        action = yield from interpreter.prepared(step)
    except MethodError as error:  # a wrong reason must not keep the call up
        interpreter.failed(step, error)
        action = Hangup()
    yield action
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
