"""`unset` (swml.md 4.2): removes one variable, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.swml import codes
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note, shown
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter


def _prepare(values: dict[str, Any], _: list[Note]) -> tuple[str, ...]:
    given = values["value"]
    names = given if isinstance(given, list) else [given]
    if not all(isinstance(name, str) and name for name in names):
        found = shown(given)
        message = f"unset: a name or a list of names is required, not {found}"
        raise MethodError(codes.WRONG_TYPE, message, found=found, allowed="a name or a list of names")
    return tuple(name.removeprefix("vars.") for name in names)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    interpreter.forget(*(yield from interpreter.prepared(step)))
    return None


METHOD = Method(
    shape=Shape(method="unset", about="Removes variables."), prepare=_prepare, run=_run, whole=True
)
