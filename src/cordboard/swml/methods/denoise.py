"""`denoise` and `stop_denoise` (swml.md 6.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Denoise, DenoiseDone
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

_ON_FAILURE = (("denoise_result", "failed"),)
SHAPE = Shape(method="denoise", about="Switches noise suppression on.", on_failure=_ON_FAILURE)
STOP_SHAPE = Shape(method="stop_denoise", about="Switches noise suppression off.", on_failure=_ON_FAILURE)


def _method(shape: Shape, action: Denoise) -> Method:
    def prepare(values: dict[str, Any], _: list[Note]) -> Denoise:
        check(values, shape)
        return action

    return Method(shape=shape, prepare=prepare, run=_run, advise=_advise if action.on else None)


def _advise(_: dict[str, Any]) -> list[Note]:
    message = "denoise: this server has no noise suppression built in, so the step will fail"
    return [Note(codes.EXECUTE_FAILED, message, (), lint_only=True)]


def _run(step: Step, interpreter: Interpreter) -> Steps:
    done = expect((yield (yield from interpreter.prepared(step))), DenoiseDone)
    interpreter.set("denoise_result", done.state)
    if done.state == "failed":
        interpreter.error(codes.EXECUTE_FAILED, f"{step.method}: {done.sentence}")
    return None


METHOD = _method(SHAPE, Denoise(on=True))
STOP = _method(STOP_SHAPE, Denoise(on=False))
