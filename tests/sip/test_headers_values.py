from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sip.headers import (
    CSeq,
    HeaderError,
    NameAddr,
    Reason,
    RetryAfter,
    Via,
    parse_name_addrs,
    parse_parameters,
    parse_reasons,
    split_list,
    write_parameters,
)
from cordboard.sip.headers.grammar import quote, read_number, unquote
from cordboard.sip.headers.via import parse_via
from cordboard.sip.uri import Uri


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" , ,", []),
        ("INVITE, ACK,BYE", ["INVITE", "ACK", "BYE"]),
        ('"Bell, A" <sip:a@b>, <sip:c,d@e>', ['"Bell, A" <sip:a@b>', "<sip:c,d@e>"]),
        ('"a\\", b", c', ['"a\\", b"', "c"]),
        ("<sip:a@b>,,<sip:c@d>,", ["<sip:a@b>", "<sip:c@d>"]),
    ],
)
def test_lists_split_at_commas_outside_quotes_and_brackets(text: str, elements: list[str]) -> None:
    assert split_list(text) == elements


@pytest.mark.parametrize("text", ['"a, b', "<sip:a@b, <sip:c", '"a" <sip:a>, "b'])
def test_a_list_with_an_open_quote_or_bracket_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        split_list(text)


@given(st.lists(st.text(max_size=12).map(quote), min_size=1, max_size=6))
def test_a_list_of_quoted_strings_splits_into_them(elements: list[str]) -> None:
    assert split_list(", ".join(elements)) == elements


@given(st.text(max_size=40))
def test_a_quoted_string_gives_its_text_back_without_control_characters(text: str) -> None:
    written = quote(text)
    assert "\r" not in written
    assert "\n" not in written
    assert unquote(written) == "".join([char for char in text if char >= " " and char != "\x7f"])


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", {}),
        (";lr", {"lr": None}),
        (";TAG=AbC;x", {"tag": "AbC", "x": None}),
        (' ; a = 1 ; b = "x;y\\"z" ', {"a": "1", "b": 'x;y"z'}),
        (";received=[2001:db8::1];rport=5060", {"received": "[2001:db8::1]", "rport": "5060"}),
        (";a=1;a=2", {"a": "1"}),
        (";opaque=YWJj==", {"opaque": "YWJj=="}),
    ],
)
def test_parameters_are_read(text: str, parameters: dict[str, str | None]) -> None:
    assert parse_parameters(text) == parameters


@pytest.mark.parametrize("text", [";", ";;", "a=1", ";a=", ";=1", ';a="b', ";a=b c", ";a=1,", ";a\x00=1"])
def test_what_is_no_parameter_list_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        parse_parameters(text)


SENDABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@given(st.dictionaries(st.from_regex(r"[a-z0-9\-.!%*_+`'~]{1,8}", fullmatch=True), st.none() | SENDABLE))
def test_parameters_that_are_written_are_read_back(parameters: dict[str, str | None]) -> None:
    assert parse_parameters(write_parameters(parameters)) == parameters


def test_a_name_addr_has_a_name_an_address_and_parameters() -> None:
    alice = NameAddr.parse('"Alice \\"A\\", B" <sip:alice@example.com;transport=tcp>;tag=1928;x="y z"')
    assert alice.display_name == 'Alice "A", B'
    assert str(alice.uri) == "sip:alice@example.com;transport=tcp"
    assert alice.tag == "1928"
    assert alice.params == {"tag": "1928", "x": "y z"}
    assert NameAddr.parse(str(alice)) == alice


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<sip:a@b>", ""),
        ("Anna Lena <sip:a@b>", "Anna Lena"),
        ("Jürgen<sip:a@b>", "Jürgen"),
        ('"" <sip:a@b>', ""),
        ('  "x"<sip:a@b>  ', "x"),
        ('"bad \udcff byte" <sip:a@b>', "bad \udcff byte"),
    ],
)
def test_display_names_are_read(text: str, name: str) -> None:
    assert NameAddr.parse(text).display_name == name


def test_an_address_without_brackets_leaves_its_parameters_to_the_header() -> None:
    parsed = NameAddr.parse("sip:alice@example.com;tag=88")
    assert (parsed.tag, parsed.uri.params) == ("88", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "alice",
        "<sip:a@b",
        "sip:a@b>",
        "a,b <sip:a@b>",
        '"open <sip:a@b>',
        "<sip:a@b> trailing",
        "<sip:a@b>;tag=",
        "< sip:a@b >",
        "sip:a@b?Subject=x",
        "<sip:a@b><sip:c@d>",
    ],
)
def test_what_is_no_name_addr_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        NameAddr.parse(text)


