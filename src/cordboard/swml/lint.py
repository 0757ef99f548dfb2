"""All that can be said of a document without running it: what fails, and what is probably not meant."""

from __future__ import annotations

import msgspec

from cordboard.swml.document import load
from cordboard.swml.problems import DocumentError, Finding
from cordboard.swml.reporter import CheckExpression, unchecked


def lint(text: bytes | str, *, source: str, check_expression: CheckExpression = unchecked) -> list[Finding]:
    """The findings in the order of the text; each place and kind once.  Never raises."""
    try:
        found = list(load(text, source=source, check_expression=check_expression).warnings)
    except DocumentError as error:
        found = [msgspec.structs.replace(error.finding, severity="error")]
    unique: dict[tuple[int, int, str], Finding] = {}
    for finding in found:
        unique.setdefault((finding.line, finding.column, finding.code), finding)
    return sorted(unique.values(), key=lambda finding: (finding.line, finding.column))
