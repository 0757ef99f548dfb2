from __future__ import annotations

import pytest

from cordboard.sip.headers import CSeq, HeaderError, Headers
from cordboard.sip.message import MessageError, Request, Response, parse

INVITE = (
    b"INVITE sip:bob@192.0.2.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.5:5062;branch=z9hG4bK776;rport\r\n"
    b"Via: SIP/2.0/TCP phone.example.com;branch=z9hG4bK1\r\n"
    b"Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@example.com>;tag=1928\r\n'
    b"To: <sip:bob@192.0.2.1>\r\n"
    b"Call-ID: a84b4c76@example.com\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.5:5062>\r\n"
    b"Content-Type: Application/SDP; charset=utf-8\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"v=0\n"
)


def invite(*changes: tuple[bytes, bytes]) -> bytes:
    data = INVITE
    for old, new in changes:
        assert old in data
        data = data.replace(old, new)
    return data


def request(*changes: tuple[bytes, bytes]) -> Request:
    message = parse(invite(*changes))
    assert isinstance(message, Request)
    return message


def refusal(data: bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse(data)
    return caught.value


def test_a_request_is_read_in_every_part() -> None:
    message = request()
    assert (message.method, message.uri, message.body) == ("INVITE", "sip:bob@192.0.2.1", b"v=0\n")
    assert message.call_id == "a84b4c76@example.com"
    assert message.cseq == CSeq(314159, "INVITE")
    assert (message.branch, message.sent_by) == ("z9hG4bK776", "192.0.2.5:5062")
    assert [via.transport for via in message.vias] == ["UDP", "TCP"]
    assert (message.from_.display_name, message.from_.tag, message.to.tag) == ("Alice", "1928", None)
    assert message.contact is not None
    assert message.contact.uri.port == 5062
    assert message.record_routes == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    assert (message.routes, message.max_forwards) == ([], 70)
    assert message.content_type == "application/sdp"


def test_a_response_is_read() -> None:
    message = parse(INVITE.replace(b"INVITE sip:bob@192.0.2.1 SIP/2.0", b"sip/2.0 486 Busy: at lunch"))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (486, "Busy: at lunch")
    assert message.to_bytes().startswith(b"SIP/2.0 486 Busy: at lunch\r\n")


@pytest.mark.parametrize(
    "line", [b"SIP/2.0 99 Low", b"SIP/2.0 700 High", b"SIP/2.0 abc", b"SIP/2.0", b"SIP/1.0 200 OK"]
)
def test_a_malformed_status_line_is_refused(line: bytes) -> None:
    assert refusal(INVITE.replace(b"INVITE sip:bob@192.0.2.1 SIP/2.0", line)).code == 400


def test_empty_lines_before_a_message_are_passed_over() -> None:
    assert parse(b"\r\n\r\n" + INVITE).to_bytes() == parse(INVITE).to_bytes()


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"\r\n\r\n\r\n", b"\x00" * 40, b"\xff\xfe", b"INVITE", b" \r\n\r\n"]
)
def test_bytes_that_are_no_message_are_refused_and_not_answered(data: bytes) -> None:
    error = refusal(data)
    assert (error.code, error.partial) == (400, None)


@pytest.mark.parametrize(
    "old",
    [b"From: ", b"To: ", b"Call-ID: ", b"CSeq: "],
)
def test_a_request_without_a_mandatory_header_is_refused(old: bytes) -> None:
    error = refusal(invite((b"\r\n" + old, b"\r\nX-" + old)))
    assert error.code == 400
    assert error.reason == f"Missing {old.decode().strip(': ')}"
    assert error.partial is None


