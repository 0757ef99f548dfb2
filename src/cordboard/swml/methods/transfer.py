"""`transfer` (swml.md 4.2): goes to a section or another document and never comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.swml.checking import check
from cordboard.swml.methods.destination_document import target
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Kind, Shape, of_kind, text
from cordboard.swml.values import stringified

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="transfer",
    about="Goes to a section or another document, and never comes back.",
    main="dest",
    properties=(
        text("dest", required=True, about="A section, an http(s) URL or an inline document."),
        of_kind("params", Kind.MAP, about="What it sees as `params`; values become text."),
        of_kind("meta", Kind.MAP, about="Accepted, and without effect."),
    ),
)


def _prepare(values: dict[str, Any], _: list[Note]) -> tuple[str, dict[str, Any]]:
    options = check(values, SHAPE)
    return options["dest"], stringified(options["params"] or {})


def _run(step: Step, interpreter: Interpreter) -> Steps:
    dest, params = yield from interpreter.prepared(step)
    return (yield from target("transfer", dest, params, interpreter))


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
