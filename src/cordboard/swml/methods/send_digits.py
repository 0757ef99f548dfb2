"""`send_digits` (swml.md 6.9): presses keys towards the far end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import DigitsDone, SendDigits
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, text

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="send_digits",
    about="Presses keys towards the far end.",
    main="digits",
    properties=(
        text(
            "digits",
            required=True,
            pattern="[0-9*#A-DWw]{1,256}",
            means="1 to 256 of 0-9, *, #, A-D, W and w",
            about="0-9, *, #, A-D; W waits 1 s, w half a second.",
        ),
    ),
    on_failure=(("send_digits_result", "failed"),),
)


def _prepare(values: dict[str, Any], _: list[Note]) -> SendDigits:
    return SendDigits(digits=check(values, SHAPE)["digits"])


def _run(step: Step, interpreter: Interpreter) -> Steps:
    done = expect((yield (yield from interpreter.prepared(step))), DigitsDone)
    interpreter.set("send_digits_result", "success" if done.ok else "failed")
    if not done.ok:
        interpreter.error(codes.EXECUTE_FAILED, f"send_digits: {done.sentence}")
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