@pytest.mark.parametrize(
    "line", [b"CSeq: 1 INVITE", b"t: <sip:x@y>", b"MAX-FORWARDS: 1", b"i: other", b"c: text/plain"]
)
def test_two_of_what_may_be_there_once_are_refused(line: bytes) -> None:
    error = refusal(invite((b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")))
    assert error.code == 400
    assert isinstance(error.partial, Request)


@pytest.mark.parametrize("space", [b"\x00", b"\x01", b"\x0b", b"\xa0", b"\xc2\xa0"])
def test_only_spaces_and_tabs_may_stand_before_a_colon(space: bytes) -> None:
    assert request((b"Call-ID:", b"Call-ID \t :")).call_id == "a84b4c76@example.com"
    assert refusal(invite((b"Call-ID:", b"Call-ID" + space + b":"))).code == 400


@pytest.mark.parametrize("broken", [b"a\rb", b"a\nb", b"a\n\rb", b"\r", b"\n"])
def test_a_bare_line_break_is_refused_and_not_answered(broken: bytes) -> None:
    error = refusal(invite((b"a84b4c76@example.com", b"a84b4c76" + broken)))
    assert (error.code, error.partial) == (400, None)


def test_lines_that_end_with_only_a_line_feed_are_refused() -> None:
    assert refusal(INVITE.replace(b"\r\n", b"\n")).code == 400


def test_a_line_without_a_colon_is_refused_but_answered() -> None:
    error = refusal(invite((b"Max-Forwards: 70", b"Via")))
    assert error.code == 400
    assert isinstance(error.partial, Request)
    assert error.partial.branch == "z9hG4bK776"


def test_folded_lines_are_one_value() -> None:
    message = request((b"Call-ID: ", b"Subject: one\r\n\ttwo\r\n   Three: four\r\n \r\nCall-ID:\r\n "))
    assert message.headers.get("Subject") == "one two Three: four"
    assert message.call_id == "a84b4c76@example.com"


def test_a_head_that_never_ends_is_refused_but_answered() -> None:
    error = refusal(INVITE.partition(b"\r\n\r\n")[0])
    assert error.code == 400
    assert isinstance(error.partial, Request)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"INVITE sip:bob@192.0.2.1 SIP/3.0", 505),
        (b"INVITE sip:bob@192.0.2.1 HTTP/1.1", 400),
        (b"INVITE sip:bob@192.0.2.1", 400),
        (b"INVITE  sip:bob@192.0.2.1 SIP/2.0", 400),
        (b"INVITE sip:bob@192.0.2.1  SIP/2.0", 400),
        (b"INVITE sip:bob@192.0.2.1 SIP/2.0 ", 400),
        (b"INVITE sip:bob@ SIP/2.0", 400),
        (b"INVITE sip:" + b"b" * 5000 + b" SIP/2.0", 414),
    ],
)
def test_a_malformed_request_line_is_refused_with_its_code(line: bytes, code: int) -> None:
    error = refusal(INVITE.replace(b"INVITE sip:bob@192.0.2.1 SIP/2.0", line))
    assert error.code == code
    assert isinstance(error.partial, Request)


def test_the_version_is_read_without_case() -> None:
    assert request((b"SIP/2.0\r\n", b"sip/2.0\r\n")).method == "INVITE"


def test_letters_that_only_look_like_ours_are_not_ours() -> None:
    assert refusal(invite((b"SIP/2.0\r\n", "\u017fIP/2.0\r\n".encode()))).code == 400
    assert refusal(invite((b"Max-Forwards", "\u212a".encode()))).code == 400


def test_an_unknown_or_lower_case_method_is_for_the_stack_to_refuse() -> None:
    assert request((b"INVITE", b"invite")).method == "invite"


@pytest.mark.parametrize("length", [b"-4", b"4x", b"5", b"1000000000000", b"9" * 5000, b"", b"4\r\nl: 3"])
def test_a_content_length_that_cannot_be_is_refused(length: bytes) -> None:
    error = refusal(invite((b"Content-Length: 4", b"Content-Length: " + length)))
    assert error.code == 400
    assert isinstance(error.partial, Request)


def test_the_same_content_length_twice_is_one() -> None:
    assert request((b"Content-Length: 4", b"Content-Length: 4\r\nl: 04")).body == b"v=0\n"


def test_a_body_longer_than_declared_is_cut() -> None:
    assert request((b"Content-Length: 4", b"Content-Length: 1")).body == b"v"


def test_a_datagram_without_content_length_is_body_to_its_end() -> None:
    assert request((b"Content-Length: 4\r\n", b"")).body == b"v=0\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Contact: <", b"Contact: <<"),
        (b"<sip:p2", b"<sip:@"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256"),
        (b"CSeq: 314159 INVITE", b"CSeq: 314159 BYE"),
        (b"From: ", b"From: ,"),
    ],
)
def test_a_malformed_header_the_stack_reads_is_refused_but_answered(old: bytes, new: bytes) -> None:
    error = refusal(invite((old, new)))
    assert error.code == 400
    assert isinstance(error.partial, Request)
    answer = error.partial.response(error.code, error.reason, to_tag="t").to_bytes()
    assert isinstance(parse(answer.replace(b"From: ,", b"From: ")), Response)


def test_a_wildcard_contact_is_no_address() -> None:
    message = request((b"Contact: <sip:alice@192.0.2.5:5062>", b"m: *"))
    assert (message.contact, message.contacts, message.contact_is_wildcard) == (None, [], True)


def test_bytes_that_are_not_utf_8_survive() -> None:
    data = invite((b'"Alice"', b'"J\xfcrgen \xff"'))
    message = parse(data)
    assert message.from_.display_name == "J\udcfcrgen \udcff"
    assert b'From: "J\xfcrgen \xff" <sip:alice@example.com>;tag=1928\r\n' in message.to_bytes()


def test_what_was_read_is_forgotten_when_the_header_changes() -> None:
    message = request()
    assert message.max_forwards is not None
    message.headers.set("Max-Forwards", "7")
    assert message.max_forwards == 7
    assert message.contact is not None
    message.headers.remove("Contact")
    assert message.contact is None


def test_what_was_read_of_a_message_built_by_hand_is_forgotten_too() -> None:
    message = Request("BYE", "sip:bob@example.com", [("To", "<sip:bob@192.0.2.1>")])
    assert (message.to.tag, message.to_tag) == (None, None)
    message.headers.set("To", "<sip:bob@192.0.2.1>;tag=new")
    assert (message.to.tag, message.to_tag) == ("new", "new")
    with pytest.raises(HeaderError):
        _ = message.cseq


