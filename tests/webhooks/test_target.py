"""What is requested, what is signed, and what logs may show of a URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.webhooks.target import MAX_URL, UrlError, parse_target, redirected, shown


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com/a?b=c#part", "https://example.com/a?b=c"),
        ("https://user:pass@example.com/a", "https://example.com/a"),
        ("HTTP://Example.COM", "http://example.com/"),
        ("http://h:8080?x=1", "http://h:8080/?x=1"),
        ("http://h/a b/ü?q=ä€", "http://h/a%20b/%C3%BC?q=%C3%A4%E2%82%AC"),
        ("http://h/already%20there?a=%2B", "http://h/already%20there?a=%2B"),
        ("http://h/100%", "http://h/100%25"),
        ("http://[2001:db8::1]:81/x", "http://[2001:db8::1]:81/x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://a:b@c:d@host/x", "http://host/x"),
        ("  http://h/x  ", "http://h/x"),
    ],
)
def test_the_requested_url_has_no_secrets_and_no_fragment(text: str, url: str) -> None:
    assert parse_target(text).url == url


def test_user_and_password_become_basic_credentials() -> None:
    assert parse_target("http://Us%40r:p%3Aw@h/").authorization == "Basic VXNAcjpwOnc="
    assert parse_target("http://user@h/").authorization == "Basic dXNlcjo="
    assert parse_target("http://h/").authorization is None


def test_the_origin_names_the_port_always() -> None:
    assert parse_target("https://h/x").origin == "https://h:443"
    assert parse_target("http://[::1]/x").origin == "http://[::1]:80"
    assert parse_target("http://[::1]/x").host == "::1"


@pytest.mark.parametrize(
    "text",
    ["", "x", "ftp://h/", "http:///x", "http://", "http://h:99999/", "http://ho st/", "file:///etc/passwd",
     "http://h\r\nX: y/", "javascript:alert(1)", "http://" + "a" * 300 + "/", "http://h/" + "a" * MAX_URL,
     "http://[::1/", "http://[zz]/", "http://ho%00st/"],
)  # fmt: skip
def test_what_cannot_be_requested_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(UrlError, match=r"\.$"):
        parse_target(text)


@given(st.text(max_size=60).map(lambda tail: "http://" + tail) | st.text(max_size=60))
def test_any_text_is_a_clean_url_or_an_error(text: str) -> None:
    try:
        target = parse_target(text)
    except UrlError:
        return
    target.url.encode("ascii")
    assert not any(character in target.url for character in " \r\n\t#")
    assert parse_target(target.url).url == target.url


def test_logs_do_not_show_user_and_password() -> None:
    assert shown("https://user:p@ss@example.com/a@b") == "https://example.com/a@b"
    assert shown("not a url") == "not a url"
    assert len(shown("http://h/" + "a" * 1000)) < 250


def test_credentials_go_along_with_a_redirect_within_one_origin_only() -> None:
    first = parse_target("https://u:p@h/a")
    assert redirected(first, "/b").authorization == first.authorization
    assert redirected(first, "https://h:443/b").authorization == first.authorization
    assert redirected(first, "https://other/b").authorization is None
    assert redirected(first, "http://h/b").authorization is None
    assert redirected(first, "https://x:y@other/b").authorization == "Basic eDp5"


def test_a_redirect_to_another_scheme_is_refused() -> None:
    with pytest.raises(UrlError):
        redirected(parse_target("http://h/a"), "file:///etc/passwd")
