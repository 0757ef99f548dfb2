"""What the drivers of calls ask of the shell: values of expressions, documents, answers to requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from cordboard.call.actions import CallInfo, DocumentFetched, Evaluate, FetchDocument, SendRequest
from cordboard.call.effects import AskShell
from cordboard.call.facts import DriverReply
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.javascript import evaluate_aside, evaluate_at_once


class Asking:
    """Each question has one reply: at once where that is cheap, otherwise when its task is done."""

    def __init__(
        self,
        documents: DocumentFetcher,
        envs: dict[str, str],
        reply: Callable[[str, DriverReply], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        compiled: CompiledDocuments,
    ) -> None:
        self._documents = documents
        self._envs = envs
        self._reply = reply
        self._spawn = spawn
        self._compiled = compiled

    def ask(self, info: CallInfo, effect: AskShell) -> None:
        request = effect.request
        if isinstance(request, FetchDocument):
            self._spawn(self._fetch(info, effect.ticket, request), info.call_id)
            return
        if isinstance(request, SendRequest):
            self._spawn(self._send(info, effect.ticket, request), info.call_id)
            return
        value = evaluate_at_once(request.expression, request.bindings)
        if value is not None:
            self._answer(info, effect.ticket, value)
        else:
            self._spawn(self._evaluate_aside(info, effect.ticket, request), info.call_id)

    async def _send(self, info: CallInfo, ticket: int, request: SendRequest) -> None:
        self._answer(info, ticket, await self._documents.requester.send(request))

    async def _evaluate_aside(self, info: CallInfo, ticket: int, request: Evaluate) -> None:
        self._answer(info, ticket, await evaluate_aside(request.expression, request.bindings))

    async def _fetch(self, info: CallInfo, ticket: int, request: FetchDocument) -> None:
        fetched = await self._documents.fetch(request, info, self._envs)
        if isinstance(fetched, DocumentFetched):
            await self._compiled.prepare(fetched.body, fetched.url)
        self._answer(info, ticket, fetched)

    def _answer(self, info: CallInfo, ticket: int, result: Any) -> None:
        self._reply(info.call_id, DriverReply(ticket=ticket, result=result))
