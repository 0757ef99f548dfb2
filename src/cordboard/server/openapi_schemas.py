"""The shapes of what the HTTP API takes and gives, as JSON Schema (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from cordboard.relay.methods.reading import METHODS
from cordboard.server.calling_api_commands import OF_CLIENTS
from cordboard.server.calling_api_params import DIAL, UPDATE
from cordboard.server.calling_api_queries import DELIVERY_STATES, STATES
from cordboard.swml.properties import Kind, Property, Shape

Schema = dict[str, Any]

_PLAIN = {
    Kind.STRING: "string",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "number",
    Kind.BOOLEAN: "boolean",
    Kind.MAP: "object",
}


def ref(name: str) -> Schema:
    """One of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def of_shape(shape: Shape) -> Schema:
    """A table of parameters."""
    made = _closed({item.name: of_property(item) for item in shape.properties})
    required = [item.name for item in shape.properties if item.required]
    if shape.exactly_one:
        made["oneOf"] = [{"required": [name]} for name in shape.exactly_one]
    return {**made, "description": shape.about, **({"required": required} if required else {})}


def of_property(declared: Property) -> Schema:
    """One parameter."""
    made = _bare(declared)
    for key, value in (("minimum", declared.minimum), ("maximum", declared.maximum)):
        if value is not None:
            made[key] = value
    if declared.enum:
        made["enum"] = list(declared.enum)
    return {**made, "description": declared.about} if declared.about else made


def _bare(declared: Property) -> Schema:
    if declared.kind is Kind.UNION:
        return {"anyOf": [of_property(option) for option in declared.options]}
    if declared.kind is Kind.URL:
        return {"type": "string", "format": "uri"}
    if declared.kind is Kind.LIST:
        return (
            {"type": "array", "items": of_property(declared.items)} if declared.items else {"type": "array"}
        )
    if declared.kind is Kind.RECORD:
        required = [item.name for item in declared.record if item.required]
        return {**_closed({item.name: of_property(item) for item in declared.record}), "required": required}
    return {"type": _PLAIN[declared.kind]}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _object(properties: Schema, *, optional: tuple[str, ...] = (), about: str = "") -> Schema:
    """An answer: what it has always, and perhaps more in a later version."""
    required = [name for name in properties if name not in optional]
    made: Schema = {"type": "object", "properties": properties, "required": required}
    return {**made, "description": about} if about else made


