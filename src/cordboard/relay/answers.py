"""The JSON `result` of a `calling.*` request (relay-protocol.md 8)."""

from __future__ import annotations

from typing import Any

from cordboard.call.effects import CommandAnswered
from cordboard.relay.requests import Request


def result(
    request: Request, answered: CommandAnswered | None = None, *, node_id: str = "", call_id: str = ""
) -> dict[str, Any]:
    """`{code, message, …}`, never with a key `result`.

    `answered` None: accepted (a `Refusal` answers itself).  `node_id`: this server's, where the request has
    none; `call_id`: of the call that a `BeginRequest` makes.
    """
    return {"code": "501", "message": "Not built"}
