"""Documents from the web and inline (swml.md 1.4, 2)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cordboard.call.actions import DocumentFetched, Done, FetchDocument, Finished
from cordboard.swml.document import load
from cordboard.swml.script import Script

ANSWER = "sections: {main: [answer]}"
URL, FALLBACK = "http://h/doc", "http://h/fallback"


def test_a_script_from_a_url_asks_for_it_first(drive: Any) -> None:
    ran = drive(None, url=URL, fallback_url=FALLBACK, documents={URL: ANSWER})
    assert ran.names == ["answer"]
    assert ran.fetches == [FetchDocument(url=URL, params={}, vars={}, fallback_url=FALLBACK)]


def test_a_document_that_cannot_be_used_is_replaced_by_the_fallback(drive: Any) -> None:
    ran = drive(None, url=URL, fallback_url=FALLBACK, documents={URL: "<html>", FALLBACK: ANSWER})
    assert ran.names == ["answer"]
    assert [fetch.url for fetch in ran.fetches] == [URL, FALLBACK]


@pytest.mark.parametrize("documents", [{}, {URL: "<html>"}, {URL: "a: 1", FALLBACK: "b: 1"}, {FALLBACK: "["}])
def test_without_any_usable_document_the_script_has_failed(drive: Any, documents: Any) -> None:
    ran = drive(None, url=URL, fallback_url=FALLBACK, documents=documents)
    assert ran.names == []
    assert ran.finished.failed
    assert len(ran.fetches) <= 2
    assert ran.vars["script_error"].startswith("relay_script_")


def test_execute_fetches_with_text_params_and_the_current_vars(drive: Any) -> None:
    ran = drive(
        "- set: {a: 1}\n- execute: {dest: 'http://h/sub', params: {n: 12345}}\n- hangup",
        documents={"http://h/sub": "sections: {main: [{return: '${params.n}'}]}"},
    )
    (fetch,) = ran.fetches
    assert (fetch.params, fetch.vars, fetch.fallback_url) == ({"n": "12345"}, {"a": 1}, None)
    assert ran.vars["return_value"] == "12345"
    assert ran.names == ["hangup"]


def test_sections_are_those_of_the_running_document(drive: Any) -> None:
    ran = drive(
        "sections:\n  main: [{execute: http://h/sub}, {execute: mine}]\n  mine: [{set: {m: main}}]",
        documents={"http://h/sub": "sections: {main: [{execute: mine}], mine: [{set: {s: sub}}]}"},
    )
    assert (ran.vars["s"], ran.vars["m"]) == ("sub", "main")


@pytest.mark.parametrize("method", ["execute", "transfer"])
@pytest.mark.parametrize("document", [None, "<html>", "sections: {main: [{nope: 1}]}"])
def test_a_document_that_cannot_be_had_fails_the_step_only(
    drive: Any, method: str, document: str | None
) -> None:
    ran = drive(f"- {method}: {URL}\n- answer", documents={} if document is None else {URL: document})
    assert ran.names == ["answer"]
    assert len(ran.warnings) == 1


def test_a_malformed_url_is_a_parse_error(drive: Any) -> None:
    ran = drive("- transfer: 'http://'\n- answer")
    assert (ran.codes, ran.names) == (["parse_error"], ["answer"])


@pytest.mark.parametrize("method", ["execute", "transfer"])
def test_an_inline_json_or_yaml_document_runs(drive: Any, method: str) -> None:
    inline = json.dumps({"sections": {"main": [{"answer": {}}]}})
    for dest in (inline, "version: 1.0.0\nsections:\n  main:\n    - answer\n"):
        ran = drive(json.dumps({"sections": {"main": [{method: {"dest": dest}}]}}))
        assert ran.names == ["answer"]


def test_relay_destinations_are_refused(drive: Any) -> None:
    assert drive("- transfer: relay:app\n- answer").codes == ["method_execute_failed"]


def test_the_cache_is_asked_for_every_document(drive: Any) -> None:
    asked: list[tuple[bytes, str]] = []

    def cache(body: bytes, source: str) -> Any:
        asked.append((body, source))
        return load(body, source=source)

    drive(None, url=URL, documents={URL: ANSWER}, cache=cache)
    assert asked == [(ANSWER.encode(), URL)]


def test_a_script_needs_a_document_or_a_url(info: Any) -> None:
    with pytest.raises(ValueError, match="document or a URL"):
        Script(None, info())


def test_a_result_of_another_kind_is_the_callers_mistake(info: Any) -> None:
    script = Script(None, info(), url=URL)
    script.start()
    with pytest.raises(TypeError, match="DocumentFetched"):
        script.resume(Done())


def test_a_finished_script_stays_finished(info: Any) -> None:
    script = Script(load("sections: {main: [{set: {a: 1}}]}", source="a"), info())
    assert script.start().next == Finished()
    assert script.resume(DocumentFetched(url=URL, body=b"")).next == Finished()
