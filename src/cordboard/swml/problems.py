"""What can be wrong with a document, and how it is said.

A `Finding` is one thing found in a text, with its place.  `DocumentError` carries the finding that makes a
document unusable; a `MethodError` makes one step fail while the script goes on; `ScriptStopped` ends the
script (swml.md 4.4).
"""

from __future__ import annotations

import msgspec

from cordboard.call.wording import dotted as dotted
from cordboard.call.wording import nearest as nearest
from cordboard.call.wording import shown as shown


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One error or warning about a text.  `line` and `column` count from 1."""

    code: str
    message: str
    source: str
    line: int = 1
    column: int = 1
    path: str = ""
    """Such as `sections.main[2].connect.timeout`; empty for the document itself."""
    found: str = ""
    allowed: str = ""
    nearest: str = ""
    """The known name that is most like the one found."""
    severity: str = "warning"
    """`error`: the document, or a step of it, can only fail."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}: {self.said()}"

    def said(self) -> str:
        """All but the place."""
        where = f"{self.path}: " if self.path else ""
        detail = f", found {self.found}" if self.found and self.found not in self.message else ""
        detail += f"; allowed: {self.allowed}" if self.allowed and self.allowed not in self.message else ""
        known = f"`{self.nearest}`"
        detail += f"; did you mean {known}?" if self.nearest and known not in self.message else ""
        return f"{where}{self.message}{detail} [{self.code}]"


class DocumentError(Exception):
    """A document that cannot be run.  `str()` is one line with file, line, column, path and remedy."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding
        self.code = finding.code
        self.message = finding.message
        self.source = finding.source
        self.line = finding.line
        self.column = finding.column
        self.path = finding.path
        self.found = finding.found
        self.allowed = finding.allowed
        self.nearest = finding.nearest


class MethodError(Exception):
    """One step failed: its result variable says so, `script_error` is set, the next step runs."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        path: tuple[str | int, ...] = (),
        found: str = "",
        allowed: str = "",
        nearest: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        """Below the argument of the step."""
        self.found = found
        self.allowed = allowed
        self.nearest = nearest

    def again(self) -> MethodError:
        """A fresh copy to raise: a raised exception grows by a traceback each time."""
        more = {"found": self.found, "allowed": self.allowed, "nearest": self.nearest}
        return MethodError(self.code, self.message, path=self.path, **more)


class ScriptStopped(Exception):  # noqa: N818 - an outcome of the script, not an error of its caller
    """The script cannot go on at all."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Note(msgspec.Struct, frozen=True):
    """A warning that does not make its step fail."""

    code: str
    message: str
    path: tuple[str | int, ...] = ()
    """Below the argument of the step."""
    is_error: bool = False
    """Sets `script_error`."""
    lint_only: bool = False
    """Worth saying when a document is checked, not each time it runs."""
