"""The tables of the functions of an AI agent."""

from __future__ import annotations

from cordboard.swml.properties import Kind, choice, flag, integer, listing, of_kind, record, text, union

SWAIG_DEFAULTS = (text("web_hook_url"),)

MCP_SERVER = (
    text("url", required=True),
    of_kind("headers", Kind.MAP, items=text("value")),
    flag("resources", default=False),
    of_kind("resource_vars", Kind.MAP, items=text("value")),
)

SWAIG_INCLUDES = (
    listing("functions", text("item"), required=True),
    text("url", required=True),
    of_kind("meta_data", Kind.MAP),
)

FUNCTION_PARAMETERS = (
    choice("type", "object", required=True),
    of_kind("properties", Kind.MAP, items=of_kind("value", Kind.MAP), required=True),
    listing("required", text("item")),
)

SWAIG_TOOL_RESULT = (
    text("tool_result"),
    text("tool_prompt"),
)

OUTPUT = (
    union("response", text("response"), record("response", *SWAIG_TOOL_RESULT)),
    union("action", of_kind("action", Kind.MAP), listing("action", of_kind("item", Kind.MAP))),
    flag("post_process", default=False),
)

EXPRESSION = (
    text("string", required=True),
    text("pattern", required=True),
    record("output", *OUTPUT, required=True),
)

WEBHOOK = (
    listing("expressions", record("item", *EXPRESSION)),
    union("error_keys", text("error_keys"), listing("error_keys", text("item"))),
    text("url", required=True),
    record(
        "foreach",
        text("input_key", required=True),
        text("output_key", required=True),
        integer("max"),
        text("append", required=True),
    ),
    of_kind("headers", Kind.MAP),
    choice("method", "GET", "POST", "PUT", "DELETE"),
    flag("input_args_as_params"),
    of_kind("params", Kind.MAP),
    union("require_args", text("require_args"), listing("require_args", text("item"))),
    record("output", *OUTPUT),
)

DATA_MAP = (
    record("output", *OUTPUT),
    listing("expressions", record("item", *EXPRESSION)),
    listing("webhooks", record("item", *WEBHOOK)),
)

SWAIG_FUNCTION = (
    text("description", required=True),
    text("purpose"),
    record("parameters", *FUNCTION_PARAMETERS),
    of_kind("fillers", Kind.MAP, items=listing("fillers", text("item"))),
    record("argument", *FUNCTION_PARAMETERS),
    flag("active", default=True),
    of_kind("meta_data", Kind.MAP),
    text("meta_data_token"),
    record("data_map", *DATA_MAP),
    flag("skip_fillers", default=False),
    text("web_hook_url"),
    text("wait_file"),
    union("wait_file_loops", integer("wait_file_loops"), text("wait_file_loops")),
    flag("wait_for_fillers", default=False),
    text("function", required=True),
)

SWAIG_INTERNAL_FILLER = (
    of_kind("check_time", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("wait_for_user", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("wait_seconds", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("adjust_response_latency", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("next_step", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("change_context", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("get_visual_input", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("get_ideal_strategy", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("pause_conversation", Kind.MAP, items=listing("fillers", text("item"))),
)

SWAIG = (
    record("defaults", *SWAIG_DEFAULTS),
    listing("mcp_servers", record("item", *MCP_SERVER)),
    listing(
        "native_functions",
        choice("item", "check_time", "wait_seconds", "wait_for_user", "adjust_response_latency"),
    ),
    listing("includes", record("item", *SWAIG_INCLUDES)),
    listing("functions", record("item", *SWAIG_FUNCTION)),
    record("internal_fillers", *SWAIG_INTERNAL_FILLER),
)