def _maybe(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _listed(item: Schema) -> Schema:
    return _object({"links": ref("Links"), "data": {"type": "array", "items": item}})


_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_MAYBE_TIME = _maybe("string", format="date-time")

_END = _object(
    {
        "reason": _TEXT,
        "relay_reason": _TEXT,
        "cause": _TEXT,
        "sentence": {"type": "string", "description": "Who ended it or failed, and what to change."},
        "sip_code": _maybe("integer"),
        "sip_reason": _TEXT,
    }
)

_CALL: Schema = {
    "id": _TEXT,
    "from": _TEXT,
    "to": _TEXT,
    "direction": {"enum": ["inbound", "outbound-api", "outbound-dial"]},
    "status": {"enum": ["queued", "ringing", "answered", "ending", "ended"]},
    "state": {"enum": list(STATES), "description": "As events spell it: a queued call is `created`."},
    "type": _TEXT,
    "source": _maybe("string"),
    "parent_id": _maybe("string", description="The call that dialled this one."),
    "peer_id": _maybe("string", description="The call that it is connected with now."),
    "session_id": _TEXT,
    "node_id": _TEXT,
    "tag": _maybe("string"),
    "created_at": _TIME,
    "answered_at": _MAYBE_TIME,
    "ended_at": _MAYBE_TIME,
    "duration": _maybe("integer", description="Seconds since it was answered."),
    "duration_ms": _maybe("integer"),
    "charge": {"type": "number"},
    "charge_details": {"type": "array"},
    "end": {"anyOf": [_END, {"type": "null"}]},
}

_COMMANDS = sorted(set(METHODS) - OF_CLIENTS)

SCHEMAS: dict[str, Schema] = {
    "Call": _object(_CALL),
    "FullCall": _object(
        {
            **_CALL,
            "child_ids": {"type": "array", "items": _TEXT, "description": "Calls that it dialled."},
            "media": _maybe("object", description="Packets, loss, jitter; known when the call is over."),
            "variables": {"type": "object", "description": "Of its script, when it is over."},
        }
    ),
    "CommandedCall": _object(
        {
            **_CALL,
            "url": _maybe("string"),
            "warnings": {"type": "array", "items": _TEXT},
            "result": _object(
                {"code": _TEXT, "message": _TEXT, "control_id": _TEXT, "url": _TEXT},
                optional=("control_id", "url"),
                about="Of a `calling.` command: what a RELAY client gets.",
            ),
        },
        optional=("url", "warnings", "result"),
        about="The call that was made or commanded, as it is then.",
    ),
    "CallList": _listed(ref("Call")),
    "Links": _object({"self": _TEXT, "next": _maybe("string", description="The page that follows.")}),
    "Event": _object(
        {
            "seq": _WHOLE,
            "id": _TEXT,
            "event_type": _TEXT,
            "timestamp": {"type": "number"},
            "params": {"type": "object"},
        }
    ),
    "EventList": _listed(ref("Event")),
    "Story": _object(
        {
            "verdict": {"type": "string", "description": "What became of the call, in one sentence."},
            "legs": {"type": "array", "items": ref("Leg")},
            "callbacks": {"type": "array", "items": {"type": "object"}},
        }
    ),
    "Leg": _object(
        {
            "call_id": _TEXT,
            "direction": {"enum": ["inbound", "outbound"]},
            "from": _TEXT,
            "to": _TEXT,
            "started_at": {"type": "number"},
            "answered_at": _maybe("number"),
            "trunks": {
                "type": "array",
                "items": _TEXT,
                "description": "Where it came from or was given to, in the order of trying.",
            },
            "keys_in_the_clear": {
                "type": "boolean",
                "description": "Keys of its media went both ways without TLS.",
            },
            "end": _maybe("object"),
            "statistics": _maybe("object"),
            "events": {"type": "array", "items": {"type": "object"}},
            "messages": {"type": "array", "items": ref("Message")},
        }
    ),
    "Message": _object(
        {
            "at": {"type": "number"},
            "sent": {"type": "boolean", "description": "By this server."},
            "far_end": _TEXT,
            "line": {"type": "string", "description": "Such as `180 Ringing [INVITE]`."},
            "note": _TEXT,
        },
        about="One SIP message.",
    ),
    "Delivery": _object(
        {
            "id": _WHOLE,
            "event_id": _TEXT,
            "call_id": _TEXT,
            "url": {"type": "string", "description": "Without user and password."},
            "method": _TEXT,
            "state": {"enum": list(DELIVERY_STATES)},
            "attempts": _WHOLE,
            "created_at": _TIME,
            "next_try_at": _MAYBE_TIME,
            "last_at": _MAYBE_TIME,
            "last_status": _maybe("integer"),
            "last_error": _TEXT,
        }
    ),
    "DeliveryList": _listed(ref("Delivery")),
    "Error": _object(
        {
            "code": {"type": "string", "description": "For programs."},
            "message": {"type": "string", "description": "What is wrong, in one sentence."},
            "path": {"type": "string", "description": "Where it is, in the body or in the document."},
            "line": _WHOLE,
            "column": _WHOLE,
            "found": _TEXT,
            "allowed": _TEXT,
            "nearest": {"type": "string", "description": "The known name that is most like the one found."},
        },
        optional=("path", "line", "column", "found", "allowed", "nearest"),
    ),
    "Command": {"oneOf": [ref("DialCommand"), ref("UpdateCommand"), ref("CallCommand")]},
    "DialCommand": {
        **_closed({"command": {"const": "dial"}, "params": of_shape(DIAL)}),
        "required": ["command", "params"],
    },
    "UpdateCommand": {
        **_closed({"command": {"const": "update"}, "id": _TEXT, "params": of_shape(UPDATE)}),
        "required": ["command", "params"],
    },
    "CallCommand": {
        **_closed({"command": {"enum": _COMMANDS}, "id": _TEXT, "params": {"type": "object"}}),
        "required": ["command", "id"],
        "description": "A RELAY method with its params; `id` is its `call_id`, `control_id` may be left out.",
    },
}
