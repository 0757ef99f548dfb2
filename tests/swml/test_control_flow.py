"""cond, switch, goto, label, execute, return, transfer, set, unset, sleep (swml.md 4)."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Sleep
from cordboard.swml.document import load


def test_steps_run_in_order_and_the_script_ends_after_the_last(drive: Any) -> None:
    ran = drive("- answer\n- play: ring:us\n- sleep: 100")
    assert ran.names == ["answer", "play", "sleep"]
    assert ran.finished is not None
    assert ran.finished.failed is None


def test_nothing_runs_after_hangup(drive: Any) -> None:
    assert drive("- hangup\n- play: ring:us").names == ["hangup"]


def test_cond_runs_the_first_true_branch_only(drive: Any) -> None:
    ran = drive(
        "- cond: [{when: 'false', then: [{set: {r: 1}}]}, {when: 'true', "
        "then: [{set: {r: 2}}]}, {when: 'true', then: [{set: {r: 3}}]}]"
    )
    assert ran.vars["r"] == 2


@pytest.mark.parametrize(
    "cond",
    [
        "[{when: 'false', then: []}, {else: [{set: {r: e}}]}]",
        "[{when: 'false', then: [], else: [{set: {r: e}}]}]",
    ],
)
def test_cond_runs_else_when_nothing_matches(drive: Any, cond: str) -> None:
    assert drive(f"- cond: {cond}").vars["r"] == "e"


def test_cond_without_a_match_goes_on(drive: Any) -> None:
    assert drive("- cond: [{when: 'false', then: [hangup]}]\n- answer").names == ["answer"]


@pytest.mark.parametrize(("value", "expected"), [(5, "five"), ("5", "five"), ("x", "other"), (True, "yes")])
def test_switch_compares_as_text(drive: Any, value: Any, expected: str) -> None:
    ran = drive(
        '- switch: {variable: vars.v, case: {"5": [set: {r: five}], '
        '"true": [set: {r: "yes"}]}, default: [set: {r: other}]}',
        vars={"v": value},
    )
    assert ran.vars["r"] == expected


def test_switch_without_a_match_warns_and_goes_on(drive: Any) -> None:
    ran = drive("- switch: {variable: call.type, case: {phone: [hangup]}}\n- answer")
    assert ran.names == ["answer"]
    assert ran.codes == ["method_no_matching_condition"]
    assert ran.vars["script_error"] == "relay_script_method_no_matching_condition"


def test_goto_jumps_max_times_so_the_loop_runs_once_more(drive: Any) -> None:
    ran = drive("- set: {n: 0}\n- label: again\n- set: {n: '${n + 1}'}\n- goto: {label: again, max: 3}")
    assert ran.vars["n"] == 4


def test_goto_stops_after_100_jumps_by_default(drive: Any) -> None:
    assert drive("- set: {n: 0}\n- label: a\n- set: {n: '${n + 1}'}\n- goto: a").vars["n"] == 101


def test_goto_with_a_false_condition_falls_through(drive: Any) -> None:
    ran = drive("- set: {n: 0}\n- label: a\n- set: {n: '${n + 1}'}\n- goto: {label: a, when: n < 3}")
    assert ran.vars["n"] == 3


def test_goto_leaves_a_cond_for_a_label_of_its_section(drive: Any) -> None:
    ran = drive(
        "- set: {n: 0}\n- label: a\n- set: {n: '${n + 1}'}\n"
        "- cond: [{when: n < 3, then: [{goto: a}]}]\n- answer"
    )
    assert (ran.vars["n"], ran.names) == (3, ["answer"])


def test_goto_never_leaves_its_section_or_a_result(drive: Any) -> None:
    ran = drive(
        "sections:\n"
        "  main: [{label: a}, {execute: sub}, {execute: {dest: empty, result: [{else: [{goto: a}]}]}}]\n"
        "  sub: [{goto: a}]\n  empty: []"
    )
    assert ran.codes == ["method_parameter_invalid_value"] * 2


def test_the_count_of_a_goto_is_that_of_one_run_of_its_section(drive: Any) -> None:
    ran = drive(
        "sections:\n  main: [{set: {n: 0}}, {execute: sub}, {execute: sub}]\n"
        "  sub: [{label: a}, {set: {n: '${n + 1}'}}, {goto: {label: a, max: 2}}]"
    )
    assert ran.vars["n"] == 6


def test_execute_passes_params_as_text_and_restores_the_callers(drive: Any) -> None:
    ran = drive("""sections:
  main:
    - execute:
        dest: sub
        params: {a: 1, b: true, c: {d: [2.5, null]}}
        on_return: [{set: {after: "${params}"}}]
  sub:
    - set: {inside: "${params}", sum: "${params.a+params.a}"}
    - execute: {dest: deeper, params: {a: "${params.a}x"}}
    - set: {again: "${params.a}"}
  deeper:
    - set: {deep: "${params.a}", gone: "${params.b}"}
