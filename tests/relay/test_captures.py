"""Every request that a real SDK was seen to send is read, and answered as it expects."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cordboard.call.effects import CommandAnswered
from cordboard.relay.answers import result
from cordboard.relay.methods import read
from cordboard.relay.methods.unbuilt import UNBUILT
from cordboard.relay.requests import Refusal

SPEC = Path(os.environ.get("CORDBOARD_SPEC", Path(__file__).resolve().parents[3] / "shared" / "spec"))


class Exchange(msgspec.Struct, frozen=True):
    """One `calling.*` request and what the stub answered, if it did."""

    source: str
    method: str
    params: dict[str, Any]
    result: dict[str, Any] | None


def exchanges() -> list[Exchange]:
    """All of them; empty where the recordings are not at hand."""
    folder = SPEC / "captures"
    return [found for path in sorted(folder.glob("*.jsonl")) for found in _of(path)]


def _of(path: Path) -> Iterator[Exchange]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    frames = [line["frame"] for line in lines if line["dir"] != "meta" and isinstance(line["frame"], dict)]
    answers = {frame.get("id"): frame.get("result") for frame in frames if "method" not in frame}
    for frame in frames:
        method = str(frame.get("method", ""))
        if method.startswith("calling."):
            yield Exchange(path.name, method, frame["params"], answers.get(frame["id"]))
        elif method == "blade.execute" and str(frame["params"]["method"]).startswith("calling."):
            inner = frame["params"]
            answer = answers.get(frame["id"]) or {}
            yield Exchange(path.name, inner["method"], inner["params"], answer.get("result"))


RECORDED = exchanges()
needs_recordings = pytest.mark.skipif(not RECORDED, reason="the recordings are not at hand")


def is_built(found: Exchange) -> bool:
    """Neither the method nor what it asks for is refused by name (`test_devices` for WebRTC)."""
    wants_webrtc = any(
        device["params"].get("webrtc_media") for group in found.params.get("devices", []) for device in group
    )
    return found.method.removesuffix(".stop") not in UNBUILT and not wants_webrtc


def names_a_call(found: Exchange) -> bool:
    """A few runs showed an SDK that had lost the id of its call."""
    return "call_id" in found.params or "tag" in found.params


@needs_recordings
def test_every_recorded_request_is_read() -> None:
    refused = {
        f"{found.source} {found.method}: {request.message}"
        for found in RECORDED
        if isinstance(request := read(found.method, found.params), Refusal)
        and is_built(found)
        and names_a_call(found)
    }
    assert refused == set()
    assert len(RECORDED) > 400


@needs_recordings
def test_what_is_not_built_is_refused_by_its_name() -> None:
    unbuilt = {found.method for found in RECORDED if found.method.removesuffix(".stop") in UNBUILT}
    for method in unbuilt:
        refusal = read(method, {"call_id": "a"})
        assert isinstance(refusal, Refusal)
        assert refusal.code == "501"
        assert method in refusal.message
    assert {"calling.stream", "calling.stream.stop", "calling.denoise.stop"} <= unbuilt


def accepted(found: Exchange) -> dict[str, Any]:
    """Our result, with the same figures of the media."""
    given = found.result or {}
    source = given.get("source_device", {}).get("params", {})
    answered = CommandAnswered(
        ticket="t",
        url=given.get("url", ""),
        source_address=source.get("addr", ""),
        source_port=source.get("port", 0),
    )
    call_id = given.get("call_id", "")
    return result(
        read(found.method, found.params), answered, node_id=given.get("node_id", ""), call_id=call_id
    )


@needs_recordings
def test_results_have_the_members_that_the_sdks_were_content_with() -> None:
    compared = set()
    for found in RECORDED:
        if not is_built(found) or not names_a_call(found):
            continue
        if found.result is None or found.result.get("code") != "200":
            continue
        if found.source == "py-v2-blade.jsonl":
            continue  # the older envelope has other results
        ours = accepted(found)
        assert ours == found.result, found.source
        compared.add(found.method)
    assert {"calling.play", "calling.record", "calling.tap", "calling.connect", "calling.dial"} <= compared
