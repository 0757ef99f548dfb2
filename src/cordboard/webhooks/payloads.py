"""From an event's body to the HTTP request that carries it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from cordboard.webhooks.signature import signature_headers
from cordboard.webhooks.target import Target, parse_target

EVENT_ID_HEADER = "X-Cordboard-Event-Id"
MAX_LEAVES = 1000


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that a client needs to send it."""

    method: str
    target: Target
    headers: dict[str, str]
    body: bytes


def callback_request(url: str, method: str, body: bytes, *, event_id: str, key: bytes) -> HttpRequest:
    """A signed callback.  POST carries the JSON body; GET carries it flattened in the query.

    Raises `UrlError` when the URL cannot be requested.
    """
    if method.upper() == "GET":
        target = parse_target(with_query(url, msgspec.json.decode(body)))
        return signed_request("GET", target, b"", key=key, headers={EVENT_ID_HEADER: event_id})
    return signed_request("POST", parse_target(url), body, key=key, headers={EVENT_ID_HEADER: event_id})


def signed_request(
    method: str, target: Target, body: bytes, *, key: bytes, headers: dict[str, str] | None = None
) -> HttpRequest:
    """Signature, Basic credentials and content type added to `headers`."""
    complete = signature_headers(key, target.url, body)
    if body:
        complete["Content-Type"] = "application/json"
    if target.authorization is not None:
        complete["Authorization"] = target.authorization
    if headers:
        complete.update(headers)
    return HttpRequest(method=method, target=target, headers=complete, body=body)


def with_query(url: str, body: dict[str, Any]) -> str:
    """The URL with the leaves of the body as query parameters: `params.state=ended`, `params.list.0=x`."""
    address, hash_sign, fragment = url.partition("#")
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in flattened(body))
    return f"{address}{'&' if '?' in address else '?'}{pairs}{hash_sign}{fragment}"


def flattened(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """(dotted name, text) of each leaf.  Numbers as in JSON, `true`, `false`; null is empty."""
    leaves: list[tuple[str, str]] = []
    waiting: list[tuple[str, Any]] = [(prefix, value)]
    while waiting and len(leaves) < MAX_LEAVES:
        name, item = waiting.pop()
        children = _children(item)
        if children is None:
            leaves.append((name, _text(item)))
        else:
            waiting += [(f"{name}.{key}" if name else key, child) for key, child in reversed(children)]
    return leaves


def _children(item: Any) -> list[tuple[str, Any]] | None:
    if isinstance(item, dict):
        return [(str(key), child) for key, child in item.items()]
    if isinstance(item, list | tuple):
        return [(str(index), child) for index, child in enumerate(item)]
    return None


def _text(leaf: Any) -> str:
    if leaf is None:
        return ""
    return leaf if isinstance(leaf, str) else msgspec.json.encode(leaf).decode()
