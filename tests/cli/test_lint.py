"""`cordboard lint`: what it prints, and how it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cordboard.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = "sections:\n  main:\n    - play: ring:us\n"
WARNED = "sections:\n  main:\n    - play: {url: 'ring:us', volum: 3}\n"
WRONG = """sections:
  main:
    - connect:
        to: +15551234567
        encryption: required
        timout: 5
    - plya: ring:us
    - play: {url: "ring:us", volume: loud}
"""


def lint(*arguments: str, text: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lint", *arguments], input=text)
    return result.exit_code, result.output


def written(directory: Path, name: str, text: str) -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def test_a_good_document_says_so(tmp_path: Path) -> None:
    assert lint(written(tmp_path, "a.yaml", GOOD)) == (0, "1 document checked, nothing wrong\n")


def test_every_finding_is_a_line_with_file_line_column_severity_and_code(tmp_path: Path) -> None:
    name = written(tmp_path, "a.yaml", WRONG)
    code, output = lint(name)
    assert code == 1
    assert output.splitlines() == [
        f"{name}:5:9: warning: sections.main[0].connect.encryption: connect: `encryption` has no effect on"
        " a phone number [relay_script_method_parameter_invalid_value]",
        f"{name}:5:21: error: sections.main[0].connect.encryption: connect: `encryption` must be one of"
        ' mandatory, optional, forbidden, not "required" [relay_script_method_parameter_invalid_value]',
        f"{name}:6:9: warning: sections.main[0].connect.timout: connect: unknown property `timout` is"
        " ignored; did you mean `timeout`? [relay_script_method_parameter_undefined]",
        f'{name}:7:7: error: sections.main[1]: unknown method, found "plya"; did you mean `play`?'
        " [relay_script_method_undefined]",
        f"{name}:8:38: error: sections.main[2].play.volume: play: `volume` must be a number from -40 to 40,"
        ' not "loud" [relay_script_method_parameter_invalid_value]',
        "1 document checked: 3 errors, 2 warnings",
    ]


def test_warnings_alone_are_no_failure_unless_strict(tmp_path: Path) -> None:
    name = written(tmp_path, "a.yaml", WARNED)
    assert lint(name)[0] == 0
    assert lint("--strict", name)[0] == 1
    assert lint("--strict", written(tmp_path, "b.yaml", GOOD))[0] == 0


def test_several_files_and_standard_input(tmp_path: Path) -> None:
    good = written(tmp_path, "a.yaml", GOOD)
    code, output = lint(good, "-", good, text='{"sections": {}}')
    assert code == 1
    assert output.splitlines()[0].startswith("<stdin>:1:14: error: sections: `sections.main` is missing")
    assert output.splitlines()[1] == "3 documents checked: 1 error, 0 warnings"


def test_json_is_a_list_for_programs(tmp_path: Path) -> None:
    name = written(tmp_path, "a.yaml", WRONG)
    code, output = lint("--json", name)
    findings = json.loads(output)
    assert code == 1
    assert findings[1] == {
        "file": name,
        "line": 5,
        "column": 21,
        "severity": "error",
        "code": "relay_script_method_parameter_invalid_value",
        "message": 'connect: `encryption` must be one of mandatory, optional, forbidden, not "required"',
        "path": "sections.main[0].connect.encryption",
        "found": '"required"',
        "allowed": "one of mandatory, optional, forbidden",
        "nearest": "",
    }
    assert json.loads(lint("--json", written(tmp_path, "b.yaml", GOOD))[1]) == []


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    code, output = lint(str(tmp_path / "none.yaml"))
    assert code == 1
    assert "none.yaml:1:1: error: the file cannot be read: No such file or directory" in output


def test_a_document_cannot_steer_the_terminal(tmp_path: Path) -> None:
    _, output = lint(written(tmp_path, "a.yaml", 'sections:\n  main:\n    - "\\e[2Jx": 1\n'))
    assert "\x1b" not in output


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_without_findings(path: Path) -> None:
    assert lint("--strict", str(path)) == (0, "1 document checked, nothing wrong\n")


def test_javascript_that_cannot_be_read_is_warned_of_at_its_place(tmp_path: Path) -> None:
    steps = (
        "    - set: {good: '${1 + 1}', bad: '${1 +}', path: '${a.b}'}\n"
        "    - cond: [{when: 'a ==', then: []}, {when: 'a == 1', then: []}]\n"
        "    - connect: {serial: [{to: 'sip:${for}@h'}, {to: '${(() => { while (1) {} })()}'}]}\n"
    )
    code, output = lint(written(tmp_path, "a.yaml", f"sections:\n  main:\n{steps}"))
    found = [line.split(": ", 1)[1] for line in output.splitlines()[:-1]]
    assert code == 0
    assert [line.partition(" [")[0] for line in found] == [
        "warning: sections.main[0].set.bad: `1 +`: SyntaxError: unexpected token in expression: ')'",
        "warning: sections.main[1].cond[0].when: cond: `a ==`: SyntaxError: unexpected token in expression:"
        " ')'",
        "warning: sections.main[2].connect.serial[1].to: `(() => { while (1) {} })()`: `while` cannot be"
        " used in an expression",
    ]


def test_a_condition_that_is_none_is_found_at_its_place(tmp_path: Path) -> None:
    steps = (
        "    - label: a\n"
        "    - goto:\n"
        "        label: a\n"
        "        when: {a: 1}\n"
        "    - cond:\n"
        "        - when: a\n"
        "          then: []\n"
        "        - when: [1]\n"
        "          then: []\n"
        "    - cond:\n"
        "        - {when: a, then: []}\n"
        "        - {then: []}\n"
    )
    code, output = lint(written(tmp_path, "a.yaml", f"sections:\n  main:\n{steps}"))
    found = [line.split(":", 1)[1].partition(": error: ") for line in output.splitlines()[:-1]]
    assert code == 1
    assert [(place, said.partition(": ")[0]) for place, _, said in found] == [
        ("6:15", "sections.main[1].goto.when"),
        ("10:17", "sections.main[2].cond[1].when"),
        ("14:11", "sections.main[3].cond[1]"),
    ]
