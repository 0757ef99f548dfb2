"""`return` (swml.md 4.2): ends the running section with a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Returned, Step, Steps
from cordboard.swml.properties import Shape

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter


def _prepare(values: dict[str, Any], _: list[Note]) -> Any:
    """`return: {}` gives no value."""
    return None if values["value"] == {} else values["value"]


def _run(step: Step, interpreter: Interpreter) -> Steps:
    return Returned((yield from interpreter.prepared(step)))


METHOD = Method(
    shape=Shape(method="return", about="Ends the section with a value."),
    prepare=_prepare,
    run=_run,
    whole=True,
)
