"""Dialogs: where requests go, with which Request-URI and Route, from either side."""

from __future__ import annotations

import msgspec
import pytest

from cordboard.sip.dialog import Dialog, next_hop
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.message import Request, Response, parse
from cordboard.sip.outgoing import OutgoingRequest

PEER = Endpoint("UDP", "192.0.2.9", 5090)
HEAD = "From: <sip:a@x>;tag=fa\r\nTo: <sip:b@x>{0}\r\nCall-ID: c\r\nCSeq: 4 INVITE\r\n"


def invite(routes: str = "", contact: str = "<sip:a@192.0.2.5:5061>") -> Request:
    request = parse(
        f"INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{HEAD.format('')}{routes}"
        f"Contact: {contact}\r\n\r\n".encode(errors="surrogateescape")
    )
    assert isinstance(request, Request)
    return request


def answer(routes: str = "", contact: str = "<sip:b@192.0.2.7>") -> Response:
    response = parse(
        f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{HEAD.format(';tag=tb')}{routes}"
        f"Contact: {contact}\r\n\r\n".encode(errors="surrogateescape")
    )
    assert isinstance(response, Response)
    return response


def called(routes: str = "", contact: str = "<sip:a@192.0.2.5:5061>") -> Dialog:
    return Dialog.of_request(invite(routes, contact), local="<sip:b@x>;tag=tb", local_tag="tb", peer=PEER)


def calling(routes: str = "", contact: str = "<sip:b@192.0.2.7>") -> Dialog:
    sent = OutgoingRequest(
        "INVITE",
        "sip:b@x",
        via="SIP/2.0/UDP h;branch=z9hG4bK1",
        branch="z9hG4bK1",
        from_="<sip:a@x>;tag=fa",
        to="<sip:b@x>",
        call_id="c",
        cseq=4,
        destination=PEER,
    )
    return Dialog.of_response(sent, "fa", answer(routes, contact))


def bye(dialog: Dialog) -> Request:
    sent = dialog.request("BYE", via="SIP/2.0/UDP h;branch=z9hG4bK2", branch="z9hG4bK2", extra="")
    request = parse(sent.data)
    assert isinstance(request, Request)
    assert sent.destination == dialog.destination
    return request


def test_the_caller_sends_to_the_contact_of_the_answer() -> None:
    dialog = calling()
    request = bye(dialog)
    assert request.uri == "sip:b@192.0.2.7"
    assert (request.from_.tag, request.to.tag, request.cseq.number) == ("fa", "tb", 5)
    assert dialog.destination == Endpoint("UDP", "192.0.2.7", 5060)


def test_the_callee_sends_to_the_contact_of_the_invite() -> None:
    dialog = called()
    request = bye(dialog)
    assert request.uri == "sip:a@192.0.2.5:5061"
    assert (request.from_.tag, request.to.tag, request.cseq.number) == ("tb", "fa", 1)
    assert dialog.destination == Endpoint("UDP", "192.0.2.5", 5061)


def test_both_ends_have_the_same_key_with_its_tags_exchanged() -> None:
    assert calling().key == ("c", "fa", "tb")
    assert called().key == ("c", "tb", "fa")


def test_loose_routes_are_used_in_order_by_the_callee_and_in_reverse_by_the_caller() -> None:
    routes = "Record-Route: <sip:192.0.2.21;lr>, <sip:192.0.2.22;lr>\r\nRecord-Route: <sip:192.0.2.23;lr>\r\n"
    forward = ["<sip:192.0.2.21;lr>", "<sip:192.0.2.22;lr>", "<sip:192.0.2.23;lr>"]
    callee, caller = called(routes), calling(routes)
    assert bye(callee).routes == forward
    assert bye(callee).uri == "sip:a@192.0.2.5:5061"
    assert callee.destination.address == "192.0.2.21"
    assert bye(caller).routes == forward[::-1]
    assert caller.destination.address == "192.0.2.23"


def test_a_strict_router_gets_the_request_uri_and_the_target_becomes_the_last_route() -> None:
    dialog = called("Record-Route: <sip:192.0.2.21:5070>, <sip:192.0.2.22;lr>\r\n")
    request = bye(dialog)
    assert request.uri == "sip:192.0.2.21:5070"
    assert request.routes == ["<sip:192.0.2.22;lr>", "<sip:a@192.0.2.5:5061>"]
    assert dialog.destination == Endpoint("UDP", "192.0.2.21", 5070)


def test_the_2xx_has_the_last_word_about_an_early_dialog() -> None:
    dialog = calling("Record-Route: <sip:192.0.2.21;lr>\r\n", "<sip:early@192.0.2.30>")
    dialog.confirm(answer("", "<sip:final@192.0.2.31>"))
    request = bye(dialog)
    assert (request.uri, request.routes) == ("sip:final@192.0.2.31", [])
    assert dialog.destination.address == "192.0.2.31"


def test_a_reinvite_moves_the_target_but_not_the_route() -> None:
    dialog = called("Record-Route: <sip:192.0.2.21;lr>\r\n")
    dialog.refresh_target(invite("Record-Route: <sip:192.0.2.66;lr>\r\n", "<sip:a@192.0.2.6>"))
    request = bye(dialog)
    assert (request.uri, request.routes) == ("sip:a@192.0.2.6", ["<sip:192.0.2.21;lr>"])


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:b@192.0.2.7", Endpoint("UDP", "192.0.2.7", 5060)),
        ("sip:b@192.0.2.7:5071;transport=tcp", Endpoint("TCP", "192.0.2.7", 5071)),
        ("sip:[2001:db8::1]:5070", Endpoint("UDP", "2001:db8::1", 5070)),
        (f"sip:{'b' * 300}@192.0.2.7", Endpoint("UDP", "192.0.2.7", 5060)),
        ("sip:b@phone.example", PEER),
        ("sip:b@0.0.0.0", PEER),
        ("sip:b@224.0.1.75", PEER),
        ("sip:b@192.0.2.7:0", PEER),
        ("tel:+15550100", PEER),
        ("", PEER),
    ],
)
def test_the_next_hop_is_an_address_or_where_the_dialog_was_set_up_with(uri: str, hop: Endpoint) -> None:
    assert next_hop(uri, PEER) == hop


def test_a_contact_of_another_scheme_is_not_called() -> None:
    assert bye(calling(contact="<mailto:b@192.0.2.7>")).uri == "sip:b@x"


def test_headers_of_a_contact_are_not_sent() -> None:
    assert bye(calling(contact="<sip:b?x@192.0.2.7?Subject=hi>")).uri == "sip:b?x@192.0.2.7"


def test_the_sequence_numbers_of_the_other_end_must_not_go_back() -> None:
    dialog = called()
    assert not dialog.accepts(3)
    assert dialog.accepts(4)
    assert dialog.accepts(9)
    assert not dialog.accepts(8)
    assert calling().accepts(0)


def test_a_dialog_comes_back_from_its_saved_form() -> None:
    dialog = called("Record-Route: <sip:192.0.2.21;lr>\r\n", "<sip:\udce9@192.0.2.5>")
    again = Dialog.restore(dialog.save())
    before, after = bye(dialog), bye(again)
    assert (before.uri, before.routes) == (after.uri, after.routes)
    assert (before.from_, before.to, before.call_id) == (after.from_, after.to, after.call_id)
    assert after.cseq.number > before.cseq.number
    assert again.destination == dialog.destination


def test_what_was_not_saved_cannot_be_restored() -> None:
    with pytest.raises(msgspec.DecodeError):
        Dialog.restore(b"nonsense")
