"""The tables of `live_transcribe` and `live_translate`."""

from __future__ import annotations

from cordboard.swml.properties import Shape, choice, flag, integer, listing, record, text, union

TRANSCRIBE_START_ACTION = (
    record(
        "start",
        flag("ai_summary"),
        text("webhook"),
        text("lang", required=True),
        flag("live_events"),
        integer("speech_timeout", default=60000),
        integer("vad_silence_ms", default=300),
        integer("vad_thresh", default=400),
        integer("debug_level", default=0),
        listing("direction", choice("item", "remote-caller", "local-caller"), required=True),
        choice("speech_engine", "deepgram", "google", default="deepgram"),
        text("ai_summary_prompt"),
        required=True,
    ),
)

TRANSCRIBE_SUMMARIZE_ACTION = (record("summarize", text("webhook"), text("prompt"), required=True),)

START_ACTION = (
    record(
        "start",
        text("webhook"),
        text("from_lang", required=True),
        text("to_lang", required=True),
        text("from_voice"),
        text("to_voice"),
        union(
            "filter_from",
            choice("filter_from", "polite", "rude", "professional", "shakespeare", "gen-z"),
            text("filter_from", pattern=r"prompt:.+", means="`prompt:` and a text"),
        ),
        union(
            "filter_to",
            choice("filter_to", "polite", "rude", "professional", "shakespeare", "gen-z"),
            text("filter_to", pattern=r"prompt:.+", means="`prompt:` and a text"),
        ),
        flag("live_events"),
        flag("ai_summary"),
        integer("speech_timeout", default=60000),
        integer("vad_silence_ms", default=300),
        integer("vad_thresh", default=400),
        integer("debug_level", default=0),
        listing("direction", choice("item", "remote-caller", "local-caller"), required=True),
        choice("speech_engine", "deepgram", "google", default="deepgram"),
        text("ai_summary_prompt"),
        required=True,
    ),
)

SUMMARIZE_ACTION = (record("summarize", text("webhook"), text("prompt"), required=True),)

INJECT_ACTION = (
    record(
        "inject",
        text("message", required=True),
        choice("direction", "remote-caller", "local-caller", required=True),
        required=True,
    ),
)

LIVE_TRANSCRIBE = Shape(
    method="live_transcribe",
    about="Transcribes the call while it lasts.",
    properties=(
        union(
            "action",
            choice("action", "stop", "summarize"),
            record("action", *TRANSCRIBE_START_ACTION),
            record("action", *TRANSCRIBE_SUMMARIZE_ACTION),
            required=True,
        ),
    ),
)

LIVE_TRANSLATE = Shape(
    method="live_translate",
    about="Translates the call while it lasts.",
    properties=(
        union(
            "action",
            choice("action", "stop", "summarize"),
            record("action", *START_ACTION),
            record("action", *SUMMARIZE_ACTION),
            record("action", *INJECT_ACTION),
            required=True,
        ),
    ),
)
