"""The request for a SWML document (swml.md 2.2)."""

from __future__ import annotations

from typing import Any

from cordboard.call.actions import CallInfo
from cordboard.events.call_object import call_object
from cordboard.events.encoding import encode


def document_body(
    info: CallInfo, *, vars: dict[str, Any], envs: dict[str, Any], params: dict[str, Any]
) -> bytes:
    """JSON: what the call is, and the script's state."""
    return encode({"call": call_object(info), "vars": vars, "envs": envs, "params": params})
