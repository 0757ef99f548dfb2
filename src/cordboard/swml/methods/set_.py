"""`set` (swml.md 4.2): writes variables, in the order of the document; later ones see earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.swml import codes
from cordboard.swml.expressions import MapTemplate
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note, shown
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter


def _prepare(values: dict[str, Any], _: list[Note]) -> tuple[tuple[str, Any], ...]:
    if not isinstance(values["value"], dict):
        found = shown(values["value"])
        message = f"set: a mapping of names to values is required, not {found}"
        raise MethodError(codes.WRONG_TYPE, message, found=found, allowed="a mapping")
    return tuple(values["value"].items())


def _run(step: Step, interpreter: Interpreter) -> Steps:
    for name, template in _items(step, interpreter):
        value = interpreter.bounded((yield from interpreter.resolve(template)))
        interpreter.scopes.vars.set(name, value)
    return None


def _items(step: Step, interpreter: Interpreter) -> tuple[tuple[str, Any], ...]:
    """Names and templates: not resolved all at once, because each may use the one before."""
    argument = step.argument
    if argument.is_constant:
        pairs: tuple[tuple[str, Any], ...] = interpreter.prepare(step, {})
        return pairs
    template = dict(argument.template.items)["value"]
    if isinstance(template, MapTemplate):
        return template.items
    raise MethodError(codes.WRONG_TYPE, "set: a mapping of names to values is required")


METHOD = Method(shape=Shape(method="set", about="Sets variables."), prepare=_prepare, run=_run, whole=True)
