"""Every finding about a property says what is allowed, or which known name is nearest, also to programs."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.swml.lint import lint
from cordboard.swml.methods import ALL
from cordboard.swml.problems import Finding
from cordboard.swml.properties import Property


def the_only_finding(step: str) -> Finding:
    (finding,) = lint(f"sections:\n  main:\n    - {step}\n", source="a")
    return finding


def test_an_unknown_property_has_the_nearest_name_as_a_field() -> None:
    finding = the_only_finding("play: {url: 'ring:us', volum: 3}")
    assert finding.nearest == "volume"
    assert finding.said().count("did you mean") == 1


def test_where_no_name_is_near_all_are_told() -> None:
    finding = the_only_finding("hangup: {zzz: 1}")
    assert (finding.nearest, finding.allowed) == ("", "reason")
    assert "; allowed: reason" in finding.said()


@pytest.mark.parametrize(
    ("step", "allowed"),
    [
        ("tap: {uri: 'http://x'}", "rtp://address:port, ws://… or wss://…"),
        ("send_digits: {digits: 12x}", "1 to 256 of 0-9, *, #, A-D, W and w"),
        ("record: {terminators: x}", "keys of 0-9, *, # and A-D"),
    ],
)
def test_a_text_of_the_wrong_form_is_told_the_right_one(step: str, allowed: str) -> None:
    finding = the_only_finding(step)
    assert finding.allowed == allowed
    assert f"must be {allowed}, not" in finding.message


def properties(declared: Any) -> list[Property]:
    """And all below them."""
    below = [*declared.record, *declared.options, *([declared.items] if declared.items else [])]
    return [declared, *(found for one in below for found in properties(one))]


def test_every_pattern_is_put_into_words() -> None:
    found = [p for method in ALL.values() for one in method.shape.properties for p in properties(one)]
    assert [one.name for one in found if one.pattern and not one.means] == []


@pytest.mark.parametrize("step", ["switch: {variable: a}", "switch: {variable: a, default: [hangup: {}]}"])
def test_a_switch_needs_its_cases(step: str) -> None:
    finding = the_only_finding(step)
    assert (finding.severity, finding.message) == ("error", "switch: `case` is required")
