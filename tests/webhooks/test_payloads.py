"""Signatures, headers and the GET form of a callback."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from cordboard.webhooks import verify_signature
from cordboard.webhooks.payloads import callback_request, flattened
from cordboard.webhooks.target import UrlError

KEY = b"PSK_secret"
BODY = b'{"event_type":"calling.call.state","params":{"call_state":"ended"}}'


def test_a_callback_is_signed_over_the_url_without_credentials_and_the_exact_body() -> None:
    request = callback_request("https://u:p@h.example/cb?x=1#f", "POST", BODY, event_id="e1", key=KEY)
    signed = b"https://h.example/cb?x=1" + BODY
    assert request.headers == {
        "X-Signalwire-Signature": hmac.new(KEY, signed, hashlib.sha1).hexdigest(),
        "X-Signalwire-SHA256-Signature": hmac.new(KEY, signed, hashlib.sha256).hexdigest(),
        "X-Cordboard-Event-Id": "e1",
        "Content-Type": "application/json",
        "Authorization": "Basic dTpw",
    }
    assert request.body == BODY


def test_the_receivers_check_accepts_what_was_sent_and_nothing_else() -> None:
    url = "https://u:p@h.example/cb?x=1"
    headers = callback_request(url, "POST", BODY, event_id="e1", key=KEY).headers
    lower = {name.lower(): value for name, value in headers.items()}
    assert verify_signature(KEY, url, BODY, headers)
    assert verify_signature("PSK_secret", "https://h.example/cb?x=1", BODY, lower)
    assert not verify_signature(b"other", url, BODY, headers)
    assert not verify_signature(KEY, url + "2", BODY, headers)
    assert not verify_signature(KEY, url, BODY + b" ", headers)
    assert not verify_signature(KEY, url, BODY, {})
    assert not verify_signature(KEY, "nonsense", BODY, headers)


@pytest.mark.parametrize("name", ["X-Signalwire-Signature", "X-Signalwire-SHA256-Signature"])
def test_one_header_is_enough_but_a_wrong_one_is_refused(name: str) -> None:
    headers = callback_request("http://h/", "POST", BODY, event_id="e", key=KEY).headers
    assert verify_signature(KEY, "http://h/", BODY, {name: headers[name]})
    assert not verify_signature(KEY, "http://h/", BODY, headers | {name: "é" + headers[name][1:]})


def test_a_get_callback_carries_the_leaves_in_its_query() -> None:
    body = json.dumps({"timestamp": 1640000000.123, "params": {"a": [True, None], "b c": "x&y=z"}}).encode()
    request = callback_request("http://u:p@h/cb?k=v#frag", "get", body, event_id="e", key=KEY)
    assert request.method == "GET"
    assert request.body == b""
    assert "Content-Type" not in request.headers
    assert parse_qsl(urlsplit(request.target.url).query, keep_blank_values=True) == [
        ("k", "v"),
        ("timestamp", "1640000000.123"),
        ("params.a.0", "true"),
        ("params.a.1", ""),
        ("params.b c", "x&y=z"),
    ]
    assert verify_signature(KEY, request.target.url, b"", request.headers)


def test_flattening_ends_whatever_the_depth() -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert flattened(deep) == []
    assert len(flattened({"x": list(range(5000))})) == 1000


def test_a_url_that_cannot_be_requested_is_said_to_be_one() -> None:
    with pytest.raises(UrlError):
        callback_request("ftp://h/", "POST", BODY, event_id="e", key=KEY)
