"""The phones' own digest, against the examples of RFC 7616 section 3.9.1 and RFC 2617 section 3.5."""

from __future__ import annotations

import msgspec
import pytest

from cordboard.sip.message import Request, parse
from cordboard.testing.challenge import Challenge, parameters

COMMON = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
)


def get(header: str) -> Request:
    lines = [
        "GET sip:bob@example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:a@example.com>;tag=1",
        "To: <sip:bob@example.com>",
        "Call-ID: c",
        "CSeq: 1 GET",
        "Max-Forwards: 70",
        f"Authorization: {header}",
        "",
        "",
    ]
    request = parse("\r\n".join(lines).encode())
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_right_response_is_let_in_and_any_other_is_not(algorithm: str, response: str) -> None:
    challenge = Challenge(
        username="Mufasa",
        password="Circle of Life",
        realm="http-auth@example.org",
        algorithm=algorithm,
        nonces=("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",),
    )
    assert challenge.demand(get(f'{COMMON}response="{response}"')) is None
    assert challenge.demand(get(f'{COMMON}response="0{response[1:]}"')) is not None
    wrong = msgspec.structs.replace(challenge, password="Circle of Lif")
    assert wrong.demand(get(f'{COMMON}response="{response}"')) is not None


def test_an_old_nonce_is_stale_and_none_is_not() -> None:
    challenge = Challenge(nonces=("a", "b"))
    demand = challenge.demand(get("Digest x=y"))
    assert demand is not None
    assert parameters(demand[1])["nonce"] == "a"
    assert "stale" not in demand[1]


def test_parameters_are_read_with_their_quotes() -> None:
    header = 'Digest a="x, \\"y\\" = z", b=plain,c="",D="e"'
    assert parameters(header) == {"a": 'x, "y" = z', "b": "plain", "c": "", "d": "e"}