@given(name=SENDABLE, tag=st.none() | SENDABLE)
def test_a_name_addr_that_is_written_is_read_back(name: str, tag: str | None) -> None:
    written = NameAddr(
        display_name=name, uri=Uri(user="a", host="example.com"), params={} if tag is None else {"tag": tag}
    )
    assert NameAddr.parse(str(written)) == written


def test_contacts_may_be_in_one_line_or_in_several() -> None:
    contacts = parse_name_addrs(['"A, B" <sip:a@b>;q=0.5, <sip:c@d>', "sip:e@f"])
    assert [contact.uri.user for contact in contacts] == ["a", "c", "e"]


def test_a_via_says_how_a_message_came() -> None:
    via = Via.parse("SIP/2.0/udp Host.example.com:5070;branch=z9hG4bKabc;received=192.0.2.9;rport=6000")
    assert (via.transport, via.host, via.port) == ("UDP", "Host.example.com", 5070)
    assert via.branch == "z9hG4bKabc"
    assert (via.received, via.rport, via.wants_rport) == ("192.0.2.9", 6000, True)
    assert via.sent_by == "host.example.com:5070"
    assert Via.parse(str(via)) == via


def test_a_via_may_have_an_ipv6_address() -> None:
    via = Via.parse("SIP/2.0/TCP [2001:DB8::1];branch=z9hG4bKabc;received=[2001:db8::2];rport")
    assert via.host == "2001:DB8::1"
    assert via.sent_by == "[2001:db8::1]"
    assert via.received == "2001:db8::2"
    assert (via.wants_rport, via.rport) == (True, None)
    assert Via.parse(str(via)) == via


def test_a_port_that_is_no_number_is_no_port_to_answer_to() -> None:
    assert Via.parse("SIP/2.0/UDP a;rport=abc").rport is None
    assert Via.parse("SIP/2.0/UDP a;rport=٣").rport is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 UDP a",
        "SIP/2.0/UDP a:99999",
        "SIP/2.0/UDP a:b",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP a;;",
        "SIP/2.0/UDP a;branch=z9hG4bKa;",
        "SIP/2.0/UDP a;branch=",
        "SIP/2.0/UDP a b;branch=z9hG4bKa",
    ],
)
def test_what_is_no_via_is_refused(text: str) -> None:
    for read in (Via.parse, parse_via):
        with pytest.raises(HeaderError):
            read(text)


def test_a_cseq_is_a_number_and_a_method() -> None:
    assert CSeq.parse("0009 \t INVITE") == CSeq(9, "INVITE")
    assert str(CSeq(4294967295, "BYE")) == "4294967295 BYE"


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE", "-1 BYE", "4294967296 BYE", "1 B Y", "١ BYE", "9" * 5000 + " BYE"]
)
def test_what_is_no_cseq_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        CSeq.parse(text)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "256", "²", "1 2"])
def test_what_is_no_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        read_number(text, 255, "Max-Forwards")


@pytest.mark.parametrize(
    ("text", "seconds", "duration"),
    [
        ("18000", 18000, None),
        ("18000;duration=3600", 18000, 3600),
        ("120 (I'm in a meeting; sorry)", 120, None),
    ],
)
def test_retry_after_is_read(text: str, seconds: int, duration: int | None) -> None:
    assert RetryAfter.parse(text) == RetryAfter(seconds=seconds, duration=duration)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "9" * 30, "5 (open", "5;duration=x"])
def test_what_is_no_retry_after_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        RetryAfter.parse(text)


def test_retry_after_is_written() -> None:
    assert str(RetryAfter(seconds=5)) == "5"
    assert str(RetryAfter(seconds=5, duration=60)) == "5;duration=60"


def test_a_reason_has_a_protocol_a_cause_and_a_text() -> None:
    reason = Reason(protocol="SIP", cause=200, text='Call "completed" elsewhere')
    assert str(reason) == 'SIP;cause=200;text="Call \\"completed\\" elsewhere"'
    assert Reason.parse(str(reason)) == reason
    assert str(Reason(protocol="Q.850")) == "Q.850"


def test_reasons_that_cannot_be_read_are_left_out() -> None:
    values = ['Q.850;cause=16;text="Terminated, normally", SIP;cause=200', ";;", "SIP;cause=x", "Preemption"]
    assert [(reason.protocol, reason.cause) for reason in parse_reasons(values)] == [
        ("Q.850", 16),
        ("SIP", 200),
        ("Preemption", None),
    ]
