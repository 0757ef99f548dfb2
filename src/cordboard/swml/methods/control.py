"""What runs in the background has a control id; `stop_…` ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Action, Stopped
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, text

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

CONTROL_ID = text(
    "control_id",
    pattern=r"[\x21-\x7e]{1,128}",
    means="1 to 128 ASCII characters without spaces",
    about="Its name; a new one by default.",
)


def stops(shape: Shape, action: Callable[[str | None], Action]) -> Method:
    """The method that stops one; `action` makes what is asked of the call, None = the last one."""

    def prepare(values: dict[str, Any], _: list[Note]) -> Action:
        return action(check(values, shape)["control_id"])

    def run(step: Step, interpreter: Interpreter) -> Steps:
        stopped = expect((yield (yield from interpreter.prepared(step))), Stopped)
        interpreter.set(f"{shape.method}_result", "success" if stopped.ok else "failed")
        if not stopped.ok:
            interpreter.error(codes.EXECUTE_FAILED, f"{shape.method}: {stopped.sentence}")
        return None

    return Method(shape=shape, prepare=prepare, run=run)
