from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sip.uri import MAX_URI_LENGTH, Uri, UriError


def test_every_part_of_a_sip_uri_is_read() -> None:
    uri = Uri.parse("sips:alice:secret@Example.com:5061;transport=tcp;lr?Subject=Hi%20there&Priority=urgent")
    assert uri.scheme == "sips"
    assert (uri.user, uri.password) == ("alice", "secret")
    assert (uri.host, uri.port) == ("Example.com", 5061)
    assert uri.params == {"transport": "tcp", "lr": None}
    assert uri.headers == {"Subject": "Hi there", "Priority": "urgent"}


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:example.com", None, "example.com", None),
        ("SIP:+15551234567@192.0.2.1:5070", "+15551234567", "192.0.2.1", 5070),
        ("sip:alice@[2001:db8::1]:5070", "alice", "2001:db8::1", 5070),
        ("sip:[::1]", None, "::1", None),
        ("sip:*31#0123@example.com", "*31#0123", "example.com", None),
        ("sip:service@app_server_1:5060", "service", "app_server_1", 5060),
        ("sip:user;phone-context=+49@example.com", "user;phone-context=+49", "example.com", None),
        ("sip:j%40s0n@example.com", "j@s0n", "example.com", None),
        ("sip:%FF@example.com", "\udcff", "example.com", None),
        ("sip:jürgen@example.com", "jürgen", "example.com", None),
    ],
)
def test_users_and_hosts_that_phones_send_are_read(
    text: str, user: str | None, host: str, port: int | None
) -> None:
    uri = Uri.parse(text)
    assert (uri.user, uri.host, uri.port) == (user, host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "sip:",
        "sip:@example.com",
        "sip:alice@",
        "sip:alice@example.com:",
        "sip:alice@example.com:65536",
        "sip:alice@example.com:123456",
        "sip:alice@@example.com",
        "sip:alice@example.com@example.org",
        "sip:al ice@example.com",
        "sip:alice@exa mple.com",
        "sip:alice@example.com; lr",
        "sip:%zz@example.com",
        "sip:100%@example.com",
        "sip:alice@example.com;",
        "sip:alice@example.com;p=%4",
        "sip:alice@[::1",
        "sip:alice@[hello]",
        "sip:al\x00ice@example.com",
        "sip:alice@example.com\r\nVia: x",
        "<sip:alice@example.com>",
        "tel:",
        "tel:alice",
        "tel:+1%zz",
        "http: //x",
        "1a:b",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(UriError):
        Uri.parse(text)


def test_a_uri_over_the_limit_is_refused() -> None:
    fits = "sip:" + "a" * (MAX_URI_LENGTH - 16) + "@example.com"
    assert len(fits) == MAX_URI_LENGTH
    assert Uri.parse(fits).host == "example.com"
    with pytest.raises(UriError):
        Uri.parse(fits + "m")


def test_a_tel_uri_has_a_number_and_parameters() -> None:
    uri = Uri.parse("tel:7042;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host) == ("tel", "7042", "")
    assert uri.params == {"phone-context": "example.com"}
    assert str(uri) == "tel:7042;phone-context=example.com"
    assert not uri.is_sip


def test_other_schemes_are_kept_as_they_are() -> None:
    uri = Uri.parse("HTTP://www.example.com/a?b=%41")
    assert (uri.scheme, uri.user) == ("http", "//www.example.com/a?b=%41")
    assert str(uri) == "http://www.example.com/a?b=%41"


def test_writing_escapes_what_each_part_may_not_hold() -> None:
    uri = Uri(
        user="a b@c:d;e", password="p:w", host="::1", port=5060, params={"x;y": "1=2"}, headers={"H": "a&b c"}
    )
    assert str(uri) == "sip:a%20b%40c%3Ad;e:p%3Aw@[::1]:5060;x%3By=1%3D2?H=a%26b%20c"


def test_a_line_break_in_a_user_is_written_as_an_escape() -> None:
    assert str(Uri(user="a\r\nVia: b", host="example.com")) == "sip:a%0D%0AVia%3A%20b@example.com"


def test_text_that_cannot_be_encoded_is_written_as_a_question_mark() -> None:
    assert str(Uri(user="a\ud800", host="example.com")) == "sip:a%3F@example.com"


def test_the_first_of_two_equal_parameters_counts() -> None:
    assert Uri.parse("sip:example.com;a=1;A=2").params == {"a": "1"}


# RFC 3261 section 19.1.4 gives these examples.
EQUIVALENT = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("tel:+15551234567", "TEL:+15551234567"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:carol@chicago.com", "sips:carol@chicago.com"),
    ("sip:carol@chicago.com", "sip:carol:secret@chicago.com"),
    ("sip:carol@chicago.com;maddr=192.0.2.1", "sip:carol@chicago.com"),
    ("tel:+15551234567", "sip:+15551234567@example.com"),
]


@pytest.mark.parametrize(("one", "other"), EQUIVALENT)
def test_uris_that_say_the_same_are_equivalent(one: str, other: str) -> None:
    assert Uri.parse(one).equivalent(Uri.parse(other))
    assert Uri.parse(other).equivalent(Uri.parse(one))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_uris_that_say_different_things_are_not(one: str, other: str) -> None:
    assert not Uri.parse(one).equivalent(Uri.parse(other))
    assert not Uri.parse(other).equivalent(Uri.parse(one))


SENDABLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
HOSTS = st.one_of(
    st.text(string.ascii_letters + string.digits + ".-_", min_size=1, max_size=20),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
NAMES = st.text(string.ascii_lowercase + "-%;= é", min_size=1, max_size=8).map(str.lower)


@given(
    user=st.none() | SENDABLE,
    password=st.none() | SENDABLE,
    host=HOSTS,
    port=st.none() | st.integers(0, 65535),
    params=st.dictionaries(NAMES, st.none() | SENDABLE, max_size=3),
    headers=st.dictionaries(NAMES, SENDABLE, max_size=3),
)
def test_what_is_written_is_read_back(
    user: str | None,
    password: str | None,
    host: str,
    port: int | None,
    params: dict[str, str | None],
    headers: dict[str, str],
) -> None:
    uri = Uri(
        user=user,
        password=None if user is None else password,
        host=host,
        port=port,
        params=params,
        headers=headers,
    )
    assert Uri.parse(str(uri)) == uri
    assert uri.equivalent(Uri.parse(str(uri)))


@given(st.one_of(st.text(max_size=60), st.from_regex(r"(sips?|tel):[!-~é]{1,40}", fullmatch=True)))
def test_any_text_is_a_uri_that_can_be_written_or_an_error(text: str) -> None:
    try:
        uri = Uri.parse(text)
    except UriError:
        return
    assert Uri.parse(str(uri)) == uri
