"""`request` (swml.md 4.2): one HTTP request, and its answer as variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from cordboard.call.actions import RequestAnswered, SendRequest
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note, shown
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Kind, Shape, choice, flag, number, of_kind, text, union, url
from cordboard.swml.values import depth, to_json, to_text

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

_LONGEST = 600
_MAX_DEPTH = 64
"""Levels of lists and mappings in an answer that is kept as variables."""
_MAX_HEADERS = 64
_SENDABLE = frozenset({"accept", "authorization", "content-type", "range"})
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,8192}\Z")
_GUESSES = {"{": "application/json", "[": "application/json", "<": "application/xml"}
_OUTPUTS = (
    "request_url",
    "request_result",
    "request_response_code",
    "request_response_headers",
    "request_response_body",
    "request_response",
    "return_value",
)

SHAPE = Shape(
    method="request",
    about="Makes an HTTP request and waits for its answer.",
    properties=(
        url("url", required=True, about="http(s) URL; user:pass@ becomes Basic credentials."),
        choice("method", "GET", "POST", "PUT", "DELETE", required=True, about="Method of the request."),
        of_kind("headers", Kind.MAP, about="Accept, Authorization, Content-Type, Range and X-… headers."),
        union(
            "body",
            text("body"),
            of_kind("body", Kind.MAP),
            of_kind("body", Kind.LIST),
            about="Text, or data that is sent as JSON.",
        ),
        number(
            "timeout", 0, default=0, about="Seconds until the answer must be there, at most 600; 0 = any."
        ),
        number("connect_timeout", 0, default=0, about="Seconds until connected, at most 600; 0 = any."),
        flag("save_variables", default=False, about="Keep the members of a JSON answer as variables."),
    ),
    on_failure=(("request_result", "failed"), ("return_value", "failed")),
)


class Prepared(msgspec.Struct, frozen=True):
    """The request, and whether its answer is to be taken apart."""

    request: SendRequest
    save: bool


def _prepare(values: dict[str, Any], notes: list[Note]) -> Prepared:
    options = check(values, SHAPE)
    headers = _headers(options["headers"] or {}, notes)
    body = _body(options["body"])
    if body and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", _guessed(body)))
    request = SendRequest(
        url=options["url"],
        method=options["method"],
        headers=tuple(headers),
        body=body.encode("utf-8", "replace"),
        timeout=_seconds("timeout", options["timeout"], notes),
        connect_timeout=_seconds("connect_timeout", options["connect_timeout"], notes),
    )
    return Prepared(request, options["save_variables"])


def _seconds(name: str, given: float, notes: list[Note]) -> float:
    """SWML has no upper bound, so a longer time is no mistake that would keep the request from being made."""
    if given > _LONGEST:
        message = f"request: `{name}` {given:g} is cut to {_LONGEST} s"
        notes.append(Note(codes.PARAMETER_INVALID, message, (name,)))
    return min(float(given), float(_LONGEST))


def _headers(given: dict[str, Any], notes: list[Note]) -> list[tuple[str, str]]:
    """The headers that a script may set; any other is dropped with a warning."""
    if len(given) > _MAX_HEADERS:
        message = f"request: {len(given)} headers, at most {_MAX_HEADERS} are possible"
        raise MethodError(codes.PARAMETER_INVALID, message, path=("headers",))
    kept: list[tuple[str, str]] = []
    for name, value in given.items():
        text_value = to_text(value)
        if _is_sendable(name) and _VALUE.match(text_value) and text_value.isascii():
            kept.append((name, text_value))
        else:
            allowed = "only Accept, Authorization, Content-Type, Range and X- headers of one line can be sent"
            message = f"request: the header {shown(name)} is dropped: {allowed}"
            notes.append(Note(codes.PARAMETER_INVALID, message, ("headers", name)))
    return kept


def _is_sendable(name: str) -> bool:
    lower = name.lower()
    return (lower in _SENDABLE or lower.startswith("x-")) and _NAME.match(name) is not None


def _body(body: Any) -> str:
    if body is None:
        return ""
    return to_json(body) if isinstance(body, (dict, list)) else str(body)


def _guessed(body: str) -> str:
    return _GUESSES.get(body.lstrip()[:1], "text/plain")


def _run(step: Step, interpreter: Interpreter) -> Steps:
    values = yield from interpreter.values(step)
    interpreter.forget(*_OUTPUTS)
    prepared: Prepared = interpreter.prepare(step, values)
    answer = expect((yield prepared.request), RequestAnswered)
    succeeded = answer.status is not None and 200 <= answer.status < 300
    outcome = "success" if succeeded else "failed"
    interpreter.set("request_url", answer.url)
    interpreter.set("request_result", outcome)
    interpreter.set("return_value", outcome)
    if answer.status is None:
        interpreter.error(codes.EXECUTE_FAILED, f"request: {answer.sentence}")
    else:
        _remember(answer, answer.status, interpreter, save=prepared.save)
    return None


def _remember(answer: RequestAnswered, status: int, interpreter: Interpreter, *, save: bool) -> None:
    interpreter.set("request_response_code", status)
    headers = {name.lower(): value.strip() for name, value in answer.headers[:_MAX_HEADERS]}
    interpreter.set("request_response_headers", headers)
    interpreter.set("request_response_body", answer.body.decode("utf-8", "replace"))
    if not save:
        return
    try:
        parsed = msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        interpreter.warn(codes.EXECUTE_FAILED, "request: the answer is not JSON: no variables are saved")
        return
    if depth(parsed, _MAX_DEPTH) > _MAX_DEPTH:
        interpreter.warn(
            codes.EXECUTE_FAILED, "request: the answer is nested too deep: no variables are saved"
        )
        return
    interpreter.set("request_response", parsed)


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
