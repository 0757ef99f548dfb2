"""connect: what a step asks of the call, and what the script knows afterwards (swml.md 7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cordboard.call.actions import ConnectDone
from cordboard.call.plan import ConnectPlan

FAILED = ConnectDone(connected=False, failed_reason="busy", sip_code=486, sip_reason="Busy Here")
B1, B2, B3 = (f"sip:b{n}@127.0.0.1:5060;transport=udp" for n in (1, 2, 3))


def connect(drive: Any, argument: Any, **options: Any) -> Any:
    return drive(json.dumps({"sections": {"main": [{"connect": argument}]}}), **options)


def dialled(plan: ConnectPlan) -> list[list[str]]:
    return [[destination.to for destination in group] for group in plan.groups]


@pytest.mark.parametrize(
    ("argument", "groups"),
    [
        ({"to": B1}, [[B1]]),
        ({"serial": [{"to": B1}, {"to": B2}]}, [[B1], [B2]]),
        ({"parallel": [{"to": B1}, {"to": B2}]}, [[B1, B2]]),
        ({"serial_parallel": [[{"to": B1}, {"to": B2}], [{"to": B3}]]}, [[B1, B2], [B3]]),
        ({"serial_parallel": [[], [{"to": B1}]]}, [[B1]]),
        ({"serial": ["+15551230001", B1]}, [["+15551230001"], [B1]]),
    ],
)
def test_every_strategy_becomes_groups(drive: Any, argument: Any, groups: list[list[str]]) -> None:
    ran = connect(drive, argument)
    assert dialled(ran.plan) == groups
    assert ran.warnings == []


def test_the_defaults_are_those_of_the_documentation(drive: Any) -> None:
    plan = connect(drive, {"to": B1}).plan
    (destination,) = plan.groups[0]
    assert (plan.answer_on_bridge, plan.status_url) == (False, None)
    assert (destination.kind, destination.from_, destination.timeout) == ("sip", None, 60.0)
    assert (destination.headers, destination.call_state_url) == ((), None)
    assert destination.call_state_events == {"ended"}


@pytest.mark.parametrize(
    ("to", "kind", "dialled_as"),
    [
        ("sip:alice@example.com;transport=udp", "sip", "sip:alice@example.com;transport=udp"),
        ("SIPS:alice@example.com", "sip", "SIPS:alice@example.com"),
        (" sip:alice@[::1]:5070 ", "sip", "sip:alice@[::1]:5070"),
        ("sip:gateway.example.com", "sip", "sip:gateway.example.com"),
        ("support@company.com", "sip", "sip:support@company.com"),
        ("+15552345678", "phone", "+15552345678"),
        ("15552345678", "phone", "15552345678"),
    ],
)
def test_the_form_of_to_decides_the_kind(drive: Any, to: str, kind: str, dialled_as: str) -> None:
    (destination,) = connect(drive, {"to": to}).plan.groups[0]
    assert (destination.kind, destination.to) == (kind, dialled_as)


def test_bare_digits_are_a_phone_number_with_a_warning(drive: Any) -> None:
    assert connect(drive, {"to": "15552345678"}).codes == ["method_parameter_invalid_value"]


def test_a_destinations_own_value_wins_over_the_top_which_wins_over_the_default(drive: Any) -> None:
    ran = connect(
        drive,
        {
            "timeout": 20,
            "from": "+15550001",
            "headers": [{"name": "X-A", "value": "1"}],
            "call_state_url": "http://h/state",
            "call_state_events": ["created", "ended"],
            "status_url": "http://h/status",
            "answer_on_bridge": True,
            "parallel": [
                {"to": B1},
                {
                    "to": B2,
                    "timeout": 2,
                    "from": "+15550002",
                    "headers": [{"name": "X-B", "value": "2"}],
                    "call_state_url": "http://h/state2",
                    "status_events": [],
                    "status_url": "http://h/status2",
                },
            ],
        },
    )
    b1, b2 = ran.plan.groups[0]
    assert (b1.timeout, b1.from_, b1.headers) == (20, "+15550001", (("X-A", "1"),))
    assert (b2.timeout, b2.from_, b2.headers) == (2, "+15550002", (("X-B", "2"),))
    assert (b1.call_state_url, b2.call_state_url) == ("http://h/state", "http://h/state2")
    assert (b1.call_state_events, b2.call_state_events) == ({"created", "ended"}, frozenset())
    assert (b1.status_url, b2.status_url) == ("http://h/status", "http://h/status2")
    assert (ran.plan.status_url, ran.plan.answer_on_bridge) == ("http://h/status", True)
    assert ran.warnings == []


def test_placeholders_are_resolved_when_the_step_starts_and_keep_their_type(drive: Any) -> None:
    ran = connect(
        drive,
        {"to": "${params.dest}", "timeout": "${wait}", "answer_on_bridge": "${flag}", "from": "${n}"},
        params={"dest": B1},
        vars={"wait": "30", "flag": "true", "n": 15551234567},
    )
    (destination,) = ran.plan.groups[0]
    assert (destination.to, destination.timeout, destination.from_) == (B1, 30.0, "15551234567")
    assert ran.plan.answer_on_bridge is True


def test_a_timeout_over_600_is_cut(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "timeout": 4000})
    assert ran.plan.groups[0][0].timeout == 600
    assert len(ran.warnings) == 1


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("X-Ok", "a %2B b", True),
        ("x-FROM_NUMBER", "1", True),
        ("Via", "x", False),
        ("Contact", "x", False),
        ("X-A", "1\r\nVia: x", False),
        ("X-A\r\n", "1", False),
        ("X-", "1", False),
        ("X-A b", "1", False),
        ("X-A", "nul\0", False),
        ("X-A", "a\tb", True),
        ("X-A", "Zoë", True),
        ("X-A", "a\x85b", False),
    ],
)
def test_only_x_headers_of_one_line_are_sent(drive: Any, name: str, value: str, kept: bool) -> None:
    ran = connect(drive, {"to": B1, "headers": [{"name": name, "value": value}]})
    assert ran.plan.groups[0][0].headers == (((name, value),) if kept else ())
    assert len(ran.warnings) == (0 if kept else 1)


def test_headers_have_no_effect_on_phone_numbers(drive: Any) -> None:
    ran = connect(drive, {"to": "+15551234567", "headers": [{"name": "X-A", "value": "1"}]})
    assert ran.plan.groups[0][0].headers == ()


# ------------------------------------------------------------------ bad input (connect-cases 14)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ({}, "method_parameter_missing"),
        ({"serial": []}, "method_parameter_invalid_value"),
        ({"serial_parallel": [[], []]}, "method_parameter_invalid_value"),
        ({"serial_parallel": [B1]}, "element_wrong_type"),
        ({"to": ""}, "method_parameter_invalid_value"),
        ({"to": None}, "method_parameter_missing"),
        ({"to": 15551234567}, "element_wrong_type"),
        ({"to": "ftp://x"}, "method_parameter_invalid_value"),
        ({"to": "sip:"}, "method_parameter_invalid_value"),
        ({"to": "sip:a@h\r\nX: y"}, "method_parameter_invalid_value"),
        ({"to": "sip:a b@h"}, "method_parameter_invalid_value"),
        ({"to": "verto:1008"}, "method_parameter_invalid_value"),
        ({"to": "sip:a@h%0d%0aVia:x"}, "method_parameter_invalid_value"),
        ({"to": "sip:a@h,sip:b@h"}, "method_parameter_invalid_value"),
        ({"to": "sip:a@h:99999"}, "method_parameter_invalid_value"),
        ({"to": "sip:a@exämple.com"}, "method_parameter_invalid_value"),
        ({"to": "sip:50%@h"}, "method_parameter_invalid_value"),
        ({"to": "a@b@c"}, "method_parameter_invalid_value"),
        ({"to": B1, "from": "sip:50%@h"}, "method_parameter_invalid_value"),
        ({"to": B1, "from": "sip:a@h:99999"}, "method_parameter_invalid_value"),
        ({"to": "${vars.none}"}, "method_parameter_invalid_value"),
        ({"to": B1, "serial": [{"to": B2}]}, "method_parameter_conflict"),
        ({"to": B1, "encryption": "required"}, "method_parameter_invalid_value"),
        ({"to": B1, "headers": {"X-A": "1"}}, "element_wrong_type"),
        ({"to": B1, "headers": [{"name": "X-A", "value": 1}]}, "element_wrong_type"),
        ({"to": B1, "headers": [{"name": "X-A"}]}, "method_parameter_missing"),
        ({"to": B1, "timeout": "abc"}, "method_parameter_invalid_value"),
        ({"to": B1, "timeout": 0}, "method_parameter_invalid_value"),
        ({"to": B1, "timeout": True}, "element_wrong_type"),
        ({"to": B1, "call_state_events": ["ending"]}, "method_parameter_invalid_value"),
        ({"to": B1, "call_state_url": "ftp://h/x"}, "method_parameter_invalid_value"),
        ({"to": B1, "from": "a\r\nb"}, "method_parameter_invalid_value"),
        ({"to": B1, "answer_on_bridge": "maybe"}, "method_parameter_invalid_value"),
        ({"to": "+15551234567", "from": "sip:alice@h"}, "method_parameter_invalid_value"),
        ({"parallel": [{"to": B1}] * 11}, "method_parameter_invalid_value"),
        ({"serial": [{"to": B1}] * 51}, "method_parameter_invalid_value"),
    ],
)
def test_bad_input_dials_nobody_sets_the_variables_and_the_script_goes_on(
    drive: Any, argument: Any, code: str
) -> None:
    result: dict[str, Any] = {"case": {"failed": [{"answer": {}}]}}
    ran = connect(drive, {**argument, "result": result})
    assert ran.names == ["connect", "answer"]
    assert (ran.plan.groups, ran.plan.problem) == ((), ran.warnings[0].message)
    assert ran.codes == [code]
    assert ran.vars["script_error"] == f"relay_script_{code}"
    assert (ran.vars["connect_result"], ran.vars["connect_failed_reason"]) == ("failed", "error")
    assert ran.vars["return_value"] == "failed"


def test_bad_input_is_reported_to_the_status_url_by_a_plan_that_dials_nobody(drive: Any) -> None:
    ran = connect(drive, {"to": "", "status_url": "http://h/status"}, connects=[FAILED])
    assert ran.plan.groups == ()
    assert ran.plan.status_url == "http://h/status"
    assert "`to`" in ran.plan.problem
    assert (ran.vars["connect_result"], ran.vars["connect_failed_reason"]) == ("failed", "error")


def test_an_unknown_property_is_a_warning_and_the_call_proceeds(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "foo": 1})
    assert (dialled(ran.plan), ran.codes) == ([[B1]], ["method_parameter_undefined"])
    assert "script_error" not in ran.vars


@pytest.mark.parametrize("result", ["x", 5, {"variable": "a"}, [{"then": []}]])
def test_a_result_that_cannot_be_used_is_a_warning_and_the_call_proceeds(drive: Any, result: Any) -> None:
    ran = connect(drive, {"to": B1, "result": result})
    assert (ran.names, len(ran.warnings)) == (["connect"], 1)


@pytest.mark.parametrize(
    "bad",
    [
        {"to": "ftp://x"},
        {"to": 5},
        {},
        5,
        {"to": B2, "timeout": -1},
        {"to": B2, "headers": 1},
        {"to": "+15551234567", "from": "sip:a@b"},
        {"to": B2, "call_state_events": [], "status_events": []},
    ],
)
def test_one_bad_destination_of_a_list_fails_alone(drive: Any, bad: Any) -> None:
    ran = connect(drive, {"serial": [{"to": B1}, bad]})
    good, broken = ran.plan.groups[0][0], ran.plan.groups[1][0]
    assert (good.to, good.problem) == (B1, None)
    assert broken.problem
    assert len(ran.codes) == 1
    assert ran.vars["script_error"] == "relay_script_" + ran.codes[0]
    assert ran.vars["connect_result"] == "connected"


# ------------------------------------------------------------------ what is not built


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ({"to": B1, "webrtc_media": True}, "`webrtc_media`"),
        ({"webrtc_media": True, "serial": [B1]}, "`webrtc_media`"),
        ({"to": "queue:support"}, "`queue:` destinations"),
        ({"to": "stream:wss://h/x", "codec": "PCMU"}, "`stream:` destinations"),
        ({"to": "/public/room"}, "resource addresses"),
        ({"parallel": [{"to": B1}, {"to": "queue:x"}]}, "`queue:` destinations"),
    ],
)
def test_what_is_not_built_is_refused_by_name(drive: Any, argument: Any, named: str) -> None:
    ran = connect(drive, argument)
    assert ran.plan.groups == ()
    assert f"connect: {named}" in ran.warnings[0].message
    assert ran.warnings[0].message.endswith("not supported by this server yet")
    assert ran.codes == ["method_execute_failed"]
    assert (ran.vars["connect_result"], ran.vars["connect_failed_reason"]) == ("failed", "error")


def test_properties_without_an_effect_on_phone_numbers_are_ignored_there(drive: Any) -> None:
    silent = {"from_name": "X", "codecs": "OPUS", "encryption": "mandatory", "webrtc_media": True}
    ran = connect(drive, {"to": "+15551234567", "session_timeout": 300, **silent})
    assert (dialled(ran.plan), ran.warnings) == ([["+15551234567"]], [])


def test_values_that_ask_for_nothing_are_accepted(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "encryption": "forbidden", "webrtc_media": False, "session_timeout": 0})
    assert (dialled(ran.plan), ran.warnings) == ([[B1]], [])


# ------------------------------------------------------------------ outcome


def test_a_failure_sets_the_variables_and_the_script_goes_on(drive: Any) -> None:
    ran = drive(f"- connect: {B1}\n- answer", connects=[FAILED])
    assert ran.names == ["connect", "answer"]
    assert ran.vars["connect_result"] == ran.vars["return_value"] == "failed"
    assert ran.vars["connect_failed_reason"] == "busy"
    assert (ran.vars["connect_sip_code"], ran.vars["connect_sip_reason"]) == (486, "Busy Here")


def test_a_later_success_leaves_no_reason_behind(drive: Any) -> None:
    ran = drive(f"- connect: {B1}\n- connect: {B2}", connects=[FAILED, ConnectDone(connected=True)])
    assert (ran.vars["connect_result"], ran.vars["return_value"]) == ("connected", "connected")
    assert not {"connect_failed_reason", "connect_sip_code", "connect_sip_reason"} & ran.vars.keys()


@pytest.mark.parametrize(
    ("result", "chosen"),
    [
        ({"case": {"connected": [{"set": {"r": "c"}}], "failed": [{"set": {"r": "f"}}]}}, "f"),
        (
            {
                "variable": "connect_failed_reason",
                "case": {"busy": [{"set": {"r": "b"}}]},
                "default": [{"set": {"r": "d"}}],
            },
            "b",
        ),
        ([{"when": "connect_result == 'failed'", "then": [{"set": {"r": "w"}}]}, {"else": []}], "w"),
        ({"case": {"connected": [{"set": {"r": "c"}}]}}, None),
    ],
)
def test_result_is_a_switch_or_a_cond(drive: Any, result: Any, chosen: str | None) -> None:
    ran = connect(drive, {"to": B1, "result": result}, connects=[FAILED])
    assert ran.vars.get("r") == chosen
    assert ran.warnings == []


def test_result_can_return_transfer_and_execute(drive: Any) -> None:
    text = """
sections:
  main:
    - connect: {to: sip:b@h, result: {case: {failed: [{execute: note}, {transfer: after}]}}}
    - play: ring:us
  note: [{set: {noted: true}}]
  after: [answer]
"""
    ran = drive(text, connects=[FAILED])
    assert (ran.names, ran.vars["noted"]) == (["connect", "answer"], True)
