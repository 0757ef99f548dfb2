"""The JSON `result` of a `calling.*` request (relay-protocol.md 8)."""

from __future__ import annotations

from typing import Any

from cordboard.call.actions import Tap
from cordboard.call.effects import CommandAnswered
from cordboard.relay.methods.tap import RATES
from cordboard.relay.requests import BeginRequest, CallCommand, Refusal, Request, TransferRequest

ACCEPTED = "200"
MESSAGES = {
    "calling.answer": "Answered",
    "calling.begin": "Dialing",
    "calling.collect": "Collecting",
    "calling.connect": "Connecting",
    "calling.detect": "Detecting",
    "calling.dial": "Dialing",
    "calling.disconnect": "Disconnecting",
    "calling.end": "Ending",
    "calling.pass": "Passed",
    "calling.play": "Playing",
    "calling.play_and_collect": "Playing and collecting",
    "calling.record": "Recording",
    "calling.refer": "Referring",
    "calling.tap": "Tapping",
}
"""What is said of those that went well; of all others `OK`."""
BARE = frozenset("calling." + name for name in ("answer", "connect", "disconnect", "end", "refer"))
"""Whose result names no call."""


def result(
    request: Request, answered: CommandAnswered | None = None, *, node_id: str = "", call_id: str = ""
) -> dict[str, Any]:
    """`{code, message, …}`, never with a key `result`.

    `answered` None: accepted (a `Refusal` answers itself).  `node_id`: this server's, where the request has
    none; `call_id`: of the call that a `BeginRequest` makes.
    """
    if isinstance(request, Refusal):
        return {"code": request.code, "message": request.message}
    code = answered.code if answered is not None else ACCEPTED
    if not code.startswith("2"):
        return {"code": code, "message": answered.message if answered is not None else ""}
    said: dict[str, Any] = {"code": code, "message": MESSAGES.get(request.method, "OK")}
    if isinstance(request, BeginRequest):
        return said | {"call_id": call_id, "node_id": request.node_id or node_id}
    if isinstance(request, TransferRequest):
        return said | {"call_id": request.call_id, "node_id": request.node_id or node_id}
    if isinstance(request, CallCommand):
        return said | _of_command(request, answered, node_id)
    return said


def _of_command(request: CallCommand, answered: CommandAnswered | None, node_id: str) -> dict[str, Any]:
    if request.method in BARE:
        return {}
    names: dict[str, Any] = {"call_id": request.call_id, "node_id": request.node_id or node_id}
    if request.control_id is not None:
        names["control_id"] = request.control_id
    if answered is not None and answered.url:
        names["url"] = answered.url
    if answered is not None and answered.source_address and isinstance(request.command, Tap):
        names["source_device"] = _source(answered, request.command)
    return names


def _source(answered: CommandAnswered, tap: Tap) -> dict[str, Any]:
    """Where the RTP of a tap comes from."""
    params = {
        "addr": answered.source_address,
        "port": answered.source_port,
        "codec": tap.target.codec,
        "ptime": tap.target.ptime_ms,
        "rate": RATES[tap.target.codec][0],
    }
    return {"type": "rtp", "params": params}
