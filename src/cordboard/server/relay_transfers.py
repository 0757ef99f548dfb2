"""`calling.transfer`: a document takes a call over, or the clients of another context do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from cordboard.call.actions import CallInfo, DocumentFailed, FetchDocument
from cordboard.call.addresses import without_userinfo
from cordboard.server.control import GONE, Control
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.long_documents import beside_calls
from cordboard.server.new_calls import NewCalls
from cordboard.server.relay_inbound import RelayInbound
from cordboard.server.routes import Routed
from cordboard.swml.document import DocumentError, load

Done = Callable[[str, str], None]
"""(code, sentence): once for each transfer."""

_NOT_OFFERED = (
    "Only an inbound call can be transferred to a context: clients take what they are offered as a call that"
    " comes in, and answer it. Give an outbound call a document as dest, its URL or itself."
)
_FETCH_WITHIN = 6.0
"""Seconds: clients wait ten for their answer."""


class RelayTransfers:
    """A document that cannot be used is told to the client, and the call goes on as it was."""

    def __init__(
        self,
        control: Control,
        new_calls: NewCalls,
        inbound: RelayInbound,
        documents: DocumentFetcher,
        envs: dict[str, str],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> None:
        self._control = control
        self._new_calls = new_calls
        self._inbound = inbound
        self._documents = documents
        self._envs = envs
        self._spawn = spawn

    def transfer(self, info: CallInfo, dest: str, done: Done) -> None:
        """`dest`: an http(s) URL, a document, or the name of a context."""
        if dest.lower().startswith(("http://", "https://")):
            self._spawn(self._fetch(info, dest, done), info.call_id)
        elif _is_document(dest):
            self._spawn(self._read(info, dest.encode("utf-8", "replace"), "dest", done), info.call_id)
        else:
            self._offer(info, dest, done)

    async def _fetch(self, info: CallInfo, url: str, done: Done) -> None:
        try:
            async with asyncio.timeout(_FETCH_WITHIN):
                wanted = FetchDocument(url=url, params={}, vars={})
                fetched = await self._documents.fetch(wanted, info, self._envs)
        except TimeoutError:
            done("400", f"The document was not there within {_FETCH_WITHIN:g} s.")
            return
        if isinstance(fetched, DocumentFailed):
            done("400", fetched.sentence)
        else:
            await self._read(info, fetched.body, without_userinfo(url), done)

    async def _read(self, info: CallInfo, body: bytes, source: str, done: Done) -> None:
        try:
            document = await beside_calls(len(body), lambda: load(body, source=source))
        except DocumentError as error:
            done("400", str(error))
            return
        if self._control.call(info.call_id) is None:
            done("404", GONE.message)
            return
        done("200", "")
        self._inbound.decided(info.call_id)
        self._control.give_driver(info.call_id, self._new_calls.script(Routed(document=document), info))

    def _offer(self, info: CallInfo, context: str, done: Done) -> None:
        routed = Routed(context=context, project=info.project_id)
        if info.direction != "inbound":
            done("400", _NOT_OFFERED)
        elif not self._inbound.can_take(routed):
            done("404", f"No client is there for the context {context[:100]!r}.")
        else:
            done("200", "")
            if info.owner is not None:
                self._inbound.withdraw(info, info.owner)
            self._inbound.offer(info, routed)


def _is_document(dest: str) -> bool:
    """A context is one word; a document has lines or braces."""
    return "\n" in dest or dest.lstrip().startswith("{")
