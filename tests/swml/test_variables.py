"""Scopes, placeholders, expressions and types (swml.md 3)."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Evaluate, Evaluated, Finished
from cordboard.swml import expressions
from cordboard.swml.conditions import Hole, compile_condition, fill
from cordboard.swml.document import load
from cordboard.swml.expressions import Expression, Lookup, split
from cordboard.swml.script import Script


def test_a_whole_placeholder_keeps_the_type_and_a_part_becomes_text(drive: Any) -> None:
    ran = drive(
        "- set: {n: 5, t: true, l: [1, {a: 2}]}\n"
        '- set: {m: "${n}", s: "%{t}", k: "${l}", x: "is ${n} ${t} ${l}"}'
    )
    assert ran.vars["m"] == 5
    assert ran.vars["s"] is True
    assert ran.vars["k"] == [1, {"a": 2}]
    assert ran.vars["x"] == 'is 5 true [1,{"a":2}]'


def test_a_missing_value_is_an_empty_string(drive: Any) -> None:
    ran = drive('- set: {a: "${nope}", b: "[${vars.no.such[3]}]", n: null, c: "${n}"}')
    assert (ran.vars["a"], ran.vars["b"], ran.vars["c"]) == ("", "[]", "")
    assert ran.warnings == []


def test_a_bare_name_is_looked_for_in_vars_then_envs_then_call_and_never_in_params(drive: Any) -> None:
    ran = drive(
        '- set: {a: "${x}", b: "${y}", c: "${type}", d: "${only_param}", e: "${params.only_param}"}',
        vars={"x": "v"},
        envs={"x": "e", "y": "e", "type": "env"},
        params={"only_param": "p", "x": "p"},
    )
    assert [ran.vars[name] for name in "abcde"] == ["v", "e", "env", "", "p"]
    assert drive('- set: {c: "${type}"}').vars["c"] == "sip"


def test_the_call_scope_has_the_documented_members_and_the_state_alias(drive: Any, info: Any) -> None:
    ran = drive(
        '- set: {a: "${call.from}", b: "${call.state}", c: '
        '"${call.call_state}", d: "${call.headers[0].name}", '
        'e: "${call.headers.x-account}", f: "${call[\'to\']}", g: "${(call.from_number)}"}',
        info=info(type="phone", from_="+15550001111"),
    )
    assert ran.vars["a"] == ran.vars["g"] == "+15550001111"
    assert ran.vars["b"] == ran.vars["c"] == "created"
    assert (ran.vars["d"], ran.vars["e"], ran.vars["f"]) == ("X-Account", "42", "sip:support@example.com")


def test_headers_in_expressions_are_found_by_position_and_by_any_case_of_the_name(drive: Any) -> None:
    ran = drive(
        """- set: {a: "${(call.headers['x-ACCOUNT'])}"}
