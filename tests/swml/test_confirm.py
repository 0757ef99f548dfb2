"""Confirm: what may stand in it, whom it holds for, and how its script runs on the dialled call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cordboard.call.actions import Prompt, PromptDone
from cordboard.call.plan import Confirm
from cordboard.swml.document import DocumentError, load
from cordboard.swml.script import Script

from .conftest import Ran, call_info

B1, B2 = "sip:b1@h;transport=tls", "sip:b2@h;transport=tls"
PRESS_ONE = [
    {"prompt": {"play": "say:Press 1"}},
    {"cond": [{"when": "prompt_value != '1'", "then": [{"hangup": {}}]}]},
]
DIALLED = call_info(
    call_id="call-2",
    direction="outbound",
    call_state="answered",
    parent_call_id="call-1",
    parent_device_type="sip",
)


def connect(drive: Any, argument: Any, **options: Any) -> Any:
    return drive(json.dumps({"sections": {"main": [{"connect": argument}]}}), **options)


def confirms(ran: Any) -> list[Confirm | None]:
    return [destination.confirm for group in ran.plan.groups for destination in group]


def on_the_dialled_call(confirm: Confirm | None, **more: Any) -> Ran:
    assert confirm is not None
    ran = Ran([], more.pop("documents", {}), [], more.pop("results", {}))
    return ran.run(Script.confirm(confirm, DIALLED, **more))


# ------------------------------------------------------------------ whom it holds for


def test_a_url_is_fetched_by_the_dialled_call_with_fresh_variables(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "timeout": 20, "confirm": "http://h/confirm"})
    (confirm,) = confirms(ran)
    assert confirm == Confirm(url="http://h/confirm", timeout=20.0)
    on_b = on_the_dialled_call(
        confirm, documents={"http://h/confirm": "sections: {main: [{set: {a: '${call.call_id}'}}]}"}
    )
    (fetch,) = on_b.fetches
    assert (fetch.url, fetch.vars, fetch.params) == ("http://h/confirm", {}, {})
    assert on_b.vars["a"] == "call-2"
    assert on_b.finished is not None
    assert on_b.finished.failed is None


def test_an_empty_list_is_no_confirm_also_against_the_top(drive: Any) -> None:
    assert confirms(connect(drive, {"to": B1, "confirm": []})) == [None]
    ran = connect(drive, {"confirm": "http://h/c", "serial": [{"to": B1, "confirm": []}, {"to": B2}]})
    assert confirms(ran) == [None, Confirm(url="http://h/c")]


def test_a_destinations_own_steps_win_over_the_url_at_the_top(drive: Any) -> None:
    ran = connect(
        drive, {"confirm": "http://h/c", "serial": [{"to": B1}, {"to": B2, "confirm": [{"hangup": {}}]}]}
    )
    first, second = confirms(ran)
    assert first is not None
    assert first.url == "http://h/c"
    assert on_the_dialled_call(second).names == ["hangup"]


def test_phones_and_groups_have_it_too(drive: Any) -> None:
    ran = connect(
        drive, {"confirm": PRESS_ONE, "confirm_timeout": 7, "serial_parallel": [[B1, "+15551234567"], [B2]]}
    )
    assert [confirm is not None and confirm.timeout for confirm in confirms(ran)] == [7.0, 7.0, 7.0]


# ------------------------------------------------------------------ how it runs


@pytest.mark.parametrize(("key", "names"), [("1", ["prompt"]), ("2", ["prompt", "hangup"])])
def test_the_script_accepts_by_ending_and_refuses_by_hanging_up(
    drive: Any, key: str, names: list[str]
) -> None:
    (confirm,) = confirms(connect(drive, {"to": B1, "confirm": PRESS_ONE}))
    pressed = PromptDone(result="match_digits", value=key)
    on_b = on_the_dialled_call(confirm, results={Prompt: [pressed]})
    assert on_b.names == names
    assert (on_b.finished is not None) == (key == "1")


def test_placeholders_in_inline_steps_are_evaluated_on_the_dialled_call(drive: Any) -> None:
    steps = [{"set": {"who": "${call.call_id}", "mine": "${vars.x}", "parent": "${call.parent.call_id}"}}]
    ran = drive(
        json.dumps({"sections": {"main": [{"connect": {"to": "${vars.to}", "confirm": steps}}]}}),
        vars={"x": "secret", "to": B1},
    )
    (confirm,) = confirms(ran)
    assert on_the_dialled_call(confirm).vars == {"who": "call-2", "mine": "", "parent": "call-1"}


def test_an_error_of_a_step_does_not_refuse(drive: Any) -> None:
    (confirm,) = confirms(connect(drive, {"to": B1, "confirm": [{"play": "nonsense"}]}))
    on_b = on_the_dialled_call(confirm)
    assert on_b.codes == ["method_execute_failed"]
    assert on_b.finished is not None
    assert on_b.finished.failed is None


@pytest.mark.parametrize("document", ["nonsense", "sections: {main: []}"])
def test_a_document_that_cannot_be_used_is_a_failure(document: str) -> None:
    on_b = on_the_dialled_call(Confirm(url="http://h/c"), documents={"http://h/c": document})
    assert on_b.finished is not None
    assert on_b.finished.failed


def test_a_document_that_cannot_be_fetched_is_a_failure() -> None:
    on_b = on_the_dialled_call(Confirm(url="http://h/c"))
    assert on_b.finished is not None
    assert on_b.finished.failed == "http://h/c answered 404"


def test_a_fetched_document_may_do_more_than_inline_steps() -> None:
    text = """
