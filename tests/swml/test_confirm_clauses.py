"""Clauses of swml.md 7.10 about fetched confirm documents: what holds for the documents that they lead to."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Prompt, PromptDone
from cordboard.call.plan import Confirm
from cordboard.swml.script import Script

from .conftest import Ran, call_info

URL, SECOND = "http://h/c", "http://h/second"
DIALLED = call_info(call_id="call-2", direction="outbound", call_state="answered", parent_call_id="call-1")


def confirmed(documents: dict[str, str], **results: Any) -> Ran:
    ran = Ran([], documents, [], results.get("results", {}))
    return ran.run(Script.confirm(Confirm(url=URL), DIALLED))


def main(*steps: str) -> str:
    return "sections:\n  main:\n" + "".join(f"    - {step}\n" for step in steps)


@pytest.mark.parametrize("way", ["transfer", "execute"])
@pytest.mark.parametrize(
    "step", ["connect: {to: 'sip:x@h'}", "ai: {prompt: {text: a}}", "join_room: {name: a}"]
)
def test_what_a_confirm_may_not_do_its_further_documents_may_not_either(way: str, step: str) -> None:
    ran = confirmed({URL: main(f"{way}: {SECOND}"), SECOND: main(step)})
    assert ran.actions == []
    assert ran.finished is not None
    assert "cannot be used in a confirm script" in str(ran.finished.failed)


def test_a_document_that_it_is_transferred_to_decides() -> None:
    documents = {URL: main(f"transfer: {SECOND}", "hangup"), SECOND: main("prompt: say:Press one")}
    ran = confirmed(documents, results={Prompt: [PromptDone(result="no_input", value="")]})
    assert ran.names == ["prompt"]
    assert ran.finished is not None
    assert ran.finished.failed is None


@pytest.mark.parametrize("value", ["false", "'no'", "0", "{}"])
def test_whatever_it_returns_it_has_accepted(value: str) -> None:
    ran = confirmed({URL: main(f"return: {value}", "hangup")})
    assert ran.names == []
    assert ran.finished is not None
    assert ran.finished.failed is None


def test_documents_that_lead_to_each_other_for_ever_refuse() -> None:
    ran = confirmed({URL: main(f"transfer: {URL}")})
    assert ran.finished is not None
    assert "more than 32 transfers" in str(ran.finished.failed)


def test_the_post_for_it_has_no_params_and_its_second_document_has_the_variables_so_far() -> None:
    ran = confirmed(
        {
            URL: main("set: {asked: once}", f"transfer: {{dest: '{SECOND}', params: {{n: 1}}}}"),
            SECOND: main("hangup"),
        }
    )
    assert [(fetch.url, fetch.params, fetch.vars) for fetch in ran.fetches] == [
        (URL, {}, {}),
        (SECOND, {"n": "1"}, {"asked": "once"}),
    ]
    assert ran.names == ["hangup"]
