"""The table of `ai_sidecar`."""

from __future__ import annotations

from cordboard.swml.properties import Kind, Shape, choice, flag, integer, listing, of_kind, record, text, url
from cordboard.swml.table.swaig import MCP_SERVER

SIDECAR_SWAIG_DEFAULTS = (
    text("web_hook_url"),
    text("web_hook_auth_user"),
    text("web_hook_auth_password"),
)

SIDECAR_FUNCTION_PARAMETERS = (
    choice("type", "object", required=True),
    of_kind("properties", Kind.MAP, items=of_kind("value", Kind.MAP), required=True),
    listing("required", text("item")),
)

SIDECAR_SWAIG_FUNCTION = (
    text("function", required=True),
    text("description"),
    text("purpose"),
    record("parameters", *SIDECAR_FUNCTION_PARAMETERS),
    text("web_hook_url"),
    text("web_hook_auth_user"),
    text("web_hook_auth_password"),
)

SIDECAR_SWAIG = (
    record("defaults", *SIDECAR_SWAIG_DEFAULTS),
    listing("functions", record("item", *SIDECAR_SWAIG_FUNCTION)),
    listing("mcp_servers", record("item", *MCP_SERVER)),
)

SIDECAR_PERMISSIONS = (
    flag("swaig_allow_swml", default=True),
    flag("swaig_allow_settings", default=True),
    flag("swaig_set_global_data", default=True),
)

SIDECAR_PARAMS = (
    integer("idle_timeout_ms", 50, 5000, default=200),
    integer("min_interval_ms", 0, 60000, default=0),
    integer("max_iters_per_tick", 1, 20, default=5),
    integer("max_history_tokens", 1000, 200000, default=8000),
    flag("act_on_channel", default=True),
    flag("final_summary", default=False),
    flag("ai_summary", default=False),
    text("ai_summary_prompt"),
    text("summary_model", default="gpt-4o-mini"),
    flag("live_events", default=False),
    flag("verbose_utterances", default=False),
    choice("speech_engine", "deepgram", "google", default="deepgram"),
    integer("speech_timeout", 0, 600000),
    integer("vad_silence_ms", 0, 60000),
    integer("vad_thresh", 0, 10000),
    integer("debug_level", 0, 100, default=0),
    flag("debug", default=False),
    text("transcribe_prompt"),
)

SIDECAR_SUMMARIZE_ACTION = (record("summarize", text("webhook"), text("prompt"), required=True),)

AI_SIDECAR = Shape(
    method="ai_sidecar",
    about="Lets an AI agent follow the call.",
    properties=(
        text("prompt"),
        text("lang", required=True),
        text("model", default="gpt-4o-mini"),
        listing("direction", choice("item", "remote-caller", "local-caller")),
        choice("customer_role", "remote-caller", "local-caller", default="remote-caller"),
        url("url"),
        record("SWAIG", *SIDECAR_SWAIG),
        record("permissions", *SIDECAR_PERMISSIONS),
        of_kind("global_data", Kind.MAP),
        listing("hints", text("item")),
        record("params", *SIDECAR_PARAMS),
        record("action", *SIDECAR_SUMMARIZE_ACTION),
    ),
)
