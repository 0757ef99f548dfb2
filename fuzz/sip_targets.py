"""SIP: streams, messages, whole stacks, legs, digests and session descriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from cordboard.call.effects import AnswerLeg
from cordboard.legs.outputs import CallOffered
from cordboard.legs.rules import LegRules
from cordboard.legs.sip_legs import Identity, SipLegs
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import PCMA, PCMU, SdpError, answer_offer, make_offer, new_keys, read_answer
from cordboard.sdp import parse as parse_sdp
from cordboard.sip import auth, events
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.framer import FramingError, KeepAlive, StreamFramer
from cordboard.sip.headers import HeaderError
from cordboard.sip.message import MessageError, Request, parse
from cordboard.sip.stack import SipStack

OURS = Endpoint("UDP", "192.0.2.1", 5060)
FAR = Endpoint("UDP", "192.0.2.2", 5060)
_SEPARATOR = b"\n---\n"
_POLICIES = ("mandatory", "optional", "forbidden")


def framer(data: bytes) -> None:
    """However a stream is split, the same messages come out, and each has the length that it says."""
    whole, pieces = StreamFramer(), StreamFramer()
    together, apart = _cut(whole, [data]), _cut(pieces, [data[n : n + 7] for n in range(0, len(data), 7)])
    assert together == apart


def _cut(one: StreamFramer, pieces: list[bytes]) -> list[bytes]:
    messages: list[bytes] = []
    try:
        for piece in pieces:
            for item in one.feed(piece):
                if not isinstance(item, KeepAlive):
                    messages.append(item)
    except FramingError as error:
        error.response()
    return messages


def message(data: bytes) -> None:
    """A message is read, or refused; what is read can be written and answered."""
    try:
        read = parse(data)
    except MessageError:
        return
    again = read.to_bytes()
    assert again
    for name in ("via", "from", "to", "contact", "route", "record-route", "reason", "session-expires"):
        read.headers.get(name)
    if isinstance(read, Request):
        try:
            read.response(200, to_tag="t").to_bytes()
        except HeaderError:
            return


def stack() -> Callable[[bytes], None]:
    """A stack is sent anything, over UDP and TCP, and time passes."""

    def run(data: bytes) -> None:
        machine = SipStack(local=OURS, also=(OURS._replace(transport="TCP"),), token=_tokens())
        for number, piece in enumerate(data.split(_SEPARATOR)):
            machine.receive(piece, FAR if number % 2 else FAR._replace(transport="TCP"), float(number))
        machine.handle_timeout(100.0)
        assert machine.defects == 0, machine.last_defect

    return run


def dialog() -> Callable[[bytes], None]:
    """An established session is sent anything."""

    def run(data: bytes) -> None:
        machine = SipStack(local=OURS, token=_tokens())
        [invited] = [
            one for one in machine.receive(INVITE, FAR, 0.0) if isinstance(one, events.InviteReceived)
        ]
        machine.accept(invited.session, body=_SDP, now=0.1)
        for number, piece in enumerate(data.split(_SEPARATOR)):
            for event in machine.receive(piece, FAR, 1.0 + number):
                if isinstance(event, events.ReinviteReceived | events.RequestReceived):
                    machine.respond(event.transaction, 200, body=_SDP, now=1.0 + number)
        machine.handle_timeout(100.0)
        assert machine.defects == 0, machine.last_defect

    return run


def legs() -> Callable[[bytes], None]:
    """Answered legs are sent anything."""

    def run(data: bytes) -> None:
        tokens = _tokens()
        machine = SipStack(local=OURS, token=tokens)
        ours = Identity(new_id=tokens, node_id="n", project_id="p", space_id="s", domain="example.com")
        all_legs = SipLegs(machine, ours, may_call=lambda _: True, max_legs=10, rules=LegRules())
        for number, piece in enumerate([INVITE, *data.split(_SEPARATOR)]):
            now = float(number)
            for output in all_legs.receive(piece, FAR, now):
                if isinstance(output, CallOffered):
                    _answer(all_legs, output.call_id, now)
        all_legs.handle_timeout(100.0)
        assert machine.defects == 0, machine.last_defect

    return run


def _answer(all_legs: SipLegs, call_id: str, now: float) -> None:
    all_legs.accept_offer(call_id)
    all_legs.media_opened(EndpointOpened(endpoint_id=call_id, address=OURS.address, port=10_000), now)
    all_legs.answer(call_id, AnswerLeg(), now)


def digest(data: bytes) -> None:
    """Challenges and credentials are read, or passed over."""
    text = data.decode("utf-8", "surrogateescape")
    chosen = auth.strongest(auth.read_challenges(text.split("\n")))
    if chosen is not None:
        assert chosen.realm is not None
    offered = auth.read_credentials(text)
    if offered is not None and chosen is not None:
        auth.verify(chosen, offered, password="secret", method="INVITE", body=data)


def sdp(data: bytes) -> None:
    """A description is answered under every policy, and read as an answer, or refused."""
    try:
        description = parse_sdp(data)
    except SdpError:
        return
    keys = new_keys(_key)
    for encryption in _POLICIES:
        try:
            answer_offer(
                description,
                address=OURS.address,
                port=10_000,
                codecs=(PCMU, PCMA),
                session_id=1,
                encryption=encryption,
                new_key=_key,
            )
        except SdpError:
            continue
    for profile in ("RTP/AVP", "RTP/SAVP", "both"):
        crypto = keys if profile != "RTP/AVP" else ()
        offer = make_offer(
            address=OURS.address, port=4000, codecs=(PCMU,), session_id=1, crypto=crypto, profile=profile
        )
        try:
            read_answer(offer, description, encryption="optional")
        except SdpError:
            continue


def _key(length: int) -> bytes:
    return bytes(range(length))


def _tokens() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{next(numbers):08x}"


# ---------------------------------------------------------------- seeds

_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
_KEY = b"Signal=5\r\nDuration=160\r\n"
_SECURE = _SDP.replace(b"RTP/AVP", b"RTP/SAVP") + (
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n"
)


def _request(
    method: str, cseq: int, *more: str, body: bytes = b"", tag: str = "", by: str = "z9hG4bKa"
) -> bytes:
    lines = [
        f"{method} sip:bob@192.0.2.1 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{method}{cseq}",
        "Max-Forwards: 70",
        "From: <sip:alice@192.0.2.2>;tag=far",
        f"To: <sip:bob@192.0.2.1>{tag and ';tag=' + tag}",
        "Call-ID: fuzz",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:alice@192.0.2.2>",
        *more,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


INVITE = _request("INVITE", 1, "Supported: timer, 100rel", "Content-Type: application/sdp", body=_SDP)


def _our_tag() -> str:
    """The tag that a stack gives to the call of `INVITE`: token sources here count."""
    machine = SipStack(local=OURS, token=_tokens())
    outputs = machine.accept(_invited(machine).session, body=_SDP, now=0.1)
    [sent] = [one for one in outputs if isinstance(one, events.SendMessage)]
    return parse(sent.data).to.tag or ""


def _invited(machine: SipStack) -> events.InviteReceived:
    outputs = machine.receive(INVITE, FAR, 0.0)
    return next(one for one in outputs if isinstance(one, events.InviteReceived))


def dialog_seeds() -> Iterator[bytes]:
    """What happens inside a dialog."""
    tag = _our_tag()
    ack = _request("ACK", 1, tag=tag)
    sdp_type = "Content-Type: application/sdp"
    inside = [
        _request("INVITE", 2, sdp_type, body=_SDP + b"a=sendonly\r\n", tag=tag),
        _request("UPDATE", 2, "Session-Expires: 90;refresher=uac", tag=tag),
        _request(
            "INFO", 2, "Content-Type: application/dtmf-relay", body=b"Signal=5\r\nDuration=160\r\n", tag=tag
        ),
        _request("INFO", 2, "Content-Type: application/dtmf", body=b"5", tag=tag),
        _request("REFER", 2, "Refer-To: <sip:carol@192.0.2.3>", tag=tag),
        _request("REFER", 2, "Refer-To: <sip:c@h?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", tag=tag),
        _request(
            "NOTIFY", 2, "Event: refer", "Content-Type: message/sipfrag", body=b"SIP/2.0 200 OK", tag=tag
        ),
        _request("PRACK", 2, "RAck: 1 1 INVITE", tag=tag),
        _request("BYE", 2, 'Reason: Q.850;cause=16;text="x"', tag=tag),
        _request("INVITE", 2, sdp_type, body=_SECURE, tag=tag),
    ]
    for message_ in inside:
        yield ack + _SEPARATOR + message_
    yield _SEPARATOR.join([ack, *inside])


def digest_seeds() -> Iterator[bytes]:
    """Challenges and credentials."""
    yield b'Digest realm="a", nonce="n", algorithm=MD5, qop="auth,auth-int", opaque="o"'
    yield b'Digest realm="a", nonce="n", algorithm=SHA-256, stale=true\nDigest realm="a",nonce="m"'
    counted = b', nc=00000001, cnonce="c", qop=auth'
    yield b'Digest username="u", realm="a", nonce="n", uri="sip:x", response="00"' + counted


def sdp_seeds() -> Iterator[bytes]:
    """Offers of many kinds."""
    yield _SDP
    yield _SECURE
    yield _SDP + b"a=crypto:1 AEAD_AES_256_GCM_8 inline:" + b"A" * 60 + b"\r\n"
    yield _SDP + b"m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack pli\r\n"
    yield (
        _SDP.replace(b"0 101", b"96 9 101")
        + b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=ptime:60\r\n"
    )
