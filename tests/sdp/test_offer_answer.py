from __future__ import annotations

import contextlib
import itertools
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cordboard.sdp import (
    PCMA,
    PCMU,
    Answer,
    Codec,
    MediaParameters,
    NoCommonCodec,
    SdpError,
    Section,
    VideoOffer,
    answer_offer,
    make_offer,
    parse,
    read_answer,
)
from cordboard.sdp.session import DIRECTIONS

BOTH = (PCMU, PCMA)


def offer(codecs: tuple[Codec, ...] = BOTH, *, direction: str = "sendrecv", version: int = 1) -> bytes:
    return make_offer(
        address="192.0.2.1", port=40_000, codecs=codecs, direction=direction, session_id=7, version=version
    )


def description(*lines: str, address: str = "192.0.2.9") -> bytes:
    head = ["v=0", f"o=- 5 5 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    return "\r\n".join([*head, *lines, ""]).encode()


def answer(
    body: bytes,
    codecs: tuple[Codec, ...] = BOTH,
    *,
    direction: str = "sendrecv",
    address: str = "192.0.2.1",
) -> Answer:
    return answer_offer(
        parse(body), address=address, port=40_002, codecs=codecs, session_id=9, direction=direction
    )


def read(body: bytes, sent: bytes | None = None) -> MediaParameters:
    return read_answer(sent or offer(), parse(body))


def test_an_offer_has_the_exact_lines_that_every_phone_understands() -> None:
    assert offer().decode().splitlines() == [
        "v=0",
        "o=- 7 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 40000 RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_a_second_offer_keeps_the_session_id_and_raises_the_version() -> None:
    first, second = parse(offer()).origin, parse(offer(version=2)).origin
    assert first is not None
    assert second is not None
    assert (first.session_id, first.version) == ("7", "1")
    assert (second.session_id, second.version) == ("7", "2")


def test_telephone_event_moves_when_a_codec_has_its_number() -> None:
    sent = parse(offer((Codec("PCMU", 101),))).media[0]
    assert sent.codecs() == [Codec("PCMU", 101), Codec("telephone-event", 96)]


def test_an_offer_without_dtmf_has_no_telephone_event() -> None:
    body = make_offer(address="::1", port=4000, codecs=BOTH, dtmf=False, session_id=1)
    assert b"telephone-event" not in body
    assert b"c=IN IP6 ::1\r\n" in body


def test_both_sides_agree() -> None:
    sent = offer()
    answered = answer(sent)
    assert answered.media == MediaParameters(
        address="192.0.2.1",
        port=40_000,
        rtcp_port=40_001,
        codec=PCMU,
        accepted=((0, "PCMU"), (8, "PCMA")),
        formats=BOTH,
        events=(Codec("telephone-event", 101),),
        ptime_ms=20,
        dtmf_send_type=101,
        dtmf_receive_type=101,
        sections=(Section("audio", "RTP/AVP", ("0", "8", "101"), active=True),),
    )
    assert read(answered.body, sent) == MediaParameters(
        address="192.0.2.1",
        port=40_002,
        rtcp_port=40_003,
        codec=PCMU,
        accepted=((0, "PCMU"), (8, "PCMA")),
        formats=BOTH,
        events=(Codec("telephone-event", 101),),
        ptime_ms=20,
        dtmf_send_type=101,
        dtmf_receive_type=101,
        sections=(Section("audio", "RTP/AVP", ("0", "8", "101"), active=True),),
    )


def test_our_preference_decides_in_an_answer() -> None:
    answered = answer(offer(), (PCMA, PCMU))
    assert answered.media.codec == PCMA
    assert b"m=audio 40002 RTP/AVP 8 0 101\r\n" in answered.body


def test_the_payload_types_of_the_offer_stay_in_the_answer() -> None:
    body = description(
        "m=audio 5004 RTP/AVP 111 98 96",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:98 pcma/8000",
        "a=rtpmap:96 telephone-event/8000",
    )
    answered = answer(body)
    assert b"m=audio 40002 RTP/AVP 98 96\r\n" in answered.body
    assert b"a=rtpmap:98 PCMA/8000\r\n" in answered.body
    assert answered.media.codec == Codec("PCMA", 98)
    assert (answered.media.dtmf_send_type, answered.media.dtmf_receive_type) == (96, 96)


def test_telephone_event_of_another_clock_rate_is_not_ours() -> None:
    body = description(
        "m=audio 5004 RTP/AVP 0 110 126",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
    )
    assert answer(body).media.dtmf_send_type == 126


def test_a_peer_without_telephone_event_gets_none() -> None:
    answered = answer(description("m=audio 5004 RTP/AVP 0"))
    assert answered.media.dtmf_send_type is None
    assert answered.media.dtmf_receive_type is None
    assert b"telephone-event" not in answered.body
    assert read(answered.body).dtmf_receive_type is None


def test_asymmetric_payload_types_are_sent_and_accepted() -> None:
    media = read(
        description(
            "m=audio 5004 RTP/AVP 97 100",
            "a=rtpmap:97 PCMU/8000",
            "a=rtpmap:100 telephone-event/8000",
        )
    )
    assert media.codec == Codec("PCMU", 97)
    assert media.accepted == ((0, "PCMU"), (8, "PCMA"), (97, "PCMU"))
    assert (media.dtmf_send_type, media.dtmf_receive_type) == (100, 101)


def test_a_number_that_is_ours_for_digits_is_not_accepted_as_speech() -> None:
    media = read(description("m=audio 5004 RTP/AVP 101", "a=rtpmap:101 PCMU/8000"))
    assert media.codec == Codec("PCMU", 101)
    assert media.accepted == ((0, "PCMU"), (8, "PCMA"))


def test_the_order_of_the_answerer_decides_what_we_send() -> None:
    assert read(description("m=audio 5004 RTP/AVP 8 0")).codec == PCMA


def test_rejected_sections_keep_their_place() -> None:
    body = description(
        "m=video 5006 RTP/AVP 31 34",
        "m=audio 5002 RTP/SAVP 0",
        "m=audio 5004 RTP/AVP 0",
        "m=audio 5008 RTP/AVP 0",
        "m=application 9 DTLS/SCTP 5000",
    )
    lines = [line for line in answer(body).body.decode().splitlines() if line.startswith("m=")]
    assert lines == [
        "m=video 0 RTP/AVP 31 34",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 40002 RTP/AVP 0",
        "m=audio 0 RTP/AVP 0",
        "m=application 0 DTLS/SCTP 5000",
    ]


def test_the_time_line_of_the_offer_is_repeated() -> None:
    body = offer().replace(b"t=0 0", b"t=3034423619 0")
    assert b"\r\nt=3034423619 0\r\n" in answer(body).body


@pytest.mark.parametrize(
    ("lines", "because"),
    [
        ([], "no media"),
        (["m=audio 5004 RTP/AVP 18 3"], "G729, GSM"),
        (["m=audio 5004 RTP/AVP 99"], "none that is named"),
        (["m=audio 0 RTP/AVP 0"], "port 0"),
        (["m=audio 1 RTP/AVP 0"], "port 1"),
        (["m=audio 5004 RTP/SAVP 0"], "RTP/SAVP"),
        (["m=audio 9 UDP/TLS/RTP/SAVPF 0"], "UDP/TLS/RTP/SAVPF"),
        (["m=video 5004 RTP/AVP 31"], "video"),
        (["m=audio 5004 RTP/AVP 0", "c=IN IP4 233.252.0.1/127"], "multicast"),
        (["m=audio 5004 RTP/AVP 0", "c=IN IP4 255.255.255.255"], "multicast"),
        (["m=audio 5004 RTP/AVP 0", "c=IN IP6 ::ffff:233.252.0.1"], "multicast"),
        (["m=audio 5004 RTP/AVP 0", "c=IN IP6 fe80::1%eth0"], "scoped"),
        (["m=audio 5004 RTP/AVP 0", f"c=IN IP6 fe80::1%{'e' * 60}"], "scoped"),
        (["m=audio 5004 RTP/AVP 0", "c=IN IP6 2001:db8::1"], "other IP version"),
        (["m=audio 5004 RTP/AVP 0", "c=IN IP4 phone.example"], "name"),
        (["m=audio 5004 RTP/AVP 0", "c=ATM NSAP 47"], "no address"),
        (["m=audio 5004 RTP/AVP 0", "a=rtpmap:0 PCMU/16000"], "no common codec"),
    ],
)
def test_an_offer_that_cannot_be_used_says_why(lines: list[str], because: str) -> None:
    with pytest.raises(NoCommonCodec, match=because):
        answer(description(*lines))


def test_an_offer_without_any_connection_line_cannot_be_used() -> None:
    with pytest.raises(NoCommonCodec, match="no address"):
        answer(b"v=0\r\nm=audio 5004 RTP/AVP 0\r\n")


def test_ipv6_is_negotiated_over_ipv6() -> None:
    body = make_offer(address="2001:db8::1", port=4000, codecs=BOTH, session_id=1)
    answered = answer(body, address="2001:db8::2")
    assert answered.media.address == "2001:db8::1"
    assert b"c=IN IP6 2001:db8::2\r\n" in answered.body


REVERSED = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@pytest.mark.parametrize(("theirs", "wanted"), list(itertools.product(DIRECTIONS, DIRECTIONS)))
def test_an_answer_takes_what_the_offer_leaves_of_what_we_want(theirs: str, wanted: str) -> None:
    answered = answer(offer(direction=theirs), direction=wanted)
    ours = answered.media.direction
    far = REVERSED[theirs]
    assert answered.media.sending == (far in ("sendrecv", "sendonly") and wanted in ("sendrecv", "sendonly"))
    assert answered.media.receiving == (
        far in ("sendrecv", "recvonly") and wanted in ("sendrecv", "recvonly")
    )
    assert f"a={ours}\r\n".encode() in answered.body
    # The offerer reads the mirror image.
    assert read(answered.body, offer(direction=theirs)).direction == REVERSED[ours]


def test_hold_is_answered_with_recvonly() -> None:
    assert answer(offer(direction="sendonly")).media.direction == "recvonly"


def test_hold_by_the_zero_address_stops_our_sending() -> None:
    answered = answer(description("m=audio 5004 RTP/AVP 0", address="0.0.0.0"))
    assert answered.media.direction == "recvonly"
    assert (answered.media.address, answered.media.rtcp_port) == ("0.0.0.0", 0)


def test_a_direction_of_the_session_holds_for_its_sections() -> None:
    body = description("a=inactive", "m=audio 5004 RTP/AVP 0")
    assert answer(body).media.direction == "inactive"


@pytest.mark.parametrize(
    ("attributes", "ptime"),
    [
        ([], 20),
        (["a=ptime:30"], 30),
        (["a=ptime:20.0"], 20),
        (["a=ptime:0"], 20),
        (["a=ptime:-20"], 20),
        (["a=ptime:x"], 20),
        (["a=ptime:5"], 10),
        (["a=ptime:1000"], 60),
        (["a=ptime:99999999999"], 20),
        (["a=maxptime:99999999999"], 20),
        (["a=maxptime:150"], 20),
        (["a=maxptime:10"], 10),
        (["a=ptime:40", "a=maxptime:30"], 30),
        (["a=maxptime:0"], 20),
    ],
)
def test_the_packet_time_follows_ptime_and_maxptime_within_reason(attributes: list[str], ptime: int) -> None:
    answered = answer(description("m=audio 5004 RTP/AVP 0", *attributes))
    assert answered.media.ptime_ms == ptime
    assert f"a=ptime:{ptime}\r\n".encode() in answered.body


@pytest.mark.parametrize(
    ("port", "attribute", "expected"),
    [
        (5004, "a=rtcp:5999", 5999),
        (5004, "a=rtcp:5999 IN IP4 192.0.2.9", 5999),
        (5004, "a=rtcp:1", 0),
        (5004, "a=rtcp:x", 5005),
        (5004, "a=rtcp:99999", 0),
        (65_535, "a=x", 0),
    ],
)
def test_the_rtcp_port_is_the_named_one_or_the_next(port: int, attribute: str, expected: int) -> None:
    assert answer(description(f"m=audio {port} RTP/AVP 0", attribute)).media.rtcp_port == expected


@pytest.mark.parametrize(
    "lines",
    [
        ["m=audio 0 RTP/AVP 0"],
        ["m=audio 5004 RTP/AVP 18"],
        ["m=audio 5004 RTP/AVP 101"],
        ["m=audio 5004 RTP/SAVP 0"],
        ["m=audio 5004 RTP/AVP 0", "c=IN IP4 233.252.0.1"],
    ],
)
def test_an_answer_that_rejects_the_stream_is_no_common_codec(lines: list[str]) -> None:
    with pytest.raises(NoCommonCodec):
        read(description(*lines))


def test_an_answer_without_media_is_an_sdp_error() -> None:
    with pytest.raises(SdpError, match="no section"):
        read(description())


def test_an_offer_may_be_given_as_a_description() -> None:
    body = description("m=audio 5004 RTP/AVP 0")
    assert read_answer(parse(offer()), parse(body)) == read(body)


BOMBS = {
    "500 media": description(*["m=audio 4000 RTP/AVP 0"] * 500),
    "5,000 rtpmaps": description("m=audio 4000 RTP/AVP 0", *(f"a=rtpmap:{n} X/1" for n in range(5000))),
    "1,000 rtpmaps": description(
        "m=audio 4000 RTP/AVP 0", *(f"a=rtpmap:{n % 128} X/8000" for n in range(1000))
    ),
    "one number with 1,000 names": description(
        "m=audio 4000 RTP/AVP 97", *(f"a=rtpmap:97 X{n}/8000" for n in range(1000))
    ),
    "32 media with 30 lines each": description(
        *["m=audio 4000 RTP/AVP 0", *["a=rtpmap:97 X/8000"] * 30] * 32
    ),
    "a long media line": description("m=audio 4000 RTP/AVP " + "9 " * 30_000),
    "a long media line that ends badly": description("m=audio 4000 RTP/AVP " + "9" * 60_000 + "\u00e9"),
    "a rate of zero": description("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/0"),
    "1,000 keys": description(
        "m=audio 4000 RTP/SAVP 0", *(f"a=crypto:{n} X inline:{n}" for n in range(1000))
    ),
    "a long key": description(
        "m=audio 4000 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 60_000
    ),
    "9,000 parameters": description(
        "m=audio 4000 RTP/AVP 97", "a=rtpmap:97 opus/48000", "a=fmtp:97 " + "a=1;" * 9_000
    ),
    "1,000 kinds of feedback": description("m=video 4000 RTP/AVP 97", *["a=rtcp-fb:97 nack pli"] * 1000),
    "a long number": description("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 X/" + "9" * 60_000),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_ignored_at_once(name: str) -> None:
    fastest = min(_time_of_negotiation(BOMBS[name]) for _ in range(3))
    assert fastest < 0.020


def _time_of_negotiation(body: bytes) -> float:
    begun = time.perf_counter()
    _negotiate_or_refuse(body)
    return time.perf_counter() - begun


VALUES = st.text("0123456789 abPCMUA/.:-%", max_size=16)
LINES = st.one_of(
    st.builds("m={} {} {} {}".format, st.sampled_from(["audio", "video"]), st.integers(0, 65_600),
              st.sampled_from(["RTP/AVP", "RTP/SAVP"]), st.lists(st.integers(0, 130), max_size=4).map(
                  lambda types: " ".join(map(str, types)))),
    st.builds("c=IN IP4 {}".format, st.ip_addresses().map(str) | VALUES),
    st.builds("a={}:{}".format, st.sampled_from(["rtpmap", "ptime", "maxptime", "rtcp", "fmtp"]), VALUES),
    st.builds("a=rtpmap:{} {}/{}".format, st.integers(0, 130), st.sampled_from(["PCMU", "telephone-event"]),
              st.sampled_from([0, 8000, 48000])),
    st.sampled_from([f"a={direction}" for direction in DIRECTIONS]),
)  # fmt: skip


@given(st.lists(LINES, max_size=12), st.sampled_from(DIRECTIONS))
@example(["m=audio 4000 RTP/AVP 0"], "sendrecv")
@settings(max_examples=200)
def test_whatever_is_offered_the_answer_fits_it(lines: list[str], direction: str) -> None:
    answered = _negotiate_or_refuse(description(*lines), direction)
    if answered is None:
        return
    theirs = parse(description(*lines))
    ours = parse(answered.body)
    assert [section.kind for section in ours.media] == [section.kind for section in theirs.media]
    assert sum(section.port != 0 for section in ours.media) == 1
    used = next(n for n, section in enumerate(ours.media) if section.port)
    assert set(ours.media[used].formats) <= set(theirs.media[used].formats)
    assert 1024 <= answered.media.port <= 65_535
    assert answered.media.codec.name in ("PCMU", "PCMA")


def _negotiate_or_refuse(body: bytes, direction: str = "sendrecv") -> Answer | None:
    """Both directions of the exchange; None when it was refused in the documented way."""
    try:
        session = parse(body)
    except SdpError:
        return None
    with contextlib.suppress(SdpError):
        read_answer(offer(direction=direction), session)
    try:
        return answer_offer(
            session,
            address="192.0.2.1",
            port=40_002,
            codecs=BOTH,
            session_id=9,
            direction=direction,
            encryption="optional",
            new_key=bytes,
            video=VideoOffer(port=40_004),
        )
    except NoCommonCodec:
        return None
