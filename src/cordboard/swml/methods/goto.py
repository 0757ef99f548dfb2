"""`goto` (swml.md 4.2): to a label of the same section, at most `max` times in one run of the section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.swml.methods.method import Method, checked_by
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Kind, Shape, integer, of_kind, text

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="goto",
    about="Goes on after a label of the same section.",
    main="label",
    properties=(
        text("label", required=True, about="Name of the label."),
        of_kind("when", Kind.CONDITION, about="Only if this JavaScript condition holds."),
        integer("max", minimum=1, maximum=100, default=100, about="Most jumps."),
    ),
)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    options = yield from interpreter.prepared(step)
    when = step.argument.parts.get("when")
    if when is not None and not (yield from interpreter.condition(when)):
        return None
    return interpreter.jump(step, options["label"], options["max"])


METHOD = Method(shape=SHAPE, prepare=checked_by(SHAPE), run=_run)
