"""Via, Contact, timers and ways of messages over TCP and TLS, and over several local endpoints."""

from __future__ import annotations

import pytest

from cordboard.sip.dialog import next_hop
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import InviteReceived, Output, SendMessage, SessionEnded
from cordboard.sip.message import Request, Response, parse
from cordboard.sip.stack import SipStack
from cordboard.sip.uri import UriError
from cordboard.testing.wire import Wire

UDP = Endpoint("UDP", "192.0.2.1", 5060)
TCP = Endpoint("TCP", "192.0.2.1", 5062)
TLS = Endpoint("TLS", "192.0.2.1", 5061)
UDP6 = Endpoint("UDP", "2001:db8::1", 5064)
CONNECTION = Endpoint("TCP", "203.0.113.7", 49_152)


def make() -> SipStack:
    serial = iter(range(1, 1_000_000))
    return SipStack(local=UDP, also=[TCP, TLS, UDP6], token=lambda: f"{next(serial):08x}")


def sent(outputs: list[Output]) -> list[tuple[Endpoint, Request | Response]]:
    return [(o.destination, parse(o.data)) for o in outputs if isinstance(o, SendMessage)]


def call(stack: SipStack, destination: Endpoint, uri: str = "sip:bob@203.0.113.7") -> tuple[str, Request]:
    session, outputs = stack.invite(
        uri=uri, to=f"<{uri}>", from_="<sip:a@x>", destination=destination, body=b"v=0\r\n", now=0
    )
    ((_, request),) = sent(outputs)
    assert isinstance(request, Request)
    return session, request


def invite(contact: str, *, transport: str = "TCP", extra: str = "", via: str = "198.51.100.5:5070") -> bytes:
    return (
        f"INVITE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/{transport} {via};branch=z9hG4bK1\r\n"
        f"From: <sip:a@x>;tag=1\r\nTo: <sip:bob@192.0.2.1>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        f"Contact: {contact}\r\n{extra}Content-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("destination", "via", "contact"),
    [
        (Endpoint("UDP", "203.0.113.7", 5060), "UDP 192.0.2.1:5060", "<sip:192.0.2.1:5060>"),
        (Endpoint("TCP", "203.0.113.7", 5060), "TCP 192.0.2.1:5062", "<sip:192.0.2.1:5062;transport=tcp>"),
        (Endpoint("TLS", "203.0.113.7", 5061), "TLS 192.0.2.1:5061", "<sip:192.0.2.1:5061;transport=tls>"),
        (Endpoint("UDP", "2001:db8::9", 5060), "UDP [2001:db8::1]:5064", "<sip:[2001:db8::1]:5064>"),
    ],
)
def test_via_and_contact_are_of_the_endpoint_that_the_message_leaves_by(
    destination: Endpoint, via: str, contact: str
) -> None:
    _, request = call(make(), destination)
    assert (request.headers.get("Via") or "").startswith(f"SIP/2.0/{via};branch=")
    assert request.headers.get("Contact") == contact


def test_a_response_over_tcp_has_the_contact_of_tcp() -> None:
    stack = make()
    outputs = stack.receive(invite("<sip:a@203.0.113.7>"), CONNECTION, 0)
    session = next(o.session for o in outputs if isinstance(o, InviteReceived))
    ((destination, response),) = sent(stack.accept(session, body=b"v=0\r\n", now=0))
    assert destination == CONNECTION
    assert response.headers.get("Contact") == "<sip:192.0.2.1:5062;transport=tcp>"


def test_sips_goes_over_tls_only_and_has_a_sips_contact() -> None:
    _, request = call(make(), Endpoint("TLS", "203.0.113.7", 5061), "sips:bob@203.0.113.7")
    assert request.headers.get("Contact") == "<sips:192.0.2.1:5061>"
    stack = make()
    for transport in ("UDP", "TCP"):
        with pytest.raises(UriError):
            call(stack, Endpoint(transport, "203.0.113.7", 5060), "sips:bob@203.0.113.7")
    assert not any(stack.counts().values())


# ------------------------------------------------------------------ timers


def test_over_tcp_nothing_is_sent_again_and_a_finished_call_leaves_nothing() -> None:
    wire = Wire()
    serial = iter(range(1, 1_000_000))
    alice_at, bob_at = Endpoint("TCP", "127.0.0.1", 5060), Endpoint("TCP", "127.0.0.2", 5060)
    alice = SipStack(local=alice_at, token=lambda: f"{next(serial):08x}")
    bob = SipStack(local=bob_at, token=lambda: f"{next(serial):08x}")
    wire.attach(alice, alice_at)
    wire.attach(bob, bob_at)
    session, outputs = alice.invite(
        uri="sip:bob@127.0.0.2", to="<sip:b@x>", from_="<sip:a@x>", destination=bob_at, body=b"", now=0
    )
    wire.put(alice_at, outputs)
    wire.run(20)
    (offered,) = [e.session for _, _, e in wire.events if isinstance(e, InviteReceived)]
    wire.put(bob_at, bob.reject(offered, status=486, now=wire.now))
    wire.run(0.1)
    lines = [datagram.first_line.split()[0:2] for datagram in wire.sent]
    assert [words[0] if words[0] != "SIP/2.0" else words[1] for words in lines] == [
        "INVITE", "100", "486", "ACK",
    ]  # fmt: skip
    assert not any(alice.counts().values())
    assert not any(bob.counts().values())
    assert session


