"""Who gets SRTP, who gets plain RTP, and who gets neither: our policy against what the far end can do."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sdp import (
    PCMU,
    Answer,
    CryptoAttribute,
    MediaParameters,
    NoCommonCodec,
    NoCommonSecurity,
    answer_offer,
    check_offer,
    make_offer,
    new_keys,
    parse,
    read_answer,
)
from cordboard.sdp.crypto import KEY_LENGTHS, serialise_crypto

MODES = ("mandatory", "optional", "forbidden")
FORMS = ("SAVP", "OSRTP", "two lines", "plain")
PROFILES = {"SAVP": "RTP/SAVP", "OSRTP": "RTP/AVP", "two lines": "both", "plain": "RTP/AVP"}


def keys_of(byte: int, *suites: str) -> tuple[CryptoAttribute, ...]:
    return new_keys(lambda length: bytes([byte]) * length, suites or tuple(KEY_LENGTHS))


def offer(form: str, *suites: str) -> bytes:
    return make_offer(
        address="192.0.2.9",
        port=5004,
        codecs=(PCMU,),
        session_id=5,
        crypto=keys_of(9, *suites) if form != "plain" else (),
        profile=PROFILES[form],
    )


def answer(body: bytes, mode: str, *, keep: MediaParameters | None = None, byte: int = 1) -> Answer:
    return answer_offer(
        parse(body),
        address="192.0.2.1",
        port=40_002,
        codecs=(PCMU,),
        session_id=9,
        encryption=mode,
        new_key=lambda length: bytes([byte]) * length,
        keep=keep,
    )


def lines(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if line[:2] == "m=" or line[:8] == "a=crypto"]


def form_of(mode: str, form: str) -> str:
    """Who forbids encryption offers none."""
    return "plain" if mode == "forbidden" else form


def expected(offerer: str, answerer: str, form: str) -> str:
    """SRTP where both allow it and the offer has keys, plain where both allow that, else nothing."""
    if form_of(offerer, form) != "plain" and answerer != "forbidden":
        return "srtp"
    plain = form_of(offerer, form) != "SAVP" and "mandatory" not in (offerer, answerer)
    return "plain" if plain else "nothing"


@pytest.mark.parametrize(("offerer", "answerer", "form"), list(itertools.product(MODES, MODES, FORMS)))
def test_the_matrix(offerer: str, answerer: str, form: str) -> None:
    sent = offer(form_of(offerer, form))
    try:
        answered = answer(sent, answerer)
        agreed = read_answer(sent, parse(answered.body), encryption=offerer)
    except NoCommonSecurity:
        assert expected(offerer, answerer, form) == "nothing"
        return
    assert ("plain" if agreed.crypto is None else "srtp") == expected(offerer, answerer, form)
    assert (agreed.crypto is None) == (answered.media.crypto is None)
    if agreed.crypto is not None and answered.media.crypto is not None:
        assert agreed.crypto.send == answered.media.crypto.receive
        assert agreed.crypto.receive == answered.media.crypto.send


def test_a_secure_offer_has_keys_for_all_suites() -> None:
    body = offer("SAVP")
    assert lines(body)[0] == "m=audio 5004 RTP/SAVP 0 101"
    assert [line.split()[1] for line in lines(body)[1:]] == list(KEY_LENGTHS)


def test_an_opportunistic_offer_is_one_plain_line_with_keys() -> None:
    assert lines(offer("OSRTP", "AES_CM_128_HMAC_SHA1_80"))[0] == "m=audio 5004 RTP/AVP 0 101"
    assert len(lines(offer("OSRTP", "AES_CM_128_HMAC_SHA1_80"))) == 2


def test_of_two_lines_only_the_secure_one_has_keys() -> None:
    assert [line.split(" inline")[0] for line in lines(offer("two lines", "AES_CM_128_HMAC_SHA1_80"))] == [
        "m=audio 5004 RTP/SAVP 0 101",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80",
        "m=audio 5004 RTP/AVP 0 101",
    ]


@pytest.mark.parametrize(
    ("mode", "first", "second"), [("optional", 40_002, 0), ("mandatory", 40_002, 0), ("forbidden", 0, 40_002)]
)
def test_of_two_lines_one_is_answered_in_its_place(mode: str, first: int, second: int) -> None:
    ports = [int(line.split()[1]) for line in lines(answer(offer("two lines"), mode).body) if line[0] == "m"]
    assert ports == [first, second]


def test_a_secure_line_is_taken_wherever_it_stands() -> None:
    plain_first = offer("plain") + b"".join(offer("SAVP").partition(b"m=")[1:])
    answered = answer(plain_first, "optional")
    assert answered.media.crypto is not None
    assert [line.split()[1] for line in lines(answered.body) if line[0] == "m"] == ["0", "40002"]


def test_the_strongest_suite_in_common_is_answered_under_its_tag() -> None:
    body = offer("SAVP", "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80")
    answered = lines(answer(body, "optional").body)
    assert answered[1].startswith("a=crypto:2 AES_256_CM_HMAC_SHA1_80 inline:")
    assert len(answered) == 2


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF"])
def test_the_profile_of_the_offer_is_that_of_the_answer(profile: str) -> None:
    body = offer("OSRTP").replace(b"RTP/AVP", profile.encode())
    answered = answer(body, "optional")
    assert lines(answered.body)[0] == f"m=audio 40002 {profile} 0 101"
    assert answered.media.crypto is not None


@pytest.mark.parametrize(
    ("form", "mode", "because"),
    [
        ("SAVP", "forbidden", "encryption is forbidden"),
        ("plain", "mandatory", "encryption is mandatory"),
    ],
)
def test_an_offer_that_the_policy_refuses_says_so(form: str, mode: str, because: str) -> None:
    with pytest.raises(NoCommonSecurity, match=because):
        answer(offer(form), mode)
    with pytest.raises(NoCommonSecurity, match=because):
        check_offer(parse(offer(form)), address="192.0.2.1", codecs=(PCMU,), encryption=mode)


@pytest.mark.parametrize("mode", MODES)
def test_keys_by_dtls_are_refused_by_name(mode: str) -> None:
    body = offer("SAVP").replace(b"RTP/SAVP", b"UDP/TLS/RTP/SAVPF")
    with pytest.raises(NoCommonCodec, match="UDP/TLS/RTP/SAVPF"):
        answer(body, mode)


GOOD = serialise_crypto(keys_of(9, "AES_CM_128_HMAC_SHA1_80")[0])
BAD = {
    "no key at all": "",
    "a key of the wrong length": GOOD[:-8],
    "an unknown suite": GOOD.replace("AES_CM", "ARIA_CM"),
    "an unknown parameter": f"{GOOD} UNENCRYPTED_SRTP",
    "a master key identifier": f"{GOOD}|1:1",
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("mode", ["mandatory", "optional"])
def test_a_secure_line_without_a_usable_key_is_refused_with_a_reason(bad: str, mode: str) -> None:
    body = offer("plain").replace(b"RTP/AVP", b"RTP/SAVP") + (
        f"a=crypto:{BAD[bad]}\r\n".encode() if BAD[bad] else b""
    )
    with pytest.raises(NoCommonSecurity, match="no a=crypto line that can be used"):
        answer(body, mode)


def test_a_usable_key_is_found_behind_unusable_ones() -> None:
    body = offer("plain").replace(b"RTP/AVP", b"RTP/SAVP")
    body += b"".join(f"a=crypto:{line}\r\n".encode() for line in [*BAD.values(), f"7{GOOD[1:]}"])
    crypto = answer(body, "mandatory").media.crypto
    assert crypto is not None
    assert crypto.send.tag == 7


def test_an_opportunistic_offer_without_a_usable_key_is_plain() -> None:
    body = offer("plain") + f"a=crypto:{BAD['an unknown suite']}\r\n".encode()
    assert answer(body, "optional").media.crypto is None
    with pytest.raises(NoCommonSecurity):
        answer(body, "mandatory")


def answer_with(*crypto: str, protocol: str = "RTP/SAVP") -> bytes:
    body = offer("plain").replace(b"RTP/AVP", protocol.encode())
    return body + "".join(f"a=crypto:{line}\r\n" for line in crypto).encode()


@pytest.mark.parametrize("mode", ["mandatory", "optional"])
@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/AVP"])
@pytest.mark.parametrize(
    "line", [f"9{GOOD[1:]}", GOOD[:-8], GOOD.replace("SHA1_80", "SHA1_32"), BAD["an unknown suite"]]
)
def test_an_answer_with_a_key_that_does_not_fit_the_offer_is_refused(
    mode: str, protocol: str, line: str
) -> None:
    sent = offer("OSRTP" if protocol == "RTP/AVP" else "SAVP", "AES_CM_128_HMAC_SHA1_80")
    with pytest.raises(NoCommonSecurity, match="no a=crypto line that fits"):
        read_answer(sent, parse(answer_with(line, protocol=protocol)), encryption=mode)


@pytest.mark.parametrize("form", ["SAVP", "OSRTP"])
@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/AVP", "RTP/SAVPF", "RTP/AVPF"])
def test_an_answer_under_another_profile_counts_by_its_key(form: str, protocol: str) -> None:
    agreed = read_answer(
        offer(form, "AES_CM_128_HMAC_SHA1_80"),
        parse(answer_with(GOOD, protocol=protocol)),
        encryption="mandatory",
    )
    assert agreed.crypto is not None


def test_a_plain_answer_is_never_taken_where_encryption_is_mandatory() -> None:
    for form in FORMS[:3]:
        with pytest.raises(NoCommonSecurity, match="mandatory"):
            read_answer(offer(form), parse(answer_with(protocol="RTP/AVP")), encryption="mandatory")


def test_a_secure_answer_is_not_taken_where_encryption_is_forbidden() -> None:
    with pytest.raises(NoCommonSecurity, match="forbidden"):
        read_answer(offer("plain"), parse(answer_with(GOOD)), encryption="forbidden")


def test_a_far_end_that_keeps_its_key_keeps_ours() -> None:
    first = answer(offer("SAVP"), "optional").media
    again = answer(offer("SAVP"), "optional", keep=first, byte=2).media
    assert again.crypto == first.crypto


def test_a_far_end_with_a_new_key_gets_a_new_one() -> None:
    first = answer(offer("SAVP"), "optional").media
    body = make_offer(
        address="192.0.2.9",
        port=5004,
        codecs=(PCMU,),
        session_id=5,
        crypto=keys_of(10),
        profile="RTP/SAVP",
    )
    again = answer(body, "optional", keep=first, byte=2).media
    assert first.crypto is not None
    assert again.crypto is not None
    assert again.crypto.send.key != first.crypto.send.key
    assert again.crypto.receive.key == bytes([10]) * 44


def test_keys_are_not_remembered_with_the_rest_of_a_section() -> None:
    one, other = (parse(answer_with(serialise_crypto(keys_of(n, "AEAD_AES_128_GCM")[0]))) for n in (1, 2))
    assert one.media[0].attribute("crypto") != other.media[0].attribute("crypto")
    assert one.media[0].codecs() == other.media[0].codecs()


@given(st.text("0123456789 AES_CMHMACinline:|^+/=", max_size=90), st.sampled_from(MODES))
def test_whatever_stands_in_a_crypto_line_mandatory_is_never_plain(value: str, mode: str) -> None:
    body = answer_with(value.strip() or "x", GOOD, protocol="RTP/AVP")
    answered = answer(body, mode)
    assert (answered.media.crypto is not None) == (mode != "forbidden")
