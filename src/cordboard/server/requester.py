"""Carries out the HTTP requests of scripts (swml.md 4.2): unsigned, within the outbound policy."""

from __future__ import annotations

import asyncio
import logging

import aiohttp

from cordboard.call.actions import RequestAnswered, SendRequest
from cordboard.server.http_client import FAILURES, failure, follow, open_session
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.webhooks.payloads import HttpRequest
from cordboard.webhooks.target import Target, parse_target, shown

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
TOTAL_TIMEOUT = 60.0
"""Seconds where a script asks for no limit of its own."""
MAX_BODY = 64 * 1024
"""Bytes of an answer that are kept; the rest is not read."""
MAX_HEADERS = 64
MAX_REQUESTS = 200
"""At once, of all calls: the others wait, within their own time."""
_PRIVATE = frozenset({"authorization"})


class Requester:
    """One answer to each request, whatever happens."""

    def __init__(self, policy: OutboundPolicy, *, total_timeout: float = TOTAL_TIMEOUT) -> None:
        self._policy = policy
        self._total = total_timeout
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: SendRequest) -> RequestAnswered:
        """The answer, or a sentence; never raises but on cancellation."""
        try:
            async with asyncio.timeout(request.timeout or self._total):
                return await self._send(request)
        except FAILURES as error:
            sentence = failure(error, request.url)
            _log.info("request: %s", sentence)
            return RequestAnswered(url=shown(request.url), sentence=sentence)

    async def close(self) -> None:
        """Call once no request is under way any more."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, request: SendRequest) -> RequestAnswered:
        if self._session is None:
            self._session = open_session(self._policy, connections=MAX_REQUESTS)
        first = parse_target(request.url)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=request.connect_timeout or CONNECT_TIMEOUT)

        def make(method: str, target: Target, body: bytes) -> HttpRequest:
            headers = headers_for(request, first, target, body)
            return HttpRequest(method=method, target=target, headers=headers, body=body)

        response = await follow(self._session, request.method, first, request.body, make=make, limits=limits)
        async with response:
            return await _answer(response, first)


def headers_for(request: SendRequest, first: Target, target: Target, body: bytes) -> dict[str, str]:
    """The script's own headers; credentials go to the first origin only, a content type with a body only."""
    headers: dict[str, str] = {}
    if target.authorization is not None:
        headers["Authorization"] = target.authorization
    for name, value in request.headers:
        lower = name.lower()
        if lower in _PRIVATE and target.origin != first.origin:
            continue
        if lower == "content-type" and request.body and not body:
            continue
        headers[_SPELLING.get(lower, name)] = value
    return headers


_SPELLING = {"authorization": "Authorization"}
"""So that a header of the script replaces what the URL gave."""


async def _answer(response: aiohttp.ClientResponse, first: Target) -> RequestAnswered:
    headers = tuple((name.lower(), _readable(value)) for name, value in response.headers.items())
    body, is_whole = await _first_bytes(response, MAX_BODY)
    if not is_whole:
        response.close()
    return RequestAnswered(url=first.url, status=response.status, headers=headers[:MAX_HEADERS], body=body)


def _readable(value: str) -> str:
    """Bytes that were no UTF-8 stand as lone surrogates, which nobody can store."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


async def _first_bytes(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """At most `limit` bytes of the body, and whether that is all of it."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > limit:
            return b"".join(parts)[:limit], False
    return b"".join(parts), True
