"""What a SWML method is to the compiler and the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from cordboard.swml.checking import check
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One method: its table, what to make of its values, how to run it."""

    shape: Shape
    run: Callable[[Step, Interpreter], Steps]
    prepare: Callable[[dict[str, Any], list[Note]], Any]
    """Values after substitution → what `run` needs.  Raises `MethodError`; may add notes."""
    whole: bool = False
    """The argument is one value (`set`, `return` …), given to `prepare` under the key `value`."""
    advise: Callable[[dict[str, Any]], list[Note]] | None = None
    """What is worth saying of values that are not wrong, when a document is checked."""


def checked_by(shape: Shape) -> Callable[[dict[str, Any], list[Note]], Any]:
    """The `prepare` of a method that needs nothing but its checked properties."""

    def prepare(values: dict[str, Any], _: list[Note]) -> Any:
        return check(values, shape)

    return prepare
