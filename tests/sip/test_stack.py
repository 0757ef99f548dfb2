"""What the stack answers by itself, or not at all, and its limits."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import InviteReceived, SendMessage
from cordboard.sip.message import Response, parse
from cordboard.sip.stack import SipStack

LOCAL = Endpoint("UDP", "127.0.0.2", 5060)
SOURCE = Endpoint("UDP", "192.0.2.9", 6543)


def make(max_sessions: int = 100) -> SipStack:
    serial = iter(range(1, 1_000_000))
    return SipStack(local=LOCAL, token=lambda: f"{next(serial):08x}", max_sessions=max_sessions)


def message(
    method: str = "INVITE",
    *,
    uri: str = "sip:bob@127.0.0.2",
    via: str = "SIP/2.0/UDP 192.0.2.9:5099;branch=z9hG4bK1;rport",
    to: str = "<sip:bob@127.0.0.2>",
    contact: str = "Contact: <sip:a@192.0.2.9>\r\n",
    call_id: str = "c",
    cseq: str | None = None,
    extra: str = "",
    body: str = "",
    version: str = "SIP/2.0",
) -> bytes:
    return (
        f"{method} {uri} {version}\r\nVia: {via}\r\nFrom: <sip:a@x>;tag=1\r\nTo: {to}\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq or f'1 {method}'}\r\n"
        f"{contact}{extra}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def ask(stack: SipStack, data: bytes, source: Endpoint = SOURCE) -> list[Response]:
    """The responses to one message."""
    outputs = stack.receive(data, source, 0.0)
    replies = [parse(output.data) for output in outputs if isinstance(output, SendMessage)]
    assert stack.defects == 0
    return [reply for reply in replies if isinstance(reply, Response)]


def only(data: bytes) -> Response:
    """The one response, which must not need any memory."""
    reply = parse(only_bytes(data))
    assert isinstance(reply, Response)
    return reply


def only_bytes(data: bytes) -> bytes:
    """The same, for a response that repeats a malformed header."""
    stack = make()
    outputs = stack.receive(data, SOURCE, 0.0)
    assert stack.defects == 0
    assert not any(stack.counts().values())
    assert len(outputs) == 1
    assert isinstance(outputs[0], SendMessage)
    return outputs[0].data


# ------------------------------------------------------------------ answered by the stack


def test_options_is_answered_with_what_we_can_do() -> None:
    reply = only(message("OPTIONS"))
    assert reply.status == 200
    assert "INVITE" in (reply.headers.get("Allow") or "")
    assert reply.headers.get("Accept") == "application/sdp"
    assert reply.to.tag is not None


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH", "FOO"])
def test_a_method_that_we_do_not_have_gets_405_with_allow(method: str) -> None:
    reply = only(message(method))
    assert reply.status == 405
    assert reply.headers.get("Allow") == (
        "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY"
    )


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"])
@pytest.mark.parametrize("tag", ["", ";tag=unknown"])
def test_a_request_that_needs_a_dialog_gets_481_without_one(method: str, tag: str) -> None:
    assert only(message(method, to=f"<sip:bob@127.0.0.2>{tag}")).status == 481


def test_an_invite_inside_an_unknown_dialog_gets_481() -> None:
    assert only(message(to="<sip:bob@127.0.0.2>;tag=unknown")).status == 481


def test_a_cancel_for_nothing_gets_481() -> None:
    assert only(message("CANCEL")).status == 481


def test_an_unknown_extension_gets_420_and_is_named() -> None:
    reply = only(message(extra="Require: 100rel, foo\r\nRequire: bar\r\n"))
    assert reply.status == 420
    assert reply.headers.get("Unsupported") == "foo, bar"


def test_another_kind_of_body_gets_415_and_what_we_accept() -> None:
    reply = only(message(extra="Content-Type: text/plain\r\n", body="hello"))
    assert reply.status == 415
    assert reply.headers.get("Accept") == "application/sdp"


def test_an_encoded_body_gets_415() -> None:
    extra = "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n"
    reply = only(message(extra=extra, body="hello"))
    assert reply.status == 415
    assert reply.headers.get("Accept-Encoding") == "identity"


def test_a_body_that_may_be_skipped_is_no_reason_to_refuse() -> None:
    extra = "Content-Type: text/plain\r\nContent-Disposition: icon; handling=optional\r\n"
    assert [r.status for r in ask(make(), message(extra=extra, body="hello"))] == [100]


@pytest.mark.parametrize("uri", ["mailto:bob@x", "http://x/", "urn:service:sos"])
def test_another_scheme_gets_416(uri: str) -> None:
    assert only(message(uri=uri)).status == 416


@pytest.mark.parametrize("uri", ["sip:bob@x", "SIP:bob@x", "sips:bob@x", "tel:+15550100"])
def test_the_schemes_of_calls_are_taken(uri: str) -> None:
    assert [r.status for r in ask(make(), message(uri=uri))] == [100]


def test_an_invite_that_must_not_be_forwarded_gets_483() -> None:
    assert only(message(extra="Max-Forwards: 0\r\n")).status == 483


def test_options_that_must_not_be_forwarded_is_answered_here() -> None:
    assert only(message("OPTIONS", extra="Max-Forwards: 0\r\n")).status == 200


def test_another_version_gets_505() -> None:
    assert only(message(version="SIP/7.0")).status == 505


@pytest.mark.parametrize(
    "data",
    [
        message(cseq="x INVITE"),
        message(cseq="1 BYE"),
        message(to="<sip:bob"),
        message(contact=""),
        message(contact="Contact: <mailto:a@x>\r\n"),
        message().replace(b"Content-Length: 0", b"Content-Length: 5"),
        message().replace(b"Content-Length: 0", b"Content-Length: -1"),
        message(extra='Require: a, "\r\n'),
    ],
)
def test_a_malformed_request_gets_400(data: bytes) -> None:
    assert only_bytes(data).startswith(b"SIP/2.0 400 ")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0",
        b"\0\0\0\0",
        b"hello",
        b"\xff" * 1000,
        message("ACK"),
        message("ACK", to="<sip:bob@127.0.0.2>;tag=unknown"),
        message("ACK", cseq="x ACK"),
        message().replace(b"INVITE sip:bob@127.0.0.2 SIP/2.0", b"SIP/2.0 200 OK"),
        b"SIP/2.0 999 X\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_some_messages_get_no_answer_and_are_counted(data: bytes) -> None:
    stack = make()
    assert stack.receive(data, SOURCE, 0.0) == []
    assert stack.ignored == 1
    assert stack.defects == 0
    assert not any(stack.counts().values())


def test_a_malformed_ack_is_never_answered() -> None:
    assert ask(make(), message("ACK", version="SIP/7.0")) == []


def test_the_same_refused_request_gets_the_same_answer_again() -> None:
    stack = make()
    data = message("REGISTER")
    assert stack.receive(data, SOURCE, 0.0) == stack.receive(data, SOURCE, 1.0)


# ------------------------------------------------------------------ where responses go


def test_with_rport_the_response_goes_to_the_source_and_says_so() -> None:
    outputs = make().receive(message("OPTIONS"), SOURCE, 0.0)
    assert isinstance(outputs[0], SendMessage)
    assert outputs[0].destination == SOURCE
    via = parse(outputs[0].data).via
    assert (via.received, via.rport, via.branch) == ("192.0.2.9", 6543, "z9hG4bK1")


@pytest.mark.parametrize(
    ("via", "port"),
    [
        ("SIP/2.0/UDP 10.0.0.1:5099;branch=z9hG4bK1", 5099),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", 5060),
        ("SIP/2.0/UDP phone.example:5099;branch=z9hG4bK1;maddr=192.0.2.66", 5099),
    ],
)
def test_without_rport_it_goes_to_the_source_address_and_the_port_of_the_via(via: str, port: int) -> None:
    outputs = make().receive(message("OPTIONS", via=via), SOURCE, 0.0)
    assert isinstance(outputs[0], SendMessage)
    assert outputs[0].destination == Endpoint("UDP", "192.0.2.9", port)
    assert parse(outputs[0].data).via.received == "192.0.2.9"


@pytest.mark.parametrize(
    "via",
    [
        "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1",
        "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=203.0.113.1;rport=9",
        "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=203.0.113.1;rport",
        "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport, SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK0;rport",
        "SIP / 2.0 / UDP 10.0.0.1 ;rport ; branch=z9hG4bK1",
    ],
)
def test_what_the_via_claims_about_its_source_is_overwritten(via: str) -> None:
    reply = only(message("OPTIONS", via=via))
    assert (reply.via.received, reply.via.rport) == ("192.0.2.9", 6543)
    assert len(reply.vias) == via.count("UDP")


def test_a_malformed_request_is_answered_to_the_port_of_its_via_too() -> None:
    data = message("OPTIONS", cseq="x", via="SIP/2.0/UDP 10.0.0.1:5099;branch=z9hG4bK1")
    outputs = make().receive(data, SOURCE, 0.0)
    assert isinstance(outputs[0], SendMessage)
    assert outputs[0].destination == Endpoint("UDP", "192.0.2.9", 5099)


def test_over_tcp_the_response_goes_back_on_the_connection() -> None:
    source = Endpoint("TCP", "192.0.2.9", 40000)
    data = message("OPTIONS", via="SIP/2.0/TCP 10.0.0.1:5099;branch=z9hG4bK1")
    outputs = make().receive(data, source, 0.0)
    assert isinstance(outputs[0], SendMessage)
    assert outputs[0].destination == source


def test_all_vias_and_record_routes_are_repeated_in_order() -> None:
    stack = make()
    via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;rport\r\nVia: SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK0"
    routes = "Record-Route: <sip:192.0.2.21;lr>\r\nRecord-Route: <sip:192.0.2.22;lr>\r\n"
    data = message(via=via, extra=f"{routes}Timestamp: 54\r\n")
    trying = ask(stack, data)[0]
    assert [v.branch for v in trying.vias] == ["z9hG4bK1", "z9hG4bK0"]
    assert (trying.record_routes, trying.headers.get("Timestamp")) == ([], "54")
    session = next(iter(stack._core.sessions))
    ringing = stack.ring(session, now=0.0)[0]
    assert isinstance(ringing, SendMessage)
    assert parse(ringing.data).record_routes == ["<sip:192.0.2.21;lr>", "<sip:192.0.2.22;lr>"]


# ------------------------------------------------------------------ limits


def numbered(number: int) -> bytes:
    return message(call_id=f"c{number}", via=f"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{number};rport")


def test_beyond_its_sessions_the_stack_answers_503_and_keeps_nothing() -> None:
    stack = make(max_sessions=3)
    statuses = [ask(stack, numbered(number))[0].status for number in range(10)]
    assert statuses == [100] * 3 + [503] * 7
    assert stack.counts()["sessions"] == stack.counts()["transactions"] == 3
    refused = ask(stack, numbered(11))[0]
    assert refused.headers.get("Retry-After") is not None


def test_a_session_that_ends_makes_room() -> None:
    stack = make(max_sessions=1)
    events = [e for e in stack.receive(numbered(1), SOURCE, 0.0) if isinstance(e, InviteReceived)]
    assert ask(stack, numbered(2))[0].status == 503
    stack.reject(events[0].session, status=486, now=0.0)
    assert ask(stack, numbered(3))[0].status == 100


def test_a_flood_of_refused_calls_does_not_fill_the_transactions() -> None:
    stack = make(max_sessions=10)
    for number in range(3000):
        for event in stack.receive(numbered(number), SOURCE, 0.0):
            if isinstance(event, InviteReceived):
                stack.reject(event.session, status=403, now=0.0)
    assert stack.counts()["transactions"] == 2 * 10 + 1024
    stack.handle_timeout(32.0)
    assert not any(stack.counts().values())


def test_calls_about_nothing_do_nothing() -> None:
    stack = make()
    assert stack.cancel("no", now=0) == []
    assert stack.ring("no", now=0) == []
    assert stack.accept("no", body=b"", now=0) == []
    assert stack.reject("no", status=486, now=0) == []
    assert stack.bye("no", now=0) == []
    assert stack.request("no", "INFO", now=0) == []
    assert stack.reinvite("no", b"", 0) == []
    assert stack.respond("no", 200, now=0) == []
    assert stack.transport_failed(SOURCE, now=0) == []
    assert stack.handle_timeout(0) == []
    assert stack.next_timeout() is None


@pytest.mark.parametrize("field", ["uri", "to", "from_", "call_id"])
def test_a_line_break_in_what_we_are_given_is_refused_and_leaves_nothing(field: str) -> None:
    stack = make()
    given: dict[str, Any] = {"uri": "sip:b@x", "to": "<sip:b@x>", "from_": "<sip:a@x>", "call_id": "c"}
    given[field] += "\r\nX: y"
    with pytest.raises(ValueError, match="line break"):
        stack.invite(destination=SOURCE, body=b"", now=0.0, **given)
    assert not any(stack.counts().values())


def test_a_lone_surrogate_in_what_we_are_given_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        make().invite(
            uri="sip:\ud800@x", to="<sip:b@x>", from_="<sip:a@x>", destination=SOURCE, body=b"", now=0
        )


def test_a_great_leap_in_time_sends_each_message_again_only_once() -> None:
    stack = make()
    for _ in range(5):
        stack.invite(uri="sip:b@x", to="<sip:b@x>", from_="<sip:a@x>", destination=SOURCE, body=b"", now=0.0)
    sent = [output for output in stack.handle_timeout(20.0) if isinstance(output, SendMessage)]
    assert len(sent) == 5
