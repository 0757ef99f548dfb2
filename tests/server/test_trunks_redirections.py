"""A redirection to a carrier is a number that is dialled, however the carrier is written."""

from __future__ import annotations

import pytest

from cordboard.call.plan import Destination
from cordboard.server.config import Trunk
from cordboard.server.trunks import Trunks
from cordboard.sip.uri import Uri

ACME = Trunk(
    address="sip.acme.example",
    allowed_prefixes=("+1555",),
    allowed_sources=("203.0.113.0/28", "2001:db8::/64"),
)


def refusal(contact: str) -> str | None:
    """The cause against following a phone, dialled by its SIP URI, to this contact."""
    made = Trunks({"acme": ACME}, random=lambda: 0.0, clock=lambda: 0.0)
    end = made.redirection_refused(Uri.parse(contact), Destination(kind="sip", to="sip:bob@pbx.example"))
    return None if end is None else end.cause


CARRIER = [
    "sip.acme.example",
    "SIP.Acme.Example",
    "sip.acme.example.",
    "sip.acme.example:5070;transport=tcp",
    "pbx.example;maddr=sip.acme.example",
    "pbx.example;maddr=203.0.113.4",
    "203.0.113.4",
    "203.0.113.4:5080",
    "[2001:db8::7]",
]


@pytest.mark.parametrize("host", CARRIER)
def test_a_number_at_a_carrier_needs_an_allowed_prefix(host: str) -> None:
    assert refusal(f"sip:+19005551234@{host}") == "prefix_not_allowed"
    assert refusal(f"sip:19005551234@{host}") == "prefix_not_allowed"
    assert refusal(f"sip:+15551234567@{host}") is None


@pytest.mark.parametrize("host", ["pbx.example", "203.0.113.99", "[2001:db9::7]", "acme.example"])
def test_a_number_anywhere_else_is_a_name_like_any_other(host: str) -> None:
    assert refusal(f"sip:+19005551234@{host}") is None


def test_a_name_at_a_carrier_is_no_number() -> None:
    assert refusal("sip:gateway2@203.0.113.4") is None
