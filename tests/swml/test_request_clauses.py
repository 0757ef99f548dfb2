"""Clauses of swml.md 4.2 about `request`: what is no mistake, and what a script can do with the answer."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import RequestAnswered, SendRequest


@pytest.mark.parametrize("name", ["timeout", "connect_timeout"])
def test_times_over_600_seconds_are_cut_with_a_warning(drive: Any, name: str) -> None:
    ran = drive(f"- request: {{url: 'http://h', method: GET, {name}: 900}}")
    (request,) = ran.requests
    assert getattr(request, name) == 600.0
    assert ran.warnings[0].message == f"request: `{name}` 900 is cut to 600 s"
    assert ran.vars["request_result"] == "success"


def test_times_of_zero_are_left_to_the_server(drive: Any) -> None:
    (request,) = drive("- request: {url: 'http://h', method: GET, timeout: 0}").requests
    assert (request.timeout, request.connect_timeout) == (0.0, 0.0)


def test_url_headers_and_body_are_made_of_variables_with_their_types(drive: Any) -> None:
    ran = drive(
        "- set: {id: 7, who: {name: Ann, tags: [a, b]}}\n"
        "- request:\n"
        "    url: 'http://h/${id}?from=${call.from}'\n"
        "    method: POST\n"
        "    headers: {X-Id: '${id}'}\n"
        "    body: {id: '${id}', who: '${who}', text: 'n${id}'}"
    )
    (request,) = ran.requests
    assert request.url == "http://h/7?from=sip:alice@example.com"
    assert request.headers == (("X-Id", "7"), ("Content-Type", "application/json"))
    assert request.body == b'{"id":7,"who":{"name":"Ann","tags":["a","b"]},"text":"n7"}'


def test_an_answer_without_save_variables_can_be_read_as_text(drive: Any) -> None:
    answer = RequestAnswered(url="http://h", status=404, headers=(("X-Why", "gone"),), body=b'{"to": 5}')
    ran = drive(
        "- request: {url: 'http://h', method: DELETE}\n"
        "- set: {to: '${JSON.parse(request_response_body).to}', none: '${request_response.to}'}\n"
        "- cond: [{when: 'request_response_code == 404', then: [{set: {seen: 1}}]}]",
        results={SendRequest: [answer]},
    )
    assert (ran.vars["to"], ran.vars["none"], ran.vars["seen"]) == (5, "", 1)
    assert (ran.vars["request_result"], ran.vars["request_response_headers"]) == ("failed", {"x-why": "gone"})


def test_the_variables_of_a_failure_are_kept_too_when_they_are_asked_for(drive: Any) -> None:
    answer = RequestAnswered(url="http://h", status=422, body=b'{"error": "no such order"}')
    ran = drive(
        "- request: {url: 'http://h', method: POST, save_variables: 'true'}\n"
        "- set: {said: '${request_response.error}'}",
        results={SendRequest: [answer]},
    )
    assert (ran.vars["request_result"], ran.vars["said"]) == ("failed", "no such order")
