"""Runs scripts without a call: every request is answered at once, and what was asked is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cordboard.call.actions import (
    CallInfo,
    Connect,
    ConnectDone,
    DocumentFailed,
    DocumentFetched,
    Done,
    Evaluate,
    FetchDocument,
    Finished,
    Hangup,
    Play,
    PlayDone,
    Result,
    ScriptWarning,
    Turn,
)
from cordboard.server.javascript import evaluate
from cordboard.swml.document import load
from cordboard.swml.script import Script


def call_info(**changes: Any) -> CallInfo:
    values: dict[str, Any] = {
        "call_id": "call-1",
        "node_id": "node-1",
        "segment_id": "segment-1",
        "project_id": "project-1",
        "space_id": "space-1",
        "session_id": "session-1",
        "call_state": "created",
        "direction": "inbound",
        "type": "sip",
        "from_": "sip:alice@example.com",
        "to": "sip:support@example.com",
        "headers": (("X-Account", "42"),),
    }
    return CallInfo(**{**values, **changes})


class Ran:
    """What a script did from its start to its end."""

    def __init__(
        self, connects: list[ConnectDone], documents: Mapping[str, str], plays: list[PlayDone]
    ) -> None:
        self.actions: list[Any] = []
        self.fetches: list[FetchDocument] = []
        self.evaluations: list[str] = []
        self.warnings: list[ScriptWarning] = []
        self.vars: dict[str, Any] = {}
        self.finished: Finished | None = None
        self._connects = connects
        self._documents = documents
        self._plays = plays

    @property
    def codes(self) -> list[str]:
        return [warning.code.removeprefix("relay_script_") for warning in self.warnings]

    @property
    def names(self) -> list[str]:
        return [type(action).__name__.lower() for action in self.actions]

    @property
    def plan(self) -> Any:
        return next(action.plan for action in self.actions if isinstance(action, Connect))

    def run(self, script: Script) -> Ran:
        turn = script.start()
        while (result := self._answer(turn)) is not None:
            turn = script.resume(result)
        self.vars = script.variables()
        return self

    def _answer(self, turn: Turn) -> Result | None:
        self.warnings.extend(turn.warnings)
        wanted = turn.next
        if isinstance(wanted, Evaluate):
            self.evaluations.append(wanted.expression)
            return evaluate(wanted.expression, wanted.bindings)
        if isinstance(wanted, FetchDocument):
            return self._fetched(wanted)
        if isinstance(wanted, Finished):
            self.finished = wanted
            return None
        self.actions.append(wanted)
        if isinstance(wanted, Hangup):
            return None
        if isinstance(wanted, Connect):
            return self._connects.pop(0) if self._connects else ConnectDone(connected=True)
        if isinstance(wanted, Play):
            return self._plays.pop(0) if self._plays else PlayDone()
        return Done()

    def _fetched(self, wanted: FetchDocument) -> Result:
        self.fetches.append(wanted)
        for url in (wanted.url, wanted.fallback_url):
            if url in self._documents:
                return DocumentFetched(url=str(url), body=self._documents[str(url)].encode())
        return DocumentFailed(url=wanted.url, sentence=f"{wanted.url} answered 404")


@pytest.fixture(scope="session")
def info() -> Callable[..., CallInfo]:
    return call_info


@pytest.fixture(scope="session")
def drive() -> Callable[..., Ran]:
    """`drive(document or steps of main, …)` runs it to its end."""

    def run(
        text: str | None,
        *,
        connects: list[ConnectDone] | None = None,
        plays: list[PlayDone] | None = None,
        documents: Mapping[str, str] | None = None,
        info: CallInfo | None = None,
        **options: Any,
    ) -> Ran:
        if text is not None and "sections" not in text:
            text = "sections:\n  main:\n" + "\n".join("    " + line for line in text.strip("\n").split("\n"))
        document = None if text is None else load(text, source="test.yaml")
        ran = Ran(connects or [], documents or {}, plays or [])
        return ran.run(Script(document, info or call_info(), **options))

    return run
