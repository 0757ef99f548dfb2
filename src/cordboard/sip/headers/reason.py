"""The Reason header: why a request was sent (RFC 3326)."""

from __future__ import annotations

import msgspec

from cordboard.sip.headers.grammar import HeaderError, is_token, quote, read_number
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.parameters import parse_parameters


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    protocol: str
    """`SIP` (the cause is a status code) or `Q.850` (an ISDN cause), as it was written."""
    cause: int | None = None
    text: str = ""

    @classmethod
    def parse(cls, value: str) -> Reason:
        """Reads one value; raises HeaderError."""
        protocol, semicolon, rest = value.partition(";")
        protocol = protocol.strip(" \t")
        if not is_token(protocol):
            raise HeaderError("malformed Reason")
        parameters = parse_parameters(semicolon + rest)
        cause = parameters.get("cause")
        return cls(
            protocol=protocol,
            cause=None if cause is None else read_number(cause, 999, "cause"),
            text=parameters.get("text") or "",
        )

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        return f"{self.protocol}{cause}{f';text={quote(self.text)}' if self.text else ''}"


def parse_reasons(values: list[str]) -> list[Reason]:
    """The readable reasons of several lines; unreadable ones are left out, since nothing hangs on them."""
    reasons = []
    for value in values:
        try:
            reasons += [Reason.parse(element) for element in split_list(value)]
        except HeaderError:
            continue
    return reasons
