"""The table of `connect`: its properties, and those of one destination (swml.md 7.1, 7.3)."""

from __future__ import annotations

from cordboard.swml.playable import SAY
from cordboard.swml.properties import (
    Kind,
    Property,
    Shape,
    choice,
    flag,
    integer,
    listing,
    number,
    of_kind,
    record,
    text,
    union,
    url,
)

_SIP = frozenset({"sip", "address"})
_DIALLED = frozenset({"sip", "phone", "address"})
_STREAM = frozenset({"stream"})
_MAX_SESSION = 86_400

HEADERS = listing(
    "headers",
    record("header", text("name", required=True), text("value", required=True)),
    applies_to=_SIP,
    about="X- headers of the INVITE, as a list of `name` and `value`.",
)
_STATE = choice("event", "created", "ringing", "answered", "ended")
_EVENTS = listing("call_state_events", _STATE, about="Which states are posted; only `ended` by default.")
SESSION_TIMEOUT = integer(
    "session_timeout",
    1,
    _MAX_SESSION,
    applies_to=_SIP,
    lenient=True,
    about="Session-Expires in seconds; less than 90 counts as 90.",
)

SHARED: tuple[Property, ...] = (
    text("from", about="Caller's number, name or SIP URI; the caller's own by default."),
    text("from_name", applies_to=_SIP, about="Display name, at most 70 characters."),
    HEADERS,
    text("codecs", applies_to=_SIP, about="Codecs in order of preference: `OPUS@48000h@20i, PCMU`."),
    flag("webrtc_media", applies_to=_SIP, about="WebRTC media; not supported by this server yet."),
    SESSION_TIMEOUT,
    choice(
        "encryption",
        "mandatory",
        "optional",
        "forbidden",
        applies_to=_SIP,
        about="SRTP with keys in SDP; `optional` by default.",
    ),
    text("username", applies_to=_SIP, about="User of the digest authentication."),
    text("password", applies_to=_SIP, about="Password of the digest authentication."),
    integer("timeout", 1, about="Seconds that it rings, at most 600; 60 by default."),
    of_kind(
        "confirm",
        Kind.CONFIRM,
        applies_to=_DIALLED,
        about="What the far end must stay through before it is connected: a URL, or steps.",
    ),
    integer("confirm_timeout", 1, applies_to=_DIALLED, about="Seconds for it; `timeout` by default."),
    url("call_state_url", applies_to=_DIALLED, about="Where calling.call.state events are posted."),
    _EVENTS,
    url("status_url", about="Where calling.call.connect events are posted."),
    choice("status_url_method", "GET", "POST", applies_to=_STREAM, about="Method for a stream's events."),
    text("name", applies_to=_STREAM, about="Name of a stream."),
    text("codec", applies_to=_STREAM, about="Codec of a stream."),
    flag("realtime", applies_to=_STREAM, about="Keep a stream's delay short."),
    text("authorization_bearer_token", applies_to=_STREAM, about="Credentials of a stream."),
    of_kind(
        "custom_parameters",
        Kind.MAP,
        items=text("value"),
        applies_to=_STREAM,
        about="Passed in a stream's start message.",
    ),
)
"""Properties of a destination that may stand at the top level too."""

STRATEGIES = ("to", "serial", "parallel", "serial_parallel")

_TO = "A SIP URI (sip:user@host) or a phone number in E.164 (+15551234567)."
DESTINATION = Shape(
    method="connect",
    properties=(
        text("to", required=True, about=_TO),
        *SHARED,
        listing("status_events", _STATE, about="Another name of `call_state_events`."),
    ),
)
"""One destination of a list."""

OF_THE_STEP = ("answer_on_bridge", "max_duration", "result", "ringback", "transfer_after_bridge")
"""Properties that a single destination has no say in."""
_MEMBER = record("destination", *DESTINATION.properties, main="to", outside=OF_THE_STEP)

RINGBACK = union(
    "ringback",
    text("ringback"),
    listing("ringback", text("item")),
    record(
        "ringback",
        text("url"),
        listing("urls", text("item")),
        number("volume", -40, 40, default=0),
        integer("loop", 0),
        flag("auto_answer"),
        *SAY,
        url("status_url"),
    ),
    about="What the caller hears while it rings: play URIs, repeated.",
)

SHAPE = Shape(
    method="connect",
    about="Dials one or several far ends and connects the caller with the first that answers.",
    main="to",
    exactly_one=STRATEGIES,
    properties=(
        text("to", about=_TO),
        listing("serial", _MEMBER, lazy=True, about="Destinations that are tried one after the other."),
        listing("parallel", _MEMBER, lazy=True, about="Destinations that ring at once."),
        listing(
            "serial_parallel",
            listing("group", _MEMBER, lazy=True),
            lazy=True,
            about="Groups that are tried one after the other; the members of each ring at once.",
        ),
        *SHARED,
        RINGBACK,
        of_kind(
            "result",
            Kind.RESULT,
            default="connect_result",
            about="What to do with the outcome: a switch (`case`), or a list of `when` and `then`.",
        ),
        integer("max_duration", 1, about="Seconds after which a connected far end is hung up; 14400."),
        flag("answer_on_bridge", about="Answer the caller only when the far end has; false."),
        of_kind(
            "transfer_after_bridge",
            Kind.DOCUMENT,
            about="Where the caller goes when the far end has hung up.",
        ),
    ),
    on_failure=(
        ("connect_result", "failed"),
        ("connect_failed_reason", "error"),
        ("return_value", "failed"),
    ),
)
