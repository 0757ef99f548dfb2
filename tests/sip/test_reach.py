"""Requests inside a dialog to a far end behind NAT, whose Contact says an address of its own network."""

from __future__ import annotations

import ipaddress

import pytest

from cordboard.sip.dialog import next_hop
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import AckReceived, InviteReceived, SendMessage
from cordboard.sip.message import Request, parse
from cordboard.sip.reach import is_behind_nat
from cordboard.sip.stack import SipStack

OURS = Endpoint("UDP", "192.0.2.1", 5060)
NAT = Endpoint("UDP", "198.51.100.7", 61_234)
"""Where the requests of the phone come from."""
HEAD = (
    "{0} sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK{0};rport\r\n"
    "From: <sip:a@192.0.2.1>;tag=fa\r\nTo: <sip:b@192.0.2.1>{1}\r\nCall-ID: c\r\nCSeq: 1 {0}\r\n"
    "Max-Forwards: 70\r\nContact: <sip:a@192.168.1.5:5060>\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("address", "source", "behind"),
    [
        ("192.168.1.5", "198.51.100.7", True),
        ("10.1.2.3", "198.51.100.7", True),
        ("172.31.0.1", "198.51.100.7", True),
        ("100.64.0.9", "198.51.100.7", True),
        ("169.254.1.1", "198.51.100.7", True),
        ("127.0.0.1", "198.51.100.7", True),
        ("127.0.0.1", "10.0.0.2", True),
        ("fd00::5", "2001:db8::7", True),
        ("fe80::5", "2001:db8::7", True),
        ("::1", "2001:db8::7", True),
        # Of the same kind: a proxy that is not in the way any more.
        ("10.1.2.3", "192.168.1.5", False),
        ("203.0.113.9", "198.51.100.7", False),
        ("127.0.0.2", "127.0.0.1", False),
        ("203.0.113.9", "10.0.0.2", False),
        ("172.32.0.1", "198.51.100.7", False),
        ("10.1.2.3", "no address", False),
    ],
)
def test_an_address_of_a_smaller_network_than_the_source_is_behind_nat(
    address: str, source: str, behind: bool
) -> None:
    assert is_behind_nat(ipaddress.ip_address(address), source) is behind


@pytest.mark.parametrize(
    "uri", ["sip:a@192.168.1.5:5060", "sip:a@192.168.1.5;transport=tcp", "sip:a@x.test;maddr=10.0.0.9"]
)
def test_the_next_hop_of_who_is_behind_nat_is_where_it_came_from(uri: str) -> None:
    assert next_hop(uri, NAT) == NAT


def test_a_phone_behind_nat_is_hung_up_where_its_invite_came_from() -> None:
    numbers = iter(range(1000))
    stack = SipStack(local=OURS, token=lambda: f"{next(numbers):08x}")
    outputs = stack.receive(HEAD.format("INVITE", "").encode(), NAT, 0.0)
    [session] = [event.session for event in outputs if isinstance(event, InviteReceived)]
    answered = stack.accept(session, body=b"v=0\r\n", now=0.0)
    [answer] = [parse(one.data) for one in answered if isinstance(one, SendMessage)]
    tag = f";tag={answer.to.tag}"
    outputs = stack.receive(HEAD.format("ACK", tag).encode(), NAT, 0.1)
    assert any(isinstance(event, AckReceived) for event in outputs)
    [bye] = [one for one in stack.bye(session, now=0.2) if isinstance(one, SendMessage)]
    assert bye.destination == NAT
    request = parse(bye.data)
    assert isinstance(request, Request)
    assert (request.method, request.uri) == ("BYE", "sip:a@192.168.1.5:5060")
