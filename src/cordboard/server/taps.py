"""From a call's `StartTap` to the worker: addresses are looked up and checked here, not there."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from cordboard.call.actions import TapTarget
from cordboard.call.effects import StartTap, StopTap
from cordboard.call.facts import TapEnded, TapOpened
from cordboard.media.protocol import BeginTap, FinishTap, TapBegun, TapClosed
from cordboard.server.media_engine import MediaEngine
from cordboard.server.outbound_policy import OutboundPolicy, PolicyError
from cordboard.webhooks.target import UrlError, parse_target, shown

_NO_MEDIA = "The call has no media that could be tapped."
_CODECS = ("PCMU", "PCMA", "OPUS")
_AS_HTTP = {"ws": "http", "wss": "https"}


class TapError(Exception):
    """The tap cannot begin; `str()` is a sentence."""


class Taps:
    """`insecure`: `ws://` to loopback addresses is allowed."""

    def __init__(
        self,
        policy: OutboundPolicy,
        media: MediaEngine,
        post: Callable[[str, TapOpened | TapEnded], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        *,
        insecure: bool,
    ) -> None:
        self._policy = policy
        self._media = media
        self._post = post
        self._spawn = spawn
        self._insecure = insecure
        self._looking_up: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._open: set[tuple[str, str]] = set()
        """(call id, tap id) of those that a worker has been told of."""

    def __len__(self) -> int:
        return len(self._looking_up) + len(self._open)

    def start(self, call_id: str, effect: StartTap) -> None:
        key = (call_id, effect.control_id)
        self._looking_up[key] = self._spawn(self._begin(call_id, effect), call_id)

    def stop(self, call_id: str, effect: StopTap) -> None:
        task = self._looking_up.pop((call_id, effect.control_id), None)
        if task is not None:
            task.cancel()
            self._post(call_id, TapEnded(control_id=effect.control_id))
        else:
            self._media.send(FinishTap(endpoint_id=call_id, tap_id=effect.control_id))

    def begun(self, event: TapBegun) -> None:
        fact = TapOpened(control_id=event.tap_id, address=event.address, port=event.port)
        self._post(event.endpoint_id, fact)

    def closed(self, event: TapClosed) -> None:
        self._open.discard((event.endpoint_id, event.tap_id))
        self._post(event.endpoint_id, TapEnded(control_id=event.tap_id, sentence=event.sentence))

    def lost(self, call_ids: list[str], sentence: str) -> None:
        """Their worker died, and says nothing any more."""
        gone = set(call_ids)
        for call_id, tap_id in [key for key in self._open if key[0] in gone]:
            ended = f"{sentence[:1].upper()}{sentence[1:]}."
            self.closed(TapClosed(endpoint_id=call_id, tap_id=tap_id, sentence=ended))

    async def _begin(self, call_id: str, effect: StartTap) -> None:
        try:
            command = await self._order(call_id, effect.control_id, effect.target)
            problem = "" if self._media.is_open(call_id) else _NO_MEDIA
        except TapError as error:
            problem = str(error)
        self._looking_up.pop((call_id, effect.control_id), None)
        if problem:
            self._post(call_id, TapEnded(control_id=effect.control_id, sentence=problem))
        else:
            self._open.add((call_id, effect.control_id))
            self._media.send(command)

    async def _order(self, call_id: str, tap_id: str, target: TapTarget) -> BeginTap:
        if target.codec.upper() not in _CODECS:
            raise TapError(f"A tap cannot send {target.codec!r}; {', '.join(_CODECS)} can be sent.")
        scheme, _, rest = target.uri.strip().partition("://")
        scheme = scheme.lower()
        if scheme == "rtp":
            host, port = _rtp_target(target.uri)
            where = BeginTap(endpoint_id=call_id, tap_id=tap_id, scheme=scheme, address="", port=port)
        elif scheme in _AS_HTTP:
            where, host = _websocket_target(call_id, tap_id, scheme, rest)
        else:
            raise TapError(f"{shown(target.uri)!r} is neither an rtp:// nor a ws:// or wss:// URI.")
        address = await self._address(host, where.port)
        if scheme == "ws" and not (self._insecure and ipaddress.ip_address(address).is_loopback):
            raise TapError(
                f"{shown(target.uri)} is refused: ws:// sends the audio in the clear; use wss://"
                " (only the development profile allows ws://, to loopback addresses)."
            )
        return _with(where, address, target)

    async def _address(self, host: str, port: int) -> str:
        """The first that the policy allows.  Raises `TapError`."""
        try:
            return (await self._policy.resolve(host, port))[0]
        except PolicyError as error:
            raise TapError(str(error)) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise TapError(f"The tap's host {host} was not found: {reason}.") from None


def _rtp_target(uri: str) -> tuple[str, int]:
    try:
        parts = urlsplit(uri.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise TapError(f"{shown(uri)!r} is not of the form rtp://address:port.")
    return host, port


def _websocket_target(call_id: str, tap_id: str, scheme: str, rest: str) -> tuple[BeginTap, str]:
    """The order, still without the address, and the host to look up."""
    try:
        target = parse_target(f"{_AS_HTTP[scheme]}://{rest}")
    except UrlError as error:
        raise TapError(str(error).replace("http", "ws")) from None
    _, _, behind = target.url.partition("://")
    host, slash, path = behind.partition("/")
    order = BeginTap(
        endpoint_id=call_id,
        tap_id=tap_id,
        scheme=scheme,
        address="",
        port=target.port,
        host=host,
        path=slash + path or "/",
        authorization=target.authorization or "",
    )
    return order, target.host


def _with(order: BeginTap, address: str, target: TapTarget) -> BeginTap:
    return BeginTap(
        endpoint_id=order.endpoint_id,
        tap_id=order.tap_id,
        scheme=order.scheme,
        address=address,
        port=order.port,
        host=order.host,
        path=order.path,
        authorization=order.authorization,
        direction=target.direction,
        codec=target.codec.upper(),
        ptime_ms=target.ptime_ms,
    )
