"""Who asks: `Authorization: Basic project:token`, or `Bearer token`."""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

from cordboard.server.calling_api_errors import ApiError

_CHALLENGE = 'Basic realm="Cordboard", charset="UTF-8"'
_LONGEST = 4_096
_WRONG = (
    "The project or its token is missing or wrong: send `Authorization: Basic` with project:token, or"
    " `Authorization: Bearer` with a token"
)


class Judge(Protocol):
    """`projects.Projects`, with its limits for those who guess.  `now`: monotonic seconds."""

    def check(self, project: str, token: str, source: str, now: float) -> bool:
        """Whether they belong together."""

    def project_of(self, token: str, source: str, now: float) -> str | None:
        """Whose token it is."""


def project_behind(judge: Judge, authorization: str, source: str, now: float) -> str:
    """The project that asks.  Raises `ApiError` (401)."""
    scheme, _, value = authorization[:_LONGEST].strip().partition(" ")
    if scheme.lower() == "basic":
        project, _, token = _decoded(value.strip()).partition(":")
        if project and token and judge.check(project, token, source, now):
            return project
    elif scheme.lower() == "bearer":
        found = judge.project_of(value.strip(), source, now)
        if found is not None:
            return found
    raise _refused()


def _refused() -> ApiError:
    error = ApiError(401, _WRONG)
    error.headers["WWW-Authenticate"] = _CHALLENGE
    return error


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
