"""`lint`: all findings of a document at once, each at its place."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.swml.lint import lint
from cordboard.swml.methods import ALL, METHODS


def found(main: str, more: str = "") -> list[tuple[int, str, str]]:
    """(line, severity, message) of each finding; steps of `main` begin at line 3."""
    steps = "\n".join("    " + line for line in main.strip("\n").split("\n"))
    return [
        (finding.line, finding.severity, finding.message)
        for finding in lint(f"sections:\n  main:\n{steps}\n{more}", source="a")
    ]


def said(main: str, more: str = "") -> list[str]:
    return [message for _, _, message in found(main, more)]


def test_nothing_is_said_of_a_good_document() -> None:
    assert found("- answer\n- connect: {to: 'sip:b@h', timeout: 5}\n- hangup") == []


def test_every_mistake_of_a_step_is_found_not_only_the_first() -> None:
    assert found(
        "- connect:\n"
        "    to: sip:b@h\n"
        "    timeout: abc\n"
        "    encryption: x\n"
        "    answer_on_bridge: maybe\n"
        "    nope: 1"
    ) == [
        (5, "error", 'connect: `timeout` must be an integer of at least 1, not "abc"'),
        (6, "error", 'connect: `encryption` must be one of mandatory, optional, forbidden, not "x"'),
        (7, "error", 'connect: `answer_on_bridge` must be true or false, not "maybe"'),
        (8, "warning", "connect: unknown property `nope` is ignored"),
    ]


def test_mistakes_in_one_destination_have_their_own_lines() -> None:
    assert found(
        "- connect:\n"
        "    serial:\n"
        "      - to: sip:b@h\n"
        "        timeout: 0\n"
        "      - timeout: 5\n"
        "      - to: sip:c@h\n"
        "        call_state_events: [ended, dead]\n"
        "    call_state_url: http://h/s"
    ) == [
        (6, "error", "connect: `serial[0].timeout` must be an integer of at least 1, not the number 0"),
        (7, "error", "connect: `serial[1].to` is required"),
        (
            9,
            "error",
            "connect: `serial[2].call_state_events[1]` must be one of created, ringing, answered, ended,"
            ' not "dead"',
        ),
    ]


def test_what_belongs_to_the_step_is_said_to() -> None:
    names = ("answer_on_bridge: true", "max_duration: 5", "result: []", "ringback: []", "nothing: 1")
    members = "".join(f"      - {{to: 'sip:b@h', {given}}}\n" for given in names)
    *of_the_step, (_, _, last) = found(f"- connect:\n    serial:\n{members}")
    assert {severity for _, severity, _ in of_the_step} == {"warning"}
    assert [message for _, _, message in of_the_step] == [
        f"connect: `serial[{n}].{given.partition(':')[0]}` is ignored: it belongs to the step"
        for n, given in enumerate(names[:-1])
    ]
    assert last == "connect: unknown property `serial[4].nothing` is ignored"


@pytest.mark.parametrize("value", ["-5", "often", "[1]"])
def test_a_session_timeout_that_is_not_used_is_one_warning_and_no_error(value: str) -> None:
    for step in (
        f"- connect: {{to: 'sip:b@h', session_timeout: {value}}}",
        f"- connect: {{serial: [{{to: 'sip:b@h', session_timeout: {value}}}]}}",
    ):
        ((_, severity, message),) = found(step)
        assert severity == "warning"
        assert message.endswith("the default is used")


def test_uris_that_no_invite_can_carry_are_found_with_their_line() -> None:
    assert found(
        "- connect:\n"
        "    from: 'sip:5%@h'\n"
        "    serial:\n"
        "      - to: sip:b@h:70000\n"
        "      - to: 'sip:b@h%0d%0aVia:x'\n"
        "        from: sip:ok@h\n"
        "      - to: sip:b@h"
    ) == [
        (
            4,
            "error",
            'connect: `from` is no SIP URI, "sip:5%@h": a percent sign without two hexadecimal digits',
        ),
        (6, "error", 'connect: `serial[0].to` is no SIP URI, "sip:b@h:70000": the port is over 65535'),
        (7, "error", 'connect: `serial[1].to` is no SIP URI, "sip:b@h%0d%0aVia:x": malformed SIP URI'),
    ]


def test_values_beside_placeholders_are_checked_too() -> None:
    assert said("- connect: {to: '${who}', timeout: abc, codecs: '${codecs}'}") == [
        'connect: `timeout` must be an integer of at least 1, not "abc"'
    ]


def test_steps_that_cannot_be_read_hide_no_others() -> None:
    assert found("- plya: x\n- 5\n- {}\n- {answer: 1, hangup: 1}\n- play: {url: a, urls: [b]}") == [
        (3, "error", "unknown method"),
        (4, "error", "wrong type"),
        (5, "error", "the step has no method"),
        (6, "error", "a step has exactly one method (is the indentation right?)"),
        (7, "error", "play: `url` and `urls` exclude each other"),
    ]


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ("- hangup\n- answer", 4),
        ("- return: 1\n- answer\n- answer", 4),
        ("- transfer: sub\n- answer", 4),
        ("- cond:\n    - when: 'true'\n      then:\n        - hangup\n        - answer", 7),
        ("- connect:\n    to: sip:b@h\n    result:\n      case:\n        failed: [hangup, answer]", 7),
    ],
)
def test_steps_that_are_never_reached_are_warned_of(steps: str, line: int) -> None:
    ((at, severity, message),) = found(steps, "  sub: [answer]\n")
    assert (at, severity) == (line, "warning")
    assert "never reached" in message


@pytest.mark.parametrize(
    "steps",
    [
        "- goto: {label: a, when: 'false'}\n- hangup\n- label: a\n- answer",
        "- transfer: http://h/next\n- answer",
        "- transfer: '${next}'\n- answer",
        "- hangup",
    ],
)
def test_steps_that_can_be_reached_are_not(steps: str) -> None:
    assert found(steps) == []


def test_sections_that_are_not_there_are_warned_of_with_the_nearest() -> None:
    assert found("- execute: {dest: subb}\n- transfer: nowhere", "  sub: [answer]\n") == [
        (3, "warning", "execute: there is no section `subb`; did you mean `sub`?"),
        (4, "warning", "transfer: there is no section `nowhere`"),
    ]


def test_labels_that_are_not_there_are_errors() -> None:
    ((_, severity, message),) = found("- goto: endd\n- label: end")
    assert (severity, message) == ("error", 'goto: there is no label "endd" in this section; nearest: `end`')


def test_methods_that_are_not_run_are_errors_and_their_properties_are_checked() -> None:
    assert found("- detect_machine: {timeout: -1, tone: X, wait: maybe, extra: 1}") == [
        (3, "error", "`detect_machine` is not supported by this server yet: the script will stop here"),
        (3, "error", "detect_machine: `timeout` must be a number of at least 0, not the number -1"),
        (3, "error", 'detect_machine: `tone` must be one of CED, CNG, not "X"'),
        (3, "error", 'detect_machine: `wait` must be true or false, not "maybe"'),
        (3, "warning", "detect_machine: unknown property `extra` is ignored"),
    ]


def test_nested_properties_of_an_agent_are_checked() -> None:
    assert said(
        "- ai:\n"
        "    prompt: {text: Hello, temperature: 9}\n"
        "    languages: [{name: English, code: en-US}]\n"
        "    params: {end_of_speech_timeout: 5, ai_modl: x}\n"
        "    SWAIG: {functions: [{function: f}]}"
    )[1:] == [
        "ai: `prompt.temperature` must be a number from 0 to 1.5, not the number 9",
        "ai: `languages[0].voice` is required",
        "ai: `params.end_of_speech_timeout` must be an integer from 250 to 10000, not the number 5",
        "ai: unknown property `params.ai_modl` is ignored; did you mean `ai_model`?",
        "ai: `SWAIG.functions[0].description` is required",
    ]


def test_a_method_that_needs_one_of_several_says_so() -> None:
    assert "send_sms: one of `body`, `media` is required" in said(
        "- send_sms: {to_number: '+1', from_number: '+2'}"
    )


def test_confirm_steps_are_checked_and_restricted() -> None:
    assert found(
        "- connect:\n"
        "    to: sip:b@h\n"
        "    confirm:\n"
        "      - play: {url: 'ring:us', volume: 99}\n"
        "      - sleep: 1"
    ) == [
        (6, "error", "connect: `sleep` (line 7) cannot be used in `confirm`"),
        (6, "error", "play: `volume` must be a number from -40 to 40, not the number 99"),
    ]


def test_an_inline_document_is_read() -> None:
    (message,) = said(
        """- connect: {to: 'sip:b@h', transfer_after_bridge: '{"sections": {"main": ["anwser"]}}'}"""
    )
    assert 'found "anwser"; did you mean `answer`?' in message


def test_speech_without_an_engine_is_warned_of() -> None:
    ((_, severity, message),) = found("- prompt: {play: 'say:x', speech_timeout: 5}")
    assert severity == "warning"
    assert "no engine" in message


def test_noise_suppression_that_is_not_built_in_is_warned_of() -> None:
    ((_, severity, message),) = found("- denoise: {}")
    assert severity == "warning"
    assert "no noise suppression built in" in message
    assert found("- stop_denoise: {}") == []


def test_the_only_step_that_cannot_be_read_is_the_only_finding() -> None:
    assert found("- plya: x") == [(3, "error", "unknown method")]


def test_a_section_that_is_no_list_hides_no_mistake_of_another() -> None:
    assert found("- plya: x", "  sub: 5\n") == [
        (3, "error", "unknown method"),
        (4, "error", "wrong type"),
    ]


def test_an_empty_main_is_an_error_whatever_else_is_found() -> None:
    findings = lint("sections: {main: [], sub: [{answer: {nope: 1}}]}", source="a")
    assert [finding.severity for finding in findings] == ["error", "warning"]


@pytest.mark.parametrize("text", ["", "a: b", "sections: 5", "{", b"\xff", "sections: {main: [" + "[" * 500])
def test_a_text_that_is_no_document_is_one_error(text: Any) -> None:
    (finding,) = lint(text, source="a")
    assert finding.severity == "error"


def test_the_table_is_sound() -> None:
    for name, method in ALL.items():
        shape = method.shape
        assert shape.method == name
        assert len(set(shape.names())) == len(shape.properties)
        assert all(shape.find(item) for item in (*shape.exactly_one, *shape.at_least_one))
        assert shape.main is None or shape.find(shape.main)
    assert len(METHODS) == 24


@pytest.mark.parametrize(("method", "argument"), [("connect", "to: sip:b@h"), ("execute", "dest: other")])
def test_an_unknown_key_of_a_result_has_its_own_line_and_the_nearest_known_key(
    method: str, argument: str
) -> None:
    document = (
        f"- {method}:\n    {argument}\n    result:\n      case: {{a: [hangup]}}\n      defualt: [hangup]"
    )
    message = f"{method}: unknown property `result.defualt` is ignored; did you mean `default`?"
    assert found(document, "  other: [hangup]") == [(7, "warning", message)]
