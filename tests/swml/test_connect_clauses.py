"""Clauses of swml.md 7 about a connect's script: placeholders, `result`, where the caller goes afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cordboard.call.actions import ConnectDone
from cordboard.swml.document import load
from cordboard.swml.lint import lint

B1 = "sip:b1@h;transport=tls"
FAILED = ConnectDone(connected=False, failed_reason="busy")


def connect(drive: Any, argument: Any, *then: Any, **options: Any) -> Any:
    return drive(json.dumps({"sections": {"main": [{"connect": argument}, *then]}}), **options)


# ------------------------------------------------------------------ placeholders (7.4)


def test_an_item_of_a_ringback_that_comes_to_nothing_is_left_out(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "ringback": ["${vars.none}", "ring:de"]})
    assert [item.country for item in ran.plan.ringback.items] == ["de"]


def test_a_number_in_a_variable_is_a_text_where_a_text_is_wanted(drive: Any) -> None:
    argument = {
        "to": "${vars.to}",
        "from": "${vars.from}",
        "headers": [{"name": "X-Id", "value": "${vars.id}"}],
        "timeout": "${vars.seconds}",
    }
    variables = {"to": "sip:b@h", "from": 15550001, "id": 42, "seconds": "20"}
    ran = connect(drive, argument, vars=variables)
    ((destination,),) = ran.plan.groups
    assert (destination.from_, destination.headers, destination.timeout) == (
        "15550001",
        (("X-Id", "42"),),
        20.0,
    )


def test_a_confirm_may_be_a_url_in_a_variable_and_must_be_one(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "confirm": "${vars.url}"}, vars={"url": "http://h/c"})
    assert ran.plan.groups[0][0].confirm.url == "http://h/c"
    bad = connect(drive, {"to": B1, "confirm": "${vars.none}"})
    assert bad.plan.groups == ()
    assert "`confirm`" in bad.plan.problem


# ------------------------------------------------------------------ result (7.13)


def test_result_runs_after_a_connect_that_could_not_dial(drive: Any) -> None:
    ran = connect(drive, {"to": "", "result": {"case": {"failed": ["answer"]}}})
    assert ran.names == ["connect", "answer"]


@pytest.mark.parametrize("label", ["end", "${vars.label}"])
def test_a_goto_in_result_does_not_leave_it(drive: Any, label: str) -> None:
    steps = [{"set": {"label": "end"}}, {"goto": {"label": label}}, {"set": {"after": 1}}]
    result = {"case": {"failed": steps}}
    ran = connect(drive, {"to": B1, "result": result}, "answer", {"label": "end"}, connects=[FAILED])
    assert ran.codes == ["method_parameter_invalid_value"]
    assert (ran.names, ran.vars["after"]) == (["connect", "answer"], 1)


def test_result_knows_the_reason_and_the_code_of_the_far_end(drive: Any) -> None:
    done = ConnectDone(connected=False, failed_reason="busy", sip_code=486, sip_reason="Busy Here")
    result = [{"when": "connect_sip_code == 486 && connect_sip_reason == 'Busy Here'", "then": ["answer"]}]
    ran = connect(drive, {"to": B1, "result": result}, connects=[done])
    assert ran.names == ["connect", "answer"]


# ------------------------------------------------------------------ transfer_after_bridge (7.13)


def test_connects_that_lead_to_each_other_end_after_32_transfers(drive: Any) -> None:
    text = json.dumps(
        {"sections": {"main": [{"connect": {"to": B1, "transfer_after_bridge": "http://h/again"}}]}}
    )
    ran = drive(text, documents={"http://h/again": text})
    assert ran.names == ["connect"] * 33
    assert ran.vars["script_error"] == "relay_script_too_many_transfers"
    assert "more than 32 transfers" in ran.finished.failed


# ------------------------------------------------------------------ where a finding stands (7.6, 7.7)

TEXT = """sections:
  main:
    - connect:
        headers:
          - {name: X-Good, value: a}
          - {name: Via, value: b}
        serial:
          - to: sip:b1@h
            headers:
              - {name: X-A, value: "a\\r\\nb"}
          - to: "sip:b@[::1"
          - to: "sip:b@h?Subject=x"
          - to: sip:b@h
            from: two words
          - to: sip:b@h
            from: "sip:b@[::1"
"""


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        (6, "headers[1]", '"Via" is dropped'),
        (10, "serial[0].headers[0]", '"X-A" is dropped'),
        (11, "serial[1].to", "is no SIP URI"),
        (12, "serial[2].to", '"Subject" is dropped'),
        (14, "serial[3].from", "a name without spaces"),
        (16, "serial[4].from", "is no SIP URI"),
    ],
)
def test_a_header_or_uri_that_cannot_be_sent_is_found_with_its_line(line: int, place: str, said: str) -> None:
    found = {finding.line: finding for finding in load(TEXT, source="a").warnings}
    assert found[line].path.startswith(f"sections.main[0].connect.{place}")
    assert said in found[line].message


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("sip:b@h;transport=sctp", "`transport=sctp` is none that this server speaks"),
        ("sip:b@h;transport=WS", "`transport=ws` is none that this server speaks"),
        ("sips:b@h;transport=udp", "`transport=udp` contradicts `sips:`"),
        ("sip:b@h;transport=UDP", None),
        ("sip:b@h;transport=tcp", None),
        ("sips:b@h;transport=tls", None),
        ("sips:b@h;transport=tcp", None),
        ("sip:b@h", None),
    ],
)
def test_a_transport_that_can_only_fail_is_found_by_lint_and_left_to_the_leg(
    drive: Any, to: str, said: str | None
) -> None:
    steps = f"sections:\n  main:\n    - connect:\n        serial:\n          - to: '{to}'\n"
    found = [(f.line, f.severity, f.message) for f in lint(steps, source="a")]
    assert [(line, severity) for line, severity, _ in found] == ([] if said is None else [(5, "error")])
    assert all(str(said) in message for *_, message in found)
    ran = connect(drive, {"serial": [to]})
    assert ran.plan.groups[0][0].problem is None
    assert ran.warnings == []
