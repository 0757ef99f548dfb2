"""`switch` (swml.md 4.2): compares a variable's text with the keys of `case`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.expressions import variable_named
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note
from cordboard.swml.program import Step, Steps, Switch
from cordboard.swml.properties import Kind, Shape, of_kind, text

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="switch",
    about="Runs the steps for the value of a variable.",
    properties=(
        text("variable", required=True, about="Name of the variable."),
        of_kind("case", Kind.CASES, required=True, about="Steps for each value."),
        of_kind("default", Kind.STEPS, about="Steps for all other values."),
    ),
)

_VARIABLE = Shape(method=SHAPE.method, about=SHAPE.about, properties=SHAPE.properties[:1])
"""What is a value; steps are not."""


def _prepare(values: dict[str, Any], _: list[Note]) -> str:
    return str(check(values, _VARIABLE)["variable"])


def _run(step: Step, interpreter: Interpreter) -> Steps:
    name = yield from interpreter.prepared(step)
    parts = step.argument.parts
    if "case" not in parts:
        raise MethodError(codes.PARAMETER_MISSING, "switch: `case` is required")
    # A placeholder as `variable` has given the value itself: no variable is named.
    variable = variable_named(name) if step.argument.is_constant else name
    matched, block = yield from interpreter.case(Switch(variable, parts["case"], parts.get("default")))
    if not matched:
        raise MethodError(codes.NO_MATCH, f"switch: no case matches the value of `{name[:80]}`")
    return (yield from interpreter.nested(block))


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
