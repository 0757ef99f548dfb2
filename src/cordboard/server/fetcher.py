"""Fetches SWML documents (swml.md 2): posts what the call is, expects the document back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp

from cordboard.call.actions import CallInfo, DocumentFailed, DocumentFetched, FetchDocument
from cordboard.server.audio_fetcher import AudioFetcher
from cordboard.server.http_client import FAILURES, failure, follow, open_session, read_at_most
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.requester import Requester
from cordboard.webhooks.documents import document_body
from cordboard.webhooks.payloads import HttpRequest, signed_request
from cordboard.webhooks.target import Target, parse_target, shown

__all__ = ["AudioFetcher", "DocumentFetcher"]

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 15.0
MAX_DOCUMENT = 1 << 20
_ACCEPT = "application/json, application/yaml, text/x-yaml, */*;q=0.5"


class DocumentFetcher:
    """Signed, with Basic credentials from the URL, through redirects, within the outbound policy."""

    def __init__(
        self, policy: OutboundPolicy, *, signing_key: str, total_timeout: float = TOTAL_TIMEOUT
    ) -> None:
        self._policy = policy
        self._key = signing_key.encode()
        self._total = total_timeout
        self._limits = aiohttp.ClientTimeout(total=total_timeout, sock_connect=CONNECT_TIMEOUT)
        self._session: aiohttp.ClientSession | None = None
        self.requester = Requester(policy)
        """For the `request` steps of the documents that this one fetches."""

    async def fetch(
        self, request: FetchDocument, info: CallInfo, envs: Mapping[str, Any]
    ) -> DocumentFetched | DocumentFailed:
        """The document, or the fallback's; never raises but on cancellation."""
        try:
            body = document_body(info, vars=request.vars, envs=dict(envs), params=request.params)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return DocumentFailed(url=request.url, sentence=f"The variables cannot be sent: {error}.")
        first = await self._fetch_one(request.url, body)
        if isinstance(first, DocumentFetched) or request.fallback_url is None:
            return first
        _log.warning("document: %s Trying %s.", first.sentence, shown(request.fallback_url))
        second = await self._fetch_one(request.fallback_url, body)
        if isinstance(second, DocumentFetched):
            return second
        both = f"{first.sentence} The fallback failed too: {second.sentence}"
        return DocumentFailed(url=request.url, sentence=both)

    async def close(self) -> None:
        """Call once no fetch and no request is under way any more."""
        await self.requester.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _fetch_one(self, url: str, body: bytes) -> DocumentFetched | DocumentFailed:
        try:
            async with asyncio.timeout(self._total):
                return await self._post(url, body)
        except FAILURES as error:
            return DocumentFailed(url=url, sentence=failure(error, url))

    async def _post(self, url: str, body: bytes) -> DocumentFetched | DocumentFailed:
        if self._session is None:
            self._session = open_session(self._policy)
        response = await follow(
            self._session, "POST", parse_target(url), body, make=self._signed, limits=self._limits
        )
        async with response:
            return await _read(response, url)

    def _signed(self, method: str, target: Target, body: bytes) -> HttpRequest:
        return signed_request(method, target, body, key=self._key, headers={"Accept": _ACCEPT})


async def _read(response: aiohttp.ClientResponse, url: str) -> DocumentFetched | DocumentFailed:
    problem = _problem(response)
    if problem is None:
        body = await read_at_most(response, MAX_DOCUMENT)
        if body is not None:
            return DocumentFetched(url=url, body=body)
        problem = f"sent more than {MAX_DOCUMENT >> 20} MiB, which no document may have"
    response.close()
    return DocumentFailed(url=url, sentence=f"{shown(url)} {problem}.")


def _problem(response: aiohttp.ClientResponse) -> str | None:
    if not 200 <= response.status < 300:
        return f"answered {response.status}, but a document comes with a 2xx status"
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("", "identity"):
        return f"sent a document in the encoding {encoding[:20]!r}, for which it was not asked"
    return None
