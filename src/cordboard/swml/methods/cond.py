"""`cond` (swml.md 4.2): the first branch whose condition is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.swml.methods.method import Method, checked_by
from cordboard.swml.program import Branches, Step, Steps
from cordboard.swml.properties import Kind, Shape, of_kind

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="cond",
    about="Runs the first branch whose condition is true.",
    main_list="branches",
    properties=(
        of_kind("branches", Kind.BRANCHES, about="Branches of `when` and `then`; `else` for the rest."),
    ),
)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    yield from interpreter.prepared(step)
    return (yield from interpreter.branch(step.argument.parts.get("branches", Branches((), None))))


METHOD = Method(shape=SHAPE, prepare=checked_by(SHAPE), run=_run)
