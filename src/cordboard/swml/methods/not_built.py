"""A method that SWML has and the server does not run yet: the script stops there, and says so."""

from __future__ import annotations

from typing import Any

from cordboard.swml import codes
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note, ScriptStopped
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape
from cordboard.swml.unbuilt import refusal


def not_built(shape: Shape) -> Method:
    """The stand-in for one such method; its values are kept as they are."""
    return Method(shape=shape, run=_run, prepare=_anything, whole=True)


def _anything(values: dict[str, Any], _: list[Note]) -> Any:
    return values


def _run(step: Step, interpreter: Any) -> Steps:
    yield from ()
    message = refusal(step.method, "the method").message
    raise ScriptStopped(codes.EXECUTE_FAILED, message)
