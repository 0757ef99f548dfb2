from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sdp import MediaDescription, Origin, SdpError, SessionDescription, parse, serialise
from cordboard.sdp.codec import Codec, parse_rtpmap, rtpmap
from cordboard.sdp.session import MAX_FORMATS, _head, _ordinary_head

PHONE = b"""v=0\r
o=alice 2890844526 2890844527 IN IP4 192.0.2.10\r
s=A call\r
i=ignored\r
c=IN IP4 192.0.2.10\r
b=AS:64\r
t=0 0\r
a=sendonly\r
m=audio 49170 RTP/AVP 0 8 97 101\r
a=rtpmap:97 iLBC/8000\r
a=rtpmap:101 Telephone-Event/8000\r
a=ptime:30\r
m=video 51372 RTP/AVP 31\r
c=IN IP6 2001:db8::1\r
a=recvonly\r
"""


def test_reads_a_description_of_a_phone() -> None:
    session = parse(PHONE)
    audio, video = session.media
    assert session.origin == Origin("alice", "2890844526", "2890844527", "192.0.2.10")
    assert (session.name, session.timing, session.address) == ("A call", "0 0", "192.0.2.10")
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == (
        "audio",
        49170,
        "RTP/AVP",
        ["0", "8", "97", "101"],
    )
    assert audio.attribute("ptime") == "30"
    assert audio.attribute("maxptime") is None
    assert session.attribute("sendonly") == ""
    assert session.address_of(audio) == "192.0.2.10"
    assert session.address_of(video) == "2001:db8::1"
    assert (session.direction_of(audio), session.direction_of(video)) == ("sendonly", "recvonly")


def test_formats_become_codecs_by_rtpmap_and_by_the_static_table() -> None:
    audio = parse(PHONE).media[0]
    assert audio.codecs() == [
        Codec("PCMU", 0),
        Codec("PCMA", 8),
        Codec("ILBC", 97),
        Codec("telephone-event", 101),
    ]


def test_line_ends_may_be_lf_alone_and_blank_lines_may_follow() -> None:
    assert parse(PHONE.replace(b"\r\n", b"\n") + b"\n\r\n") == parse(PHONE)


def test_a_user_name_with_spaces_and_missing_s_and_t_are_tolerated() -> None:
    session = parse(b"v=0\r\no=John A. Doe 1 2 IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n")
    assert session.origin == Origin("John A. Doe", "1", "2", "192.0.2.1")
    assert (session.name, session.timing) == ("-", "0 0")


def test_the_port_count_and_the_ttl_are_left_out() -> None:
    session = parse(b"v=0\r\nc=IN IP4 233.252.0.1/127/3\r\nm=audio 4000/2 RTP/AVP 0\r\n")
    assert session.media[0].port == 4000
    assert session.address == "233.252.0.1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"v=1\r\n",
        b"o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n",
        b"v=0\r\no=- 1 1 IN\r\n",
        b"v=0\r\nc=IN IP4\r\n",
        b"v=0\r\nno line of sdp\r\n",
        b"v=0\r\n\r\nm=audio 4000 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio 4000 RTP/AVP 0\r\nno line of sdp\r\n",
        b"v=0\r\nm=audio 4000 RTP/AVP\r\n",
        b"v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio -1 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio x RTP/AVP 0\r\n",
        b"v=0\r\ns=a\rb\r\n",
        b"v=0\r\ns=a\0b\r\n",
        b"v=0\r\n" + b"a=x\r\n" * 1024,
        b"v=0\r\n" + b"m=audio 4000 RTP/AVP 0\r\n" * 33,
        b"v=0\r\ns=" + b"x" * 65_530,
    ],
)
def test_what_is_no_description_is_an_sdp_error(body: bytes) -> None:
    with pytest.raises(SdpError):
        parse(body)


def test_formats_beyond_the_limit_are_dropped() -> None:
    formats = b" ".join(b"%d" % number for number in range(100))
    assert len(parse(b"v=0\r\nm=audio 4000 RTP/AVP " + formats + b"\r\n").media[0].formats) == MAX_FORMATS


@pytest.mark.parametrize(
    "value",
    ["", "0", "0 PCMU", "0 PCMU/0", "0 PCMU/-1", "0 /8000", "128 PCMU/8000", "0 PCMU/9999999", "0 A/8000/0",
     "0 A/8000/1/1", "\u00b2 PCMU/8000", "0 PCMU/8000/x", "x PCMU/8000", f"96 {'A' * 200}/8000"],
)  # fmt: skip
def test_an_absurd_rtpmap_means_nothing(value: str) -> None:
    assert parse_rtpmap(value) is None


