"""Who calls whom: From fields that nothing can break, and what scripts see of a caller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.plan import Destination
from cordboard.legs.identity import (
    MAX_NAME,
    from_header,
    is_phone_call,
    name_in,
    safe_headers,
    seen_by_scripts,
)
from cordboard.legs.outputs import CallOffered
from cordboard.sip.events import InviteReceived, Refused
from cordboard.sip.headers import NameAddr
from cordboard.sip.message import Request, parse
from cordboard.sip.uri import Uri, UriError

from .leg_bench import BOB, CALLED, LegBench, far_offer

DOMAIN = "pbx.example.com"


# ---------------------------------------------------------------- From


@pytest.mark.parametrize(
    ("identity", "name", "field"),
    [
        ("+15550001", "", "<sip:+15550001@pbx.example.com>"),
        ("front-desk.2", "", "<sip:front-desk.2@pbx.example.com>"),
        ("sip:chris@example.com", "", "<sip:chris@example.com>"),
        ("sip:chris@example.com:5070", "Chris", '"Chris" <sip:chris@example.com:5070>'),
        ("sips:chris@example.com", "", "<sips:chris@example.com>"),
        ("sip:chris:secret@example.com?Route=%3Csip:evil%3E", "", "<sip:chris@example.com>"),
        ("sip:x@[::1]", "", "<sip:x@[::1]>"),
        ("a b", "", "<sip:a%20b@pbx.example.com>"),
        ("", "", "<sip:pbx.example.com>"),
        ("żółw", "", "<sip:%C5%BC%C3%B3%C5%82w@pbx.example.com>"),
        ("x>;tag=1", "", "<sip:x%3E;tag=1@pbx.example.com>"),
        ("+1", 'Say "hi" \\ bye', '"Say \\"hi\\" \\\\ bye" <sip:+1@pbx.example.com>'),
        ("+1", "a\r\nVia: evil\x00\x1b[31m", '"aVia: evil[31m" <sip:+1@pbx.example.com>'),
        ("+1", "Zoë\ud800", '"Zoë" <sip:+1@pbx.example.com>'),
    ],
)
def test_from_is_written_so_that_nothing_gets_out_of_its_place(identity: str, name: str, field: str) -> None:
    assert from_header(identity, name, DOMAIN) == field


@pytest.mark.parametrize(
    "identity", ["sip:a@b>;tag=evil", "sip:a b@c", "sip:", "sip:a@b\r\nX: y", 'sip:"a"@b']
)
def test_a_sip_uri_that_is_none_is_refused(identity: str) -> None:
    with pytest.raises(UriError):
        from_header(identity, "", DOMAIN)


def test_a_long_name_is_cut() -> None:
    assert len(NameAddr.parse(from_header("+1", "x" * 500, DOMAIN)).display_name) == MAX_NAME


@given(st.text(), st.text())
def test_whatever_a_document_says_the_from_stays_one_address(identity: str, name: str) -> None:
    try:
        field = from_header(identity, name, DOMAIN)
    except UriError:
        return
    read = NameAddr.parse(field)
    assert read.tag is None
    assert read.uri.host
    assert "\r" not in field
    assert "\n" not in field


def test_a_call_from_an_impossible_uri_fails_alone_with_the_reason() -> None:
    bench = LegBench()
    bench.dial(from_="sip:a@b>;tag=evil")
    bench.resolve()
    bench.open_media(CALLED)
    assert bench.ending(CALLED).cause == "bad_destination"
    assert bench.sent() == []
    bench.comes_to_rest()


# ---------------------------------------------------------------- headers


def test_only_x_headers_of_one_line_reach_the_wire() -> None:
    given_headers = (
        ("X-Account", "42"),
        ("x-note", 'a, b; c="d"'),
        ("X-Account", "43"),
        ("Via", "SIP/2.0/UDP evil"),
        ("X-Bad", "a\r\nRoute: <sip:evil>"),
        ("X-Bad\r\nRoute", "x"),
        ("X-Bad Name", "x"),
        ("X-Nul", "a\x00b"),
        ("X-Control", "a\x85b"),
        ("X-Tab", "a\tb"),
        ("X-Lone", "\ud800"),
        ("X-", "x"),
    )
    assert safe_headers(given_headers) == [
        ("X-Account", "42"),
        ("x-note", 'a, b; c="d"'),
        ("X-Account", "43"),
        ("X-Tab", "a\tb"),
    ]


def invite_with(
    bench: LegBench, *headers: tuple[str, str], is_phone: bool = False, **changes: object
) -> Request:
    bench.dial(destination=Destination(kind="sip", to=BOB, headers=headers), **changes)
    bench.resolve(is_phone=is_phone)
    bench.open_media(CALLED)
    bench.run()
    return bench.received(InviteReceived).request


def test_a_header_value_cannot_take_the_place_of_ours() -> None:
    headers = (("X-A", "Max-Forwards: 1"), ("X-B", "Content-Type: text/plain"))
    request = invite_with(LegBench(), *headers)
    assert request.max_forwards == 70
    assert request.content_type == "application/sdp"
    assert request.headers.get("X-B") == "Content-Type: text/plain"


def test_x_headers_in_the_uri_are_headers_of_the_invite() -> None:
    """swml.md 7.8; and whoever writes a URI writes no other header."""
    bench = LegBench()
    to = f"{BOB}?X-A=a%20b&Route=%3Csip:evil%3E&X-B=%0D%0AVia:x&Replaces=1"
    bench.dial(destination=Destination(kind="sip", to=to, headers=(("X-C", "1"),)))
    bench.resolve()
    bench.open_media(CALLED)
    bench.run()
    headers = bench.received(InviteReceived).request.headers
    assert [value for name, value in headers.items() if name.startswith("X-")] == ["1", "a b"]
    assert headers.get("Route") is None
    assert headers.get("Replaces") is None


def test_phone_calls_carry_neither_names_nor_headers() -> None:
    request = invite_with(LegBench(), ("X-A", "1"), is_phone=True, from_name="Alice")
    assert request.headers.get("X-A") is None
    assert request.from_.display_name == ""


def test_sip_calls_carry_both() -> None:
    request = invite_with(LegBench(), ("X-A", "1"), from_name="Alice")
    assert request.headers.get("X-A") == "1"
    assert str(request.from_).startswith('"Alice" <sip:+15550001@pbx.example.com>;tag=')


# ---------------------------------------------------------------- what scripts see


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        ("sip:+15550001@10.0.0.1:5070;transport=udp", "+15550001"),
        ("sip:+1-555-0001@host;user=phone", "+15550001"),
        ("tel:+1-555-(0001)", "+15550001"),
        ("tel:911;phone-context=+1", "tel:911;phone-context=+1"),
        ("sip:15550001@host", "sip:15550001@host"),
        ("sip:alice@Example.com:5070;x=y?Subject=z", "sip:alice@Example.com"),
        ("sip:a%20b%0d%0ac@host", "sip:a%20b%0D%0Ac@host"),
        ("sip:j\u00f6rg@host", "sip:j%C3%B6rg@host"),
        ("sip:+٣٤@host", "sip:+%D9%A3%D9%A4@host"),
        ("sip:a@[::1]:5060", "sip:a@[::1]"),
        ("sip:host", "sip:host"),
        ("http://example.com/x", "http://example.com/x"),
    ],
)
def test_an_address_for_scripts_is_a_number_or_a_uri_that_can_be_dialled(uri: str, seen: str) -> None:
    assert seen_by_scripts(Uri.parse(uri)) == seen


def test_only_numbers_at_both_ends_make_a_phone_call() -> None:
    number, name = Uri.parse("sip:+15550001@h"), Uri.parse("sip:alice@h")
    assert is_phone_call(number, number)
    assert not is_phone_call(number, name)
    assert not is_phone_call(name, number)
    assert not is_phone_call(Uri.parse("sip:+1234567890123456@h"), number)


def test_visual_separators_are_no_part_of_a_number() -> None:
    assert name_in(Uri.parse("sip:+1-555.00(01)@h")) == "+15550001"
    assert name_in(Uri.parse("sip:front-desk@h")) == "front-desk"
    assert name_in(Uri.parse("sip:+not-a-number@h")) == "+not-a-number"


# ---------------------------------------------------------------- inbound calls


def offered(uri: str, from_: str, *headers: tuple[str, str]) -> CallOffered:
    bench = LegBench()
    bench.call_in(uri=uri, from_=from_, headers=headers)
    return bench.offered()


def test_a_call_between_numbers_is_a_phone_call_without_sip_details() -> None:
    offer = offered("sip:+15559999@127.0.0.1", '"Al" <sip:+15550001@127.0.0.2>', ("X-A", "1"))
    info = offer.info
    assert (info.type, info.from_, info.to, info.from_name) == ("phone", "+15550001", "+15559999", "Al")
    assert (info.headers, info.sip_data) == ((), None)
    assert (info.call_state, info.direction, offer.dialled) == ("created", "inbound", "+15559999")


def test_a_sip_call_shows_its_headers_and_addresses() -> None:
    offer = offered(
        "sip:desk@127.0.0.1", "<sip:alice@example.com>", ("X-A", "1"), ("X-A", "2"), ("Subject", "no")
    )
    info = offer.info
    assert (info.type, info.from_, info.to) == ("sip", "sip:alice@example.com", "sip:desk@127.0.0.1")
    assert info.headers == (("X-A", "1"), ("X-A", "2"))
    assert info.sip_data == {
        "sip_req_host": "127.0.0.1",
        "sip_req_uri": "desk@127.0.0.1",
        "sip_req_user": "desk",
        "sip_from_host": "example.com",
        "sip_from_uri": "alice@example.com",
        "sip_from_user": "alice",
        "sip_to_host": "127.0.0.1",
        "sip_to_uri": "desk@127.0.0.1",
        "sip_to_user": "desk",
        "sip_contact_user": "",
        "sip_contact_port": "5060",
        "sip_contact_uri": "127.0.0.2:5060",
        "sip_contact_host": "127.0.0.2",
        "sip_contact_params": {},
    }


def test_every_call_has_ids_of_its_own() -> None:
    bench = LegBench()
    bench.call_in()
    bench.call_in()
    first, second = (offer.info for offer in bench.all_told(CallOffered))
    ids = {
        first.call_id,
        first.segment_id,
        first.session_id,
        second.call_id,
        second.segment_id,
        second.session_id,
    }
    assert len(ids) == 6
    assert (first.node_id, first.project_id, first.space_id) == ("node", "project", "space")


def test_a_flood_of_headers_is_cut() -> None:
    offer = offered("sip:desk@h", "<sip:a@b>", *(("X-N", str(n)) for n in range(100)))
    assert len(offer.info.headers) == 64


def test_what_a_caller_says_in_no_valid_utf8_can_be_dialled_back() -> None:
    bench = LegBench()
    _, outputs = bench.far.invite(
        uri="sip:desk@127.0.0.1",
        to="<sip:desk@127.0.0.1>",
        from_="<sip:MARK@127.0.0.2>",
        destination=bench.stack._core.local,
        body=far_offer(),
        now=0.0,
    )
    [message] = [output for output in outputs if hasattr(output, "data")]
    data = message.data.replace(b"MARK", b"\xff\xfe")
    bench.do(bench.legs.receive(data, bench.far._core.local, 0.0))
    assert bench.offered().info.from_ == "sip:%FF%FE@127.0.0.2"
    bench.offered().info.from_.encode()


@pytest.mark.parametrize("field", ["From: <sip:a@b", "Contact: <sip:a@b>;q=x, <", "To: ><"])
def test_an_unreadable_invite_makes_no_call(field: str) -> None:
    bench = LegBench()
    bench.call_in()
    invite = next(d.data for d in bench.wire.sent if d.data.startswith(b"INVITE"))
    name = field.split(":")[0].encode()
    lines = [field.encode() if line.startswith(name + b":") else line for line in invite.split(b"\r\n")]
    data = b"\r\n".join(lines).replace(b"z9hG4bK", b"z9hG4bKx").replace(b"CSeq: 1", b"CSeq: 7")
    bench.told.clear()
    outputs = bench.legs.receive(data, bench.far._core.local, 0.0)
    assert not [output for output in outputs if isinstance(output, CallOffered)]
    assert bench.received_nothing_but_refusals(outputs)


def test_a_uri_that_is_no_sip_is_refused_by_scheme() -> None:
    bench = LegBench()
    bench.call_in(uri="http://example.com/", from_="<sip:a@b>")
    assert bench.received(Refused).status == 416
    assert parse(next(d.data for d in bench.wire.sent)).to_bytes()


@pytest.mark.parametrize(("own", "seen"), [(None, "Alice"), ("Billing", "Billing"), ("", "")])
def test_the_name_of_a_destination_stands_in_place_of_the_callers(own: str | None, seen: str) -> None:
    bench = LegBench()
    bench.call_out(from_name="Alice", destination=Destination(kind="sip", to=BOB, from_name=own))
    assert bench.last_sent("INVITE").from_.display_name == seen
