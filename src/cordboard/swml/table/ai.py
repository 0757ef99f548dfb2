"""The table of `ai`: known, checked and described, and not run by this server."""

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
    union,
    url,
)
from cordboard.swml.table.ai_params import AI_PARAMS
from cordboard.swml.table.ai_prompt import AI_POST_PROMPT, AI_PROMPT
from cordboard.swml.table.swaig import SWAIG

HINT = (
    text("hint", required=True),
    text("pattern", required=True),
    text("replace", required=True),
    flag("ignore_case", default=False),
)

LANGUAGE_PARAMS = (
    number("stability", 0, 1, default=0.5),
    number("similarity", 0, 1, default=0.75),
    number("speakingRate", 0.5, 1.5, default=1),
    number("temperature", 0, 2, default=1),
    number("speed", 0.5, 2, default=1),
    number("vol", 0.1, 1, default=1),
    integer("pitch", -12, 12, default=0),
    choice("emotion", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "neutral"),
)

PRONOUNCE = (
    text("replace", required=True),
    text("with", required=True),
    flag("ignore_case", default=True),
)

LANGUAGES = (
    text("name", required=True),
    union("code", text("code"), listing("code", text("item")), required=True),
    union("listen_language", text("listen_language"), listing("listen_language", text("item"))),
    text("voice", required=True),
    text("model"),
    flag("auto_emotion", default=False),
    flag("auto_speed", default=False),
    text("engine"),
    record("params", *LANGUAGE_PARAMS),
    listing("fillers", text("item")),
    listing("function_fillers", text("item")),
    listing("speech_fillers", text("item")),
    listing("turn_fillers", text("item")),
    listing("pronounce", record("item", *PRONOUNCE)),
)

MULTILINGUAL_LANGUAGE = (
    text("language", required=True),
    text("voice"),
    text("model"),
    text("engine"),
    record("params", *LANGUAGE_PARAMS),
)

MULTILINGUAL = (
    listing("languages", record("item", *MULTILINGUAL_LANGUAGE), required=True),
    listing("allowed", text("item")),
    text("engine"),
    text("model", default="nova-3"),
    text("provider"),
    text("start_language", default="en"),
    integer("min_switch_words", 1, default=2),
    union(
        "fillers",
        listing("fillers", text("item")),
        of_kind("fillers", Kind.MAP, items=listing("fillers", text("item"))),
    ),
    union(
        "function_fillers",
        listing("function_fillers", text("item")),
        of_kind("function_fillers", Kind.MAP, items=listing("fillers", text("item"))),
    ),
    union(
        "turn_fillers",
        listing("turn_fillers", text("item")),
        of_kind("turn_fillers", Kind.MAP, items=listing("fillers", text("item"))),
    ),
)

AI = Shape(
    method="ai",
    about="Lets an AI agent talk with the caller.",
    properties=(
        of_kind("global_data", Kind.MAP),
        union("hints", text("hints"), listing("hints", record("item", *HINT))),
        listing("languages", record("item", *LANGUAGES)),
        record("multilingual", *MULTILINGUAL),
        record("params", *AI_PARAMS),
        record("post_prompt", *AI_POST_PROMPT),
        url("post_prompt_url"),
        listing("pronounce", record("item", *PRONOUNCE)),
        record("prompt", *AI_PROMPT, required=True),
        record("SWAIG", *SWAIG),
    ),
)
