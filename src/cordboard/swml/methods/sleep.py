"""`sleep` (swml.md 4.2): milliseconds, or -1 until the call ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Sleep
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, integer

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

_DURATION = integer(
    "duration", minimum=-1, maximum=86_400_000, required=True, about="Milliseconds; -1 = until the call ends."
)
SHAPE = Shape(method="sleep", about="Waits.", main="duration", properties=(_DURATION,))


def _prepare(values: dict[str, Any], _: list[Note]) -> Sleep:
    milliseconds = check(values, SHAPE)["duration"]
    if milliseconds == 0:
        message = "sleep: `duration` must be at least 1 ms, or -1 for ever, not 0"
        raise MethodError(codes.PARAMETER_INVALID, message, path=("duration",), found="0")
    return Sleep(seconds=None if milliseconds == -1 else milliseconds / 1000)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    yield (yield from interpreter.prepared(step))
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
