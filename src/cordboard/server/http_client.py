"""The HTTP client of the server: every connection passes the outbound policy, nothing is followed blindly.

The policy is asked where a name becomes addresses, and once more where a socket is made for an address, so
that what is connected to is what was checked, also for addresses in URLs that are never looked up.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from cordboard.server.outbound_policy import OutboundPolicy, PolicyError
from cordboard.server.tls_reasons import certificate_reason
from cordboard.webhooks.payloads import HttpRequest
from cordboard.webhooks.target import Target, UrlError, redirected, shown

USER_AGENT = "Cordboard"
MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REPEATING = frozenset({307, 308})
_SKIPPED = frozenset({hdrs.ACCEPT_ENCODING})
DNS_CACHE = 10
"""Seconds for which checked addresses of a name are used again."""


class PolicyResolver(AbstractResolver):
    """Gives aiohttp only addresses that the policy allows."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._policy.resolve(host, port)
        return [_resolved(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Nothing is held."""


def _resolved(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )


def open_session(policy: OutboundPolicy, *, connections: int = 0) -> aiohttp.ClientSession:
    """A session without cookies, proxies or decompression.  `connections`: at once, 0 = no limit."""

    def checked_socket(address_info: Any) -> socket.socket:
        family, kind, proto, _, address = address_info
        verdict = policy.check_address(str(address[0]))
        if not verdict.allowed:
            raise PolicyError(verdict.sentence)
        return socket.socket(family=family, type=kind, proto=proto)

    connector = aiohttp.TCPConnector(
        resolver=PolicyResolver(policy),
        socket_factory=checked_socket,
        ttl_dns_cache=DNS_CACHE,
        limit=connections,
        keepalive_timeout=30.0,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        auto_decompress=False,
        trust_env=False,
    )


async def send(
    session: aiohttp.ClientSession, request: HttpRequest, limits: aiohttp.ClientTimeout
) -> aiohttp.ClientResponse:
    """The answer's head, whatever its status; redirects are answers too.  Raises what `failure` explains."""
    return await session.request(
        request.method,
        _address(request.target.url),
        data=request.body or None,
        headers=request.headers,
        allow_redirects=False,
        timeout=limits,
        skip_auto_headers=_SKIPPED,
    )


@lru_cache(maxsize=512)
def _address(url: str) -> URL:
    """Also keeps what the URL object finds out about itself: its host, port and origin."""
    return URL(url, encoded=True)


async def follow(
    session: aiohttp.ClientSession,
    method: str,
    target: Target,
    body: bytes,
    *,
    make: Callable[[str, Target, bytes], HttpRequest],
    limits: aiohttp.ClientTimeout,
) -> aiohttp.ClientResponse:
    """Like `send`, through at most `MAX_REDIRECTS` redirects; each is a new request that `make` makes.

    307 and 308 repeat the request, the others turn it into a GET.  Also raises `UrlError`.
    """
    for _ in range(MAX_REDIRECTS + 1):
        response = await send(session, make(method, target, body), limits)
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or location is None:
            return response
        response.release()
        target = redirected(target, location)
        if response.status not in _REPEATING:
            method, body = "GET", b""
    raise UrlError(f"More than {MAX_REDIRECTS} redirects, the last one to {shown(target.url)}.")


async def read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body; None when it is longer than `limit` bytes, which is noticed without reading on."""
    if response.content_length is not None and response.content_length > limit:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


FAILURES = (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError)
"""What `send` and the reading of a body may raise.  (TimeoutError is an OSError; named for the reader.)"""


def failure(error: BaseException, url: str) -> str:
    """One sentence for whatever went wrong on the way to `url`."""
    if isinstance(error, UrlError):
        return str(error)
    reason = _reason(error)
    return reason if isinstance(_root(error), PolicyError) else f"{shown(url)}: {reason}."


def _reason(error: BaseException) -> str:
    root = _root(error)
    if isinstance(root, PolicyError):
        return str(root)
    if isinstance(root, ssl.SSLCertVerificationError):
        return f"{certificate_reason(root)}; it must be good for what this machine trusts"
    if isinstance(root, ssl.SSLError):
        return f"TLS failed: {root.reason or root}"
    if isinstance(root, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return "the connection was closed before an answer came"
    if isinstance(root, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(root, aiohttp.InvalidURL):
        return "not a URL that can be requested"
    if isinstance(root, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(root, aiohttp.ClientResponseError):
        return "what it answered is not HTTP"
    if isinstance(root, OSError):
        return _of_system(root)
    return str(root) or type(root).__name__


def _of_system(error: OSError) -> str:
    """The system's words: event loops put their own into `strerror`."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def _root(error: BaseException) -> BaseException:
    """The error inside aiohttp's wrapping, a refusal by the policy before all others."""
    inner = getattr(error, "os_error", None)
    found = inner if isinstance(inner, OSError) else error
    if isinstance(found, PolicyError):
        return found
    cause: BaseException | None = error
    for _ in range(5):
        cause = cause and (cause.__cause__ or cause.__context__)
        if isinstance(cause, PolicyError):
            return cause
    return found
