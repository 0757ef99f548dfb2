"""The table of `pay`."""

from __future__ import annotations

from cordboard.swml.properties import Shape, choice, flag, integer, listing, record, text, union, url

PAY_PARAMETERS = (
    text("name", required=True),
    text("value", required=True),
)

PAY_PROMPT_ACTION = (
    choice("type", "Say", "Play", required=True),
    union("phrase", text("phrase"), text("phrase"), required=True),
)

PAY_PROMPTS = (
    listing("actions", record("item", *PAY_PROMPT_ACTION), required=True),
    text("for", required=True),
    text("attempts"),
    text("card_type"),
    text("error_type"),
)

PAY = Shape(
    method="pay",
    about="Takes a payment.",
    properties=(
        url("payment_connector_url", required=True),
        text("charge_amount"),
        text("currency", default="usd"),
        text("description"),
        choice("input", "dtmf", default="dtmf"),
        text("language", default="en-US"),
        integer("max_attempts", default=1),
        integer("min_postal_code_length", default=0),
        listing("parameters", record("item", *PAY_PARAMETERS)),
        choice("payment_method", "credit-card"),
        union("postal_code", flag("postal_code"), text("postal_code"), default=True),
        listing("prompts", record("item", *PAY_PROMPTS)),
        flag("security_code", default=True),
        url("status_url"),
        integer("timeout", default=5),
        choice("token_type", "one-time", "reusable", default="reusable"),
        text("valid_card_types", default="visa mastercard amex"),
        text("voice", default="woman"),
    ),
)
