"""What a document may look like, and what is said about one that is wrong."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cordboard.swml.document import Document, DocumentError, load

MINIMAL = {"version": "1.0.0", "sections": {"main": [{"answer": {}}, {"hangup": {}}]}}


def refused(text: str | bytes) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        load(text, source="greeting.yaml")
    return caught.value


def code_of(text: str | bytes) -> str:
    return refused(text).code.removeprefix("relay_script_")


def methods(document: Document, section: str = "main") -> list[str]:
    return [step.method for step in document.sections[section].steps]


def test_json_and_yaml_load_alike() -> None:
    from_json = load(json.dumps(MINIMAL), source="a")
    from_yaml = load("version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - hangup: {}\n", source="a")
    assert methods(from_json) == methods(from_yaml) == ["answer", "hangup"]


@pytest.mark.parametrize("text", ["\ufeff" + json.dumps(MINIMAL), json.dumps(MINIMAL, indent="\t") + "\r\n"])
def test_a_byte_order_mark_and_tabs_in_json_are_no_error(text: str) -> None:
    assert methods(load(text.encode(), source="a")) == ["answer", "hangup"]


def test_flow_style_yaml_that_begins_with_a_brace_is_yaml() -> None:
    assert methods(load("{version: 1.0.0, sections: {main: [answer, hangup]}}", source="a")) == [
        "answer",
        "hangup",
    ]


def test_json_escapes_that_yaml_does_not_know_are_read() -> None:
    text = '{"sections": {"main": [{"set": {"a": "\\ud83d\\ude00\\/x"}}]}}'
    assert load(text, source="a").sections["main"].steps[0].argument.prepared == (("a", "😀/x"),)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("hangup:", "hangup"),
        ("answer: {}", "answer"),
        ("answer", "answer"),
        ("answer: 60", "answer"),
        ("hangup: busy", "hangup"),
        ('play: "ring:us"', "play"),
        ('play: ["ring:us", "silence:1"]', "play"),
        ("sleep: 5000", "sleep"),
        ("sleep: {duration: 5000}", "sleep"),
        ("transfer: https://example.com/x", "transfer"),
        ("execute: main", "execute"),
        ("return", "return"),
        ("unset: [a, b]", "unset"),
        ("connect: sip:bob@example.com", "connect"),
    ],
)
def test_every_shorthand_is_accepted_without_a_warning(step: str, expected: str) -> None:
    document = load(f"sections:\n  main:\n    - {step}\n", source="a")
    assert methods(document) == [expected]
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "parse_error"),
        ("<html><body>Not found</body></html>", "parse_error"),
        ("[1, 2]", "element_wrong_type"),
        ("sections: {main: [}", "parse_error"),
        ('{"sections": {"main": [}}', "parse_error"),
        ('{"sections": {"main": [{"set": {"a": NaN}}]}}', "parse_error"),
        ("a: 1\n---\nb: 2", "parse_error"),
        ("sections: {main: [answer: !python/object x]}", "parse_error"),
        (b"\xff\xfe\x00", "parse_error"),
        ("sections: {main: [answer]}\x01", "parse_error"),
        ('version: "2.0"\nsections: {main: [answer]}', "version_invalid"),
        ("version: 1.0.0", "sections_missing"),
        ("sections: []", "element_wrong_type"),
        ("sections: {other: [answer]}", "main_section_missing"),
        ("sections: {main: []}", "section_code_missing"),
        ("sections: {main: {answer: {}}}", "element_wrong_type"),
        ("params: {}\nsections: {main: [answer]}", "element_undefined"),
        ("sections: {main: [answer], main: [hangup]}", "element_duplicated"),
        ('{"sections": {"main": [], "main": []}}', "element_duplicated"),
        ("sections: {main: [{}]}", "method_missing_name"),
        ("sections: {main: [5]}", "element_wrong_type"),
        ("sections: {main: [{answer: {}, hangup: {}}]}", "element_invalid_value"),
        ("sections: {main: [{conect: {to: x}}]}", "method_undefined"),
        ("sections: {main: [{execute_rpc: {}}]}", "method_undefined"),
        ("sections: {main: [{eval: 1}]}", "method_undefined"),
        ("sections: {main: [{cond: [{when: a, then: {hangup: {}}}]}]}", "element_wrong_type"),
        ("sections: {main: [{cond: 5}]}", None),
        ("sections: {main: [{cond: [{when: a, then: [{nope: 1}]}]}]}", "method_undefined"),
        ("sections: {main: [{switch: {variable: a, case: {x: 5}}}]}", "element_wrong_type"),
    ],
)
def test_each_kind_of_bad_document_has_its_code(text: str | bytes, code: str | None) -> None:
    if code is None:
        assert load(text, source="a").warnings[0].code == "relay_script_element_wrong_type"
    else:
        assert code_of(text) == code


def test_an_error_names_file_line_column_path_what_was_found_and_the_nearest_name() -> None:
    error = refused(
        "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - conect:\n        to: sip:b@h\n"
    )
    assert (error.source, error.line, error.column) == ("greeting.yaml", 5, 7)
    assert error.path == "sections.main[1]"
    assert (error.found, error.nearest) == ('"conect"', "connect")
    assert str(error).startswith('greeting.yaml:5:7: sections.main[1]: unknown method, found "conect"')
    assert "\n" not in str(error)


def test_an_error_in_json_has_its_line_too() -> None:
    error = refused('{\n  "sections": {\n    "main": [\n      {"conect": 1}\n    ]\n  }\n}')
    assert (error.line, error.column) == (4, 7)


def test_a_key_at_the_wrong_indentation_is_explained() -> None:
    error = refused("sections:\n  main:\n    - connect:\n      to: sip:b@h\n")
    assert "indentation" in error.message
    assert (error.line, error.found) == (4, "connect, to")


def test_unknown_properties_are_warned_of_with_the_nearest_key_and_their_place() -> None:
    document = load(
        "sections:\n  main:\n    - connect:\n        to: sip:b@h\n        timout: 5\n", source="a.yaml"
    )
    (warning,) = document.warnings
    assert warning.code == "relay_script_method_parameter_undefined"
    assert (warning.line, warning.column, warning.path) == (5, 9, "sections.main[0].connect.timout")
    assert "`timout`" in warning.message
    assert "`timeout`" in warning.message


def test_a_step_that_can_only_fail_is_warned_of_at_load() -> None:
    document = load(
        "sections:\n  main:\n    - connect:\n        to: sip:b@h\n        timeout: abc\n", source="a"
    )
    assert [(w.code, w.line) for w in document.warnings] == [
        ("relay_script_method_parameter_invalid_value", 5)
    ]


def test_methods_that_are_not_built_load_with_a_warning_that_names_them() -> None:
    document = load("sections: {main: [{enter_queue: {queue_name: a}}]}", source="a")
    assert "`enter_queue` is not supported by this server yet" in document.warnings[0].message


# ------------------------------------------------------------------ YAML


def prepared(text: str) -> Any:
    return load(text, source="a").sections["main"].steps[0].argument.prepared


def test_an_unquoted_number_in_a_string_property_keeps_its_plus() -> None:
    plan = prepared("sections: {main: [{connect: {to: +15551234567}}]}").action.plan
    assert plan.groups[0][0].to == "+15551234567"


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("+15551234567", "+15551234567"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2026-11-22", "2026-11-22"),
        ("12", 12),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("12345678901234567890123", "12345678901234567890123"),
    ],
)
def test_plain_yaml_scalars_have_the_types_their_writers_expect(scalar: str, value: Any) -> None:
    assert prepared(f"sections: {{main: [set: {{a: {scalar}}}]}}") == (("a", value),)


def test_case_keys_are_their_source_text() -> None:
    document = load(
        "sections: {main: [switch: {variable: x, case: {1: [answer], yes: [answer]}}]}", source="a"
    )
    assert set(document.sections["main"].steps[0].argument.parts["case"]) == {"1", "yes"}


def test_anchors_aliases_and_merge_keys_are_resolved() -> None:
    text = "sections:\n  main:\n    - set: {a: &x {k: 1, l: 2}}\n    - set: {<<: *x, l: 3}\n"
    steps = load(text, source="a").sections["main"].steps
    assert dict(steps[1].argument.prepared) == {"k": 1, "l": 3}


@pytest.mark.parametrize("text", ["a: *x", "a: &x [*x]", "a: &x {b: *x}"])
def test_an_alias_without_an_anchor_before_it_is_an_error(text: str) -> None:
    assert code_of(text) == "parse_error"


def test_a_yaml_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 12)]
    started = time.perf_counter()
    assert code_of("\n".join(lines)) == "parse_error"
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("char", ["[", "{a: "])
def test_endless_nesting_is_refused_and_not_recursed_into(char: str) -> None:
    assert code_of("a: " + char * 50_000) == "nested_too_deep"
    assert code_of('{"a": ' + '{"a":' * 50_000) == "nested_too_deep"


def test_a_document_over_a_mebibyte_or_with_too_many_values_is_refused() -> None:
    assert code_of("a: " + "x" * 1_048_576) == "parse_error"
    assert code_of("a: [" + "1," * 60_000 + "1]") == "parse_error"
    assert code_of('{"a": [' + "1," * 60_000 + "1]}") == "parse_error"


def test_steps_nested_64_deep_load_and_65_do_not() -> None:
    def nested(levels: int) -> str:
        steps = "[answer]"
        for _ in range(levels):
            steps = f"[{{cond: [{{when: 'true', then: {steps}}}]}}]"
        return f"sections: {{main: {steps}}}"

    assert methods(load(nested(63), source="a")) == ["cond"]
    assert code_of(nested(66)) == "nested_too_deep"


def test_a_goto_to_a_label_that_is_not_there_is_warned_of_at_load() -> None:
    document = load("sections: {main: [{label: again}, {goto: agian}]}", source="a")
    assert 'no label "agian"' in document.warnings[0].message
    assert "`again`" in document.warnings[0].message


def test_a_placeholder_without_its_end_is_warned_of() -> None:
    document = load('sections: {main: [{set: {a: "${x"}}, {play: "${y"}]}', source="a")
    assert any("never closed" in warning.message for warning in document.warnings)


def test_all_43_methods_of_swml_are_known() -> None:
    from cordboard.swml.methods import METHODS, UNBUILT

    assert len({**METHODS, **UNBUILT}) == 43
    assert not METHODS.keys() & UNBUILT.keys()


@pytest.mark.parametrize("text", ["sections:\n\tmain: []\n", "sections:\n  main:\n \t - answer: {}\n"])
def test_a_tab_in_the_indentation_is_named(text: str) -> None:
    with pytest.raises(DocumentError, match="begins with a tab; YAML is indented with spaces") as caught:
        load(text, source="x.yaml")
    assert caught.value.line == text[: text.index("\t")].count("\n") + 1
