"""Who far ends are told is calling: what trunks want, asserted identities, callers who withhold."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.effects import Dial
from cordboard.call.plan import Destination
from cordboard.legs.outputs import Target, Terms
from cordboard.legs.rules import LegRules
from cordboard.sip.events import InviteReceived
from cordboard.sip.message import Request
from cordboard.sip.uri import Uri

from .leg_bench import BOB, CALLED, FAR, LegBench

CARRIER = Target(request_uri="sip:+15559999@carrier.example", endpoint=FAR, is_phone=True)
PHONE = Destination(kind="phone", to="+15559999")


def through_trunk(bench: LegBench, terms: Terms, **changes: Any) -> Request:
    """The INVITE that reaches the carrier."""
    bench.dial(destination=PHONE, **changes)
    bench.open_media(CALLED)
    bench.route(CARRIER, terms=terms)
    bench.run()
    return bench.received(InviteReceived).request


@pytest.mark.parametrize(
    ("terms", "from_", "field", "asserted"),
    [
        ({}, "+15550001", "<sip:+15550001@pbx.example.com>", None),
        ({"from_domain": "c.example"}, "+15550001", "<sip:+15550001@c.example>", None),
        ({"from_domain": "c.example"}, "sip:+15550001@10.0.0.1", "<sip:+15550001@c.example>", None),
        (
            {"from_": "account", "asserted_identity": True},
            "+15550001",
            "<sip:account@pbx.example.com>",
            "<sip:+15550001@pbx.example.com>",
        ),
        (
            {"from_": "+445550001", "from_domain": "c.example", "asserted_identity": True},
            "+15550001",
            "<sip:+445550001@c.example>",
            "<sip:+445550001@c.example>",
        ),
    ],
)
def test_a_trunk_says_how_it_wants_the_caller(
    terms: dict[str, Any], from_: str, field: str, asserted: str | None
) -> None:
    request = through_trunk(LegBench(), Terms(trunk="t", **terms), from_=from_)
    assert (request.headers.get("From") or "").partition(";")[0] == field
    assert request.headers.get("P-Asserted-Identity") == asserted


@pytest.mark.parametrize("asserts", [False, True])
def test_sip_destinations_are_told_the_asserted_identity_where_the_configuration_says_so(
    asserts: bool,
) -> None:
    bench = LegBench(rules=LegRules(asserted_identity=asserts))
    bench.call_out()
    wanted = "<sip:+15550001@pbx.example.com>" if asserts else None
    assert bench.last_sent("INVITE").headers.get("P-Asserted-Identity") == wanted


def dial_on(bench: LegBench, call_id: str, from_: str) -> None:
    bench.do(
        bench.legs.dial(
            Dial(
                call_id=CALLED,
                parent=call_id,
                session_id="s",
                from_=from_,
                destination=Destination(kind="sip", to=BOB),
            ),
            bench.now,
        )
    )
    bench.open_media(CALLED)


@pytest.mark.parametrize(
    ("terms", "asserted"),
    [
        (None, None),
        (Terms(trunk="t", asserted_identity=True), "<sip:+15550001@pbx.example.com>"),
        (Terms(trunk="t"), None),
    ],
)
def test_a_caller_who_withholds_his_number_is_anonymous_to_all_but_a_carrier(
    terms: Terms | None, asserted: str | None
) -> None:
    bench = LegBench(rules=LegRules(asserted_identity=True))
    bench.call_in(headers=[("Privacy", "id;critical")])
    offered = bench.offered()
    dial_on(bench, offered.call_id, offered.info.from_)
    bench.route(Target(request_uri=BOB, endpoint=FAR), terms=terms)
    bench.run()
    invite = bench.last_sent("INVITE")
    assert invite.from_.uri == Uri.parse("sip:anonymous@anonymous.invalid")
    assert invite.headers.get("Privacy") == "id"
    assert invite.headers.get("P-Asserted-Identity") == asserted


def test_a_number_that_the_script_presents_is_no_secret_of_the_caller() -> None:
    bench = LegBench()
    bench.call_in(headers=[("Privacy", "id")])
    dial_on(bench, bench.offered().call_id, "+15550777")
    bench.resolve()
    bench.run()
    invite = bench.last_sent("INVITE")
    assert invite.from_.uri.user == "+15550777"
    assert invite.headers.get("Privacy") is None


@pytest.mark.parametrize(
    ("trusted", "headers", "seen"),
    [
        (True, [("P-Asserted-Identity", '"Al" <sip:+15550042@c>')], ("+15550042", "Al")),
        (True, [("P-Asserted-Identity", "<mailto:x@y>, <tel:+15550043>")], ("+15550043", "")),
        (True, [("P-Asserted-Identity", "nonsense")], ("+15550001", "")),
        (True, [("P-Asserted-Identity", "<sip:+1@c>"), ("Privacy", "id")], ("+15550001", "")),
        (True, [], ("+15550001", "")),
        (False, [("P-Asserted-Identity", '"Al" <sip:+15550042@c>')], ("+15550001", "")),
    ],
)
def test_an_asserted_identity_is_believed_from_a_trusted_source_only(
    trusted: bool, headers: list[tuple[str, str]], seen: tuple[str, str]
) -> None:
    bench = LegBench(rules=LegRules(trusts=lambda address: trusted and address == FAR.address))
    bench.call_in(headers=headers)
    info = bench.offered().info
    assert (info.from_, info.from_name) == seen
