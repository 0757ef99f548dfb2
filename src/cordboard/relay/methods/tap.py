"""`calling.tap` (relay-protocol.md 8.8)."""

from __future__ import annotations

import re
from collections.abc import Callable

from cordboard.call.actions import Tap, TapTarget
from cordboard.call.commands import Command
from cordboard.relay.methods.method import Reader, on_operation
from cordboard.relay.methods.steering import stop
from cordboard.relay.params import Params

RATES = {"PCMU": (8_000,), "PCMA": (8_000,), "OPUS": (48_000, 8_000)}
"""By codec: the clock rates that may be asked for; the first is the one of its RTP."""
DIRECTIONS = ("listen", "speak", "both")
_DEFAULT_PTIME = 20
_HOST = re.compile(r"[0-9A-Fa-f:.]{2,45}|[A-Za-z0-9.\-]{1,253}")
_WEBSOCKET = re.compile(r"wss?://[^\s\x00-\x1f\x7f]{1,2048}", re.IGNORECASE)


def _tap(given: Params, control_id: str) -> Command:
    wanted, device = given.needed("tap"), given.needed("device")
    wanted.choice("type", ("audio",), "audio")
    direction = wanted.within_or_empty("params").choice("direction", DIRECTIONS, "speak")
    kind = device.choice("type", _TARGETS)
    if not kind:
        raise device.error(f"`{device.place('type')}` is required: one of {', '.join(_TARGETS)}.")
    target = _TARGETS[kind](device.needed("params"), direction)
    return Tap(control_id=control_id, target=target, status_url=given.url("status_url"))


def _websocket(params: Params, direction: str) -> TapTarget:
    params.required("uri")
    uri = params.matching("uri", _WEBSOCKET, "a WebSocket URL (wss://…)") or ""
    return TapTarget(uri=uri, direction=direction, codec=_codec(params))


def _rtp(params: Params, direction: str) -> TapTarget:
    params.required("addr")
    host = params.matching("addr", _HOST, "an IP address or a host name") or ""
    port = params.whole("port", 1, 65_535)
    if port is None:
        raise params.error(f"`{params.place('port')}` is required: a whole number from 1 to 65535.")
    shown_host = f"[{host}]" if ":" in host else host
    uri = f"rtp://{shown_host}:{port}"
    return TapTarget(uri=uri, direction=direction, codec=_codec(params), ptime_ms=_ptime(params))


def _codec(params: Params) -> str:
    codec = params.choice("codec", RATES, "PCMU")
    if params.number("rate") not in (None, *RATES[codec]):
        raise params.wrong("rate", f"{RATES[codec][0]}, the rate of {codec}")
    return codec


def _ptime(params: Params) -> int:
    ptime = params.whole("ptime", 10, 120)
    if ptime is not None and ptime % 10:
        raise params.wrong("ptime", "a multiple of 10 from 10 to 120")
    return ptime or _DEFAULT_PTIME


_TARGETS: dict[str, Callable[[Params, str], TapTarget]] = {"ws": _websocket, "rtp": _rtp}

METHODS: dict[str, Reader] = {"tap": on_operation(_tap), "tap.stop": stop("tap")}
