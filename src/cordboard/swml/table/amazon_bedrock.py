"""The table of `amazon_bedrock`."""

from __future__ import annotations

from cordboard.swml.properties import (
    Kind,
    Shape,
    choice,
    integer,
    listing,
    number,
    of_kind,
    record,
    text,
    union,
    url,
)
from cordboard.swml.table.ai_prompt import AI_POST_PROMPT, POM
from cordboard.swml.table.swaig import SWAIG_DEFAULTS

BEDROCK_PARAMS = (
    union(
        "attention_timeout", integer("attention_timeout", 10000, 600000), integer("attention_timeout", 0, 0)
    ),
    text("hard_stop_time", pattern=r"(?:\d+h)?(?:\d+m)?(?:\d+s)?", means="a time such as 1h30m or 45s"),
    integer("inactivity_timeout", 10000, 3600000, default=600000),
    text("video_listening_file"),
    text("video_idle_file"),
    text("video_talking_file"),
    text("hard_stop_prompt"),
)

BEDROCK_PROMPT = (
    choice("voice_id", "tiffany", "matthew", "amy", "lupe", "carlos", default="matthew"),
    integer("max_tokens", 0, 4096, default=256),
    number("temperature", 0, 1.5, default=1),
    number("top_p", 0, 1, default=1),
    number("confidence", 0, 1, default=0.6),
    number("presence_penalty", -2, 2, default=0),
    number("frequency_penalty", -2, 2, default=0),
    text("text"),
    listing("pom", record("item", *POM)),
)

BEDROCK_SWAIG = (
    listing("functions", of_kind("item", Kind.MAP)),
    record("defaults", *SWAIG_DEFAULTS),
)

AMAZON_BEDROCK = Shape(
    method="amazon_bedrock",
    about="Lets a Bedrock agent talk with the caller.",
    properties=(
        of_kind("global_data", Kind.MAP),
        record("params", *BEDROCK_PARAMS),
        record("post_prompt", *AI_POST_PROMPT),
        url("post_prompt_url"),
        record("prompt", *BEDROCK_PROMPT, required=True),
        record("SWAIG", *BEDROCK_SWAIG),
    ),
)
