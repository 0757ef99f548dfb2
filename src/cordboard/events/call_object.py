"""The `call` object of a document request (swml.md 2.2): what a script's web service learns of the call."""

from __future__ import annotations

from typing import Any

from cordboard.call.actions import CallInfo


def call_object(info: CallInfo) -> dict[str, Any]:
    """Plain JSON data; members that do not apply to this call are left out."""
    call: dict[str, Any] = {
        "call_id": info.call_id,
        "node_id": info.node_id,
        "segment_id": info.segment_id,
        "call_state": info.call_state,
        "direction": info.direction,
        "type": info.type,
        "from": info.from_,
        "to": info.to,
        "headers": [{"name": name, "value": value} for name, value in info.headers],
        "project_id": info.project_id,
        "space_id": info.space_id,
    }
    if info.tag is not None:
        call["tag"] = info.tag
    if info.dial_winner:
        call["dial_winner"] = "true"
    _add_kind(call, info)
    _add_relations(call, info)
    return call


def _add_kind(call: dict[str, Any], info: CallInfo) -> None:
    if info.type == "phone":
        call["from_number"] = info.from_
        call["to_number"] = info.to
    elif info.type == "sip" and info.sip_data is not None:
        call["sip_data"] = info.sip_data


def _add_relations(call: dict[str, Any], info: CallInfo) -> None:
    if info.parent_call_id is not None:
        call["parent"] = parent(info)
    if info.peer_call_id is not None:
        call["peer"] = {"call_id": info.peer_call_id, "node_id": info.node_id}


def parent(info: CallInfo) -> dict[str, Any]:
    """The call that has dialled this one, which must have been dialled by one."""
    named = {"call_id": info.parent_call_id, "node_id": info.node_id}
    if info.parent_device_type is None:
        return named
    return {"device_type": info.parent_device_type, **named}
