"""What the compiler finds wrong, with its place: kept as a warning, or raised as `DocumentError`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from cordboard.swml import codes, expressions
from cordboard.swml.checking import Path
from cordboard.swml.literals import mistakes
from cordboard.swml.nodes import Node, Position, below, key_position, plain
from cordboard.swml.problems import DocumentError, Finding, MethodError, Note, dotted, nearest, shown
from cordboard.swml.properties import Shape
from cordboard.swml.shorthand import as_mapping

CheckExpression = Callable[[str], str | None]
"""Says what is wrong with the syntax of a JavaScript expression."""


def unchecked(_: str) -> None:
    return None


class Place(msgspec.Struct, frozen=True):
    """Where in the document the compiler is."""

    path: str
    section: str
    index: int | None = None
    depth: int = 0
    labels: frozenset[str] = frozenset()

    shorthand: bool = False
    """The next property is not written in the document."""

    def shortened(self) -> Place:
        return msgspec.structs.replace(self, shorthand=True)

    def at(self, suffix: str) -> Place:
        if self.shorthand:
            return msgspec.structs.replace(self, shorthand=False)
        return msgspec.structs.replace(self, path=self.path + suffix)


class Reporter:
    """The findings of one document."""

    def __init__(self, source: str, check_expression: CheckExpression) -> None:
        self.source = source
        self.check_expression = check_expression
        self.warnings: list[Finding] = []

    def report(self, node: Node, place: Place, notes: list[Note], fault: MethodError | None) -> None:
        for note in notes:
            position = (value_position if note.is_error else key_position)(node, note.path)
            severity = "error" if note.is_error else "warning"
            self.warn(note.code, note.message, position, joined(place, note.path), severity=severity)
        if fault is not None:
            position = below(node, fault.path).position
            finding = Finding(
                code=fault.code,
                message=fault.message,
                source=self.source,
                line=position.line,
                column=position.column,
                path=joined(place, fault.path),
                found=fault.found,
                allowed=fault.allowed,
                severity="error",
            )
            self.warnings.append(finding)

    def check_literals(self, node: Node, shape: Shape, place: Place) -> None:
        """All that can be said of the values as they are written, not only the first mistake."""
        try:
            full = as_mapping(node, shape) if shape.properties else None
        except MethodError:
            return
        for error in mistakes(full, shape) if full is not None else ():
            is_unknown = error.code == codes.PARAMETER_UNDEFINED
            position = (key_position if is_unknown else value_position)(node, error.path)
            more = {"found": error.found, "allowed": error.allowed, "near": error.nearest}
            severity = "warning" if is_unknown else "error"
            self.warn(
                error.code, error.message, position, joined(place, error.path), severity=severity, **more
            )

    def check_expressions(self, template: Any, node: Node, place: Place) -> None:
        for path, found in expressions.expressions_of(template):
            problem = found.problem or self.check_expression(found.source)
            if problem:
                position = value_position(node, path)
                self.warn(codes.JS_ERROR, f"`{found.source[:80]}`: {problem}", position, joined(place, path))

    def check_closed(self, values: dict[str, Any], node: Node, place: Place) -> None:
        if any(isinstance(value, str) and expressions.unclosed(value) for value in values.values()):
            message = "a placeholder is opened and never closed: the text is used as it stands"
            self.warn(codes.PARAMETER_INVALID, message, node.position, place.path)

    def warn(
        self, code: str, message: str, position: Position, path: str, near: str = "", **more: str
    ) -> None:
        self.warnings.append(self.finding(code, message, position, path, nearest=near, **more))

    def finding(self, code: str, message: str, position: Position, path: str, **more: str) -> Finding:
        return Finding(
            code=code,
            message=message,
            source=self.source,
            line=position.line,
            column=position.column,
            path=path,
            **more,
        )

    def wrong(self, node: Node, path: str, allowed: str) -> NoReturn:
        found = shown(plain(node))
        self.refuse(codes.WRONG_TYPE, "wrong type", node.position, path, found=found, allowed=allowed)

    def refuse(
        self,
        code: str,
        message: str,
        position: Position,
        path: str,
        *,
        found: str = "",
        allowed: str = "",
        known: tuple[str, ...] = (),
    ) -> NoReturn:
        near = nearest(found.strip('"'), known)
        if known and not allowed and len(known) < 10:
            allowed = ", ".join(known)
        raise DocumentError(
            self.finding(
                code,
                message,
                position,
                path,
                found=found,
                allowed=allowed,
                nearest=near,
                severity="error",
            )
        )


def joined(place: Place, path: Path) -> str:
    """The path of a property below the argument of a step."""
    if not path:
        return place.path
    return place.path + ("" if isinstance(path[0], int) else ".") + dotted(path)


def value_position(node: Node, path: Path) -> Position:
    return below(node, path).position
