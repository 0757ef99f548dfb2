"""Runs scripts without a call: every request is answered at once, and what was asked is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cordboard.call.actions import (
    CallInfo,
    Connect,
    ConnectDone,
    Denoise,
    DenoiseDone,
    DigitsDone,
    DocumentFailed,
    DocumentFetched,
    Done,
    Evaluate,
    FetchDocument,
    Finished,
    Hangup,
    Play,
    PlayDone,
    Prompt,
    PromptDone,
    Record,
    RecordCall,
    RecordDone,
    RecordStarted,
    RequestAnswered,
    Result,
    ScriptWarning,
    SendDigits,
    SendRequest,
    Stopped,
    StopRecordCall,
    StopTap,
    Tap,
    TapStarted,
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


WHEN_ALL_IS_WELL: dict[type, Callable[[Any], Result]] = {
    Connect: lambda _: ConnectDone(connected=True),
    Play: lambda _: PlayDone(),
    Prompt: lambda _: PromptDone(result="match_digits", value="1"),
    Record: lambda _: RecordDone(ok=True, url="https://server/recording", duration=1.0, size=16),
    RecordCall: lambda action: RecordStarted(
        ok=True, control_id=action.control_id or "rec-1", url="https://server/recording"
    ),
    StopRecordCall: lambda action: Stopped(ok=True, control_id=action.control_id or "rec-1"),
    Tap: lambda action: TapStarted(
        ok=True, control_id=action.control_id or "tap-1", source_address="192.0.2.1", source_port=4000
    ),
    StopTap: lambda action: Stopped(ok=True, control_id=action.control_id or "tap-1"),
    SendDigits: lambda _: DigitsDone(ok=True),
    Denoise: lambda action: DenoiseDone(state="on" if action.on else "off"),
    SendRequest: lambda request: RequestAnswered(url=request.url, status=200),
}
"""What each action comes to unless a test says otherwise."""


class Ran:
    """What a script did from its start to its end."""

    def __init__(
        self,
        connects: list[ConnectDone],
        documents: Mapping[str, str],
        plays: list[PlayDone],
        results: Mapping[type, list[Result]],
    ) -> None:
        self.requests: list[SendRequest] = []
        self._results = {kind: list(given) for kind, given in results.items()}
        self._results.setdefault(Connect, []).extend(connects)
        self._results.setdefault(Play, []).extend(plays)
        self.actions: list[Any] = []
        self.fetches: list[FetchDocument] = []
        self.evaluations: list[str] = []
        self.warnings: list[ScriptWarning] = []
        self.vars: dict[str, Any] = {}
        self.finished: Finished | None = None
        self._documents = documents

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
        if isinstance(wanted, SendRequest):
            self.requests.append(wanted)
        else:
            self.actions.append(wanted)
        if isinstance(wanted, Hangup):
            return None
        given = self._results.get(type(wanted))
        if given:
            return given.pop(0)
        return WHEN_ALL_IS_WELL.get(type(wanted), lambda _: Done())(wanted)

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
        results: Mapping[type, list[Result]] | None = None,
        documents: Mapping[str, str] | None = None,
        info: CallInfo | None = None,
        **options: Any,
    ) -> Ran:
        if text is not None and "sections" not in text:
            text = "sections:\n  main:\n" + "\n".join("    " + line for line in text.strip("\n").split("\n"))
        document = None if text is None else load(text, source="test.yaml")
        ran = Ran(connects or [], documents or {}, plays or [], results or {})
        return ran.run(Script(document, info or call_info(), **options))

    return run