def test_a_response_takes_over_what_tells_which_request_it_answers() -> None:
    answer = request().response(180, to_tag="ours", headers=[("Contact", "<sip:me@192.0.2.1>")])
    assert answer.to_bytes() == (
        b"SIP/2.0 180 Ringing\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.5:5062;branch=z9hG4bK776;rport\r\n"
        b"Via: SIP/2.0/TCP phone.example.com;branch=z9hG4bK1\r\n"
        b"Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
        b'From: "Alice" <sip:alice@example.com>;tag=1928\r\n'
        b"To: <sip:bob@192.0.2.1>;tag=ours\r\n"
        b"Call-ID: a84b4c76@example.com\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Contact: <sip:me@192.0.2.1>\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "copied"), [(100, False), (180, True), (200, True), (302, False), (486, False)]
)
def test_record_route_is_copied_where_a_dialog_can_begin(status: int, copied: bool) -> None:
    assert ("Record-Route" in request().response(status).headers) == copied


def test_a_to_tag_that_is_there_stays() -> None:
    message = request((b"To: <sip:bob@192.0.2.1>", b"To: <sip:bob@192.0.2.1>;tag=theirs"))
    assert message.response(200, to_tag="ours").headers.get("To") == "<sip:bob@192.0.2.1>;tag=theirs"


def test_a_tag_inside_a_name_is_no_tag() -> None:
    message = request((b"To: <", b'To: ";tag=1" <'))
    assert message.response(200, to_tag="ours").to.tag == "ours"


def test_the_source_is_written_into_the_top_via_only() -> None:
    message = request()
    message.stamp_source("198.51.100.7", 40000)
    assert message.headers.get_all("Via") == [
        "SIP/2.0/UDP 192.0.2.5:5062;branch=z9hG4bK776;rport=40000;received=198.51.100.7",
        "SIP/2.0/TCP phone.example.com;branch=z9hG4bK1",
    ]
    assert (message.via.received, message.via.rport) == ("198.51.100.7", 40000)
    assert len(message.vias) == 2


def test_a_source_that_sent_by_already_names_is_not_written() -> None:
    message = request((b";rport", b""))
    message.stamp_source("192.0.2.5", 5062)
    assert message.headers.get("Via") == "SIP/2.0/UDP 192.0.2.5:5062;branch=z9hG4bK776"


def test_a_source_the_sender_claims_is_overwritten() -> None:
    message = request((b";rport", b";received=203.0.113.1;RPORT=1"))
    message.stamp_source("2001:db8::7", 40000)
    assert message.via.received == "2001:db8::7"
    assert message.via.rport == 40000


def test_the_source_is_written_into_the_first_of_several_vias_in_one_line() -> None:
    message = request((b";rport\r\nVia: ", b';x="a,b", '))
    message.stamp_source("198.51.100.7", 40000)
    assert message.headers.get_all("Via") == [
        'SIP/2.0/UDP 192.0.2.5:5062;branch=z9hG4bK776;x="a,b";received=198.51.100.7, '
        "SIP/2.0/TCP phone.example.com;branch=z9hG4bK1"
    ]


def test_messages_can_be_made_and_content_length_is_always_right() -> None:
    bye = Request("BYE", "sip:bob@192.0.2.1", [("Call-ID", "c"), ("Content-Length", "99")], b"hello")
    assert bye.to_bytes() == b"BYE sip:bob@192.0.2.1 SIP/2.0\r\nCall-ID: c\r\nContent-Length: 5\r\n\r\nhello"
    ok = Response(200, None, Headers([("Call-ID", "c")]))
    assert ok.to_bytes() == b"SIP/2.0 200 OK\r\nCall-ID: c\r\nContent-Length: 0\r\n\r\n"
    assert Response(499).reason == "Request Failure"


def test_a_message_that_could_not_be_read_back_is_not_made() -> None:
    for method, uri in [
        ("BY E", "sip:a"),
        ("", "sip:a"),
        ("BYE", ""),
        ("BYE", "sip:a b"),
        ("BYE", "sip:a\r\n"),
    ]:
        with pytest.raises(HeaderError):
            Request(method, uri)
    for status, reason in [(99, None), (700, None), (200, "OK\r\nX: y")]:
        with pytest.raises(HeaderError):
            Response(status, reason)


def test_a_missing_header_of_a_made_message_is_said() -> None:
    with pytest.raises(HeaderError, match="there is no Call-ID"):
        _ = Request("BYE", "sip:bob@192.0.2.1").call_id
    with pytest.raises(HeaderError, match="there is no Via"):
        _ = Request("BYE", "sip:bob@192.0.2.1").branch


def test_lists_of_options_are_split() -> None:
    message = request((b"Max-Forwards: 70", b"k: timer,replaces\r\nSupported: 100rel"))
    assert message.elements("Supported") == ["timer", "replaces", "100rel"]
    assert message.elements("Require") == []
