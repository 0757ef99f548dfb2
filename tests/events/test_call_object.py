"""What a script's web service is told of the call."""

from __future__ import annotations

from typing import Any

from cordboard.call.actions import CallInfo
from cordboard.events.call_object import call_object


def call(kind: str, **changes: Any) -> CallInfo:
    given: dict[str, Any] = {
        "call_id": "c",
        "node_id": "n",
        "segment_id": "s",
        "project_id": "p",
        "space_id": "sp",
        "session_id": "x",
        "call_state": "created",
        "direction": "inbound",
        "type": kind,
        "from_": "+1",
        "to": "+2",
    }
    return CallInfo(**(given | changes))


def test_a_phone_call_has_its_numbers_and_no_sip_data() -> None:
    shown = call_object(call("phone"))
    assert shown["from_number"] == "+1"
    assert shown["to_number"] == "+2"
    assert shown["headers"] == []
    assert not {"sip_data", "tag", "parent", "peer"} & set(shown)


def test_a_sip_call_has_its_headers_and_sip_data() -> None:
    data = {"sip_req_user": "dest", "sip_contact_params": {}}
    shown = call_object(call("sip", headers=(("X-A", "1"), ("X-A", "2")), sip_data=data))
    assert shown["headers"] == [{"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}]
    assert shown["sip_data"] == data
    assert "from_number" not in shown


def test_only_the_winner_of_a_parallel_dial_is_called_one() -> None:
    assert call_object(call("sip", dial_winner=True))["dial_winner"] == "true"
    assert "dial_winner" not in call_object(call("sip"))


def test_parent_and_peer_are_named_when_there_are_any() -> None:
    shown = call_object(
        call("sip", parent_call_id="a", parent_device_type="phone", peer_call_id="b", tag="t")
    )
    assert shown["parent"] == {"device_type": "phone", "call_id": "a", "node_id": "n"}
    assert shown["peer"] == {"call_id": "b", "node_id": "n"}
    assert shown["tag"] == "t"
