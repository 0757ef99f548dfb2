"""Whatever stands in the headers that extensions read, nothing raises, and a call still ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sip.credentials import Credentials
from cordboard.sip.events import Event, InviteReceived, Output, RefreshDue
from cordboard.sip.stack import SipStack
from cordboard.testing.raw_peer import RawPeer
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER
from cordboard.testing.wire import Wire

NAMES = st.sampled_from(
    [
        "RSeq",
        "RAck",
        "Require",
        "Supported",
        "Allow",
        "Session-Expires",
        "Min-SE",
        "Retry-After",
        "WWW-Authenticate",
        "Proxy-Authenticate",
        "Contact",
        "Record-Route",
    ]
)
VALUES = st.sampled_from(
    """100rel|timer|1|2|90;refresher=uas|1 1 INVITE|UPDATE|0|"|<|99999999999999999999999||Digest|
    Digest realm="r",nonce="n"|Digest realm="r",nonce="m",stale=true|<sip:b@127.0.0.2>""".replace(
        "\n", ""
    ).split("|")
) | st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from([180, 183, 200, 401, 407, 422, 491, 500]), HEADERS), max_size=6)


def lines(headers: list[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode()


def with_lines(data: bytes, headers: list[tuple[str, str]]) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n" + lines(headers) + b"\r\n" + body


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_caller_survives_any_answer(steps: list[tuple[int, list[tuple[str, str]]]]) -> None:
    wire = Wire()
    serial = iter(range(1, 100_000))
    alice = SipStack(local=ALICE, token=lambda: f"{next(serial):08x}")

    def react(event: Event, now: float) -> list[Output]:
        return alice.refresh(event.session, OFFER, now) if isinstance(event, RefreshDue) else []

    wire.attach(alice, ALICE, react)
    peer = RawPeer(wire, BOB)
    session, outputs = alice.invite(
        uri="sip:bob@127.0.0.2",
        to="<sip:bob@127.0.0.2>",
        from_="<sip:alice@127.0.0.1>",
        destination=BOB,
        body=OFFER,
        credentials=Credentials(username="u", password="p"),
        session_expires=100,
        now=0,
    )
    wire.put(ALICE, outputs)
    wire.run(0)
    for status, headers in steps:
        request = [request for request in peer.requests if request.method != "ACK"][-1]
        peer.send(ALICE, with_lines(request.response(status, to_tag="b").to_bytes(), headers))
        wire.run(20)
    wire.put(ALICE, alice.bye(session, now=wire.now))
    wire.run_until_quiet()
    assert not any(alice.counts().values())
    assert alice.defects == 0, alice.last_defect


METHODS = st.sampled_from(["PRACK", "UPDATE", "INVITE", "INFO", "REFER", "NOTIFY", "ACK", "CANCEL"])


@settings(max_examples=150, deadline=None)
@given(HEADERS, st.booleans(), st.lists(st.tuples(METHODS, HEADERS), max_size=5))
def test_a_callee_survives_any_request(
    invited: list[tuple[str, str]], early: bool, steps: list[tuple[str, list[tuple[str, str]]]]
) -> None:
    wire = Wire()
    serial = iter(range(1, 100_000))
    bob = SipStack(local=BOB, token=lambda: f"{next(serial):08x}")

    def react(event: Event, now: float) -> list[Output]:
        if isinstance(event, InviteReceived):
            rung = bob.ring(event.session, status=183, body=ANSWER, now=now)
            return rung if early else [*rung, *bob.accept(event.session, body=ANSWER, now=now)]
        return bob.refresh(event.session, OFFER, now) if isinstance(event, RefreshDue) else []

    wire.attach(bob, BOB, react)
    peer = RawPeer(wire, ALICE)
    via = f"SIP/2.0/UDP {ALICE.host_port};branch=z9hG4bK"
    to = "<sip:bob@127.0.0.2>"
    for number, (method, headers) in enumerate([("INVITE", invited), *steps], start=1):
        head = (
            f"{method} sip:bob@127.0.0.2 SIP/2.0\r\nVia: {via}{number}\r\nFrom: <sip:a@x>;tag=1\r\n"
            f"To: {to}\r\nCall-ID: c\r\nCSeq: {number} {method}\r\n"
        )
        peer.send(BOB, head.encode() + lines(headers) + b"Content-Length: 0\r\n\r\n")
        wire.run(5)
        tags = [event.session for _, _, event in wire.events if isinstance(event, InviteReceived)]
        to = f"<sip:bob@127.0.0.2>;tag={tags[0]}" if tags else to
    sessions = {event.session for _, _, event in wire.events}
    for session in sessions:
        wire.put(BOB, bob.bye(session, now=wire.now))
    wire.run_until_quiet()
    assert not any(bob.counts().values())
    assert bob.defects == 0, bob.last_defect