sections:
  main:
    - execute: ask
    - goto: {label: end, when: "true"}
    - hangup
    - label: end
    - return: whatever
  ask:
    - play: say:Hello
"""
    on_b = on_the_dialled_call(Confirm(url="http://h/c"), documents={"http://h/c": text})
    assert on_b.names == ["play"]
    assert on_b.finished is not None
    assert on_b.finished.failed is None


@pytest.mark.parametrize(
    "step",
    [
        "connect: {to: 'sip:b@h'}",
        "enter_queue: {queue_name: a}",
        "join_conference: {name: a}",
        "join_room: {name: a}",
        "ai: {prompt: {text: a}}",
        "cond: [{when: 'true', then: [{connect: {to: 'sip:b@h'}}]}]",
    ],
)
def test_a_fetched_document_cannot_connect_further(step: str) -> None:
    text = f"sections: {{main: [{{{step}}}]}}"
    on_b = on_the_dialled_call(Confirm(url="http://h/c"), documents={"http://h/c": text})
    assert on_b.actions == []
    assert on_b.finished is not None
    assert "cannot be used in a confirm script" in str(on_b.finished.failed)


def test_the_cache_and_the_environment_reach_the_script() -> None:
    seen: list[str] = []

    def cache(body: bytes, source: str) -> Any:
        seen.append(source)
        return load(body, source=source)

    on_b = on_the_dialled_call(
        Confirm(url="http://h/c"),
        documents={"http://h/c": "sections: {main: [{set: {e: '${envs.E}'}}]}"},
        envs={"E": "5"},
        cache=cache,
    )
    assert (seen, on_b.vars["e"]) == (["http://h/c"], "5")


# ------------------------------------------------------------------ what may stand in it


@pytest.mark.parametrize(
    "step",
    [
        {"connect": {"to": "sip:x@h"}},
        {"execute": "main"},
        {"transfer": "main"},
        {"goto": "a"},
        {"label": "a"},
        {"return": 1},
        {"request": {"url": "http://h", "method": "GET"}},
        {"answer": {}},
        {"sleep": 5},
        {"ai": {}},
        {"cond": [{"when": "true", "then": [{"connect": {"to": "sip:x@h"}}]}]},
        {"cond": [{"else": [{"switch": {"variable": "a", "case": {"b": [{"sleep": 1}]}}}]}]},
        {"switch": {"variable": "a", "case": {}, "default": [{"return": 1}]}},
    ],
)
def test_other_methods_in_inline_steps_fail_the_connect_before_anybody_is_dialled(
    drive: Any, step: Any
) -> None:
    ran = connect(drive, {"to": B1, "confirm": [{"play": "say:hi"}, step]})
    assert ran.plan.groups == ()
    assert "cannot be used in `confirm`" in ran.plan.problem
    assert ran.vars["connect_failed_reason"] == "error"


def test_in_a_list_only_the_destination_with_the_wrong_steps_fails(drive: Any) -> None:
    ran = connect(drive, {"serial": [{"to": B1, "confirm": [{"sleep": 1}]}, {"to": B2}]})
    ((first,), (second,)) = ran.plan.groups
    assert "`sleep`" in first.problem
    assert second.problem is None


def test_all_the_methods_that_may_stand_in_it_are_accepted(drive: Any) -> None:
    steps = [
        {"cond": [{"when": "true", "then": [{"set": {"a": 1}}]}]},
        {"switch": {"variable": "a", "case": {"1": [{"unset": "a"}]}}},
        {"play": "say:x"},
        {"prompt": "say:x"},
        {"record": {}},
        {"record_call": {}},
        {"stop_record_call": {}},
        {"tap": {"uri": "rtp://h:1"}},
        {"stop_tap": {}},
        {"send_digits": "1"},
        {"denoise": {}},
        {"stop_denoise": {}},
        {"hangup": {}},
    ]
    (confirm,) = confirms(connect(drive, {"to": B1, "confirm": steps}))
    assert len(on_the_dialled_call(confirm).actions) == 11


def test_a_method_that_is_not_built_is_refused_by_name_when_its_turn_comes(drive: Any) -> None:
    (confirm,) = confirms(connect(drive, {"to": B1, "confirm": [{"send_sms": {}}]}))
    on_b = on_the_dialled_call(confirm)
    assert on_b.finished is not None
    assert on_b.finished.failed == "send_sms: the method is not supported by this server yet"


def test_an_unknown_method_makes_the_document_unusable_with_its_place() -> None:
    text = """sections:
  main:
    - connect:
        serial:
          - to: sip:b@h
            confirm:
              - pley: x
"""
    with pytest.raises(DocumentError) as caught:
        load(text, source="a")
    assert (caught.value.line, caught.value.path) == (7, "sections.main[0].connect.serial[0].confirm[0]")
    assert caught.value.nearest == "play"


def test_warnings_inside_it_have_their_place() -> None:
    text = """sections:
  main:
    - connect:
        to: sip:b@h
        confirm:
          - play: {url: 'ring:us', volum: 3}
"""
    (warning,) = load(text, source="a").warnings
    assert (warning.line, warning.path) == (6, "sections.main[0].connect.confirm[0].play.volum")
