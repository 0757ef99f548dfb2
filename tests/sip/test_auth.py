"""Digest: the examples of the RFCs, what challenges are understood, and what a verifier lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sip.auth import (
    Challenge,
    credentials_value,
    digest,
    read_challenges,
    read_credentials,
    strongest,
    verify,
)
from cordboard.sip.message import Request
from cordboard.testing.digest_gate import Gate


@pytest.mark.parametrize(
    ("challenge", "user", "uri", "cnonce", "expected"),
    [
        (  # RFC 7616 section 3.9.1
            Challenge(
                realm="http-auth@example.org",
                nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                algorithm="MD5",
                qop="auth",
            ),
            ("Mufasa", "Circle of Life"),
            "/dir/index.html",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            Challenge(
                realm="http-auth@example.org",
                nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                algorithm="SHA-256",
                qop="auth",
            ),
            ("Mufasa", "Circle of Life"),
            "/dir/index.html",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (  # RFC 2617 section 3.5
            Challenge(
                realm="testrealm@host.com",
                nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
                algorithm="MD5",
                qop="auth",
            ),
            ("Mufasa", "Circle Of Life"),
            "/dir/index.html",
            "0a4f113b",
            "6629fae49393a05397450978507c4ef1",
        ),
        (  # RFC 2069 section 2.4, with its erratum
            Challenge(realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"),
            ("Mufasa", "CircleOfLife"),
            "/dir/index.html",
            "",
            "1949323746fe6a43ef61f9606e7febea",
        ),
    ],
)
def test_the_examples_of_the_rfcs(
    challenge: Challenge, user: tuple[str, str], uri: str, cnonce: str, expected: str
) -> None:
    made = digest(
        challenge,
        username=user[0],
        password=user[1],
        method="GET",
        uri=uri,
        body=b"",
        cnonce=cnonce,
        nc=1,
    )
    assert made == expected


# ------------------------------------------------------------------ challenges


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('Digest realm="a", nonce="n"', [("a", "MD5", False, None)]),
        ('digest NONCE="n" , Realm = "a",', [("a", "MD5", False, None)]),
        ('Digest realm="a",nonce="n",algorithm=SHA-256,qop="x,auth"', [("a", "SHA-256", False, "auth")]),
        ('Digest realm="a",nonce="n",algorithm="md5-SESS",qop=auth-int', [("a", "MD5", True, "auth-int")]),
        ('Digest realm="a",nonce="n",algorithm=SHA-512-256-sess', [("a", "SHA-512-256", True, None)]),
        ('Digest realm="a\\"b",nonce="n"', [('a"b', "MD5", False, None)]),
        ('Digest realm="a",nonce="n", Digest realm="b",nonce="m"', [
            ("a", "MD5", False, None), ("b", "MD5", False, None),
        ]),
        ('Basic realm="a", Digest realm="b",nonce="m"', [("b", "MD5", False, None)]),
        ('Digest realm="a",nonce="n",algorithm=SHA3', []),
        ('Digest realm="a",nonce="n",qop="token"', []),
        ('Digest realm="a"', []),
        ('Digest realm="a",nonce="n",nonce="m"', []),
        ('Digest realm="a,nonce="n"', []),
        ("Digest", []),
        ("", []),
        ("=,=", []),
    ],
)  # fmt: skip
def test_challenges_that_we_can_answer_are_found(value: str, expected: list[tuple[object, ...]]) -> None:
    found = [(c.realm, c.algorithm, c.session, c.qop) for c in read_challenges([value])]
    assert found == expected


def test_the_first_of_the_strongest_is_answered() -> None:
    values = [
        f'Digest realm="{realm}", nonce="n", algorithm={algorithm}'
        for realm, algorithm in [("a", "MD5"), ("b", "SHA-256"), ("c", "SHA-256-sess"), ("d", "SHA-1")]
    ]
    best = strongest(read_challenges(values))
    assert best is not None
    assert best.realm == "b"


@given(st.text(max_size=80))
def test_no_challenge_and_no_credentials_raise(text: str) -> None:
    for value in (text, f"Digest {text}", f'Digest realm="a", nonce="b", {text}'):
        for challenge in read_challenges([value]):
            credentials_value(
                challenge, username=text, password=text, method="BYE", uri="sip:x", body=b"", cnonce="c", nc=1
            )
        read_credentials(value)


def test_what_the_challenge_says_is_repeated_and_quoted_again() -> None:
    (challenge,) = read_challenges(
        ['Digest realm="a\\\\b\\"c", nonce="n", opaque="o\\"", algorithm=md5, qop="auth"']
    )
    value = credentials_value(
        challenge, username='u"\\', password="p", method="BYE", uri="sip:x;a=b", body=b"", cnonce="c", nc=26
    )
    assert value.startswith('Digest username="u\\"\\\\", realm="a\\\\b\\"c", nonce="n", uri="sip:x;a=b", ')
    assert value.endswith(', algorithm=md5, opaque="o\\"", cnonce="c", qop=auth, nc=0000001a')
    offered = read_credentials(value)
    assert offered is not None
    assert (offered.username, offered.realm, offered.opaque, offered.nc) == ('u"\\', 'a\\b"c', 'o"', 26)


# ------------------------------------------------------------------ verifying


SCHEMES = [
    (algorithm, qop)
    for algorithm in ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess")
    for qop in ("auth", "auth-int", None)
]


def counting() -> Gate:
    serial = iter(range(100, 10_000))
    return Gate(realm="r", passwords={"u": "p"}, token=lambda: f"{next(serial):08x}")


def asked(value: str, *, method: str = "BYE", uri: str = "sip:x", body: bytes = b"b") -> Request:
    fields = [
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"),
        ("From", "<sip:a@x>;tag=1"),
        ("To", "<sip:b@x>"),
        ("Call-ID", "c"),
        ("CSeq", f"1 {method}"),
        *([("Authorization", value)] if value else []),
    ]
    return Request(method, uri, fields, body)


def answer(challenge: str, **changes: object) -> str:
    (read,) = read_challenges([challenge])
    arguments: dict[str, object] = {
        "username": "u",
        "password": "p",
        "method": "BYE",
        "uri": "sip:x",
        "body": b"b",
        "cnonce": "c",
        "nc": 1,
    }
    return credentials_value(read, **(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("algorithm", "qop"), SCHEMES)
def test_every_algorithm_and_quality_is_answered_and_verified(algorithm: str, qop: str | None) -> None:
    serial = iter(range(100))
    gate = Gate(
        realm="r", passwords={"u": "p"}, token=lambda: f"n{next(serial)}", algorithm=algorithm, qop=qop
    )
    name, challenge = gate.ask()
    assert name == "WWW-Authenticate"
    assert gate.judge(asked(answer(challenge))) == "admitted"
    assert gate.judge(asked(answer(challenge, password="other"))) == "refused"


@pytest.mark.parametrize(
    ("id_", "change", "expected"),
    [
        ("28 replay", {}, "refused"),
        ("28 nc goes back", {"nc": 0}, "refused"),
        ("28 nc goes on", {"nc": 7}, "admitted"),
        ("28 wrong uri", {"uri": "sip:y", "nc": 2}, "refused"),
        ("wrong user", {"username": "v", "nc": 2}, "refused"),
        ("wrong method", {"method": "INFO", "nc": 2}, "refused"),
    ],
)
def test_what_is_used_again_or_does_not_fit_is_refused(
    id_: str, change: dict[str, object], expected: str
) -> None:
    gate = counting()
    challenge = gate.ask()[1]
    assert gate.judge(asked(answer(challenge))) == "admitted"
    assert gate.judge(asked(answer(challenge, **change))) == expected


def test_28_a_weaker_algorithm_than_the_one_asked_for_is_refused() -> None:
    gate = Gate(realm="r", passwords={"u": "p"}, token=lambda: "n", algorithm="SHA-256")
    challenge = gate.ask()[1].replace("SHA-256", "MD5")
    assert gate.judge(asked(answer(challenge))) == "refused"


def test_28_an_old_nonce_is_stale_and_an_unknown_one_refused() -> None:
    gate = counting()
    challenge = gate.ask()[1]
    gate.expire()
    assert gate.judge(asked(answer(challenge))) == "stale"
    assert gate.judge(asked(answer('Digest realm="r", nonce="mine", qop="auth"'))) == "refused"
    assert gate.judge(asked("")) == "missing"
    assert gate.judge(asked("Digest nonsense")) == "refused"


def test_auth_int_covers_the_body() -> None:
    gate = Gate(realm="r", passwords={"u": "p"}, token=lambda: "n", qop="auth-int")
    value = answer(gate.ask()[1])
    assert gate.judge(asked(value, body=b"changed")) == "refused"
    assert gate.judge(asked(value)) == "admitted"


def test_a_digest_for_one_challenge_does_not_verify_for_another() -> None:
    (challenge,) = read_challenges(['Digest realm="r", nonce="n", opaque="o", qop="auth"'])
    offered = read_credentials(answer('Digest realm="r", nonce="n", opaque="o", qop="auth"'))
    assert offered is not None
    assert verify(challenge, offered, password="p", method="BYE", body=b"")
    (other,) = read_challenges(['Digest realm="r", nonce="n", opaque="x", qop="auth"'])
    assert not verify(other, offered, password="p", method="BYE", body=b"")
