"""Whatever a document is, `load` answers with a document or a `DocumentError`, and scripts never raise."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cordboard.call.plan import Confirm
from cordboard.swml.document import DocumentError, load
from cordboard.swml.lint import lint
from cordboard.swml.methods import ALL, METHODS
from cordboard.swml.script import Script

from .conftest import Ran, call_info

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        [
            *("${a}", "%{call.from}", "${x.y(", "sip:b@h", "main", "+1555", "https://h/x", "${a+", "{", "1"),
            *("say:x", "ring:us", "sip:b@h;codecs=FOO?X-A=1", "PCMU,FOO", "GET", "rtp://h:1", "both"),
            '{"sections": {"main": ["answer"]}}',
        ]
    )
)
NAMES = st.sampled_from([*ALL, *METHODS, "nope", "label", "cond", "connect"])
KEYS = st.sampled_from(
    sorted({name for method in ALL.values() for name in method.shape.names()} | {"when", "then", "else", "x"})
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | NAMES, inner, max_size=3),
    max_leaves=12,
)
STEPS = st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=1) | NAMES, max_size=5)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SAMPLE = """version: 1.0.0
sections:
  main:
    - answer: {max_duration: 60, codecs: "PCMU, G722"}
    - prompt: {play: ["say:x", "ring:us"], max_digits: 4, terminators: "#", speech_hints: [a]}
    - record_call: {format: mp3, control_id: a}
    - request: {url: "http://h", method: POST, headers: {X-A: "1"}, body: {a: [1]}, save_variables: true}
    - connect: {to: "sip:b@h;codecs=PCMA?X-B=1",
        confirm: [{prompt: "say:x"}, {cond: [{when: a, then: [hangup]}]}],
        ringback: {urls: ["ring:us"]}, transfer_after_bridge: '{"sections": {"main": ["answer"]}}'}
    - set: &x {a: 1, b: "${a + 1}"}
    - cond: [{when: "a == 1", then: [{play: "ring:us"}]}, {else: [hangup]}]
    - connect: {serial: [{to: +15551234567}, {to: "sip:b@h", timeout: 5}], result: {case: {failed: [hangup]}}}
    - <<: *x
"""


@QUICK
@given(st.text())
@example("\x85: 1")
@example("'\\ud800'")
@example("? [a]\n: b")
@example("%YAML 9.9\n--- a")
@example('{"a": "\\ud800"}')
@example('{"sections": 1' + "0" * 5000 + "}")
def test_any_text_loads_or_is_refused(text: str) -> None:
    with contextlib.suppress(DocumentError):
        load(text, source="a")


@QUICK
@given(st.binary())
def test_any_bytes_load_or_are_refused(body: bytes) -> None:
    with contextlib.suppress(DocumentError):
        load(body, source="a")


@QUICK
@given(st.data())
def test_a_damaged_document_loads_or_is_refused(data: Any) -> None:
    start = data.draw(st.integers(0, len(SAMPLE)))
    length = data.draw(st.integers(0, 6))
    text = (
        SAMPLE[:start]
        + data.draw(st.text("{}[]:,-&*'\"\n \t!|>#%@$a1", max_size=4))
        + SAMPLE[start + length :]
    )
    with contextlib.suppress(DocumentError):
        load(text, source="a")
    lint(text, source="a")


@QUICK
@given(STEPS)
def test_any_steps_of_a_confirm_are_refused_or_run_to_an_end(drive: Any, steps: Any) -> None:
    text = json.dumps({"sections": {"main": [{"connect": {"to": "sip:b@h", "confirm": steps}}]}})
    if refused(text) is not None:
        return
    plan = drive(text).plan
    confirm = plan.groups[0][0].confirm if plan.groups else None
    if isinstance(confirm, Confirm):
        ran = Ran([], {}, [], {}).run(Script.confirm(confirm, call_info()))
        assert ran.finished is not None or ran.names[-1] == "hangup"


@QUICK
@given(STEPS, STEPS, st.booleans())
def test_any_steps_load_or_are_refused_and_run_to_an_end(
    drive: Any, main: Any, sub: Any, as_json: bool
) -> None:
    document = {"sections": {"main": main, "sub": sub}}
    text = json.dumps(document) if as_json else yaml.safe_dump(document, allow_unicode=True)
    refusal = refused(text)
    assert (refusal is None) or any(finding.severity == "error" for finding in lint(text, source="a"))
    if refusal is not None:
        assert refusal.line >= 1
        assert "\n" not in str(refusal)
        return
    ran = drive(text, vars={"a": 1})
    assert ran.finished is not None or ran.names[-1] == "hangup"


def refused(text: str) -> DocumentError | None:
    try:
        load(text, source="a")
    except DocumentError as error:
        return error
    return None
