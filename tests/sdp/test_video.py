"""Video that is passed on, and m-lines that keep their place."""

from __future__ import annotations

import pytest

from cordboard.sdp import (
    PCMU,
    Answer,
    Codec,
    MediaParameters,
    VideoOffer,
    answer_offer,
    make_offer,
    new_keys,
    offers_video,
    parse,
    read_answer,
)
from cordboard.sdp.crypto import serialise_crypto

VIDEO = [
    "m=video 5006 RTP/AVP 120 99 97 98",
    "a=rtpmap:120 VP8/90000",
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=42e01f;packetization-mode=1",
    "a=rtpmap:97 rtx/90000",
    "a=rtpmap:98 H264/90000",
    "a=rtcp-fb:* nack",
    "a=rtcp-fb:120 nack pli",
    "a=rtcp-fb:120 ccm fir",
    "a=rtcp-fb:120 goog-remb",
    "a=rtcp-fb:* transport-cc",
]
VP8 = Codec("VP8", 120, 90000)
H264 = Codec("H264", 99, 90000, fmtp="profile-level-id=42e01f;packetization-mode=1")
BASIC = Codec("H264", 98, 90000)


def description(*lines: str) -> bytes:
    head = ["v=0", "o=- 5 5 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
    return "\r\n".join([*head, *lines, ""]).encode()


def answer(body: bytes, video: VideoOffer | None, encryption: str = "forbidden") -> Answer:
    return answer_offer(
        parse(body),
        address="192.0.2.1",
        port=40_000,
        codecs=(PCMU,),
        session_id=9,
        encryption=encryption,
        new_key=lambda length: bytes([3]) * length,
        video=video,
    )


def mlines(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if line.startswith("m=")]


def test_video_is_answered_as_it_was_offered() -> None:
    answered = answer(description("m=audio 5004 RTP/AVP 0", *VIDEO), VideoOffer(port=40_004))
    section = parse(answered.body).media[1]
    assert mlines(answered.body)[1] == "m=video 40004 RTP/AVP 120 99 98"
    assert section.codecs() == [VP8, H264, BASIC]
    assert section.all("rtcp-fb") == ["* nack", "* nack pli", "* ccm fir"]
    video = answered.media.video
    assert video is not None
    assert (video.address, video.port, video.rtcp_port) == ("192.0.2.9", 5006, 5007)
    assert video.accepted == ((120, "VP8"), (99, "H264/1/42"), (98, "H264/0/42"))
    assert (video.sending, video.receiving) == (True, True)


def test_video_is_rejected_in_its_place_where_it_is_not_wanted() -> None:
    body = description(*VIDEO, "m=audio 5004 RTP/AVP 0")
    assert mlines(answer(body, None).body) == ["m=video 0 RTP/AVP 120 99 97 98", "m=audio 40000 RTP/AVP 0"]
    assert answer(body, None).media.video is None


def test_only_what_the_other_leg_takes_is_answered() -> None:
    answered = answer(
        description("m=audio 5004 RTP/AVP 0", *VIDEO),
        VideoOffer(port=40_004, codecs=(Codec("VP8", 96, 90000),), feedback=("nack pli",)),
    )
    assert mlines(answered.body)[1] == "m=video 40004 RTP/AVP 120"
    assert answered.media.video is not None
    assert answered.media.video.feedback == ("nack pli",)
    other = Codec("H264", 1, 90000, fmtp="packetization-mode=2")
    body = description("m=audio 5004 RTP/AVP 0", *VIDEO)
    nothing = answer(body, VideoOffer(port=40_004, codecs=(other,)))
    assert mlines(nothing.body)[1].startswith("m=video 0 ")


@pytest.mark.parametrize(
    "lines",
    [
        ["m=video 0 RTP/AVP 120", "a=rtpmap:120 VP8/90000"],
        ["m=video 5006 RTP/AVP 31"],
        ["m=video 5006 UDP/TLS/RTP/SAVPF 120", "a=rtpmap:120 VP8/90000"],
        ["m=video 5006 RTP/AVP 120", "c=IN IP4 233.252.0.1", "a=rtpmap:120 VP8/90000"],
        ["m=video 80 RTP/AVP 120", "a=rtpmap:120 VP8/90000"],
    ],
)
def test_video_that_cannot_be_passed_on_is_no_video(lines: list[str]) -> None:
    body = description("m=audio 5004 RTP/AVP 0", *lines)
    assert not offers_video(parse(body), address="192.0.2.1")
    assert answer(body, VideoOffer(port=40_004)).media.video is None


def test_bfcp_and_a_second_video_are_rejected() -> None:
    body = description("m=audio 5004 RTP/AVP 0", *VIDEO, "m=application 5070 UDP/BFCP *", *VIDEO)
    ports = [line.split()[1] for line in mlines(answer(body, VideoOffer(port=40_004)).body)]
    assert ports == ["40000", "40004", "0", "0"]


def call(video: VideoOffer, reply: bytes) -> MediaParameters:
    sent = make_offer(address="192.0.2.1", port=40_000, codecs=(PCMU,), session_id=1, video=video)
    return read_answer(sent, parse(reply))


OFFERED = VideoOffer(port=40_004, codecs=(VP8, H264, BASIC), feedback=("nack", "nack pli"))


def test_what_one_leg_has_is_offered_to_the_other() -> None:
    sent = make_offer(address="192.0.2.1", port=40_000, codecs=(PCMU,), session_id=1, video=OFFERED)
    section = parse(sent).media[1]
    assert mlines(sent)[1] == "m=video 40004 RTP/AVP 120 99 98"
    assert section.codecs() == [VP8, H264, BASIC]
    assert section.all("rtcp-fb") == ["* nack", "* nack pli"]


def test_a_far_end_may_answer_with_numbers_of_its_own() -> None:
    media = call(
        OFFERED,
        description(
            "m=audio 5004 RTP/AVP 0",
            "m=video 5006 RTP/AVP 110",
            "a=rtpmap:110 H264/90000",
            "a=fmtp:110 packetization-mode=1; profile-level-id=42E01E",
            "a=rtcp-fb:110 nack pli",
            "a=sendonly",
        ),
    )
    assert media.video is not None
    assert [codec.payload_type for codec in media.video.codecs] == [110]
    assert dict(media.video.accepted) == {110: "H264/1/42", 120: "VP8", 99: "H264/1/42", 98: "H264/0/42"}
    assert media.video.feedback == ("nack pli",)
    assert (media.video.sending, media.video.receiving) == (False, True)


@pytest.mark.parametrize(
    "lines", [[], ["m=video 0 RTP/AVP 120"], ["m=video 5006 RTP/AVP 96", "a=rtpmap:96 VP9/90000"]]
)
def test_a_far_end_without_video_has_a_call_without(lines: list[str]) -> None:
    media = call(OFFERED, description("m=audio 5004 RTP/AVP 0", *lines))
    assert media.video is None
    assert [section.active for section in media.sections] == [True, False]


def test_video_has_keys_of_its_own() -> None:
    audio, picture = (new_keys(lambda length, n=n: bytes([n]) * length) for n in (1, 2))  # type: ignore[misc]
    sent = make_offer(
        address="192.0.2.9",
        port=5004,
        codecs=(PCMU,),
        session_id=1,
        crypto=audio,
        profile="RTP/SAVP",
        video=VideoOffer(port=5006, codecs=(VP8,), crypto=picture),
    )
    assert [line.split()[2] for line in mlines(sent)] == ["RTP/SAVP", "RTP/SAVP"]
    answered = answer(sent, VideoOffer(port=40_004), "mandatory")
    agreed = read_answer(sent, parse(answered.body), encryption="mandatory")
    assert agreed.crypto is not None
    assert agreed.video is not None
    assert agreed.video.crypto is not None
    assert agreed.crypto.send.key[0] == 1
    assert agreed.video.crypto.send.key[0] == 2
    assert answered.media.video is not None
    assert answered.media.video.crypto is not None
    assert answered.media.video.crypto.receive == agreed.video.crypto.send


def test_plain_video_beside_secure_audio_is_not_taken_where_encryption_is_mandatory() -> None:
    line = serialise_crypto(new_keys(lambda length: bytes(length))[0])  # noqa: PLW0108 - the length is the argument
    body = description("m=audio 5004 RTP/SAVP 0", f"a=crypto:{line}", *VIDEO)
    assert answer(body, VideoOffer(port=40_004), "mandatory").media.video is None
    assert answer(body, VideoOffer(port=40_004), "optional").media.video is not None


# ---------------------------------------------------------------- m-lines keep their place


def test_a_later_offer_has_the_m_lines_of_the_last_agreement() -> None:
    body = description(
        "m=application 5070 UDP/BFCP *", *VIDEO, "m=audio 5004 RTP/AVP 0", "m=audio 5008 RTP/AVP 8"
    )
    media = answer(body, None).media
    again = make_offer(
        address="192.0.2.1", port=40_000, codecs=(PCMU,), session_id=9, version=2, sections=media.sections
    )
    assert mlines(again) == [
        "m=application 0 UDP/BFCP *",
        "m=video 0 RTP/AVP 120 99 97 98",
        "m=audio 40000 RTP/AVP 0 101",
        "m=audio 0 RTP/AVP 8",
    ]
    reply = description(
        "m=application 0 UDP/BFCP *", "m=video 0 RTP/AVP 120", "m=audio 5004 RTP/AVP 0", "m=audio 0 RTP/AVP 8"
    )
    sections = read_answer(again, parse(reply)).sections
    assert [section.active for section in sections] == [section.active for section in media.sections]
    assert [section.kind for section in sections] == ["application", "video", "audio", "audio"]


def test_a_later_offer_keeps_the_profile_and_the_line_that_was_chosen_of_two() -> None:
    keys = new_keys(lambda length: bytes([1]) * length, ("AES_CM_128_HMAC_SHA1_80",))
    sent = make_offer(
        address="192.0.2.9", port=5004, codecs=(PCMU,), session_id=1, crypto=keys, profile="both"
    )
    for mode, ports in (("optional", ["5004", "0"]), ("forbidden", ["0", "5004"])):
        media = read_answer(sent, parse(answer(sent, None, mode).body), encryption="optional")
        again = make_offer(
            address="192.0.2.9",
            port=5004,
            codecs=(PCMU,),
            session_id=1,
            version=2,
            crypto=keys if media.crypto else (),
            sections=media.sections,
        )
        assert [line.split()[1] for line in mlines(again)] == ports
        assert (b"a=crypto" in again) == (mode == "optional")


def test_video_may_be_added_later_behind_the_lines_that_are_there() -> None:
    media = answer(description("m=audio 5004 RTP/AVP 0"), None).media
    again = make_offer(
        address="192.0.2.1", port=40_000, codecs=(PCMU,), session_id=9, sections=media.sections, video=OFFERED
    )
    assert [line.split()[0] for line in mlines(again)] == ["m=audio", "m=video"]


def test_video_that_is_added_later_has_the_profile_of_the_audio() -> None:
    keys = new_keys(bytes, ("AES_CM_128_HMAC_SHA1_80",))
    sent = make_offer(
        address="192.0.2.9", port=5004, codecs=(PCMU,), session_id=1, crypto=keys, profile="RTP/SAVP"
    )
    media = read_answer(sent, parse(answer(sent, None, "mandatory").body), encryption="mandatory")
    again = make_offer(
        address="192.0.2.9",
        port=5004,
        codecs=(PCMU,),
        session_id=1,
        crypto=keys,
        sections=media.sections,
        video=VideoOffer(port=5006, codecs=(VP8,), crypto=keys),
    )
    assert [line.split()[2] for line in mlines(again)] == ["RTP/SAVP", "RTP/SAVP"]
