"""What the HTTP API says when it cannot do what it was asked."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from cordboard.events.encoding import encode

CODES = {
    400: "invalid_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_attempts",
    500: "internal_error",
    501: "not_built",
    503: "unavailable",
    504: "timeout",
}
"""The word for programs, by HTTP status, where there is no finer one."""


class ApiError(Exception):
    """`sentence` says what is wrong and what would be right; `details` are further keys of the answer."""

    def __init__(self, status: int, sentence: str, *, code: str = "", **details: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.body: dict[str, Any] = {
            "code": code or CODES.get(status, CODES[500]),
            "message": closed(sentence),
            **{key: value for key, value in details.items() if value not in (None, "")},
        }
        self.headers: dict[str, str] = {}

    def response(self) -> web.Response:
        """As it goes to the client."""
        return web.Response(
            body=encode(self.body), status=self.status, headers=self.headers, content_type="application/json"
        )


def no_operation(method: str, path: str, status: int, allowed: str) -> web.Response:
    """Nothing is there, or not for this method (`allowed`: those that are)."""
    sentence = f"There is no {method} {path[:200]} here: /api/openapi.json says what there is"
    error = ApiError(status, sentence, allowed=allowed)
    if allowed:
        error.headers["Allow"] = allowed
    return error.response()


def closed(sentence: str) -> str:
    """With a full stop."""
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."
