"""The messages of RFC 4475, each with the verdict of the parser.

What the RFC leaves to the layers above (an unknown scheme, a missing extension, Max-Forwards of 0) is
accepted here.  `torture/mpart01.sip` has stand-in bytes for the RFC's signature part.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.sip.message import MessageError, Request, Response, parse

CORPUS = Path(__file__).parent / "torture"

ACCEPTED_REQUESTS = [
    "wsinv",
    "intmeth",
    "esc01",
    "escnull",
    "esc02",
    "lwsdisp",
    "longreq",
    "dblreq",
    "semiuri",
    "transports",
    "mpart01",
    "escruri",
    "baddate",
    "badbranch",
    "unkscm",
    "novelsc",
    "unksm2",
    "bext01",
    "invut",
    "regaut01",
    "zeromf",
    "cparam01",
    "cparam02",
    "regescrt",
    "sdp01",
    "inv2543",
]
ACCEPTED_RESPONSES = ["unreason", "noreason", "bcast"]
ANSWERED = {
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "regbadct": 400,
    "badaspec": 400,
    "baddn": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "multi01": 400,
    "mcl01": 400,
}
"""Refused, with enough left to send that answer."""
DROPPED = ["scalarlg", "bigcode", "insuf"]
"""Refused, and nobody to answer: a response, or a request without the headers of an answer."""

# Nothing can be trusted of a Via that is no Via, so nobody is told.
DROPPED_FOR_ITS_VIA = ["badinv01"]


def message(name: str) -> bytes:
    return (CORPUS / f"{name}.sip").read_bytes()


def accepted(name: str) -> Request:
    request = parse(message(name))
    assert isinstance(request, Request)
    return request


def refused(name: str) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse(message(name))
    return caught.value


def test_every_message_of_the_corpus_has_a_verdict() -> None:
    judged = [*ACCEPTED_REQUESTS, *ACCEPTED_RESPONSES, *ANSWERED, *DROPPED]
    assert sorted(judged) == sorted(path.stem for path in CORPUS.glob("*.sip"))
    assert len(judged) == 49


@pytest.mark.parametrize("name", ACCEPTED_REQUESTS)
def test_a_request_that_is_well_formed_is_accepted(name: str) -> None:
    request = accepted(name)
    assert request.cseq.method == request.method
    written = request.to_bytes()
    assert parse(written).to_bytes() == written


@pytest.mark.parametrize("name", ACCEPTED_RESPONSES)
def test_a_response_that_is_well_formed_is_accepted(name: str) -> None:
    response = parse(message(name))
    assert isinstance(response, Response)
    written = response.to_bytes()
    assert parse(written).to_bytes() == written


@pytest.mark.parametrize(("name", "code"), ANSWERED.items())
def test_a_malformed_request_gets_its_code(name: str, code: int) -> None:
    error = refused(name)
    assert error.code == code
    assert (error.partial is None) == (name in DROPPED_FOR_ITS_VIA)


@pytest.mark.parametrize("name", [name for name in ANSWERED if name not in DROPPED_FOR_ITS_VIA])
def test_a_refused_request_can_be_answered(name: str) -> None:
    error = refused(name)
    request = error.partial
    assert isinstance(request, Request)
    answer = request.response(error.code, error.reason, to_tag="ours").to_bytes()
    assert answer.startswith(f"SIP/2.0 {error.code} {error.reason}\r\n".encode())
    for header in (b"\r\nVia: ", b"\r\nFrom: ", b"\r\nTo: ", b"\r\nCall-ID: ", b"\r\nCSeq: "):
        assert answer.count(header) == 1


@pytest.mark.parametrize("name", DROPPED)
def test_what_cannot_be_answered_has_no_partial_request(name: str) -> None:
    partial = refused(name).partial
    assert partial is None or isinstance(partial, Response)


def test_short_tortuous_invite_is_read_in_every_part() -> None:
    request = accepted("wsinv")
    assert request.method == "INVITE"
    assert request.uri == "sip:vivekg@chair-dnrc.example.com;unknownparam"
    assert request.to.tag == "1918181833n"
    assert request.from_.display_name == 'J Rosenberg \\"'
    assert request.from_.tag == "98asjd8"
    assert request.max_forwards == 68
    assert str(request.cseq) == "9 INVITE"
    assert [via.transport for via in request.vias] == ["UDP", "TCP", "UDP"]
    assert [via.sent_by for via in request.vias] == ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
    assert [via.branch for via in request.vias] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert request.headers.get("Subject") == ""
    assert request.headers.get("newfangledheader") == "newfangled value continued newfangled value"
    assert request.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert request.routes == ["<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"]
    contact = request.contact
    assert contact is not None
    assert contact.display_name == 'Quoted string ""'
    assert contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert len(request.body) == 150


def test_wide_range_of_characters_is_read_in_every_part() -> None:
    request = accepted("intmeth")
    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert request.to.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert request.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert request.from_.params["fromparam''~+*_!.-%"] == "работающий"
    assert request.from_.tag == "_token~1'+`*%!-."
    assert request.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert request.max_forwards == 255
    assert request.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_count_where_the_grammar_has_them_and_only_once() -> None:
    request = accepted("esc01")
    assert request.to.uri.user == "user"
    assert request.from_.uri.user == "I have spaces"
    contact = request.contact
    assert contact is not None
    assert contact.uri.user == "caller"
    assert contact.uri.params == {"lr": None, "name": "value%41"}


def test_an_escaped_null_does_not_shorten_a_user() -> None:
    request = accepted("escnull")
    assert request.to.uri.user == "null-\0-null"
    assert [contact.uri.user for contact in request.contacts] == ["\0", "\0\0"]


def test_a_percent_sign_that_is_no_escape_stays_one() -> None:
    request = accepted("esc02")
    assert request.method == "RE%47IST%45R"
    assert request.to.display_name == "%Z%45"
    assert [contact.uri.user for contact in request.contacts] == ["alias1", "alias3"]


def test_a_display_name_may_touch_its_bracket() -> None:
    assert accepted("lwsdisp").from_.display_name == "caller"


def test_long_values_are_read_whole() -> None:
    request = accepted("longreq")
    assert len(request.vias) == 34
    assert request.from_.tag == "12" + "982" * 50 + "424"
    assert request.vias[-1].received == "192.0.2.5"


def test_what_follows_the_body_of_a_datagram_is_left_out() -> None:
    request = accepted("dblreq")
    assert request.method == "REGISTER"
    assert request.body == b""


def test_a_semicolon_belongs_to_the_user() -> None:
    request = accepted("semiuri")
    assert request.to.uri.user == "j_user"
    assert request.elements("Accept")[-1] == "message/sipfrag"


def test_unknown_transports_are_read() -> None:
    assert [via.transport for via in accepted("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_a_binary_body_is_untouched() -> None:
    request = accepted("mpart01")
    assert request.content_type == "multipart/mixed"
    assert bytes(range(256)) in request.body
    assert parse(request.to_bytes()).body == request.body


def test_reason_phrases_may_be_in_any_script_or_absent() -> None:
    unusual, empty = parse(message("unreason")), parse(message("noreason"))
    assert isinstance(unusual, Response)
    assert isinstance(empty, Response)
    assert (unusual.status, unusual.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert (empty.status, empty.reason) == (100, "")


def test_unknown_schemes_are_for_the_layers_above_to_refuse() -> None:
    request = accepted("unksm2")
    assert (request.to.uri.scheme, request.to.uri.user) == ("isbn", "2983792873")
    assert request.from_.tag == "3234233"
    assert accepted("novelsc").uri == "soap.beep://192.0.2.103:3002"


def test_without_brackets_a_parameter_is_the_headers_not_the_uris() -> None:
    bare, bracketed = accepted("cparam01").contact, accepted("cparam02").contact
    assert bare is not None
    assert bracketed is not None
    assert (bare.params, bare.uri.params) == ({"unknownparam": None}, {})
    assert (bracketed.params, bracketed.uri.params) == ({}, {"unknownparam": None})


def test_headers_in_a_contact_uri_are_unescaped() -> None:
    contact = accepted("regescrt").contact
    assert contact is not None
    assert contact.uri.headers == {"Route": "<sip:sip.example.com>"}


def test_a_request_of_rfc_2543_is_accepted_without_tags_and_branch() -> None:
    request = accepted("inv2543")
    assert request.branch == ""
    assert request.from_.tag is None
    assert request.record_routes == ["<sip:UserB@example.com;maddr=ss1.example.com>"]
    assert request.body.startswith(b"v=0")
