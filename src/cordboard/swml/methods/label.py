"""`label`: marks a place for `goto`; does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.swml.methods.method import Method, checked_by
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, text

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="label",
    about="A place that `goto` can go to.",
    main="label",
    properties=(text("label", required=True, about="Its name."),),
)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    yield from interpreter.prepared(step)
    return None


METHOD = Method(shape=SHAPE, prepare=checked_by(SHAPE), run=_run)
