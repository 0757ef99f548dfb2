"""The one table of the HTTP API: its routes, what they take and give, and an example of each."""

from __future__ import annotations

from typing import Any

import msgspec

from cordboard.server.calling_api_queries import DELIVERY_STATES, DIRECTIONS, MAX_LIMIT, STATES, USUAL_LIMIT

Data = dict[str, Any]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """In the path, or behind the `?`."""

    name: str
    schema: Data
    about: str
    in_path: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A response with a JSON body."""

    about: str
    schema: str = "Error"
    """One of `openapi_schemas.SCHEMAS`."""
    example: Data | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.  `id` names its handler."""

    id: str
    method: str
    path: str
    summary: str
    about: str = ""
    parameters: tuple[Parameter, ...] = ()
    bodies: dict[str, Data] | None = None
    """Examples of the body by name; None: it takes none."""
    answers: dict[int, Answer]
    is_public: bool = False
    """Needs no credentials."""


_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_SESSION = "0d6c1f0e-7a55-4a53-9d9f-0c9d2f2c8d11"
_DOCUMENT = {"version": "1.0.0", "sections": {"main": [{"play": "say:Hello"}]}}
_QUEUED: Data = {
    "id": _ID,
    "from": "+15551230001",
    "to": "sip:bob@example.com",
    "direction": "outbound-api",
    "status": "queued",
    "state": "created",
    "type": "relay_sip_call",
    "source": "realtime_api",
    "parent_id": None,
    "peer_id": None,
    "session_id": _SESSION,
    "node_id": "00000000-0000-4000-8000-000000000001",
    "tag": None,
    "created_at": "2026-01-31T12:00:00.000Z",
    "answered_at": None,
    "ended_at": None,
    "duration": None,
    "duration_ms": None,
    "charge": 0,
    "charge_details": [],
    "end": None,
}
_BUSY: Data = {
    "reason": "busy",
    "relay_reason": "busy",
    "cause": "user_busy",
    "sentence": "sip:bob@example.com is busy (486 Busy Here): add another destination, or call again later.",
    "sip_code": 486,
    "sip_reason": "Busy Here",
}
_ENDED: Data = {
    **_QUEUED,
    "status": "ended",
    "state": "ended",
    "ended_at": "2026-01-31T12:00:01.500Z",
    "end": _BUSY,
}
_STARTED = 1769860800.0
_DEAD: Data = {
    "id": 7,
    "event_id": "9f0f1f6e-3b1a-4a66-8a3e-2f1f4f0c9a10",
    "call_id": _ID,
    "url": "https://example.com/status",
    "method": "POST",
    "state": "dead",
    "attempts": 11,
    "created_at": "2026-01-31T12:00:00.000Z",
    "next_try_at": None,
    "last_at": "2026-02-01T12:00:00.000Z",
    "last_status": 500,
    "last_error": "https://example.com/status answered 500",
}


def _page(path: str, *items: Data) -> Data:
    return {"links": {"self": path, "next": None}, "data": list(items)}


_CALL_ID = Parameter(name="id", schema={"type": "string"}, about="Id of a call.", in_path=True)
_PAGING = (
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": USUAL_LIMIT},
        about="Length of a page.",
    ),
    Parameter(name="cursor", schema={"type": "integer"}, about="As the `next` link of a page has it."),
)