def test_a_request_over_tcp_is_sent_once_and_times_out_after_64_t1() -> None:
    wire = Wire()
    alice_at = Endpoint("TCP", "127.0.0.1", 5060)
    serial = iter(range(1, 1_000_000))
    alice = SipStack(local=alice_at, token=lambda: f"{next(serial):08x}")
    wire.attach(alice, alice_at)
    _, outputs = alice.invite(
        uri="sip:b@127.0.0.9", to="<sip:b@x>", from_="<sip:a@x>", destination=CONNECTION, body=b"", now=0
    )
    wire.put(alice_at, outputs)
    wire.run_until_quiet()
    assert len(wire.sent) == 1
    ((when, ended),) = [(when, e) for when, _, e in wire.events if isinstance(e, SessionEnded)]
    assert (when, ended.cause) == (32.0, "timeout")


# ------------------------------------------------------------------ ways


@pytest.mark.parametrize(
    ("contact", "extra", "destination", "alternative"),
    [
        ("<sip:a@198.51.100.5:5070;transport=tcp>", "", CONNECTION, Endpoint("TCP", "198.51.100.5", 5070)),
        ("<sip:a@198.51.100.5>", "", CONNECTION, Endpoint("TCP", "198.51.100.5", 5060)),
        ("<sip:a@phone.invalid>", "", CONNECTION, None),
        ("<sip:a@198.51.100.5;transport=udp>", "", Endpoint("UDP", "198.51.100.5", 5060), None),
        (
            "<sip:a@198.51.100.5>",
            "Record-Route: <sip:203.0.113.7;transport=tcp;lr>\r\n",
            CONNECTION,
            Endpoint("TCP", "203.0.113.7", 5060),
        ),
        (
            "<sip:a@198.51.100.5>",
            "Record-Route: <sip:203.0.113.8;transport=tcp;lr>\r\n",
            Endpoint("TCP", "203.0.113.8", 5060),
            None,
        ),
    ],
)
def test_requests_in_a_dialog_use_its_connection_and_its_route_when_that_is_gone(
    contact: str, extra: str, destination: Endpoint, alternative: Endpoint | None
) -> None:
    stack = make()
    outputs = stack.receive(invite(contact, extra=extra), CONNECTION, 0)
    session = next(o.session for o in outputs if isinstance(o, InviteReceived))
    ((_, answer),) = sent(stack.accept(session, body=b"v=0\r\n", now=0))
    ack = invite(contact).replace(b"INVITE", b"ACK").replace(b"K1\r\n", b"K2\r\n")
    ack = ack.replace(b"To: <sip:bob@192.0.2.1>", f"To: {answer.headers.get('To')}".encode())
    stack.receive(ack, CONNECTION, 0)
    (to_first,) = sent(stack.request(session, "INFO", now=0))
    assert to_first[0] == destination
    again = sent(stack.transport_failed(destination, 0))
    if alternative is None:
        assert [m.method for _, m in again if isinstance(m, Request)] == ["BYE"]
    else:
        assert [(to, m.method) for to, m in again if isinstance(m, Request)] == [(alternative, "INFO")]


@pytest.mark.parametrize(("via", "port"), [("198.51.100.5:5070", 5070), ("198.51.100.5", 5060)])
def test_a_response_whose_connection_is_gone_goes_to_the_port_of_the_via(via: str, port: int) -> None:
    stack = make()
    outputs = stack.receive(invite("<sip:a@203.0.113.7>", via=via), CONNECTION, 0)
    session = next(o.session for o in outputs if isinstance(o, InviteReceived))
    stack.reject(session, status=486, now=0)
    ((destination, response),) = sent(stack.transport_failed(CONNECTION, 0))
    assert destination == Endpoint("TCP", "203.0.113.7", port)
    assert isinstance(response, Response)
    assert response.status == 486


@pytest.mark.parametrize(
    ("uri", "peer", "expected"),
    [
        ("sip:a@198.51.100.5", UDP, Endpoint("UDP", "198.51.100.5", 5060)),
        ("sip:a@198.51.100.5;transport=tcp", UDP, Endpoint("TCP", "198.51.100.5", 5060)),
        ("sip:a@198.51.100.5;transport=tls", UDP, Endpoint("TLS", "198.51.100.5", 5061)),
        ("sips:a@198.51.100.5", UDP, Endpoint("TLS", "198.51.100.5", 5061)),
        ("sips:a@198.51.100.5;transport=tcp", UDP, Endpoint("TLS", "198.51.100.5", 5061)),
        ("sip:a@198.51.100.5;transport=pigeon", UDP, Endpoint("UDP", "198.51.100.5", 5060)),
        ("sip:a@198.51.100.5;maddr=198.51.100.6", UDP, Endpoint("UDP", "198.51.100.6", 5060)),
        ("sip:a@host.invalid;maddr=198.51.100.6", UDP, Endpoint("UDP", "198.51.100.6", 5060)),
        ("sip:a@198.51.100.5;maddr=host.invalid", UDP, UDP),
        ("sip:a@198.51.100.5;maddr=224.0.1.75", UDP, UDP),
        ("sip:a@host.invalid", UDP, UDP),
        (
            "sip:a@198.51.100.5:7",
            Endpoint("TLS", "198.51.100.5", 9, "host.invalid"),
            Endpoint("TLS", "198.51.100.5", 7, "host.invalid"),
        ),
    ],
)
def test_the_next_hop_is_what_the_uri_says_if_it_says_an_address(
    uri: str, peer: Endpoint, expected: Endpoint
) -> None:
    assert next_hop(uri, peer) == expected
