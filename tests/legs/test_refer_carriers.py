"""A phone that is referred to a number at a carrier dials a number, however the carrier is written."""

from __future__ import annotations

import pytest

from cordboard.legs.refer import Referral, read_refer
from cordboard.sip.message import Request, parse

CARRIERS = frozenset({"sip.acme.example"})


def referral(target: str) -> tuple[str, str]:
    """Kind and address of what is dialled."""
    lines = (
        "REFER sip:x@127.0.0.1 SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1",
        "From: <sip:a@127.0.0.1>;tag=1",
        "To: <sip:x@127.0.0.1>;tag=2",
        "Call-ID: 1",
        "CSeq: 1 REFER",
        f"Refer-To: <{target}>",
        "Content-Length: 0",
    )
    request = parse(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(request, Request)
    found = read_refer(request, frozenset({"127.0.0.1"}), CARRIERS)
    assert isinstance(found, Referral)
    return found.destination.kind, found.destination.to


@pytest.mark.parametrize(
    "host", ["sip.acme.example", "SIP.acme.example.", "pbx.example;maddr=sip.acme.example", "127.0.0.1"]
)
def test_a_number_there_is_dialled_as_a_number(host: str) -> None:
    assert referral(f"sip:+19005551234@{host}") == ("phone", "+19005551234")


def test_a_number_elsewhere_is_a_sip_uri() -> None:
    kind, to = referral("sip:+19005551234@pbx.example")
    assert (kind, to) == ("sip", "sip:+19005551234@pbx.example")