UNAUTHORIZED = Answer(
    about="The project or its token is missing or wrong, or was wrong too often.",
    example={"code": "unauthorized", "message": "The project or its token is missing or wrong."},
)
_UNAVAILABLE = Answer(about="The server is stopping, or its store cannot be used.")
_BAD_QUERY = Answer(
    about="A parameter is unknown or wrong.",
    example={"code": "unknown_parameter", "message": "There is no `stat`. Did you mean `state`?"},
)
_NO_CALL = Answer(
    about="There is no such call, or it is another project's.",
    example={"code": "not_found", "message": "Call not found."},
)
_COMMAND_ANSWERS = {
    200: Answer(
        about="Done, or begun.",
        schema="CommandedCall",
        example={**_QUEUED, "url": "https://example.com/swml", "warnings": []},
    ),
    400: Answer(
        about="The command, its parameters or its document are wrong.",
        example={
            "code": "invalid_document",
            "message": "sections: `main` is required.",
            "line": 1,
            "column": 1,
            "path": "sections",
        },
    ),
    404: _NO_CALL,
    409: Answer(
        about="Not in the state in which the call is.",
        example={"code": "call_ended", "message": "The call has ended."},
    ),
    413: Answer(about="The body is longer than 1 MiB."),
    415: Answer(about="The body is not `application/json`."),
    501: Answer(about="A command that this server does not have."),
    503: _UNAVAILABLE,
}
_COMMAND_BODIES: dict[str, Data] = {
    "dial a document that is fetched": {
        "command": "dial",
        "params": {"from": "+15551230001", "to": "sip:bob@example.com", "url": "https://example.com/swml"},
    },
    "dial with the document": {
        "command": "dial",
        "params": {
            "from": "+15551230001",
            "to": "+15551230002",
            "swml": _DOCUMENT,
            "timeout": 30,
            "max_price_per_minute": 0.05,
            "status_url": "https://example.com/status",
            "status_events": ["answered", "ended"],
        },
    },
    "another document": {"command": "update", "params": {"id": _ID, "url": "https://example.com/next"}},
    "hang up": {"command": "calling.end", "id": _ID, "params": {"reason": "hangup"}},
    "play": {
        "command": "calling.play",
        "id": _ID,
        "params": {"play": [{"type": "tts", "params": {"text": "Hello"}}]},
    },
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="command",
        method="POST",
        path="/api/calling/calls",
        summary="Make a call, or command one",
        about="`dial` makes a call, `update` gives it another document, `calling.…` are RELAY methods.",
        bodies=_COMMAND_BODIES,
        answers=_COMMAND_ANSWERS,
    ),
    Operation(
        id="command_by_put",
        method="PUT",
        path="/api/calling/calls",
        summary="The same as POST",
        bodies=_COMMAND_BODIES,
        answers=_COMMAND_ANSWERS,
    ),
    Operation(
        id="list_calls",
        method="GET",
        path="/api/calling/calls",
        summary="List calls, the latest first",
        about="A page may be short, even empty, while there is a `next` one.",
        parameters=(
            Parameter(name="state", schema={"enum": list(STATES)}, about="Only calls in this state."),
            Parameter(name="direction", schema={"enum": list(DIRECTIONS)}, about="Only such calls."),
            Parameter(name="since", schema={"type": "string"}, about="Begun then (ISO 8601) or later."),
            *_PAGING,
        ),
        answers={
            200: Answer(
                about="A page.", schema="CallList", example=_page("/api/calling/calls", _QUEUED, _ENDED)
            ),
            400: _BAD_QUERY,
            503: _UNAVAILABLE,
        },
    ),
    Operation(
        id="get_call",
        method="GET",
        path="/api/calling/calls/{id}",
        summary="Get a call",
        parameters=(_CALL_ID,),
        answers={
            200: Answer(
                about="The call.",
                schema="FullCall",
                example={**_ENDED, "child_ids": [], "media": None, "variables": {}},
            ),
            404: _NO_CALL,
            503: _UNAVAILABLE,
        },
    ),
    Operation(
        id="list_events",
        method="GET",
        path="/api/calling/calls/{id}/events",
        summary="List the events of a call, the earliest first",
        parameters=(_CALL_ID, *_PAGING),
        answers={
            200: Answer(
                about="A page.",
                schema="EventList",
                example=_page(
                    f"/api/calling/calls/{_ID}/events",
                    {
                        "seq": 1,
                        "id": "9f0f1f6e-3b1a-4a66-8a3e-2f1f4f0c9a10",
                        "event_type": "calling.call.state",
                        "event_channel": f"swml:{_SESSION}",
                        "timestamp": _STARTED,
                        "params": {"call_id": _ID, "call_state": "created"},
                    },
                ),
            ),
            400: _BAD_QUERY,
            404: _NO_CALL,
            503: _UNAVAILABLE,
        },
    ),
    Operation(
        id="get_ladder",
        method="GET",
        path="/api/calling/calls/{id}/ladder",
        summary="Tell what became of a call: what `cordboard explain` prints, as data",
        about="All calls of its session, with their SIP messages, events and callbacks; times are seconds"
        " since the epoch.",
        parameters=(_CALL_ID,),
        answers={
            200: Answer(
                about="The story.",
                schema="Story",
                example={
                    "verdict": _BUSY["sentence"],
                    "legs": [
                        {
                            "call_id": _ID,
                            "direction": "outbound",
                            "from": "+15551230001",
                            "to": "sip:bob@example.com",
                            "started_at": _STARTED,
                            "answered_at": None,
                            "end": {**_BUSY, "ended_at": _STARTED + 1.5},
                            "trunks": [],
                            "keys_in_the_clear": False,
                            "statistics": None,
                            "events": [],
                            "messages": [
                                {
                                    "at": _STARTED,
                                    "sent": True,
                                    "far_end": "UDP 192.0.2.7:5060",
                                    "line": "INVITE sip:bob@example.com",
                                    "note": "audio 10000 RTP/AVP 0 8 101",
                                }
                            ],
                        }
                    ],
                    "callbacks": [],
                },
            ),
            404: _NO_CALL,
            503: _UNAVAILABLE,
        },
    ),
    Operation(
        id="list_deliveries",
        method="GET",
        path="/api/deliveries",
        summary="List callbacks, the latest first",
        about="A page may be short, even empty, while there is a `next` one.",
        parameters=(
            Parameter(name="state", schema={"enum": list(DELIVERY_STATES)}, about="Only those."),
            *_PAGING,
        ),
        answers={
            200: Answer(about="A page.", schema="DeliveryList", example=_page("/api/deliveries", _DEAD)),
            400: _BAD_QUERY,
            503: _UNAVAILABLE,
        },
    ),
    Operation(
        id="resend_delivery",
        method="POST",
        path="/api/deliveries/{id}/resend",
        summary="Send a dead callback again",
        parameters=(Parameter(name="id", schema={"type": "integer"}, about="Of a delivery.", in_path=True),),
        answers={
            200: Answer(
                about="It is on its way.",
                schema="Delivery",
                example={**_DEAD, "state": "pending", "next_try_at": "2026-02-01T13:00:00.000Z"},
            ),
            404: Answer(about="There is no such delivery, or it is another project's."),
            409: Answer(about="It is not dead."),
            503: _UNAVAILABLE,
        },
    ),
    Operation(
        id="describe",
        method="GET",
        path="/api/openapi.json",
        summary="This description",
        answers={},
        is_public=True,
    ),
)
