"""Wrong pieces of a document: what fails, what is only warned of, and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.swml.document import DocumentError, load
from cordboard.swml.values import to_text, truth


@pytest.mark.parametrize(
    ("step", "code", "said"),
    [
        ("set: 5", "element_wrong_type", "set: a mapping of names"),
        ("set: '${x}'", "element_wrong_type", "set: a mapping of names"),
        ("unset: {a: 1}", "element_wrong_type", "unset: a name or a list"),
        ("unset: []\n- unset: ['']", "element_wrong_type", "unset: a name or a list"),
        ("switch: {case: {a: []}}", "method_parameter_missing", "`variable` is required"),
        ("switch: {variable: a}", "method_parameter_missing", "`case` is required"),
        ("switch: 5", "element_wrong_type", "must be a mapping"),
        ("cond: {a: 1}", "method_parameter_undefined", "unknown property `a`"),
        ("cond: [{then: []}]", "method_parameter_missing", "neither `when` nor `else`"),
        ("cond: [{when: 'true'}]", "method_parameter_missing", "no `then`"),
        ("cond: [{when: [1], then: []}]", "element_wrong_type", "JavaScript condition"),
        ("goto: {label: a, max: 101}\n- label: a", "method_parameter_invalid_value", "from 1 to 100"),
        ("goto: {when: 'true'}", "method_parameter_missing", "`label` is required"),
        ("goto: '${x}'", "method_parameter_invalid_value", "no label"),
        ("execute: {params: {a: 1}}", "method_parameter_missing", "`dest` is required"),
        ("execute: {dest: main, params: 5}", "element_wrong_type", "`params` must be a mapping"),
        ("transfer: [{dest: main}, {params: {}}]", "element_wrong_type", "must be a mapping"),
        ("execute: '{\"section\": 1}'", "element_undefined", "inline document"),
        (
            "connect: {serial: [{to: 'sip:b@h', timout: 3}]}",
            "method_parameter_undefined",
            "`serial[0].timout`",
        ),
        (
            "connect: {serial: [{to: 'sip:b@h', result: {}}]}",
            "method_parameter_undefined",
            "belongs to the step",
        ),
        ("cond: [{when: '" + "a" * 5000 + "', then: []}]", "js_eval_error", "longer than"),
        ("cond: [{when: '${" + "a+" * 2500 + "a}', then: []}]", "js_eval_error", "longer than"),
    ],
)
def test_each_wrong_piece_is_named(drive: Any, step: str, code: str, said: str) -> None:
    ran = drive(f"- {step}\n- answer")
    assert ran.codes == [code]
    assert said in ran.warnings[0].message
    assert ran.names[-1] == "answer"


@pytest.mark.parametrize(
    "text",
    [
        "sections: {main: [{switch: {variable: a, case: [1]}}]}",
        "sections: {main: [{cond: [5]}]}",
        "sections: {main: [{execute: {dest: a, on_return: 5}}]}",
        "sections: {main: [{execute: {dest: a, result: {case: {x: [nope]}}}}]}",
        "? [a]\n: b",
        "<<: 5",
        "a: !!int x",
        "a: !foo [1]",
        '{"a" 1}',
        '{"a": 1,}',
        '{"a": 1} x',
        '{"a": [1 2]}',
        "&a {b: 1}: c",
        "[&x [1], {*x : 1}]",
    ],
)
def test_what_makes_a_document_unusable_is_refused_at_load(text: str) -> None:
    with pytest.raises(DocumentError):
        load(text, source="a")


def test_too_many_aliases_are_refused() -> None:
    with pytest.raises(DocumentError, match="1000 aliases"):
        load("a: &a 1\nb: [" + "*a, " * 1001 + "]", source="a")


def test_large_anchors_repeated_are_refused_by_their_expanded_size() -> None:
    with pytest.raises(DocumentError, match="1 MiB"):
        load("a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 20) + "]", source="a")


def test_keys_can_be_anchors_and_aliases() -> None:
    document = load("sections: {main: [{set: {&k name: 1}}, {set: {*k : 2}}]}", source="a")
    assert [step.argument.prepared for step in document.sections["main"].steps] == [
        (("name", 1),),
        (("name", 2),),
    ]


def test_an_unknown_property_of_a_branch_is_warned_of_with_the_nearest() -> None:
    (warning,) = load("sections: {main: [{cond: [{when: a, then: [], esle: []}]}]}", source="a").warnings
    assert (warning.path, warning.nearest) == ("sections.main[0].cond[0]", "else")


def test_a_null_section_that_is_not_main_does_nothing(drive: Any) -> None:
    assert drive("sections:\n  main: [{execute: other}, answer]\n  other:\n").names == ["answer"]


def test_expressions_see_the_whole_scope_through_this(drive: Any) -> None:
    ran = drive("- set: {a: 1, b: '${typeof globalThis}'}")
    assert ran.vars["b"] == "object"


def test_words_of_statements_are_allowed_as_names_and_in_texts(drive: Any) -> None:
    ran = drive(
        '- set: {o: {class: 1}, a: "${o.class + ({for: 2}).for}", b: "${\'function of \' + o.class}"}'
    )
    assert (ran.vars["a"], ran.vars["b"], ran.warnings) == (3, "function of 1", [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (2.5, "2.5"),
        (1e-7, "1e-7"),
        (1e21, "1e+21"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (None, ""),
        (False, "false"),
        ([1, "a"], '[1,"a"]'),
    ],
)
def test_text_is_what_javascript_makes_of_a_value(value: Any, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("value", "is_true"),
    [
        (0, False),
        ("", False),
        (None, False),
        (float("nan"), False),
        ([], True),
        ({}, True),
        ("0", True),
        (-1, True),
    ],
)
def test_truth_is_that_of_javascript(value: Any, is_true: bool) -> None:
    assert truth(value) is is_true
