"""`request`: what is sent, and what its answer leaves in the variables."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import RequestAnswered, SendRequest


def one(drive: Any, argument: str, *answers: RequestAnswered) -> Any:
    return drive(f"- request: {argument}\n- answer", results={SendRequest: list(answers)})


def test_all_that_a_request_can_say_is_sent(drive: Any) -> None:
    ran = one(
        drive,
        "{url: 'https://u:p@h/x', method: PUT, headers: {X-A: 1, accept: text/plain}, body: hello,"
        " timeout: 3, connect_timeout: 1.5}",
    )
    assert ran.requests == [
        SendRequest(
            url="https://u:p@h/x",
            method="PUT",
            headers=(("X-A", "1"), ("accept", "text/plain"), ("Content-Type", "text/plain")),
            body=b"hello",
            timeout=3.0,
            connect_timeout=1.5,
        )
    ]


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [
        ("{a: 1, b: [x]}", b'{"a":1,"b":["x"]}', "application/json"),
        ("[1, 2]", b"[1,2]", "application/json"),
        ("' {\"a\": 1}'", b' {"a": 1}', "application/json"),
        ("'<a/>'", b"<a/>", "application/xml"),
        ("a=1", b"a=1", "text/plain"),
        ("5", b"5", "text/plain"),
    ],
)
def test_the_content_type_is_guessed_from_the_body(drive: Any, body: str, sent: bytes, kind: str) -> None:
    ran = one(drive, f"{{url: 'http://h', method: POST, body: {body}}}")
    assert (ran.requests[0].body, ran.requests[0].headers) == (sent, (("Content-Type", kind),))


def test_a_content_type_of_ones_own_stays_and_no_body_has_none(drive: Any) -> None:
    ran = one(drive, "{url: 'http://h', method: POST, body: '{}', headers: {content-type: text/x}}")
    assert ran.requests[0].headers == (("content-type", "text/x"),)
    assert one(drive, "{url: 'http://h', method: GET}").requests[0].headers == ()


@pytest.mark.parametrize(
    "header",
    [
        "Host: h",
        "Cookie: a",
        "Content-Length: 5",
        '"X-A\\r\\nHost": h',
        'X-A: "a\\r\\nHost: h"',
        "X-Ä: a",
        "X-A: ä",
    ],
)
def test_other_headers_and_broken_ones_are_dropped_with_a_warning(drive: Any, header: str) -> None:
    ran = one(drive, f"{{url: 'http://h', method: GET, headers: {{{header}}}}}")
    assert ran.requests[0].headers == ()
    assert ran.codes == ["method_parameter_invalid_value"]


def test_a_2xx_answer_is_a_success_with_code_headers_and_body(drive: Any) -> None:
    answer = RequestAnswered(
        url="https://h/x", status=201, headers=(("X-Id", " 7 "), ("content-type", "text/plain")), body=b"ok"
    )
    ran = one(drive, "{url: 'https://h/x', method: POST}", answer)
    assert ran.vars["request_url"] == "https://h/x"
    assert ran.vars["request_result"] == ran.vars["return_value"] == "success"
    assert ran.vars["request_response_code"] == 201
    assert ran.vars["request_response_headers"] == {"x-id": "7", "content-type": "text/plain"}
    assert ran.vars["request_response_body"] == "ok"
    assert "request_response" not in ran.vars


def test_headers_can_be_looked_up_by_name(drive: Any) -> None:
    answer = RequestAnswered(url="http://h", status=200, headers=(("content-type", "text/x"),))
    ran = drive(
        "- request: {url: 'http://h', method: GET}\n- set: {t: '${request_response_headers.content-type}'}",
        results={SendRequest: [answer]},
    )
    assert ran.vars["t"] == "text/x"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_any_other_status_is_a_failure_and_no_error_of_the_script(drive: Any, status: int) -> None:
    ran = one(drive, "{url: 'http://h', method: GET}", RequestAnswered(url="http://h", status=status))
    assert (ran.vars["request_result"], ran.vars["request_response_code"]) == ("failed", status)
    assert ran.codes == []


def test_no_answer_is_a_failure_that_says_why(drive: Any) -> None:
    ran = one(drive, "{url: 'http://h', method: GET}", RequestAnswered(url="http://h", sentence="No route."))
    assert ran.vars["request_result"] == "failed"
    assert "request_response_code" not in ran.vars
    assert ran.warnings[0].message == "request: No route."
    assert ran.names == ["answer"]


def test_the_members_of_a_json_answer_become_variables_when_asked_for(drive: Any) -> None:
    answer = RequestAnswered(url="http://h", status=200, body=b'{"to": {"number": "+1555"}, "n": 5}')
    ran = drive(
        "- request: {url: 'http://h', method: GET, save_variables: true}\n"
        "- set: {to: '${request_response.to.number}', n: '${request_response.n}'}",
        results={SendRequest: [answer]},
    )
    assert (ran.vars["to"], ran.vars["n"]) == ("+1555", 5)


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 65 + b"]" * 65, b"[" * 30_000])
def test_an_answer_that_is_no_json_saves_nothing_and_warns(drive: Any, body: bytes) -> None:
    answer = RequestAnswered(url="http://h", status=200, body=body)
    ran = one(drive, "{url: 'http://h', method: GET, save_variables: true}", answer)
    assert "request_response" not in ran.vars
    assert "no variables are saved" in ran.warnings[0].message
    assert ran.vars["request_result"] == "success"


@pytest.mark.parametrize(
    "argument",
    [
        "{method: GET}",
        "{url: 'http://h'}",
        "{url: 'http://h', method: PATCH}",
        "{url: 'file:///etc/passwd', method: GET}",
        '{url: "http://h/\\r\\nX: y", method: GET}',
        "{url: 'http://h', method: GET, timeout: -1}",
        "{url: 'http://h', method: GET, headers: [a]}",
        "{url: 'http://h', method: GET, headers: {" + ", ".join(f"X-{n}: a" for n in range(65)) + "}}",
    ],
)
def test_a_request_with_bad_properties_is_not_made(drive: Any, argument: str) -> None:
    ran = one(drive, argument)
    assert ran.requests == []
    assert ran.vars["request_result"] == ran.vars["return_value"] == "failed"
    assert ran.names == ["answer"]


def test_a_later_request_forgets_what_an_earlier_one_brought(drive: Any) -> None:
    first = RequestAnswered(url="http://h", status=200, body=b"{}")
    second = RequestAnswered(url="http://h", sentence="No route.")
    step = "- request: {url: 'http://h', method: GET, save_variables: true}\n"
    ran = drive(step + step, results={SendRequest: [first, second]})
    assert sorted(ran.vars) == ["request_result", "request_url", "return_value", "script_error"]