""")
    assert ran.vars["inside"] == {"a": "1", "b": "true", "c": {"d": ["2.5", ""]}}
    assert (ran.vars["sum"], ran.vars["deep"], ran.vars["gone"], ran.vars["again"]) == ("11", "1x", "", "1")
    assert ran.vars["after"] == {}


def test_return_gives_its_value_then_on_return_then_result(drive: Any) -> None:
    ran = drive("""sections:
  main:
    - execute:
        dest: sub
        on_return: [{set: {first: "${return_value.a}"}}]
        result: [{when: "return_value.a == 7", then: [{set: {second: true}}]}]
    - set: {third: true}
  sub: [{return: {a: "${3 + 4}"}}, {set: {never: true}}]
""")
    assert (ran.vars["first"], ran.vars["second"], ran.vars["third"]) == (7, True, True)
    assert "never" not in ran.vars


def test_a_switch_as_result_of_execute_looks_at_return_value(drive: Any) -> None:
    ran = drive(
        "sections:\n  main: [{execute: {dest: sub, result: {case: {ok: [{set: {r: 1}}]}}}}]\n"
        "  sub: [{return: ok}]"
    )
    assert ran.vars["r"] == 1


def test_a_section_that_falls_off_its_end_returns_no_value(drive: Any) -> None:
    ran = drive(
        "sections:\n"
        "  main: [{set: {return_value: old}}, {execute: sub}, {set: {r: 'x${return_value}'}}]\n  sub: []"
    )
    assert ran.vars["r"] == "x"


def test_return_at_the_top_ends_the_script(drive: Any) -> None:
    assert drive("- return: 5\n- answer").names == []
    assert drive("- cond: [{when: 'true', then: [return]}]\n- answer").names == []


def test_transfer_never_comes_back(drive: Any) -> None:
    ran = drive(
        "sections:\n  main: [{execute: a}, answer]\n"
        "  a: [{transfer: {dest: b, params: {x: 1}}}, answer]\n  b: [{set: {r: '${params.x}'}}]"
    )
    assert (ran.names, ran.vars["r"]) == ([], "1")


def test_an_unknown_section_is_an_error_with_the_nearest_name_and_the_script_goes_on(drive: Any) -> None:
    ran = drive("sections:\n  main: [{execute: greting}, answer]\n  greeting: []")
    assert ran.codes == ["section_parameter_undefined"]
    assert "`greeting`" in ran.warnings[0].message
    assert ran.names == ["answer"]


def test_unset_removes_one_or_several(drive: Any) -> None:
    ran = drive("- set: {a: 1, b: 2, c: 3}\n- unset: a\n- unset: [vars.b, nope]")
    assert ran.vars == {"c": 3}


@pytest.mark.parametrize(
    ("argument", "seconds"), [("1500", 1.5), ("{duration: 20}", 0.02), ("-1", None), ('"${ms}"', 7.0)]
)
def test_sleep_takes_milliseconds_or_minus_one(drive: Any, argument: str, seconds: float | None) -> None:
    assert drive(f"- sleep: {argument}", vars={"ms": "7000"}).actions == [Sleep(seconds=seconds)]


@pytest.mark.parametrize("argument", ["0", "-2", "{time: 500}", "soon", "1.5"])
def test_other_sleeps_are_errors_and_the_script_goes_on(drive: Any, argument: str) -> None:
    ran = drive(f"- sleep: {argument}\n- answer")
    assert ran.names == ["answer"]
    assert ran.vars["script_error"].startswith("relay_script_method_parameter_")


def test_a_warning_says_section_step_method_and_line(drive: Any) -> None:
    ran = drive(
        "sections:\n  main:\n    - execute: sub\n  sub:\n    - set: {a: 1}\n"
        "    - cond:\n      - when: 'true'\n        then:\n          - sleep: 0\n"
    )
    (warning,) = ran.warnings
    assert (warning.section, warning.step, warning.method, warning.line) == ("sub", 1, "sleep", 9)


def test_a_method_that_is_not_built_stops_the_script_and_names_itself(drive: Any) -> None:
    ran = drive("- answer\n- ai: {prompt: {text: Hello}}\n- play: ring:us")
    assert ran.names == ["answer"]
    assert ran.codes == ["method_execute_failed"]
    assert ran.finished.failed == "ai: the method is not supported by this server yet"


# ------------------------------------------------------------------ limits


def test_the_33rd_transfer_ends_the_script(drive: Any) -> None:
    ran = drive("- set: {n: '${(vars.n || 0) + 1}'}\n- transfer: main")
    assert ran.vars["n"] == 33
    assert ran.codes == ["too_many_transfers"]
    assert "transfers" in ran.finished.failed


def test_execute_without_end_is_stopped_at_64_levels(drive: Any) -> None:
    ran = drive("- set: {n: '${(vars.n || 0) + 1}'}\n- execute: main")
    assert ran.vars["n"] == 65
    assert ran.codes == ["nested_too_deep"]


def test_loops_in_loops_are_stopped(drive: Any) -> None:
    sections = [f"  s{n}: [{{label: a}}, {{execute: s{n + 1}}}, {{goto: a}}]" for n in range(4)]
    ran = drive("sections:\n  main: [{execute: s0}]\n" + "\n".join(sections) + "\n  s4: [{unset: a}]")
    assert ran.codes == ["internal_error"]
    assert "endless loop" in ran.finished.failed


@pytest.mark.parametrize("doubled", ["${x}${x}", ["${x}", "${x}"], {"a": "${x}", "b": "${x}"}])
def test_variables_that_double_are_bounded(drive: Any, doubled: Any) -> None:
    import json

    ran = drive(f"- set: {{x: 0123456789}}\n- label: a\n- set: {{x: {json.dumps(doubled)}}}\n- goto: a")
    assert ran.vars["script_error"] == "relay_script_method_parameter_invalid_value"
    assert "1 MiB" in ran.warnings[0].message


def test_params_that_double_are_bounded(drive: Any) -> None:
    ran = drive(
        "sections:\n  main: [{execute: {dest: sub, params: {p: 0123456789}}}]\n"
        "  sub: [{execute: {dest: sub, params: {p: ['${params.p}', '${params.p}']}}}]"
    )
    assert "method_parameter_invalid_value" in ran.codes


def test_one_document_can_drive_many_calls_at_once(drive: Any, info: Any) -> None:
    from cordboard.swml.script import Script

    document = load(
        "sections: {main: [{set: {a: '${call.call_id}'}}, answer, {set: {b: '${a}'}}]}", source="a"
    )
    scripts = [Script(document, info(call_id=str(n))) for n in range(3)]
    from cordboard.call.actions import Done

    for script in scripts:
        script.start()
    for script in scripts:
        script.resume(Done())
    assert [script.variables()["b"] for script in scripts] == ["0", "1", "2"]
