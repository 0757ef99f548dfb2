"""`a=crypto` lines (RFC 4568)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sdp import CryptoAttribute, CryptoPair, new_keys
from cordboard.sdp.crypto import KEY_LENGTHS, OFFERED, answer_to, parse_crypto, serialise_crypto, usable

KEY_30 = bytes(range(30))
B64_30 = base64.b64encode(KEY_30).decode()
PLAIN = CryptoAttribute(1, "AES_CM_128_HMAC_SHA1_80", KEY_30)


def counted(length: int) -> bytes:
    return bytes([7]) * length


@pytest.mark.parametrize(
    "value",
    [
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}",
        f"1 aes_cm_128_hmac_sha1_80 INLINE:{B64_30}",
        f"1  AES_CM_128_HMAC_SHA1_80 inline:{B64_30} ",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}|2^20",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}|1048576",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30} WSH=64 KDR=0 -X",
    ],
)
def test_a_line_that_can_be_used(value: str) -> None:
    assert parse_crypto(value) == PLAIN


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        f"x AES_CM_128_HMAC_SHA1_80 inline:{B64_30}",
        f"1 F8_128_HMAC_SHA1_80 inline:{B64_30}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30[:-4]}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}AAAA",
        f"1 AES_256_CM_HMAC_SHA1_80 inline:{B64_30}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:" + "!" * 40,
        "1 AES_CM_128_HMAC_SHA1_80 inline:",
        f"1 AES_CM_128_HMAC_SHA1_80 prompt:{B64_30}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}|2^20|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}|2^20|1:4;inline:{B64_30}|2^20|2:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30} UNENCRYPTED_SRTCP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30} UNAUTHENTICATED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30} KDR=1",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30} FEC_ORDER=FEC_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 5000}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{B64_30}\u00e9",
    ],
)
def test_a_line_that_is_left_out(value: str) -> None:
    assert parse_crypto(value) is None


@pytest.mark.parametrize(("suite", "length"), KEY_LENGTHS.items())
def test_what_is_written_is_read(suite: str, length: int) -> None:
    line = CryptoAttribute(3, suite, bytes(range(length)))
    assert parse_crypto(serialise_crypto(line)) == line


def test_a_key_without_its_padding_is_read() -> None:
    line = CryptoAttribute(1, "AES_256_CM_HMAC_SHA1_80", bytes(range(46)))
    assert serialise_crypto(line).endswith("=")
    assert parse_crypto(serialise_crypto(line).rstrip("=")) == line


def test_no_key_is_in_what_is_printed() -> None:
    printed = repr(CryptoPair(PLAIN, PLAIN))
    assert "AES_CM_128_HMAC_SHA1_80" in printed
    assert repr(KEY_30)[2:20] not in printed


def test_the_strongest_line_comes_first_whatever_the_order_of_the_offer() -> None:
    lines = [serialise_crypto(line) for line in reversed(new_keys(counted))]
    assert [line.suite for line in usable([*lines, "rubbish", "9 NULL inline:AAAA"])] == list(OFFERED)


def test_an_offer_has_a_key_of_its_own_for_each_suite() -> None:
    made = iter(range(1, 9))
    lines = new_keys(lambda length: bytes([next(made)]) * length)
    assert [line.tag for line in lines] == [1, 2, 3, 4, 5]
    assert [len(line.key) for line in lines] == [KEY_LENGTHS[suite] for suite in OFFERED]
    assert len({line.key for line in lines}) == 5


def test_the_key_in_use_is_offered_again_where_it_is_kept() -> None:
    lines = new_keys(counted, keep=PLAIN)
    assert [line.key == KEY_30 for line in lines] == [suite == PLAIN.suite for suite in OFFERED]


def test_an_answer_keeps_our_key_while_they_keep_theirs() -> None:
    first = answer_to(PLAIN, counted)
    assert first == CryptoPair(CryptoAttribute(1, PLAIN.suite, counted(30)), PLAIN)
    again = CryptoAttribute(4, PLAIN.suite, KEY_30)
    kept = answer_to(again, bytes, first)
    assert (kept.send.key, kept.send.tag, kept.receive) == (counted(30), 4, again)
    changed = CryptoAttribute(1, PLAIN.suite, KEY_30[::-1])
    assert answer_to(changed, bytes, first).send.key == bytes(30)


@given(
    st.text(max_size=80) | st.from_regex(r"1 [A-Z_0-9]{1,30} inline:[A-Za-z0-9+/=|^:;]{0,80}( [A-Z=0-9]+)?")
)
def test_any_text_is_a_line_or_none(value: str) -> None:
    line = parse_crypto(value)
    assert line is None or len(line.key) == KEY_LENGTHS[line.suite]
