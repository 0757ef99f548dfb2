"""The tables of the prompts of an AI agent."""

from __future__ import annotations

from cordboard.swml.properties import Kind, flag, integer, listing, number, of_kind, record, text

POM = (
    text("title"),
    listing("subsections", of_kind("item", Kind.MAP)),
    flag("numbered"),
    flag("numberedBullets"),
    text("body"),
    listing("bullets", text("item")),
)

AI_POST_PROMPT = (
    integer("max_tokens", 0, 4096, default=256),
    number("temperature", 0, 1.5, default=1),
    number("top_p", 0, 1, default=1),
    number("confidence", 0, 1, default=0.6),
    number("presence_penalty", -2, 2, default=0),
    number("frequency_penalty", -2, 2, default=0),
    text("text"),
    listing("pom", record("item", *POM)),
)

CONTEXT_STEPS = (
    text("name", pattern=r"(?!next$).*", means="a string other than `next`", required=True),
    text("step_criteria"),
    listing("functions", text("item")),
    listing("valid_contexts", text("item")),
    flag("skip_user_turn", default=False),
    flag("end", default=False),
    listing("valid_steps", text("item")),
    listing("pom", record("item", *POM)),
    text("text"),
)

CONTEXTS_OBJECT = (
    listing("steps", record("item", *CONTEXT_STEPS), required=True),
    flag("isolated", default=False),
    of_kind("enter_fillers", Kind.MAP, items=listing("fillers", text("item"))),
    of_kind("exit_fillers", Kind.MAP, items=listing("fillers", text("item"))),
    listing("pom", record("item", *POM)),
    text("text"),
)

CONTEXTS = (record("default", *CONTEXTS_OBJECT, required=True),)

AI_PROMPT = (
    integer("max_tokens", 0, 4096, default=256),
    number("temperature", 0, 1.5, default=1),
    number("top_p", 0, 1, default=1),
    number("confidence", 0, 1, default=0.6),
    number("presence_penalty", -2, 2, default=0),
    number("frequency_penalty", -2, 2, default=0),
    text("text"),
    record("contexts", *CONTEXTS),
    listing("pom", record("item", *POM)),
)