def test_an_rtpmap_keeps_rate_and_channels() -> None:
    assert parse_rtpmap("111 opus/48000/2") == Codec("OPUS", 111, 48000, 2)
    assert rtpmap(Codec("OPUS", 111, 48000, 2)) == "111 opus/48000/2"


TOKENS = st.text("abcdefgXYZ0189-+./", min_size=1, max_size=12)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=20)
ADDRESSES = st.ip_addresses().map(str)
ATTRIBUTES = st.lists(st.tuples(TOKENS, st.just("") | TEXT), max_size=6)
MEDIA = st.builds(
    MediaDescription,
    kind=TOKENS,
    port=st.integers(0, 65_535),
    protocol=TOKENS,
    formats=st.lists(TOKENS, min_size=1, max_size=5),
    address=st.none() | ADDRESSES,
    attributes=ATTRIBUTES,
)
SESSIONS = st.builds(
    SessionDescription,
    origin=st.builds(Origin, username=TOKENS, session_id=TOKENS, version=TOKENS, address=ADDRESSES),
    name=TEXT,
    address=st.none() | ADDRESSES,
    timing=st.just("0 0") | st.just("3034423619 3042462419"),
    attributes=ATTRIBUTES,
    media=st.lists(MEDIA, max_size=4),
)


@given(SESSIONS)
@settings(max_examples=150)
def test_what_is_written_reads_back_the_same(session: SessionDescription) -> None:
    assert parse(serialise(session)) == session


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_bytes_of_any_kind_raise_nothing_but_an_sdp_error(body: bytes) -> None:
    _parse_or_refuse(body)
    _parse_or_refuse(b"v=0\r\n" + body)


@given(st.lists(st.tuples(st.sampled_from("vosiuepcbtrzkam"), TEXT), max_size=20))
@settings(max_examples=200)
def test_lines_of_any_content_raise_nothing_but_an_sdp_error(lines: list[tuple[str, str]]) -> None:
    _parse_or_refuse("\r\n".join(["v=0", *(f"{kind}={value}" for kind, value in lines)]).encode())


def _parse_or_refuse(body: bytes) -> None:
    try:
        session = parse(body)
    except SdpError:
        return
    for media in session.media:
        media.codecs()
        assert session.direction_of(media)


WORDS = ["m=audio", " ", "4000", "00400", "99999", "4000/2", "RTP/AVP", "0", "8 101", "\n", "a=rtpmap:101 "]
WORDS += [
    "telephone-event/8000",
    "a=ptime:20",
    "c=IN IP4 192.0.2.1",
    "b=AS:64",
    "x",
    "m=",
    "=",
    "\nm=audio 4000 ",
]


@given(st.lists(st.sampled_from(WORDS), max_size=14).map("".join).map(str.rstrip))
@settings(max_examples=200)
def test_a_short_section_reads_like_a_long_one_which_is_never_remembered(text: str) -> None:
    start = f"v=0\nm=audio 4000 RTP/AVP 0\nm=audio 5000 {text}"
    assert outcome(start) == outcome(f"{start}\na=pad:{'0' * 1024}")


def outcome(text: str) -> object:
    try:
        session = parse(text.encode())
    except SdpError as error:
        return str(error)
    last = session.media[-1]
    last.attributes = [pair for pair in last.attributes if pair[0] != "pad"]
    return session, [media.codecs() for media in session.media]


SCRAPS = st.text(st.sampled_from("ab1 /:-.\t\u00e9\u2003"), max_size=8)
HEADS = st.builds(
    "v=0\no={} {} {} IN IP4 {}\ns={}\nc=IN IP4 {}\nt={}".format,
    *[SCRAPS] * 6,
    st.sampled_from(["0 0", "1 2", "x", "0 0 "]),
)


@given(HEADS)
def test_what_is_read_at_once_is_read_the_same_line_by_line(head: str) -> None:
    at_once = _ordinary_head(head)
    if at_once is not None:
        assert at_once == _head(head)


def test_the_head_of_nearly_everybody_is_read_at_once() -> None:
    head = "v=0\no=alice 2890844526 2890844527 IN IP4 192.0.2.10\ns=-\nc=IN IP4 192.0.2.10\nt=0 0"
    assert _ordinary_head(head) == _head(head)
    assert _ordinary_head(head) is not None
