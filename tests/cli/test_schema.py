"""`cordboard schema`: what editors complete and check documents with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types of its own
from typer.testing import CliRunner

from cordboard.cli import app
from cordboard.swml.document import DocumentError, load
from cordboard.swml.methods import ALL

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def validator() -> Any:
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    schema = json.loads(result.output)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def document(*steps: Any) -> dict[str, Any]:
    return {"version": "1.0.0", "sections": {"main": list(steps)}}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_fit(validator: Any, path: Path) -> None:
    validator.validate(yaml.safe_load(path.read_text()))


GOOD: list[Any] = [
    "answer",
    {"answer": {"max_duration": 60, "codecs": "PCMU"}},
    {"answer": None},
    {"answer": "${seconds}"},
    {"ai": {"prompt": {"text": "Hello", "temperature": 0.5}, "params": {"ai_volume": "%{v}"}}},
    {"amazon_bedrock": {"prompt": {"text": "Hello", "voice_id": "amy"}}},
    {"cond": [{"when": "a == 1", "then": [{"play": "say:x"}]}, {"else": ["hangup"]}]},
    {"connect": "sip:b@h"},
    {"connect": {"to": "sip:b@h", "timeout": "${t}", "confirm": [{"prompt": "say:press 1"}]}},
    {"connect": {"serial": ["sip:b@h", {"to": "+1555", "confirm": "https://h/c"}], "ringback": ["ring:us"]}},
    {
        "connect": {
            "serial_parallel": [["sip:b@h"], [{"to": "sip:c@h", "headers": [{"name": "X-A", "value": "1"}]}]]
        }
    },
    {"connect": {"parallel": [{"to": "sip:b@h"}], "ringback": {"urls": ["say:Wait"], "volume": -3}}},
    {"connect": {"to": "sip:b@h", "result": {"case": {"failed": ["hangup"]}, "default": []}}},
    {
        "connect": {
            "to": "sip:b@h",
            "result": [{"when": "true", "then": []}],
            "transfer_after_bridge": "http://h",
        }
    },
    {"detect_machine": {"wait": False, "tone": "CNG"}},
    {"enter_queue": {"queue_name": "a", "transfer_after_bridge": "https://h"}},
    {"execute": {"dest": "main", "params": {"a": 1}, "on_return": ["hangup"]}},
    {"goto": {"label": "a", "when": "true", "max": 3}},
    {"join_conference": {"name": "a", "result": {"case": {"answered": []}}}},
    {"label": "a"},
    {"live_translate": {"action": "stop"}},
    {"play": ["ring:us", "silence:1"]},
    {"play": {"url": "say:x", "volume": -40}},
    {"prompt": {"play": ["say:x"], "max_digits": 4, "speech_hints": ["a"]}},
    {"record_call": {"stereo": "${s}", "format": "mp3"}},
    {"request": {"url": "${u}/x", "method": "POST", "headers": {"X-A": "1"}, "body": {"a": [1]}}},
    {"return": {"any": ["thing"]}},
    {"send_digits": "1W2"},
    {"send_sms": {"to_number": "+1", "from_number": "+2", "body": "x"}},
    {"set": {"a": {"b": [1]}}},
    {"sleep": -1},
    {"stop_record_call": "id"},
    {"switch": {"variable": "a", "case": {"1": ["hangup"]}}},
    {"tap": {"uri": "rtp://192.0.2.1:4000", "rtp_ptime": 30}},
    {"transfer": "main"},
    {"unset": ["a", "b"]},
    {"user_event": {"event": {"a": 1}}},
]


@pytest.mark.parametrize("step", GOOD, ids=str)
def test_what_a_document_may_say_fits(validator: Any, step: Any) -> None:
    validator.validate(document(step))
    load(json.dumps(document(step)), source="a")


@pytest.mark.parametrize(
    "step",
    [
        "plya",
        "connect",
        5,
        {},
        {"answer": {}, "hangup": {}},
        {"nope": {}},
        {"connect": {}},
        {"connect": {"to": "sip:b@h", "serial": []}},
        {"connect": {"to": 15551234567}},
        {"connect": {"to": "sip:b@h", "timout": 5}},
        {"connect": {"to": "sip:b@h", "timeout": "abc"}},
        {"connect": {"to": "sip:b@h", "timeout": 0}},
        {"connect": {"to": "sip:b@h", "encryption": "required"}},
        {"connect": {"to": "sip:b@h", "headers": {"X-A": "1"}}},
        {"connect": {"to": "sip:b@h", "call_state_events": ["ending"]}},
        {"connect": {"to": "sip:b@h", "result": "x"}},
        {"connect": {"to": "sip:b@h", "confirm": [{"nope": 1}]}},
        {"connect": {"serial": [{"timeout": 5}]}},
        {"connect": {"to": "sip:b@h", "status_url": "ftp://h"}},
        {"cond": [{"then": []}]},
        {"goto": {"label": "a", "max": 101}},
        {"hangup": "now"},
        {"play": {}},
        {"play": {"url": "ring:us", "volume": 41}},
        {"request": {"url": "http://h", "method": "PATCH"}},
        {"send_digits": "12x"},
        {"set": 5},
        {"sleep": {"time": 500}},
        {"transfer": [{"dest": "main"}]},
        {"ai": {"prompt": {"text": "a", "temperature": 9}}},
        {"pay": {}},
        {"send_sms": {"to_number": "+1", "from_number": "+2"}},
    ],
    ids=str,
)
def test_what_a_document_may_not_say_does_not_fit(validator: Any, step: Any) -> None:
    assert not validator.is_valid(document(step))


@pytest.mark.parametrize(
    "whole",
    [{}, {"sections": {}}, {"sections": {"main": []}}, {"version": "2", "sections": {"main": ["answer"]}}],
)
def test_documents_that_are_none_do_not_fit(validator: Any, whole: Any) -> None:
    assert not validator.is_valid(whole)
    with pytest.raises(DocumentError):
        load(json.dumps(whole), source="a")


def test_every_method_is_in_it_with_what_it_does(validator: Any) -> None:
    definitions = validator.schema["$defs"]
    for name, method in ALL.items():
        assert definitions[f"step.{name}"]["description"] == method.shape.about
        assert method.shape.about.endswith(".")


def test_properties_come_with_description_choices_and_default(validator: Any) -> None:
    (mapping, *_) = validator.schema["$defs"]["step.play"]["properties"]["play"]["anyOf"]
    assert mapping["properties"]["volume"] == {
        "anyOf": [{"type": "number", "minimum": -40, "maximum": 40}, {"$ref": "#/$defs/placeholder"}],
        "description": "Gain in dB.",
        "default": 0,
    }
