"""What a `calling.call.tap` event says of its tap (swml.md 6.7)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cordboard.call.actions import TapTarget
from cordboard.call.addresses import without_userinfo


def tap_params(target: TapTarget) -> dict[str, Any]:
    """The members after `state`."""
    return {
        "tap": {"type": "audio", "params": {"direction": target.direction}},
        "device": tap_device(target),
    }


def tap_device(target: TapTarget) -> dict[str, Any]:
    """Where the copy goes: an address and a port for RTP, the URI (without password) for a WebSocket."""
    if not target.uri.lower().startswith("rtp://"):
        return {"type": "ws", "params": {"uri": without_userinfo(target.uri), "codec": target.codec}}
    host, port = _host_port(target.uri)
    params = {"addr": host, "port": port, "codec": target.codec, "ptime": target.ptime_ms}
    return {"type": "rtp", "params": params}


def _host_port(uri: str) -> tuple[str, int]:
    try:
        parts = urlsplit(uri)
        return parts.hostname or "", parts.port or 0
    except ValueError:
        return uri.partition("://")[2], 0
