"""The parameters of `dial` and `update`: what becomes of them, and how each mistake is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.call.plan import Destination
from cordboard.events.encoding import encode
from cordboard.server.calling_api_dial import (
    MAX_REMARKED,
    documented,
    plan_of,
    remarks_on,
    routed_of,
    routed_to,
)
from cordboard.server.calling_api_errors import ApiError
from cordboard.server.calling_api_params import DIAL, UPDATE, checked
from cordboard.swml.properties import Shape

NEEDED = {"from": "+15550001", "to": "sip:bob@example.com", "url": "https://example.com/swml"}
INVALID = "invalid_parameter"
_TELLING = ["sip:a@h", "+15550001", "sip:%@[::", "sips:a@h?X=\r\n", "http://h/", "1e999", "\ud800", "a,b"]
DOCUMENT = {"version": "1.0.0", "sections": {"main": [{"answer": {}}]}}


def destination(**changes: Any) -> Destination:
    params = checked({**NEEDED, **changes}, DIAL)
    ((only,),) = plan_of(params).plan.groups
    return only


def refused(values: dict[str, Any], shape: Any = DIAL) -> dict[str, Any]:
    def attempt() -> None:
        params = checked(values, shape)
        if shape is DIAL:
            plan_of(params)
        routed_of(params)

    with pytest.raises(ApiError) as raised:
        attempt()
    assert raised.value.status == 400
    return raised.value.body


def test_what_is_needed_is_enough() -> None:
    made = destination()
    assert (made.kind, made.to, made.from_, made.timeout) == ("sip", "sip:bob@example.com", "+15550001", 60.0)
    assert made.call_state_events == {"ended"}
    assert made.max_price_per_minute is None


def test_a_number_is_a_phone() -> None:
    assert (destination(to="+15550002").kind, destination(to="+15550002").to) == ("phone", "+15550002")


def test_every_parameter_reaches_the_destination() -> None:
    made = destination(
        caller_id="+15550009",
        from_name="Office",
        timeout=30,
        max_duration=600,
        max_price_per_minute=0.0125,
        status_url="https://example.com/state",
        status_events=["answered", "ended"],
        headers=[{"name": "X-Order", "value": "7"}],
        codecs=["PCMA", "OPUS@48000h"],
        encryption="mandatory",
        session_timeout=120,
        username="u",
        password="p",
    )
    assert (made.from_, made.from_name, made.timeout, made.max_duration) == (
        "+15550009",
        "Office",
        30.0,
        600.0,
    )
    assert made.max_price_per_minute == 0.0125
    assert made.call_state_url == "https://example.com/state"
    assert made.call_state_events == {"answered", "ended"}
    assert made.headers == (("X-Order", "7"),)
    assert [(wish.name, wish.rate) for wish in made.codecs] == [("PCMA", None), ("OPUS", 48_000)]
    assert (made.encryption, made.session_timeout) == ("mandatory", 120)
    assert (made.username, made.password) == ("u", "p")


def test_codecs_may_be_one_text() -> None:
    assert [wish.name for wish in destination(codecs="PCMU, G722").codecs] == ["PCMU", "G722"]


@pytest.mark.parametrize(
    ("changes", "code", "path", "part"),
    [
        ({"to": None}, INVALID, "params", "`to` is required"),
        ({"from": None}, INVALID, "params", "`from` is required"),
        ({"to": "nobody"}, INVALID, "params.to", "must be a SIP URI"),
        ({"to": "queue:sales"}, INVALID, "params", "queue"),
        ({"to": "sip:a b@h"}, INVALID, "params.to", "must be a SIP URI"),
        ({"to": "+15550002", "from": "sip:a@h"}, INVALID, "params.from", "E.164 number"),
        ({"from": "two words"}, INVALID, "params.from", "must be a number"),
        ({"timeout": "soon"}, INVALID, "params.timeout", "an integer of at least 1"),
        ({"timeout": 0}, INVALID, "params.timeout", "an integer of at least 1"),
        ({"max_price_per_minute": 0.00001}, INVALID, "params.max_price_per_minute", "four decimals"),
        ({"max_price_per_minute": -1}, INVALID, "params.max_price_per_minute", "at least 0"),
        ({"status_events": ["busy"]}, INVALID, "params.status_events[0]", "ringing"),
        ({"status_url": "ftp://h/"}, INVALID, "params.status_url", "http(s) URL"),
        ({"url": "example.com"}, INVALID, "params.url", "http(s) URL"),
        ({"codecs": ["ALAW"]}, INVALID, "params.codecs", "no known codec"),
        ({"timeot": 5}, "unknown_parameter", "params.timeot", "Did you mean `timeout`?"),
        ({"swml": DOCUMENT}, INVALID, "params.swml", "url"),
        ({"url": None}, INVALID, "params", "swml"),
        ({"url": None, "swml": [7]}, INVALID, "params.swml", "swml"),
        (
            {"url": None, "swml": DOCUMENT, "fallback_url": "http://h/"},
            INVALID,
            "params.fallback_url",
            "beside `url`",
        ),
    ],
)
def test_mistakes(changes: dict[str, Any], code: str, path: str, part: str) -> None:
    body = refused({**NEEDED, **changes})
    assert (body["code"], body["path"]) == (code, path)
    assert part in body["message"]
    assert body["message"][-1] in ".?"
    assert "connect" not in body["message"].split("queue")[0]


def test_what_can_be_done_only_in_part_is_a_warning() -> None:
    said = plan_of(checked({**NEEDED, "headers": [{"name": "Subject", "value": "x"}]}, DIAL))
    assert said.plan.groups[0][0].headers == ()
    assert said.warnings == ['dial: the header "Subject" is dropped: only X- headers of one line can be sent']


@pytest.mark.parametrize(
    "swml",
    [DOCUMENT, json.dumps(DOCUMENT), "sections:\n  main:\n    - answer: {}\n"],
    ids=["object", "json", "yaml"],
)
def test_a_document_may_be_an_object_or_text(swml: Any) -> None:
    routed = routed_of({"swml": swml})
    assert routed.url is None
    assert routed.document is not None
    assert list(routed.document.sections) == ["main"]


def test_a_bad_document_is_told_with_its_place() -> None:
    body = refused({**NEEDED, "url": None, "swml": "sections:\n  main:\n    - anser: {}\n"})
    assert body["code"] == "invalid_document"
    assert (body["line"], body["path"]) == (3, "sections.main[0]")
    assert "anser" in body["message"]
    assert body["nearest"] == "answer"


def test_a_bad_object_is_told_with_its_path() -> None:
    body = refused({**NEEDED, "url": None, "swml": {"sections": {"other": []}}})
    assert body["code"] == "invalid_document"
    assert "main" in body["message"]


def test_a_step_that_will_fail_is_a_remark() -> None:
    steps = [{"connect": {"to": "sip:bob@h", "timeout": "soon"}}]
    said = remarks_on({"swml": {"sections": {"main": steps}}})
    assert any("timeout" in remark for remark in said)
    assert remarks_on({"swml": DOCUMENT}) == []
    assert remarks_on({"url": "https://example.com/"}) == []


def test_an_update_is_a_url_a_document_or_an_end() -> None:
    assert checked({"id": "c", "status": "completed"}, UPDATE)["status"] == "completed"
    assert "status" in refused({"id": "c", "status": "paused"}, UPDATE)["message"]
    assert refused({"id": "c"}, UPDATE)["path"] == "params"
    assert refused({"swml": DOCUMENT, "status": "completed"}, UPDATE)["path"].startswith("params")


@pytest.mark.parametrize(
    ("dest", "url"), [("https://example.com/next", "https://example.com/next"), (json.dumps(DOCUMENT), None)]
)
def test_a_transfer_leads_to_a_document(dest: str, url: str | None) -> None:
    routed = routed_to(dest)
    assert (routed.url, routed.document is None) == (url, url is not None)


@pytest.mark.parametrize("dest", ["sip:bob@example.com", "+15550002"])
def test_a_transfer_to_somebody_connects(dest: str) -> None:
    document = routed_to(dest).document
    assert document is not None
    assert [step.method for step in document.sections["main"].steps] == ["connect"]


def test_a_transfer_to_nowhere_is_refused() -> None:
    with pytest.raises(ApiError, match="`dest` must be a SWML document"):
        routed_to("office hours")


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(_TELLING),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def refusal_of(attempt: Callable[[], object]) -> ApiError | None:
    """How it was refused, if it was."""
    try:
        attempt()
    except ApiError as error:
        return error
    return None


@pytest.mark.parametrize("shape", [DIAL, UPDATE], ids=["dial", "update"])
@given(values=st.dictionaries(st.sampled_from(DIAL.names()), _JSON, max_size=8), is_complete=st.booleans())
@settings(max_examples=200, deadline=None)
def test_nothing_but_an_answer_comes_of_any_values(
    shape: Shape, values: dict[str, Any], is_complete: bool
) -> None:
    def attempt() -> None:
        params = checked({name: v for name, v in whole.items() if name in shape.names()}, shape)
        if shape is DIAL:
            plan_of(params)
        if "status" not in params:
            routed_of(params)
            remarks_on(params)

    whole = {**NEEDED, **values} if is_complete else values
    refusal = refusal_of(attempt)
    assert refusal is None or (refusal.status == 400 and encode(refusal.body))


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_nothing_but_an_answer_comes_of_any_transfer(dest: str) -> None:
    refusal = refusal_of(lambda: routed_to(dest))
    assert refusal is None or refusal.status == 400


@pytest.mark.parametrize("count", [1, 1_000, 3_000], ids=["short", "long", "longer"])
async def test_a_document_is_read_whatever_its_length(count: int) -> None:
    text = "sections:\n  main:\n" + "    - play: {url: nothing, volume: 1}\n" * count
    routed, remarks = await documented({"swml": text})
    assert routed.document is not None
    assert len(routed.document.sections["main"].steps) == count
    assert bool(remarks) == (len(text) <= MAX_REMARKED)
    with pytest.raises(ApiError):
        await documented({"swml": text + "  other: 7\n" + " " * count})