- set: {b: "${(call.headers[0].value)}", c: "${(call.headers.length)}"}"""
    )
    assert (ran.vars["a"], ran.vars["b"], ran.vars["c"]) == ("42", "42", 1)


def test_keys_of_one_set_are_evaluated_in_order_and_arithmetic_works(drive: Any) -> None:
    ran = drive('- set: {p: 2.5, q: "4", t: "${p * parseInt(q)}", s: "${t.toFixed(2)}"}')
    assert (ran.vars["t"], ran.vars["s"]) == (10, "10.00")


def test_length_is_a_lookup_unless_in_parentheses(drive: Any) -> None:
    ran = drive('- set: {items: [1, 2, 3], a: "${items.length}", b: "${(items.length)}"}')
    assert (ran.vars["a"], ran.vars["b"]) == ("", 3)


def test_documented_helpers_work(drive: Any) -> None:
    ran = drive(
        '- set: {n: [3, 1, 2], s: " Hello ", a: "${n.reduce((a,b)=>a+b,0)}", b: '
        '"${s.trim().toUpperCase()}", c: "%{call.to.replace(/^sip:/i, \'\')}"}'
    )
    assert (ran.vars["a"], ran.vars["b"], ran.vars["c"]) == (6, "HELLO", "support@example.com")


def test_substitution_is_not_recursive(drive: Any) -> None:
    assert drive('- set: {a: "${b}"}', vars={"b": "${c}", "c": "no"}).vars["a"] == "${c}"


def test_an_expression_that_fails_gives_an_empty_string_and_a_warning(drive: Any) -> None:
    ran = drive('- set: {a: "${nope.x()}", b: after}')
    assert (ran.vars["a"], ran.vars["b"]) == ("", "after")
    assert ran.codes == ["js_eval_error"]
    assert ran.vars["script_error"] == "relay_script_js_eval_error"


@pytest.mark.parametrize("body", ["function(){}()", "(async () => 1)()", "x" * 1025 + "+1", "await x", ""])
def test_what_is_more_than_an_expression_is_never_evaluated(drive: Any, body: str) -> None:
    ran = drive('- set: {a: "${' + body + '}"}')
    assert ran.evaluations == []
    assert ran.codes == ["js_eval_error"]


def test_an_expression_cannot_change_variables(drive: Any) -> None:
    ran = drive('- set: {l: [1], a: "${(l.push(2), vars.l.push(3), l.length)}"}')
    assert ran.vars["l"] == [1]


def test_a_variable_cannot_hold_itself(drive: Any) -> None:
    assert drive('- set: {a: 1}\n- set: {b: "${vars}"}').vars["b"] == {"a": 1}


# ------------------------------------------------------------------ conditions


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("flag", True),
        ("flag === true", True),
        ("zero", False),
        ("empty_text", False),
        ("empty_list", True),
        ("!flag", False),
        ("call.type == 'sip'", True),
        ("vars.area == '321'", True),
        ("%{area}==321", True),
        ("'${area}' === '321'", True),
        ("${call.type} == 'sip'", True),
        ("${words} == 'two words'", True),
        ("${none} == ''", True),
        ("${flag}", True),
        ("${code}", True),
        ("${zero} > -1", True),
        ("items.length == 2", True),
        ("${items.map(x => x * 2)}[1] == 4", True),
        ("`a${area}` == 'a321'", True),
        ("true", True),
        ("undefined_name", False),
        ("1 +", False),
    ],
)
def test_conditions_are_javascript_with_placeholders_as_text(drive: Any, when: str, holds: bool) -> None:
    variables = {
        "flag": True,
        "zero": 0,
        "empty_text": "",
        "empty_list": [],
        "area": "321",
        "words": "two words",
        "items": [1, 2],
        "code": "1 + 1 == 2",
    }
    ran = drive(
        f"- cond:\n  - when: {when!r}\n    then: [{{set: {{r: true}}}}]\n"
        f"  - else: [{{set: {{r: false}}}}]".replace('"', '"'),
        vars=variables,
    )
    assert ran.vars["r"] is holds


def test_a_condition_that_fails_is_false_and_warned_of(drive: Any) -> None:
    ran = drive("- cond: [{when: nope.x, then: [{set: {r: 1}}]}]")
    assert "r" not in ran.vars
    assert ran.codes == ["js_eval_error"]


def test_what_the_far_end_sends_is_never_run_as_code(drive: Any, info: Any) -> None:
    evil = info(from_="1 || true", headers=(("X-Vip", "' || true || '"),))
    ran = drive(
        "- cond: [{when: \"${call.from} == 'boss'\", then: [{set: {a: 1}}]}]\n"
        "- cond: [{when: \"'${call.headers.x-vip}' == 'yes'\", then: [{set: {b: 1}}]}]",
        info=evil,
    )
    assert "a" not in ran.vars
    assert "b" not in ran.vars
    assert ran.warnings == []


def test_a_value_inside_a_literal_cannot_leave_it() -> None:
    condition = compile_condition("'${call.from}' == `${x}`")
    assert [part.quote for part in condition.parts if isinstance(part, Hole)] == ["'", "`"]
    assert fill(condition.parts, ["o'b\\", "`${y}`"], quoted=False) == "'o\\'b\\\\' == `\\`\\${y}\\``"


# ------------------------------------------------------------------ finding placeholders


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("${a} and %{b.c[0]['d']}", ["a", "b.c[0]['d']"]),
        ("${ {a: {b: 1}}.a }", ["{a: {b: 1}}.a"]),
        ("${'}'}", ["'}'"]),
        ('${"\\"}"}x', ['"\\"}"']),
        ("${a.replace(/}/g, '')}", ["a.replace(/}/g, '')"]),
        ("${a.replace(/[/}]/, '')}", ["a.replace(/[/}]/, '')"]),
        ("${a / b / c}", ["a / b / c"]),
        ("${`x${y}`}", ["`x${y}`"]),
        ("$ {a} {b} $c 100%", []),
        ("${a", []),
        ("${a ${b}", []),
    ],
)
def test_the_end_of_a_placeholder_is_found_past_braces_and_literals(text: str, bodies: list[str]) -> None:
    found = [part.source for part in split(text) if isinstance(part, (Lookup, Expression))]
    assert found == bodies


def test_hyphens_are_part_of_a_path() -> None:
    assert expressions.placeholder("h.content-type") == Lookup(("h", "content-type"), "h.content-type")


def test_hostile_texts_are_split_in_linear_time() -> None:
    for text in ("${" * 200_000, "${/[" + "/[" * 200_000, "${'" + "\\'" * 200_000, "${a}" * 100_000):
        split(text)


def test_all_the_javascript_of_one_script_together_is_bounded(info: Any) -> None:
    document = load("sections: {main: [{label: a}, {set: {x: '${1 + 1}'}}, {goto: a}]}", source="a")
    script = Script(document, info())
    turn, evaluations = script.start(), 0
    while isinstance(turn.next, Evaluate):
        evaluations += 1
        turn = script.resume(Evaluated(value=2, seconds=0.149))
    assert isinstance(turn.next, Finished)
    assert evaluations == 34
    assert turn.next.failed == (
        "the expressions of this script have used more than 5 s of processor time together"
    )
