"""From a list of wishes to an offer, and to what is agreed on: payload types, parameters, packet length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.codec_wish import read_codecs
from cordboard.sdp import (
    G722,
    G729,
    PCMA,
    PCMU,
    SPOKEN,
    Codec,
    MediaParameters,
    Ours,
    answer_offer,
    make_offer,
    parse,
    read_answer,
)
from cordboard.sdp import ours as offered

OPUS = Codec("OPUS", 96, 48000, 2)
EVENT = "telephone-event"


def wishes(text: str, **also: tuple[Codec, ...]) -> Ours:
    return offered(read_codecs(text).wishes, **also)


def offer(codecs: tuple[Codec, ...], ptime_ms: int = 20) -> bytes:
    return make_offer(address="192.0.2.1", port=40_000, codecs=codecs, session_id=7, ptime_ms=ptime_ms)


def theirs(*lines: str) -> bytes:
    head = ["v=0", "o=- 5 5 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
    return "\r\n".join([*head, *lines, ""]).encode()


def read(sent: bytes, *lines: str) -> MediaParameters:
    return read_answer(sent, parse(theirs(*lines)))


def answered(
    body: bytes, codecs: tuple[Codec, ...] = SPOKEN, ptime_ms: int = 20
) -> tuple[str, MediaParameters]:
    answer = answer_offer(
        parse(body), address="192.0.2.1", port=40_002, codecs=codecs, session_id=9, ptime_ms=ptime_ms
    )
    return answer.body.decode(), answer.media


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("PCMU,PCMA", ["0 PCMU/8000", "8 PCMA/8000", "101 telephone-event/8000"]),
        ("pcma", ["8 PCMA/8000", "101 telephone-event/8000"]),
        ("G722", ["9 G722/8000", "101 telephone-event/8000"]),
        (
            "OPUS@16000H@20I,PCMU",
            ["96 opus/48000/2", "0 PCMU/8000", "101 telephone-event/8000", "97 telephone-event/48000"],
        ),
        ("L16@8000h", ["96 L16/8000", "101 telephone-event/8000"]),
        ("L16", ["96 L16/16000", "101 telephone-event/8000", "97 telephone-event/16000"]),
        (
            "L16@48k,OPUS,L16@24k",
            [
                "96 L16/48000",
                "97 opus/48000/2",
                "98 L16/24000",
                "101 telephone-event/8000",
                "99 telephone-event/24000",
                "100 telephone-event/48000",
            ],
        ),
    ],
)
def test_each_wish_is_a_payload_type_of_its_own(text: str, lines: list[str]) -> None:
    body = offer(wishes(text).codecs).decode()
    assert [line[9:] for line in body.splitlines() if line.startswith("a=rtpmap:")] == lines


@pytest.mark.parametrize(
    ("text", "fmtp"),
    [
        ("OPUS", "useinbandfec=1"),
        ("OPUS@48000H@20I", "useinbandfec=1"),
        ("OPUS@16000H@20I", "useinbandfec=1; maxplaybackrate=16000; sprop-maxcapturerate=16000"),
        ("OPUS@8000H", "useinbandfec=1; maxplaybackrate=8000; sprop-maxcapturerate=8000"),
        ("OPUS@24000b", "useinbandfec=1; maxaveragebitrate=24000"),
    ],
)
def test_opus_says_what_it_wants_to_hear(text: str, fmtp: str) -> None:
    made = wishes(text)
    assert [codec.fmtp for codec in made.codecs] == [fmtp]
    assert f"a=fmtp:96 {fmtp}\r\n" in offer(made.codecs).decode()


@pytest.mark.parametrize(
    ("text", "unsupported"),
    [
        ("AMR-WB,PCMU", ("AMR-WB",)),
        ("G729,PCMU", ("G729",)),
        ("PCMU@16000H,PCMU", ("PCMU@16000H",)),
        ("OPUS@44100H,PCMU", ("OPUS@44100H",)),
        ("L16@44100H,PCMU", ("L16@44100H",)),
        ("L16@2c,PCMU", ("L16",)),
        ("VP8,PCMU,H264", ()),
    ],
)
def test_what_cannot_be_offered_is_named(text: str, unsupported: tuple[str, ...]) -> None:
    made = wishes(text)
    assert made.unsupported == unsupported
    assert made.codecs == (PCMU,)


def test_video_is_not_speech() -> None:
    assert wishes("VP8,PCMU,H264").video == ("VP8", "H264")


def test_g729_is_offered_where_the_other_leg_speaks_it() -> None:
    assert wishes("G729,PCMU", other=(G729,)).codecs == (G729, PCMU)
    assert wishes("PCMU", first=(G729,)).codecs == (G729, PCMU)


def test_the_codecs_of_the_other_leg_come_first_with_types_of_our_own() -> None:
    caller = (Codec("OPUS", 111, 48000, 2, "minptime=10"), Codec("AMR-WB", 110, 16000), PCMA)
    made = wishes("PCMU,PCMA,OPUS", first=caller)
    assert made.codecs == (Codec("OPUS", 96, 48000, 2, "minptime=10"), PCMA, PCMU)


@pytest.mark.parametrize(
    ("text", "ptime"),
    [("PCMU", 20), ("PCMU@30i", 30), ("PCMU,PCMA@60I", 60), ("L16@48k@60i", 10), ("L16@16k@60i", 40)],
)
def test_the_packet_length_that_is_wished_for_is_offered_if_it_fits_a_packet(text: str, ptime: int) -> None:
    made = wishes(text)
    assert f"a=ptime:{ptime}\r\n" in offer(made.codecs, ptime_ms=made.ptime_ms or 20).decode()


@given(st.lists(st.sampled_from(
    ["PCMU", "PCMA", "G722", "OPUS@16k", "OPUS", "L16", "L16@8k", "L16@48k", "G729", "VP8", "AMR-WB"]
), max_size=14))  # fmt: skip
def test_payload_types_never_clash(names: list[str]) -> None:
    made = wishes(",".join(names), other=(G729,)).codecs
    if made:
        section = parse(offer(made)).media[0]
        types = [codec.payload_type for codec in section.codecs()]
        assert len(types) == len(set(types)) == len(section.formats)
        assert len({codec.format for codec in made}) == len(made)


# ---------------------------------------------------------------- agreed


def test_the_numbers_of_either_side_hold_where_they_clash() -> None:
    """96 is OPUS here and L16 there."""
    sent = offer(wishes("OPUS,L16").codecs)
    media = read(
        sent,
        "m=audio 5004 RTP/AVP 111 96 101",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:96 L16/16000",
        "a=rtpmap:101 telephone-event/8000",
    )
    assert media.codec == Codec("OPUS", 111, 48000, 2)
    assert media.accepted == ((96, "OPUS"), (97, "L16"), (111, "OPUS"))
    text, answer = answered(
        theirs(
            "m=audio 5004 RTP/AVP 96 111",
            "a=rtpmap:96 L16/16000",
            "a=rtpmap:111 opus/48000/2",
        )
    )
    assert "m=audio 40002 RTP/AVP 111 96\r\n" in text
    assert answer.accepted == ((111, "OPUS"), (96, "L16"))


@pytest.mark.parametrize("spelling", ["opus/48000/2", "OPUS/48000/2", "Opus/48000", "opus/48000/1"])
def test_opus_is_known_however_it_is_spelled(spelling: str) -> None:
    text, media = answered(theirs("m=audio 5004 RTP/AVP 111", f"a=rtpmap:111 {spelling}"))
    assert media.codec == Codec("OPUS", 111, 48000, 2)
    assert "a=rtpmap:111 opus/48000/2\r\n" in text


@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_clock_of_g722_is_8000_whatever_a_phone_says(rate: int) -> None:
    _, media = answered(theirs("m=audio 5004 RTP/AVP 9", f"a=rtpmap:9 G722/{rate}"))
    assert media.codec == G722


def test_another_rate_of_l16_is_another_codec() -> None:
    with pytest.raises(ValueError, match="no common codec"):
        answered(theirs("m=audio 5004 RTP/AVP 96", "a=rtpmap:96 L16/16000"), wishes("L16@8k").codecs)


EVENTS_48 = "a=rtpmap:110 telephone-event/48000"
EVENTS_8 = "a=rtpmap:126 telephone-event/8000"


@pytest.mark.parametrize(
    ("codecs", "events", "sent", "rate"),
    [
        ("111 0", [EVENTS_48, EVENTS_8], 110, 48000),
        ("0 111", [EVENTS_48, EVENTS_8], 126, 8000),
        ("111", [EVENTS_8], 126, 8000),
        ("0", [EVENTS_48], None, 8000),
        ("9", [EVENTS_48, EVENTS_8], 126, 8000),
    ],
)
def test_digits_go_at_the_clock_of_the_chosen_codec(
    codecs: str, events: list[str], sent: int | None, rate: int
) -> None:
    numbers = " ".join(line[9:12] for line in events)
    body = theirs(f"m=audio 5004 RTP/AVP {codecs} {numbers}", "a=rtpmap:111 opus/48000/2", *events)
    order = tuple(
        sorted(SPOKEN, key=lambda codec: codec.name != {"1": "OPUS", "0": "PCMU", "9": "G722"}[codecs[0]])
    )
    _, media = answered(body, order)
    assert (media.dtmf_send_type, media.dtmf_receive_type, media.dtmf_clock_rate) == (sent, sent, rate)
    media = read(
        offer(order), f"m=audio 5004 RTP/AVP {codecs} {numbers}", "a=rtpmap:111 opus/48000/2", *events
    )
    assert (media.dtmf_send_type, media.dtmf_clock_rate) == (sent, rate)
    ours = {
        codec.clock_rate: codec.payload_type
        for codec in parse(offer(order)).media[0].codecs()
        if codec.name == EVENT
    }
    assert media.dtmf_receive_type == (ours[rate] if sent is not None else None)


@pytest.mark.parametrize(
    ("wish", "fmtp", "rate", "bits"),
    [
        ("OPUS", "", 0, 0),
        ("OPUS@16000H", "", 16000, 0),
        ("OPUS", "minptime=10;useinbandfec=1;maxplaybackrate=8000", 8000, 0),
        ("OPUS@16000H", "maxplaybackrate=24000; maxaveragebitrate=20000", 16000, 20000),
        ("OPUS@32000b", "maxaveragebitrate=64000", 0, 32000),
        ("OPUS", "maxplaybackrate=44100", 24000, 0),
        ("OPUS", "maxplaybackrate=1", 8000, 0),
        ("OPUS", "maxaveragebitrate=1", 0, 6000),
        ("OPUS", "maxplaybackrate=x; maxaveragebitrate=99999999999", 0, 0),
    ],
)
def test_opus_is_encoded_as_either_side_can_take_it(wish: str, fmtp: str, rate: int, bits: int) -> None:
    lines = ["m=audio 5004 RTP/AVP 111", "a=rtpmap:111 opus/48000/2", f"a=fmtp:111 {fmtp}"]
    codecs = wishes(wish).codecs
    for media in (answered(theirs(*lines), codecs)[1], read(offer(codecs), *lines)):
        assert (media.audio_rate, media.bit_rate) == (rate, bits)


def test_an_answer_says_of_opus_what_we_want_to_hear() -> None:
    lines = ["m=audio 5004 RTP/AVP 111", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 stereo=1;usedtx=1"]
    text, media = answered(theirs(*lines), wishes("OPUS@16000H").codecs)
    assert "a=fmtp:111 useinbandfec=1; maxplaybackrate=16000; sprop-maxcapturerate=16000\r\n" in text
    assert media.codec.fmtp == "stereo=1;usedtx=1"


def test_g729_keeps_the_parameters_of_the_far_end() -> None:
    text, media = answered(theirs("m=audio 5004 RTP/AVP 18", "a=fmtp:18 annexb=no"), (G729,))
    assert "a=fmtp:18 annexb=no\r\n" in text
    assert media.codec == Codec("G729", 18, fmtp="annexb=no")


@pytest.mark.parametrize(
    ("rtpmap", "ptime", "expected"),
    [("L16/48000", 20, 10), ("L16/16000", 60, 40), ("L16/8000", 60, 60), ("opus/48000/2", 60, 60)],
)
def test_packets_that_we_send_fit_the_way(rtpmap: str, ptime: int, expected: int) -> None:
    _, media = answered(theirs("m=audio 5004 RTP/AVP 96", f"a=rtpmap:96 {rtpmap}", f"a=ptime:{ptime}"))
    assert media.ptime_ms == expected


def test_an_answer_without_packet_length_means_ours() -> None:
    sent = offer((PCMU,), ptime_ms=30)
    assert read(sent, "m=audio 5004 RTP/AVP 0").ptime_ms == 30
    assert read(sent, "m=audio 5004 RTP/AVP 0", "a=ptime:40").ptime_ms == 40
    assert answered(theirs("m=audio 5004 RTP/AVP 0"), ptime_ms=40)[1].ptime_ms == 40


SOME = ["PCMU", "PCMA", "G722", "OPUS@16k", "OPUS", "L16", "L16@8k", "L16@48k", "G729"]
NAMES = st.lists(st.sampled_from(SOME), min_size=1, max_size=6)


@given(NAMES, NAMES, st.sampled_from([10, 20, 30, 40, 50, 60]))
def test_both_sides_of_any_exchange_agree(first: list[str], second: list[str], ptime: int) -> None:
    ours = wishes(",".join(first), other=(G729,)).codecs
    sent = offer(ours, ptime_ms=ptime)
    mine = wishes(",".join(second), other=(G729,)).codecs
    if not {codec.format for codec in ours} & {codec.format for codec in mine}:
        with pytest.raises(ValueError, match="no common codec"):
            answered(sent, mine)
        return
    text, there = answered(sent, mine)
    here = read_answer(sent, parse(text.encode()))
    assert here.codec.same_format(there.codec)
    assert here.codec.payload_type == there.codec.payload_type
    assert set(there.accepted) <= set(here.accepted)
    assert (here.dtmf_send_type, here.dtmf_receive_type) == (there.dtmf_receive_type, there.dtmf_send_type)
    assert here.dtmf_clock_rate == there.dtmf_clock_rate
    assert here.events == there.events
    assert here.ptime_ms == there.ptime_ms
    assert (here.audio_rate, here.bit_rate) == (there.audio_rate, there.bit_rate)
