"""The tables of the other methods that this server does not run."""

from __future__ import annotations

from cordboard.swml.properties import (
    Kind,
    Shape,
    choice,
    flag,
    integer,
    listing,
    number,
    of_kind,
    record,
    text,
    url,
)

JOIN_CONFERENCE_STREAM = (
    text("url", required=True, pattern=r"wss?://\S+", means="a ws(s) URL"),
    text("name"),
    text("codec"),
    url("status_url"),
    choice("status_url_method", "GET", "POST", default="POST"),
    flag("realtime", default=False),
    text("authorization_bearer_token"),
    of_kind("custom_parameters", Kind.MAP, items=text("value")),
)

DETECT_MACHINE = Shape(
    method="detect_machine",
    about="Finds out whether a person or a machine has answered.",
    properties=(
        flag("detect_message_end", default=False),
        text("detectors", default="amd,fax"),
        number("end_silence_timeout", 0, default=1),
        number("initial_timeout", 0, default=4.5),
        number("machine_ready_timeout", 0),
        number("machine_voice_threshold", 0, default=1.25),
        integer("machine_words_threshold", 0, default=6),
        url("status_url"),
        number("timeout", 0, default=30),
        choice("tone", "CED", "CNG", default="CED"),
        flag("wait", default=True),
    ),
)

ENTER_QUEUE = Shape(
    method="enter_queue",
    about="Waits in a queue.",
    properties=(
        text("queue_name", required=True),
        of_kind("transfer_after_bridge", Kind.DOCUMENT, required=True),
        url("status_url"),
        url("wait_url"),
        integer("wait_time", 1, default=3600),
    ),
)

JOIN_CONFERENCE = Shape(
    method="join_conference",
    about="Joins an audio conference.",
    properties=(
        text("name", required=True),
        flag("muted", default=False),
        choice("beep", "true", "false", "onEnter", "onExit", default="true"),
        flag("start_on_enter", default=True),
        flag("end_on_exit", default=False),
        url("wait_url"),
        integer("max_participants", 2, 100000, default=100000),
        choice("record", "do-not-record", "record-from-start", default="do-not-record"),
        choice("region", "global", "us", "eu", "ch"),
        choice("trim", "trim-silence", "do-not-trim", default="trim-silence"),
        text("coach"),
        text("status_callback_event"),
        choice("status_callback_event_type", "cxml", "laml", "relay"),
        url("status_callback"),
        choice("status_callback_method", "GET", "POST", default="POST"),
        url("recording_status_callback"),
        choice("recording_status_callback_method", "GET", "POST", default="POST"),
        text("recording_status_callback_event"),
        choice("recording_status_callback_event_type", "cxml", "laml", "relay"),
        of_kind("result", Kind.RESULT, default="join_conference_result"),
        record("stream", *JOIN_CONFERENCE_STREAM),
    ),
)

JOIN_ROOM = Shape(
    method="join_room",
    about="Joins a room.",
    properties=(text("name", required=True),),
)

RECEIVE_FAX = Shape(
    method="receive_fax",
    about="Receives a fax.",
    properties=(url("status_url"),),
)

SEND_FAX = Shape(
    method="send_fax",
    about="Sends a fax.",
    properties=(
        url("document", required=True),
        text("header_info"),
        text("identity"),
        url("status_url"),
    ),
)

SEND_SMS = Shape(
    method="send_sms",
    about="Sends a text message.",
    at_least_one=("body", "media"),
    properties=(
        text("to_number", required=True),
        text("from_number", required=True),
        text("region"),
        listing("tags", text("item")),
        url("status_callback"),
        text("body"),
        listing("media", text("item")),
    ),
)

SIP_REFER = Shape(
    method="sip_refer",
    about="Transfers the call with SIP REFER.",
    properties=(
        text("to_uri", required=True),
        url("status_url"),
        text("username"),
        text("password"),
    ),
)

STOP_STREAM = Shape(
    method="stop_stream",
    about="Stops a stream.",
    properties=(text("control_id"),),
)

STREAM = Shape(
    method="stream",
    about="Streams the audio to a WebSocket.",
    properties=(
        text("url", required=True, pattern=r"wss?://\S+", means="a ws(s) URL"),
        text("control_id"),
        text("name"),
        choice("track", "inbound_track", "outbound_track", "both_tracks", default="inbound_track"),
        text("codec"),
        url("status_url"),
        choice("status_url_method", "GET", "POST", default="POST"),
        text("authorization_bearer_token"),
        of_kind("custom_parameters", Kind.MAP, items=text("value")),
    ),
)

TRANSCRIBE = Shape(
    method="transcribe",
    about="Begins a transcription.",
    properties=(url("status_url"),),
)

TRANSCRIBE_STOP = Shape(
    method="transcribe_stop",
    about="Ends the transcription.",
)

USER_EVENT = Shape(
    method="user_event",
    about="Sends an event to the client of the call.",
    properties=(of_kind("event", Kind.MAP, required=True),),
)
